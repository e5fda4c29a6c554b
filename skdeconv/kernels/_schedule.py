"""Constants of coordinate descent on a working set, in rounds of compiled and portable kernels."""

from __future__ import annotations

# Sweeps of the first round, and how many more there are in each round than in the one before.
FIRST_SWEEPS, MORE_SWEEPS = 2, 2
# Maximum number of local scalings of a residual, and the multiple of the tolerance up to which the
# gap after one of them makes another worth while.
SCALINGS, NEARLY = 2, 4
# Rounding error of inner products, in units of the precision of the dtype.
MARGIN = 16
