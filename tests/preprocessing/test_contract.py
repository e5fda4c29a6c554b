"""LocalContrastNormalizer as a scikit-learn transformer: checks, layouts, names and faults."""

import inspect
import pickle
import warnings

import numpy as np
import pytest
from reference.contract import (
    NOT_YIELDED,
    assert_number_of_checks,
    configurations,
    parameters_of,
    run_not_yielded,
    run_with_the_array_api,
)
from sklearn.base import clone
from sklearn.exceptions import NotFittedError
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

from skdeconv.preprocessing import LocalContrastNormalizer

DEFAULT = LocalContrastNormalizer()
OTHERS = [
    LocalContrastNormalizer("laplacian"),
    LocalContrastNormalizer(
        window=13, boundary="mirror", two_pass=False, floor="median", zero_mean=True, grey=True
    ),
    LocalContrastNormalizer(boundary="constant", divisive=False),
]
ESTIMATORS = [DEFAULT, *configurations(OTHERS)]


def photos(*shape):
    """Values in [0, 1), all of them different."""
    return np.random.default_rng(0).random(shape)


@pytest.mark.parametrize(("estimator", "check"), parameters_of(ESTIMATORS))
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize("estimator", ESTIMATORS)
def test_number_of_scikit_learn_checks(estimator):
    assert_number_of_checks(estimator)


def test_scikit_learn_checks_with_the_array_api():
    run_with_the_array_api(DEFAULT)


# They fit on a frame and transform an array, and the other way round.
@pytest.mark.filterwarnings("ignore:X (has|does not have valid) feature names")
@pytest.mark.parametrize("name", NOT_YIELDED)
def test_checks_that_scikit_learn_does_not_yield(name):
    run_not_yielded(DEFAULT, name)


@pytest.mark.parametrize("shape", [(30,), (6, 5), (6, 5, 1), (5, 2, 3), (1, 10, 3)])
def test_layouts_agree(shape):
    rows = photos(4, 30)
    stack = rows.reshape(4, *shape)
    fit = LocalContrastNormalizer(image_shape=shape).fit
    from_rows = fit(rows).transform(rows)
    assert from_rows.shape == (4, 30)
    if len(shape) == 1:
        return
    from_stack = fit(stack).transform(stack)
    assert from_stack.shape == stack.shape
    np.testing.assert_array_equal(from_stack.reshape(4, -1), from_rows)
    from_list = fit(list(stack)).transform(list(stack))
    assert isinstance(from_list, list)
    np.testing.assert_array_equal(np.stack(from_list), from_stack)
    # The layout is that of each input, not that of fit.
    np.testing.assert_array_equal(fit(stack).transform(rows), from_rows)
    np.testing.assert_array_equal(fit(rows).transform(stack), from_stack)


def test_feature_names():
    images = photos(3, 2, 2, 3)
    normalizer = LocalContrastNormalizer(image_shape=(2, 2, 3)).fit(images)
    assert normalizer.get_feature_names_out().tolist() == [f"x{i}" for i in range(12)]
    normalizer.set_params(grey=True).fit(images)
    names = normalizer.get_feature_names_out()
    assert names.dtype == object
    assert names.tolist() == ["y0_x0", "y0_x1", "y1_x0", "y1_x1"]
    with pytest.raises(ValueError, match="input_features should have length"):
        normalizer.get_feature_names_out(["a", "b"])
    normalizer.set_params(grey=False).fit(list(images))
    assert normalizer.get_feature_names_out().tolist() == ["x0", "x1", "x2"]
    assert normalizer.get_feature_names_out(["image"]).tolist() == ["image"]
    with pytest.raises(NotFittedError):
        LocalContrastNormalizer().get_feature_names_out()


@pytest.mark.parametrize("container", ["pandas", "polars"])
@pytest.mark.parametrize("grey", [True, False])
def test_frames_in_and_out(container, grey):
    module = pytest.importorskip(container)
    rows, names = photos(3, 12), [f"pixel{i}" for i in range(12)]
    kwargs = {"columns": names} if container == "pandas" else {"schema": names}
    normalizer = LocalContrastNormalizer(image_shape=(2, 2, 3), grey=grey)
    expected = normalizer.fit_transform(rows)
    frame = module.DataFrame(rows, **kwargs)
    result = normalizer.set_output(transform=container).fit_transform(frame)
    assert isinstance(result, module.DataFrame)
    assert list(result.columns) == list(normalizer.get_feature_names_out())
    np.testing.assert_array_equal(result.to_numpy(), expected)


def test_pickle_and_clone():
    images = photos(3, 8, 9)
    normalizer = LocalContrastNormalizer(sigma=1, window=5).fit(images)
    expected = normalizer.transform(images)
    copied = pickle.loads(pickle.dumps(normalizer))
    np.testing.assert_array_equal(copied.transform(images), expected)
    fresh = clone(normalizer)
    assert fresh.get_params() == normalizer.get_params()
    with pytest.raises(NotFittedError):
        fresh.transform(images)


def test_pipeline_and_grid_search():
    rows, y = photos(20, 36), np.arange(20) % 2
    pipeline = make_pipeline(LocalContrastNormalizer(image_shape=(6, 6)), LogisticRegression())
    grid = {"localcontrastnormalizer__sigma": [1, 2], "localcontrastnormalizer__grey": [True]}
    search = GridSearchCV(pipeline, grid, cv=2, error_score="raise").fit(rows, y)
    assert search.predict(rows).shape == (20,)


# What is refused

FAULTS = {
    "kind": ([None, 1], ["sobel"]),
    "sigma": ([None, "2", True, 1j], [0, -1.0, np.nan, np.inf]),
    "window": ([13.0, "13", True], [12, 1, 0, -3]),
    "boundary": ([None, 0], ["zeros"]),
    "divisive": ([None, 1, "no"], []),
    "two_pass": ([None, 0, "no"], []),
    "floor": ([None, 0.1], ["max"]),
    "zero_mean": ([None, 1, "no"], []),
    "grey": ([None, 1, "yes", (1, None, 1), (True, 1, 1)], [(), (1, 1), (1, 1, np.nan)]),
    "image_shape": ([64, "8x8"], [(), (0, 8), (2, 2, 2, 2), (6, 6)]),
}


def test_every_parameter_is_in_the_table():
    assert set(FAULTS) == set(inspect.signature(LocalContrastNormalizer).parameters)


@pytest.mark.parametrize(
    ("name", "value", "error"),
    [
        (name, value, error)
        for name, faults in FAULTS.items()
        for values, error in zip(faults, (TypeError, ValueError), strict=True)
        for value in values
    ],
)
def test_faulty_parameters(name, value, error):
    normalizer = LocalContrastNormalizer(**{name: value})
    with pytest.raises(error, match=name):
        normalizer.fit(photos(3, 5, 4))
    assert not [key for key in vars(normalizer) if key.endswith("_")]


def test_a_failed_fit_leaves_the_old_one_usable(monkeypatch):
    images = photos(3, 5, 4)
    normalizer = LocalContrastNormalizer().fit(images)
    expected = normalizer.transform(images)
    for bad in (np.full((3, 6, 6, 2), np.nan), photos(3, 6, 6, 2), photos(3, 72)):
        normalizer.grey = True
        normalizer.image_shape = (6, 6, 2)
        with pytest.raises(ValueError, match=r"NaN|grey"):
            normalizer.fit(bad)
        normalizer.grey, normalizer.image_shape = False, None
        np.testing.assert_array_equal(normalizer.transform(images), expected)

    def interrupt(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):  # noqa: PT012
        patch.setattr(LocalContrastNormalizer, "_check_channels", interrupt)
        normalizer.fit(photos(3, 7))
    np.testing.assert_array_equal(normalizer.transform(images), expected)


@pytest.mark.parametrize(
    ("X", "error", "message"),
    [
        (np.full((2, 5, 4), np.nan), ValueError, r"X\[0\] has no known pixel"),
        (np.full((2, 20), np.inf), ValueError, "contains infinity"),
        (np.ones((2, 5, 4), complex), ValueError, "Complex data not supported"),
        (np.ones((0, 5, 4)), ValueError, "0 sample"),
        (np.ones((2, 21)), ValueError, "X has 21 features, but LocalContrastNormalizer is"),
        (np.ones((2, 5, 4, 3)), ValueError, "with 3 channels, but fit has seen images with 1"),
        (np.ones((2, 1, 5, 4, 3)), ValueError, "5 dimensions"),
        (np.ones(20), ValueError, "Reshape your data"),
    ],
)
def test_faulty_input(X, error, message):
    normalizer = LocalContrastNormalizer().fit(photos(3, 5, 4))
    with pytest.raises(error, match=message):
        normalizer.transform(X)


def test_unfitted_use():
    with pytest.raises(NotFittedError, match="not fitted yet"):
        LocalContrastNormalizer().transform(photos(3, 5, 4))


def test_rows_that_look_like_images_warn():
    with pytest.warns(UserWarning, match=r"image_shape=\(8, 8\)"):
        LocalContrastNormalizer().fit(photos(3, 64))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LocalContrastNormalizer(image_shape=(8, 8)).fit_transform(photos(3, 64))
