"""Costs that the default solver reaches on real photos, with filters learned from them."""

import numpy as np
import pytest
from reference.descent import coordinate_descent, disjoint_groups
from reference.images import collection

from skdeconv import DeconvNetLayer
from skdeconv._drawing import Drawing
from skdeconv._penalty import PowerPenalty
from skdeconv.inference import SOLVERS, infer
from skdeconv.operators import Convolution
from skdeconv.preprocessing import LocalContrastNormalizer

DEFAULT = SOLVERS["coordinate_descent"].solve


def photos(folder):
    image = pytest.importorskip("PIL.Image")
    paths = [folder / f"{number}.jpg" for number in range(1, 11)]
    grey = np.stack([np.asarray(image.open(path).convert("L")) / 255 for path in paths])
    return LocalContrastNormalizer().fit_transform(grey)


@pytest.fixture(scope="module")
def fruit(data_dir):
    return photos(data_dir / "fruit_100_100")


@pytest.fixture(scope="module")
def operator(fruit):
    layer = DeconvNetLayer(9, 7, lam=2, max_iter=3, random_state=0)
    filters = layer.fit(fruit).filters_.reshape(9, 1, 7, 7)
    return Convolution(filters.astype(np.float64), fruit.shape[1:])


def coded(solve, operator, images, *args, **options):
    return infer(solve, Drawing(operator.filters), collection(images), *args, **options)


def in_float32(operator):
    return Convolution(operator.filters.astype(np.float32), operator.images_shape[1:])


def test_default_tolerance_is_met_on_twenty_photos(data_dir, fruit, operator):
    images = np.concatenate([fruit, photos(data_dir / "city_100_100")])[:, None]
    penalty = PowerPenalty(1.0)
    best = coded(DEFAULT, operator, images, penalty, 2.0, tol=1e-7, max_iter=200)
    assert best.converged.all()
    assert (best.optimality <= 1e-7).all()
    for kind, stack in ((operator, images), (in_float32(operator), images.astype(np.float32))):
        found = coded(DEFAULT, kind, stack, penalty, 2.0)
        assert found.converged.all()
        assert (found.cost <= best.cost * (1 + 1e-3)).all()
        assert (found.cost >= best.cost * (1 - 1e-5)).all()


@pytest.fixture(scope="module")
def convex(fruit, operator):
    images = fruit[:, None].astype(np.float32)
    return coded(DEFAULT, in_float32(operator), images, PowerPenalty(1.0), 10.0)


@pytest.mark.parametrize("p", [0.5, 0.8])
def test_nonconvex_costs_are_below_those_of_half_quadratic(fruit, operator, p):
    problem = in_float32(operator), fruit[:, None].astype(np.float32), PowerPenalty(p), 10.0
    default = coded(DEFAULT, *problem)
    paper = coded(SOLVERS["half_quadratic"].solve, *problem)
    assert np.count_nonzero(default.cost < paper.cost) >= 9


@pytest.mark.parametrize("p", [0.5, 0.8])
def test_nonconvex_costs_are_below_those_of_plain_descent(fruit, operator, convex, p):
    problem = in_float32(operator), fruit[:, None].astype(np.float32), PowerPenalty(p), 10.0
    default = coded(DEFAULT, *problem)
    matrix = operator.atoms(np.arange(np.prod(operator.maps_shape)))
    groups = disjoint_groups(operator.filters.shape, operator.maps_shape)
    below = []
    for image, start, cost in zip(fruit, convex.maps, default.cost, strict=True):
        plain = coordinate_descent(
            matrix, image.ravel(), p, 10.0, groups, start=start.toarray().ravel(), tol=1e-3
        )[1]
        below.append(cost < plain)
    assert np.count_nonzero(below) >= 9
