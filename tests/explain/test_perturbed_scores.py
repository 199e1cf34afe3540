from dataclasses import replace

import numpy as np
import pytest

import xraykit as xk
from xraykit.explain.perturbations import PERTURBATIONS, thorax

RECIPE = xk.recipes["task1-smallcnn"].override(image_size=32, epochs=12)


@pytest.fixture(scope="module")
def framed(binary):
    """Noise, and a border that alone tells the class."""

    def drawn(images, seed):
        pixels = np.random.default_rng(seed).integers(90, 110, images.pixels.shape, dtype=np.uint8)
        pixels[:, ~thorax(32, 32)] += (60 * images.labels[:, None, None]).astype(np.uint8)
        return replace(images, pixels=pixels)

    parts = binary.parts
    return replace(binary, **{name: drawn(part, i) for i, (name, part) in enumerate(parts.items())})


@pytest.mark.slow
def test_when_the_border_tells_the_class_then_it_can_be_told_from_the_border_alone(framed, capsys):
    model, _ = RECIPE.train(framed)
    capsys.readouterr()
    table = xk.evaluate_perturbations(model, framed, RECIPE)
    assert capsys.readouterr().out == ""  # the trainings don't flood the table
    assert list(table.index) == list(PERTURBATIONS)
    asked, retrained = table["trained as they are"], table["retrained that way"]
    assert asked["unchanged"] == xk.Proportion(8, 8) and retrained["unchanged"] == ""
    assert retrained["thorax black"] == xk.Proportion(8, 8)
    for way in ("border black", "brightness and border equal"):
        assert asked[way].correct < 8 and asked[way].total == 8


def test_when_no_recipe_is_given_then_none_is_retrained(framed, small_cnn):
    table = xk.evaluate_perturbations(small_cnn, framed)
    assert list(table) == ["trained as they are"]
    scores = xk.score(xk.predict(small_cnn, framed.test))
    assert table.loc["unchanged"].iloc[0] == xk.Proportion(scores.correct, scores.total)


@pytest.mark.slow
def test_when_cross_validated_then_each_image_counts_once_and_as_in_cross_validation(framed):
    recipe = RECIPE.override(epochs=2)
    table = xk.cross_validate_perturbations(recipe, framed, folds=2)
    images = len(framed.train) + len(framed.validation)
    assert {cell.total for cell in table.to_numpy().ravel() if cell != ""} == {images}
    crossed = xk.cross_validate(recipe, framed, folds=2)
    correct = int((crossed["true"] == crossed["predicted"]).sum())
    assert table.loc["unchanged", "trained as they are"] == xk.Proportion(correct, images)
