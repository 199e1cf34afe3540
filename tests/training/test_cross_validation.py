from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

import xraykit as xk
from xraykit.data.images import ImageSet
from xraykit.data.splits import make_folds
from xraykit.metrics.scores import summarize_cross_validation

TINY = xk.recipes["task2-smallcnn"].override(image_size=32, epochs=1)


@pytest.fixture
def paired(multiclass):
    """The drawn task with two images a patient."""
    pooled = multiclass.development
    patients = tuple(f"p{i // 2}" for i in range(len(pooled)))
    cut = len(multiclass.train)
    train = replace(multiclass.train, patients=patients[:cut])
    return replace(
        multiclass, train=train, validation=replace(multiclass.validation, patients=patients[cut:])
    )


class Spy:
    """A recipe that keeps what it was trained on."""

    def __init__(self, recipe):
        self.recipe, self.tasks, self.seeds = recipe, [], []
        self.restore_best_weights, self.early_stopping = (
            recipe.restore_best_weights,
            recipe.early_stopping,
        )

    def train(self, task, seed):
        self.tasks.append(task)
        self.seeds.append(seed)
        return self.recipe.train(task, seed)


@pytest.mark.slow
def test_when_cross_validated_then_each_image_is_predicted_once_without_its_patient(paired, capsys):
    predictions = xk.cross_validate(TINY, paired, folds=3)
    pooled = paired.development
    assert sorted(predictions["path"]) == sorted(pooled.paths)
    assert predictions.groupby("patient")["fold"].nunique().eq(1).all()
    assert not set(predictions["path"]) & set(paired.test.paths)
    correct = predictions["true"] == predictions["predicted"]
    by_fold = correct.groupby(predictions["fold"]).mean()
    expected = f"{xk.Proportion(int(correct.sum()), len(correct))}, standard error of the share "
    *folds, whole = capsys.readouterr().out.splitlines()
    assert f"{expected}{by_fold.std() / 3**0.5:.3f}" in whole
    counts = correct.groupby(predictions["fold"]).agg(["sum", "size"]).itertuples()
    for line, fold in zip(folds, counts, strict=True):
        assert line.startswith(f"Fold {fold.Index} of 3: trained on {len(pooled) - fold.size} ")
        assert line.endswith(f"{fold.sum}/{fold.size} right")


@pytest.mark.slow
def test_when_repeated_then_each_repeat_has_its_own_folds_and_weights(paired):
    spy = Spy(TINY)
    predictions = xk.cross_validate(spy, paired, repeats=2, folds=2)
    images = len(paired.train) + len(paired.validation)
    assert predictions.groupby("repeat")["path"].nunique().to_list() == [images] * 2
    folds = [own.set_index("path")["fold"].to_dict() for _, own in predictions.groupby("repeat")]
    assert folds[0] != folds[1]
    assert spy.seeds == [42, 42, 43, 43]
    once = xk.cross_validate(TINY, paired, folds=2, seed=43)
    second = predictions[predictions["repeat"] == 2].reset_index(drop=True)
    assert second.drop(columns="repeat").equals(once.drop(columns="repeat"))


def test_when_repeated_then_the_interval_counts_each_image_once(paired):
    correct = [True] * 3 + [False] + [True] * 2 + [False] * 2
    table = pd.DataFrame({"true": "x", "repeat": [1] * 4 + [2] * 4, "fold": [1, 1, 2, 2] * 2})
    said = summarize_cross_validation(table.assign(predicted=np.where(correct, "x", "y")))
    assert said.startswith(f"{xk.Proportion(3, 4)} on average, 2 to 3 in a repeat")


class Untrained(Spy):
    """Keeps what it would be trained on, and trains nothing."""

    def train(self, task, seed):
        self.tasks.append(task)
        return self.recipe.build(task.class_names), None


@pytest.mark.parametrize("deciding", [{"restore_best_weights": True}, {"early_stopping": 1}])
def test_when_validation_decides_then_it_is_cut_from_the_training_images(paired, deciding):
    spy = Untrained(TINY.override(**deciding))
    predictions = xk.cross_validate(spy, paired, folds=2)
    for fold, task in enumerate(spy.tasks, start=1):
        left_out = predictions[predictions["fold"] == fold]
        parts = set(task.train.patients), set(task.validation.patients), set(left_out["patient"])
        assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
        assert len(task.train) + len(task.validation) + len(left_out) == len(predictions)


def test_when_folds_are_cut_then_each_has_its_share_of_each_class_and_each_repeat_others():
    hundred = ImageSet(
        pixels=np.zeros((100, 1, 1, 3), np.uint8),
        labels=np.repeat([0, 1], [80, 20]),
        paths=tuple(f"{i}.png" for i in range(100)),
        patients=tuple(f"p{i}" for i in range(100)),
        class_names=("normal", "covid"),
    )
    cuts = list(make_folds(hundred, repeats=2, folds=5, seed=1))
    assert [hundred.labels[left_out].sum() for *_, left_out in cuts] == [4] * 10
    first, second = ({frozenset(cut[3]) for cut in cuts if cut[0] == repeat} for repeat in (1, 2))
    assert first != second


def test_when_fewer_images_are_shown_then_the_fold_left_out_stays_whole(paired):
    spy = Untrained(TINY)
    predictions = xk.cross_validate(
        spy, paired, folds=2, shown=lambda images, left_out: images.subset(range(20))
    )
    assert [len(task.train) for task in spy.tasks] == [20, 20]
    assert len(predictions) == len(paired.train) + len(paired.validation)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [("task2-smallcnn", "a recipe, such as xk.recipes"), (None, r"found nothing \(None\)")],
)
def test_when_it_is_no_recipe_or_no_task_then_one_line_says_so(multiclass, recipe, message):
    with pytest.raises(xk.InputError, match=message):
        xk.cross_validate(recipe, multiclass)
    with pytest.raises(xk.InputError, match="Expected a task, as"):
        xk.cross_validate(TINY, multiclass.train)


def test_when_there_are_too_few_folds_then_one_line_says_so(binary):
    with pytest.raises(xk.InputError, match="folds=1: expected a whole number, 2 or more"):
        xk.cross_validate(TINY, binary, folds=1)
    with pytest.raises(xk.InputError, match="folds=50: expected at most"):
        xk.cross_validate(TINY, binary, folds=50)


@pytest.mark.slow
def test_when_mobilenet_is_cross_validated_on_real_images_then_it_has_learned(
    real_challenge, real_weights
):
    """A smaller and quicker relative of the README's figure: 0.35 wide, 3 folds."""
    task = xk.load_task("multiclass", real_challenge)
    recipe = xk.recipes["task2-mobilenetv2"].override(alpha=0.35, epochs=8)
    assert xk.score(xk.cross_validate(recipe, task, folds=3)).accuracy > 0.65
