"""Tables of bad parameters and bad input, and tests that go through the whole of one."""

import traceback

import pytest

# What estimators inherit from scikit-learn, which tests it.
INHERITED = {
    "get_params", "set_params", "get_metadata_routing", "set_output", "set_callbacks",
    "propagate_callback_context",
}  # fmt: skip
NAN, INF = float("nan"), float("inf")
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
