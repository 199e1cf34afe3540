from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw

import xraykit as xk
from xraykit.audit.features import border, brightness, marks
from xraykit.explain.perturbations import PERTURBATIONS, thorax


@pytest.fixture(scope="module")
def tied(tmp_path_factory):
    """Phantoms whose borders, marks and brightness tell the class."""
    folder = tmp_path_factory.mktemp("tied") / "set"
    xk.draw_phantoms(folder, "binary", images=40, shortcut=1.0, seed=3)
    return xk.load_task("binary", folder, image_size=96)


def grey(images):
    return [np.asarray(Image.fromarray(each).convert("L").resize((256, 256))) for each in images]


def test_thorax_is_the_middle_three_quarters():
    mask = thorax(32, 64)
    assert mask[4:28, 8:56].all() and mask.sum() == 24 * 48


@pytest.mark.parametrize(("way", "kept"), [("border black", True), ("thorax black", False)])
def test_when_a_part_is_black_then_the_other_is_as_it_was(tied, way, kept):
    mask = thorax(96, 96) == kept
    changed = xk.perturb(tied.test, way, tied.train).pixels
    assert (changed[:, mask] == tied.test.pixels[:, mask]).all()
    assert not changed[:, ~mask].any()


def test_when_marks_are_filled_in_then_letters_are_gone_and_the_middle_is_as_it_was(binary):
    pixels = np.full((8, 96, 96, 3), 90, np.uint8)
    pixels[:, 46:50, 46:50] = 255  # not near an edge
    lettered = pixels.copy()
    for row in range(8):
        image = Image.fromarray(pixels[row])
        ImageDraw.Draw(image).text((4, 4), "AP", fill="white")
        lettered[row] = np.asarray(image)
    images = replace(binary.test, pixels=lettered)
    assert marks(None, grey(lettered)[0]).any()
    changed = xk.perturb(images, "text-like marks filled", images).pixels
    assert not marks(None, grey(changed)[0]).any()
    assert np.abs(changed.astype(int) - pixels).max() <= 20


def test_when_made_equal_then_border_and_brightness_tell_no_images_from_another(tied):
    measures = {}
    for way in ("unchanged", "brightness and border equal"):
        greys = grey(xk.perturb(tied.test, way, tied.train).pixels)
        measures[way] = [(border(None, each), brightness(None, each)) for each in greys]
    for numbers in zip(*measures["brightness and border equal"], strict=True):
        assert np.ptp(np.array(numbers), axis=0).max() <= 1
    for numbers in zip(*measures["unchanged"], strict=True):
        assert np.ptp(np.array(numbers), axis=0).max() > 20


def test_when_made_equal_then_what_is_darker_stays_darker(tied):
    before = xk.perturb(tied.test, "unchanged", tied.train).pixels[0, ..., 0]
    after = xk.perturb(tied.test, "brightness and border equal", tied.train).pixels[0, ..., 0]
    mask = thorax(96, 96)
    order = np.argsort(before[mask], kind="stable")
    assert (np.diff(after[mask][order].astype(int)) >= 0).all()


@pytest.mark.parametrize("way", PERTURBATIONS)
def test_when_changed_then_the_images_themselves_are_not(tied, way):
    before = tied.test.pixels.copy()
    changed = xk.perturb(tied.test, way, tied.train)
    assert changed.pixels.shape == before.shape and changed.pixels.dtype == np.uint8
    assert changed.paths == tied.test.paths
    assert (tied.test.pixels == before).all()


def test_when_images_stay_in_their_files_then_they_are_changed_alike(drawn_challenge):
    kept, lazy = (
        xk.load_task("binary", drawn_challenge, image_size=32, in_memory=there)
        for there in (True, False)
    )
    for way in PERTURBATIONS:
        first, second = (xk.perturb(task.test, way, task.train) for task in (kept, lazy))
        np.testing.assert_array_equal(first.pixels, second.pixels)


def test_when_the_way_is_unknown_then_the_near_match_is_named(binary):
    with pytest.raises(xk.InputError, match="Did you mean 'border black'"):
        xk.perturb(binary.test, "border blak", binary.train)


def test_when_pixels_are_equal_then_they_stay_so(binary):
    flat = replace(binary.test, pixels=np.full_like(binary.test.pixels, 77))
    changed = xk.perturb(flat, "brightness and border equal", binary.train).pixels
    assert len(np.unique(changed[:, thorax(32, 32)])) == 1


def test_when_training_images_are_of_another_size_then_one_line_says_so(binary, tied):
    with pytest.raises(xk.InputError, match="use the same image_size for both"):
        xk.perturb(binary.test, "border black", tied.train)
