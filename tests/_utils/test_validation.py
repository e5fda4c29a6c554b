"""Parameter checks: what they accept, what they refuse, and what they say."""

import os
from types import SimpleNamespace

import numpy as np
import pytest

from skdeconv._utils.validation import (
    check_flag,
    check_in,
    check_input_features,
    check_integer,
    check_path,
    check_real,
    check_verbose,
)


def test_check_in():
    assert check_in("kind", "a", ("a", "b")) == "a"
    assert check_in("kind", np.str_("b"), ("a", "b")) == "b"
    assert check_in("kind", None, ("a", None)) is None
    with pytest.raises(ValueError, match="kind must be one of 'a', 'b', got 'c'"):
        check_in("kind", "c", ("a", "b"))
    for value in (None, 1, np.array(["a", "b"]), ["a"]):
        with pytest.raises(TypeError, match="kind must be one of 'a', 'b', got"):
            check_in("kind", value, ("a", "b"))


def test_check_flag():
    assert check_flag("divisive", True) is True
    assert check_flag("divisive", np.False_) is False
    for value in (0, 1, "yes", None, np.array([True])):
        with pytest.raises(TypeError, match="divisive must be True or False, got"):
            check_flag("divisive", value)


@pytest.mark.parametrize(("check", "kind"), [(check_real, float), (check_integer, int)])
def test_numbers_come_as_python_numbers(check, kind):
    for value in (3, np.int64(3), np.uint8(3)):
        assert check("n", value, min_val=3, max_val=3) == 3
        assert type(check("n", value)) is kind
    assert check_real("lam", np.float32(0.5)) == 0.5


@pytest.mark.parametrize("check", [check_real, check_integer])
@pytest.mark.parametrize("value", [True, np.True_, "1", None, 1j, np.array(1), [1], object()])
def test_no_number_is_a_type_error(check, value):
    with pytest.raises(TypeError, match=r"lam must be .*, got"):
        check("lam", value)


@pytest.mark.parametrize("value", [1.0, np.float64(1), np.nan])
def test_no_integer_is_a_type_error(value):
    with pytest.raises(TypeError, match="size must be an integer, got"):
        check_integer("size", value)


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf, np.float32("nan")])
def test_no_finite_number_is_a_value_error(value):
    with pytest.raises(ValueError, match="lam must be a finite number, got"):
        check_real("lam", value)


def test_out_of_range_is_a_value_error():
    with pytest.raises(ValueError, match=r"p == 2.0, must be <= 1"):
        check_real("p", 2.0, min_val=0, max_val=1, include_boundaries="right")
    with pytest.raises(ValueError, match=r"p == 0.0, must be > 0"):
        check_real("p", 0.0, min_val=0, max_val=1, include_boundaries="right")
    with pytest.raises(ValueError, match=r"size == 0, must be >= 1"):
        check_integer("size", 0, min_val=1)


def test_check_verbose():
    assert [check_verbose(value) for value in (False, True, np.True_, 0, 3)] == [0, 1, 1, 0, 3]
    with pytest.raises(ValueError, match="verbose == -1"):
        check_verbose(-1)
    for value in (None, 1.0, "yes"):
        with pytest.raises(TypeError, match="verbose must be an integer, got"):
            check_verbose(value)


def test_check_input_features():
    named = SimpleNamespace(n_features_in_=2, feature_names_in_=np.array(["a", "b"], dtype=object))
    check_input_features(named, None)
    check_input_features(named, ["a", "b"])
    with pytest.raises(ValueError, match="input_features is not equal to feature_names_in_"):
        check_input_features(named, ["b", "a"])
    unnamed = SimpleNamespace(n_features_in_=2)
    check_input_features(unnamed, np.array(["b", "a"]))
    with pytest.raises(ValueError, match=r"number of features \(2\), got 3"):
        check_input_features(unnamed, ["a", "b", "c"])
    # A fit on a list of images counts no features.
    check_input_features(SimpleNamespace(), ["a", "b", "c"])


def test_check_path(tmp_path):
    old = tmp_path / "old.npz"
    old.touch()
    assert check_path("checkpoint", None) is None
    assert check_path("checkpoint", str(old)) == check_path("checkpoint", old) == old
    assert check_path("checkpoint", tmp_path / "new.npz") == tmp_path / "new.npz"
    with pytest.raises(ValueError, match="is a folder"):
        check_path("checkpoint", tmp_path)
    with pytest.raises(ValueError, match="is a folder"):
        check_path("checkpoint", "")
    for parent in (tmp_path / "missing", old):
        with pytest.raises(ValueError, match="does not exist"):
            check_path("checkpoint", str(parent / "fit.npz"))
    assert os.listdir(tmp_path) == [old.name]


@pytest.mark.parametrize("value", [3, True, 1.5, ["fit.npz"], {}, b"fit.npz"])
def test_checkpoint_of_a_wrong_type(value):
    with pytest.raises(TypeError, match="checkpoint must be the path of a file, or None"):
        check_path("checkpoint", value)
