"""A small network learns the lungs from phantoms at shortcut 0, and the shortcuts at 1."""

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import xraykit as xk
from xraykit import keras

N_IMAGES = {"binary": 308, "multiclass": 306}  # 270 of them in train/


def join_parts(task):
    return task.development.join(task.test)


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    """Return a function that draws each set once, with seeds unused in development."""
    folder, drawn = tmp_path_factory.mktemp("learning"), set()

    def draw(task, images, shortcut, seed, image_size):
        root = folder / f"{task}-{images}-{shortcut}-{seed}"
        if root not in drawn:
            xk.draw_phantoms(root, task=task, images=images, shortcut=shortcut, seed=seed)
            drawn.add(root)
        return xk.load_task(task, root, image_size=image_size)

    return draw


def train_small_cnn(task, epochs, seed=1):
    model = xk.build_classifier("SmallCNN", task.class_names, image_size=128, seed=seed)
    steps = epochs * -(-len(task.train) // 10)
    augmentation = xk.Augmentation(shift=0.06, brightness=0, contrast=0, horizontal_flip=True)
    rate = keras.optimizers.schedules.CosineDecay(1e-3, steps)
    xk.train(
        model,
        task,
        epochs=epochs,
        learning_rate=rate,
        augmentation=augmentation,
        use_feature_cache=False,
        seed=seed,
    )
    return model


def measure_accuracy(model, images):
    return xk.score(xk.predict(model, images)).accuracy


def coarse_pixel_accuracy(task, test):
    """Accuracy of logistic regression on 16 × 16 pixels, trained on all images but test."""
    training = task.development
    pixels = training.pixels.mean(axis=-1).reshape(len(training), -1) / 255
    regression = LogisticRegression(max_iter=5000).fit(pixels, training.labels)
    predicted = regression.predict(test.pixels.mean(axis=-1).reshape(len(test), -1) / 255)
    return np.mean(predicted == test.labels)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "epochs", "minimum"), [("binary", 60, 0.9), ("multiclass", 90, 0.75)]
)
def test_train_on_phantoms_without_shortcut_learns_the_lungs(sets, name, epochs, minimum):
    model = train_small_cnn(sets(name, N_IMAGES[name], 0.0, 9101, 128), epochs)
    score = measure_accuracy(model, join_parts(sets(name, 200, 0.0, 9102, 128)))
    coarse = (sets(name, N_IMAGES[name], 0.0, 9101, 16), join_parts(sets(name, 200, 0.0, 9102, 16)))
    assert score >= minimum
    assert score >= coarse_pixel_accuracy(*coarse) + 0.1


@pytest.mark.slow
def test_train_on_phantoms_with_shortcut_fails_without_it(sets):
    confounded = sets("binary", N_IMAGES["binary"], 1.0, 9103, 128)
    model = train_small_cnn(confounded, epochs=60)
    assert measure_accuracy(model, confounded.test) > 0.9
    assert measure_accuracy(model, join_parts(sets("binary", 200, 0.0, 9102, 128))) < 0.7
