"""Files of all kinds against the arrays they were made of, and reduction against the formula."""

import numpy as np
import pytest

from skdeconv.datasets import ImageFolder

Image = pytest.importorskip("PIL.Image")

REC_601 = np.array([0.299, 0.587, 0.114])
RNG = np.random.default_rng(0)
BYTES = RNG.integers(256, size=(5, 7, 3), dtype=np.uint8)
GREY = BYTES[..., 0]
DEEP = RNG.integers(65536, size=(5, 7), dtype=np.uint16)

# By the definition of EXIF's tag 274: where the stored first row and column are to be shown.
ORIENTATIONS = {
    1: lambda image: image,
    2: np.fliplr,
    3: lambda image: image[::-1, ::-1],
    4: np.flipud,
    5: lambda image: image.swapaxes(0, 1),
    6: lambda image: np.fliplr(image.swapaxes(0, 1)),
    7: lambda image: image[::-1, ::-1].swapaxes(0, 1),
    8: lambda image: np.flipud(image.swapaxes(0, 1)),
}


@pytest.fixture
def read(tmp_path):
    """Save an image, then read it from the folder."""

    def read_again(image, name="image.png", save=None, **parameters):
        image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
        image.save(tmp_path / name, **save or {})
        (found,) = ImageFolder(tmp_path, **parameters)
        return found

    return read_again


def exif(orientation):
    tags = Image.Exif()
    tags[274] = orientation
    return tags


def lanczos(image, shape):
    """Reduce both axes by Lanczos' kernel with three lobes, widened by the scale."""
    for axis, n in enumerate(shape):
        scale = image.shape[axis] / n
        centers = (np.arange(n) + 0.5) * scale
        x = (np.arange(image.shape[axis]) + 0.5 - centers[:, None]) / scale
        weights = np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)
        weights /= weights.sum(axis=1, keepdims=True)
        image = np.moveaxis(np.tensordot(weights, image, (1, axis)), 0, axis)
    return np.clip(image, 0, 1)


@pytest.mark.parametrize("dtype", ["float32", "float64", np.float64])
@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.ppm", "a.TIFF"])
def test_color(read, name, dtype):
    found = read(BYTES, name, color=True, dtype=dtype)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, BYTES / 255, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_grey_from_color(read, dtype):
    found = read(BYTES, dtype=dtype)
    assert found.dtype == dtype
    np.testing.assert_allclose(found, BYTES @ REC_601 / 255, rtol=np.finfo(dtype).eps * 4)
    assert read(np.full((3, 3, 3), 255, np.uint8), dtype=dtype).max() == 1


def test_defaults(read):
    found = read(GREY)
    assert (found.dtype, found.shape) == (np.float32, (5, 7))
    assert found.flags.c_contiguous
    assert found.flags.writeable


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.pgm"])
def test_sixteen_bits(read, name):
    found = read(DEEP, name, dtype="float64")
    np.testing.assert_allclose(found, DEEP / 65535, rtol=1e-12)
    color = read(DEEP, name, color=True)
    assert color.dtype == np.float32
    np.testing.assert_allclose(color, np.stack([DEEP / 65535] * 3, axis=2), rtol=1e-6)


def test_sixteen_bits_of_an_odd_range(read, tmp_path):
    header = b"P5 7 5 1000\n"
    values = (DEEP % 1001).astype(">u2")
    (tmp_path / "a.pgm").write_bytes(header + values.tobytes())
    (found,) = ImageFolder(tmp_path)
    np.testing.assert_allclose(found, values / 1000, atol=1 / 65535)


def test_thirty_two_bits(read):
    np.testing.assert_allclose(read(DEEP.astype(np.int32), "a.tif"), DEEP / 65535, rtol=1e-6)
    floats = (GREY / 255).astype(np.float32)
    np.testing.assert_array_equal(read(floats, "a.tif"), floats)


@pytest.mark.parametrize(
    "image",
    [
        DEEP.astype(np.int32) * 10,
        -DEEP.astype(np.int32),
        GREY.astype(np.float32),
        np.full((3, 3), np.nan, dtype=np.float32),
    ],
    ids=["large", "negative", "above one", "nan"],
)
def test_unknown_scales_are_refused(read, image):
    with pytest.raises(ValueError, match=r"a\.tif.*scale"):
        read(image, "a.tif")


def test_one_bit(read):
    np.testing.assert_array_equal(read(GREY > 99), GREY > 99)


@pytest.mark.parametrize("name", ["a.png", "a.gif"])
def test_palettes(read, name):
    palette = RNG.integers(256, size=(16, 3), dtype=np.uint8)
    image = Image.fromarray(GREY % 16).convert("P")
    image.putdata((GREY % 16).ravel().tolist())
    image.putpalette(palette.ravel().tolist())
    np.testing.assert_allclose(read(image, name, color=True), palette[GREY % 16] / 255, rtol=1e-6)


def test_transparent_pixels_are_white(read):
    alpha = RNG.integers(256, size=(5, 7, 1), dtype=np.uint8)
    on_white = (BYTES / 255) * (alpha / 255) + 1 - alpha / 255
    found = read(np.concatenate([BYTES, alpha], axis=2), color=True)
    np.testing.assert_allclose(found, on_white, atol=1 / 255)
    image = Image.merge("LA", [Image.fromarray(GREY), Image.fromarray(alpha[..., 0])])
    np.testing.assert_allclose(read(image), on_white[..., 0], atol=1 / 255)


@pytest.mark.parametrize("kind", ["P", "L", "RGB"])
def test_a_transparent_color_is_white(read, kind):
    image = Image.fromarray((GREY > 99).astype(np.uint8) * 100).convert(kind)
    black = {"P": image.getpixel((int(np.argmin(GREY[0])), 0)), "L": 0, "RGB": (0, 0, 0)}[kind]
    found = read(image, save={"transparency": black})
    np.testing.assert_allclose(found, np.where(GREY > 99, 100 / 255, 1), rtol=1e-6)


@pytest.mark.parametrize(
    ("mode", "name", "tolerance"),
    [("CMYK", "a.tif", 1e-6), ("CMYK", "a.jpg", 4 / 255), ("YCbCr", "a.jpg", 4 / 255)],
)
def test_other_colors(read, mode, name, tolerance):
    flat = np.full((16, 16, 3), (200, 100, 50), dtype=np.uint8)
    found = read(Image.fromarray(flat).convert(mode), name, color=True)
    np.testing.assert_allclose(found, flat / 255, atol=tolerance)


@pytest.mark.parametrize("name", ["a.gif", "a.tif", "a.webp"])
def test_the_first_frame_is_read(read, name):
    first, *others = (Image.fromarray(np.full((4, 4), grey, np.uint8)) for grey in (50, 100, 150))
    found = read(first, name, {"save_all": True, "append_images": others})
    np.testing.assert_allclose(found, np.full((4, 4), 50 / 255), atol=1.5 / 255)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("name", ["a.png", "a.tif"])
@pytest.mark.parametrize("image", [BYTES, GREY, DEEP], ids=["color", "grey", "deep"])
def test_orientation(read, orientation, name, image):
    found = read(image, name, {"exif": exif(orientation)}, color=image.ndim == 3, dtype="float64")
    expected = ORIENTATIONS[orientation](image) / np.iinfo(image.dtype).max
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize(
    ("shape", "size", "expected"),
    [
        ((40, 60), 30, (20, 30)),
        ((60, 40), 30, (30, 20)),
        ((45, 64), 32, (22, 32)),
        ((40, 60), 60, (40, 60)),
        ((40, 60), 100, (40, 60)),
        ((2, 90), 10, (1, 10)),
    ],
)
@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
@pytest.mark.parametrize("orientation", [1, 6])
def test_size_of_reduced_images(read, shape, size, expected, name, orientation):
    save = {"exif": exif(orientation)}
    found = read(np.zeros(shape, np.uint8), name, save, size=size)
    assert found.shape == (expected if orientation == 1 else expected[::-1])


@pytest.mark.parametrize("shape", [(40, 61), (61, 40), (50, 50)])
def test_reduction(read, shape):
    image = RNG.integers(65536, size=shape, dtype=np.uint16)
    found = read(image, size=20, dtype="float64")
    np.testing.assert_allclose(found, lanczos(image / 65535, found.shape), atol=2e-6)
    assert max(found.shape) == 20
    # Contrast low enough for Pillow's bytes not to overflow between the two axes.
    color = RNG.integers(64, 192, size=(*shape, 3), dtype=np.uint8)
    found = read(color, size=20, color=True)
    np.testing.assert_allclose(found, lanczos(color / 255, found.shape[:2]), atol=1.1 / 255)


def test_reduction_stays_in_the_unit_interval(read):
    image = np.zeros((30, 30), dtype=np.uint16)
    image[:, 15:] = 65535
    found = read(image, size=20)
    assert found.min() == 0
    assert found.max() == 1


def test_reduction_of_jpeg(read):
    """The decoder does a part of it."""
    y, x = np.mgrid[:300, :420] / 420
    image = np.round(255 * (0.5 + 0.3 * np.sin(9 * x) * np.cos(7 * y))).astype(np.uint8)
    found = read(image, "a.jpg", {"quality": 98, "exif": exif(6)}, size=30)
    expected = lanczos(ORIENTATIONS[6](image) / 255, (30, 21))
    np.testing.assert_allclose(found, expected, atol=3 / 255)


def test_orders_of_bytes(tmp_path):
    """A TIFF whose bytes are big-endian, by hand: Pillow writes none."""
    tags = [(256, 7), (257, 5), (258, 16), (259, 1), (262, 1), (273, 8), (277, 1), (278, 5)]
    tags.append((279, DEEP.size * 2))
    content = b"MM\0*" + (8 + DEEP.size * 2).to_bytes(4) + DEEP.astype(">u2").tobytes()
    content += len(tags).to_bytes(2)
    for tag, value in tags:
        content += tag.to_bytes(2) + (4).to_bytes(2) + (1).to_bytes(4) + value.to_bytes(4)
    (tmp_path / "a.tif").write_bytes(content + bytes(4))
    (found,) = ImageFolder(tmp_path, dtype="float64")
    np.testing.assert_allclose(found, DEEP / 65535, rtol=1e-12)


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.bmp", "a.ppm", "a.webp", "a.gif"])
@pytest.mark.parametrize("part", [0.0, 0.02, 0.6])
def test_truncated_files(tmp_path, name, part):
    noise = RNG.integers(256, size=(64, 64, 3), dtype=np.uint8)
    path = tmp_path / name
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with pytest.raises(ValueError, match=rf"{path.name} cannot be read"):
        ImageFolder(tmp_path)[0]


def test_suspected_bombs(read, monkeypatch):
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 10)
    with pytest.raises(ValueError, match=r"a\.png.*DecompressionBombError"):
        read(GREY, "a.png")
