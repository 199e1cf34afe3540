import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, recall_score

import xraykit as xk
from xraykit import keras
from xraykit.metrics.intervals import wilson_interval

NAMES = ("normal", "covid", "pneumonia_bac", "pneumonia_vir")


def table(true, predicted, names=NAMES, confidence=0.7):
    rows = {f"probability_{n}": [(1 - confidence) / (len(names) - 1)] * len(true) for n in names}
    frame = pd.DataFrame({"path": [f"{i}.png" for i in range(len(true))]} | rows)
    for row, name in enumerate(predicted):
        frame.loc[row, f"probability_{name}"] = confidence
    return frame.assign(true=true, predicted=predicted)


@pytest.fixture
def brightness():
    """A model whose probability of class 1 is the image's first pixel."""
    inputs = keras.Input((32, 32, 3))
    first = keras.layers.Rescaling(12 / 255, -6)(inputs)[:, 0, 0, :1]
    last = keras.layers.Dense(1, "sigmoid", kernel_initializer="ones")(first)
    return keras.Model(inputs, last)


def test_predict_gives_each_image_its_own_prediction(binary, brightness):
    table = xk.predict(brightness, binary.test)
    assert table["path"].tolist() == list(binary.test.paths)
    assert table["true"].tolist() == [path.split("/")[2] for path in binary.test.paths]
    expected = 1 / (1 + np.exp(6 - 12 / 255 * binary.test.pixels[:, 0, 0, 0]))
    np.testing.assert_allclose(table["probability_covid"], expected, rtol=1e-5)
    np.testing.assert_allclose(table["probability_normal"], 1 - expected, atol=1e-6)
    bright = table["probability_covid"] > 0.5
    assert table["predicted"].tolist() == np.where(bright, "covid", "normal").tolist()


def test_score_agrees_with_scikit_learn():
    random = np.random.default_rng(0)
    predictions = table(random.choice(NAMES, 40), random.choice(NAMES, 40))
    true, predicted = predictions["true"], predictions["predicted"]
    scores = xk.score(predictions)
    assert (scores.correct, scores.total) == (int((true == predicted).sum()), 40)
    probabilities = predictions[[f"probability_{name}" for name in sorted(NAMES)]]
    assert scores.loss == pytest.approx(log_loss(true, probabilities))
    for row in scores.by_class.itertuples():
        name, is_positive = row[1], row.measure == "sensitivity"
        expected = recall_score(true == name, predicted == name, pos_label=is_positive)
        assert row.correct / row.total == pytest.approx(expected)
        assert (row.low, row.high) == wilson_interval(row.correct, row.total)


def test_scores_by_class_has_one_row_per_class_and_measure():
    scores = xk.score(table(["covid"] * 3 + ["normal"], ["covid"] * 2 + ["normal"] * 2))
    rows = scores.by_class.iloc[:4, :4].to_numpy().tolist()
    assert list(scores.by_class) == ["class", "measure", "correct", "total", "low", "high"]
    assert rows == [
        ["normal", "sensitivity", 1, 1],
        ["normal", "specificity", 2, 3],
        ["covid", "sensitivity", 2, 3],
        ["covid", "specificity", 1, 1],
    ]
    assert scores.one_vs_rest("covid") == ((2, 3), (1, 1))
    assert scores.accuracy == 0.75


def test_scores_show_counts_and_intervals():
    true = ["covid"] * 27 + ["normal"] * 9
    text = str(xk.score(table(true, ["covid"] * 36, names=("normal", "covid"))))
    assert "27/36 = 75 % [59, 86]" in text
    assert "0/9 = 0 % [0, 30]" in text  # no normal image was predicted as normal


def test_scores_show_the_confusion_matrix_with_its_axes():
    shown = str(xk.score(table(["a", "a", "b"], ["a", "b", "b"], names=("a", "b"))))
    confusion = [line.split() for line in shown.splitlines()[-4:]]
    assert confusion == [["predicted", "a", "b"], ["true"], ["a", "1", "1"], ["b", "0", "1"]]


def test_summarize_cross_validation_counts_each_image_once():
    correct = [True] * 3 + [False] + [True] * 2 + [False] * 2  # folds of 1, .5 and of 1, 0
    frame = pd.DataFrame({"true": "x", "repeat": [1] * 4 + [2] * 4, "fold": [1, 1, 2, 2] * 2})
    frame = frame.assign(predicted=np.where(correct, "x", "y"))
    error = "standard error of the accuracy"
    assert xk.summarize_cross_validation(frame) == (
        f"{xk.Proportion(3, 4)} on average, 2 to 3 in a repeat, {error} 0.375"
    )
    once = frame[frame["repeat"] == 1]
    assert xk.summarize_cross_validation(once) == f"{xk.Proportion(3, 4)}, {error} 0.250"


def test_score_of_an_absent_class_has_no_sensitivity():
    scores = xk.score(table(["normal"] * 3, ["normal"] * 3))
    assert scores.one_vs_rest("covid") == ((0, 0), (3, 3))
    row = scores.by_class.set_index(["class", "measure"]).loc["covid", "sensitivity"]
    assert row.tolist() == [0, 0, 0, 1]


def test_score_of_certain_correct_predictions_has_loss_0():
    scores = xk.score(table(["covid", "normal"], ["covid", "normal"], confidence=1.0))
    assert "loss     0.000" in str(scores) and not np.signbit(scores.loss)


def test_score_of_a_probability_of_zero_has_a_finite_loss():
    assert np.isfinite(xk.score(table(["covid"], ["normal"], confidence=1.0)).loss)


@pytest.mark.parametrize(
    "frame", [pd.DataFrame(), pd.DataFrame({"true": ["a"], "predicted": ["a"]}), table([], [])]
)
def test_score_of_other_tables_raises(frame):
    with pytest.raises(xk.InputError, match=r"Expected a table from xk\.predict"):
        xk.score(frame)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"true": "flu"}, "Expected the classes a, b; found flu"),
        ({"predicted": "flu"}, "Expected the classes a, b; found flu"),
        ({"probability_a": -0.5, "probability_b": 1.5}, "Expected probabilities from 0 to 1"),
        ({"probability_a": 0.5, "probability_b": 0.6}, "Expected probabilities from 0 to 1"),
        ({"probability_a": "much"}, "Expected probabilities from 0 to 1"),
    ],
)
def test_score_of_impossible_values_raises(changes, message):
    with pytest.raises(xk.InputError, match=message):
        xk.score(table(["a"], ["a"], names=("a", "b")).assign(**changes))


def test_functions_with_arguments_of_another_kind_raise(small_cnn, binary):
    images, model = "images, such as task.train", "a Keras model, such as"
    predictions = xk.predict(small_cnn, binary.test)
    for call, expected in (
        (lambda: xk.predict(small_cnn, binary), images),
        (lambda: xk.predict(binary.test, small_cnn), model),
        (lambda: xk.tsne(small_cnn, binary), images),
        (lambda: xk.gradcam(small_cnn, binary), images),
        (lambda: xk.plot_images(binary), images),
        (lambda: xk.train(small_cnn, binary.train, epochs=1), "a task, as xk.load_task gives it"),
        (lambda: xk.image_metadata(binary.train), "a task, as xk.load_task gives it"),
        (lambda: xk.evaluate_perturbations(small_cnn, None), "a task, as xk.load_task gives it"),
        (lambda: xk.score(binary.test), "a table from xk.predict"),
        (lambda: xk.curves("predictions.csv"), "a table from xk.predict"),
        (lambda: xk.apply_temperature(2.0, predictions), "a table from xk.predict"),
        (lambda: xk.plot_confusion(predictions), "scores, xk.score"),
        (lambda: xk.plot_curves(predictions), "curves, xk.curves"),
        (lambda: xk.plot_calibration(xk.calibration(predictions)), "a dict, "),
        (lambda: xk.plot_calibration({"a": predictions}), "values from xk.calibration"),
        (lambda: xk.plot_calibration(predictions), "a dict, "),
        (lambda: xk.plot_calibration({}), "at least one Calibration"),
    ):
        with pytest.raises(xk.InputError) as raised:
            call()
        assert str(raised.value).startswith(f"Expected {expected}")
        assert "\n" not in str(raised.value)
