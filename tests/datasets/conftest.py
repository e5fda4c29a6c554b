"""A folder of six small images, whose grey values say which is which."""

import numpy as np
import pytest

NAMES = ("a-b/4.png", "a/3.JPG", "a/deep/2.png", "a/deep/deeper/1.tif", "b/0.pgm", "b/5.webp")


@pytest.fixture
def root(tmp_path):
    """Image ``i`` in sorted order is of 4 x (5 + i) pixels of grey 40 i."""
    image = pytest.importorskip("PIL.Image")
    # Not written in the order in which they are to be read.
    for i in (3, 5, 0, 2, 4, 1):
        path = tmp_path / NAMES[i]
        path.parent.mkdir(parents=True, exist_ok=True)
        image.fromarray(np.full((4, 5 + i), 40 * i, dtype=np.uint8)).save(path)
    for name in ("notes.txt", ".hidden.png", "a/._3.JPG", ".cache/thumb.png", "b/png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(b"no image")
    return tmp_path
