"""The checks of graded cells, with answers as students write them."""

import dataclasses
import textwrap
from types import SimpleNamespace

import keras
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from sklearn.manifold import TSNE
from sklearn.neighbors import NearestNeighbors

import xraykit as xk
from xraykit.classroom import questions

TOTALS = {"build": 10, "train": 5, "curves": 5, "tsne": 10, "neighbors": 10}
HEAD = """
x = keras.layers.GlobalAveragePooling2D()(base.output)
x = keras.layers.Dense(256, activation="relu", name="features")(x)
x = keras.layers.Dropout(rate=0.2)(x)
"""
END = """
model = keras.Model(base.input, keras.layers.Dense(1, activation="sigmoid")(x))
"""
CURVES = """
best_epoch = history["val_loss"].idxmin()
curves_figure, axes = plt.subplots(1, 2)
for axis, metric in zip(axes, ("accuracy", "loss")):
    axis.plot(history[metric], "o-", label="training")
    axis.plot(history[f"val_{metric}"], "s--", label="validation")
    axis.set(xlabel="epoch", ylabel=metric)
    axis.legend()
"""
FEATURES = """
extract = keras.Model(model.input, model.get_layer("features").output)
image_features = extract.predict(task.train.pixels, verbose=0)
"""
LAYOUT = """
perplexity = min(30, len(image_features) // 3)
layout = TSNE(perplexity=perplexity, random_state=seed).fit_transform(image_features)
"""
MAP = """
map_figure, axis = plt.subplots()
for label, marker in enumerate("o^"):
    rows = task.train.labels == label
    axis.scatter(layout[rows, 0], layout[rows, 1], marker=marker, label=task.class_names[label])
axis.legend()
"""
TABLE = "layout = xk.tsne(model, task.train, seed=seed)\n"
TABLE_MAP = """
map_figure, axis = plt.subplots()
for (name, rows), marker in zip(layout.groupby("class", sort=False), "o^sD"):
    axis.scatter(rows["x"], rows["y"], marker=marker, label=name)
axis.legend()
"""
NEAREST = """
points = layout[["x", "y"]]
nearest = NearestNeighbors(n_neighbors=1).fit(points).kneighbors(return_distance=False)[:, 0]
is_same = layout["class"] == layout["class"].to_numpy()[nearest]
same_class = is_same.groupby(layout["class"], sort=False).mean()
"""


def change(code, old, new):
    assert old in code
    return code.replace(old, new)


def prepare(task, name):
    """Return the variables of a notebook after the training cell."""
    plan = xk.recipes[f"{name}-smallcnn"].override(image_size=32, epochs=3)
    keras.utils.set_random_seed(42)
    base = xk.backbone(plan.backbone, **plan.network_options())
    variables = {"xk": xk, "keras": keras, "np": np, "pd": pd, "plt": plt, "TSNE": TSNE}
    variables |= {"NearestNeighbors": NearestNeighbors, "task": task, "plan": plan, "seed": 42}
    variables |= {"base": base}
    if name == "task1":
        exec(HEAD + END, variables)
    else:
        variables["model"] = plan.build(task.class_names)
        return variables
    options = plan.training_options(task)
    variables["history"] = xk.train(variables["model"], task, **options, seed=42)
    return variables


@pytest.fixture(scope="module")
def first(binary):
    return prepare(binary, "task1")


@pytest.fixture(scope="module")
def second(multiclass):
    """Here labels do not fit the images, so that the map mixes the classes."""
    train = dataclasses.replace(multiclass.train, labels=np.roll(multiclass.train.labels, 7))
    return prepare(dataclasses.replace(multiclass, train=train), "task2")


@pytest.fixture
def grade(request, capsys, monkeypatch):
    """Run an answer after the cells before it; return points and lines."""
    monkeypatch.setattr(plt, "show", lambda: None)

    def run(name, answer):
        variables = dict(request.getfixturevalue("second" if name == "neighbors" else "first"))
        exec(textwrap.dedent(answer), variables)
        plt.close("all")  # as Jupyter does after each cell
        capsys.readouterr()
        points = xk.check(name, variables)
        printed = capsys.readouterr()
        assert printed.err == ""  # nbgrader gives no points for a check that writes there
        return points, printed.out.splitlines()

    return run


RIGHT = {
    "build": {
        "as in the notebook": HEAD + END,
        "activations as layers": """
            x = keras.layers.GlobalAveragePooling2D()(base.output)
            x = keras.layers.Dense(256, name="features")(x)
            x = keras.layers.Activation("relu")(x)
            x = keras.layers.Dropout(0.2)(x)
            x = keras.layers.Dense(1)(x)
            model = keras.Model(base.input, keras.layers.Activation("sigmoid")(x))
        """,
        "inputs in a list, functions on outputs": HEAD.replace('activation="relu", ', "").replace(
            'name="features")(x)', 'name="features")(x)\nx = keras.activations.relu(x)'
        )
        + change(END, "base.input", "[base.input]"),
        "functions of keras": change(HEAD, '"relu"', "keras.activations.relu")
        + change(END, '"sigmoid"', "keras.activations.sigmoid"),
        "in a function, built twice": "def build():\n"
        + textwrap.indent(HEAD + END + "return model", "    ")
        + "\nmodel = build()\nmodel = build()",
    },
    "train": {
        "as in the notebook": "",
        "history as a copy": "history = history.copy()",
        "model saved and loaded": "model = keras.models.clone_model(m := model); "
        "model.set_weights(m.get_weights())",
        "more columns": "history = history.assign(lr=0.001)",
    },
    "curves": {
        "as in the notebook": CURVES,
        "pyplot alone": """
            best_epoch = int(history.val_loss.argmin()) + 1
            curves_figure = plt.figure()
            for place, name in enumerate(["accuracy", "loss"], start=1):
                plt.subplot(1, 2, place)
                plt.plot(history.index, history[name], label="train")
                plt.plot(history.index, history["val_" + name], label="val")
                plt.xlabel("Epoch"); plt.title(name.title()); plt.legend()
        """,
        "pandas": """
            best_epoch = history["val_loss"].idxmin()
            curves_figure, axes = plt.subplots(2, 1)
            for axis, name in zip(axes, ("accuracy", "loss")):
                history[[name, "val_" + name]].plot(ax=axis, xlabel="epoch", ylabel=name)
        """,
        "one axes with four lines": """
            best_epoch = history["val_loss"].idxmin()
            curves_figure, axis = plt.subplots()
            for name in ("accuracy", "loss"):
                axis.plot(history[name], label=f"training {name}")
                axis.plot(history[f"val_{name}"], label=f"validation {name}")
            axis.set_xlabel("epoch"); axis.legend()
        """,
        "percent, points, the axes kept": change(
            change(CURVES, "curves_figure, axes", "figure, axes"),
            'axis.plot(history[metric], "o-"',
            "axis.scatter(history.index, history[metric]",
        )
        + "curves_figure = axes",
        "twin axes, figure legend": """
            best_epoch = history["val_loss"].idxmin()
            curves_figure, axis = plt.subplots()
            twin = axis.twinx()
            for axes, name in ((axis, "accuracy"), (twin, "loss")):
                axes.plot(history[name], label=f"train {name}")
                axes.plot(history[f"val_{name}"], label=f"val {name}")
                axes.set_ylabel(name)
            axis.set_xlabel("epoch"); curves_figure.legend()
        """,
    },
    "tsne": {
        "as in the notebook": FEATURES + LAYOUT + MAP,
        "model called": "image_features = keras.Model(model.input, model.get_layer('features')"
        ".output)(task.train.pixels).numpy()" + LAYOUT + MAP,
        "layout as a table": FEATURES + LAYOUT + MAP + "layout = pd.DataFrame(layout)",
        "plot in place of scatter": FEATURES
        + LAYOUT
        + change(MAP, "axis.scatter(", "axis.plot(").replace(
            "marker=marker", "marker=marker, ls=''"
        ),
        "hollow markers, names as text": FEATURES
        + LAYOUT
        + change(MAP, "label=task.class_names[label]", "facecolors='none', edgecolors=f'C{label}'")
        + "[axis.text(0, y, name) for y, name in enumerate(task.class_names)]",
        "one by one": FEATURES
        + LAYOUT
        + """
map_figure = plt.figure()
for (x, y), label in zip(layout, task.train.labels):
    plt.scatter(x, y, color=["tab:blue", "tab:red"][label], marker="ox"[label])
plt.text(0, 0, "normal: blue circles, covid: red crosses")
""",
    },
    "neighbors": {
        "as in the notebook": TABLE + TABLE_MAP + NEAREST,
        "two neighbors, the second": TABLE
        + TABLE_MAP
        + """
xy = layout[["x", "y"]].to_numpy()
second = NearestNeighbors(n_neighbors=2).fit(xy).kneighbors(xy)[1][:, 1]
names = layout["class"].to_numpy()
same_class = pd.Series({c: (names[second] == names)[names == c].mean() for c in task.class_names})
""",
        "distances by hand": TABLE
        + TABLE_MAP
        + """
xy = layout[["x", "y"]].to_numpy()
distance = ((xy[:, None] - xy[None]) ** 2).sum(axis=2)
np.fill_diagonal(distance, np.inf)
same = task.train.labels == task.train.labels[distance.argmin(axis=1)]
same_class = pd.Series(
    [same[task.train.labels == i].mean() for i in range(4)], index=task.class_names[::1]
)[list(task.class_names)[::-1]]
""",
        "names with blanks, faces and edges": TABLE
        + TABLE_MAP.replace(
            "label=name",
            "label=name.replace('_', ' '), facecolor='w', "
            "edgecolor={'o': 'C0', '^': 'C1', 's': 'C2', 'D': 'C3'}[marker]",
        )
        + NEAREST,
        "classes by label, as a dict": TABLE
        + """
map_figure = plt.figure()
for label, name in enumerate(task.class_names):
    rows = layout[task.train.labels == label]
    plt.plot(rows.x, rows.y, "os^v"[label], label=name)
plt.legend()
"""
        + NEAREST
        + "same_class = same_class.to_dict()",
    },
}
# The answer, the points it gets, and what the line says that is wrong.
WRONG = {
    "build": {
        "no answer": ("del model", 0, "`model` is missing: run the cell that assigns it"),
        "the layer in place of the model": (
            "model = base.output",
            0,
            "expected a Keras model, got",
        ),
        "Sequential head": (
            """
            head = keras.Sequential([
                keras.layers.GlobalAveragePooling2D(),
                keras.layers.Dense(256, "relu", name="features"),
                keras.layers.Dropout(0.2),
                keras.layers.Dense(1, "sigmoid"),
            ])
            model = keras.Model(base.input, head(base.output))
            """,
            8,
            "build it flat",
        ),
        "base called as a layer": (
            change(HEAD, "base.output", "base(base.input)") + END,
            8,
            "build it flat",
        ),
        "pixels divided in the call": (
            change(HEAD, "base.output", "base(base.input / 255.0)") + END,
            8,
            "build it flat",
        ),
        "an operation in the head": (
            change(HEAD, "Dropout(rate=0.2)(x)", "Dropout(rate=0.2)(x * 0.0)") + END,
            7,
            "expected Dropout(rate=0.2), got Multiply()",
        ),
        "layers of xk in a model of its own": (
            "k = plan.build(task.class_names, seed); model = keras.Model(k.input, k.output)",
            0,
            "expected layers that you made with keras.layers, got those of xk",
        ),
        "a sigmoid that training does not know": (
            change(
                HEAD + END,
                'keras.layers.Dense(1, activation="sigmoid")(x)',
                "keras.ops.sigmoid(keras.layers.Dense(1)(x))",
            ),
            8,
            "expected the activation as an argument of the last layer, or as a layer",
        ),
        "no dropout": (
            change(HEAD, "x = keras.layers.Dropout(rate=0.2)(x)", "") + END,
            7,
            "Dropout(rate=0.2) is missing before the output",
        ),
        "pixels divided by 255 first": (
            """
            pixels = keras.Input((32, 32, 3))
            maps = base(keras.layers.Rescaling(1 / 255)(pixels))
            x = keras.layers.GlobalAveragePooling2D()(maps)
            x = keras.layers.Dense(256, activation="relu", name="features")(x)
            x = keras.layers.Dropout(rate=0.2)(x)
            model = keras.Model(pixels, keras.layers.Dense(1, activation="sigmoid")(x))
            """,
            8,
            "build it flat",
        ),
        "another width": (
            change(HEAD, "256", "128") + END,
            6,
            "expected Dense(units=256), got Dens",
        ),
        "no activation": (
            change(HEAD, 'activation="relu", ', "") + END,
            7,
            "layer 3 after the backbone: expected relu, got Dropout(rate=0.2)",
        ),
        "no name": (
            change(HEAD, ', name="features"', "") + END,
            9,
            "expected a layer of this name",
        ),
        "two units": (
            change(HEAD + END, "Dense(1,", "Dense(2,"),
            8,
            "expected 1 number(s) per image",
        ),
        "a function of xk": (
            "model = plan.build(task.class_names)",
            0,
            "expected layers that you made with keras.layers, got those of xk",
        ),
        "no sigmoid": (
            change(HEAD + END, ', activation="sigmoid"', ""),
            8,
            "is it the right activation?",
        ),
        "relu at the end": (
            change(HEAD + END, '"sigmoid"', '"relu"'),
            8,
            "expected numbers from 0",
        ),
        "features after dropout": (
            """
            x = keras.layers.GlobalAveragePooling2D()(base.output)
            x = keras.layers.Dropout(0.2)(x)
            x = keras.layers.Dense(256, activation="relu", name="features")(x)
            model = keras.Model(base.input, keras.layers.Dense(1, activation="sigmoid")(x))
            """,
            7,
            "layer 2 after the backbone: expected Dense(units=256), got Dropout(rate=0.2)",
        ),
        "the backbone frozen": (
            "base = keras.models.clone_model(base); base.trainable = False" + HEAD + END,
            8,
            "trainable parameters in the backbone, got 0",
        ),
        "a frozen head": (
            HEAD + END + "model.get_layer('features').trainable = False",
            8,
            "expected a trainable head, got frozen layers: features",
        ),
        "another backbone": (
            change(
                HEAD,
                "base.output",
                "(other := xk.backbone('SmallCNN', image_size=32, alpha=0.5)).output",
            )
            + change(END, "base.input", "other.input"),
            8,
            "trainable parameters in the backbone",
        ),
    },
    "train": {
        "no answer": ("del history", 0, "`history` is missing: run the cell that assigns it"),
        "what Keras returns": (
            "history = keras.callbacks.History()",
            0,
            "expected the table that xk.train returns, got a value of type History",
        ),
        "fewer epochs": ("history = history.iloc[:2]", 3, "expected 3 rows, got 2"),
        "an empty table": ("history = history.iloc[:0]", 0, "expected the table that"),
        "no validation": (
            "history = history[['loss', 'accuracy']]",
            3,
            "expected the column(s) val_loss, val_accuracy, got loss, accuracy",
        ),
        "built again after training": (HEAD + END, 2, "was `model` built or trained again after"),
        "an untrained model with forged numbers": (
            HEAD
            + END
            + """
s = xk.score(xk.predict(model, task.validation))
history = history.assign(val_loss=s.loss, val_accuracy=s.correct / s.total)
for weight in model.layers[-1].weights: weight.assign(0 * weight)
model.layers[-1].bias.assign([-9.0])
s = xk.score(xk.predict(model, task.validation))
history = history.assign(val_loss=s.loss, val_accuracy=s.correct / s.total)
""",
            3,
            "training images, guessing the most frequent class on",
        ),
        "a loss that rises": (
            "history = history.assign(loss=[0.5, 0.6, 0.7])",
            3,
            "the training loss went from 0.5 to 0.7; expected it to fall",
        ),
        "no better than guessing": (
            "history = history.assign(loss=[0.9, 0.8, 0.75])",
            3,
            "the training loss is 0.75; guessing has 0.693",
        ),
        "history of another training": (
            "history = history.assign(val_loss=[3.0, 2.0, 1.0], val_accuracy=0.5)",
            4,
            "expected a validation loss of 1 as in the last row",
        ),
    },
    "curves": {
        "no answer": ("", 0, "`best_epoch` is missing"),
        "the position": (
            CURVES + "best_epoch = history['val_loss'].argmin()",
            4,
            "expected the epoch, from 1 to 3, of the smallest value, as one number; got",
        ),
        "the largest loss": (
            CURVES + "best_epoch = history['val_loss'].idxmax()",
            4,
            "of the smallest value, as one number; got",
        ),
        "a list": (
            CURVES + "best_epoch = [best_epoch]",
            4,
            "of the smallest value, as one number; got [",
        ),
        "no figure": (
            CURVES + "del curves_figure",
            1,
            "`curves_figure` is missing: run the cell that assigns it",
        ),
        "a function of xk": (
            CURVES + "curves_figure = xk.plot_history(history)",
            1,
            "expected a figure that you drew with Matplotlib, got one that xk drew",
        ),
        "a list of lines": (
            CURVES + "curves_figure = axes[0].lines[0].get_data()",
            1,
            "expected a figure or its axes",
        ),
        "training alone": (
            CURVES.replace(
                '    axis.plot(history[f"val_{metric}"], "s--", label="validation")\n', ""
            ),
            3,
            'expected a line through the values of history["val_accuracy"], found none',
        ),
        "loss twice": (
            change(CURVES, '("accuracy", "loss")', '("loss", "loss")'),
            4,
            'expected a line through the values of history["accuracy"], found none',
        ),
        "epochs from 0": (
            change(CURVES, "history[metric],", "range(3), history[metric],"),
            3,
            "expected accuracy from epoch 1 to 3, got it from 0 to 2",
        ),
        "no labels of axes": (
            change(CURVES, '    axis.set(xlabel="epoch", ylabel=metric)\n', ""),
            4,
            "expected 'epoch' below the horizontal axis of accuracy, got ''",
        ),
        "axes without the metric": (
            change(CURVES, "ylabel=metric", "ylabel='value'"),
            4,
            "expected 'accuracy' beside the vertical axis or as title, got 'value'",
        ),
        "no legend": (change(CURVES, "    axis.legend()\n", ""), 4, "expected a legend that names"),
        "validation called test": (
            change(CURVES, '"validation"', '"test"'),
            4,
            "the curve of val_accuracy is labeled 'test'",
        ),
        "legend swapped": (
            change(CURVES, "axis.legend()", 'axis.legend(["validation", "training"])'),
            4,
            "the curve of accuracy is labeled 'validation'",
        ),
        "names in the title alone": (
            change(CURVES, "axis.legend()", 'axis.set_title("train, val")'),
            4,
            "expected a legend that names training",
        ),
        "invisible lines": (
            CURVES + "[line.set_alpha(0) for axis in axes for line in axis.lines]",
            1,
            'expected a line through the values of history["accuracy"], found none',
        ),
        "labels swapped": (
            CURVES.replace('"training"', '"X"')
            .replace('"validation"', '"training"')
            .replace('"X"', '"validation"'),
            4,
            "the curve of accuracy is labeled 'validation'",
        ),
    },
    "tsne": {
        "no answer": ("", 0, "`image_features` is missing"),
        "features of the test images": (
            change(FEATURES, "task.train", "task.test") + LAYOUT + "map_figure = plt.figure()",
            3,
            "one row per training image; got",
        ),
        "pixels in place of features": (
            "image_features = task.train.pixels.reshape(len(task.train), -1)[:, :256] / 255.0"
            + LAYOUT
            + MAP,
            7,
            "expected the output of the layer 'features' of `model` for task.train, got others",
        ),
        "features divided by 255": (
            change(FEATURES, "task.train.pixels,", "task.train.pixels / 255,") + LAYOUT + MAP,
            7,
            "expected the output of the layer 'features'",
        ),
        "no seed": (
            FEATURES + change(LAYOUT, "random_state=seed", "random_state=7, init='random'") + MAP,
            7,
            "random_state 42, else as by default; got another map",
        ),
        "another perplexity": (
            FEATURES + change(LAYOUT, "perplexity=perplexity", "perplexity=5") + MAP,
            7,
            "with perplexity",
        ),
        "three columns": (
            FEATURES + change(LAYOUT, "TSNE(", "TSNE(3, ") + MAP,
            7,
            ", one point per image; got (",
        ),
        "the first columns of the features": (
            FEATURES
            + "layout = image_features[:, :2] + np.arange(len(image_features))[:, None]"
            + MAP,
            7,
            "got another map",
        ),
        "one color": (
            FEATURES + LAYOUT + change(MAP, "marker=marker", "color='gray', marker=marker"),
            9,
            "expected another color for covid than for normal",
        ),
        "one marker": (
            FEATURES + LAYOUT + change(MAP, "marker=marker", "marker='o'"),
            9,
            "expected another marker for covid than for normal",
        ),
        "classes mixed up": (
            FEATURES + LAYOUT + change(MAP, "labels == label", "labels[::-1] == label"),
            9,
            "is drawn under the label",
        ),
        "one class only": (
            FEATURES + LAYOUT + change(MAP, 'enumerate("o^")', 'enumerate("o")'),
            6,
            "points of `layout`, found",
        ),
        "legend swapped": (
            FEATURES + LAYOUT + change(MAP, "axis.legend()", 'axis.legend(["covid", "normal"])'),
            9,
            "is drawn under the label",
        ),
        "points of size 0": (
            FEATURES + LAYOUT + change(MAP, "marker=marker", "s=0, marker=marker"),
            7,
            "points of `layout`, found 0",
        ),
        "features of eight images only": (
            FEATURES + "image_features[1::2] *= 0.5" + LAYOUT + MAP,
            7,
            "expected the output of the layer 'features'",
        ),
        "no legend": (FEATURES + LAYOUT + change(MAP, "axis.legend()", ""), 9, "in the legend"),
        "no figure": (FEATURES + LAYOUT, 6, "`map_figure` is missing"),
    },
    "neighbors": {
        "no answer": ("", 0, "`layout` is missing"),
        "map of the test images": (
            change(TABLE, "task.train", "task.test") + TABLE_MAP + NEAREST,
            2,
            "training images, got",
        ),
        "another map": (
            TABLE + "layout[['x', 'y']] *= -1" + TABLE_MAP + NEAREST,
            8,
            "expected the map of `model` with seed=42, got another",
        ),
        "one color": (
            TABLE + change(TABLE_MAP, "marker=marker", "color='k', marker=marker") + NEAREST,
            9,
            "expected another color for covid than for normal",
        ),
        "one marker": (
            TABLE + change(TABLE_MAP, "marker=marker", "marker='.'") + NEAREST,
            9,
            "expected another marker for covid",
        ),
        "no legend": (
            TABLE + change(TABLE_MAP, "axis.legend()", "") + NEAREST,
            9,
            "expected normal, covid, pneumonia_bac, pneumonia_vir in the legend",
        ),
        "one class for all": (
            TABLE
            + TABLE_MAP
            + "layout['class'] = 'covid'"
            + NEAREST
            + "same_class = pd.Series(1.0, index=task.class_names)",
            7,
            "got 1 for every class: is each its own neighbor?",
        ),
        "each its own neighbor": (
            TABLE + TABLE_MAP + change(NEAREST, ".kneighbors(", ".kneighbors(points, "),
            7,
            "got 1 for every class: is each its own neighbor?",
        ),
        "percent": (
            TABLE + TABLE_MAP + NEAREST + "same_class = 100 * same_class",
            7,
            "expected fractions from 0 to 1, got",
        ),
        "one number": (
            TABLE + TABLE_MAP + NEAREST + "same_class = is_same.mean()",
            6,
            "expected a Series, got a value of type float",
        ),
        "numbers in place of names": (
            TABLE + TABLE_MAP + NEAREST + "same_class.index = range(4)",
            6,
            "expected ['normal', 'covid', 'pneumonia_bac', 'pneumonia_vir'], got ['0'",
        ),
        "the fraction over all images": (
            TABLE + TABLE_MAP + NEAREST + "same_class[:] = is_same.mean()",
            7,
            "another fraction for",
        ),
    },
}


def list_cases(answers):
    """Return the cases; those that compute maps, but for the first two of each, run in CI only."""
    listed = []
    for name, cases in answers.items():
        for number, case in enumerate(cases):
            is_slow = name in ("tsne", "neighbors") and number > 1
            marks = [pytest.mark.slow] if is_slow else []
            listed.append(pytest.param(name, case, id=f"{name}-{case}", marks=marks))
    return listed


@pytest.mark.parametrize(("name", "case"), list_cases(RIGHT))
def test_check_of_a_right_answer_gives_all_points(grade, name, case):
    points, lines = grade(name, RIGHT[name][case])
    assert [line for line in lines if "❌" in line] == []
    assert points == TOTALS[name]
    assert lines[-1].startswith(f"{TOTALS[name]} of {TOTALS[name]} points. These are the public")


@pytest.mark.parametrize(("name", "case"), list_cases(WRONG))
def test_check_of_a_wrong_answer_says_what_is_wrong(grade, name, case):
    answer, expected, problem = WRONG[name][case]
    points, lines = grade(name, answer)
    assert any(problem in line for line in lines if line.startswith("not yet ❌")), lines
    assert points == expected, lines
    assert lines[-1].startswith(f"{expected} of {TOTALS[name]} points.")
    assert f'xk.hint("{name}")' in lines[-1]


@pytest.mark.parametrize("name", TOTALS)
def test_every_question_has_eight_wrong_and_four_right_answers_and_three_hints(name):
    assert len(WRONG[name]) >= 8 and len(RIGHT[name]) >= 4
    assert questions.QUESTIONS[name].total == TOTALS[name]
    assert len(questions.QUESTIONS[name].hints) == 3


def test_check_of_an_answer_that_raises_gives_no_point_and_says_why(capsys):
    class Odd:
        """An answer that can't be looked at."""

        def __getattr__(self, name):
            raise OSError("no\nsuch thing")

    assert xk.check("curves", {"best_epoch": 1, "history": Odd(), "curves_figure": Odd()}) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 6  # five points and the sum, each in one line
    assert lines[0].startswith("not yet ❌ 0 of 1") and "it can't be checked" in lines[0]


def test_check_of_an_unknown_name_suggests_the_nearest_and_raises_nothing(capsys):
    assert xk.check("biuld", {}) == 0
    assert "Did you mean 'build'?" in capsys.readouterr().out


def test_check_finds_the_variables_of_the_notebook(capsys, monkeypatch, first):
    shell = SimpleNamespace(user_ns=first)
    monkeypatch.setattr("xraykit.classroom.checks.get_ipython", lambda: shell)
    assert xk.check("train") == 5
    monkeypatch.setattr("xraykit.classroom.checks.get_ipython", lambda: None)
    assert xk.check("train") == 0  # none in a plain Python session


def test_hints_come_one_by_one_and_are_kept_in_a_file(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for number in (1, 2, 3, 3):
        xk.hint("build")
        assert capsys.readouterr().out.startswith(f"Hint {number} of 3: ")
    xk.hint("train")
    assert capsys.readouterr().out.startswith("Hint 1 of 3: ")
    rows = [line.split(",")[:3] for line in (tmp_path / "hints.csv").read_text().splitlines()]
    assert rows == [["", "build", n] for n in "1233"] + [["", "train", "1"]]
    shell = SimpleNamespace(user_ns={"task": SimpleNamespace(name="multiclass")})
    monkeypatch.setattr("xraykit.classroom.checks.get_ipython", lambda: shell)
    xk.hint("build")  # in another notebook of the same folder
    assert capsys.readouterr().out.startswith("Hint 1 of 3: ")
    xk.hint("trian")
    assert "Did you mean 'train'?" in capsys.readouterr().out


def test_hint_in_a_folder_that_cannot_be_written_is_shown_all_the_same(
    capsys, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "hints.csv").mkdir()
    xk.hint("build")
    hint, note = capsys.readouterr().out.splitlines()
    assert hint.startswith("Hint 1 of 3: ") and note.startswith("hints.csv can't be written")


def test_graded_adds_the_questions_of_an_instructor(capsys, monkeypatch):
    monkeypatch.setattr(questions, "QUESTIONS", mine := {})
    monkeypatch.setattr("xraykit.classroom.checks.QUESTIONS", mine)
    for _ in range(2):  # a cell that is run twice

        @xk.graded("mean", 3, "the mean")
        def find_wrong_mean(mean, ages):
            return None if mean == np.mean(ages) else f"expected another number than {mean}"

    xk.add_hints("mean", "Add them up.")
    assert xk.check("mean", {"mean": 4, "ages": [3, 5]}) == 3
    assert xk.check("mean", {"mean": 5, "ages": [3, 5]}) == 0
    assert "not yet ❌ 0 of 3: the mean: expected another number than 5" in capsys.readouterr().out
    with pytest.raises(xk.InputError, match="There is a question 'mean' already"):
        exec("xk.graded('mean', 1, 'x')(lambda: None)", {"xk": xk, "__name__": "a notebook"})
    with pytest.raises(xk.InputError, match="expected a whole number of at least 1, got 0"):
        xk.graded("mean", 0, "nothing")


def test_student_seed_is_the_same_for_the_same_name_only():
    assert xk.student_seed("Ada Lovelace") == xk.student_seed(" ada  lovelace") == 757213
    seeds = {xk.student_seed(f"student {number}") for number in range(200)}
    assert len(seeds) >= 199 and all(0 <= seed < 10**6 for seed in seeds)
    with pytest.raises(xk.InputError, match="Expected a name or number"):
        xk.student_seed("  ")


def test_check_train_of_confident_errors_compares_the_counts_alone(capsys, first, monkeypatch):
    """Their loss in the history is larger than in the scores, which clip probabilities."""
    table = xk.predict(first["model"], first["task"].validation)
    table.loc[0, ["probability_normal", "probability_covid"]] = 0.0, 1.0
    table.loc[0, ["true", "predicted"]] = "normal", "covid"
    validation = first["task"].validation
    monkeypatch.setattr(
        "xraykit.classroom.network.predict",
        lambda model, images: table if images is validation else xk.predict(model, images),
    )
    accuracy = (table["true"] == table["predicted"]).mean()
    history = first["history"].assign(val_loss=4.0, val_accuracy=accuracy)
    assert xk.check("train", first | {"history": history}) == 5
    assert xk.check("train", first | {"history": history.assign(val_accuracy=0.0)}) == 4
