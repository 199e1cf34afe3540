"""Images for tests: a tiny challenge drawn here, and the real one where there is one."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import xraykit as xk
from xraykit.models.weights import candidate_files

# Workers share the cores: scikit-learn's threads, and the notebooks', would wait for each other.
os.environ.setdefault("OMP_NUM_THREADS", "1")

CLASSES = ("normal", "covid", "pneumonia_bac", "pneumonia_vir")
# Numbers that the real challenge doesn't use, so that the manifest knows none of these.
NAMES = {
    "normal": "NORMAL2-IM-{:04d}-0001.jpeg",
    "covid": "covid scan é {}.png",
    "pneumonia_bac": "person{}_bacteria_1.jpeg",
    "pneumonia_vir": "person{}_virus_1.jpeg",
}


def draw(path, label, seed, size=40):
    """Write a grey image with a bright bar whose place tells the class, and noise."""
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


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory):
    """Features are kept where no other session looks."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XRAYKIT_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def challenge(tmp_path):
    """A tiny challenge of 24 training and 4 test images a class, to be damaged at will."""
    return draw_challenge(tmp_path / "challenge")


@pytest.fixture(scope="session")
def drawn_challenge(tmp_path_factory):
    """The same, to be read only."""
    return draw_challenge(tmp_path_factory.mktemp("drawn"))


@pytest.fixture(scope="session")
def binary(drawn_challenge):
    return xk.load_task("binary", drawn_challenge, image_size=32)


@pytest.fixture(scope="session")
def multiclass(drawn_challenge):
    return xk.load_task("multiclass", drawn_challenge, image_size=32)


@pytest.fixture
def small_cnn(binary):
    return xk.build_classifier("SmallCNN", binary.class_names, image_size=32)


def _folder(variable):
    if variable not in os.environ:
        pytest.skip(f"{variable} is not set: needs what can't be shipped")
    return Path(os.environ[variable])


@pytest.fixture(scope="session")
def real_challenge():
    return _folder("XRAYKIT_CHALLENGE_DIR")


@pytest.fixture(scope="session")
def real_weights():
    return _folder("XRAYKIT_WEIGHTS_DIR")


@pytest.fixture(scope="session")
def real_vgg16(real_weights):
    if not any((real_weights / file).is_file() for file in candidate_files("VGG16", 1.0)):
        pytest.skip("XRAYKIT_WEIGHTS_DIR holds no weights of VGG16, which can't be shipped")


@pytest.fixture
def no_environment(monkeypatch):
    """Neither images nor weights are named by the environment."""
    for variable in ("XRAYKIT_CHALLENGE_DIR", "XRAYKIT_WEIGHTS_DIR"):
        monkeypatch.delenv(variable, raising=False)
