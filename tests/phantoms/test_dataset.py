import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import xraykit as xk
from xraykit.data import challenge, phantoms as dataset
from xraykit.phantoms.film import draw_setting
from xraykit.phantoms.thorax import BUILDS, draw_thorax

SMALL_SET = {"task": "binary", "images": 20}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Forty phantoms of all classes at shortcut 0.5, to be read only."""
    folder = tmp_path_factory.mktemp("phantoms") / "set"
    return folder, xk.draw_phantoms(folder, images=40, shortcut=0.5, seed=3)


def test_distribute_images_default_is_as_in_the_challenge():
    counts = dataset._distribute_images("multiclass", None)
    assert counts.sum() == 306
    assert counts["all/train/covid"] == 60
    assert counts["all/test/pneumonia_vir"] == 9
    assert dataset._distribute_images("binary", None).sum() == 148


def test_draw_phantoms_number_of_images_is_as_given(drawn):
    folder, table = drawn
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    assert sorted(table["path"]) == files
    assert len(files) == 40
    assert table.groupby("split").size().to_dict() == {"train": 35, "test": 5}
    pd.testing.assert_frame_equal(
        pd.read_csv(folder / "phantoms.csv", keep_default_na=False), table, check_dtype=False
    )


def test_draw_phantoms_files_match_the_table(drawn):
    folder, table = drawn
    for row in table.itertuples():
        with Image.open(folder / row.path) as image:
            assert (image.mode, image.width, image.height) == (
                row.mode,
                row.width,
                row.height,
            )
    task = xk.load_task("multiclass", folder, image_size=16)
    patients = dict(zip(table["path"], table["patient"], strict=True))
    assert [patients[path] for path in task.train.paths] == list(task.train.patients)


def test_load_task_phantoms_print_a_note(drawn, multiclass):
    task = xk.load_task("binary", drawn[0], image_size=16)
    assert task.phantoms
    assert "SYNTHETIC IMAGES (phantoms, shortcut 0.5, seed 3)" in repr(task)
    assert not multiclass.phantoms


@pytest.mark.slow
def test_draw_phantoms_same_seed_gives_same_bytes(tmp_path):
    for name, seed in (("first", 5), ("again", 5), ("other", 6)):
        xk.draw_phantoms(tmp_path / name, **SMALL_SET, shortcut=0.3, seed=seed)
    first, again, other = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in files}
        for name in ("first", "again", "other")
        for files in [sorted(Path(tmp_path / name).rglob("*.*"))]
    )
    assert first == again
    assert len(first) == 21
    assert not set(first.values()) & set(other.values())


@cache
def draw(label, shortcut=0.0, number=0):
    image, metadata = dataset.draw_image(label, ["normal", "covid"], shortcut, 8, number)
    return np.asarray(image.convert("L")).astype(int), metadata


@pytest.mark.parametrize("label", ["covid", "pneumonia_bac", "pneumonia_vir"])
def test_draw_image_disease_changes_only_the_lungs(label):
    for number in range(3):
        healthy, healthy_metadata = draw("normal", number=number)
        ill, ill_metadata = draw(label, number=number)
        differs = healthy != ill
        height, width = differs.shape
        ring = np.ones_like(differs)
        ring[height // 16 : -height // 16, width // 16 : -width // 16] = False
        assert differs.mean() > 0.005
        assert not differs[ring].any()
        assert healthy_metadata["covered"] == 0 < ill_metadata["covered"]
        assert {**ill_metadata, "severity": 0, "covered": 0} == {**healthy_metadata, "severity": 0}


def test_draw_view_lungs_stay_out_of_the_border():
    for number in range(50):
        setting_rng, pose_rng, chest_rng = (np.random.default_rng([8, number, i]) for i in range(3))
        setting = draw_setting("normal", ["normal", "covid"], 0.0, setting_rng)
        build = BUILDS[setting.build]
        view = dataset._draw_view(setting.height // 4, setting.width // 4, build.width, pose_rng)
        _, aerated = draw_thorax(build, 0.2, chest_rng).project(view)
        height, width = aerated.shape
        inner = aerated[height // 16 : -(height // 16), width // 16 : -(width // 16)]
        assert (aerated > 0).sum() == (inner > 0).sum() > 0


def test_draw_phantoms_file_numbers_do_not_depend_on_the_class(drawn):
    table = drawn[1].sort_values("path", key=lambda path: path.str.rpartition("/")[2])
    runs = (table["class"] != table["class"].shift()).sum()
    assert runs > 20  # 8 if classes came one after the other


def map_opacity(label):
    """Return the absolute change by disease in six chests, shape (6, 64, 64)."""
    maps = []
    for number in range(6):
        healthy, _ = draw("normal", number=number)
        ill, _ = draw(label, number=number)
        change = Image.fromarray(np.abs(ill - healthy).astype(np.uint8)).resize((64, 64))
        maps.append(np.asarray(change).astype(float))
    return np.stack(maps)


def test_draw_covid_is_bilateral_basal_and_peripheral():
    maps = map_opacity("covid")
    left, right = maps[..., :32].sum((1, 2)), maps[..., 32:].sum((1, 2))
    assert (np.minimum(left, right) / (left + right) > 0.15).all()
    assert maps[:, 32:].sum() > 2 * maps[:, :32].sum()
    assert maps[..., :22].sum() + maps[..., 42:].sum() > maps[..., 22:42].sum()


def test_draw_bacterial_is_unilateral():
    maps = map_opacity("pneumonia_bac")
    left, right = maps[..., :32].sum((1, 2)), maps[..., 32:].sum((1, 2))
    assert (np.maximum(left, right) / (left + right) > 0.8).all()
    assert (left > right).any()
    assert (left < right).any()


def test_draw_viral_is_diffuse():
    maps = map_opacity("pneumonia_vir").sum(0)
    quarters = [maps[:32, :32], maps[:32, 32:], maps[32:, :32], maps[32:, 32:]]
    assert min(part.sum() for part in quarters) > 0.1 * maps.sum()


@cache
def draw_settings(label, shortcut):
    """Return the settings of 400 images of a class, one row per image."""
    rng = np.random.default_rng([4, label == "covid"])
    pool = ["normal", "covid"]
    return pd.DataFrame([vars(draw_setting(label, pool, shortcut, rng)) for _ in range(400)])


@pytest.mark.parametrize(
    ("attribute", "is_typical"),
    [
        ("build", lambda rows: rows["build"] == "adult"),
        ("mode", lambda rows: rows["mode"] != "L"),
        ("frame", lambda rows: rows["frame"] == "bright"),
        ("brightness", lambda rows: rows["brightness"] > 0.05),
        ("aspect", lambda rows: rows["width"] / rows["height"] < 1.12),
        ("size", lambda rows: rows["height"] < 288),
        (
            "marks",
            lambda rows: rows["marks"].map(lambda marks: "date" in marks),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_draw_setting_shortcut_changes_association_not_frequency(attribute, is_typical):
    confounded, independent = (
        [is_typical(draw_settings(label, shortcut)).mean() for label in ("covid", "normal")]
        for shortcut in (1.0, 0.0)
    )
    assert confounded[0] - confounded[1] > 0.4
    assert abs(independent[0] - independent[1]) < 0.12
    assert np.mean(confounded) == pytest.approx(np.mean(independent), abs=0.08)


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"task": "binry"}, "Did you mean 'binary'"),
        ({"shortcut": 1.5}, r"shortcut=1.5: expected a number from 0 to 1"),
        ({"shortcut": "much"}, "shortcut='much': expected a number"),
        ({"shortcut": True}, "shortcut=True: expected a number"),
        ({"images": 16}, "images=16: expected a whole number, 17 or more"),
        ({"seed": -1}, "seed=-1: expected a whole number, 0 or more"),
    ],
)
def test_draw_phantoms_bad_argument_raises_one_line(tmp_path, wrong, message):
    with pytest.raises(xk.InputError, match=message):
        xk.draw_phantoms(tmp_path / "set", **{**SMALL_SET, **wrong})
    assert not list(tmp_path.iterdir())


def test_draw_phantoms_folder_not_empty_is_unchanged(tmp_path):
    (tmp_path / "existing.txt").write_text("existing")
    with pytest.raises(xk.InputError, match="is not empty"):
        xk.draw_phantoms(tmp_path, **SMALL_SET)
    assert [path.name for path in tmp_path.iterdir()] == ["existing.txt"]


@pytest.fixture
def draw_quickly(monkeypatch):
    """Draw one image only, many times, where the files matter and not what they show."""
    drawing = dataset.draw_image("normal", ["normal", "covid"], 0.0, 8, 0)
    monkeypatch.setattr(dataset, "draw_image", lambda *_: drawing)


@pytest.mark.usefixtures("draw_quickly")
def test_draw_phantoms_failure_leaves_nothing(tmp_path, monkeypatch):
    def fail(label, pool, shortcut, seed, number):
        if number == 12:
            raise OSError("No space left on device")
        return draw_image(label, pool, shortcut, seed, number)

    draw_image = dataset.draw_image
    monkeypatch.setattr(dataset, "draw_image", fail)
    with pytest.raises(xk.WriteError, match=r"set can't be written: No space left.*Free some disk"):
        xk.draw_phantoms(tmp_path / "set", **SMALL_SET)
    assert not list(tmp_path.iterdir())


@pytest.mark.usefixtures("draw_quickly")
def test_draw_phantoms_empty_folder_is_filled(tmp_path):
    folder = tmp_path / "existing"
    folder.mkdir(mode=0o700)
    (folder / ".DS_Store").write_bytes(b"clutter")
    before = folder.stat()
    xk.draw_phantoms(folder, **SMALL_SET)
    assert folder.stat().st_ino == before.st_ino
    assert sorted(path.name for path in folder.iterdir()) == [".DS_Store", "phantoms.csv", "two"]


def test_load_task_damaged_phantom_table_raises_one_line(drawn, tmp_path):
    shutil.copytree(drawn[0], tmp_path / "set")
    (tmp_path / "set/phantoms.csv").write_text("")
    with pytest.raises(xk.InputError, match=r"phantoms.csv is damaged: draw the phantoms again"):
        xk.load_task("binary", tmp_path / "set", image_size=16)


@pytest.fixture
def few_substitutes(tmp_path, monkeypatch, no_environment):
    """A clone without images that draws only 40 phantoms."""
    monkeypatch.setattr(challenge, "DATA", tmp_path)
    monkeypatch.setattr(dataset, "DATA", tmp_path)
    full = dataset.draw_phantoms
    monkeypatch.setattr(
        dataset, "draw_phantoms", lambda folder, shortcut: full(folder, images=40, shortcut=1.0)
    )
    return tmp_path


@pytest.mark.slow
def test_load_task_no_images_draws_phantoms_once(few_substitutes, capsys):
    first = xk.load_task("multiclass", image_size=16)
    assert first.phantoms
    assert first.root == few_substitutes / "phantoms"
    output = capsys.readouterr().out
    assert "No images of the challenge found" in output
    assert "Drawing them" in output
    xk.load_task("binary", image_size=16)
    assert "Drawing them" not in capsys.readouterr().out


@pytest.mark.slow
def test_substitute_phantoms_drawn_by_another_process_are_used(few_substitutes, monkeypatch):
    draw = dataset.draw_phantoms

    def draw_after_another(folder, shortcut):
        draw(folder, shortcut=shortcut)
        draw(folder, shortcut=shortcut)

    monkeypatch.setattr(dataset, "draw_phantoms", draw_after_another)
    assert xk.load_task("binary", image_size=16).phantoms


@pytest.mark.slow
def test_data_phantoms_command_draws_images(tmp_path):
    command = [Path(sys.executable).with_name("xraykit"), "data", "phantoms", tmp_path / "set"]
    options = ["--task", "binary", "--images", "20", "--shortcut", "1", "--seed", "7"]
    process = subprocess.run([*command, *options], capture_output=True, text=True)
    assert process.returncode == 0, process.stderr
    assert "20 phantoms are in" in process.stdout
    assert len(list((tmp_path / "set/two").rglob("phantom-7-*.png"))) == 20
    again = subprocess.run([*command, *options], capture_output=True, text=True)
    assert again.returncode == 2
    assert len(again.stderr.splitlines()) == 1
