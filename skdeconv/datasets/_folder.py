"""A folder of images that are read on access."""

from __future__ import annotations

import copy
import os
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np

from skdeconv._utils.validation import check_flag, check_in, check_integer
from skdeconv.datasets._identity import Identified, stamp_of
from skdeconv.datasets._reading import pillow, read_image

EXTENSIONS = (
    ".bmp",
    ".gif",
    ".jpeg",
    ".jpg",
    ".pgm",
    ".png",
    ".ppm",
    ".tif",
    ".tiff",
    ".webp",
)


class ImageFolder:
    """Sequence of the images in a folder and its sub-folders, read on access.

    It can be passed wherever a list of images is accepted, and split by scikit-learn's
    cross-validation: ``folder[i]`` reads one image, whereas slices, index arrays and boolean masks
    return an ``ImageFolder`` of the selected images without reading them.
    ``cross_val_score(pipeline, folder, folder.labels)`` thus never holds all images in memory.

    Parameters
    ----------
    path : str or path-like
        The folder. It is searched recursively for files that end in .bmp, .gif, .jpeg, .jpg,
        .pgm, .png, .ppm, .tif, .tiff or .webp, in any case, which are sorted by their relative
        path as a string. Names that begin with a dot are ignored.
    labels : None, "folders" or array-like of length n_files, default=None
        Labels of the images. "folders" uses the name of the sub-folder of ``path`` that holds the
        image, at any depth. An array-like gives the labels in the order of the sorted files.
    color : bool, default=False
        Whether images have the shape (height, width, 3). If False, they are converted to grey, of
        shape (height, width), with the weights of Rec. 601.
    dtype : {"float32", "float64"} or dtype, default="float32"
        Data type of the images.
    size : int or None, default=None
        Maximum length in pixels of the longest side. Larger images are downsampled with a Lanczos
        filter; smaller ones are unchanged. None keeps all sizes.
    prepare : callable or None, default=None
        Function that is applied to every image on access, such as
        ``lambda image: normalizer.transform(image[None])[0]`` with a fitted
        :class:`skdeconv.preprocessing.LocalContrastNormalizer`. It returns the preprocessed image.
        Caches need a function at the top level of a module, see Notes.
    on_error : {"raise", "skip"}, default="raise"
        How to handle files that cannot be read. "raise" reads nothing in advance and raises on
        access to such a file; "skip" reads every file once and leaves out those that cannot be
        read.

    Attributes
    ----------
    path : pathlib.Path
        The folder, as an absolute path.
    files : tuple of str
        Path of each image relative to ``path``, with forward slashes.
    labels : ndarray of length n_samples, or None
        Label of each image.
    shape : tuple of one int
        The number of images.
    skipped : tuple of str
        Files that were left out by ``on_error="skip"``. A selection of images keeps the value of
        the whole folder.
    n_skipped : int
        Number of skipped files.

    Raises
    ------
    FileNotFoundError
        If ``path`` does not exist.
    NotADirectoryError
        If ``path`` is not a folder.
    ImportError
        If Pillow is not installed.
    TypeError
        If a parameter is of the wrong type.
    ValueError
        If a parameter has an invalid value; if no image is found, or none can be read; if
        ``labels`` has another length than the files, or is "folders" and images lie directly in
        ``path``. On access, if the file cannot be read because it is empty, truncated, not an
        image, or so large that Pillow suspects a decompression bomb.

    See Also
    --------
    load_sample_photos : Sample photos of scikit-learn, as an array.

    Notes
    -----
    Values are in [0, 1] whatever the bit depth of the file. Images are rotated according to their
    EXIF orientation. Palettes, CMYK and similar modes are converted to RGB; colour profiles are not
    applied. Transparent pixels are blended with white. Only the first frame or page of a file is
    read. 16-bit grey images keep their precision; Pillow reduces 16-bit colour to 8 bits. 32-bit
    grey values are read if integers lie in 0 to 65535 or floats in 0 to 1; other ranges have no
    known scale and raise an error.

    No file stays open, so threads and processes can share a folder. A pickled folder stores paths,
    not pixels: the files must be at the same place where it is loaded.

    Caches of joblib, such as ``Pipeline(memory=...)``, identify images by ``path``, ``files`` and
    labels, by the size and modification time of each file, by ``color``, ``dtype`` and ``size``,
    and by ``prepare``. The latter must be a function at the top level of a module, an object of a
    class defined there, or a ``functools.partial`` of one; a lambda or local function raises a
    ValueError in a cache, and works everywhere else. It is identified by its code and by the
    functions, classes and variables of its own module that it uses. Constants that it reads in
    other modules count by their value, functions that it calls there by their code alone.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> import numpy as np
    >>> from PIL import Image
    >>> from skdeconv.datasets import ImageFolder
    >>> with tempfile.TemporaryDirectory() as path:
    ...     for name, grey in (("night", 0), ("snow", 255)):
    ...         Path(path, name).mkdir()
    ...         pixels = np.full((4, 6), grey, dtype=np.uint8)
    ...         Image.fromarray(pixels).save(Path(path, name, "photo.png"))
    ...     folder = ImageFolder(path, "folders")
    ...     [float(image.mean()) for image in folder]
    [0.0, 1.0]
    >>> folder.shape, folder.files, folder.labels.tolist()
    ((2,), ('night/photo.png', 'snow/photo.png'), ['night', 'snow'])
    >>> folder[folder.labels == "snow"].files
    ('snow/photo.png',)
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        labels=None,
        *,
        color: bool = False,
        dtype="float32",
        size: int | None = None,
        prepare: Callable[[np.ndarray], np.ndarray] | None = None,
        on_error: str = "raise",
    ):
        pillow()
        self.path = _check_path(path)
        self.color = check_flag("color", color)
        self.dtype = _check_dtype(dtype)
        self.size = None if size is None else check_integer("size", size, min_val=1)
        if not (prepare is None or callable(prepare)):
            raise TypeError(f"prepare must be a function of one image, or None; got {prepare!r}.")
        self.prepare = prepare
        self.on_error = check_in("on_error", on_error, ["raise", "skip"])
        self.files = _image_files(self.path)
        self.labels = _check_labels(labels, self.files, self.path)
        self.skipped: tuple[str, ...] = ()
        if on_error == "skip":
            self._leave_out_unreadable()

    @property
    def shape(self) -> tuple[int]:
        """The number of images, as a tuple."""
        return (len(self.files),)

    @property
    def n_skipped(self) -> int:
        """Number of skipped files."""
        return len(self.skipped)

    def __getstate__(self):
        # joblib.hash hashes a pickle: hence the stamp, which loading ignores, and a string, since
        # the pickle of a path depends on how it was composed.
        state = vars(self) | {"path": str(self.path), "_stamp": stamp_of(self.path, self.files)}
        if self.prepare is not None:
            state["prepare"] = Identified(self.prepare)
        return state

    def __setstate__(self, state):
        vars(self).update(state, path=Path(state["path"]))
        del self._stamp

    def __copy__(self):
        folder = object.__new__(type(self))
        vars(folder).update(vars(self))
        return folder

    def __len__(self) -> int:
        return len(self.files)

    def __iter__(self) -> Iterator[np.ndarray]:
        return (self[i] for i in range(len(self)))

    def __repr__(self) -> str:
        skipped = f", {self.n_skipped} skipped" if self.skipped else ""
        return f"<ImageFolder of {len(self)} images in {str(self.path)!r}{skipped}>"

    def __getitem__(self, key):
        """One image for an integer; an ``ImageFolder`` for a slice, array or mask.

        scikit-learn indexes by ``folder[indices, ...]``, which equals ``folder[indices]``.
        """
        chosen = np.arange(len(self))[key]
        if chosen.ndim == 0:
            return self._image(self.files[chosen])
        if chosen.ndim > 1:
            raise IndexError(f"An ImageFolder has one dimension, got the index {key!r}.")
        return self._sub_folder(chosen)

    def _sub_folder(self, chosen):
        folder = copy.copy(self)
        folder.files = tuple(self.files[i] for i in chosen)
        folder.labels = None if self.labels is None else self.labels[chosen]
        return folder

    def _read(self, name):
        return read_image(self.path / name, color=self.color, dtype=self.dtype, size=self.size)

    def _image(self, name):
        image = self._read(name)
        if self.prepare is None:
            return image
        try:
            return self.prepare(image)
        except Exception as error:
            error.add_note(f"Raised by prepare for the image {self.path / name}.")
            raise

    def _leave_out_unreadable(self):
        readable, last_error = [], None
        for i, name in enumerate(self.files):
            try:
                self._read(name)
            except ValueError as error:
                self.skipped += (name,)
                last_error = error
            else:
                readable.append(i)
        if not readable:
            raise ValueError(
                f"None of the {len(self)} images in path {self.path} can be read."
            ) from last_error
        folder = self._sub_folder(readable)
        self.files, self.labels = folder.files, folder.labels


def _check_path(path):
    try:
        # Absolute, because workers may run in another working directory.
        folder = Path(path).absolute()
    except TypeError as error:
        raise TypeError(f"path must be a string or a path, got {path!r}.") from error
    if not folder.exists():
        raise FileNotFoundError(f"path must be a folder of images, but {folder} does not exist.")
    if not folder.is_dir():
        raise NotADirectoryError(f"path must be a folder of images, but {folder} is a file.")
    return folder


def _check_dtype(dtype):
    message = f'dtype must be "float32" or "float64", got {dtype!r}.'
    if dtype is None:  # which NumPy takes as float64
        raise TypeError(message)
    try:
        checked = np.dtype(dtype)
    except TypeError as error:
        raise TypeError(message) from error
    if checked not in (np.float32, np.float64):
        raise ValueError(message)
    return checked


def _image_files(root):
    """Relative paths of the images in a folder, sorted independently of the operating system."""
    files = []
    for folder, folders, names in os.walk(root, onerror=_raise, followlinks=True):
        folders[:] = [name for name in folders if _is_to_visit(Path(folder, name))]
        files += [
            Path(folder, name).relative_to(root).as_posix()
            for name in names
            if not name.startswith(".") and name.lower().endswith(EXTENSIONS)
        ]
    if not files:
        raise ValueError(
            f"path {root} holds no images: no file ends in any of {', '.join(EXTENSIONS)}."
        )
    return tuple(sorted(files))


def _raise(error):
    raise error


def _is_to_visit(folder):
    """Whether a folder is neither hidden nor a link to one of its own parents."""
    if folder.name.startswith("."):
        return False
    target = folder.resolve()
    on_the_way = folder.parents if folder.is_symlink() else ()
    return not any(parent.resolve().is_relative_to(target) for parent in on_the_way)


def _check_labels(labels, files, root):
    if labels is None:
        return None
    if isinstance(labels, str):
        check_in("labels", labels, [None, "folders"])
        bare = [name for name in files if "/" not in name]
        if bare:
            raise ValueError(
                f'labels="folders" needs every image in a sub-folder of path {root}, but '
                f"{len(bare)} lie directly in it, such as {bare[0]}."
            )
        return np.array([name.split("/")[0] for name in files])
    try:
        array = np.array(labels)
    except ValueError as error:  # ragged
        raise ValueError(f"labels must all have the same shape, got {labels!r}.") from error
    if array.ndim == 0:
        raise TypeError(f'labels must be None, "folders" or an array-like, got {labels!r}.')
    if len(array) != len(files):
        raise ValueError(
            f"labels must hold one label for each of the {len(files)} images in {root}, got "
            f"{len(array)}."
        )
    return array
