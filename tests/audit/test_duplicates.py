import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from xraykit.audit.duplicates import find_near_duplicates
from xraykit.data.phantoms import draw_image

POOL = ["normal", "covid"]


@pytest.fixture(scope="module")
def chests():
    return [draw_image(POOL[i % 2], POOL, 0.0, 1, i)[0].convert("L") for i in range(6)]


def grey(image):
    return np.asarray(image.convert("L").resize((256, 256), Image.Resampling.BILINEAR))


def table(number):
    return pd.DataFrame(
        {
            "path": [f"{i}.png" for i in range(number)],
            "patient": ["p0", *(f"p{i}" for i in range(number - 1))],  # the first two are one's
            "class": [POOL[i % 2] for i in range(number)],
            "split": ["train"] * (number - 1) + ["test"],
        }
    )


def compressed(image):
    content = io.BytesIO()
    image.save(content, "JPEG", quality=30)
    return Image.open(content)


def cut(image):
    width, height = image.size
    return image.crop((width // 100, height // 100, width - width // 100, height - height // 100))


@pytest.mark.parametrize(
    "changed",
    [
        compressed,
        lambda image: image.resize((150, 120)),
        lambda image: image.point(lambda level: min(255, level + 25)),
        lambda image: image.convert("RGBA"),
        cut,
    ],
    ids=["compressed", "smaller", "brighter", "another mode", "a hundredth cut off"],
)
def test_when_a_copy_is_changed_a_little_then_it_is_found_and_nothing_else_is(chests, changed):
    pixels = np.stack([*map(grey, chests), grey(changed(chests[2]))])
    found = find_near_duplicates(table(7), pixels)
    assert found[["first", "second"]].to_numpy().tolist() == [["2.png", "6.png"]]
    assert not found["same_split"].any() and not found["same_patient"].any()
    assert found["same_class"].all()


def test_when_pixels_are_the_same_then_the_pair_is_exact(chests):
    found = find_near_duplicates(
        table(3), np.stack([grey(chests[0]), grey(chests[0]), grey(chests[1])])
    )
    assert found["exact"].tolist() == [True]
    assert found["same_patient"].tolist() == [True]


def test_when_no_two_are_alike_then_the_table_is_empty(chests):
    assert find_near_duplicates(table(6), np.stack(list(map(grey, chests)))).empty
