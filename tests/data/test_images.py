import io
import os
import struct
import zlib

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from xraykit import ImageSet, InputError
from xraykit.data.images import FilePixels, UnusableImageError, list_files, read_image

RAMP = np.tile(np.linspace(0, 255, 64), (64, 1))  # dark on the left, bright on the right


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, bits, kind, rows):
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    chunks = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def png16(values):
    """A PNG with 16 bits per channel, which Pillow can't write in color."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], rows)


def encode(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def flip_byte(content):
    """The same file with one byte of the pixels changed; its checksum fails."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]


def ramp(mode):
    return Image.fromarray(RAMP.astype(np.uint8)).convert(mode)


def twelve_bit(channels):
    return np.repeat((RAMP * 16)[..., None], channels, axis=-1)


READABLE = {
    "jpeg-L": lambda: encode(ramp("L"), "JPEG", quality=95),
    "jpeg-RGB": lambda: encode(ramp("RGB"), "JPEG", quality=95),
    "jpeg-CMYK": lambda: encode(ramp("CMYK"), "JPEG", quality=95),
    "png-L": lambda: encode(ramp("L"), "PNG"),
    "png-RGB": lambda: encode(ramp("RGB"), "PNG"),
    "png-RGBA": lambda: encode(ramp("RGBA"), "PNG"),
    "png-LA": lambda: encode(ramp("LA"), "PNG"),
    "png-palette": lambda: encode(ramp("P"), "PNG"),
    "png-16-bit-gray": lambda: png16(twelve_bit(1)),
    "png-16-bit-RGB": lambda: png16(twelve_bit(3)),
    "webp": lambda: encode(ramp("RGB"), "WEBP", lossless=True),
}


@pytest.mark.parametrize("kind", READABLE)
def test_read_image_any_usual_kind_is_rgb(tmp_path, kind):
    path = tmp_path / f"{kind} é.jpeg"  # the suffix is ignored
    path.write_bytes(READABLE[kind]())
    pixels, _ = read_image(path, 64)
    assert (pixels.shape, pixels.dtype) == ((64, 64, 3), np.uint8)
    np.testing.assert_allclose(pixels, np.repeat(RAMP[..., None], 3, axis=-1), atol=6)


def test_read_image_transparent_pixels_are_black(tmp_path):
    image = Image.new("RGBA", (8, 8), (255, 255, 255, 0))
    image.paste((200, 100, 50, 255), (0, 0, 4, 8))
    image.save(tmp_path / "a.png")
    pixels, _ = read_image(tmp_path / "a.png", 8)
    assert pixels[0, 0].tolist() == [200, 100, 50]
    assert pixels[0, 7].tolist() == [0, 0, 0]


def test_read_image_16_bit_transparent_pixels_are_black(tmp_path):
    values = np.zeros((8, 8, 4))
    values[..., :3] = 65535 * (np.arange(8) % 2)[:, None]
    values[:, :4, 3] = 65535
    (tmp_path / "a.png").write_bytes(png16(values))
    pixels, _ = read_image(tmp_path / "a.png", 8)
    assert (pixels[:, :4].max(), pixels[:, 4:].max()) == (255, 0)


def test_read_image_applies_exif_orientation(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # rotate right by 90 degrees
    ramp("L").save(tmp_path / "a.jpeg", exif=exif, quality=95)
    pixels, _ = read_image(tmp_path / "a.jpeg", 64)
    np.testing.assert_allclose(pixels[..., 0], RAMP.T, atol=6)


def test_read_image_damaged_text_beside_the_pixels_is_ignored(tmp_path):
    sound, damaged, texts = tmp_path / "sound.png", tmp_path / "damaged.png", PngInfo()
    texts.add_text("Comment", "an old phone")
    ramp("L").save(sound, pnginfo=texts)
    damaged.write_bytes(sound.read_bytes().replace(b"an old", b"a bold"))
    assert (read_image(damaged, 32)[0] == read_image(sound, 32)[0]).all()


def test_read_image_equal_16_bit_values_are_black(tmp_path):
    (tmp_path / "a.png").write_bytes(png16(np.full((8, 8, 1), 4000)))
    assert not read_image(tmp_path / "a.png", 8)[0].any()


UNUSABLE = {
    "empty": (lambda: b"", "empty file"),
    "truncated-jpeg": (lambda: READABLE["jpeg-L"]()[:-400], "truncated"),
    "truncated-png": (
        lambda: png16(np.random.default_rng(0).integers(0, 9999, (64, 64, 1)))[:4000],
        "truncated",
    ),
    "text": (lambda: b"<html>404 Not Found</html>", "not a JPEG, PNG or WebP image"),
    "gif": (lambda: encode(ramp("L"), "GIF"), "not a JPEG, PNG or WebP image"),
    "bomb": (lambda: png(20_000, 20_000, 8, 0, b""), "decompression bomb: over 89,000,000 pixels"),
    "small-bomb": (lambda: png(10_000, 10_000, 8, 0, b""), "decompression bomb"),
    "jpeg-header-alone": (lambda: READABLE["jpeg-L"]()[:20], "its beginning can.t be read"),
    "png-with-a-flipped-byte": (lambda: flip_byte(READABLE["png-L"]()), "damaged"),
    "dicom": (lambda: bytes(128) + b"DICM" + bytes(99), "not a JPEG, PNG or WebP image"),
    "heic": (
        lambda: b"\0\0\0\x18ftypheic" + bytes(99),
        "not a JPEG, PNG or WebP image",
    ),
    "git-lfs-pointer": (
        lambda: b"version https://git-lfs.github.com/spec/v1\n",
        "not a JPEG, PNG or WebP image",
    ),
    "gray-16-bit-with-alpha": (lambda: png16(twelve_bit(2)), "16-bit with transparency"),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_read_image_unusable_file_raises_with_reason(tmp_path, kind):
    content, reason = UNUSABLE[kind]
    (tmp_path / "a.jpeg").write_bytes(content())
    with pytest.raises(UnusableImageError, match=reason):
        read_image(tmp_path / "a.jpeg", 64)


def test_read_image_not_a_file_raises_with_reason(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.png").symlink_to("nowhere.png")
    (tmp_path / ".a.jpeg.icloud").touch()
    os.mkfifo(tmp_path / "pipe.jpeg")  # reading it would never end
    for name, reason in (
        ("folder", "a folder, not an image"),
        ("link.png", "broken link"),
        ("pipe.jpeg", "not a regular file"),
        (".a.jpeg.icloud", "not downloaded from iCloud"),
    ):
        with pytest.raises(UnusableImageError, match=reason):
            read_image(tmp_path / name, 64)


def test_list_files_leaves_out_clutter(tmp_path):
    clutter = (
        "desktop.ini",
        "Desktop.ini",
        ".DS_Store",
        "Thumbs.db",
        "._a.jpeg",
        "Picasa.ini",
        "Icon\r",
    )
    for name in ("a.jpeg", ".b.jpeg.icloud", *clutter):
        (tmp_path / name).touch()
    assert [path.name for path in list_files(tmp_path)] == [".b.jpeg.icloud", "a.jpeg"]


def make_images(n_images=4, **changes):
    """Images of one pixel, each of the value of its row."""
    parts = {
        "pixels": np.arange(n_images, dtype=np.uint8).reshape(-1, 1, 1, 1).repeat(3, axis=3),
        "labels": np.arange(n_images) % 2,
        "paths": [str(row) for row in range(n_images)],
        "patients": [f"patient {row}" for row in range(n_images)],
        "class_names": ("normal", "covid"),
    }
    return ImageSet(**parts | changes)


MASK = [False, True, True, False]
MASKS = {
    "list": MASK,
    "tuple": tuple(MASK),
    "list of NumPy's": list(np.array(MASK)),
    "array": np.array(MASK),
    "array of objects": np.array(MASK, object),
    "Series": pd.Series(MASK),
    "filtered Series": pd.Series(MASK, index=[3, 5, 8, 9]),
    "Series by path": pd.Series(MASK, index=list("dcba")),
    "nullable Series": pd.Series(MASK, dtype="boolean"),
}


@pytest.mark.parametrize("in_files", [False, True])
@pytest.mark.parametrize("mask", MASKS.values(), ids=MASKS)
def test_subset_by_mask_selects_by_truth(mask, in_files):
    images = make_images()
    if in_files:
        images = make_images(pixels=FilePixels("abcd", "0123", 1))
    part = images.subset(mask)
    assert (part.paths, part.patients) == (("1", "2"), ("patient 1", "patient 2"))
    assert part.labels.tolist() == [1, 0] and len(part.pixels) == 2
    if in_files:
        assert (part.pixels.files, images.pixels.take(mask).digests) == (("b", "c"), ("1", "2"))
    else:
        assert part.pixels[:, 0, 0, 0].tolist() == [1, 2]


def test_subset_by_row_numbers_keeps_their_order():
    for rows in ([-1, 0, 0], np.array([3, 0, 0]), pd.Series([3, 0, 0], index=list("abc"))):
        assert make_images().subset(rows).paths == ("3", "0", "0")
    assert len(make_images().subset([])) == len(make_images().subset([False] * 4)) == 0


@pytest.mark.parametrize(
    "rows",
    [MASK[1:], [*MASK, True], [4], [-5], [True, 1, 0, 0], [0.0], "0", 1, None, [[0, 1]], [None],
     slice(2), pd.Series(MASK, index=[3, 1, 0, 2]), pd.Series([True, None] * 2, dtype="boolean")],
)  # fmt: skip
def test_subset_by_other_rows_raises_one_line(rows):
    with pytest.raises(InputError, match=r"^[^\n]+$"):
        make_images().subset(rows)


@pytest.mark.parametrize(
    "part",
    [{"labels": [0, 1]}, {"paths": ["a"]}, {"patients": []}, {"labels": [0, 1, 2, 0]},
     {"labels": [0, -1, 0, 0]}, {"labels": [0.0] * 4}, {"pixels": np.zeros((3, 1, 1, 3), np.uint8)},
     {"pixels": np.zeros((4, 1, 1, 3))}, {"pixels": np.zeros((4, 1, 1), np.uint8)},
     {"class_names": ("normal",)}],
    ids=str,
)  # fmt: skip
def test_image_set_of_parts_that_differ_raises(part):
    with pytest.raises(InputError, match="Expected"):
        make_images(**part)


@pytest.mark.parametrize("part", ["labels", "pixels"])
def test_image_set_parts_cannot_be_shuffled_in_place(part):
    with pytest.raises(ValueError, match="read-only"):
        np.random.default_rng(0).shuffle(getattr(make_images(), part))


def test_file_pixels_without_a_digest_each_raises():
    with pytest.raises(InputError, match="2 files, 1 digests"):
        FilePixels("ab", "0", 1)


@pytest.mark.parametrize(
    "other",
    [
        make_images(class_names=("covid", "normal")),
        make_images(pixels=np.zeros((4, 2, 2, 3), np.uint8)),
    ],
    ids=["classes", "size"],
)
def test_join_of_other_classes_or_sizes_raises(other):
    with pytest.raises(InputError, match="of one size and the same classes"):
        make_images().join(other)
