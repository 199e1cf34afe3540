"""Images for tests: a tiny synthetic challenge, and the real one if it is available."""

import os
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from PIL import Image

import xraykit as xk
from xraykit.models.weight_files import candidate_files

# Workers share the cores; threads of scikit-learn and the notebooks would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

# Without a limit of time, since the first example loads Keras, and without files in the clone.
LENIENT = {"deadline": None, "database": None, "suppress_health_check": list(HealthCheck)}
settings.register_profile("everyday", **LENIENT, max_examples=10, derandomize=True)
settings.register_profile("thorough", **LENIENT, max_examples=10_000)
settings.load_profile("everyday")

CLASSES = ("normal", "covid", "pneumonia_bac", "pneumonia_vir")
# The real challenge doesn't use these numbers, so the manifest has none of these images.
NAMES = {
    "normal": "NORMAL2-IM-{:04d}-0001.jpeg",
    "covid": "covid scan é {}.png",
    "pneumonia_bac": "person{}_bacteria_1.jpeg",
    "pneumonia_vir": "person{}_virus_1.jpeg",
}


def draw(path, label, seed, size=40):
    """Write a gray image of noise, with a bright bar whose position depends on the class."""
    pixels = np.random.default_rng(seed).integers(0, 120, (size, size), dtype=np.uint8)
    start = 4 + 9 * CLASSES.index(label)
    pixels[:, start : start + 6] += 120
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path, quality=95)


def draw_challenge(root, train=24, test=4):
    for number, label in enumerate(CLASSES):
        for split, first, count in (("train", 5000, train), ("test", 7000, test)):
            for i in range(count):
                seed = first + 500 * number + i
                name = NAMES[label].format(seed)
                draw(root / "all" / split / label / name, label, seed)
                if label in CLASSES[:2]:
                    draw(root / "two" / split / label / name, label, seed)
    return root


@pytest.fixture
def challenge(tmp_path):
    """A tiny challenge of 24 training and 4 test images per class; tests may change it."""
    return draw_challenge(tmp_path / "challenge")


@pytest.fixture(scope="session")
def drawn_challenge(tmp_path_factory):
    """The same challenge for reading only."""
    return draw_challenge(tmp_path_factory.mktemp("drawn"))


@pytest.fixture(scope="session")
def binary(drawn_challenge):
    return xk.load_task("binary", drawn_challenge, image_size=32)


@pytest.fixture(scope="session")
def multiclass(drawn_challenge):
    return xk.load_task("multiclass", drawn_challenge, image_size=32)


@pytest.fixture(scope="session")
def confounded_phantoms(tmp_path_factory):
    """Forty phantoms whose borders, marks and brightness predict the class, for reading only."""
    folder = tmp_path_factory.mktemp("phantoms") / "set"
    xk.draw_phantoms(folder, task="binary", images=40, shortcut=1.0, seed=3)
    return folder


@pytest.fixture
def small_cnn(binary):
    return xk.build_classifier("SmallCNN", binary.class_names, image_size=32)


def _find_folder(variable):
    if variable not in os.environ:
        pytest.skip(f"{variable} is not set: this test needs files that can't be distributed")
    return Path(os.environ[variable])


@pytest.fixture(scope="session")
def real_challenge():
    return _find_folder("XRAYKIT_CHALLENGE_DIR")


@pytest.fixture(scope="session")
def real_weights():
    return _find_folder("XRAYKIT_WEIGHTS_DIR")


@pytest.fixture(scope="session")
def real_vgg16(real_weights):
    if not any((real_weights / file).is_file() for file in candidate_files("VGG16", 1.0)):
        pytest.skip("XRAYKIT_WEIGHTS_DIR has no VGG16 weights, which can't be distributed")


@pytest.fixture
def no_environment(monkeypatch):
    """Unset the environment variables for images and weights."""
    for variable in ("XRAYKIT_CHALLENGE_DIR", "XRAYKIT_WEIGHTS_DIR"):
        monkeypatch.delenv(variable, raising=False)
