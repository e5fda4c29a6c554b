"""The penalty: its proximal map against a global search, its value and its tangents."""

import dataclasses
import pickle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from reference.prox import global_minimiser, objective, threshold

from skdeconv.inference import PowerPenalty

each_p = pytest.mark.parametrize(
    "p",
    [0.05, 0.3, 0.5, 0.66, 2 / 3, 0.8, 0.99, 1.0],
    ids=["0.05", "0.3", "half", "0.66", "two_thirds", "0.8", "0.99", "one"],
)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["32", "64"])
each_sign = pytest.mark.parametrize("positive", [False, True], ids=["signed", "positive"])


def around_threshold(step, p):
    """Coefficients of both signs, far from the threshold and closest to it."""
    size = threshold(step, p) * np.array([0.3, 0.9, 1 - 1e-6, 1 + 1e-6, 1.1, 1.5, 3, 30])
    return np.concatenate([-size, size])


def assert_no_negative_zero(maps):
    assert not np.signbit(maps[maps == 0]).any()


@each_sign
@pytest.mark.parametrize("step", [0.05, 1.0, 7.0])
@each_p
def test_prox_is_the_global_minimiser(p, step, positive):
    v = around_threshold(step, p)
    u = PowerPenalty(p, positive).prox(v, step)
    best = np.array([global_minimiser(one, step, p, positive) for one in v])
    excess = objective(u, v, step, p) - objective(best, v, step, p)
    assert (excess <= 1e-14 * v**2).all()
    assert_allclose(u / v, best / v, rtol=0, atol=1e-7)


@settings(max_examples=200, deadline=None, database=None)
@given(
    p=st.floats(1e-3, 1),
    v=st.floats(-1e6, 1e6),
    log_step=st.floats(-20, 20),
    share=st.floats(-2, 2),
)
def test_nothing_costs_less_than_prox(p, v, log_step, share):
    step = np.exp(log_step)
    u = PowerPenalty(p).prox(np.array([v]), step)[0]
    cost = objective(u, v, step, p)
    assert cost <= min(objective(0, v, step, p), objective(share * v, v, step, p)) * (1 + 1e-13)


@each_dtype
@pytest.mark.parametrize("p", [1e-3, 0.05, 0.3, 0.5, 0.66, 2 / 3, 0.8, 0.99, 0.999, 1 - 1e-9, 1])
def test_prox_is_stationary_to_the_precision_of_the_dtype(p, dtype):
    ratio = 1 + np.logspace(-6, 3, 1001)
    v = (threshold(0.7, p) * ratio).astype(dtype)
    u = PowerPenalty(p).prox(v, 0.7).astype(np.float64)
    assert (u > 0).all()
    residual = u - v + 0.7 * p * u ** (p - 1)
    assert np.max(np.abs(residual) / v) <= 5 * np.finfo(dtype).eps


@each_dtype
@pytest.mark.parametrize("p", [0.5, 2 / 3, 1.0], ids=["half", "two_thirds", "one"])
def test_closed_forms_continue_the_general_method(p, dtype):
    step = 1.3
    v = np.concatenate([around_threshold(step, p), np.linspace(-20, 20, 1001)]).astype(dtype)
    exact = PowerPenalty(p).prox(v, step)
    # The next number is no special case.
    general = PowerPenalty(np.nextafter(p, 0)).prox(v, step)
    assert np.max(np.abs(exact - general) / np.abs(v).clip(1)) <= 8 * np.finfo(dtype).eps


def test_prox_is_soft_thresholding_at_one():
    u = PowerPenalty(1.0).prox(np.array([-5.0, -1.25, -1.0, 0.0, 0.5, 1.25, 5.0]), 1.25)
    assert_array_equal(u, [-3.75, 0, 0, 0, 0, 0, 3.75])


@pytest.mark.parametrize(
    ("p", "step", "v", "u"),
    [
        # u, step and p chosen, v = u + p step u^(p - 1).
        pytest.param(0.5, 4.0, 4.0 + 1.0, 4.0, id="half"),
        pytest.param(2 / 3, 6.0, 8.0 + 2.0, 8.0, id="two_thirds"),
        pytest.param(0.75, 8.0, 16.0 + 3.0, 16.0, id="three_quarters"),
    ],
)
def test_prox_of_constructed_cases(p, step, v, u):
    found = PowerPenalty(p).prox(np.array([-v, v]), step)
    assert_allclose(found, [-u, u], rtol=1e-15)


@each_p
@pytest.mark.parametrize("step", [1e-6, 0.4, 1e5])
def test_prox_is_zero_up_to_the_threshold(p, step):
    around = threshold(step, p) * np.array([-1 - 1e-12, -1 + 1e-12, 1 - 1e-12, 1 + 1e-12])
    u = PowerPenalty(p).prox(around, step)
    assert_array_equal(u != 0, [True, False, False, True])
    # Beyond it u jumps to a share 2 (1 - p) / (2 - p) of v: to nothing only at p = 1.
    assert_allclose(u[3] / around[3], 2 * (1 - p) / (2 - p), rtol=0, atol=1e-11)


@each_dtype
@pytest.mark.parametrize(
    ("p", "step", "tie"),
    [
        pytest.param(0.5, 1.0, 1.5, id="half"),
        pytest.param(0.5, 8.0, 6.0, id="half_larger"),
        pytest.param(2 / 3, 1.5, 2.0, id="two_thirds"),
        pytest.param(2 / 3, 24.0, 16.0, id="two_thirds_larger"),
        pytest.param(1.0, 0.75, 0.75, id="one"),
    ],
)
def test_ties_go_to_zero(p, step, tie, dtype):
    above = tie * (1 + 8 * np.finfo(dtype).eps)
    v = np.array([-above, -tie, tie, above], dtype=dtype)
    assert_array_equal(PowerPenalty(p).prox(v, step) != 0, [True, False, False, True])


@each_p
def test_prox_is_odd_monotone_and_shrinks(p):
    v = np.linspace(0, 5, 2001)
    u = PowerPenalty(p).prox(v, 0.6)
    assert_array_equal(PowerPenalty(p).prox(-v, 0.6), -u)
    assert (np.diff(u) >= 0).all()
    assert ((u >= 0) & (u <= v)).all()


@each_p
def test_positive_prox_is_that_of_the_positive_part(p):
    v = np.linspace(-5, 5, 2001)
    u = PowerPenalty(p, positive=True).prox(v, 0.6)
    assert_array_equal(u, PowerPenalty(p).prox(np.maximum(v, 0), 0.6))
    assert u.any()
    assert_no_negative_zero(u)


@each_sign
@each_dtype
@each_p
def test_prox_without_a_step_is_the_projection(p, dtype, positive):
    limits = np.finfo(dtype)
    v = np.array([-limits.max, -0.3, -0.0, 0.0, limits.smallest_subnormal, 0.7, limits.max], dtype)
    u = PowerPenalty(p, positive).prox(v, 0)
    assert_array_equal(u, np.maximum(v, 0) if positive else v)
    assert_no_negative_zero(u)


@each_sign
@each_dtype
@each_p
def test_prox_at_the_ends_of_the_range(p, dtype, positive):
    limits = np.finfo(dtype)
    sizes = np.array([limits.smallest_subnormal, limits.tiny, 1e-20, 1, 1e20, limits.max], dtype)
    for step in [5e-324, 1e-300, 1e-60, 1e-3, 1e3, 1e60, 1e300, 1.7e308]:
        v = np.concatenate([-sizes, sizes])
        u = PowerPenalty(p, positive).prox(v, step)
        assert u.dtype == dtype
        assert np.isfinite(u).all()
        assert_no_negative_zero(u)
        negative, u = u[:6], u[6:]
        assert_array_equal(negative, np.zeros(6) if positive else -u)
        assert ((u >= 0) & (u <= sizes)).all()
        # In logarithms nothing leaves the range.
        log_threshold = np.log(threshold(1.0, p)) + np.log(step) / (2 - p)
        above = np.log(sizes.astype(np.float64)) > log_threshold
        assert_array_equal(u > 0, above)


@each_p
@pytest.mark.parametrize(
    ("dtype", "exponent"),
    [(np.float64, -500), (np.float64, 500), (np.float32, -120), (np.float32, 120)],
    ids=["tiny_64", "huge_64", "tiny_32", "huge_32"],
)
def test_prox_keeps_its_form_at_all_scales(p, dtype, exponent):
    # v -> c v with step -> c^(2 - p) step multiplies the objective by c^2.
    v = np.linspace(-40, 40, 801).astype(dtype)
    scale = dtype(2) ** dtype(exponent)
    step = np.exp2(exponent * (2 - p)) * 1.7
    scaled = PowerPenalty(p).prox(v * scale, step)
    expected = PowerPenalty(p).prox(v, 1.7)
    tol = 40 * 4 * np.finfo(dtype).eps + 40 * 2e-13
    assert_allclose(scaled / scale, expected, rtol=0, atol=tol)


def test_underflow_gives_no_negative_zero():
    # A third of the smallest float is kept at p = 0.8, and rounds to zero.
    smallest = np.finfo(np.float32).smallest_subnormal
    step = (0.999 * float(smallest) / threshold(1.0, 0.8)) ** 1.2
    u = PowerPenalty(0.8).prox(np.array([-smallest, smallest]), step)
    assert_array_equal(u, [0, 0])
    assert_no_negative_zero(u)


@each_sign
@each_p
def test_float32_maps_stay_float32(p, positive):
    v = np.random.default_rng(3).normal(size=(4, 5, 6)).astype(np.float32)
    # Scalars of numpy are as good as Python's.
    penalty = PowerPenalty(np.float64(p), positive)
    u = penalty.prox(v, np.float64(0.2))
    assert u.dtype == np.float32
    assert u.shape == v.shape
    expected = penalty.prox(v.astype(np.float64), 0.2)
    assert_array_equal(u != 0, expected != 0)
    assert_allclose(u, expected, rtol=0, atol=4 * np.finfo(np.float32).eps * np.abs(v).max())
    assert penalty.slope(v, np.full(v.shape, 0.1)).dtype == np.float32


def test_integers_become_float64():
    penalty = PowerPenalty(1.0)
    u = penalty.prox(np.array([-3, 0, 2]), 0.5)
    assert u.dtype == np.float64
    assert_array_equal(u, [-2.5, 0, 1.5])
    assert penalty.slope(np.array([1, 2]), 0).dtype == np.float64
    assert penalty.value(np.array([[-128, 100]], dtype=np.int8)) == 228


@pytest.mark.parametrize("p", [0.5, 0.8, 1.0])
@pytest.mark.parametrize("shape", [(0,), (), (2, 0, 3), (2, 1, 3)], ids=str)
def test_prox_keeps_the_shape_and_its_argument(p, shape):
    v = np.full(shape, -2.5)
    u = PowerPenalty(p).prox(v, 0.5)
    assert u.shape == shape
    assert_array_equal(v, np.full(shape, -2.5))
    assert (u < 0).all()


@each_sign
@each_dtype
@each_p
def test_each_coefficient_may_have_its_step(p, dtype, positive):
    v = np.random.default_rng(4).normal(size=(3, 50)).astype(dtype)
    steps = np.array([[0.0], [0.1], [1.0]], dtype)
    penalty = PowerPenalty(p, positive)
    u = penalty.prox(v, steps)
    assert u.dtype == dtype
    for row, one, step in zip(u, v, steps[:, 0], strict=True):
        assert_array_equal(row, penalty.prox(one, step))
    assert 0 < np.count_nonzero(u[2]) < np.count_nonzero(u[1])


@pytest.mark.parametrize("p", [0.5, 1.0])
def test_steps_must_fit_the_maps(p):
    with pytest.raises(ValueError, match=r"broadcast|dimensions"):
        PowerPenalty(p).prox(np.ones(3), np.ones((2, 3)))


@each_p
def test_prox_does_not_hide_a_nan(p):
    u = PowerPenalty(p).prox(np.array([np.nan, 0.0, 3.0]), 0.5)
    assert_array_equal(np.isnan(u), [True, False, False])
    assert u[2] == PowerPenalty(p).prox(np.array([3.0]), 0.5)[0]


@pytest.mark.parametrize(
    ("p", "expected"),
    [
        pytest.param(1.0, 16.0 + 81.0 + 256.0, id="one"),
        pytest.param(0.5, 4.0 + 9.0 + 16.0, id="half"),
        pytest.param(0.75, 8.0 + 27.0 + 64.0, id="three_quarters"),
    ],
)
def test_value_is_the_sum_of_powers(p, expected):
    maps = np.array([[16.0, 0.0], [-81.0, 256.0]])
    assert PowerPenalty(p).value(maps[None]) == pytest.approx([expected])
    assert PowerPenalty(p).value(maps).sum() == pytest.approx(expected)
    rows = [PowerPenalty(p).value(row[None])[0] for row in maps]
    assert_array_equal(PowerPenalty(p).value(maps), rows)


def test_value_adds_up_in_float64():
    # A float32 at 2^24 does not notice ones.
    maps = np.ones((1, 1001), np.float32)
    maps[0, 0] = 2**24
    value = PowerPenalty(1.0).value(maps)
    assert value.dtype == np.float64
    assert value == 2**24 + 1000


@each_p
def test_value_of_negative_maps_is_infinite_where_they_are_forbidden(p):
    penalty = PowerPenalty(p, positive=True)
    maps = np.array([[1.0, -1e-300, 0.0], [1.0, -0.0, 0.0]])
    assert_array_equal(penalty.value(maps), [np.inf, 1])
    assert_array_equal(PowerPenalty(p).value(np.array([[1.0, -1.0]])), [2])
    assert_array_equal(PowerPenalty(p).value(np.empty((2, 0, 3))), [0, 0])


@each_p
def test_slope_is_the_derivative_of_the_smoothed_penalty(p):
    size, eps, h = np.logspace(-3, 2, 30), 0.01, 1e-6
    penalty = PowerPenalty(p)
    slope = penalty.slope(size, eps)
    assert_array_equal(penalty.slope(-size, eps), slope)
    difference = (size + eps + h) ** p - (size + eps - h) ** p
    assert_allclose(slope, difference / (2 * h), rtol=1e-6)


@settings(max_examples=200, deadline=None, database=None)
@given(p=st.floats(0.01, 1), here=st.floats(-9, 9), there=st.floats(-9, 9), eps=st.floats(1e-6, 1))
def test_tangent_majorises_the_smoothed_penalty(p, here, there, eps):
    slope = PowerPenalty(p).slope(np.array([here]), eps)[0]
    at_here, at_there = ((abs(z) + eps) ** p for z in (here, there))
    tangent = at_here + slope * (abs(there) - abs(here))
    rounding = 1e-13 * (at_here + slope * (abs(there) + abs(here)))
    assert at_there <= tangent + rounding


def test_slope_at_one_is_constant():
    maps = np.array([[-2.0, 0.0, 5.0]])
    assert_array_equal(PowerPenalty(1.0).slope(maps, 0), np.ones((1, 3)))


@each_dtype
def test_slope_at_zero_is_infinite_without_smoothing(dtype):
    maps = np.array([0.0, 4.0, np.finfo(dtype).smallest_subnormal], dtype)
    slope = PowerPenalty(0.5).slope(maps, 0)
    assert slope.dtype == dtype
    assert slope[0] == np.inf
    assert slope[1] == 0.25
    # Steeper than float32 can tell.
    assert PowerPenalty(0.05).slope(np.float32([1e-45]), 0)[0] == np.inf


def test_smoothing_may_differ_between_coefficients():
    maps, eps = np.array([1.0, 1.0, 3.0]), np.array([0.0, 3.0, 1.0])
    assert_allclose(PowerPenalty(0.5).slope(maps, eps), [0.5, 0.25, 0.25], rtol=1e-15)


@pytest.mark.parametrize("p", [0, -0.5, 1.0001, np.nan, np.inf])
def test_exponents_out_of_range_are_refused(p):
    with pytest.raises(ValueError, match="p must be above 0 and at most 1, got"):
        PowerPenalty(p)


def test_penalties_are_values():
    penalty = PowerPenalty(0.8, positive=True)
    assert PowerPenalty() == PowerPenalty(1.0, positive=False)
    assert pickle.loads(pickle.dumps(penalty)) == penalty
    with pytest.raises(dataclasses.FrozenInstanceError):
        penalty.p = 0.5
