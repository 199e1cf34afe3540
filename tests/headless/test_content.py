import os

import pytest
from tiny import write_notebook

import xraykit as xk
from xraykit.headless.content import content_key
from xraykit.headless.parameters import read_notebook


@pytest.fixture
def key(tmp_path, monkeypatch, no_environment):
    """Return a function that gives the key of a run on the folder `images`."""
    monkeypatch.delenv("XRAYKIT_EXTERNAL_DIR", raising=False)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path / "keras"))
    monkeypatch.setattr("xraykit.headless.content.version", lambda package: "1")
    (tmp_path / "images/two/train/normal").mkdir(parents=True)
    (tmp_path / "images/two/train/normal/a.png").write_bytes(b"a")
    notebook = read_notebook(write_notebook(tmp_path / "a.ipynb", ("show", "1")))
    values = {"data": str(tmp_path / "images")}
    return lambda **other: content_key(notebook, values | other, tmp_path / "images/out")


def add_clutter(images):
    (images / ".DS_Store").touch()
    (images / "two/train/normal/Picasa.ini").touch()
    (images / "two/train/@eaDir").mkdir()
    (images / "two/train/@eaDir/a.png").touch()


def add_results(images):
    for name in ("out", "other run", "two/third run"):
        (images / name).mkdir()
        (images / name / "results.json").write_text("{}")


def add_loops(images):
    (images / "two/train/normal/self").symlink_to("self")
    (images / "two/train/normal/above").symlink_to("..")


@pytest.mark.parametrize("change", [add_clutter, add_results, add_loops])
def test_content_key_ignores_what_is_not_read(key, tmp_path, change):
    before = key()
    change(tmp_path / "images")
    assert key() == before


def add_image(images):
    name = os.fsencode(images) + b"/two/train/normal/r\xf6ntgen.png"
    with open(name, "wb") as file:  # noqa: PTH123
        file.write(b"b")


def change_linked_image(images):
    (images.parent / "elsewhere/b.png").write_bytes(b"c")


@pytest.mark.parametrize("change", [add_image, change_linked_image])
def test_content_key_changes_with_the_images(key, tmp_path, change):
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "images/two/train/covid").symlink_to(tmp_path / "elsewhere")
    before = key()
    change(tmp_path / "images")
    assert key() != before


def test_content_key_changes_when_weights_arrive(key, tmp_path, monkeypatch):
    before = key()
    monkeypatch.setenv("XRAYKIT_WEIGHTS_DIR", str(tmp_path))
    assert key() == before
    (tmp_path / "vgg16_notop.weights.h5").touch()
    assert key() != before


def test_content_key_without_data_parameter_reads_the_environment(key, tmp_path, monkeypatch):
    monkeypatch.setenv("XRAYKIT_CHALLENGE_DIR", str(tmp_path / "images"))
    before = key(data="auto")
    add_image(tmp_path / "images")
    assert key(data="auto") != before
    monkeypatch.setenv("XRAYKIT_CHALLENGE_DIR", str(tmp_path / "missing"))
    with pytest.raises(xk.InputError, match="No images found"):
        key(data="auto")
