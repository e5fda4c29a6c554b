"""Tables of bad parameters, as pytest's parameters."""

import pytest


def table(rows):
    """One parameter for every row of {name: [(value, error, message), ...], ...}."""
    return [
        pytest.param(name, *row, id=f"{name}={str(row[0])[:20]}")
        for name, faults in rows.items()
        for row in faults
    ]


# What estimators inherit from scikit-learn, which tests it.
INHERITED = {
    "get_params", "set_params", "get_metadata_routing", "set_output", "set_callbacks",
    "propagate_callback_context",
}  # fmt: skip


def table_of_methods(methods):
    """One parameter for every fault of {method: {fault: (value, error, message), ...}, ...}."""
    return [
        pytest.param(method, *row, id=f"{method}-{fault}")
        for method, faults in methods.items()
        for fault, row in faults.items()
    ]


def assert_refused(net, method, value, error, message):
    """The method raises, and leaves the net as it is."""
    before = vars(net).copy()
    with pytest.raises(error, match=message):
        getattr(net, method)(value)
    assert vars(net).keys() == before.keys()
    assert all(vars(net)[name] is before[name] for name in before)
