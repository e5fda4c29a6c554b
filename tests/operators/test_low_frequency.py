"""The low-frequency operator and its best-fitting maps, against explicit matrices."""

import tracemalloc

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from reference.convolution import explicit_matrix

from skdeconv.operators import LowFrequencyOperator

# Filter (h, w), images (n_channels, height, width).
SHAPES = {
    "odd": ((3, 3), (1, 6, 7)),
    "even": ((4, 2), (1, 5, 6)),
    "colour": ((2, 3), (3, 4, 5)),
    "signal": ((1, 5), (1, 1, 20)),
    "two signals": ((1, 4), (2, 1, 9)),
    "column": ((4, 1), (1, 9, 1)),
    "rows of one pixel": ((3, 2), (1, 7, 1)),
    "flat but for the filter": ((3, 4), (1, 1, 8)),
    "larger than the image": ((5, 7), (1, 3, 4)),
    "filter of one pixel": ((1, 1), (2, 4, 3)),
    "image of one pixel": ((3, 2), (2, 1, 1)),
    "nothing but a pixel": ((1, 1), (1, 1, 1)),
}
each_shape = pytest.mark.parametrize(
    ("filter_size", "images_shape"), SHAPES.values(), ids=SHAPES.keys()
)
each_smoothness = pytest.mark.parametrize("smoothness", [0.1, 1.0, 100.0], ids=str)
each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["32", "64"])


def draw(shape, dtype=np.float64, seed=0):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def drawing_matrix(filter_size, images_shape):
    """Matrix from one low-frequency map to its channel."""
    flat = np.full((1, 1, *filter_size), 1 / np.sqrt(np.prod(filter_size)))
    return explicit_matrix(flat, images_shape[1:])


def gradient_matrix(height, width):
    """Matrix from a map to its differences of neighbours, down and across."""
    down = np.kron(np.diff(np.eye(height), axis=0), np.eye(width))
    across = np.kron(np.eye(height), np.diff(np.eye(width), axis=0))
    return np.vstack([down, across])


def solved(filter_size, images_shape, smoothness, images):
    """Low-frequency maps by the normal equations, channel by channel."""
    A = drawing_matrix(filter_size, images_shape)
    height, width = np.add(filter_size, images_shape[1:]) - 1
    D = gradient_matrix(height, width)
    flat = images.reshape(*images.shape[:2], -1)
    maps = np.linalg.solve(A.T @ A + smoothness * D.T @ D, A.T @ flat[..., None])
    return maps.reshape(*images.shape[:2], height, width)


@each_dtype
@each_shape
def test_forward_is_the_convolution_with_the_flat_filter(filter_size, images_shape, dtype):
    uniform = LowFrequencyOperator(filter_size, images_shape, 1.0, dtype)
    maps = draw((2, *uniform.maps_shape), dtype)
    images = uniform.forward(maps)
    assert uniform.images_shape == images_shape
    assert images.shape == (2, *images_shape)
    assert images.dtype == dtype
    A = drawing_matrix(filter_size, images_shape)
    assert A.shape[1] == np.prod(uniform.maps_shape[1:])
    expected = maps.reshape(-1, A.shape[1]) @ A.T
    tol = 100 * np.finfo(dtype).eps
    assert_allclose(images.reshape(-1, A.shape[0]), expected, atol=tol)


@each_smoothness
@each_shape
def test_fit_solves_the_normal_equations(filter_size, images_shape, smoothness):
    uniform = LowFrequencyOperator(filter_size, images_shape, smoothness, np.float64)
    images = draw((3, *images_shape)) + 5
    maps, roughness = uniform.fit(images)
    assert maps.shape == (3, *uniform.maps_shape)
    expected = solved(filter_size, images_shape, smoothness, images)
    assert_allclose(maps, expected, atol=1e-4 * np.abs(expected).max())

    def cost(z):
        return np.sum((uniform.forward(z) - images) ** 2, axis=(1, 2, 3)) + uniform.roughness(z)

    assert_allclose(cost(maps), cost(expected), rtol=1e-6, atol=1e-12)
    assert_allclose(roughness, uniform.roughness(expected), rtol=1e-3, atol=1e-9)


@each_smoothness
@each_shape
def test_roughness_is_the_weighted_squared_gradient(filter_size, images_shape, smoothness):
    uniform = LowFrequencyOperator(filter_size, images_shape, smoothness, np.float64)
    maps = draw((3, *uniform.maps_shape))
    D = gradient_matrix(*uniform.maps_shape[1:])
    slopes = maps.reshape(3, images_shape[0], -1) @ D.T
    expected = smoothness * (slopes**2).sum(axis=(1, 2))
    assert_allclose(uniform.roughness(maps), expected, rtol=1e-12)


@each_shape
def test_the_roughness_of_a_fit_is_that_of_its_maps(filter_size, images_shape):
    uniform = LowFrequencyOperator(filter_size, images_shape, 3.0, np.float64)
    maps, roughness = uniform.fit(draw((3, *images_shape)))
    assert_array_equal(roughness, uniform.roughness(maps))
    assert roughness.shape == (3,)


@pytest.mark.parametrize("size", [(18, 19), (1, 200)], ids=str)
@each_smoothness
def test_images_of_usual_size_are_solved(size, smoothness):
    filter_size = (min(7, size[0]), 7)
    uniform = LowFrequencyOperator(filter_size, (1, *size), smoothness, np.float64)
    images = draw((2, 1, *size)) + np.linspace(-3, 3, size[1])
    maps, _ = uniform.fit(images)
    expected = solved(filter_size, (1, *size), smoothness, images)
    assert_allclose(maps, expected, atol=5e-4 * np.abs(expected).max())


@each_smoothness
@each_shape
def test_constant_images_are_drawn_exactly_by_constant_maps(filter_size, images_shape, smoothness):
    uniform = LowFrequencyOperator(filter_size, images_shape, smoothness, np.float64)
    images = np.full((1, *images_shape), 7.0)
    maps, roughness = uniform.fit(images)
    assert_allclose(uniform.forward(maps), images, rtol=1e-12)
    assert_allclose(maps, 7 / np.sqrt(np.prod(filter_size)), rtol=1e-12)
    assert roughness[0] < 1e-20


@pytest.mark.parametrize("brightness", [1.0, 1e4])
def test_brightness_of_all_pixels_shifts_the_maps_alone(brightness):
    uniform = LowFrequencyOperator((5, 5), (1, 20, 18), 1.0, np.float64)
    images = draw((1, 1, 20, 18))
    maps, roughness = uniform.fit(images)
    brighter, rough = uniform.fit(images + brightness)
    assert_allclose(brighter - brightness / 5, maps, atol=1e-9 * np.abs(maps).max())
    assert_allclose(rough, roughness, rtol=1e-9)


def test_zero_images_have_zero_maps():
    uniform = LowFrequencyOperator((3, 3), (2, 5, 6), 1.0, np.float64)
    maps, roughness = uniform.fit(np.zeros((2, 2, 5, 6)))
    assert not maps.any()
    assert not roughness.any()


def test_smoother_maps_draw_less_detail():
    images = draw((1, 1, 12, 12))
    slopes, errors = [], []
    for smoothness in (0.1, 1.0, 10.0, 100.0):
        uniform = LowFrequencyOperator((3, 3), (1, 12, 12), smoothness, np.float64)
        maps, roughness = uniform.fit(images)
        slopes.append(roughness[0] / smoothness)
        errors.append(np.sum((uniform.forward(maps) - images) ** 2))
    assert np.all(np.diff(slopes) < 0)
    assert np.all(np.diff(errors) > 0)


def test_channels_do_not_mix():
    images = draw((2, 3, 6, 5))
    together, roughness = LowFrequencyOperator((2, 3), (3, 6, 5), 1.0, np.float64).fit(images)
    single = LowFrequencyOperator((2, 3), (1, 6, 5), 1.0, np.float64)
    alone = [single.fit(images[:, [c]]) for c in range(3)]
    maps = np.concatenate([maps for maps, _ in alone], axis=1)
    assert_allclose(together, maps, atol=1e-5)
    assert_allclose(roughness, sum(part for _, part in alone), rtol=1e-5)
    images[:, 1] = 0
    assert not LowFrequencyOperator((2, 3), (3, 6, 5), 1.0, np.float64).fit(images)[0][:, 1].any()


@each_dtype
@each_shape
def test_an_image_does_not_depend_on_its_neighbours(filter_size, images_shape, dtype):
    uniform = LowFrequencyOperator(filter_size, images_shape, 1.0, dtype)
    images = draw((4, *images_shape), dtype)
    # Images that are solved in different numbers of steps.
    images[1], images[2] = 2, 0
    maps, roughness = uniform.fit(images)
    drawn = uniform.forward(maps)
    for one in range(4):
        alone, rough = uniform.fit(images[[one]])
        assert_array_equal(alone[0], maps[one])
        assert_array_equal(rough[0], roughness[one])
        assert_array_equal(uniform.forward(alone)[0], drawn[one])
        assert_array_equal(uniform.forward(maps[one]), drawn[one])


@each_shape
def test_single_precision_is_kept_and_close(filter_size, images_shape):
    images = draw((2, *images_shape)) + 3
    exact, rough = LowFrequencyOperator(filter_size, images_shape, 1.0, np.float64).fit(images)
    uniform = LowFrequencyOperator(filter_size, images_shape, 1.0, np.float32)
    maps, roughness = uniform.fit(images.astype(np.float32))
    assert maps.dtype == np.float32
    assert roughness.dtype == np.float64
    assert_allclose(maps, exact, atol=2e-5 * np.abs(exact).max())
    assert_allclose(roughness, rough, rtol=1e-3, atol=1e-9)


def test_arguments_are_left_alone():
    images, init = draw((2, 1, 6, 7)), draw((2, 1, 8, 9))
    before = images.copy(), init.copy()
    LowFrequencyOperator((3, 3), (1, 6, 7), 1.0, np.float64).fit(images, init)
    assert_array_equal(images, before[0])
    assert_array_equal(init, before[1])


@each_smoothness
@each_shape
def test_the_start_decides_on_neither_maps_nor_accuracy(filter_size, images_shape, smoothness):
    uniform = LowFrequencyOperator(filter_size, images_shape, smoothness, np.float64)
    images = draw((4, *images_shape)) + 5
    images[1, np.random.default_rng(1).random(images_shape) < 0.4] = np.nan
    expected = solved_where_known(filter_size, smoothness, images)
    scale = np.abs(expected).max()
    noise = draw(expected.shape, seed=2)
    noise *= np.array([1e-8, 1e-3, 1, 1e6])[:, None, None, None]
    maps, roughness = uniform.fit(images, expected + noise)
    assert_allclose(maps, expected, atol=1e-4 * scale)
    assert_array_equal(roughness, uniform.roughness(maps))
    for one in range(4):
        alone, _ = uniform.fit(images[[one]], (expected + noise)[[one]])
        assert_array_equal(alone[0], maps[one])


def test_a_start_that_is_near_saves_steps_and_a_far_one_costs_none(monkeypatch):
    uniform = LowFrequencyOperator((5, 5), (1, 20, 18), 1.0, np.float64)
    images = draw((1, 1, 20, 18)) + 5
    steps, preconditioned = [], uniform._preconditioned

    def counted(*arguments):
        steps.append(1)
        return preconditioned(*arguments)

    def steps_from(init):
        steps.clear()
        maps, _ = uniform.fit(images, init)
        return len(steps), maps

    monkeypatch.setattr(uniform, "_preconditioned", counted)
    most, maps = steps_from(None)
    assert most > 5
    # The tolerance is that of a start from zeros: what meets it needs no step.
    assert steps_from(maps)[0] == 0
    near = draw(maps.shape, seed=2)
    assert 0 < steps_from(maps + 1e-3 * near)[0] < most - 3
    number, far = steps_from(maps + 1e6 * near)
    assert number == most
    assert_array_equal(far, maps)


def test_long_signals_need_no_square_matrices():
    uniform = LowFrequencyOperator((1, 250), (1, 1, 50_000), 1.0, np.float32)
    images = draw((1, 1, 1, 50_000), np.float32)
    tracemalloc.start()
    uniform.fit(images)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 60 * images.nbytes


def solved_where_known(filter_size, smoothness, images):
    """Low-frequency maps from the known pixels; zeros in a channel that has none."""
    A = drawing_matrix(filter_size, images.shape[1:])
    height, width = np.add(filter_size, images.shape[2:]) - 1
    D = gradient_matrix(height, width)
    maps = np.zeros((*images.shape[:2], height, width))
    for i, c in np.ndindex(images.shape[:2]):
        y = images[i, c].ravel()
        seen = ~np.isnan(y)
        if seen.any():
            system = A[seen].T @ A[seen] + smoothness * D.T @ D
            maps[i, c] = np.linalg.solve(system, A[seen].T @ y[seen]).reshape(height, width)
    return maps


@each_smoothness
@each_shape
def test_missing_pixels_leave_the_normal_equations(filter_size, images_shape, smoothness):
    images = draw((4, *images_shape)) + 5
    for image, share in zip(images, (0.1, 0.5, 0.9, 1.0), strict=True):
        image[np.random.default_rng(1).random(images_shape) < share] = np.nan
    uniform = LowFrequencyOperator(filter_size, images_shape, smoothness, np.float64)
    maps, roughness = uniform.fit(images)
    expected = solved_where_known(filter_size, smoothness, images)
    assert_allclose(maps, expected, atol=1e-4 * max(1, np.abs(expected).max()))
    assert_allclose(roughness, uniform.roughness(expected), rtol=1e-3, atol=1e-8)
    assert not maps[3].any()


@pytest.mark.parametrize("smoothness", [0.01, 1.0, 1000.0])
def test_large_holes_are_filled_smoothly(smoothness):
    images = draw((1, 1, 25, 22)) + np.linspace(-3, 3, 22)
    images[..., 4:18, 3:19] = np.nan
    uniform = LowFrequencyOperator((5, 5), (1, 25, 22), smoothness, np.float64)
    maps, _ = uniform.fit(images)
    expected = solved_where_known((5, 5), smoothness, images)
    # In the middle of a hole the maps are hardly determined at low smoothness; the cost is.
    assert_allclose(maps, expected, atol=5e-3 * np.abs(expected).max())
    costs = [
        np.nansum((uniform.forward(z) - images) ** 2) + uniform.roughness(z)[0]
        for z in (maps, expected)
    ]
    assert costs[0] == pytest.approx(costs[1], rel=1e-7)


def test_known_pixels_of_one_value_are_drawn_exactly():
    images = np.full((1, 2, 9, 8), 7.0)
    images[:, 0, 2:8, 1:7], images[:, 1] = np.nan, np.nan
    uniform = LowFrequencyOperator((3, 3), (2, 9, 8), 1.0, np.float64)
    maps, roughness = uniform.fit(images)
    assert_allclose(maps[0, 0], 7 / 3, rtol=1e-12)
    assert not maps[0, 1].any()
    assert roughness[0] < 1e-20


@each_dtype
def test_images_with_missing_pixels_leave_the_others_alone(dtype):
    images = draw((4, 2, 9, 8), dtype)
    complete = images.copy()
    images[1, 0, 2:5], images[3, :, 4, 4] = np.nan, np.nan
    uniform = LowFrequencyOperator((3, 4), (2, 9, 8), 1.0, dtype)
    maps, roughness = uniform.fit(images)
    assert maps.dtype == dtype
    expected, rough = uniform.fit(complete)
    assert_array_equal(maps[::2], expected[::2])
    assert_array_equal(roughness[::2], rough[::2])
    for one in (1, 3):
        assert not np.array_equal(maps[one], expected[one])
        assert_array_equal(uniform.fit(images[[one]])[0][0], maps[one])
