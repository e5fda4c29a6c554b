"""Reading image files, of any mode of Pillow, as arrays of values in [0, 1]."""

from __future__ import annotations

import numpy as np

# In thousandths, so that weighted sums of bytes are exact in float32 and white is exactly 1.
_REC_601 = (299, 587, 114)


def pillow():
    """The modules ``PIL.Image`` and ``PIL.ImageOps``.

    Raises
    ------
    ImportError
        If Pillow is not installed.
    """
    try:
        from PIL import Image, ImageOps
    except ImportError as error:
        raise ImportError("Reading images needs Pillow: pip install 'skdeconv[plot]'.") from error
    return Image, ImageOps


def read_image(path, *, color: bool, dtype: np.dtype, size: int | None) -> np.ndarray:
    """Read an image file; see :class:`skdeconv.datasets.ImageFolder` for the parameters.

    Raises
    ------
    ValueError
        If Pillow cannot read the file, or the scale of its values is unknown.
    """
    Image, ImageOps = pillow()
    try:
        # Given a path instead of a file, Pillow maps TIFFs into memory, and scrambles those with an
        # EXIF rotation of 90 degrees.
        with open(path, "rb") as file, Image.open(file) as image:
            file_size = image.size
            if size is not None:
                # JPEG only: the decoder downsamples by 2, 4 or 8, and Lanczos to the final size.
                image.draft(None, (3 * size, 3 * size))
            ImageOps.exif_transpose(image, in_place=True)
            target = _target(file_size, image.size, size)
            if image.mode.startswith("I") or image.mode == "F":
                return _deep_values(image, target, color, dtype)
            return _byte_values(image, target, color, dtype)
    except MemoryError:
        raise
    except Exception as error:  # broken files make Pillow raise errors of nearly any type
        raise ValueError(
            f"The image {path} cannot be read ({type(error).__name__}: {error}). Repair or remove "
            'the file, or skip such files with on_error="skip".'
        ) from error


def _target(file_size, shown_size, size):
    """(width, height) after downsampling, or None.

    The sides of the file and of the image are swapped if EXIF rotates it by 90 degrees.
    """
    longest = max(file_size)
    if size is None or longest <= size:
        return None
    shortest = max(1, round(size * min(file_size) / longest))
    width, height = shown_size
    return (size, shortest) if width >= height else (shortest, size)


def _byte_values(image, target, color, dtype):
    """Values of images with 1 or 8 bits per channel."""
    Image, _ = pillow()
    if image.has_transparency_data:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    image = image.convert("L" if image.mode in ("1", "L") else "RGB")
    if target is not None:
        image = image.resize(target, Image.Resampling.LANCZOS)
    values = np.asarray(image, dtype=dtype)
    if values.ndim == 3 and not color:
        return values @ np.array(_REC_601, dtype) / dtype.type(255 * sum(_REC_601))
    return _in_color(values / dtype.type(255), color)


def _deep_values(image, target, color, dtype):
    """Values of grey images of 16 or 32 bits: integers up to 65535, or floats in [0, 1].

    Pillow opens some 16-bit files in a 32-bit mode.
    """
    Image, _ = pillow()
    scale = 1 if image.mode == "F" else 65535
    values = np.asarray(image, dtype=np.float64) / scale
    if not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(
            f"values from {values.min() * scale:g} to {values.max() * scale:g} have no known "
            f"scale; values of such files must lie in 0 to {scale}"
        )
    if target is not None:
        image = Image.fromarray(values.astype(np.float32))
        # Lanczos overshoots at edges.
        values = np.clip(image.resize(target, Image.Resampling.LANCZOS), 0, 1)
    return _in_color(values.astype(dtype), color)


def _in_color(values, color):
    if color and values.ndim == 2:
        return np.repeat(values[..., None], 3, axis=2)
    return values
