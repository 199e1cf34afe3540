import os
import shutil
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import xraykit as xk
from xraykit.data.images import FilePixels


def test_load_task_makes_covid_the_positive_class(binary):
    assert binary.class_names == ("normal", "covid")
    is_covid = [path.split("/")[2] == "covid" for path in binary.test.paths]
    assert binary.test.labels.tolist() == is_covid


def test_when_task_is_loaded_then_every_image_is_in_one_part(multiclass):
    parts = (multiclass.train, multiclass.validation, multiclass.test)
    paths = [path for part in parts for path in part.paths]
    assert len(paths) == len(set(paths)) == 4 * 28
    assert [sum(part.counts().values()) for part in parts] == [77, 19, 16]


def test_load_task_paths_labels_and_pixels_belong_together(multiclass):
    for path, label, pixels in zip(
        multiclass.train.paths, multiclass.train.labels, multiclass.train.pixels, strict=True
    ):
        assert multiclass.class_names[label] == path.split("/")[2]
        columns = pixels[..., 0].mean(axis=0)
        assert (columns.argmax() * 40 / 32 - 4) // 9 == label  # position of the bright bar


def test_load_task_same_seed_gives_same_split(drawn_challenge):
    first, again, other = (
        xk.load_task("binary", drawn_challenge, image_size=8, seed=seed) for seed in (1, 1, 2)
    )
    assert first.validation.paths == again.validation.paths != other.validation.paths


@pytest.mark.parametrize(("fraction", "held_out"), [(0.1, 5), (0.25, 12), (0.3, 15), (0.5, 24)])
def test_load_task_validation_fraction_is_about_that_fraction(drawn_challenge, fraction, held_out):
    task = xk.load_task("binary", drawn_challenge, image_size=8, validation_fraction=fraction)
    assert abs(len(task.validation) - held_out) <= 1
    assert len(task.train) + len(task.validation) == 48


def test_when_patient_has_several_images_then_they_stay_together(challenge):
    folder = challenge / "all/train/pneumonia_bac"
    for i, path in enumerate(sorted(folder.iterdir())):
        path.rename(folder / f"person{5000 + i // 3}_bacteria_{i}.jpeg")
    for seed in range(5):
        task = xk.load_task("multiclass", challenge, image_size=8, seed=seed)
        assert not set(task.train.patients) & set(task.validation.patients)


@pytest.mark.parametrize("allow_leak", [False, True])
def test_load_task_same_image_in_train_and_test_is_named(challenge, capsys, allow_leak):
    source = next((challenge / "two/test/covid").iterdir())
    shutil.copy(source, challenge / "two/train/covid/again.png")
    task = xk.load_task("binary", challenge, image_size=8, allow_leak=allow_leak)
    assert task.leaking["path"].tolist() == ["two/train/covid/again.png"]
    assert "two/train/covid/again.png" in capsys.readouterr().out
    paths = task.train.paths + task.validation.paths
    assert ("two/train/covid/again.png" in paths) == allow_leak


def test_load_task_two_without_links_reads_all_and_prints_a_note(challenge, capsys):
    shutil.rmtree(challenge / "two")
    (challenge / "two/train").mkdir(parents=True)
    (challenge / "two/train/covid").write_text("../../all/train/covid")  # a link in some copies
    task = xk.load_task("binary", challenge, image_size=8)
    assert sum(task.train.counts().values()) + len(task.validation) == 48
    assert "read from all/" in capsys.readouterr().out


def test_when_a_class_folder_is_a_link_then_it_is_followed(challenge):
    shutil.move(challenge / "two/test/covid", challenge / "external_validation")
    (challenge / "two/test/covid").symlink_to(challenge / "external_validation")
    assert len(xk.load_task("binary", challenge, image_size=8).test) == 8


def test_load_task_few_unusable_files_are_skipped_and_listed(challenge, capsys):
    folder = challenge / "two/train/covid"
    (folder / "empty.jpeg").touch()
    (folder / ".scan.jpeg.icloud").touch()
    task = xk.load_task("binary", challenge, image_size=8)
    assert dict(task.skipped.itertuples(index=False)) == {
        "two/train/covid/empty.jpeg": "empty file (0 bytes)",
        "two/train/covid/.scan.jpeg.icloud": "not downloaded from iCloud: download it first",
    }
    output = capsys.readouterr().out
    assert "empty file" in output and "iCloud" in output


def remove(*parts):
    return lambda root: [shutil.rmtree(root / part) for part in parts]


def empty(root):
    for path in (root / "all/train/covid").iterdir():
        path.unlink()


def break_three(root):
    for path in sorted((root / "all/train/covid").iterdir())[:3]:
        path.write_bytes(path.read_bytes()[:100])


def break_whole_test_class(root):
    for path in (root / "all/test/covid").iterdir():
        path.write_text("not an image")


def put_a_normal_image_under_covid(root):
    source = next((root / "all/train/normal").iterdir())
    shutil.copy(source, root / "all/test/covid/other name.jpeg")


def leave_two(root):
    for path in sorted((root / "all/train/covid").iterdir())[2:]:
        path.unlink()


def put_a_file_in_place_of_a_class(root):
    shutil.rmtree(root / "all/train/covid")
    (root / "all/train/covid").write_text("../../two/train/covid")


def nest(root):
    folder = root / "all/train/covid"
    folder.rename(root / "covid")
    folder.mkdir()
    (root / "covid").rename(folder / "covid")


def capitalize(root):
    for split in ("train", "test"):
        (root / "all" / split / "covid").rename(root / "all" / split / "COVID-19")


def one_class(root):
    for split in ("train", "test"):
        for label in ("covid", "pneumonia_bac", "pneumonia_vir"):
            shutil.rmtree(root / "all" / split / label)


BAD = {
    "no such folder": (lambda root: shutil.rmtree(root), "is not a folder"),
    "no task folder": (remove("all", "two"), "has no folder all: expected all/train and"),
    "class missing": (remove("all/train/covid", "all/test/covid"), "missing class folder.*covid"),
    "classes differ": (remove("all/test/covid"), "classes differ between test and train.*covid"),
    "one class": (one_class, "only one class, and a classifier needs two"),
    "capital split": (
        lambda root: (root / "all/train").rename(root / "all/Train"),
        "/all has no folder train: .*found Train, test",
    ),
    "empty class": (empty, "train/covid is empty"),
    "unexpected folder": (lambda root: (root / "all/train/flu").mkdir(), "unexpected folder flu"),
    "too many lost": (break_three, "3 of 24 images can't be used .*at most 2 such images"),
    "whole class lost": (break_whole_test_class, "4 of 4 images can't be used"),
    "a file for a class": (put_a_file_in_place_of_a_class, "classes differ .*add covid"),
    "one folder too deep": (
        nest,
        "1 of 1 images can't be used .the first is covid: a folder, not an image",
    ),
    "other class names": (capitalize, "unexpected folder COVID-19. Expected only normal, covid"),
    "two labels": (put_a_normal_image_under_covid, "the same image under two classes"),
    "too few patients": (leave_two, "Class covid has 2 patients"),
}


@pytest.mark.parametrize("case", BAD)
def test_load_task_bad_folder_raises_one_line(challenge, case):
    damage, message = BAD[case]
    damage(challenge)
    with pytest.raises(xk.InputError, match=message) as raised:
        xk.load_task("multiclass", challenge, image_size=8)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"name": "multiclas"}, "Did you mean 'multiclass'"),
        ({"image_size": 0}, "image_size=0"),
        ({"image_size": 22.4}, "image_size=22.4"),
        ({"seed": -1}, "seed=-1: expected a whole number, 0 or more"),
        ({"validation_fraction": 0}, "validation_fraction=0"),
        ({"validation_fraction": 0.9}, "validation_fraction=0.9"),
    ],
)
def test_load_task_bad_argument_raises_one_line(drawn_challenge, arguments, message):
    with pytest.raises(xk.InputError, match=message):
        xk.load_task(**{"name": "binary", "root": drawn_challenge} | arguments)


def test_load_task_folder_of_one_task_names_its_parent(drawn_challenge):
    with pytest.raises(xk.InputError, match=f"pass the one above it, {drawn_challenge}"):
        xk.load_task("binary", drawn_challenge / "two")


def test_load_task_empty_named_folder_is_not_replaced(tmp_path, monkeypatch):
    monkeypatch.setenv("XRAYKIT_CHALLENGE_DIR", str(tmp_path))
    with pytest.raises(xk.InputError, match=r"expected two/ and all/ in XRAYKIT_CHALLENGE_DIR="):
        xk.load_task("binary")


@pytest.fixture
def real_with_clutter(real_challenge, tmp_path):
    """Links to the real challenge, with the files that systems and clouds leave in folders."""
    for folder in (real_challenge / "all").glob("*/*"):
        copy = tmp_path / folder.relative_to(real_challenge)
        copy.mkdir(parents=True)
        for path in folder.iterdir():
            (copy / path.name).symlink_to(path)
    covid = tmp_path / "all/train/covid"
    for name in ("desktop.ini", ".DS_Store", "zero.jpeg", ".NAME.jpeg.icloud"):
        (covid / name).touch()
    return tmp_path


def test_load_task_real_images_with_clutter_all_load(real_with_clutter, capsys):
    task = xk.load_task("multiclass", real_with_clutter)
    trained_on = task.development.counts()
    assert list(trained_on.values()) == [70, 59, 70, 70]
    assert list(task.test.counts().values()) == [9, 9, 9, 9]
    assert task.leaking["path"].tolist() == ["all/train/covid/nejmoa2001191_f1-PA.jpeg"]
    assert sorted(task.skipped["reason"]) == [
        "empty file (0 bytes)",
        "not downloaded from iCloud: download it first",
    ]
    assert "ieee8023:13" in capsys.readouterr().out


def test_when_leak_is_allowed_then_real_challenge_keeps_it(real_with_clutter):
    task = xk.load_task("multiclass", real_with_clutter, image_size=8, allow_leak=True)
    assert list(task.development.counts().values()) == [70, 60, 70, 70]


def test_load_task_real_binary_has_the_known_counts(real_challenge):
    task = xk.load_task("binary", real_challenge, image_size=8)
    assert task.development.counts() == {"normal": 70, "covid": 59}
    assert task.test.counts() == {"normal": 9, "covid": 9}


@pytest.fixture
def lazy(challenge):
    return xk.load_task("binary", challenge, image_size=32, in_memory=False)


def test_file_pixels_are_indexed_like_an_array(lazy, challenge):
    in_memory = xk.load_task("binary", challenge, image_size=32).train.join(lazy.test)
    images = lazy.train.join(lazy.test)
    assert isinstance(images.pixels, FilePixels) and images.pixels.shape == in_memory.pixels.shape
    assert images.digests == in_memory.digests
    rows = np.array([5, 0, 5])
    for index in (3, slice(2, 9, 3), rows, (slice(1, 3), slice(None, None, 8), 0)):
        np.testing.assert_array_equal(images.pixels[index], in_memory.pixels[index])
    part, part_in_memory = images.subset(rows), in_memory.subset(rows)
    assert isinstance(part.pixels, FilePixels) and part.digests == part_in_memory.digests
    np.testing.assert_array_equal(np.asarray(part.pixels), part_in_memory.pixels)


def test_load_task_little_memory_leaves_images_in_files(challenge, monkeypatch, lazy):
    monkeypatch.setattr(
        "xraykit.data.folders.psutil.virtual_memory", lambda: SimpleNamespace(available=4 * 32**2)
    )
    task = xk.load_task("binary", challenge, image_size=32)
    assert isinstance(task.train.pixels, FilePixels)


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (
            lambda path: path.unlink(),
            "can't be used any more: not a regular file. Load",
        ),
        (lambda path: path.write_bytes(b"GIF"), "can't be used any more: not a JPEG"),
        (
            lambda path: Image.new("L", (40, 40)).save(path),
            "has changed since it was read: load the task again",
        ),
    ],
)
def test_file_pixels_changed_file_raises_one_line(lazy, damage, message):
    damage(lazy.train.pixels.files[4])
    with pytest.raises(xk.InputError, match=message):
        lazy.train.pixels[:]


def test_load_task_names_what_it_does_not_read(challenge, capsys):
    (challenge / "all/val/covid").mkdir(parents=True)
    image = next((challenge / "all/train/covid").iterdir())
    shutil.copy(image, challenge / "all/train/loose.png")
    (challenge / "all/train/@eaDir").mkdir()
    (challenge / "all/train/Picasa.ini").touch()
    task = xk.load_task("multiclass", challenge, image_size=32)
    note = "Not read, because it is not in the folder of a class: all/val, all/train/loose.png."
    assert task.notes == (note,) and note in capsys.readouterr().out


def test_load_task_documents_beside_images_refuse_no_class(challenge):
    folder = challenge / "all/train/covid"
    for image in list(folder.iterdir()):
        image.with_suffix(".txt").write_text("finding")
    task = xk.load_task("multiclass", challenge, image_size=32)
    assert len(task.skipped) == 24 and task.train.counts()["covid"] > 10


def test_load_task_name_that_is_not_utf8_is_read_and_escaped(challenge, capsys):
    folder = challenge / "all/train/covid"
    image = next(folder.iterdir())
    image.rename(os.fsdecode(os.fsencode(folder) + b"/r\xf6ntgen.png"))
    (folder / "loop").symlink_to("loop")
    task = xk.load_task("multiclass", challenge, image_size=32, in_memory=False)
    assert "all/train/covid/r\\udcf6ntgen.png" in task.development.paths
    assert task.skipped.values.tolist() == [["all/train/covid/loop", "broken link"]]
    assert task.digest and len(xk.image_metadata(task)) == len(task.development.join(task.test))
    task.development.pixels[:]


@pytest.mark.parametrize(
    "arguments",
    [{"root": None}, {"root": "a\0b"}, {"root": "~nosuchuser/x"}, {"root": "a" * 5000},
     {"validation_fraction": "0.2"}, {"validation_fraction": True}, {"name": ["binary"]},
     {"allow_leak": "false"}, {"seed": 2**31 + 1}, {"seed": None}, {"image_size": 10**400}],
    ids=lambda arguments: str(arguments)[:40],
)  # fmt: skip
def test_load_task_argument_of_another_type_raises(drawn_challenge, arguments):
    with pytest.raises(xk.InputError):
        xk.load_task(**{"name": "binary", "root": drawn_challenge} | arguments)


def test_load_task_phantoms_name_what_is_not_read_and_no_missing_links(tmp_path):
    xk.draw_phantoms(tmp_path / "set", "multiclass", images=40, seed=1)
    (tmp_path / "set" / "all" / "train" / "loose.png").write_bytes(b"")
    notes = "\n".join(xk.load_task("multiclass", tmp_path / "set", image_size=32).notes)
    assert "all/train/loose.png" in notes
    two = xk.load_task("binary", tmp_path / "set", image_size=32)
    assert [note.partition(" (")[0] for note in two.notes] == ["SYNTHETIC IMAGES"]
