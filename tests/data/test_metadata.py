import pandas as pd
import pytest
from PIL import Image

import xraykit as xk


def test_when_images_are_of_nobody_known_then_only_the_file_is(binary, drawn_challenge):
    facts = xk.image_metadata(binary)
    assert list(facts["path"]) == [
        *binary.train.paths, *binary.validation.paths, *binary.test.paths
    ]  # fmt: skip
    covid = facts[facts["class"] == "covid"]
    assert set(covid["source"]) == {"unknown"} and set(facts["mode"]) == {"L"}
    names = facts.loc[facts["class"] == "normal", "source"]
    assert set(names) == {"Kermany et al."}  # as their files are called


def test_when_images_are_phantoms_then_their_manifest_says_what_is_in_them(tmp_path):
    xk.draw_phantoms(tmp_path / "set", "binary", images=40, shortcut=1.0, seed=3)
    drawn = pd.read_csv(tmp_path / "set" / "phantoms.csv").set_index("path")
    facts = xk.image_metadata(xk.load_task("binary", tmp_path / "set", image_size=32))
    facts = facts.set_index("path")
    drawn = drawn.loc[facts.index]
    assert (facts["age"] == drawn["build"]).all() and (facts["frame"] == drawn["frame"]).all()
    assert (facts["mode"] == drawn["mode"]).all() and set(facts["source"]) == {"drawn"}


def test_when_images_are_real_then_source_and_age_are_the_class_itself(real_challenge):
    facts = xk.image_metadata(xk.load_task("binary", real_challenge, image_size=32))
    groups = facts.groupby("class")[["source", "age"]].agg(set)
    assert groups.loc["covid"].tolist() == [{"covid-chestxray-dataset"}, {"adult"}]
    assert groups.loc["normal"].tolist() == [{"Kermany et al."}, {"child"}]


def test_when_a_file_has_gone_then_one_line_says_so(challenge):
    task = xk.load_task("binary", challenge, image_size=32)
    (task.root / task.test.paths[0]).unlink()
    with pytest.raises(xk.InputError, match=r"can't be read any more.*Load the task anew"):
        xk.image_metadata(task)


def test_mode_is_the_files_own(challenge):
    task = xk.load_task("binary", challenge, image_size=32)
    path = task.root / task.test.paths[0]
    Image.open(path).convert("RGB").save(path)
    facts = xk.image_metadata(task).set_index("path")
    assert facts.loc[task.test.paths[0], "mode"] == "RGB"
