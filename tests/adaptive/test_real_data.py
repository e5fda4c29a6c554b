"""AdaptiveDeconvNet on images of different sizes and on images with missing pixels."""

import re
from copy import deepcopy

import numpy as np
import pytest
from reference.adaptive import dense_maps, draw, draw_each
from reference.images import images_of

from skdeconv import AdaptiveCode, AdaptiveDeconvNet, SparseMaps
from skdeconv.exceptions import ZeroMapsWarning
from skdeconv.networks import _adaptive_network

OPTIONS = {
    "filter_size": 3, "pooling": (2, 2, 2), "lam": 4.0, "n_inference_steps": 3, "max_iter": 1,
    "output": "maps", "random_state": 0,
}  # fmt: skip
SIZES = [(9, 8), (7, 11), (9, 8), (13, 6), (7, 11)]
each_kind = pytest.mark.parametrize("kind", ["whole", "missing"])
each_way = pytest.mark.parametrize("inference", ["fista", "ista", "coordinate_descent"])


def net_of(*n_filters, **options):
    return AdaptiveDeconvNet(n_filters, **OPTIONS | options)


def mixed_images(*channels, more=0):
    return [
        images_of(height + more, width + more, *channels, n_samples=1, random_state=seed)[0]
        for seed, (height, width) in enumerate(SIZES)
    ]


def with_missing(images, share=0.2):
    """A share of the pixels is missing, of each channel by itself; of the first image none."""
    rng = np.random.default_rng(0)
    missing = [np.where(rng.random(one.shape) < share, np.nan, one) for one in images[1:]]
    return [images[0], *missing]


MIXED = {"whole": mixed_images(), "missing": with_missing(mixed_images())}


@pytest.fixture(scope="module")
def nets():
    options = {"pooling": ((2, 2, 2), (2, 1, 1), None), "lam": (4.0, 5.0, 6.0)}
    return {kind: net_of(4, 3, 5, **options).fit(images) for kind, images in MIXED.items()}


def assert_same_code(found, expected):
    assert found.image_shapes == expected.image_shapes
    for one, other in zip(found.maps, expected.maps, strict=True):
        assert one.map_shapes == other.map_shapes
        for a, b in zip(one.maps, other.maps, strict=True):
            np.testing.assert_array_equal(a.toarray(), b.toarray())
    for one, other in zip(found.switches, expected.switches, strict=True):
        for a, b in zip(one, other, strict=True):
            np.testing.assert_array_equal(a, b)


def cost_of(net, code, images, layer, lam):
    """Mean of lam / 2 of the squared error over known pixels, plus the moduli."""
    costs = []
    for i, image in enumerate(images):
        error = draw(net, code, i, layer) - image.reshape(*image.shape[:2], -1)
        costs.append(lam / 2 * np.nansum(error**2) + np.abs(dense_maps(code, i, layer)).sum())
    return np.mean(costs)


@each_kind
def test_images_of_a_list_are_coded_each_on_its_own(kind, nets):
    net, images = nets[kind], MIXED[kind]
    assert net.image_shape_ == (None, None)
    assert not hasattr(net, "n_features_in_")
    code, codes = net.encode(images), net.transform(images)
    assert (type(code), type(codes)) == (AdaptiveCode, SparseMaps)
    assert code.image_shapes == SIZES
    assert codes.map_shapes == code.maps[0].map_shapes == [(h + 2, w + 2) for h, w in SIZES]
    for i, image in enumerate(images):
        assert_same_code(net.encode([image]), code[i])
        alone = net.transform([image])
        np.testing.assert_array_equal(alone.reshape(-1, 4), codes[i].toarray())
    order = [3, 1, 0, 2, 3, 4]
    assert_same_code(net.encode([images[i] for i in order]), code[order])
    assert_same_code(deepcopy(net).set_params(n_jobs=2).encode(images), code)


@each_kind
def test_what_is_drawn_of_a_list(kind, nets):
    net, images = nets[kind], MIXED[kind]
    code, codes = net.encode(images), net.transform(images)
    for layer in (1, 2, 3):
        drawn, parts = net.decode(code, layer), net.project(code, layer, 3)
        lowest = net.project(code, layer, 3, to="layer1")
        for i, size in enumerate(SIZES):
            assert drawn[i].shape == size
            np.testing.assert_allclose(drawn[i], draw(net, code, i, layer)[..., 0], atol=1e-12)
            np.testing.assert_allclose(parts[i], draw_each(net, code, i, layer, 3), atol=1e-12)
            shape = code.maps[0].map_shapes[i]
            found = np.stack(lowest[3 * i : 3 * i + 3].to_dense())
            expected = draw_each(net, code, i, layer, 3, "layer1")
            assert lowest.map_shapes[3 * i : 3 * i + 3] == [shape] * 3
            np.testing.assert_allclose(found, expected, atol=1e-12)
    for one, other in zip(net.inverse_transform(codes), net.decode(code), strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)
    assert [len(one) for one in net.cascade(code[3], k=2)] == [1, 2, 4]
    assert isinstance(net.project(code[[0, 2]], k=2), np.ndarray)


@each_kind
def test_the_score_is_the_share_of_the_variance_of_known_pixels(kind, nets):
    net, images = nets[kind], MIXED[kind]
    drawn = net.decode(net.encode(images))
    error = sum(np.nansum((one - other) ** 2) for one, other in zip(images, drawn, strict=True))
    variance = sum(np.nansum((one - np.nanmean(one)) ** 2) for one in images)
    assert net.score(images) == pytest.approx(1 - error / variance)


@each_kind
@pytest.mark.parametrize("layer", [1, 2, 3])
def test_top_activations_by_brute_force(layer, kind, nets):
    net, images, k = nets[kind], MIXED[kind], 4
    code, found = net.encode(images), net.top_activations(images, layer, k)
    n_filters, (h, w) = len(net.filters_[layer - 1]), found.crops.shape[2:4]
    for j in range(n_filters):
        maps = [dense_maps(code, i, layer)[j] for i in range(len(images))]
        values = np.concatenate([one[one != 0] for one in maps])
        wanted = values[np.argsort(-np.abs(values), kind="stable")][:k]
        np.testing.assert_array_equal(found.coefficients[j], np.pad(wanted, (0, k - len(wanted))))
        for rank, i in enumerate(found.samples[j, : len(wanted)]):
            y, x = np.argwhere(maps[i] == wanted[rank])[0]
            alone = np.zeros_like(dense_maps(code, i, layer))
            alone[j, y, x] = wanted[rank]
            (top, left), (height, width) = found.corners[j, rank], SIZES[i]
            whole = np.zeros((height + h, width + w))
            whole[top : top + h, left : left + w] = found.projections[j, rank, ..., 0]
            expected = np.pad(draw(net, code, i, layer, alone)[..., 0], ((0, h), (0, w)))
            np.testing.assert_allclose(whole, expected, atol=1e-12)
            crop = found.crops[j, rank, ..., 0]
            beyond = np.pad(images[i], ((0, h), (0, w)))[top : top + h, left : left + w]
            # What is not the image's is zero.
            np.testing.assert_array_equal(crop[crop != 0], beyond[crop != 0])
            assert (crop != 0)[whole[top : top + h, left : left + w] != 0].any()
        assert (found.samples[j, len(wanted) :] == -1).all()


@each_kind
def test_maps_of_the_top_and_errors_of_rows(kind, nets):
    net, images = deepcopy(nets[kind]), MIXED[kind]
    code = net.encode(images)
    top = net.set_params(layer=-1).transform(images)
    assert top.map_shapes == code.maps[2].map_shapes
    for one, other in zip(top.maps, code.maps[2].maps, strict=True):
        np.testing.assert_array_equal(one.toarray(), other.toarray())
    for layer in (1, -1):
        net.set_params(layer=layer, output="rows")
        with pytest.raises(ValueError, match=r'rows would differ in width.*output="maps"'):
            net.transform(images)
        for call in (net.get_feature_names_out, lambda: net.to_maps(np.ones((1, 9)))):
            with pytest.raises(ValueError, match=r'different sizes.*Use output="maps"'):
                call()
    with pytest.raises(ValueError, match="fit has seen a list of images of different sizes"):
        net.score(np.ones((2, 72)))


@each_kind
def test_a_sequence_that_is_read_on_access_is_the_same(kind, nets):
    class Reading:
        def __len__(self):
            return len(SIZES)

        def __getitem__(self, i):
            if not 0 <= i < len(SIZES):
                raise IndexError(i)
            return MIXED[kind][i].copy()

    net = nets[kind]
    again = deepcopy(net).fit(Reading())
    for one, other in zip(again.filters_, net.filters_, strict=True):
        np.testing.assert_array_equal(one, other)
    assert_same_code(net.encode(Reading()), net.encode(MIXED[kind]))
    assert net.score(Reading()) == net.score(MIXED[kind])
    found, expected = (net.top_activations(X, 1, 2) for X in (Reading(), MIXED[kind]))
    np.testing.assert_array_equal(found.crops, expected.crops)


def test_many_sizes_are_more_than_stacks_are_kept(nets, monkeypatch):
    net, images = nets["whole"], MIXED["whole"]
    codes = net.encode(images)
    drawn = net.decode(codes)
    monkeypatch.setattr(_adaptive_network, "_SIZES", 1)
    assert_same_code(net.encode(images), codes)
    for one, other in zip(net.decode(codes), drawn, strict=True):
        np.testing.assert_array_equal(one, other)
    again = deepcopy(net).fit(images)
    for one, other in zip(again.filters_, net.filters_, strict=True):
        np.testing.assert_array_equal(one, other)


@each_way
@pytest.mark.parametrize("keep_maps", [False, True])
def test_fits_do_not_depend_on_workers(keep_maps, inference):
    options = {"inference": inference, "keep_maps": keep_maps, "max_iter": 2, "batch_size": 2}
    net = net_of(3, 4, **options).fit(MIXED["missing"])
    assert all(np.isfinite(one).all() for one in net.filters_ + net.cost_)
    again = net_of(3, 4, **options, n_jobs=2).fit(MIXED["missing"])
    for one, other in zip(again.filters_, net.filters_, strict=True):
        np.testing.assert_array_equal(one, other)


def first_filters(*shapes):
    filters = [np.random.default_rng(i).standard_normal(shape) for i, shape in enumerate(shapes)]
    return tuple(one / np.sqrt((one**2).sum(axis=(1, 2, 3), keepdims=True)) for one in filters)


@each_kind
@pytest.mark.parametrize("layer", [1, 2])
@pytest.mark.parametrize("channels", [(), (2,)], ids=["grey", "colour"])
def test_a_pass_solves_the_least_squares_problem_of_known_pixels(channels, layer, kind):
    # So large that few steps solve it.
    images = mixed_images(*channels, more=3)
    images = with_missing(images) if kind == "missing" else images
    init = first_filters((3, 3, 3, *(channels or (1,))), (4, 3, 3, 2))
    options = {"init": init, "batch_size": None, "cg_max_iter": 400, "lam": 9.0}
    net = net_of(3, 4, **options).fit(images)
    # The net as the layer's only pass has found it.
    before = deepcopy(net)
    before.filters_[layer - 1 :] = init[layer - 1 :]
    code = before.encode(images)
    assert net.cost_[layer - 1][0] == pytest.approx(cost_of(before, code, images, layer, 9.0))
    columns, known = [], ~np.isnan(np.concatenate([one.ravel() for one in images]))
    for tap in np.eye(init[layer - 1].size):
        before.filters_[layer - 1] = tap.reshape(init[layer - 1].shape)
        drawn = [draw(before, code, i, layer).ravel() for i in range(len(images))]
        columns.append(np.concatenate(drawn)[known])
    matrix = np.stack(columns, axis=1)
    target = np.concatenate([one.ravel() for one in images])[known]
    gram = matrix.T @ matrix
    assert np.linalg.matrix_rank(gram) == len(columns)
    solution = np.linalg.solve(gram, matrix.T @ target).reshape(len(init[layer - 1]), -1)
    solution /= np.linalg.norm(solution, axis=1, keepdims=True)
    found = net.filters_[layer - 1].reshape(len(solution), -1)
    np.testing.assert_allclose(found, solution, atol=1e-4)


@each_way
def test_holes_are_filled_better_than_by_zeros(inference):
    options = {"n_filters": 3, "filter_size": 5, "density": 0.02, "n_samples": 2}
    whole = [*images_of(24, 20, **options), *images_of(16, 28, **options)]
    images = with_missing(whole, 0.15)
    options = {"filter_size": 5, "lam": (10.0, 5.0), "max_iter": 2, "n_inference_steps": 5}
    net = net_of(4, 6, inference=inference, **options).fit(images)
    code = net.encode(images)
    for layer in (1, 2):
        errors = [
            np.sum((one - other)[np.isnan(image)] ** 2)
            for one, other, image in zip(net.decode(code, layer), whole, images, strict=True)
        ]
        empty = [np.sum(one[np.isnan(two)] ** 2) for one, two in zip(whole, images, strict=True)]
        assert sum(errors) < 0.85 * sum(empty)


@each_way
@each_kind
def test_units_have_no_influence(kind, inference):
    scale, images = 2.0**10, MIXED[kind]
    net = net_of(3, 4, inference=inference, max_iter=2).fit(images)
    scaled = net_of(3, 4, inference=inference, max_iter=2, lam=OPTIONS["lam"] / scale)
    scaled.fit([one * scale for one in images])
    for one, other in zip(scaled.filters_, net.filters_, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-9)
    scaled.filters_ = net.filters_
    found, expected = scaled.transform([one * scale for one in images]), net.transform(images)
    for one, other in zip(found.maps, expected.maps, strict=True):
        np.testing.assert_allclose(one.toarray(), scale * other.toarray(), rtol=1e-9, atol=1e-9)


def test_stacks_and_rows_with_missing_pixels_are_lists_of_images():
    X = np.stack(with_missing(list(images_of(12, 11))))
    net = net_of(3, 4, output="rows").fit(X)
    assert net.n_features_in_ == 132
    assert np.isnan(X).any()
    for form, shape in ((list(X), None), (X.reshape(4, -1), (12, 11))):
        other = net_of(3, 4, output="rows", image_shape=shape).fit(form)
        for one, same in zip(other.filters_, net.filters_, strict=True):
            np.testing.assert_array_equal(one, same)
        np.testing.assert_array_equal(other.transform(form), net.transform(X))
    whole = np.nan_to_num(X)
    assert_same_code(net.encode(np.stack([X[0], whole[1]]))[0], net.encode(X)[0])
    assert np.abs(net.transform(whole)[1] - net.transform(X)[1]).max() > 0.01


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@each_way
def test_floats_are_kept(dtype, inference):
    images = [one.astype(dtype) for one in with_missing(mixed_images(2))]
    net = net_of(2, 3, inference=inference, keep_maps=True).fit(images)
    code, found = net.encode(images), net.top_activations(images, k=2)
    results = [*net.filters_, *net.decode(code), *net.project(code, k=2), found.crops]
    results += [found.projections, found.coefficients]
    results += [one for maps in code.maps for one in maps.maps]
    assert {one.dtype for one in results} == {np.dtype(dtype)}


def test_unused_filters_are_drawn_from_what_is_known():
    images = MIXED["missing"]
    net = net_of(3, 12, lam=(4.0, 0.5)).fit(images)
    unused = ~np.any([one.toarray().any(axis=0) for one in net.encode(images).maps[1].maps], axis=0)
    assert unused.any()
    init = (None, net.filters_[1])
    again = net_of(3, 12, lam=(4.0, 0.5), init=init, max_iter=2).fit(images).filters_[1]
    np.testing.assert_allclose(np.sqrt((again**2).sum(axis=(1, 2, 3))), 1)
    assert not np.isclose(again, net.filters_[1]).all(axis=(1, 2, 3))[unused].all()


@pytest.mark.parametrize("silent", [1, 2])
def test_silence_is_told_with_the_lam_that_ends_it(silent):
    lam, images = tuple(1e-5 if layer == silent else 4.0 for layer in (1, 2)), MIXED["missing"][1:]
    net = net_of(2, 3, lam=lam, layer=-1)
    for method in (net.fit, net.encode, net.transform):
        if method == net.transform and silent == 1:
            continue
        with pytest.warns(ZeroMapsWarning, match=f"lam=1e-05 of layer {silent}") as caught:
            method(images)
    (message,) = {str(one.message) for one in caught}
    needed = float(re.search(r"above lam=([\d.e+-]+)\.$", message)[1])
    for factor in (0.99, 1.01):
        now = tuple(factor * needed if one < 1 else one for one in lam)
        other = deepcopy(net).set_params(lam=now)
        if factor < 1:
            with pytest.warns(ZeroMapsWarning):
                code = other.encode(images)
        else:
            code = other.encode(images)
        assert any(one.nnz for one in code.maps[silent - 1].maps) == (factor > 1)


@pytest.mark.parametrize("sizes", [[(1, 1), (4, 4)], [(2, 1), (1, 5)], [(3, 3), (20, 2)]], ids=str)
def test_images_may_be_smaller_than_filters_and_blocks(sizes):
    rng = np.random.default_rng(0)
    images = [rng.standard_normal(size) + 2 for size in sizes]
    images[1][0, 0] = np.nan
    net = net_of(2, 3, 2, filter_size=5, pooling=(7, 9, 4), lam=20.0).fit(images)
    code = net.encode(images)
    drawn = net.decode(code), net.inverse_transform(net.transform(images)), net.project(code, k=200)
    for one, other, parts in zip(*drawn, strict=True):
        np.testing.assert_allclose(one, other, atol=1e-12)
        np.testing.assert_allclose(parts.sum(axis=0)[..., 0], one, atol=1e-11)
    assert net.top_activations(images, k=2).samples.shape == (2, 2)
