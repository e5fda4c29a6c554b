"""Tables of bad parameters and bad input, and tests that go through the whole of one."""

import traceback

import numpy as np
import pytest
from scipy.sparse import csr_array

# What estimators inherit from scikit-learn, which tests it.
INHERITED = {
    "get_params", "set_params", "get_metadata_routing", "set_output", "set_callbacks",
    "propagate_callback_context",
}  # fmt: skip
NAN, INF = float("nan"), float("inf")
NOISE = np.random.default_rng(0).random((6, 8, 8))
COLOUR = np.random.default_rng(1).random((6, 8, 8, 2))
# Input that nets fitted on NOISE refuse: images of no kind, and images of another shape.
IMAGE_FAULTS = {
    "empty": (np.empty((0, 8, 8)), ValueError, "0 sample"),
    "five dimensions": (np.ones((2, 8, 8, 1, 1)), ValueError, "5 dimensions"),
    "one dimension": (np.ones(64), ValueError, "Reshape your data"),
    "None": (None, ValueError, "scalar array"),
    "complex": (NOISE * 1j, ValueError, "Complex data not supported"),
    "text": (np.full((2, 64), "a", dtype=object), ValueError, "could not convert string"),
    "sparse": (csr_array(np.eye(64)), TypeError, "[Ss]parse"),
    "NaN": (NOISE * NAN, ValueError, "NaN"),
    "infinity": (NOISE * INF, ValueError, "infinity"),
    "a list of grey and colour": ([np.ones((8, 8)), np.ones((8, 8, 3))], ValueError, r"X\[1\]"),
}
CHANNEL_FAULTS = {
    "another width": (np.ones((2, 63)), ValueError, "63 features"),
    "more channels": (COLOUR, ValueError, r"\(8, 8, 2\)"),
}
# Rows of codes have one width, unlike maps.
SHAPE_FAULTS = CHANNEL_FAULTS | {
    "a ragged list": ([np.ones((8, 8)), np.ones((7, 8))], ValueError, "different shapes"),
    "another shape": (np.ones((2, 4, 16)), ValueError, r"\(4, 16\)"),
    "a list of another shape": ([np.ones((9, 8))], ValueError, r"\(9, 8\)"),
}
# Parameter of HalfQuadratic: [(value, error, what the message says besides its name), ...]
OF_SOLVER = {
    "beta_min": [("x", TypeError, "'x'"), (NAN, ValueError, "nan"), (0, ValueError, "0"),
                 (None, TypeError, "None")],
    "beta_factor": [("x", TypeError, "'x'"), (NAN, ValueError, "nan"), (1.0, ValueError, "1")],
    "beta_max": [("x", TypeError, "'x'"), (INF, ValueError, "inf"), (0.5, ValueError, "beta_min")],
    "beta_repeats": [("x", TypeError, "'x'"), (1.5, TypeError, "1.5"), (NAN, TypeError, "nan"),
                     (0, ValueError, "0"), (True, TypeError, "True")],
    "cg_max_iter": [("x", TypeError, "'x'"), (1.5, TypeError, "1.5"), (NAN, TypeError, "nan"),
                    (0, ValueError, "0"), (True, TypeError, "True")],
}  # fmt: skip


def check_each(cases, check):
    """Call ``check(*arguments)`` for each (name, arguments), and report all failures at once."""
    failures, cases = [], list(cases)
    for name, arguments in cases:
        try:
            check(*arguments)
        except (Exception, pytest.fail.Exception) as error:
            failures.append("".join([f"{name}:\n", *traceback.format_exception(error, limit=-1)]))
    if failures:
        text = "\n".join(failures)
        pytest.fail(f"{len(failures)} of {len(cases)} cases failed.\n{text}", pytrace=False)


def table(rows):
    """Cases of every row of {parameter: [(value, error, message), ...], ...}."""
    return [
        (f"{name}={value!r:.40}", (name, value, error, message))
        for name, faults in rows.items()
        for value, error, message in faults
    ]


def assert_refused(net, method, value, error, message):
    """The method raises, and leaves the net as it is."""
    before = vars(net).copy()
    with pytest.raises(error, match=message):
        getattr(net, method)(value)
    assert vars(net).keys() == before.keys()
    assert all(vars(net)[name] is before[name] for name in before)


def refuse_each(net, method, faults):
    """The method refuses the value of each {fault: (value, error, message), ...}."""
    check_each(faults.items(), lambda *row: assert_refused(net, method, *row))
