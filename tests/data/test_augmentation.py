import dataclasses

import numpy as np
import pytest

import xraykit as xk

NONE = {"brightness": 0, "contrast": 0}
SIZE = 64


@pytest.fixture
def images():
    return np.random.default_rng(1).integers(0, 256, (6, SIZE, SIZE, 3), dtype=np.uint8)


def views(pixels, seed=1, numbers=None, **limits):
    augmentation = xk.Augmentation(**NONE | limits)
    names = [str(number) for number in range(len(pixels))]
    return augmentation.views(pixels, names, seed, numbers or [0] * len(pixels))


def dot(row, column, count=200):
    """One bright spot on black, many times."""
    pixels = np.zeros((count, SIZE, SIZE, 3), np.uint8)
    pixels[:, row - 2 : row + 2, column - 2 : column + 2] = 200
    return pixels


def centre(image):
    """Where the spot is, from the middle of the image."""
    weight = image[..., 0] / image[..., 0].sum()
    place = np.arange(SIZE) + 0.5 - SIZE / 2
    return np.array([weight.sum(axis=1) @ place, weight.sum(axis=0) @ place])


def test_when_all_limits_are_zero_then_nothing_changes(images):
    np.testing.assert_array_equal(views(images), images)


def test_when_an_image_comes_in_another_batch_then_its_view_is_the_same(images):
    augmentation = xk.Augmentation(rotation=5, shift=0.03, zoom=0.05)
    names = [str(number) for number in range(6)]
    together = augmentation.views(images, names, 7, [0, 1, 2, 3, 4, 5])
    alone = augmentation.views(images[4:5], names[4:5], 7, [4])
    np.testing.assert_array_equal(together[4], alone[0])


@pytest.mark.parametrize("other", [{"seed": 2}, {"numbers": [1] * 6}])
def test_when_seed_or_number_is_another_then_so_is_each_view(images, other):
    one, two = views(images, rotation=5), views(images, rotation=5, **other)
    assert all((a != b).any() for a, b in zip(one, two, strict=True))


def test_when_turned_then_the_spot_stays_at_its_distance_within_the_limit():
    spot = dot(12, 32)
    turned = np.array([centre(view) for view in views(spot, rotation=30)])
    np.testing.assert_allclose(np.hypot(*turned.T), np.hypot(*centre(spot[0])), atol=0.3)
    angles = np.degrees(np.arctan2(turned[:, 1], -turned[:, 0]))
    assert -30.5 < angles.min() < -25 and 25 < angles.max() < 30.5


def test_when_shifted_then_both_ways_within_the_limit():
    moved = np.array([centre(view) for view in views(dot(32, 32), shift=0.1)])
    assert np.abs(moved).max() < 0.1 * SIZE + 0.1
    assert (moved.max(axis=0) > 5).all() and (moved.min(axis=0) < -5).all()


def test_when_zoomed_then_the_spot_goes_out_or_in():
    distance = [np.hypot(*centre(view)) for view in views(dot(20, 32), zoom=0.2)]
    start = 12
    assert start / 1.21 < min(distance) < 11 and 13 < max(distance) < start / 0.79


def test_when_flips_are_asked_then_about_half_are_flipped(images):
    many = np.repeat(images[:1], 100, axis=0)
    flipped = views(many, horizontal_flip=True)
    mirrored = (flipped == many[:, :, ::-1]).all(axis=(1, 2, 3))
    assert 35 < mirrored.sum() < 65
    np.testing.assert_array_equal(flipped[~mirrored], many[~mirrored])


def test_when_grey_then_the_view_is_that_of_any_of_its_channels(images):
    coloured = images.copy()
    grey = np.repeat(coloured[..., 1:2], 3, axis=-1)
    one, other = (views(each, rotation=20, contrast=0.3) for each in (coloured, grey))
    np.testing.assert_array_equal(other, np.repeat(one[..., 1:2], 3, axis=-1))


def test_when_border_is_reflected_then_nothing_black_comes_in():
    grey = np.full((50, SIZE, SIZE, 3), 90, np.uint8)
    far = {"rotation": 50, "shift": 0.4, "zoom": 0.5, "shear": 20}
    assert (views(grey, **far) == 90).all()
    assert (views(grey, **far, fill="black") == 0).any()


def test_when_brightness_and_contrast_change_then_order_and_limits_are_kept():
    ramp = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (256, 1, 3))[None].repeat(50, 0)
    changed = views(ramp, brightness=20, contrast=0.2)[:, 0, :, 0].astype(int)
    assert (np.diff(changed, axis=1) >= 0).all()
    middle = changed[:, 127] - 127
    assert -20 <= middle.min() < -10 and 10 < middle.max() <= 20


def test_when_augmented_then_the_images_themselves_stay(images):
    before = images.copy()
    xk.Augmentation.handout().views(images, list("abcdef"), 1, [0] * 6)
    np.testing.assert_array_equal(images, before)


def test_when_handouts_way_is_asked_then_it_has_the_values_of_2020():
    handout = dataclasses.asdict(xk.Augmentation.handout())
    assert handout == {
        "rotation": 50,
        "shift": 0.2,
        "zoom": 0.1,
        "shear": 0.25,
        "brightness": 20,
        "contrast": 0,
        "horizontal_flip": True,
        "vertical_flip": True,
        "fill": "black",
    }


@pytest.mark.parametrize(
    ("limits", "message"),
    [
        ({"rotation": -1}, "rotation=-1: expected a number from 0 to 180"),
        ({"shift": "far"}, "shift='far': expected a number"),
        ({"zoom": 1}, "zoom=1: expected a number from 0 to 0.9"),
        ({"shift": 300}, "shift=300: expected a number from 0 to 1"),
        ({"brightness": float("nan")}, "brightness=nan: expected a number"),
        ({"fill": "reflct"}, "Did you mean 'reflect'"),
    ],
)
def test_when_a_limit_is_bad_then_one_line_says_so(limits, message):
    with pytest.raises(xk.InputError, match=message):
        xk.Augmentation(**limits)
