"""Checkpoints of another fit, and files that are none: refused, and left as they are."""

import os
from contextlib import suppress

import numpy as np
import pytest
from reference.interruptions import (
    GREY,
    StoppedError,
    assert_same_fit,
    fitted,
    interrupt,
    layer_of,
    net_of,
    refused,
)
from sklearn.base import clone
from sklearn.model_selection import GridSearchCV

from skdeconv import DeconvNetLayer
from skdeconv.learning import LayerLearner, _checkpoint
from skdeconv.learning._archive import read_archive, write_archive

pytestmark = [
    pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning"),
    pytest.mark.filterwarnings("ignore::skdeconv.exceptions.ZeroMapsWarning"),
]


@pytest.fixture
def path(tmp_path):
    return tmp_path / "fit.npz"


@pytest.fixture
def stopped(path):
    layer = layer_of(checkpoint=path)
    interrupt(layer, GREY, LayerLearner, "run_pass", 3)
    return layer


OTHER_PARAMETERS = {
    "lam": (5.0, r"parameter lam was 4\.0, but is now 5\.0"),
    "n_filters": (4, "parameter n_filters was 3, but is now 4"),
    "filter_size": ((3, 2), r"parameter filter_size was 3, but is now \[3, 2\]"),
    "max_iter": (5, "parameter max_iter was 3"),
    "random_state": (1, "parameter random_state was 0"),
    "init": (np.ones((3, 3, 3, 1)), "parameter init was None"),
    "connectivity": (np.ones((3, 1), bool), "parameter connectivity was None"),
    "positive": (True, "parameter positive was False, but is now True"),
}


@pytest.mark.parametrize("name", OTHER_PARAMETERS)
def test_other_parameters(name, stopped):
    value, match = OTHER_PARAMETERS[name]
    refused(stopped.set_params(**{name: value}), GREY, match)


def test_other_data(stopped):
    changed = GREY.copy()
    changed[-1, 3, 4] = np.nextafter(changed[-1, 3, 4], 9)
    refused(stopped, changed, "hash of the images was")
    refused(stopped, GREY[:-1], "number of images was 5, but is now 4")
    refused(
        stopped, GREY.astype(np.float32), "type of the images was 'float64', but is now 'float32'"
    )
    refused(stopped, GREY.transpose(0, 2, 1), "hash of the (sizes|images) was")
    refused(stopped, np.stack([GREY, GREY], axis=3), "number of channels was 1")
    # The same images in another layout, by as many workers: nothing else.
    stopped.set_params(n_jobs=1, verbose=0).fit(list(GREY[..., None]))


def test_other_estimators(stopped, path):
    net = net_of((3,), lam=4.0, checkpoint=path)
    refused(
        net, GREY, "type of the estimator was 'DeconvNetLayer', but is now 'HierarchicalDeconvNet'"
    )


@pytest.mark.parametrize("name", ["skdeconv", "numpy", "sklearn", "scipy", "joblib"])
def test_other_versions(name, stopped, path):
    content = read_archive(path)
    content["identity"][f"version of {name}"] = "0.0.1"
    # What a version had in parameters is not what the user would mend.
    del content["identity"]["parameter keep_maps"]
    write_archive(path, content)
    refused(stopped, GREY, rf"version of {name} was '0\.0\.1', but is now")


def test_another_start(path):
    def make():
        return fitted(layer_of(warm_start=True, checkpoint=path))

    interrupt(make(), GREY, LayerLearner, "run_pass", 3)
    refused(
        layer_of(warm_start=True, checkpoint=path),
        GREY,
        "previous fit, continued by warm_start=True, was",
    )
    other = layer_of(warm_start=True, random_state=1).fit(GREY)
    refused(other.set_params(random_state=0, checkpoint=path), GREY, "previous fit, continued by")


def test_another_layer_below(path):
    lower = fitted(layer_of(max_iter=1))
    net = net_of((3, 4, 2), lower=fitted(net_of(max_iter=1)), checkpoint=path)
    interrupt(net, GREY, LayerLearner, "run_pass", 2)
    refused(net_of((3, 4, 2), lower=lower, checkpoint=path), GREY, "parameter lower was")
    scaled = fitted(net_of(max_iter=1))
    scaled.factors_ = scaled.factors_ * 2
    refused(net_of((3, 4, 2), lower=scaled, checkpoint=path), GREY, "parameter lower was")


@pytest.mark.parametrize("content", [b"", b"PK", "half", "less", "a file of numpy", "no fit"])
def test_damaged_and_foreign_files(content, stopped, path):
    whole = path.read_bytes()
    match = "is not a checkpoint that this version of skdeconv can read"
    if content == "a file of numpy":
        np.savez(path, filters=np.ones(3))
    elif content == "no fit":
        write_archive(path, {"filters": np.ones(3)})
        match = "belongs to another fit"
    else:
        parts = {"half": whole[: len(whole) // 2], "less": whole[:-1]}
        path.write_bytes(parts.get(content, content))
    refused(stopped, GREY, match)


def test_paths(tmp_path):
    refused(layer_of(checkpoint=tmp_path / "none" / "fit.npz"), GREY, "folder that does not exist")
    refused(net_of(checkpoint=tmp_path / "none" / "fit.npz"), GREY, "folder that does not exist")
    refused(layer_of(checkpoint=tmp_path), GREY, "is a folder")
    assert not os.listdir(tmp_path)
    with pytest.raises(TypeError, match="checkpoint must be the path of a file, or None, got 3"):
        layer_of(checkpoint=3).fit(GREY)


def test_a_link_stays_and_its_file_goes(tmp_path):
    link, path = tmp_path / "link", tmp_path / "fit.npz"
    try:
        link.symlink_to(path)
    except OSError:
        pytest.skip("this system makes no links")
    interrupt(layer_of(checkpoint=link), GREY, LayerLearner, "run_pass", 3)
    assert path.exists()
    layer_of(checkpoint=link).fit(GREY)
    assert os.listdir(tmp_path) == ["link"]


def test_two_fits_at_once(path, monkeypatch):
    wanted, run_pass, errors = layer_of().fit(GREY), LayerLearner.run_pass, []
    layer = layer_of(checkpoint=path)

    def second_between(self, *args):
        if path.exists() and not errors:
            errors.append(None)
            refused(layer_of(lam=5.0, checkpoint=path), GREY, "parameter lam was")
        return run_pass(self, *args)

    monkeypatch.setattr(LayerLearner, "run_pass", second_between)
    assert_same_fit(layer.fit(GREY), wanted)
    assert errors
    assert not path.exists()


@pytest.mark.parametrize("number", [1, 2])
def test_two_fits_that_began_before_either_wrote(number, path, monkeypatch):
    run_pass, calls, contents = LayerLearner.run_pass, [], []

    def second_within(self, *args):
        calls.append(1)
        if len(calls) == number:
            path.unlink(missing_ok=True)
            other = layer_of(lam=5.0, checkpoint=path)
            with suppress(StoppedError):
                interrupt(other, GREY, LayerLearner, "repair_filters", 2)
            contents.append(path.read_bytes())
        return run_pass(self, *args)

    monkeypatch.setattr(LayerLearner, "run_pass", second_within)
    with pytest.raises(ValueError, match="was written by another fit while this one was running"):
        layer_of(checkpoint=path).fit(GREY)
    assert path.read_bytes() == contents[0]


def test_in_a_search(path):
    grid = {"lam": [4.0, 5.0]}
    search = GridSearchCV(layer_of(max_iter=2, checkpoint=path), grid, cv=2).fit(GREY)
    assert not path.exists()
    again = GridSearchCV(layer_of(max_iter=2), grid, cv=2).fit(GREY)
    np.testing.assert_array_equal(
        search.cv_results_["mean_test_score"], again.cv_results_["mean_test_score"]
    )
    assert search.best_estimator_.get_params()["checkpoint"] == path
    assert clone(layer_of(checkpoint=path)).checkpoint == path


PLAIN = {
    "numpy scalars": ({"lam": np.float32(0.1), "max_iter": np.int64(3), "p": np.float64(1)},
                      {"lam": float(np.float32(0.1)), "max_iter": 3, "p": 1}),
    "tuples": ({"filter_size": (3, 3)}, {"filter_size": [3, 3]}),
    "arrays": ({"init": np.ones((3, 3, 3, 1))}, {"init": np.ones((3, 3, 3, 1), order="F")}),
    "objects": ({"init": np.ones((3, 3, 3, 1), object)}, {"init": np.ones((3, 3, 3, 1)).tolist()}),
    "tables": ({"connectivity": [[True]] * 3}, {"connectivity": ((np.True_,),) * 3}),
    "flags": ({"warm_start": np.False_}, {"warm_start": False}),
    "floats": ({"lam": 0.1 + 0.2, "tol": 5e-324}, {"lam": 0.30000000000000004, "tol": 5e-324}),
}  # fmt: skip


@pytest.mark.parametrize("one", PLAIN)
def test_equal_parameters_are_equal_in_the_file(one, path):
    before, after = PLAIN[one]
    interrupt(layer_of(**before, checkpoint=path), GREY, LayerLearner, "run_pass", 3)
    assert_same_fit(layer_of(**after, checkpoint=str(path)).fit(GREY), layer_of(**before).fit(GREY))


def test_nothing_but_numbers_is_in_the_file(stopped, path):
    with np.load(path, allow_pickle=False) as archive:
        assert not any(array.dtype.hasobject for array in archive.values())
    assert b"pickle" not in path.read_bytes()


@pytest.mark.parametrize(
    ("lower", "error"),
    [
        (layer_of(), "must be fitted"),
        (DeconvNetLayer, "lower must be"),
        (object(), "lower must be"),
    ],
)
def test_bad_parameters_are_told_as_without_a_checkpoint(lower, error, path):
    refused(net_of(lower=lower, checkpoint=path), GREY, error, error=(TypeError, ValueError))


def test_any_image_counts_where_they_are_few_pixels(path):
    images = np.random.RandomState(0).normal(size=(60, 6, 7))
    layer = layer_of(batch_size=30, checkpoint=path)
    interrupt(layer, images, LayerLearner, "run_pass", 2)
    for i in (1, 30, 58):
        changed = images.copy()
        changed[i, 0, 0] += 1
        refused(layer, changed, "hash of the images was")


def test_a_file_that_cannot_be_removed_costs_no_fit(path, monkeypatch):
    def fail(path):
        raise PermissionError

    layer = layer_of(checkpoint=path)
    monkeypatch.setattr(_checkpoint.os, "unlink", fail)
    assert_same_fit(layer.fit(GREY), layer_of().fit(GREY))
    assert path.exists()
