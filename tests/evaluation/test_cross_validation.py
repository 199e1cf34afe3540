from dataclasses import replace

import pytest

import xraykit as xk


@pytest.mark.slow
def test_when_cross_validated_then_each_picture_is_predicted_once_without_its_patient(
    multiclass, capsys
):
    pooled = multiclass.train.join(multiclass.validation)
    patients = tuple(f"p{i // 2}" for i in range(len(pooled)))  # two pictures a patient
    train = replace(multiclass.train, patients=patients[: len(multiclass.train)])
    validation = replace(multiclass.validation, patients=patients[len(multiclass.train) :])
    task = replace(multiclass, train=train, validation=validation)
    predictions = xk.cross_validate(
        lambda: xk.build_classifier("SmallCNN", task.class_names, image_size=32),
        task,
        folds=3,
        epochs=1,
    )
    assert sorted(predictions["path"]) == sorted(pooled.paths)
    assert predictions.groupby("patient")["fold"].nunique().eq(1).all()
    assert not set(predictions["path"]) & set(multiclass.test.paths)
    right = predictions["true"] == predictions["predicted"]
    by_fold = right.groupby(predictions["fold"]).mean()
    expected = f"accuracy {by_fold.mean():.3f}, standard error {by_fold.std() / 3**0.5:.3f}"
    assert expected in capsys.readouterr().out


def test_when_a_fold_could_leak_then_one_line_says_so(binary, small_cnn):
    with pytest.raises(xk.InputError, match="the same model twice"):
        xk.cross_validate(lambda: small_cnn, binary, folds=2, epochs=1)
    with pytest.raises(xk.InputError, match="keep would let the fold left out choose"):
        xk.cross_validate(lambda: small_cnn, binary, folds=2, epochs=1, keep="best")
    with pytest.raises(xk.InputError, match="folds=1"):
        xk.cross_validate(lambda: small_cnn, binary, folds=1, epochs=1)


@pytest.mark.slow
def test_when_mobilenet_is_cross_validated_on_real_pictures_then_it_has_learned(
    real_challenge, real_weights
):
    """A smaller and quicker relative of the README's figure: 0.35 wide, 3 folds."""
    task = xk.load_task("multiclass", real_challenge)
    predictions = xk.cross_validate(
        lambda: xk.build_classifier("MobileNetV2", task.class_names, alpha=0.35),
        task,
        folds=3,
        epochs=8,
        learning_rate=1e-3,
    )
    assert xk.score(predictions).accuracy > 0.65
