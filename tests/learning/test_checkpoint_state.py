"""What goes into the file of an interrupted fit, and the parameter that names it."""

import json
import pickle

import numpy as np
import pytest

from skdeconv import DeconvNetLayer
from skdeconv.layouts import check_images
from skdeconv.learning import _checkpoint
from skdeconv.learning._archive import read_archive, write_archive
from skdeconv.learning._passes import Learner


def identity(images, **parameters):
    """What a fit must agree in with the one that wrote its file, as JSON gives it back."""
    layer = DeconvNetLayer(2, 3, **parameters)
    found = _checkpoint._identity(layer, check_images(layer, images, reset=True))
    return json.loads(json.dumps(found))


def test_parameters_count_by_their_values_alone():
    array, images = np.arange(12.0).reshape(3, 4), np.ones((2, 8, 8))

    def of(init, **parameters):
        return identity(images, init=init, **parameters)

    same = of(array)
    assert same == of(np.asfortranarray(array)) == of(np.repeat(array, 2, axis=1)[:, ::2])
    assert same == of(pickle.loads(pickle.dumps(array))) == of(array, n_jobs=2, verbose=1)
    # Strides of axes of length 1 may be any.
    assert of(array[:, None].transpose(0, 2, 1)) == of(array[..., None])
    assert of(1, lam=0.5) == of(np.int64(1), lam=np.float64(0.5))
    changed = array.copy()
    changed[2, 3] = np.nextafter(11, 12)
    others = [
        of(changed),
        of(array.astype(">f8")),
        of(array.view(np.int64)),
        of(array.reshape(4, 3)),
        of([array[:1], array[1:]]),
        of([array, array[:0]]),
        of([array]),
        of(None),
        of(array.view([("a", "f8")])),
        of(array.view([("b", "f8")])),
        of(array, lam=0.5),
        of(array, tol=0.5),
    ]
    texts = {json.dumps(one, sort_keys=True) for one in (same, *others)}
    assert len(texts) == len(others) + 1


@pytest.mark.parametrize("shape", [(5, 8, 9), (5, 8, 9, 2)])
def test_images_count_by_their_values_in_any_layout(shape, tmp_path):
    images = np.random.default_rng(0).standard_normal(shape)
    np.save(tmp_path / "images.npy", images)
    mapped = np.load(tmp_path / "images.npy", mmap_mode="r")
    layouts = [images, images.reshape(5, 8, 9, -1), np.asfortranarray(images), mapped]
    same = identity(images)
    for one in layouts:
        assert identity(one) == identity(list(one)) == same


def test_images_count_by_every_value():
    images = np.random.default_rng(0).standard_normal((5, 8, 9))
    changed = images.copy()
    changed[2, 3, 4] = np.nextafter(changed[2, 3, 4], 9)
    others = [
        changed,
        images[::-1],
        images[:4],
        images.astype(np.float32),
        images.reshape(5, 9, 8),
        [*images[:4], images[4, :7]],
        np.stack([images, images], axis=3),
    ]
    texts = {json.dumps(identity(one), sort_keys=True) for one in (images, *others)}
    assert len(texts) == len(others) + 1


@pytest.mark.parametrize("algorithm", [np.random.MT19937, np.random.PCG64])
@pytest.mark.parametrize("n_normal", [0, 1])
def test_generators_go_on_where_they_were(n_normal, algorithm, tmp_path):
    generator = np.random.RandomState(algorithm(7))
    again = np.random.RandomState(algorithm(0))
    generator.normal(size=n_normal)  # one normal number keeps its twin back
    generator.randint(10, size=5)
    learners = [Learner(np.ones(3), 3, 1, one) for one in (generator, again)]
    for learner in learners:
        learner.filters = np.ones((2, 1, 3, 3))
    write_archive(tmp_path / "state", learners[0].state())
    learners[1].restore(read_archive(tmp_path / "state"))
    np.testing.assert_array_equal(again.normal(size=700), generator.normal(size=700))
    np.testing.assert_array_equal(again.permutation(50), generator.permutation(50))
