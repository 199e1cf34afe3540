"""What a small network learns from phantoms: the lungs at shortcut 0, what comes with them at 1."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import xraykit as xk
from xraykit import keras

ENOUGH = {"binary": 308, "multiclass": 306}  # images in all, 270 of them in train/


def whole(task):
    return task.development.join(task.test)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Return a function that draws a set once, of seeds that the drawing was not developed on."""
    folder, drawn = tmp_path_factory.mktemp("learning"), set()

    def draw(task, images, shortcut, seed, image_size):
        root = folder / f"{task}-{images}-{shortcut}-{seed}"
        if root not in drawn:
            xk.draw_phantoms(root, task, images, shortcut, seed)
            drawn.add(root)
        return xk.load_task(task, root, image_size=image_size)

    return draw


def train_small_cnn(task, epochs, seed=1):
    model = xk.build_classifier("SmallCNN", task.class_names, image_size=128, seed=seed)
    steps = epochs * -(-len(task.train) // 10)
    moved = xk.Augmentation(shift=0.06, brightness=0, contrast=0, horizontal_flip=True)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, steps)
    xk.train(
        model,
        task,
        epochs,
        learning_rate=rate,
        augmentation=moved,
        use_feature_cache=False,
        seed=seed,
    )
    return model


def right(model, images):
    scores = xk.score(xk.predict(model, images))
    return scores.right / scores.of


def right_by_coarse_pixels(task, fresh):
    """Logistic regression on 16 × 16 pixels, trained on all that is not test."""
    known = task.development
    pixels = known.pixels.mean(axis=-1).reshape(len(known), -1) / 255
    fool = LogisticRegression(max_iter=5000).fit(pixels, known.labels)
    guessed = fool.predict(fresh.pixels.mean(axis=-1).reshape(len(fresh), -1) / 255)
    return np.mean(guessed == fresh.labels)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "epochs", "least"), [("binary", 60, 0.9), ("multiclass", 90, 0.75)]
)
def test_when_shortcut_is_0_then_the_lungs_are_learned(sets, name, epochs, least):
    model = train_small_cnn(sets(name, ENOUGH[name], 0.0, 9101, 128), epochs)
    score = right(model, whole(sets(name, 200, 0.0, 9102, 128)))
    coarse = (sets(name, ENOUGH[name], 0.0, 9101, 16), whole(sets(name, 200, 0.0, 9102, 16)))
    assert score >= least
    assert score >= right_by_coarse_pixels(*coarse) + 0.1


@pytest.mark.slow
def test_when_trained_at_shortcut_1_then_it_falls_at_0(sets):
    tied = sets("binary", ENOUGH["binary"], 1.0, 9103, 128)
    model = train_small_cnn(tied, epochs=60)
    assert right(model, tied.test) > 0.9
    assert right(model, whole(sets("binary", 200, 0.0, 9102, 128))) < 0.7
