"""Tables of bad parameters, as pytest's parameters."""

import pytest


def table(rows):
    """One parameter for every row of {name: [(value, error, message), ...], ...}."""
    return [
        pytest.param(name, *row, id=f"{name}={str(row[0])[:20]}")
        for name, faults in rows.items()
        for row in faults
    ]
