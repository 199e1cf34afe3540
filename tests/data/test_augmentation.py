import dataclasses

import numpy as np
import pytest

import xraykit as xk

NONE = {"brightness": 0, "contrast": 0}
SIZE = 64


@pytest.fixture
def images():
    return np.random.default_rng(1).integers(0, 256, (6, SIZE, SIZE, 3), dtype=np.uint8)


def draw_views(pixels, seed=1, numbers=None, **limits):
    augmentation = xk.Augmentation(**NONE | limits)
    names = [str(number) for number in range(len(pixels))]
    return augmentation.views(
        pixels, digests=names, seed=seed, numbers=numbers or [0] * len(pixels)
    )


def draw_spots(row, column, count=200):
    """Return `count` copies of one bright spot on black."""
    pixels = np.zeros((count, SIZE, SIZE, 3), np.uint8)
    pixels[:, row - 2 : row + 2, column - 2 : column + 2] = 200
    return pixels


def locate_spot(image):
    """Return the position of the spot, from the center of the image."""
    weight = image[..., 0] / image[..., 0].sum()
    place = np.arange(SIZE) + 0.5 - SIZE / 2
    return np.array([weight.sum(axis=1) @ place, weight.sum(axis=0) @ place])


def test_views_zero_limits_change_nothing(images):
    np.testing.assert_array_equal(draw_views(images), images)


def test_views_do_not_depend_on_the_batch(images):
    augmentation = xk.Augmentation(rotation=5, shift=0.03, zoom=0.05)
    names = [str(number) for number in range(6)]
    together = augmentation.views(images, digests=names, seed=7, numbers=[0, 1, 2, 3, 4, 5])
    alone = augmentation.views(images[4:5], digests=names[4:5], seed=7, numbers=[4])
    np.testing.assert_array_equal(together[4], alone[0])


@pytest.mark.parametrize("other", [{"seed": 2}, {"numbers": [1] * 6}])
def test_views_other_seed_or_number_differ(images, other):
    one, two = draw_views(images, rotation=5), draw_views(images, rotation=5, **other)
    assert all((a != b).any() for a, b in zip(one, two, strict=True))


def test_views_rotation_keeps_distance_and_limit():
    spot = draw_spots(12, 32)
    rotated = np.array([locate_spot(view) for view in draw_views(spot, rotation=30)])
    np.testing.assert_allclose(np.hypot(*rotated.T), np.hypot(*locate_spot(spot[0])), atol=0.3)
    angles = np.degrees(np.arctan2(rotated[:, 1], -rotated[:, 0]))
    assert -30.5 < angles.min() < -25 and 25 < angles.max() < 30.5


def test_views_shift_both_ways_within_the_limit():
    moved = np.array([locate_spot(view) for view in draw_views(draw_spots(32, 32), shift=0.1)])
    assert np.abs(moved).max() < 0.1 * SIZE + 0.1
    assert (moved.max(axis=0) > 5).all() and (moved.min(axis=0) < -5).all()


def test_views_zoom_moves_the_spot_out_or_in():
    distance = [np.hypot(*locate_spot(view)) for view in draw_views(draw_spots(20, 32), zoom=0.2)]
    start = 12
    assert start / 1.21 < min(distance) < 11 and 13 < max(distance) < start / 0.79


def test_views_flips_about_half(images):
    many = np.repeat(images[:1], 100, axis=0)
    flipped = draw_views(many, horizontal_flip=True)
    mirrored = (flipped == many[:, :, ::-1]).all(axis=(1, 2, 3))
    assert 35 < mirrored.sum() < 65
    np.testing.assert_array_equal(flipped[~mirrored], many[~mirrored])


def test_views_gray_image_equals_each_channel(images):
    colored = images.copy()
    gray = np.repeat(colored[..., 1:2], 3, axis=-1)
    color_views, gray_views = (
        draw_views(pixels, rotation=20, contrast=0.3) for pixels in (colored, gray)
    )
    np.testing.assert_array_equal(gray_views, np.repeat(color_views[..., 1:2], 3, axis=-1))


def test_views_reflected_border_is_not_black():
    gray = np.full((50, SIZE, SIZE, 3), 90, np.uint8)
    far = {"rotation": 50, "shift": 0.4, "zoom": 0.5, "shear": 20}
    assert (draw_views(gray, **far) == 90).all()
    assert (draw_views(gray, **far, fill="black") == 0).any()


def test_views_brightness_and_contrast_keep_order_and_limits():
    ramp = np.tile(np.arange(256, dtype=np.uint8)[None, :, None], (256, 1, 3))[None].repeat(50, 0)
    changed = draw_views(ramp, brightness=20, contrast=0.2)[:, 0, :, 0].astype(int)
    assert (np.diff(changed, axis=1) >= 0).all()
    middle = changed[:, 127] - 127
    assert -20 <= middle.min() < -10 and 10 < middle.max() <= 20


def test_views_leave_the_images_unchanged(images):
    before = images.copy()
    xk.Augmentation.handout().views(images, digests=list("abcdef"), seed=1, numbers=[0] * 6)
    np.testing.assert_array_equal(images, before)


def test_handout_has_the_values_of_2020():
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
def test_augmentation_bad_limit_raises_one_line(limits, message):
    with pytest.raises(xk.InputError, match=message):
        xk.Augmentation(**limits)
