"""Signals in columns, images of width 1, are the transposes of signals in rows, of height 1."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from reference.features import draw_maps
from reference.images import images_of
from sklearn.base import clone
from threadpoolctl import threadpool_limits

from skdeconv import (
    AdaptiveDeconvNet,
    DeconvNetLayer,
    HierarchicalDeconvNet,
    OnePassEncoder,
    lam_min,
)
from skdeconv._utils.parameters import of_each_axis
from skdeconv.datasets import make_sparse_images
from skdeconv.display import (
    ActivationsDisplay,
    CascadeDisplay,
    FiltersDisplay,
    HierarchyDisplay,
    MapsDisplay,
    ReconstructionDisplay,
)
from skdeconv.features import BagOfFeatures, PixelFeatures, SpatialPyramid
from skdeconv.filters import check_filter_size
from skdeconv.preprocessing import LocalContrastNormalizer

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

RNG = np.random.default_rng(0)
FIRST = {n_channels: RNG.standard_normal((3, 1, 5, n_channels)) for n_channels in (1, 2, 3)}
COMMON = {"lam": 5.0, "max_iter": 2, "output": "maps", "random_state": 0}
LAYER = DeconvNetLayer(3, 5, init=FIRST[2], **COMMON)
TWO = COMMON | {"n_filters": (3, 2), "filter_size": (5, 4)}
HIERARCHY = HierarchicalDeconvNet(
    **TWO, connectivity="full", init=(FIRST[2], RNG.standard_normal((2, 1, 4, 3)))
)
ADAPTIVE = AdaptiveDeconvNet(
    **TWO, pooling=((1, 3, 2), (1, 2, 1)), init=(FIRST[2], RNG.standard_normal((2, 1, 4, 2)))
)
ENCODERS = {
    "layer": LAYER,
    "p < 1": clone(LAYER).set_params(p=0.5, batch_size=None),
    "fista": clone(LAYER).set_params(solver="fista"),
    "half quadratic": clone(LAYER).set_params(solver="half_quadratic"),
    "low frequency": clone(LAYER).set_params(low_frequency=True, inference_tol=0.1, output="rows"),
    "hierarchy": HIERARCHY,
    "greedy": clone(HIERARCHY).set_params(inference="greedy"),
    "adaptive": ADAPTIVE,
    "descent": clone(ADAPTIVE).set_params(inference="coordinate_descent"),
    "one pass": OnePassEncoder(LAYER),
    "valid": OnePassEncoder(LAYER, padding="valid"),
}
SIGNALS = images_of(1, 40, 2)


def turned(images):
    """Rows of the images as columns: height and width are exchanged."""
    return np.swapaxes(images, -3, -2)


def in_columns(encoder):
    """The encoder with initial filters and pooling for signals in columns."""
    if isinstance(encoder, OnePassEncoder):
        return clone(encoder).set_params(layer=in_columns(encoder.layer))
    init = encoder.init
    init = tuple(map(turned, init)) if isinstance(init, tuple) else turned(init)
    encoder = clone(encoder).set_params(init=init)
    if isinstance(encoder, AdaptiveDeconvNet):
        blocks = [(columns, rows, maps) for rows, columns, maps in encoder.pooling]
        encoder.set_params(pooling=tuple(blocks))
    return encoder


def filters_of(encoder):
    if hasattr(encoder, "layers_"):
        return [layer.filters_ for layer in encoder.layers_]
    return encoder.filters_ if isinstance(encoder.filters_, list) else [encoder.filters_]


# What an integer stands for


@pytest.mark.parametrize(
    ("size", "expected"),
    [((1, 9), (1, 3)), ((9, 1), (3, 1)), ((1, 1), (1, 3)), ((2, 9), (3, 3)), ((9, 9), (3, 3))],
)
def test_a_number_for_both_axes(size, expected):
    assert of_each_axis(3, size) == expected
    assert check_filter_size(3, size) == expected
    assert check_filter_size((3, 2), size) == (3, 2)


@pytest.mark.parametrize("n_channels", [1, 3])
def test_random_filters_are_columns(n_channels):
    columns = turned(images_of(1, 30, n_channels))
    few = {"max_iter": 1, "random_state": 0}
    assert DeconvNetLayer(2, 5, **few).fit(columns).filters_.shape == (2, 5, 1, n_channels)
    encoder = OnePassEncoder(DeconvNetLayer(2, 5, **few)).fit(columns)
    assert encoder.filters_.shape == (2, 5, 1, n_channels)
    lower, upper = filters_of(HierarchicalDeconvNet((2, 3), (5, 4), **few).fit(columns))
    assert (lower.shape, upper.shape) == ((2, 5, 1, n_channels), (3, 4, 1, 2))
    net = AdaptiveDeconvNet((2, 3), (5, 4), pooling=(3, 3, 2), **few).fit(columns)
    assert [one.shape for one in net.filters_] == [(2, 5, 1, n_channels), (3, 4, 1, 1)]
    # Stacks without a channel axis, and rows, are the same images.
    if n_channels == 1:
        layer = DeconvNetLayer(2, 5, **few)
        expected = clone(layer).fit(columns).filters_
        assert_array_equal(clone(layer).fit(columns[..., 0]).filters_, expected)
        rows = clone(layer).set_params(image_shape=(30, 1)).fit(columns.reshape(4, -1))
        assert_array_equal(rows.filters_, expected)


@pytest.mark.parametrize(
    "make",
    [DeconvNetLayer, lambda *args, **kwargs: OnePassEncoder(DeconvNetLayer(*args, **kwargs))],
)
def test_the_widest_image_decides(make):
    estimator = make(2, 3, max_iter=1, random_state=0)
    column, square = RNG.standard_normal((20, 1)), RNG.standard_normal((20, 12))
    for images in ([column, square], [square, column]):
        h, w = clone(estimator).fit(images).filters_.shape[1:3]
        assert h == w > 1
    h, w = clone(estimator).fit([column, RNG.standard_normal((25, 1))]).filters_.shape[1:3]
    assert h > w == 1


# Filters, codes and images


@pytest.mark.parametrize("name", ENCODERS)
def test_codes_are_transposed(name):
    rows = clone(ENCODERS[name]).fit(SIGNALS)
    columns = in_columns(ENCODERS[name]).fit(turned(SIGNALS))
    for one, other in zip(filters_of(rows), filters_of(columns), strict=True):
        assert one.shape[1] == other.shape[2] == 1
        assert_allclose(turned(other), one, atol=1e-12)
    codes, transposed = rows.transform(SIGNALS), columns.transform(turned(SIGNALS))
    if codes.ndim == 4:
        transposed = turned(transposed)
    # Rows of codes of signals have the same order, whether along the height or the width.
    assert_allclose(transposed, codes, atol=1e-10)
    assert np.count_nonzero(codes)
    if hasattr(rows, "score"):
        assert columns.score(turned(SIGNALS)) == pytest.approx(rows.score(SIGNALS))


def test_lists_of_columns():
    signals = [SIGNALS[0], SIGNALS[1, :, :25], SIGNALS[2, :, 5:]]
    rows = clone(LAYER).fit(signals)
    columns = in_columns(LAYER).fit(list(map(turned, signals)))
    assert_allclose(turned(columns.filters_), rows.filters_, atol=1e-12)
    codes = columns.transform(list(map(turned, signals))).to_dense()
    for one, other in zip(rows.transform(signals).to_dense(), codes, strict=True):
        assert_allclose(turned(other), one, atol=1e-10)


def test_lam_min_of_columns():
    expected = lam_min(SIGNALS, filter_size=6)
    assert_allclose(lam_min(turned(SIGNALS), filter_size=6), expected)
    assert_allclose(lam_min(turned(SIGNALS), filter_size=(6, 1)), expected)


def test_made_columns():
    data = make_sparse_images(2, (30, 1), n_filters=2, filter_size=4, random_state=0)
    assert data.filters.shape == (2, 4, 1, 1)
    assert data.maps.shape == (2, 33, 1, 2)


def test_normalized_columns():
    for kind in ("gaussian", "laplacian"):
        expected = LocalContrastNormalizer(kind).fit_transform(SIGNALS)
        found = LocalContrastNormalizer(kind).fit_transform(turned(SIGNALS))
        assert_allclose(turned(found), expected, atol=1e-12)


# Features


@settings(max_examples=30, deadline=None, database=None)
@given(
    seed=st.integers(0, 10**6),
    length=st.integers(1, 30),
    options=st.fixed_dictionaries(
        {
            "levels": st.sampled_from([(1, 2, 4), (3,), ((2, 5), 1), ((1, 4), (3, 2))]),
            "window": st.sampled_from(["box", "box", "gaussian"]),
            "overlap": st.sampled_from([0.0, 0.5]),
            "pooling": st.sampled_from(["sum", "energy"]),
            "normalize": st.sampled_from([None, "cell"]),
        }
    ),
)
def test_pyramids_are_equal(seed, length, options):
    maps = draw_maps(2, 1, length, 3, seed=seed)
    rows = SpatialPyramid(**options).fit(maps)
    levels = [one[::-1] if isinstance(one, tuple) else one for one in options["levels"]]
    # A single position counts as a row.
    levels = levels if length > 1 else options["levels"]
    columns = SpatialPyramid(**options | {"levels": levels}).fit(turned(maps))
    assert_allclose(columns.transform(turned(maps)), rows.transform(maps), atol=1e-12)
    names = columns.get_feature_names_out()
    assert len(names) == len(rows.get_feature_names_out())
    if length > 1:
        assert all(name.endswith("_x0") for name in names)


def test_levels_of_a_list_follow_its_largest_maps():
    one, long = draw_maps(1, 1, 2), draw_maps(9, 1, 2)
    pyramid = SpatialPyramid((3,), power=1).fit([one, long])
    found = pyramid.transform([one, long])
    assert_allclose(found[1].reshape(3, 2), np.abs(long).reshape(3, 3, 2).sum(axis=1))
    names = pyramid.get_feature_names_out()
    assert names[::2].tolist() == ["f0_l3_y0_x0", "f0_l3_y1_x0", "f0_l3_y2_x0"]
    assert pyramid.maps_shape_ == (1, 1, 2)


def test_bags_are_equal():
    maps = draw_maps(4, 1, 30, 3)
    options = {"patch_size": 6, "pool": 2, "step": 3, "random_state": 0}
    with threadpool_limits(1, user_api="openmp"):
        rows = BagOfFeatures(5, **options).fit(maps)
        columns = BagOfFeatures(5, **options).fit(turned(maps))
    assert (rows.words_.shape, columns.words_.shape) == ((5, 1, 3, 3), (5, 3, 1, 3))
    assert_allclose(columns.transform(turned(maps)), rows.transform(maps), atol=1e-7)
    with pytest.raises(ValueError, match="height 1 or width 1 beside others"):
        columns.transform([turned(maps)[0], draw_maps(30, 8, 3)])
    with pytest.raises(ValueError, match=r"Windows of X have \(3, 3\) blocks"):
        columns.transform(draw_maps(2, 30, 8, 3))


def test_pixel_features_are_equal():
    rows = PixelFeatures(LAYER, radius=(1.5, 3.0)).fit_transform(SIGNALS)
    columns = PixelFeatures(in_columns(LAYER), radius=(1.5, 3.0))
    assert_allclose(columns.fit_transform(turned(SIGNALS)), rows, atol=1e-10)


# Displays


def curves_of(display):
    pytest.importorskip("matplotlib")
    lines = []
    for ax in np.ravel(display.axes_):
        assert not ax.images
        lines += [line.get_ydata() for line in ax.lines]
        lines += [np.concatenate(stems.get_segments()) for stems in ax.collections]
    return lines


@pytest.mark.parametrize(
    "display",
    [
        lambda turn: FiltersDisplay(turn(FIRST[3])),
        lambda turn: HierarchyDisplay([turn(FIRST[1]), turn(FIRST[3])]),
        lambda turn: MapsDisplay(turn(FIRST[2][0])),
        lambda turn: ReconstructionDisplay(turn(FIRST[2][0]), turn(FIRST[2][1])),
        lambda turn: CascadeDisplay([turn(FIRST[1]), turn(FIRST[2])]),
        lambda turn: ActivationsDisplay(turn(FIRST[1][None]), turn(FIRST[1][None])),
    ],
    ids=["filters", "hierarchy", "maps", "reconstruction", "cascade", "activations"],
)
def test_columns_are_plotted_as_curves(display):
    rows, columns = (curves_of(display(turn).plot()) for turn in (np.asarray, turned))
    assert len(rows) >= 3
    for one, other in zip(rows, columns, strict=True):
        assert_array_equal(other, one)
