import pandas as pd
import pytest
from PIL import Image

import xraykit as xk


def test_image_metadata_unknown_images_have_source_unknown(binary, drawn_challenge):
    metadata = xk.image_metadata(binary)
    assert list(metadata["path"]) == [
        *binary.train.paths, *binary.validation.paths, *binary.test.paths
    ]  # fmt: skip
    covid = metadata[metadata["class"] == "covid"]
    assert set(covid["source"]) == {"unknown"} and set(metadata["mode"]) == {"L"}
    sources = metadata.loc[metadata["class"] == "normal", "source"]
    assert set(sources) == {"Kermany et al."}  # from their file names


def test_image_metadata_phantoms_come_from_their_table(confounded_phantoms):
    drawn = pd.read_csv(confounded_phantoms / "phantoms.csv").set_index("path")
    metadata = xk.image_metadata(xk.load_task("binary", confounded_phantoms, image_size=32))
    metadata = metadata.set_index("path")
    drawn = drawn.loc[metadata.index]
    assert (metadata["age"] == drawn["build"]).all() and (metadata["frame"] == drawn["frame"]).all()
    assert (metadata["mode"] == drawn["mode"]).all() and set(metadata["source"]) == {"phantom"}


def test_image_metadata_real_images_source_and_age_equal_class(real_challenge):
    metadata = xk.image_metadata(xk.load_task("binary", real_challenge, image_size=32))
    groups = metadata.groupby("class")[["source", "age"]].agg(set)
    assert groups.loc["covid"].tolist() == [{"covid-chestxray-dataset"}, {"adult"}]
    assert groups.loc["normal"].tolist() == [{"Kermany et al."}, {"child"}]


def test_image_metadata_missing_file_raises_one_line(challenge):
    task = xk.load_task("binary", challenge, image_size=32)
    (task.root / task.test.paths[0]).unlink()
    with pytest.raises(xk.InputError, match=r"can't be read any more.*Load the task again"):
        xk.image_metadata(task)


def test_image_metadata_mode_is_that_of_the_file(challenge):
    task = xk.load_task("binary", challenge, image_size=32)
    path = task.root / task.test.paths[0]
    Image.open(path).convert("RGB").save(path)
    metadata = xk.image_metadata(task).set_index("path")
    assert metadata.loc[task.test.paths[0], "mode"] == "RGB"
