"""Filters learned through the layers below, against the explicit least-squares problem."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from skdeconv.filters import descend_through
from skdeconv.filters._through import patch_sums
from skdeconv.inference import AdaptedMaps, adapt
from skdeconv.operators import Composition, Convolution, Masked, Unpooling, pool

each_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64], ids=["32", "64"])
# Filters (n_filters, n_channels, h, w), and the image (height, width) that they draw.
SHAPES = {
    "grey": ((3, 1, 3, 3), (9, 8)),
    "colour": ((2, 3, 2, 4), (6, 7)),
    "signal": ((3, 2, 1, 4), (1, 30)),
    "larger than the image": ((2, 1, 5, 4), (3, 2)),
}
each_shape = pytest.mark.parametrize(
    ("filters_shape", "image_shape"), SHAPES.values(), ids=SHAPES.keys()
)


def draw(shape, seed=0, dtype=np.float64):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def lower_with(seed, dtype=np.float64, n_channels=1):
    """A layer and its switches; of every image the filters are the same."""
    convolution = Convolution(draw((4, n_channels, 3, 2), dtype=dtype), (10, 11))
    switches = pool(draw((1, *convolution.maps_shape), seed), (2, 3, 2))[1][0]
    return Composition(convolution, Unpooling(switches, (2, 3, 2), convolution.maps_shape))


def drawn(filters, lower, maps, image_shape):
    """What the filters draw of an image, with maps that were inferred with others."""
    shape = image_shape if lower is None else lower.maps_shape[1:]
    operator = Convolution(filters, shape)
    image = operator.forward(maps.dense(operator.maps_shape))
    return image if lower is None else lower.forward(image)


def problem(kind, dtype=np.float64, density=0.3):
    """Filters, what lies below, maps of two images with residuals, and those images."""
    if kind == "alone":
        filters_shape, image_shape, lowers = (3, 2, 3, 2), (8, 9), [None, None]
    else:
        n_channels = 3 if kind == "through colours" else 1
        lowers = [lower_with(seed, dtype, n_channels) for seed in (1, 2)]
        filters_shape, image_shape = (3, 2, 2, 3), (10, 11)
    filters, maps, images = draw(filters_shape, 7, dtype), [], []
    for seed, lower in enumerate(lowers):
        shape = image_shape if lower is None else lower.maps_shape[1:]
        size = int(np.prod(Convolution(filters, shape).maps_shape))
        rng = np.random.default_rng(seed + 20)
        index = np.flatnonzero(rng.random(size) < density)
        one = AdaptedMaps(index, draw(len(index), seed + 30, dtype), None, 0.0, None)
        image = drawn(filters, lower, one, image_shape)
        image = image + 2 * draw(image.shape, seed + 40, dtype)
        maps.append(one)
        images.append(image)
    return filters, lowers, with_residuals(filters, lowers, maps, images), images


def with_residuals(filters, lowers, maps, images):
    return [
        replace(one, residual=image - drawn(filters, lower, one, image.shape[2:]))
        for lower, one, image in zip(lowers, maps, images, strict=True)
    ]


def error_of(filters, lowers, maps, images):
    """Half the squared error of all images."""
    found = with_residuals(filters, lowers, maps, images)
    return sum(0.5 * float((one.residual.astype(np.float64) ** 2).sum()) for one in found)


def explicit(filters_shape, lowers, maps, images):
    """Matrix of what unit filters draw of all images, and the images as one column."""
    columns = []
    for unit in np.eye(int(np.prod(filters_shape))):
        parts = [
            drawn(unit.reshape(filters_shape), lower, one, image.shape[2:]).ravel()
            for lower, one, image in zip(lowers, maps, images, strict=True)
        ]
        columns.append(np.concatenate(parts))
    return np.stack(columns, axis=1), np.concatenate([image.ravel() for image in images])


each_kind = pytest.mark.parametrize("kind", ["alone", "through switches", "through colours"])


@each_dtype
@each_shape
def test_patch_sums_are_the_adjoint_in_the_filters(filters_shape, image_shape, dtype):
    operator = Convolution(draw(filters_shape, dtype=dtype), image_shape)
    maps = draw((1, *operator.maps_shape), 1, dtype)
    maps[np.random.default_rng(2).random(maps.shape) < 0.6] = 0
    index = np.flatnonzero(maps)
    sparse = AdaptedMaps(index, maps.ravel()[index], None, 0.0, None)
    image = draw((1, *operator.images_shape), 3, dtype)
    before = image.copy()
    sums = patch_sums(sparse, image, filters_shape)
    assert sums.shape == filters_shape
    assert sums.dtype == dtype
    assert_array_equal(image, before)
    expected = [
        np.vdot(Convolution(unit.reshape(filters_shape), image_shape).forward(maps), image)
        for unit in np.eye(int(np.prod(filters_shape)))
    ]
    atol = 1e-11 if dtype == np.float64 else 1e-4
    assert_allclose(sums.ravel(), expected, atol=atol)


def test_patch_sums_of_one_coefficient_are_the_patch_under_it():
    image, shape = np.arange(12.0).reshape(1, 1, 3, 4) + 1, (2, 1, 2, 3)
    # Maps are 4 x 6; the coefficient at (2, 3) of the second has its corner at the pixel (1, 1).
    maps = AdaptedMaps(np.array([24 + 2 * 6 + 3]), np.array([-2.0]), None, 0.0, None)
    sums = patch_sums(maps, image, shape)
    assert not sums[0].any()
    assert_array_equal(sums[1, 0], -2 * image[0, 0, 1:3, 1:4])
    # In the far corner one pixel is within the image.
    maps = AdaptedMaps(np.array([23]), np.array([1.0]), None, 0.0, None)
    assert_array_equal(patch_sums(maps, image, shape)[0, 0], [[12, 0, 0], [0, 0, 0]])


def test_patch_sums_of_no_coefficients_are_zeros():
    maps = AdaptedMaps(np.empty(0, np.int32), np.empty(0, np.float32), None, 0.0, None)
    sums = patch_sums(maps, draw((1, 1, 5, 5), dtype=np.float32), (2, 1, 3, 3))
    assert_array_equal(sums, np.zeros((2, 1, 3, 3), np.float32))
    assert sums.dtype == np.float32


@each_kind
def test_the_first_step_goes_down_the_numeric_gradient(kind):
    filters, lowers, maps, images = problem(kind)
    gradient = np.empty(filters.size)
    for j, shift in enumerate(np.eye(filters.size)):
        shift = shift.reshape(filters.shape)
        above = error_of(filters + shift, lowers, maps, images)
        below = error_of(filters - shift, lowers, maps, images)
        # Exact, as the error is a parabola.
        gradient[j] = (above - below) / 2
    sums = [
        patch_sums(
            one, one.residual if lower is None else lower.adjoint(one.residual), filters.shape
        )
        for lower, one in zip(lowers, maps, strict=True)
    ]
    assert_allclose(-sum(sums).ravel(), gradient, rtol=1e-8, atol=1e-8)
    moved = (descend_through(filters, lowers, maps, 1) - filters).ravel()
    length = -(moved @ gradient) / (gradient @ gradient)
    assert length > 0
    assert_allclose(moved, -length * gradient, atol=1e-10)
    # It is as long as is best.
    least = error_of(filters - (length * gradient).reshape(filters.shape), lowers, maps, images)
    for factor in (0.99, 1.01):
        other = filters - (factor * length * gradient).reshape(filters.shape)
        assert error_of(other, lowers, maps, images) > least


@each_kind
def test_enough_steps_reach_the_least_squares_solution(kind):
    filters, lowers, maps, images = problem(kind)
    matrix, target = explicit(filters.shape, lowers, maps, images)
    solution = np.linalg.lstsq(matrix, target)[0]
    assert np.linalg.cond(matrix) < 100
    found = descend_through(filters, lowers, maps, 3 * filters.size)
    assert_allclose(found.ravel(), solution, atol=2e-7)


@each_kind
def test_steps_are_those_of_conjugate_gradients(kind):
    filters, lowers, maps, images = problem(kind)
    matrix, target = explicit(filters.shape, lowers, maps, images)
    start = filters.ravel()
    krylov = [matrix.T @ (target - matrix @ start)]
    for n in range(1, 6):
        # The best of the space that n gradients span.
        basis = np.linalg.qr(np.stack(krylov, axis=1))[0]
        best = np.linalg.lstsq(matrix @ basis, target - matrix @ start)[0]
        found = descend_through(filters, lowers, maps, n).ravel()
        assert_allclose(found, start + basis @ best, atol=1e-7)
        krylov.append(matrix.T @ (matrix @ basis[:, -1]))


@each_dtype
@each_kind
def test_no_step_raises_the_error(kind, dtype):
    filters, lowers, maps, images = problem(kind, dtype)
    before = filters.copy(), [one.residual.copy() for one in maps]
    steps = [*range(12), 30, 100, 300]
    found = [descend_through(filters, lowers, maps, n) for n in steps]
    assert all(one.dtype == dtype and one.shape == filters.shape for one in found)
    assert_array_equal(found[0], filters)
    errors = np.array([error_of(one, lowers, maps, images) for one in found])
    slack = errors[0] * (1e-5 if dtype == np.float32 else 1e-12)
    assert (np.diff(errors) <= slack).all()
    assert errors[2] < errors[1] < errors[0]
    # What it was given is as it was.
    assert_array_equal(filters, before[0])
    for one, residual in zip(maps, before[1], strict=True):
        assert_array_equal(one.residual, residual)


@each_dtype
@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 1, 1, 2), (1, 1, 2, 2), (4, 1, 3, 3)], ids=str)
def test_steps_beyond_the_solution_do_no_harm(shape, dtype):
    # Conjugate gradients are done after as many steps as there are weights; all that is left
    # then to follow is rounding.
    maps_shape = Convolution(draw(shape), (8, 8)).maps_shape
    for seed in range(5):
        values = draw(int(np.prod(maps_shape)), seed, dtype)
        maps = AdaptedMaps(np.arange(values.size), values, None, 0.0, None)
        images, filters = [draw((1, 1, 8, 8), seed + 50, dtype)], draw(shape, seed + 90, dtype)
        lowers, maps = [None], with_residuals(filters, [None], [maps], images)
        matrix, target = explicit(shape, lowers, maps, images)
        least = 0.5 * np.linalg.lstsq(matrix, target)[1].item()
        for n in (2 * filters.size, 3 * filters.size, 5 * filters.size, 300):
            found = descend_through(filters, lowers, maps, n)
            assert error_of(found, lowers, maps, images) <= least * (1 + 1e-4)


@each_kind
def test_both_images_count(kind):
    filters, lowers, maps, _ = problem(kind)
    both = descend_through(filters, lowers, maps, 2)
    swapped = descend_through(filters, lowers[::-1], maps[::-1], 2)
    assert_allclose(both, swapped, atol=1e-10)
    for one in range(2):
        alone = descend_through(filters, lowers[one : one + 1], maps[one : one + 1], 2)
        assert np.abs(alone - both).max() > 1e-3


@each_dtype
@each_kind
@pytest.mark.parametrize("n_steps", [0, 1, 2, 10])
def test_without_coefficients_filters_stay(kind, dtype, n_steps):
    filters, lowers, maps, _ = problem(kind, dtype, density=0.0)
    assert not any(len(one.index) for one in maps)
    found = descend_through(filters, lowers, maps, n_steps)
    assert_array_equal(found, filters)
    assert found.dtype == dtype


@each_kind
def test_filters_that_fit_stay(kind):
    filters, lowers, maps, _ = problem(kind)
    fitting = [replace(one, residual=np.zeros_like(one.residual)) for one in maps]
    assert_array_equal(descend_through(filters, lowers, fitting, 5), filters)


@each_kind
def test_filters_without_coefficients_stay(kind):
    filters, lowers, maps, images = problem(kind)
    shape = images[0].shape[2:] if lowers[0] is None else lowers[0].maps_shape[1:]
    size = int(np.prod(Convolution(filters, shape).maps_shape[1:]))
    # None of the second filter.
    kept = [one.index // size != 1 for one in maps]
    maps = [
        replace(one, index=one.index[used], values=one.values[used])
        for one, used in zip(maps, kept, strict=True)
    ]
    found = descend_through(filters, lowers, with_residuals(filters, lowers, maps, images), 5)
    assert_array_equal(found[1], filters[1])
    assert (found[[0, 2]] != filters[[0, 2]]).any(axis=(1, 2, 3)).all()


@each_dtype
def test_filters_for_maps_that_were_inferred_draw_the_images_better(dtype):
    filters, lowers, _, images = problem("through switches", dtype)
    maps = []
    for lower, image in zip(lowers, images, strict=True):
        operator = Composition(lower, Convolution(filters, lower.maps_shape[1:]))
        maps.append(adapt(operator, image, 1.0, (2, 2, 2)))
    before = error_of(filters, lowers, maps, images)
    found = descend_through(filters, lowers, maps, 2)
    assert found.dtype == dtype
    assert error_of(found, lowers, maps, images) < 0.97 * before


def with_missing_pixels(lowers, images):
    """The same below a mask of each image, whose missing pixels are zeros; and the masks."""
    known = [
        np.random.default_rng(seed).random(image.shape[1:]) > 0.3
        for seed, image in enumerate(images)
    ]
    lowers = [Masked(lower, mask) for lower, mask in zip(lowers, known, strict=True)]
    return lowers, [image * mask for image, mask in zip(images, known, strict=True)], known


@each_kind
def test_missing_pixels_are_no_rows_of_the_least_squares_problem(kind):
    filters, lowers, maps, images = problem(kind)
    matrix, target = explicit(filters.shape, lowers, maps, images)
    masked, images, known = with_missing_pixels(lowers, images)
    maps = with_residuals(filters, masked, maps, images)
    rows = np.concatenate([mask.ravel() for mask in known])
    solution = np.linalg.lstsq(matrix[rows], target[rows])[0]
    assert np.linalg.cond(matrix[rows]) < 1000
    found = descend_through(filters, masked, maps, 10 * filters.size)
    assert_allclose(found.ravel(), solution, atol=1e-6)
    everywhere = np.linalg.lstsq(matrix, target)[0]
    assert np.abs(everywhere - solution).max() > 0.01


def test_images_of_several_sizes_share_the_filters():
    filters, _, maps, images = problem("alone")
    size, rng = (5, 12), np.random.default_rng(0)
    operator = Convolution(filters, size)
    index = np.flatnonzero(rng.random(int(np.prod(operator.maps_shape))) < 0.3)
    maps.append(AdaptedMaps(index, rng.standard_normal(len(index)), None, 0.0, None))
    images.append(rng.standard_normal((1, *operator.images_shape)))
    maps = with_residuals(filters, [None] * 3, maps, images)
    matrix, target = explicit(filters.shape, [None] * 3, maps, images)
    found = descend_through(filters, [None] * 3, maps, 3 * filters.size)
    assert_allclose(found.ravel(), np.linalg.lstsq(matrix, target)[0], atol=1e-8)
