from dataclasses import replace

import numpy as np
import pytest

import xraykit as xk
from xraykit.data.images import ImageSet
from xraykit.data.splits import make_folds

TINY = xk.recipes["task2-smallcnn"].override(image_size=32, epochs=1)


@pytest.fixture
def paired(multiclass):
    """The drawn task with two images per patient."""
    pooled = multiclass.development
    patients = tuple(f"p{i // 2}" for i in range(len(pooled)))
    n_train = len(multiclass.train)
    train = replace(multiclass.train, patients=patients[:n_train])
    validation = replace(multiclass.validation, patients=patients[n_train:])
    return replace(multiclass, train=train, validation=validation)


class Spy:
    """A recipe that records its tasks and seeds."""

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
def test_cross_validate_predicts_each_image_without_its_patient(paired, capsys):
    predictions = xk.cross_validate(TINY, paired, folds=3)
    pooled = paired.development
    assert sorted(predictions["path"]) == sorted(pooled.paths)
    assert predictions.groupby("patient")["fold"].nunique().eq(1).all()
    assert not set(predictions["path"]) & set(paired.test.paths)
    correct = predictions["true"] == predictions["predicted"]
    by_fold = correct.groupby(predictions["fold"]).mean()
    expected = f"{xk.Proportion(int(correct.sum()), len(correct))}, standard error of the accuracy "
    *folds, whole = capsys.readouterr().out.splitlines()
    assert f"{expected}{by_fold.std() / 3**0.5:.3f}" in whole
    counts = correct.groupby(predictions["fold"]).agg(["sum", "size"]).itertuples()
    assert folds == [
        line
        for fold in counts
        for line in (
            f"Fold {fold.Index} of 3: training on {len(pooled) - fold.size} images",
            f"    {fold.sum}/{fold.size} held-out images correct",
        )
    ]


@pytest.mark.slow
def test_cross_validate_repeats_differ_in_folds_and_weights(paired):
    spy = Spy(TINY)
    predictions = xk.cross_validate(spy, paired, repeats=2, folds=2)
    images = len(paired.train) + len(paired.validation)
    assert predictions.groupby("repeat")["path"].nunique().to_list() == [images] * 2
    groups = predictions.groupby("repeat")
    folds = [rows.set_index("path")["fold"].to_dict() for _, rows in groups]
    assert folds[0] != folds[1]
    assert spy.seeds == [42, 42, 43, 43]
    once = xk.cross_validate(TINY, paired, folds=2, seed=43)
    second = predictions[predictions["repeat"] == 2].reset_index(drop=True)
    assert second.drop(columns="repeat").equals(once.drop(columns="repeat"))


class Untrained(Spy):
    """Records its tasks, and trains nothing."""

    def train(self, task, seed):
        self.tasks.append(task)
        return self.recipe.build(task.class_names), None


@pytest.mark.parametrize("deciding", [{"restore_best_weights": True}, {"early_stopping": 1}])
def test_cross_validate_early_stopping_splits_off_validation(paired, deciding):
    spy = Untrained(TINY.override(**deciding))
    predictions = xk.cross_validate(spy, paired, folds=2)
    for fold, task in enumerate(spy.tasks, start=1):
        held_out = predictions[predictions["fold"] == fold]
        parts = set(task.train.patients), set(task.validation.patients), set(held_out["patient"])
        assert not (parts[0] & parts[1] or parts[0] & parts[2] or parts[1] & parts[2])
        assert len(task.train) + len(task.validation) + len(held_out) == len(predictions)


def test_make_folds_stratifies_and_differs_between_repeats():
    hundred = ImageSet(
        pixels=np.zeros((100, 1, 1, 3), np.uint8),
        labels=np.repeat([0, 1], [80, 20]),
        paths=tuple(f"{i}.png" for i in range(100)),
        patients=tuple(f"p{i}" for i in range(100)),
        class_names=("normal", "covid"),
    )
    folds = list(make_folds(hundred, repeats=2, folds=5, seed=1))
    assert [hundred.labels[held_out].sum() for *_, held_out in folds] == [4] * 10
    first, second = ({frozenset(fold[3]) for fold in folds if fold[0] == n} for n in (1, 2))
    assert first != second


def test_cross_validate_train_transform_spares_the_held_out_fold(paired):
    spy = Untrained(TINY)
    predictions = xk.cross_validate(
        spy, paired, folds=2, train_transform=lambda images, left_out: images.subset(range(20))
    )
    assert [len(task.train) for task in spy.tasks] == [20, 20]
    assert len(predictions) == len(paired.train) + len(paired.validation)


@pytest.mark.parametrize(
    ("recipe", "message"),
    [("task2-smallcnn", "a recipe, such as xk.recipes"), (None, r"found nothing \(None\)")],
)
def test_cross_validate_without_recipe_or_task_raises(multiclass, recipe, message):
    with pytest.raises(xk.InputError, match=message):
        xk.cross_validate(recipe, multiclass)
    with pytest.raises(xk.InputError, match="Expected a task, as"):
        xk.cross_validate(TINY, multiclass.train)


def test_cross_validate_invalid_folds_raises(binary):
    with pytest.raises(xk.InputError, match="folds=1: expected a whole number, 2 or more"):
        xk.cross_validate(TINY, binary, folds=1)
    with pytest.raises(xk.InputError, match="folds=50: expected at most"):
        xk.cross_validate(TINY, binary, folds=50)


@pytest.mark.slow
def test_cross_validate_mobilenet_learns_real_images(real_challenge, real_weights):
    """A smaller and faster version of docs/explanation/scores.md: alpha 0.35, 3 folds."""
    task = xk.load_task("multiclass", real_challenge)
    recipe = xk.recipes["task2-mobilenetv2"].override(alpha=0.35, epochs=8)
    assert xk.score(xk.cross_validate(recipe, task, folds=3)).accuracy > 0.65
