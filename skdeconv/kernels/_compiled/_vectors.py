"""Vector instructions over the taps of a filter, as intrinsics of numba.

LLVM unrolls loops over few taps before it vectorises them, which costs a factor of three. Here each
row of a filter is read as whole vectors. The intrinsics stand at module level, and loop over rows
at run time, because numba finds neither closures nor generated code in its cache.
"""

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

# Numbers in a vector, and vectors and filters whose sums are held in registers.
LANES, VECTORS, FILTERS = 8, 4, 3
# Number of windows of such sums, and of those of one filter alone.
TILE = LANES * VECTORS
STRIP = TILE * FILTERS
# Independent sums of an inner product, since each addition waits for the one before.
SUMS = 2

# Sums may be reordered and fused, but NaN and infinity are kept.
_FLAGS = ("contract", "reassoc")
_I32, _I64 = ir.IntType(32), ir.IntType(64)
_int = types.int64


class _Builder:
    """Writes instructions on vectors of the type of an array."""

    def __init__(self, context, builder, array):
        self.context, self.builder = context, builder
        self.vector = ir.VectorType(context.get_data_type(array.dtype), LANES)
        self.align = array.dtype.bitwidth // 8

    def start(self, typed, array, offset):
        """Pointer to an element of a contiguous array."""
        data = cgutils.create_struct_proxy(typed)(self.context, self.builder, array).data
        return self.builder.gep(data, [offset])

    def load(self, pointer, offset):
        value = self.builder.load(self._cast(pointer, offset))
        value.align = self.align
        return value

    def store(self, value, pointer, offset):
        self.builder.store(value, self._cast(pointer, offset)).align = self.align

    def _cast(self, pointer, offset):
        return self.builder.bitcast(self.builder.gep(pointer, [offset]), self.vector.as_pointer())

    def multiply(self, first, *others):
        for other in others:
            first = self.builder.fmul(first, other, flags=_FLAGS)
        return first

    def plus(self, first, second):
        return self.builder.fadd(first, second, flags=_FLAGS)

    def zeros(self):
        """Place of a sum, which is zero here, also in the next pass of a loop around."""
        total = cgutils.alloca_once(self.builder, self.vector)
        self.builder.store(ir.Constant(self.vector, [0.0] * LANES), total)
        return total

    def accumulate(self, product, total):
        self.builder.store(self.plus(self.builder.load(total), product), total)

    def spread(self, scalar):
        """The vector with all elements equal to a scalar."""
        one = ir.Constant(self.vector, ir.Undefined)
        one = self.builder.insert_element(one, scalar, ir.Constant(_I32, 0))
        places = ir.Constant(ir.VectorType(_I32, LANES), [0] * LANES)
        return self.builder.shuffle_vector(one, one, places)

    def sum(self, vector):
        """The sum of the elements of a vector."""
        size = LANES
        while size > 1:
            size //= 2
            low, high = (
                self.builder.shuffle_vector(
                    vector, vector, ir.Constant(ir.VectorType(_I32, size), list(places))
                )
                for places in (range(size), range(size, 2 * size))
            )
            vector = self.plus(low, high)
        return self.builder.extract_element(vector, ir.Constant(_I32, 0))

    def each_vector(self, planes, stride, n_rows, width, body, at_once=1):
        """Loop over the vectors of some planes of a filter, of long rows several at once.

        ``planes`` are the array of their places in the image, and the first and last plane.
        ``body`` takes the offsets of a vector in the filter and in the image, and its number among
        those at once.
        """
        builder, (places, begin, end) = self.builder, planes
        mul, add = builder.mul, builder.add
        plane_size = mul(n_rows, width)
        with cgutils.for_range_slice(builder, begin, end, ir.Constant(_I64, 1)) as (plane, _):
            in_filter = mul(builder.sub(plane, begin), plane_size)
            in_image = builder.load(builder.gep(places, [plane]))
            short = builder.icmp_signed("==", width, ir.Constant(_I64, LANES))
            with builder.if_else(short) as (one_vector, several):
                with one_vector, cgutils.for_range(builder, n_rows) as row:
                    body(
                        add(in_filter, mul(row.index, ir.Constant(_I64, LANES))),
                        add(in_image, mul(row.index, stride)),
                        0,
                    )
                with several, cgutils.for_range(builder, n_rows) as row:
                    in_row = add(in_filter, mul(row.index, width))
                    under = add(in_image, mul(row.index, stride))
                    step, first = ir.Constant(_I64, LANES), ir.Constant(_I64, 0)
                    if at_once > 1:
                        several = ir.Constant(_I64, LANES * at_once)
                        whole = builder.sub(width, builder.urem(width, several))
                        with cgutils.for_range_slice(builder, first, whole, several) as (column, _):
                            for number in range(at_once):
                                part = add(column, ir.Constant(_I64, LANES * number))
                                body(add(in_row, part), add(under, part), number)
                        first = whole
                    with cgutils.for_range_slice(builder, first, width, step) as (column, _):
                        body(add(in_row, column), add(under, column), 0)


@intrinsic
def dot(typing, taps, tap, image, pixel, places, begin, end, stride, n_rows, width):
    """Inner product of a filter with the window of an image."""

    def generate(context, builder, signature, args):
        taps_, tap_, image_, pixel_, places_, begin_, end_, *sizes = args
        write = _Builder(context, builder, taps)
        of_filter = write.start(taps, taps_, tap_)
        of_image = write.start(image, image_, pixel_)
        planes = write.start(places, places_, ir.Constant(_I64, 0)), begin_, end_
        totals = [write.zeros() for _ in range(SUMS)]

        def body(in_filter, in_image, number):
            one, other = write.load(of_filter, in_filter), write.load(of_image, in_image)
            write.accumulate(write.multiply(one, other), totals[number])

        write.each_vector(planes, *sizes, body, SUMS)
        total = builder.load(totals[0])
        for other in totals[1:]:
            total = write.plus(total, builder.load(other))
        return write.sum(total)

    arguments = taps, _int, image, _int, places, _int, _int, _int, _int, _int
    return taps.dtype(*arguments), generate


@intrinsic
def add(typing, factor, taps, tap, image, pixel, places, begin, end, stride, n_rows, width):
    """Add a multiple of a filter to the window of an image."""

    def generate(context, builder, signature, args):
        factor_, taps_, tap_, image_, pixel_, places_, begin_, end_, *sizes = args
        write = _Builder(context, builder, taps)
        of_filter = write.start(taps, taps_, tap_)
        of_image = write.start(image, image_, pixel_)
        planes = write.start(places, places_, ir.Constant(_I64, 0)), begin_, end_
        multiple = write.spread(factor_)

        def body(in_filter, in_image, _):
            change = write.multiply(write.load(of_filter, in_filter), multiple)
            write.store(write.plus(write.load(of_image, in_image), change), of_image, in_image)

        write.each_vector(planes, *sizes, body)
        return context.get_dummy_value()

    arguments = taps.dtype, taps, _int, image, _int, places, _int, _int, _int, _int, _int
    return types.void(*arguments), generate


@intrinsic
def add_known(
    typing, factor, taps, tap, image, known, pixel, places, begin, end, stride, n_rows, width
):
    """Add a multiple of a filter to the known pixels of the window of an image."""

    def generate(context, builder, signature, args):
        factor_, taps_, tap_, image_, known_, pixel_, places_, begin_, end_, *sizes = args
        write = _Builder(context, builder, taps)
        of_filter = write.start(taps, taps_, tap_)
        of_image = write.start(image, image_, pixel_)
        of_known = write.start(known, known_, pixel_)
        planes = write.start(places, places_, ir.Constant(_I64, 0)), begin_, end_
        multiple = write.spread(factor_)

        def body(in_filter, in_image, _):
            one, mask = write.load(of_filter, in_filter), write.load(of_known, in_image)
            change = write.multiply(one, mask, multiple)
            write.store(write.plus(write.load(of_image, in_image), change), of_image, in_image)

        write.each_vector(planes, *sizes, body)
        return context.get_dummy_value()

    arguments = taps.dtype, taps, _int, image, known, _int, places, _int, _int, _int, _int, _int
    return types.void(*arguments), generate


@intrinsic
def energy_known(typing, taps, tap, known, pixel, places, begin, end, stride, n_rows, width):
    """Squared norm of the part of a filter that lies over known pixels."""

    def generate(context, builder, signature, args):
        taps_, tap_, known_, pixel_, places_, begin_, end_, *sizes = args
        write = _Builder(context, builder, taps)
        of_filter = write.start(taps, taps_, tap_)
        of_known = write.start(known, known_, pixel_)
        planes = write.start(places, places_, ir.Constant(_I64, 0)), begin_, end_
        total = write.zeros()

        def body(in_filter, in_image, _):
            one = write.load(of_filter, in_filter)
            mask = write.load(of_known, in_image)
            write.accumulate(write.multiply(one, one, mask), total)

        write.each_vector(planes, *sizes, body)
        return write.sum(builder.load(total))

    arguments = taps, _int, known, _int, places, _int, _int, _int, _int, _int
    return taps.dtype(*arguments), generate


@intrinsic
def correlate_tile(
    typing, taps, tap, image, pixel, places, begin, end, stride, n_rows, width, out, at, line
):
    """Inner products of FILTERS filters with TILE windows, which are one pixel apart.

    The filters have the same planes, of which those for one channel follow each other. The inner
    products of each filter are ``line`` places in ``out`` after those of the one before.
    """
    return _correlating(FILTERS, VECTORS, taps, image, places, out)


@intrinsic
def correlate_strip(
    typing, taps, tap, image, pixel, places, begin, end, stride, n_rows, width, out, at, line
):
    """Inner products of one filter with STRIP windows."""
    return _correlating(1, FILTERS * VECTORS, taps, image, places, out)


def _correlating(n_filters, n_vectors, taps, image, places, out):
    """Signature and code of inner products."""

    def generate(context, builder, signature, args):
        taps_, tap_, image_, pixel_, places_, begin_, end_, stride_, n_rows_, width_, *to = args
        out_, at_, line_ = to
        write = _Builder(context, builder, taps)
        mul, plus = builder.mul, builder.add
        size, of_image = mul(n_rows_, width_), write.start(image, image_, pixel_)
        numbers = [ir.Constant(_I64, number) for number in range(n_filters)]
        of_filters = [write.start(taps, taps_, plus(tap_, mul(size, one))) for one in numbers]
        planes = write.start(places, places_, ir.Constant(_I64, 0))
        totals = [[write.zeros() for _ in range(n_vectors)] for _ in numbers]
        one = ir.Constant(_I64, 1)
        with cgutils.for_range_slice(builder, begin_, end_, one) as (plane, _):
            before = mul(builder.sub(plane, begin_), ir.Constant(_I64, n_filters))
            in_filter = mul(before, size)
            in_image = builder.load(builder.gep(planes, [plane]))
            with cgutils.for_range(builder, n_rows_) as row:
                in_row = plus(in_filter, mul(row.index, width_))
                under = plus(in_image, mul(row.index, stride_))
                with cgutils.for_range(builder, width_) as column:
                    place, first = plus(in_row, column.index), plus(under, column.index)
                    factors = [
                        write.spread(builder.load(builder.gep(filter_, [place])))
                        for filter_ in of_filters
                    ]
                    for vector in range(n_vectors):
                        pixels = plus(first, ir.Constant(_I64, LANES * vector))
                        window = write.load(of_image, pixels)
                        for factor, total in zip(factors, totals, strict=True):
                            write.accumulate(write.multiply(factor, window), total[vector])
        for number, total in zip(numbers, totals, strict=True):
            start = write.start(out, out_, plus(at_, mul(line_, number)))
            for vector, sums in enumerate(total):
                write.store(builder.load(sums), start, ir.Constant(_I64, LANES * vector))
        return context.get_dummy_value()

    arguments = taps, _int, image, _int, places, _int, _int, _int, _int, _int, out, _int, _int
    return types.void(*arguments), generate
