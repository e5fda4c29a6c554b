"""Costs that the default solver reaches on real photos, with filters learned from them."""

import numpy as np
import pytest
from reference.descent import coordinate_descent, disjoint_groups
from reference.images import collection

from skdeconv import DeconvNetLayer
from skdeconv.inference import SOLVERS, Coding, PowerPenalty
from skdeconv.operators import Convolution, Synthesis
from skdeconv.preprocessing import LocalContrastNormalizer


def photos(folder):
    image = pytest.importorskip("PIL.Image")
    paths = [folder / f"{number}.jpg" for number in range(1, 11)]
    grey = np.stack([np.asarray(image.open(path).convert("L")) / 255 for path in paths])
    # Their centres have all that matters here, for a tenth of the time.
    return LocalContrastNormalizer().fit_transform(grey)[:, 34:66, 34:66]


@pytest.fixture(scope="module")
def fruit(data_dir):
    return photos(data_dir / "fruit_100_100")


@pytest.fixture(scope="module")
def operator(fruit):
    layer = DeconvNetLayer(6, 5, lam=2, max_iter=3, random_state=0)
    filters = layer.fit(fruit).filters_.reshape(6, 1, 5, 5)
    return Convolution(filters.astype(np.float64), fruit.shape[1:])


def coded(operator, images, penalty, weight, solver="coordinate_descent", tol=1e-3, max_iter=50):
    coding = Coding(SOLVERS[solver](), penalty, weight, tol, max_iter)
    return coding.infer(Synthesis(operator.filters), collection(images))


def in_float32(operator):
    return Convolution(operator.filters.astype(np.float32), operator.images_shape[1:])


def test_default_tolerance_is_met_on_twenty_photos(data_dir, fruit, operator):
    images = np.concatenate([fruit, photos(data_dir / "city_100_100")])[:, None]
    penalty = PowerPenalty(1.0)
    best = coded(operator, images, penalty, 2.0, tol=1e-7, max_iter=200)
    assert best.converged.all()
    assert (best.optimality <= 1e-7).all()
    for kind, stack in ((operator, images), (in_float32(operator), images.astype(np.float32))):
        found = coded(kind, stack, penalty, 2.0)
        assert found.converged.all()
        assert (found.cost <= best.cost * (1 + 1e-3)).all()
        assert (found.cost >= best.cost * (1 - 1e-5)).all()


@pytest.fixture(scope="module")
def convex(fruit, operator):
    images = fruit[:, None].astype(np.float32)
    return coded(in_float32(operator), images, PowerPenalty(1.0), 10.0)


@pytest.mark.parametrize("p", [0.5, 0.8])
def test_nonconvex_costs_are_below_those_of_half_quadratic(fruit, operator, p):
    problem = in_float32(operator), fruit[:, None].astype(np.float32), PowerPenalty(p), 10.0
    default = coded(*problem)
    paper = coded(*problem, solver="half_quadratic")
    assert np.count_nonzero(default.cost < paper.cost) >= 9


@pytest.mark.parametrize("p", [0.5, 0.8])
def test_nonconvex_costs_are_below_those_of_plain_descent(fruit, operator, convex, p):
    # Plain descent is slow: every third photo.
    fruit, start_maps = fruit[::3], convex.maps[::3]
    problem = in_float32(operator), fruit[:, None].astype(np.float32), PowerPenalty(p), 10.0
    default = coded(*problem)
    matrix = operator.atoms(np.arange(np.prod(operator.maps_shape)))
    groups = disjoint_groups(operator.filters.shape, operator.maps_shape)
    below = []
    for image, start, cost in zip(fruit, start_maps, default.cost, strict=True):
        plain = coordinate_descent(
            matrix, image.ravel(), p, 10.0, groups, start=start.toarray().ravel(), tol=1e-3
        )[1]
        below.append(cost < plain)
    assert all(below)


def test_compiled_and_portable_kernels_agree(data_dir, fruit, operator, monkeypatch):
    pytest.importorskip("numba")
    images = np.concatenate([fruit, photos(data_dir / "city_100_100")])[:, None]
    costs = []
    for kernels in ("compiled", "portable"):
        monkeypatch.setenv("SKDECONV_KERNELS", kernels)
        costs.append(coded(operator, images, PowerPenalty(1.0), 2.0).cost)
    np.testing.assert_allclose(*costs, rtol=1e-3)
