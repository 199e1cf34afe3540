import numpy as np
import pytest
from PIL import Image, ImageDraw, ImageFont

from xraykit.audit.features import IMAGE_FEATURES, border, file_metadata, marks

HERE = None  # where a measure needs no file


@pytest.fixture
def chest():
    """Smooth, with two soft lungs."""
    y, x = np.mgrid[0:256, 0:256]
    lungs = sum(np.exp(-(((x - at) / 35) ** 2) - ((y - 128) / 60) ** 2) for at in (80, 176))
    return (160 - 110 * lungs).astype(np.uint8)


def written(grey, text, at, size=20):
    image = Image.fromarray(grey)
    ImageDraw.Draw(image).text(at, text, fill=240, font=ImageFont.load_default(size))
    return np.asarray(image)


def test_the_border_is_the_outermost_3_of_64_pixels_and_nothing_further_in(chest):
    inside, outside = chest.copy(), chest.copy()
    inside[12:-12, 12:-12] = 0
    outside[11, 11] += 40
    assert (border(HERE, inside) == border(HERE, chest)).all()
    assert (border(HERE, outside) != border(HERE, chest)).any()


@pytest.mark.parametrize(
    ("at", "place"), [((5, 20), 0), ((235, 20), 2), ((5, 225), 5), ((235, 225), 7)]
)
def test_when_a_letter_is_burnt_in_then_it_is_counted_where_it_stands(chest, at, place):
    before, after = (
        marks(HERE, grey).reshape(8, 2)[:, 0] for grey in (chest, written(chest, "R", at))
    )
    assert not before.any()
    assert np.flatnonzero(after).tolist() == [place]


def test_when_something_is_written_over_the_lungs_then_it_is_no_mark(chest):
    assert not marks(HERE, written(chest, "COVID", (90, 120))).any()


def test_when_only_the_lungs_change_then_border_and_marks_do_not(chest):
    ill = chest.copy()
    ill[60:200, 40:216] = np.random.default_rng(0).integers(0, 256, (140, 176))
    for measure in (border, marks):
        np.testing.assert_array_equal(measure(HERE, chest), measure(HERE, ill))


def test_file_facts_are_width_height_bytes_and_channels(tmp_path):
    path = tmp_path / "a.png"
    Image.new("RGBA", (30, 20)).save(path)
    facts = file_metadata(path, None)
    np.testing.assert_allclose(np.exp(facts[:3]), [30, 20, path.stat().st_size])
    assert facts[3] == 4


def test_three_can_get_a_verdict():
    assert [each.name for each in IMAGE_FEATURES if each.is_tested] == [
        "file metadata",
        "border",
        "text-like marks",
    ]
