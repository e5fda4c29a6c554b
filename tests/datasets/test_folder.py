"""A folder of images as a lazy sequence: order, indices, labels, faults, scikit-learn's splits."""

import gc
import pickle
import sys
import threading
import warnings
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from reference.faults import check_each
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import (
    GridSearchCV,
    StratifiedKFold,
    cross_val_predict,
    cross_val_score,
    train_test_split,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skdeconv.datasets import ImageFolder

NAMES = ("a-b/4.png", "a/3.JPG", "a/deep/2.png", "a/deep/deeper/1.tif", "b/0.pgm", "b/5.webp")
CLASSES = ["a-b", "a", "a", "a", "b", "b"]

# One number for every image; a folder is read in a loop.
means = FunctionTransformer(lambda folder: np.array([[image.mean()] for image in folder]))


def numbers(folder):
    """Which images these are, by their widths."""
    return [image.shape[1] - 5 for image in folder]


@pytest.fixture
def many(tmp_path):
    """Twelve images in two classes, dark and bright."""
    image = pytest.importorskip("PIL.Image")
    for i in range(12):
        path = tmp_path / ("bright" if i % 2 else "dark")
        path.mkdir(exist_ok=True)
        image.fromarray(np.full((3, 4), 10 * i + 120 * (i % 2), np.uint8)).save(path / f"{i}.png")
    return tmp_path


class Count:
    """As ``prepare``: how many images were read, and how many lived at once."""

    def __init__(self):
        self.lock = threading.Lock()
        self.read = self.alive = self.peak = 0

    def __call__(self, image):
        with self.lock:
            self.read += 1
            self.alive += 1
            self.peak = max(self.peak, self.alive)
        weakref.finalize(image, self.died)
        return image

    def died(self):
        with self.lock:
            self.alive -= 1


def test_order_and_pixels(root):
    folder = ImageFolder(root)
    assert folder.files == NAMES
    assert (len(folder), folder.shape, folder.labels) == (6, (6,), None)
    assert (folder.skipped, folder.n_skipped) == ((), 0)
    for i, image in enumerate(folder):
        np.testing.assert_allclose(image, np.full((4, 5 + i), 40 * i / 255), atol=1.5 / 255)
    assert numbers(folder) == [0, 1, 2, 3, 4, 5]


def test_path_does_not_depend_on_the_working_directory(root, monkeypatch):
    monkeypatch.chdir(root.parent)
    folder = ImageFolder(root.name)
    assert folder.path == root
    monkeypatch.chdir(root / "a")
    assert folder[2].shape == (4, 7)


@pytest.mark.parametrize("key", [2, -4, np.int64(2), np.uint8(2), np.array(2), (2, ...), (2,)])
def test_integers_give_images(root, key):
    image = ImageFolder(root)[key]
    assert isinstance(image, np.ndarray)
    assert image.shape == (4, 7)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        (slice(None), [0, 1, 2, 3, 4, 5]),
        (slice(4, None, -2), [4, 2, 0]),
        (slice(3, 3), []),
        ([5, 0, 0, -1], [5, 0, 0, 5]),
        ([], []),
        (np.array([1, 4], dtype=np.int32), [1, 4]),
        (np.array([True, False, False, True, False, False]), [0, 3]),
        ([False] * 5 + [True], [5]),
        ((np.array([1, 4]), ...), [1, 4]),
        ((slice(1, 3), ...), [1, 2]),
        (([2, 1],), [2, 1]),
    ],
)
def test_other_indices_give_folders_and_read_nothing(root, key, expected):
    count = Count()
    folder = ImageFolder(root, np.arange(6) * 10, prepare=count)
    part = folder[key]
    assert isinstance(part, ImageFolder)
    assert part.shape == (len(expected),)
    assert part.files == tuple(NAMES[i] for i in expected)
    np.testing.assert_array_equal(part.labels, np.array(expected, dtype=int) * 10)
    assert count.read == 0
    assert numbers(part) == expected
    assert len(folder) == 6


def test_parts_of_parts(root):
    folder = ImageFolder(root, "folders", color=True, size=3, dtype=np.float64)
    part = folder[1:][[4, 0, 2]][np.array([True, False, True])]
    assert part.files == (NAMES[5], NAMES[3])
    assert part.labels.tolist() == ["b", "a"]
    assert part[0].dtype == np.float64
    assert part[0].shape == (1, 3, 3)


def test_wrong_indices(root):
    folder, seven = ImageFolder(root), np.ones(7, bool)
    for key in (6, -7, [0, 6], [True, False], seven, 1.0, [0.5], "a", None, True, [[0, 1]], (0, 1)):
        with pytest.raises(IndexError):
            folder[key]


def test_no_array_and_a_short_repr(root):
    folder = ImageFolder(root)
    assert not hasattr(folder, "__array__")
    assert repr(folder[:2]) == f"<ImageFolder of 2 images in {str(root)!r}>"


def test_pickles_hold_paths_alone(root):
    count = Count()
    folder = ImageFolder(root, "folders", size=4)[[5, 2]]
    content = pickle.dumps(folder)
    assert len(content) < 1000
    again = pickle.loads(content)
    assert again.files == folder.files
    assert again.labels.tolist() == ["b", "a"]
    for one, other in zip(again, folder, strict=True):
        np.testing.assert_array_equal(one, other)
    assert count.read == 0


def test_labels_of_folders(root):
    folder = ImageFolder(root, "folders")
    assert isinstance(folder.labels, np.ndarray)
    assert folder.labels.tolist() == CLASSES


def test_given_labels_are_copied(root):
    labels = np.arange(6)
    folder = ImageFolder(root, labels)
    labels[:] = 0
    assert folder.labels.tolist() == [0, 1, 2, 3, 4, 5]
    assert ImageFolder(root, list("uvwxyz"))[1:3].labels.tolist() == ["v", "w"]
    assert ImageFolder(root, np.ones((6, 2)))[1:3].labels.shape == (2, 2)


def test_prepare(root):
    folder = ImageFolder(root, prepare=lambda image: image[:2, :3] - 1)
    np.testing.assert_allclose(folder[5], np.full((2, 3), 200 / 255 - 1), atol=1.5 / 255)


def test_errors_of_prepare_name_the_image(root):
    def fail(image):
        raise ZeroDivisionError("mine")

    with pytest.raises(ZeroDivisionError, match="mine") as caught:
        ImageFolder(root, prepare=fail)[2]
    assert "2.png" in caught.value.__notes__[0]


@pytest.fixture
def broken(root):
    """Three more files: empty, no image, cut off."""
    (root / "a" / "0.png").touch()
    (root / "b" / "1.jpg").write_text("no image")
    content = (root / NAMES[2]).read_bytes()
    (root / "b" / "2.png").write_bytes(content[: len(content) // 2])
    return root


def test_broken_files_raise_at_access(broken):
    folder = ImageFolder(broken, "folders")
    assert len(folder) == 9
    for name in ("a/0.png", "b/1.jpg", "b/2.png"):
        i = folder.files.index(name)
        with pytest.raises(ValueError, match=rf"{name}.*on_error"):
            folder[i]
    assert folder[0].shape == (4, 5)


def test_broken_files_are_skipped(broken):
    labels = np.arange(9)
    folder = ImageFolder(broken, labels, on_error="skip")
    assert folder.files == NAMES
    assert folder.labels.tolist() == [0, 2, 3, 4, 5, 8]
    assert folder.skipped == ("a/0.png", "b/1.jpg", "b/2.png")
    assert folder.n_skipped == folder[:2].n_skipped == 3
    assert repr(folder).endswith(", 3 skipped>")
    assert numbers(folder) == [0, 1, 2, 3, 4, 5]


def test_skipping_does_not_prepare(broken):
    count = Count()
    ImageFolder(broken, on_error="skip", prepare=count)
    assert count.read == 0


def test_nothing_left(tmp_path):
    pytest.importorskip("PIL")
    (tmp_path / "a.png").touch()
    with pytest.raises(ValueError, match="None of the 1 images"):
        ImageFolder(tmp_path, on_error="skip")


def test_memory_errors_are_no_broken_files(root, monkeypatch):
    def fail(*args, **kwargs):
        raise MemoryError

    monkeypatch.setattr("PIL.Image.open", fail)
    with pytest.raises(MemoryError):
        ImageFolder(root, on_error="skip")


def test_no_file_stays_open(broken):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        folder = ImageFolder(broken, on_error="skip", size=3)
        images = list(folder)
        for i in range(9):
            try:
                images.append(ImageFolder(broken)[i])
            except ValueError:
                continue
        gc.collect()
    assert len(images) == 12
    assert [str(warning.message) for warning in caught] == []


def test_links(root):
    try:
        (root / "a" / "up").symlink_to(root, target_is_directory=True)
        (root / "c").symlink_to(root / "a" / "deep", target_is_directory=True)
    except OSError:
        pytest.skip("links are not allowed")
    folder = ImageFolder(root, "folders")
    assert folder.files == (*NAMES, "c/2.png", "c/deeper/1.tif")
    assert folder.labels.tolist() == [*CLASSES, "c", "c"]


def test_links_in_a_circle(root):
    try:
        (root / "b" / "to_a").symlink_to(root / "a", target_is_directory=True)
        (root / "a" / "to_b").symlink_to(root / "b", target_is_directory=True)
    except OSError:
        pytest.skip("links are not allowed")
    again = {f"{link}/{name[2:]}" for link, of in (("b/to_a", "a/"), ("a/to_b", "b/"))
             for name in NAMES if name.startswith(of)}  # fmt: skip
    assert set(ImageFolder(root).files) == {*NAMES, *again}


REFUSED = [
    ({"path": 3}, TypeError, "path"),
    ({"labels": "folder"}, ValueError, "labels"),
    ({"labels": 3}, TypeError, "labels"),
    ({"labels": {"a": 1}}, TypeError, "labels"),
    ({"labels": range(5)}, ValueError, "labels.* 6 images.* 5"),
    ({"labels": [[1], [1, 2]]}, ValueError, "labels"),
    ({"color": 1}, TypeError, "color"),
    ({"dtype": "float16"}, ValueError, "dtype"),
    ({"dtype": None}, TypeError, "dtype"),
    ({"dtype": "real"}, TypeError, "dtype"),
    ({"size": 0}, ValueError, "size"),
    ({"size": 2.5}, TypeError, "size"),
    ({"prepare": 3}, TypeError, "prepare"),
    ({"on_error": "ignore"}, ValueError, "on_error"),
    ({"on_error": None}, TypeError, "on_error"),
]


def test_wrong_parameters_are_named(root):
    def check(parameters, error, message):
        with pytest.raises(error, match=message):
            ImageFolder(**{"path": root} | parameters)

    check_each(((str(row[0]), row) for row in REFUSED), check)


def test_wrong_folders(root):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        ImageFolder(root / "nowhere")
    with pytest.raises(NotADirectoryError, match=r"notes\.txt"):
        ImageFolder(root / "notes.txt")
    (root / "empty").mkdir()
    with pytest.raises(ValueError, match=r"empty.*\.png"):
        ImageFolder(root / "empty")
    with pytest.raises(ValueError, match=r"sub-folder.*2 lie.*0\.pgm"):
        ImageFolder(root / "b", "folders")


def test_without_pillow(root, monkeypatch):
    monkeypatch.setitem(sys.modules, "PIL", None)
    with pytest.raises(ImportError, match=r"skdeconv\[plot\]"):
        ImageFolder(root)


def test_threads(many):
    folder = ImageFolder(many)
    expected = [image.mean() for image in folder]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda i: folder[i].mean(), np.tile(np.arange(12), 5)))
    np.testing.assert_array_equal(found, np.tile(expected, 5))


def test_cross_validation_holds_one_or_two_images(many):
    count = Count()
    folder = ImageFolder(many, "folders", prepare=count)
    model = make_pipeline(means, LogisticRegression(C=1e4))
    scores = cross_val_score(model, folder, folder.labels, cv=3, error_score="raise")
    np.testing.assert_array_equal(scores, cross_val_score(model, list(folder), folder.labels, cv=3))
    assert scores.min() == 1
    assert count.peak >= 12  # of the list
    count.peak = 0
    gc.collect()
    assert count.alive == 0
    read = count.read
    cross_val_score(model, folder, folder.labels, cv=3, error_score="raise")
    assert count.read == read + 3 * 12  # every fold reads what it fits and what it tests
    assert 1 <= count.peak <= 2


def test_workers_get_paths(many):
    folder = ImageFolder(many, "folders")
    model = make_pipeline(means, LogisticRegression(C=1e4))
    grid = {"logisticregression__C": [1e-3, 1e4]}
    search = GridSearchCV(model, grid, cv=2, n_jobs=2, error_score="raise")
    search.fit(folder, folder.labels)
    assert search.score(folder[::-1], folder.labels[::-1]) == 1


def test_splits_stay_lazy(many):
    count = Count()
    folder = ImageFolder(many, "folders", prepare=count)
    train, test, y_train, y_test = train_test_split(
        folder, folder.labels, test_size=4, stratify=folder.labels, random_state=0
    )
    assert train.shape == (8,)
    assert sorted(train.files + test.files) == list(folder.files)
    np.testing.assert_array_equal(train.labels, y_train)
    np.testing.assert_array_equal(test.labels, y_test)
    for fit, rest in StratifiedKFold(3).split(folder, folder.labels):
        assert sorted(folder[fit].files + folder[rest].files) == list(folder.files)
        assert (folder[rest].labels == "dark").sum() == 2
    assert count.read == 0


def test_predictions_come_in_order(many):
    folder = ImageFolder(many)
    wanted = np.array([int(name.split("/")[1][:-4]) for name in folder.files])
    model = make_pipeline(means, FunctionTransformer(np.copy), Ridge(1e-9))
    values = np.array([image.mean() for image in folder])
    found = cross_val_predict(model, folder, values, cv=4)
    np.testing.assert_allclose(found, (10 * wanted + 120 * (wanted % 2)) / 255, atol=1e-4)
