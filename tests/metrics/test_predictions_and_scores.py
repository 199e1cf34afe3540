import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss, recall_score

import xraykit as xk
from xraykit import keras


def table(true, predicted, names=("normal", "covid", "pneumonia_bac", "pneumonia_vir"), sure=0.7):
    rows = {f"probability_{n}": [(1 - sure) / (len(names) - 1)] * len(true) for n in names}
    frame = pd.DataFrame({"path": [f"{i}.png" for i in range(len(true))]} | rows)
    for row, name in enumerate(predicted):
        frame.loc[row, f"probability_{name}"] = sure
    return frame.assign(true=true, predicted=predicted)


@pytest.fixture
def brightness():
    """A network whose probability of class 1 is the image's first pixel."""
    inputs = keras.Input((32, 32, 3))
    first = keras.layers.Rescaling(12 / 255, -6)(inputs)[:, 0, 0, :1]
    last = keras.layers.Dense(1, "sigmoid", kernel_initializer="ones")(first)
    return keras.Model(inputs, last)


def test_when_predicted_then_each_row_is_about_its_own_image(binary, brightness):
    table = xk.predict(brightness, binary.test)
    assert table["path"].tolist() == list(binary.test.paths)
    assert table["true"].tolist() == [path.split("/")[2] for path in binary.test.paths]
    expected = 1 / (1 + np.exp(6 - 12 / 255 * binary.test.pixels[:, 0, 0, 0]))
    np.testing.assert_allclose(table["probability_covid"], expected, rtol=1e-5)
    np.testing.assert_allclose(table["probability_normal"], 1 - expected, atol=1e-6)
    bright = table["probability_covid"] > 0.5
    assert table["predicted"].tolist() == np.where(bright, "covid", "normal").tolist()


def test_scores_agree_with_scikit_learn():
    random = np.random.default_rng(0)
    names = ["normal", "covid", "pneumonia_bac", "pneumonia_vir"]
    predictions = table(random.choice(names, 40), random.choice(names, 40))
    scores = xk.score(predictions)
    correct = int((predictions["true"] == predictions["predicted"]).sum())
    assert (scores.correct, scores.total) == (correct, 40)
    probabilities = predictions[[f"probability_{name}" for name in sorted(names)]]
    assert scores.loss == pytest.approx(log_loss(predictions["true"], probabilities))
    for name in names:
        is_it, said_it = predictions["true"] == name, predictions["predicted"] == name
        for kind, label in (("sensitivity", True), ("specificity", False)):
            expected = recall_score(is_it, said_it, pos_label=label)
            assert scores.by_class.loc[name, kind].share == pytest.approx(expected)


def test_when_scores_are_shown_then_counts_and_interval_are_there():
    correct = ["covid"] * 27 + ["normal"] * 9
    said = ["covid"] * 36
    text = str(xk.score(table(correct, said, names=("normal", "covid"))))
    assert "27/36 = 75 % [59, 86]" in text
    assert "0/9 = 0 % [0, 30]" in text  # no normal image was called normal


def test_when_a_class_is_absent_then_its_sensitivity_is_not_made_up():
    scores = xk.score(table(["normal"] * 3, ["normal"] * 3))
    assert scores.by_class.loc["covid", "sensitivity"] == xk.Proportion(0, 0)


def test_when_every_probability_is_one_then_the_loss_is_zero_without_a_sign():
    scores = xk.score(table(["covid", "normal"], ["covid", "normal"], sure=1.0))
    assert "loss     0.000" in str(scores) and not np.signbit(scores.loss)


def test_when_probability_is_zero_then_loss_stays_finite():
    assert np.isfinite(xk.score(table(["covid"], ["normal"], sure=1.0)).loss)


@pytest.mark.parametrize(
    "frame", [pd.DataFrame(), pd.DataFrame({"true": ["a"], "predicted": ["a"]}), table([], [])]
)
def test_when_table_is_not_of_predictions_then_one_line_says_so(frame):
    with pytest.raises(xk.InputError, match=r"Expected a table from xk\.predict"):
        xk.score(frame)


def test_when_arguments_are_not_of_their_kind_then_one_line_says_what_was_expected(
    small_cnn, binary
):
    images, model = "images, such as task.train", "a Keras model, such as"
    said = xk.predict(small_cnn, binary.test)
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
        (lambda: xk.apply_temperature(2.0, said), "a table from xk.predict"),
        (lambda: xk.plot_confusion(said), "scores, xk.score"),
        (lambda: xk.plot_curves(said), "curves, xk.curves"),
        (lambda: xk.plot_calibration(xk.calibration(said)), "a dict, "),
        (lambda: xk.plot_calibration({"a": said}), "values from xk.calibration"),
        (lambda: xk.plot_calibration(said), "a dict, "),
        (lambda: xk.plot_calibration({}), "a calibration at least"),
    ):
        with pytest.raises(xk.InputError) as raised:
            call()
        assert str(raised.value).startswith(f"Expected {expected}")
        assert "\n" not in str(raised.value)
