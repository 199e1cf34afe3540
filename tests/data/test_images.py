import io
import os
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from xraykit.data.images import UnusableImageError, list_files, read_image

RAMP = np.tile(np.linspace(0, 255, 64), (64, 1))  # dark on the left, bright on the right


def chunk(kind, body):
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def png(width, height, bits, kind, rows):
    header = struct.pack(">IIBBBBB", width, height, bits, kind, 0, 0, 0)
    chunks = [chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunks)


def png16(values):
    """A PNG of 16 bits a channel; Pillow itself writes none in colour."""
    height, width, channels = values.shape
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    return png(width, height, 16, {1: 0, 2: 4, 3: 2, 4: 6}[channels], rows)


def saved(image, kind, **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def flipped(content):
    """The same with one byte of the pixels changed, which its checksum gives away."""
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 255]) + content[middle + 1 :]


def ramp(mode):
    return Image.fromarray(RAMP.astype(np.uint8)).convert(mode)


def twelve_bit(channels):
    return np.repeat((RAMP * 16)[..., None], channels, axis=-1)


READABLE = {
    "jpeg-L": lambda: saved(ramp("L"), "JPEG", quality=95),
    "jpeg-RGB": lambda: saved(ramp("RGB"), "JPEG", quality=95),
    "jpeg-CMYK": lambda: saved(ramp("CMYK"), "JPEG", quality=95),
    "png-L": lambda: saved(ramp("L"), "PNG"),
    "png-RGB": lambda: saved(ramp("RGB"), "PNG"),
    "png-RGBA": lambda: saved(ramp("RGBA"), "PNG"),
    "png-LA": lambda: saved(ramp("LA"), "PNG"),
    "png-palette": lambda: saved(ramp("P"), "PNG"),
    "png-16-bit-grey": lambda: png16(twelve_bit(1)),
    "png-16-bit-RGB": lambda: png16(twelve_bit(3)),
    "webp": lambda: saved(ramp("RGB"), "WEBP", lossless=True),
}


@pytest.mark.parametrize("kind", READABLE)
def test_when_images_is_of_any_usual_kind_then_it_is_read_as_rgb(tmp_path, kind):
    path = tmp_path / f"{kind} é.jpeg"  # whatever its name says
    path.write_bytes(READABLE[kind]())
    pixels, _ = read_image(path, 64)
    assert (pixels.shape, pixels.dtype) == ((64, 64, 3), np.uint8)
    np.testing.assert_allclose(pixels, np.repeat(RAMP[..., None], 3, axis=-1), atol=6)


def test_when_images_is_transparent_then_black_is_behind_it(tmp_path):
    image = Image.new("RGBA", (8, 8), (255, 255, 255, 0))
    image.paste((200, 100, 50, 255), (0, 0, 4, 8))
    image.save(tmp_path / "a.png")
    pixels, _ = read_image(tmp_path / "a.png", 8)
    assert pixels[0, 0].tolist() == [200, 100, 50]
    assert pixels[0, 7].tolist() == [0, 0, 0]


def test_when_16_bit_colour_is_transparent_then_black_is_behind_it(tmp_path):
    values = np.zeros((8, 8, 4))
    values[..., :3] = 65535 * (np.arange(8) % 2)[:, None]
    values[:, :4, 3] = 65535
    (tmp_path / "a.png").write_bytes(png16(values))
    pixels, _ = read_image(tmp_path / "a.png", 8)
    assert (pixels[:, :4].max(), pixels[:, 4:].max()) == (255, 0)


def test_when_exif_says_rotated_then_images_is_turned_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # to be turned right by 90 degrees
    ramp("L").save(tmp_path / "a.jpeg", exif=exif, quality=95)
    pixels, _ = read_image(tmp_path / "a.jpeg", 64)
    np.testing.assert_allclose(pixels[..., 0], RAMP.T, atol=6)


def test_when_all_16_bit_values_are_equal_then_nothing_divides_by_zero(tmp_path):
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
    "gif": (lambda: saved(ramp("L"), "GIF"), "not a JPEG, PNG or WebP image"),
    "bomb": (lambda: png(20_000, 20_000, 8, 0, b""), "decompression bomb: over 89,000,000 pixels"),
    "small-bomb": (lambda: png(10_000, 10_000, 8, 0, b""), "decompression bomb"),
    "jpeg-header-alone": (lambda: READABLE["jpeg-L"]()[:20], "not a JPEG, PNG or WebP image"),
    "png-with-a-flipped-byte": (lambda: flipped(READABLE["png-L"]()), "damaged"),
    "dicom": (lambda: bytes(128) + b"DICM" + bytes(99), "not a JPEG, PNG or WebP image"),
    "heic": (
        lambda: b"\0\0\0\x18ftypheic" + bytes(99),
        "not a JPEG, PNG or WebP image",
    ),
    "git-lfs-pointer": (
        lambda: b"version https://git-lfs.github.com/spec/v1\n",
        "not a JPEG, PNG or WebP image",
    ),
    "grey-16-bit-with-alpha": (lambda: png16(twelve_bit(2)), "16-bit with transparency"),
}


@pytest.mark.parametrize("kind", UNUSABLE)
def test_when_file_cant_be_used_then_the_reason_is_said(tmp_path, kind):
    content, reason = UNUSABLE[kind]
    (tmp_path / "a.jpeg").write_bytes(content())
    with pytest.raises(UnusableImageError, match=reason):
        read_image(tmp_path / "a.jpeg", 64)


def test_when_entry_is_no_file_then_the_reason_is_said(tmp_path):
    (tmp_path / "folder").mkdir()
    (tmp_path / "link.png").symlink_to("nowhere.png")
    (tmp_path / ".a.jpeg.icloud").touch()
    os.mkfifo(tmp_path / "pipe.jpeg")  # reading it would wait for ever
    for name, reason in (
        ("folder", "a folder, not an image"),
        ("link.png", "broken link"),
        ("pipe.jpeg", "not a regular file"),
        (".a.jpeg.icloud", "not downloaded from iCloud"),
    ):
        with pytest.raises(UnusableImageError, match=reason):
            read_image(tmp_path / name, 64)


def test_when_folder_holds_clutter_then_only_images_and_placeholders_are_listed(tmp_path):
    clutter = ("desktop.ini", "Desktop.ini", ".DS_Store", "Thumbs.db", "._a.jpeg")
    for name in ("a.jpeg", ".b.jpeg.icloud", *clutter):
        (tmp_path / name).touch()
    assert [path.name for path in list_files(tmp_path)] == [".b.jpeg.icloud", "a.jpeg"]
