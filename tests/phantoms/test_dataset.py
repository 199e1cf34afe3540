import subprocess
import sys
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

import xraykit as xk
from xraykit.data import challenge
from xraykit.data import phantoms as dataset
from xraykit.phantoms.film import draw_setting
from xraykit.phantoms.thorax import BUILDS, grow

FEW = {"task": "binary", "images": 20}


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """Forty phantoms of all classes at shortcut 0.5, to be read only."""
    folder = tmp_path_factory.mktemp("phantoms") / "set"
    return folder, xk.draw_phantoms(folder, images=40, shortcut=0.5, seed=3)


def test_when_nothing_is_said_then_counts_are_the_challenges():
    counts = dataset._share_out("multiclass", None)
    assert counts.sum() == 306
    assert counts["all/train/covid"] == 60
    assert counts["all/test/pneumonia_vir"] == 9
    assert dataset._share_out("binary", None).sum() == 148


def test_when_images_are_given_then_that_many_are_drawn_and_listed(drawn):
    folder, listed = drawn
    files = sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*.png"))
    assert sorted(listed["path"]) == files
    assert len(files) == 40
    assert listed.groupby("split").size().to_dict() == {"train": 35, "test": 5}
    pd.testing.assert_frame_equal(
        pd.read_csv(folder / "phantoms.csv", keep_default_na=False), listed, check_dtype=False
    )


def test_when_drawn_then_files_are_as_the_manifest_says(drawn):
    folder, listed = drawn
    for row in listed.itertuples():
        with Image.open(folder / row.path) as image:
            assert (image.mode, image.width, image.height) == (
                row.mode,
                row.width,
                row.height,
            )
    task = xk.load_task("multiclass", folder, image_size=16)
    patients = dict(zip(listed["path"], listed["patient"], strict=True))
    assert [patients[path] for path in task.train.paths] == list(task.train.patients)


def test_when_phantoms_are_loaded_then_a_banner_says_so(drawn, multiclass):
    task = xk.load_task("binary", drawn[0], image_size=16)
    assert task.phantoms
    assert "PHANTOMS, images of nobody (shortcut 0.5, seed 3)" in repr(task)
    assert not multiclass.phantoms


@pytest.mark.slow
def test_when_seed_is_the_same_then_so_are_the_bytes(tmp_path):
    for name, seed in (("first", 5), ("again", 5), ("other", 6)):
        xk.draw_phantoms(tmp_path / name, **FEW, shortcut=0.3, seed=seed)
    first, again, other = (
        {path.relative_to(tmp_path / name): path.read_bytes() for path in files}
        for name in ("first", "again", "other")
        for files in [sorted(Path(tmp_path / name).rglob("*.*"))]
    )
    assert first == again
    assert len(first) == 21
    assert not set(first.values()) & set(other.values())


def image(label, shortcut=0.0, number=0):
    image, facts = dataset.draw_image(label, ["normal", "covid"], shortcut, 8, number)
    return np.asarray(image.convert("L")).astype(int), facts


@pytest.mark.parametrize("label", ["covid", "pneumonia_bac", "pneumonia_vir"])
def test_when_chest_is_ill_then_only_its_lungs_differ_from_the_healthy_twins(label):
    for number in range(3):
        healthy, facts = image("normal", number=number)
        ill, ill_facts = image(label, number=number)
        differs = healthy != ill
        height, width = differs.shape
        ring = np.ones_like(differs)
        ring[height // 16 : -height // 16, width // 16 : -width // 16] = False
        assert differs.mean() > 0.005
        assert not differs[ring].any()
        assert facts["covered"] == 0 < ill_facts["covered"]
        assert {**ill_facts, "severity": 0, "covered": 0} == {**facts, "severity": 0}


def test_when_any_chest_is_drawn_then_its_lungs_stay_off_the_border():
    for number in range(50):
        setting_rng, pose_rng, chest_rng = (np.random.default_rng([8, number, i]) for i in range(3))
        setting = draw_setting("normal", ["normal", "covid"], 0.0, setting_rng)
        build = BUILDS[setting.build]
        view = dataset._draw_view(setting.height // 4, setting.width // 4, build.width, pose_rng)
        _, aerated = grow(build, 0.2, chest_rng).project(view)
        height, width = aerated.shape
        inner = aerated[height // 16 : -(height // 16), width // 16 : -(width // 16)]
        assert (aerated > 0).sum() == (inner > 0).sum() > 0


def test_when_drawn_then_a_files_number_tells_nothing_of_its_class(drawn):
    listed = drawn[1].sort_values("path", key=lambda path: path.str.rpartition("/")[2])
    runs = (listed["class"] != listed["class"].shift()).sum()
    assert runs > 20  # 8 if classes came one after the other


def opacity_by_place(label):
    """How much disease changes each place of six chests, shape (6, 64, 64)."""
    maps = []
    for number in range(6):
        healthy, _ = image("normal", number=number)
        ill, _ = image(label, number=number)
        change = Image.fromarray(np.abs(ill - healthy).astype(np.uint8)).resize((64, 64))
        maps.append(np.asarray(change).astype(float))
    return np.stack(maps)


def test_when_covid_then_both_sides_low_and_away_from_the_middle():
    maps = opacity_by_place("covid")
    left, right = maps[..., :32].sum((1, 2)), maps[..., 32:].sum((1, 2))
    assert (np.minimum(left, right) / (left + right) > 0.15).all()
    assert maps[:, 32:].sum() > 2 * maps[:, :32].sum()
    assert maps[..., :22].sum() + maps[..., 42:].sum() > maps[..., 22:42].sum()


def test_when_bacterial_then_one_side_alone():
    maps = opacity_by_place("pneumonia_bac")
    left, right = maps[..., :32].sum((1, 2)), maps[..., 32:].sum((1, 2))
    assert (np.maximum(left, right) / (left + right) > 0.8).all()
    assert (left > right).any()
    assert (left < right).any()


def test_when_viral_then_spread_over_both_sides_high_and_low():
    maps = opacity_by_place("pneumonia_vir").sum(0)
    quarters = [maps[:32, :32], maps[:32, 32:], maps[32:, :32], maps[32:, 32:]]
    assert min(part.sum() for part in quarters) > 0.1 * maps.sum()


@cache
def settings(label, shortcut):
    """The settings of 400 images of a class, a row each."""
    rng = np.random.default_rng([4, label == "covid"])
    pool = ["normal", "covid"]
    return pd.DataFrame([vars(draw_setting(label, pool, shortcut, rng)) for _ in range(400)])


@pytest.mark.parametrize(
    ("fact", "of_covid"),
    [
        ("build", lambda facts: facts["build"] == "adult"),
        ("mode", lambda facts: facts["mode"] != "L"),
        ("frame", lambda facts: facts["frame"] == "bright"),
        ("brightness", lambda facts: facts["brightness"] > 0.05),
        ("aspect", lambda facts: facts["width"] / facts["height"] < 1.12),
        ("size", lambda facts: facts["height"] < 288),
        (
            "text-like marks",
            lambda facts: facts["text-like marks"].map(lambda marks: "date" in marks),
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_when_shortcut_turns_then_a_fact_is_tied_to_the_class_but_as_frequent(fact, of_covid):
    tied, free = (
        [of_covid(settings(label, shortcut)).mean() for label in ("covid", "normal")]
        for shortcut in (1.0, 0.0)
    )
    assert tied[0] - tied[1] > 0.4
    assert abs(free[0] - free[1]) < 0.12
    assert np.mean(tied) == pytest.approx(np.mean(free), abs=0.08)


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
def test_when_argument_is_wrong_then_one_line_says_so(tmp_path, wrong, message):
    with pytest.raises(xk.InputError, match=message):
        xk.draw_phantoms(tmp_path / "set", **{**FEW, **wrong})
    assert not list(tmp_path.iterdir())


def test_when_folder_holds_something_then_it_is_left_alone(tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(xk.InputError, match="holds something already"):
        xk.draw_phantoms(tmp_path, **FEW)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_when_drawing_stops_halfway_then_nothing_is_there(tmp_path, monkeypatch):
    def break_down(label, pool, shortcut, seed, number):
        if number == 12:
            raise OSError("No space left on device")
        return draw_image(label, pool, shortcut, seed, number)

    draw_image = dataset.draw_image
    monkeypatch.setattr(dataset, "draw_image", break_down)
    with pytest.raises(xk.InputError, match=r"Can't draw phantoms into .*No space left"):
        xk.draw_phantoms(tmp_path / "set", **FEW)
    assert not list(tmp_path.iterdir())


def test_when_folder_is_empty_then_it_is_filled_and_kept(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir(mode=0o700)
    (folder / ".DS_Store").write_bytes(b"clutter")
    before = folder.stat()
    xk.draw_phantoms(folder, **FEW)
    assert folder.stat().st_ino == before.st_ino
    assert sorted(path.name for path in folder.iterdir()) == [".DS_Store", "phantoms.csv", "two"]


def test_when_manifest_is_damaged_then_one_line_says_so(tmp_path):
    xk.draw_phantoms(tmp_path / "set", **FEW)
    (tmp_path / "set/phantoms.csv").write_text("")
    with pytest.raises(xk.InputError, match=r"phantoms.csv is damaged: draw the phantoms again"):
        xk.load_task("binary", tmp_path / "set", image_size=16)


@pytest.fixture
def small_standby(tmp_path, monkeypatch, no_environment):
    """A clone without images, whose phantoms are few."""
    monkeypatch.setattr(challenge, "DATA", tmp_path)
    monkeypatch.setattr(dataset, "DATA", tmp_path)
    full = dataset.draw_phantoms
    monkeypatch.setattr(
        dataset, "draw_phantoms", lambda folder, shortcut: full(folder, images=40, shortcut=1.0)
    )
    return tmp_path


@pytest.mark.slow
def test_when_there_are_no_images_then_phantoms_are_drawn_once(small_standby, capsys):
    first = xk.load_task("multiclass", image_size=16)
    assert first.phantoms
    assert first.root == small_standby / "phantoms"
    said = capsys.readouterr().out
    assert "No images of the challenge found" in said
    assert "Drawing them" in said
    xk.load_task("binary", image_size=16)
    assert "Drawing them" not in capsys.readouterr().out


@pytest.mark.slow
def test_when_two_start_at_once_then_the_second_takes_what_the_first_drew(
    small_standby, monkeypatch
):
    draw = dataset.draw_phantoms

    def draw_after_another(folder, shortcut):
        draw(folder, shortcut)
        draw(folder, shortcut)

    monkeypatch.setattr(dataset, "draw_phantoms", draw_after_another)
    assert xk.load_task("binary", image_size=16).phantoms


@pytest.mark.slow
def test_when_command_is_used_then_it_draws_and_counts(tmp_path):
    command = [Path(sys.executable).with_name("xraykit"), "data", "phantoms", tmp_path / "set"]
    options = ["--task", "binary", "--images", "20", "--shortcut", "1", "--seed", "7"]
    done = subprocess.run([*command, *options], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "20 phantoms are in" in done.stdout
    assert len(list((tmp_path / "set/two").rglob("phantom-7-*.png"))) == 20
    again = subprocess.run([*command, *options], capture_output=True, text=True)
    assert again.returncode == 2
    assert len(again.stderr.splitlines()) == 1
