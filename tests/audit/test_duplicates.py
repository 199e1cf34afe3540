import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from xraykit.audit.duplicates import find_near_duplicates
from xraykit.data.phantoms import draw_image

CLASSES = ["normal", "covid"]


@pytest.fixture(scope="module")
def chests():
    return [draw_image(CLASSES[i % 2], CLASSES, 0.0, 1, i)[0].convert("L") for i in range(6)]


def to_gray(image):
    return np.asarray(image.convert("L").resize((256, 256), Image.Resampling.BILINEAR))


def make_table(number):
    return pd.DataFrame(
        {
            "path": [f"{i}.png" for i in range(number)],
            "patient": [
                "p0",
                *(f"p{i}" for i in range(number - 1)),
            ],  # the first two are of one patient
            "class": [CLASSES[i % 2] for i in range(number)],
            "split": ["train"] * (number - 1) + ["test"],
        }
    )


def compress(image):
    content = io.BytesIO()
    image.save(content, "JPEG", quality=30)
    return Image.open(content)


def crop(image):
    width, height = image.size
    return image.crop((width // 100, height // 100, width - width // 100, height - height // 100))


@pytest.mark.parametrize(
    "change",
    [
        compress,
        lambda image: image.resize((150, 120)),
        lambda image: image.point(lambda level: min(255, level + 25)),
        lambda image: image.convert("RGBA"),
        crop,
    ],
    ids=["compressed", "smaller", "brighter", "another mode", "a hundredth cropped"],
)
def test_find_near_duplicates_finds_only_the_changed_copy(chests, change):
    pixels = np.stack([*map(to_gray, chests), to_gray(change(chests[2]))])
    pairs = find_near_duplicates(make_table(7), pixels)
    assert pairs[["first", "second"]].to_numpy().tolist() == [["2.png", "6.png"]]
    assert not pairs["same_split"].any() and not pairs["same_patient"].any()
    assert pairs["same_class"].all()


def test_find_near_duplicates_equal_pixels_are_exact(chests):
    pairs = find_near_duplicates(
        make_table(3), np.stack([to_gray(chests[0]), to_gray(chests[0]), to_gray(chests[1])])
    )
    assert pairs["exact"].tolist() == [True]
    assert pairs["same_patient"].tolist() == [True]


def test_find_near_duplicates_without_duplicates_is_empty(chests):
    assert find_near_duplicates(make_table(6), np.stack(list(map(to_gray, chests)))).empty
