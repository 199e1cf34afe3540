import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from xraykit.audit.baselines import IMAGE_FEATURES
from xraykit.audit.features import border, file_metadata, text_marks

NO_FILE = None  # these features need none


@pytest.fixture
def chest():
    """A smooth image with two soft lungs."""
    y, x = np.mgrid[0:256, 0:256]
    lungs = sum(np.exp(-(((x - at) / 35) ** 2) - ((y - 128) / 60) ** 2) for at in (80, 176))
    return (160 - 110 * lungs).astype(np.uint8)


def write_text(gray, text, at, size=20):
    image = Image.fromarray(gray)
    ImageDraw.Draw(image).text(at, text, fill=240, font=ImageFont.load_default(size))
    return np.asarray(image)


def test_border_is_the_outermost_3_of_64_pixels(chest):
    inside, outside = chest.copy(), chest.copy()
    inside[12:-12, 12:-12] = 0
    outside[11, 11] += 40
    assert (border(NO_FILE, inside) == border(NO_FILE, chest)).all()
    assert (border(NO_FILE, outside) != border(NO_FILE, chest)).any()


@pytest.mark.parametrize(
    ("at", "place"), [((5, 20), 0), ((235, 20), 2), ((5, 225), 5), ((235, 225), 7)]
)
def test_text_marks_counts_a_letter_at_its_place(chest, at, place):
    before, after = (
        text_marks(NO_FILE, gray).reshape(8, 2)[:, 0]
        for gray in (chest, write_text(chest, "R", at))
    )
    assert not before.any()
    assert np.flatnonzero(after).tolist() == [place]


def test_text_marks_ignores_text_over_the_lungs(chest):
    assert not text_marks(NO_FILE, write_text(chest, "COVID", (90, 120))).any()


def test_border_and_text_marks_do_not_depend_on_the_lungs(chest):
    ill = chest.copy()
    ill[60:200, 40:216] = np.random.default_rng(0).integers(0, 256, (140, 176))
    for extract in (border, text_marks):
        np.testing.assert_array_equal(extract(NO_FILE, chest), extract(NO_FILE, ill))


def test_file_metadata_is_width_height_bytes_and_channels(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGBA", (30, 20)).save(path)
    values = file_metadata(path, None)
    np.testing.assert_allclose(np.exp(values[:3]), [30, 20, path.stat().st_size])
    assert values[3] == 4


def test_image_features_three_are_tested():
    assert [feature.name for feature in IMAGE_FEATURES if feature.is_tested] == [
        "file metadata",
        "border",
        "text-like marks",
    ]
