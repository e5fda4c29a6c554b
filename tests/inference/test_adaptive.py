"""Maps whose switches move with them, against the Lasso and against themselves."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference.adapted_maps import (
    MAKERS,
    assert_true_to_themselves,
    draw,
    image_for,
    lasso,
    matrix_of,
    one_layer,
    two_layers,
    unit,
)

from skdeconv.inference import AdaptedMaps, adapt, adapt_by_descent
from skdeconv.inference._adapted_maps import _SwitchedProblem
from skdeconv.operators import Convolution, Unpooling, flat_switches, pool

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

FREE = 1, 1, 1
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["32", "64"])
each_way = pytest.mark.parametrize("accelerated", [True, False], ids=["fista", "ista"])
each_operator = pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS.keys())
# Blocks that suit the maps of all operators; some are ragged.
each_block = pytest.mark.parametrize("shape", [FREE, (3, 3, 3), (2, 3, 2), (1, 2, 1)], ids=str)


@each_dtype
@each_way
@each_block
@each_operator
@pytest.mark.parametrize("n_steps", [0, 2, 8])
def test_maps_are_true_to_themselves(make, shape, accelerated, dtype, n_steps):
    operator = make(dtype)
    image = image_for(operator)
    before = image.copy()
    options = {"n_steps": n_steps, "accelerated": accelerated}
    maps = adapt(operator, image, 3.0, shape, **options)
    assert_true_to_themselves(maps, operator, image, 3.0, shape)
    assert (len(maps.index) > 0) == (n_steps > 0)
    assert_array_equal(image, before)


@each_dtype
@each_block
@each_operator
def test_maps_by_descent_are_true_to_themselves(make, shape, dtype):
    operator = make(dtype)
    image = image_for(operator)
    maps = adapt_by_descent(operator, image, 3.0, shape)
    assert_true_to_themselves(maps, operator, image, 3.0, shape)
    assert len(maps.index)


@each_way
@each_block
@each_operator
def test_more_steps_never_cost_more(make, shape, accelerated):
    operator = make(np.float64)
    # An image of noise alone is hard to draw, so that some steps are taken back.
    noise = draw((1, *operator.images_shape))
    for image, weight in ((image_for(operator), 3.0), (noise, 20.0)):
        nothing = weight / 2 * (image**2).sum()
        costs = [
            adapt(operator, image, weight, shape, n_steps=n, accelerated=accelerated).cost
            for n in range(11)
        ]
        assert costs[0] == pytest.approx(nothing, rel=1e-12)
        assert (np.diff(costs) <= 0).all()
        assert costs[-1] < 0.9 * nothing


@each_way
@each_operator
def test_without_pooling_many_steps_reach_the_lasso(make, accelerated):
    operator = make(np.float64)
    image = image_for(operator)
    _, least = lasso(matrix_of(operator), image, 1.0)
    n_steps = 200 if accelerated else 1200
    maps = adapt(operator, image, 1.0, FREE, n_steps=n_steps, accelerated=accelerated)
    assert least * (1 - 1e-9) <= maps.cost <= least * (1 + 1e-5)


@each_operator
def test_momentum_is_faster(make):
    operator = make(np.float64)
    found = []
    for accelerated in (True, False):
        costs = [
            adapt(operator, image_for(operator, seed), 10.0, FREE, accelerated=accelerated).cost
            for seed in range(8)
        ]
        found.append(np.mean(costs))
    assert found[0] < 0.99 * found[1]


@each_operator
def test_a_step_follows_the_gradient(make):
    operator, weight, beta = make(np.float64), 3.0, 1e-4
    image, matrix = image_for(operator), matrix_of(operator)
    start = draw((1, *operator.maps_shape), 3)

    def misfit(maps):
        return weight / 2 * ((image.ravel() - matrix @ maps.ravel()) ** 2).sum()

    problem = _SwitchedProblem(operator, image, weight, FREE)
    switches = np.zeros(start.shape, np.uint8)
    maps = problem.maps(start, switches)
    gradient = np.empty(start.size)
    for j, shift in enumerate(np.eye(start.size)):
        shift = shift.reshape(start.shape)
        gradient[j] = (misfit(start + shift) - misfit(start - shift)) / 2
    expected = start - beta * gradient.reshape(start.shape)
    moved = problem.moved(maps, maps, 0.0, beta)
    assert_allclose(moved, expected, atol=1e-11)
    # From the maps before it goes ahead; there the gradient is that of the place reached.
    before = problem.maps(draw(start.shape, 4), switches)
    extrapolated = start + 0.7 * (start - before.dense(start.shape[1:]))
    ahead = problem.maps(extrapolated, switches)
    expected = problem.moved(ahead, ahead, 0.0, beta)
    assert_allclose(problem.moved(maps, before, 0.7, beta), expected, atol=1e-11)


def test_the_first_steps_are_the_formula():
    operator, shape, weight = one_layer(np.float64), (2, 2, 2), 3.0
    image, matrix = image_for(operator), matrix_of(operator)
    pull = (matrix.T @ image.ravel()).reshape(1, *operator.maps_shape)
    values, switches = pool(pull, shape)
    drawn = matrix @ Unpooling(switches[0], shape, pull.shape[1:]).forward(values).ravel()
    beta = (values**2).sum() / (drawn**2).sum() / (1.2 * weight)
    for given in (None, beta, beta / 7):
        step, maps = given or beta, np.zeros_like(pull)
        for n in (1, 2, 3):
            residual = image.ravel() - matrix @ maps.ravel()
            moved = maps + step * weight * (matrix.T @ residual).reshape(maps.shape)
            values, switches = pool(moved, shape)
            values = np.sign(values) * np.maximum(np.abs(values) - step, 0)
            maps = Unpooling(switches[0], shape, pull.shape[1:]).forward(values)
            options = {"n_steps": n, "accelerated": False, "beta": given}
            found = adapt(operator, image, weight, shape, **options)
            assert_allclose(found.dense(operator.maps_shape), maps, atol=1e-12)
            assert_array_equal(found.switches, switches[0])


def test_momentum_is_that_of_fista():
    # Steps so short that none is taken back, and blocks of one, so that the switches stay.
    operator, weight, beta = one_layer(np.float64), 3.0, 1e-3
    image, matrix = image_for(operator), matrix_of(operator)
    maps = before = np.zeros(matrix.shape[1])
    t = 1.0
    for n in range(1, 8):
        # The second step goes ahead already; by the book that is the third.
        following = (1 + np.sqrt(1 + 4 * t**2)) / 2
        ahead, t = maps + (t - 1) / following * (maps - before), following
        moved = ahead + beta * weight * matrix.T @ (image.ravel() - matrix @ ahead)
        maps, before = np.sign(moved) * np.maximum(np.abs(moved) - beta, 0), maps
        found = adapt(operator, image, weight, FREE, n_steps=n, beta=beta)
        assert_allclose(found.dense(operator.maps_shape).ravel(), maps, atol=1e-12)


def lopsided(n_channels):
    """An operator, an image whose correlation says far too little of its norm, and how little."""
    filters = np.abs(draw((2, n_channels, 3, 3))) + 0.5
    operator = Convolution(filters / np.sqrt((filters**2).sum(axis=(1, 2, 3))[0]), (6, 7))
    left, values, _ = np.linalg.svd(matrix_of(operator))
    weak = np.flatnonzero(values > values[0] / 4)[-1]
    image = 30 * (left[:, weak] + 1e-3 * left[:, 0]).reshape(1, *operator.images_shape)
    return operator, image, values[weak]


@each_way
@pytest.mark.parametrize("n_channels", [1, 2])
def test_too_long_a_step_is_taken_back(n_channels, accelerated):
    operator, image, weak = lopsided(n_channels)
    options = {"accelerated": accelerated}
    nothing, too_long = 1.5 * (image**2).sum(), 1 / (1.2 * 3.0 * weak**2)
    with pytest.raises(ValueError, match="too long a step"):
        adapt(operator, image, 3.0, FREE, n_steps=10, beta=too_long, **options)
    costs = [adapt(operator, image, 3.0, FREE, n_steps=n, **options).cost for n in range(20)]
    assert (np.diff(costs) <= 0).all()
    assert costs[-1] < nothing
    _, least = lasso(matrix_of(operator), image, 3.0)
    n_steps = 300 if accelerated else 1000
    maps = adapt(operator, image, 3.0, FREE, n_steps=n_steps, **options)
    assert maps.cost <= least * (1 + 5e-3)
    assert_true_to_themselves(maps, operator, image, 3.0, FREE)


@each_dtype
@each_way
@each_operator
def test_a_given_step_that_diverges_is_named(make, accelerated, dtype):
    operator = make(dtype)
    image = image_for(operator)
    options = {"n_steps": 300, "accelerated": accelerated, "beta": 50.0}
    with pytest.raises(ValueError, match=r"^beta=50\.0 is too long a step"):
        adapt(operator, image, 3.0, (2, 2, 2), **options)


@each_operator
def test_a_given_step_is_used_as_it_is(make):
    operator = make(np.float64)
    image = image_for(operator)
    short = 1e-3 / operator.norm() ** 2
    costs = [adapt(operator, image, 3.0, FREE, n_steps=n, beta=short).cost for n in range(5)]
    full = adapt(operator, image, 3.0, FREE, n_steps=4).cost
    assert (np.diff(costs) < 0).all()
    assert full < costs[-1]
    # Too long a one lets the cost rise.
    with pytest.raises(ValueError, match="above that of zero maps"):
        adapt(operator, image, 3.0, FREE, n_steps=3, beta=5.0)


@each_dtype
@each_block
@each_operator
def test_black_images_have_no_maps(make, shape, dtype):
    operator = make(dtype)
    image = np.zeros((1, *operator.images_shape), dtype)
    for maps in (
        adapt(operator, image, 3.0, shape),
        adapt(operator, image, 3.0, shape, beta=0.1, accelerated=False),
        adapt_by_descent(operator, image, 3.0, shape),
    ):
        assert len(maps.index) == len(maps.values) == maps.cost == 0
        assert_array_equal(maps.residual, image)
        assert_true_to_themselves(maps, operator, image, 3.0, shape)


@each_operator
def test_maps_vanish_below_the_least_weight(make):
    operator = make(np.float64)
    image = image_for(operator)
    least = 1 / np.abs(operator.adjoint(image)).max()
    # The tolerance of the descent takes zeros for the solution of weights a little larger.
    for infer, more in ((adapt, 1.001), (adapt_by_descent, 1.1)):
        assert not len(infer(operator, image, 0.999 * least, (2, 2, 2)).index)
        assert len(infer(operator, image, more * least, (2, 2, 2)).index)


@each_dtype
@each_way
@each_block
def test_init_is_where_it_starts(shape, accelerated, dtype):
    operator = two_layers(dtype)
    image = image_for(operator)
    options = {"accelerated": accelerated}
    first = adapt(operator, image, 3.0, shape, n_steps=5, **options)
    # What they drew with other filters is of no account.
    stale = replace(first, cost=-1.0, residual=None)
    before = stale.index.copy(), stale.values.copy(), stale.switches.copy()
    same = adapt(operator, image, 3.0, shape, n_steps=0, init=stale, **options)
    assert_array_equal(same.index, first.index)
    assert_array_equal(same.values, first.values)
    assert_array_equal(same.switches, first.switches)
    assert same.cost == pytest.approx(first.cost, rel=1e-6)
    assert_allclose(same.residual, first.residual, atol=1e-5)
    further = adapt(operator, image, 3.0, shape, n_steps=5, init=stale, **options)
    assert further.cost < first.cost
    assert_true_to_themselves(further, operator, image, 3.0, shape)
    if not accelerated:
        at_once = adapt(operator, image, 3.0, shape, n_steps=10, **options)
        assert further.cost == pytest.approx(at_once.cost, rel=1e-5)
    for found, kept in zip((stale.index, stale.values, stale.switches), before, strict=True):
        assert_array_equal(found, kept)


def test_switches_move_but_those_below():
    operator = two_layers(np.float64)
    image = image_for(operator)
    before = operator.operators[1].index.copy()
    found = [adapt(operator, image, 3.0, (2, 2, 2), n_steps=n).switches for n in (1, 10)]
    assert (found[0] != found[1]).any()
    adapt_by_descent(operator, image, 3.0, (2, 2, 2))
    assert_array_equal(operator.operators[1].index, before)


@each_block
@each_operator
def test_descent_is_the_lasso_of_its_switches(make, shape):
    operator = make(np.float64)
    for seed in range(3):
        image = image_for(operator, seed)
        maps = adapt_by_descent(operator, image, 3.0, shape, n_rounds=50)
        index = flat_switches(maps.switches, shape, operator.maps_shape).ravel()
        values, least = lasso(matrix_of(operator)[:, index], image, 3.0)
        # The solver ends within a thousandth.
        assert least * (1 - 1e-9) <= maps.cost <= least * (1 + 2e-3)
        found = maps.dense(operator.maps_shape).ravel()[index]
        assert np.linalg.norm(found - values) < 0.1 * np.linalg.norm(values)


@each_operator
def test_switches_of_descent_come_from_the_free_solution(make):
    operator, shape, weight = make(np.float64), (2, 2, 2), 3.0
    image, matrix = image_for(operator), matrix_of(operator)
    free, _ = lasso(matrix, image, weight)
    step = matrix.T @ (image.ravel() - matrix @ free) / operator.norm() ** 2
    moved = (free + step).reshape(1, *operator.maps_shape)
    found = adapt_by_descent(operator, image, weight, shape, n_rounds=50).switches
    # The solver's tolerance leaves some blocks undecided.
    assert (found == pool(moved, shape)[1][0]).mean() > 0.9


@each_dtype
@pytest.mark.parametrize("shape", [(2, 2, 2), (3, 3, 3)], ids=str)
def test_descent_costs_less_than_a_few_steps(shape, dtype):
    costs = []
    for seed in range(8):
        operator = Convolution(unit((9, 1, 5, 5), seed).astype(dtype), (14, 14))
        image = image_for(operator, seed + 100)
        found = adapt_by_descent(operator, image, 3.0, shape), adapt(operator, image, 3.0, shape)
        costs.append([one.cost for one in found])
    descent, steps = np.mean(costs, axis=0)
    assert descent <= steps


@each_dtype
def test_maps_are_added_to_others(dtype):
    maps = AdaptedMaps(np.array([1, 5]), np.array([2, -3], dtype), None, 0.0, None)
    dense = maps.dense((2, 1, 3))
    assert_array_equal(dense, np.array([0, 2, 0, 0, 0, -3], dtype).reshape(1, 2, 1, 3))
    maps.add_to(dense, -0.5)
    assert dense.dtype == dtype
    assert_array_equal(dense.ravel(), [0, 1, 0, 0, 0, -1.5])
    maps.add_to(dense)
    assert_array_equal(dense.ravel(), [0, 3, 0, 0, 0, -4.5])
