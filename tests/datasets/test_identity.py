"""Folders in joblib's caches: what counts as the same images, and which functions are refused."""

import copy
import functools
import os
import pickle
import subprocess
import sys
import threading
import types

import joblib
import numpy as np
import pytest
from reference.faults import check_each
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

from skdeconv import DeconvNetLayer, OnePassEncoder
from skdeconv.datasets import ImageFolder, _folder
from skdeconv.features import SpatialPyramid

pytestmark = pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")

SCRIPT = """
import joblib, steps
from skdeconv.datasets import ImageFolder
print(joblib.hash(ImageFolder({root!r}, prepare=steps.prepare)))
"""
HELPERS = """
STEP = 2
def crop(image, margin=1):
    return image[margin:] + STEP
"""
STEPS = """
import functools
import helpers
import numpy as np
from helpers import crop

LEVELS = {"a": [0.5, 1.5]}
OFFSET = np.arange(2)

def halved(function):
    factor = 0.5
    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        return factor * function(*args, **kwargs)
    return wrapper

def shift(image, by=1.0, *, twice=False):
    return image + by + by * twice

@functools.lru_cache
def weight(n):
    return n + 3

unused = 1
rest = [shift, lambda image: image - 6]

class Base:
    def scaled(self, image):
        return image * 7

class Gain(Base):
    factor = 8
    def __init__(self, power=1):
        self.power = power
    def __call__(self, image):
        return self.scaled(image) ** self.power * self.offset - self.constant()
    @property
    def offset(self):
        return 9
    @staticmethod
    def constant():
        return 10

@halved
def prepare(image, by=0, to=3):
    \"\"\"Text.\"\"\"
    # A comment.
    image = sum(shift(image, by - to) * level for level in LEVELS["a"])
    if image.mean() in {"a", "bc", "def", 11, None}:
        image = weight(image.size) * crop(image) * OFFSET.sum()
    else:
        image = helpers.crop(image)
    return rest[1](image)

gain, again = Gain(), Gain(power=2)
"""
# What is prepared, what is edited in STEPS, and by what it is replaced.
MATTERS = [
    ("prepare", "by - to", "by + to"),
    ("prepare", "to=3", "to=4"),
    ("prepare", "by=0, to=3", "to=0, by=3"),
    ("prepare", '"def"', '"d"'),
    ("prepare", ".sum()", ".max()"),
    ("prepare", "0.5, 1.5", "0.5, 2"),
    ("prepare", "arange(2)", "arange(3)"),
    ("prepare", "factor = 0.5", "factor = 0.25"),
    ("prepare", "by=1.0", "by=2.0"),
    ("prepare", "twice=False", "twice=True"),
    ("prepare", "by * twice", "by / twice"),
    ("prepare", "n + 3", "n + 4"),
    ("prepare", "image - 6", "image - 5"),
    ("functools.partial(prepare, by=1)", "by - to", "by + to"),
    ("functools.partial(prepare, by=1)", "by=1", "by=2"),
    ("functools.partial(functools.partial(prepare, by=1))", "0.5, 1.5", "0.5, 2"),
    ("gain", "image * 7", "image * 8"),
    ("gain", "factor = 8", "factor = 9"),
    ("gain", "return 9", "return 8"),
    ("gain", "return 10", "return 9"),
    ("gain", "power=1", "power=2"),
    ("gain", "Gain(), Gain(power=2)", "Gain(power=2), Gain()"),
    ("gain.scaled", "image * 7", "image * 8"),
    ("gain.scaled", "gain.scaled", "again.scaled"),
    ("weight", "n + 3", "n + 4"),
    ("np.sqrt", "np.sqrt", "np.square"),
    ("np.fliplr", "np.fliplr", "np.flipud"),
]
DOES_NOT_MATTER = [
    ("prepare", "# A comment.", "# Another one.\n"),
    ("prepare", "unused = 1", "unused = 2"),
    ("prepare", "return 9", "return 8"),
    ("gain", "by - to", "by + to"),
]


def half(image):
    return image / 2


def third(image):
    return image / 3


def local():
    def function(image):
        return image

    return function


class Holder:
    def __init__(self, content):
        self.content = content

    def __call__(self, image):
        return image


REFUSED = {
    "lambda": lambda image: image,
    "local": local(),
    "partial of a lambda": functools.partial(lambda image, by: image, by=1),
    "partial with a lambda": functools.partial(half, lambda image: image),
    "lock": Holder(threading.Lock()),
    "lock, deep inside": Holder(Holder({"a": Holder(threading.Lock())})),
    "method": Holder(threading.Lock()).__call__,
    "lambda in an object": Holder(lambda image: image),
    "local class": type("Local", (), {"__call__": lambda self, image: image})(),
}


def _means(folder):
    return np.array([[image.mean()] for image in folder])


MEANS = FunctionTransformer(_means)


def write(path, grey, size=(6, 7)):
    image = pytest.importorskip("PIL.Image")
    pixels = np.random.default_rng(grey).integers(grey, 2 * grey + 9, size)
    image.fromarray(pixels.astype(np.uint8)).save(path)


@pytest.fixture
def root(tmp_path):
    """Six small images."""
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(6):
        write(folder / f"{i}.pgm", 20 * i)
    return folder


@pytest.fixture
def hash_with(root, monkeypatch):
    """Hash of a folder that an expression prepares, from modules of the given sources."""

    def hash_with(expression, steps=STEPS, helpers=HELPERS):
        for name, source in (("helpers", helpers), ("steps", steps)):
            module = types.ModuleType(name)
            monkeypatch.setitem(sys.modules, name, module)
            exec(source, vars(module))
        return joblib.hash(ImageFolder(root, prepare=eval(expression, vars(module))))

    return hash_with


@pytest.fixture
def reads(monkeypatch):
    """Names of the files that are read, in order."""
    names, read = [], _folder.read_image

    def recorded(path, **kwargs):
        names.append(path.name)
        return read(path, **kwargs)

    monkeypatch.setattr(_folder, "read_image", recorded)
    return names


def touch(path):
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1000))


def rewrite(path):
    """Another size in bytes at the same time of modification."""
    times = path.stat().st_atime_ns, path.stat().st_mtime_ns
    write(path, 1, (8, 8))
    os.utime(path, ns=times)


# What is hashed


@pytest.mark.parametrize("change", [touch, rewrite, os.remove])
def test_changes_of_a_file(root, change):
    folder = ImageFolder(root)
    loaded, old, rest = pickle.loads(pickle.dumps(folder)), joblib.hash(folder), folder[[0, 1, 3]]
    old_rest = joblib.hash(rest)
    change(root / "2.pgm")
    new = joblib.hash(folder)
    assert new != old
    assert joblib.hash(loaded) == new
    assert joblib.hash(rest) == old_rest


def test_what_else_makes_other_images(root):
    labels = [0, 0, 0, 1, 1, 1]
    folders = [
        ImageFolder(root),
        ImageFolder(root)[1:],
        ImageFolder(root)[::-1],
        ImageFolder(root, labels),
        ImageFolder(root, labels[::-1]),
        ImageFolder(root, color=True),
        ImageFolder(root, dtype="float64"),
        ImageFolder(root, size=5),
        ImageFolder(root, prepare=half),
        ImageFolder(root, prepare=third),
        ImageFolder(root, prepare=functools.partial(half)),
    ]
    assert len({joblib.hash(folder) for folder in folders}) == len(folders)


def test_what_makes_the_same_images(root, monkeypatch):
    folder = ImageFolder(root, list(range(6)), prepare=half)
    monkeypatch.chdir(root.parent)
    again = ImageFolder("images", tuple(range(6)), prepare=half)
    loaded = pickle.loads(pickle.dumps(folder))
    for same in (again, folder[:], copy.copy(folder), copy.deepcopy(folder), loaded):
        assert joblib.hash(same) == joblib.hash(folder)
        assert list(vars(same)) == list(vars(folder))
        assert (same.path, same.prepare) == (root, half)


def test_parts_do_not_look_at_files(root, monkeypatch):
    folder = ImageFolder(root, prepare=half)
    monkeypatch.setattr(_folder, "stamp_of", None)
    assert len(copy.copy(folder[1:])[[0, 2]]) == 2


def test_edits_of_functions_that_matter(hash_with):
    def check(expression, old, new):
        edited = expression.replace(old, new), STEPS.replace(old, new)
        assert edited != (expression, STEPS)
        assert hash_with(*edited) != hash_with(expression)

    check_each(((str(row), row) for row in MATTERS), check)


def test_edits_of_functions_that_do_not_matter(hash_with):
    def check(expression, old, new):
        assert old in STEPS
        assert hash_with(expression, STEPS.replace(old, new)) == hash_with(expression)

    check_each(((str(row), row) for row in DOES_NOT_MATTER), check)


def test_functions_of_other_modules_count_by_their_code_alone(hash_with):
    for use in ("helpers.crop(image)", "crop(image)"):
        steps = f"import helpers\nfrom helpers import crop\ndef prepare(image): return {use}"
        old = hash_with("prepare", steps)
        for edit in (("+ STEP", "- STEP"), ("margin=1", "margin=2")):
            assert hash_with("prepare", steps, HELPERS.replace(*edit)) != old
        assert hash_with("prepare", steps, HELPERS.replace("STEP = 2", "STEP = 3")) == old
    read = "import helpers\ndef prepare(image): return image * helpers.STEP"
    assert hash_with("prepare", read, HELPERS.replace("= 2", "= 3")) != hash_with("prepare", read)


def test_hashes_do_not_depend_on_the_process(root, tmp_path, hash_with):
    (tmp_path / "steps.py").write_text(STEPS)
    (tmp_path / "helpers.py").write_text(HELPERS)
    found = subprocess.check_output(
        [sys.executable, "-c", SCRIPT.format(root=str(root))],
        env=os.environ
        | {"PYTHONPATH": os.pathsep.join([str(tmp_path), *sys.path]), "PYTHONHASHSEED": "1"},
        text=True,
    )
    assert found.strip() == hash_with("prepare")


# What is refused


def test_functions_without_identity_are_refused_by_caches_alone(root):
    def check(prepare):
        folder = ImageFolder(root, prepare=prepare)
        with pytest.raises(ValueError, match=r"prepare=.*top level of a module"):
            joblib.hash(folder)
        with pytest.raises(ValueError, match=r"prepare=.*top level of a module"):
            make_pipeline(MEANS, Ridge(), memory=str(root / "cache")).fit(folder, range(6))

    check_each(((name, (one,)) for name, one in REFUSED.items()), check)


def test_workers_take_lambdas(root):
    folder = ImageFolder(root, prepare=lambda image: image - image.mean())
    # Workers need not be able to import this module.
    means = FunctionTransformer(lambda images: np.array([[image.mean()] for image in images]))
    model = make_pipeline(means, Ridge())
    scores = cross_val_score(model, folder, range(6), cv=2, n_jobs=2, error_score="raise")
    assert len(scores) == 2


# Pipelines


def cached(step, root):
    return make_pipeline(*step, Ridge(), memory=str(root.parent / "cache"))


def steps_of(name, root):
    layer = DeconvNetLayer(2, 3, lam=20.0, max_iter=1, output="maps", random_state=0, verbose=0)
    pyramid = SpatialPyramid(levels=(1,))
    if name == "layer":
        return layer.set_params(checkpoint=root.parent / "fit.npz", sparse_output=True), pyramid
    if name == "frozen":
        return FrozenEstimator(layer.fit(ImageFolder(root))), pyramid
    return OnePassEncoder(FrozenEstimator(layer.fit(ImageFolder(root)))), pyramid


@pytest.mark.parametrize("name", ["layer", "frozen", "one pass"])
def test_a_second_fit_is_served_from_the_cache(root, reads, monkeypatch, name):
    steps, pooled, transform = steps_of(name, root), [], SpatialPyramid.transform
    monkeypatch.setattr(
        SpatialPyramid, "transform", lambda self, X: pooled.append(1) or transform(self, X)
    )

    def fit():
        reads.clear()
        pooled.clear()
        model = cached(steps, root).fit(ImageFolder(root, prepare=half), range(6))
        return model.steps[-1][1].coef_, len(reads), len(pooled)

    first, n_reads, n_pooled = fit()
    assert (n_reads > 0, n_pooled) == (True, 1)
    second, *n_calls = fit()
    np.testing.assert_array_equal(second, first)
    assert n_calls == [0, 0]


def test_other_images_are_not_served_from_the_cache(root, reads):
    labels = np.array([0, 0, 1, 1, 0, 1])

    def n_reads(folder, y=None):
        reads.clear()
        cached([MEANS], root).fit(folder, range(len(folder)) if y is None else y)
        return len(reads)

    def folder(labels=labels, **kwargs):
        return ImageFolder(root, labels, **kwargs)

    assert [n_reads(folder(prepare=half)) for _ in range(2)] == [6, 0]
    assert n_reads(folder(prepare=third)) == 6
    assert n_reads(folder(prepare=half, size=5)) == 6
    for subset in (folder()[labels == 0], folder()[labels == 1], folder(1 - labels)[labels == 1]):
        assert [n_reads(subset) for _ in range(2)] == [3, 0]
    for change in (touch, rewrite):
        change(root / "2.pgm")
        assert [n_reads(folder(prepare=half)) for _ in range(2)] == [6, 0]
    assert n_reads(folder(prepare=half), labels) == 6
