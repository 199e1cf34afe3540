from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageDraw

import xraykit as xk
from xraykit.audit.features import border, brightness, text_marks
from xraykit.explain.perturbations import PERTURBATIONS, thorax_mask
from xraykit.metrics.intervals import wilson_interval

RECIPE = xk.recipes["task1-smallcnn"].override(image_size=32, epochs=12)


@pytest.fixture(scope="module")
def confounded(confounded_phantoms):
    return xk.load_task("binary", confounded_phantoms, image_size=96)


def to_gray(images):
    return [np.asarray(Image.fromarray(image).convert("L").resize((256, 256))) for image in images]


def test_thorax_mask_is_the_middle_three_quarters():
    mask = thorax_mask(32, 64)
    assert mask[4:28, 8:56].all() and mask.sum() == 24 * 48


@pytest.mark.parametrize(
    ("perturbation", "is_thorax"), [("border black", True), ("thorax black", False)]
)
def test_perturb_blackens_one_region_and_leaves_the_other(confounded, perturbation, is_thorax):
    mask = thorax_mask(96, 96) == is_thorax
    perturbed = xk.perturb(confounded.test, perturbation, reference=confounded.train).pixels
    assert (perturbed[:, mask] == confounded.test.pixels[:, mask]).all()
    assert not perturbed[:, ~mask].any()


def test_perturb_fills_text_marks_and_leaves_the_middle(binary):
    pixels = np.full((8, 96, 96, 3), 90, np.uint8)
    pixels[:, 46:50, 46:50] = 255  # not near an edge
    with_text = pixels.copy()
    for row in range(8):
        image = Image.fromarray(pixels[row])
        ImageDraw.Draw(image).text((4, 4), "AP", fill="white")
        with_text[row] = np.asarray(image)
    images = replace(binary.test, pixels=with_text)
    assert text_marks(None, to_gray(with_text)[0]).any()
    perturbed = xk.perturb(images, "text-like marks filled", reference=images).pixels
    assert not text_marks(None, to_gray(perturbed)[0]).any()
    assert np.abs(perturbed.astype(int) - pixels).max() <= 20


def test_perturb_equalizes_border_and_brightness(confounded):
    features = {}
    for name in ("unchanged", "brightness and border equal"):
        images = to_gray(xk.perturb(confounded.test, name, reference=confounded.train).pixels)
        features[name] = [(border(None, image), brightness(None, image)) for image in images]
    for values in zip(*features["brightness and border equal"], strict=True):
        assert np.ptp(np.array(values), axis=0).max() <= 1
    for values in zip(*features["unchanged"], strict=True):
        assert np.ptp(np.array(values), axis=0).max() > 20


def test_perturb_equal_brightness_keeps_the_order_of_grays(confounded):
    before, after = (
        xk.perturb(confounded.test, name, reference=confounded.train).pixels[0, ..., 0]
        for name in ("unchanged", "brightness and border equal")
    )
    mask = thorax_mask(96, 96)
    order = np.argsort(before[mask], kind="stable")
    assert (np.diff(after[mask][order].astype(int)) >= 0).all()


@pytest.mark.parametrize("perturbation", PERTURBATIONS)
def test_perturb_does_not_change_its_input(confounded, perturbation):
    before = confounded.test.pixels.copy()
    perturbed = xk.perturb(confounded.test, perturbation, reference=confounded.train)
    assert perturbed.pixels.shape == before.shape and perturbed.pixels.dtype == np.uint8
    assert perturbed.paths == confounded.test.paths
    assert (confounded.test.pixels == before).all()


def test_perturb_of_images_in_files_gives_the_same_pixels(drawn_challenge):
    stored, lazy = (
        xk.load_task("binary", drawn_challenge, image_size=32, in_memory=in_memory)
        for in_memory in (True, False)
    )
    for name in PERTURBATIONS:
        first, second = (
            xk.perturb(task.test, name, reference=task.train) for task in (stored, lazy)
        )
        np.testing.assert_array_equal(first.pixels, second.pixels)


def test_perturb_with_an_unknown_name_suggests_the_nearest(binary):
    with pytest.raises(xk.InputError, match=r"Unknown perturbation.*Did you mean 'border black'"):
        xk.perturb(binary.test, "border blak", reference=binary.train)


def test_perturb_to_equal_brightness_keeps_equal_pixels_equal(binary):
    flat = replace(binary.test, pixels=np.full_like(binary.test.pixels, 77))
    perturbed = xk.perturb(flat, "brightness and border equal", reference=binary.train).pixels
    assert len(np.unique(perturbed[:, thorax_mask(32, 32)])) == 1


def test_perturb_with_training_images_of_another_size_raises(binary, confounded):
    with pytest.raises(xk.InputError, match="use the same image_size for both"):
        xk.perturb(binary.test, "border black", reference=confounded.train)


@pytest.fixture(scope="module")
def framed(binary):
    """Noise, with a border that alone predicts the class."""

    def draw_frames(images, seed):
        pixels = np.random.default_rng(seed).integers(90, 110, images.pixels.shape, dtype=np.uint8)
        pixels[:, ~thorax_mask(32, 32)] += (60 * images.labels[:, None, None]).astype(np.uint8)
        return replace(images, pixels=pixels)

    parts = enumerate(binary.parts.items())
    return replace(binary, **{name: draw_frames(images, seed) for seed, (name, images) in parts})


def get_counts(table, model):
    """Return (correct, total) of each perturbation for one model."""
    rows = table[table["model"] == model].set_index("perturbation")
    return rows[["correct", "total"]].apply(tuple, axis=1).to_dict()


@pytest.mark.slow
def test_evaluate_perturbations_retrained_reads_the_border(framed, capsys):
    model, _ = RECIPE.train(framed)
    capsys.readouterr()
    table = xk.evaluate_perturbations(model, framed, recipe=RECIPE)
    assert capsys.readouterr().out == ""  # the trainings don't flood the table
    assert list(table) == ["perturbation", "model", "correct", "total", "low", "high"]
    original, retrained = get_counts(table, "original model"), get_counts(table, "retrained")
    assert list(original) == list(PERTURBATIONS)
    assert list(retrained) == list(PERTURBATIONS)[1:]
    assert original["unchanged"] == retrained["thorax black"] == (8, 8)
    for name in ("border black", "brightness and border equal"):
        assert original[name][0] < 8 and original[name][1] == 8


def test_evaluate_perturbations_without_a_recipe_retrains_none(framed, small_cnn):
    table = xk.evaluate_perturbations(small_cnn, framed)
    assert table["perturbation"].tolist() == list(PERTURBATIONS)
    assert set(table["model"]) == {"original model"}
    scores = xk.score(xk.predict(small_cnn, framed.test))
    expected = scores.correct, scores.total
    assert get_counts(table, "original model")["unchanged"] == expected
    assert tuple(table.loc[0, ["low", "high"]]) == wilson_interval(*expected)
    assert xk.display_table(table).loc["unchanged"].tolist() == [str(xk.Proportion(*expected))]


@pytest.mark.slow
def test_cross_validate_perturbations_counts_each_image_once(framed):
    recipe = RECIPE.override(epochs=2)
    table = xk.cross_validate_perturbations(recipe, framed, folds=2)
    images = len(framed.train) + len(framed.validation)
    assert set(table["total"]) == {images}
    predictions = xk.cross_validate(recipe, framed, folds=2)
    correct = int((predictions["true"] == predictions["predicted"]).sum())
    assert get_counts(table, "original model")["unchanged"] == (correct, images)
