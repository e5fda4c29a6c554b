"""Pooling by largest magnitude."""

from __future__ import annotations

from skdeconv.kernels._compiled._jit import jit


@jit
def pool(bits, rows, columns, neighbours, key, place, best, switch, values, switches):
    """Value of largest magnitude in every block of maps, given by their bits, and its position.

    The lines hold keys, which order values by magnitude, and at a tie by sign, and positions of
    the largest ones: those in a column, and those in the columns of a block that begins there.
    """
    n_samples, n_maps, height, width = bits.shape
    _, n_pooled, pooled_height, pooled_width = values.shape
    unsigned = bits.dtype.type
    one, last = unsigned(1), unsigned(8 * bits.itemsize - 1)
    for s in range(n_samples):
        for m in range(n_pooled):
            for v in range(pooled_height):
                for x in range(width):
                    key[x] = 0
                    place[x] = 0
                # Of equal values the first row is chosen, then the first map.
                for y in range(v * rows, min(height, (v + 1) * rows)):
                    for k in range(m * neighbours, min(n_maps, (m + 1) * neighbours)):
                        here = ((k - m * neighbours) * rows + y - v * rows) * columns
                        for x in range(width):
                            value = bits[s, k, y, x]
                            rival = unsigned((value << one) | ((value >> last) ^ one))
                            wins = rival > key[x]
                            key[x] = rival if wins else key[x]
                            place[x] = here if wins else place[x]
                for x in range(width):
                    best[x] = key[x]
                    switch[x] = place[x]
                # At all positions, not only those where a block begins, this takes vectors.
                for b in range(1, columns):
                    for x in range(width - b):
                        wins = key[x + b] > best[x]
                        best[x] = key[x + b] if wins else best[x]
                        switch[x] = place[x + b] + b if wins else switch[x]
                for u in range(pooled_width):
                    found = best[u * columns]
                    sign = ((found & one) ^ one) << last
                    values[s, m, v, u] = unsigned((found >> one) | sign)
                    switches[s, m, v, u] = switch[u * columns]
