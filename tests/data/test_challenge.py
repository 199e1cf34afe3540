import csv
import shutil
import subprocess
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

import xraykit as xk
from xraykit.data import challenge as module
from xraykit.data.challenge import compare, import_challenge, manifest, patient_of


def test_manifest_holds_facts_of_every_image_and_nothing_else():
    rows = manifest()
    assert rows.groupby(rows["path"].str.split("/").str[0]).size().to_dict() == {
        "all": 306,
        "two": 148,
    }
    wanted = ["path", "class", "split", "patient", "view", "sha256", "licence", "source"]
    assert list(rows.columns) == wanted
    assert rows["sha256"].str.fullmatch("[0-9a-f]{64}").all()


@pytest.mark.parametrize(
    ("path", "patient"),
    [
        ("x/person100_bacteria_475.jpeg", "kermany:person100"),
        ("x/1e273d0058_person1261_virus_2148.jpeg", "kermany:person1261"),
        ("x/NORMAL2-IM-9385-0001.jpeg", "kermany:NORMAL2-IM-9385"),
        ("x/IM-0115-0001.jpeg", "kermany:IM-0115"),
        ("x/nejmoa2001191_f3-PA.png", "ieee8023:13"),  # known by name, though converted
        ("x/persona grata.png", "image:abcabcabcabc"),
    ],
)
def test_when_file_name_tells_the_patient_then_it_is_used(path, patient):
    assert patient_of(path, "abc" * 20) == patient


def test_when_known_image_was_renamed_then_its_content_tells_the_patient():
    row = manifest().iloc[0]
    assert patient_of("x/renamed.jpeg", row["sha256"]) == row["patient"]


@pytest.fixture
def known(drawn_challenge, tmp_path, monkeypatch):
    """A manifest of the drawn challenge in place of the real one."""
    path = tmp_path / "manifest.csv"
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            ["path", "class", "split", "patient", "view", "sha256", "licence", "source"]
        )
        for image in sorted(drawn_challenge.glob("*/*/*/*")):
            relative = image.relative_to(drawn_challenge)
            digest = sha256(image.read_bytes()).hexdigest()
            writer.writerow([relative.as_posix(), *relative.parts[2:0:-1], "p", "", digest, "", ""])
    monkeypatch.setattr(module, "MANIFEST", path)
    manifest.cache_clear()
    yield 168
    manifest.cache_clear()


def tree(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_when_folder_is_whole_then_it_is_copied_and_left_as_it_was(known, challenge, tmp_path):
    before = tree(challenge)
    found = import_challenge(challenge, tmp_path / "data")
    assert len(found.same) == known and not found.missing
    assert len(xk.load_task("binary", tmp_path / "data", image_size=8).test) == 8
    assert tree(challenge) == before
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["all", "two"]


def test_when_zip_has_a_folder_on_top_and_no_two_then_all_serves(known, challenge, tmp_path):
    shutil.rmtree(challenge / "two")
    archive = shutil.make_archive(tmp_path / "copy", "zip", tmp_path, "challenge")
    found = import_challenge(tmp_path / "copy.zip", tmp_path / "data")
    assert archive and len(found.same) == known


def test_when_images_are_missing_or_different_then_they_are_named(known, challenge, tmp_path):
    gone, changed = (
        sorted(path.name for path in (challenge / "all/train" / label).iterdir())[0]
        for label in ("pneumonia_bac", "pneumonia_vir")
    )
    (challenge / "all/train/pneumonia_bac" / gone).unlink()
    path = challenge / "all/train/pneumonia_vir" / changed
    path.write_bytes(path.read_bytes() + b"\0")
    (challenge / "notes.txt").write_text("hello")
    found = import_challenge(challenge, tmp_path / "data")
    assert found.missing == (f"all/train/pneumonia_bac/{gone}",)
    assert list(found.different) == [f"all/train/pneumonia_vir/{changed}"]
    said = str(found)
    assert f"{known - 2} of {known}" in said and gone in said and changed in said
    assert "notes.txt" in said
    assert (tmp_path / "data" / "all/train/pneumonia_vir" / changed).exists()


def evil_zip(tmp_path, challenge):
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../escaped.txt", "out of the folder")
        for image in (challenge / "two").rglob("*.png"):
            archive.write(image, f"../../{image.relative_to(challenge)}")
    return path


def test_when_zip_points_outside_then_nothing_is_written_there(known, challenge, tmp_path):
    before = {path for path in tmp_path.rglob("*") if challenge not in path.parents}
    import_challenge(evil_zip(tmp_path, challenge), tmp_path / "in" / "data")
    after = {path for path in tmp_path.rglob("*") if challenge not in path.parents}
    assert not [p for p in after - before if "in" not in p.parts and p.name != "evil.zip"]


def bad_sources(tmp_path):
    (tmp_path / "text.zip").write_text("not a zip file")
    (tmp_path / "empty").mkdir()
    with zipfile.ZipFile(tmp_path / "other.zip", "w") as archive:
        archive.writestr("holiday.jpeg", "x")
    return {
        "nowhere": "doesn't exist",
        "text.zip": "can't be unpacked as a zip file",
        "empty": "holds none of the challenge's",
        "other.zip": "holds none of the challenge's",
    }


@pytest.mark.usefixtures("known")
def test_when_source_is_bad_then_one_line_says_so_and_nothing_is_left(tmp_path):
    for name, message in bad_sources(tmp_path).items():
        with pytest.raises(xk.InputError, match=message):
            import_challenge(tmp_path / name, tmp_path / "data")
        assert not list((tmp_path / "data").glob("*"))


@pytest.mark.usefixtures("known")
def test_when_zip_is_a_bomb_then_it_is_not_unpacked(challenge, tmp_path, monkeypatch):
    monkeypatch.setattr(module, "MAX_UNPACKED_BYTES", 1000)
    shutil.make_archive(tmp_path / "copy", "zip", challenge)
    with pytest.raises(xk.InputError, match="would unpack to"):
        import_challenge(tmp_path / "copy.zip", tmp_path / "data")


@pytest.mark.usefixtures("known")
def test_when_images_are_there_already_then_they_are_kept(challenge, tmp_path):
    mine = tmp_path / "data/two/mine.txt"
    mine.parent.mkdir(parents=True)
    mine.write_text("keep")
    with pytest.raises(xk.InputError, match="already there"):
        import_challenge(challenge, tmp_path / "data")
    assert mine.read_text() == "keep"


def test_when_copy_is_the_real_challenge_then_every_image_is_known(real_challenge):
    found = compare(real_challenge)
    assert (len(found.same), found.different, found.missing) == (454, {}, ())


def run_command(source, to):
    command = [Path(sys.executable).with_name("xraykit"), "data", "challenge"]
    options = ["--from-folder", source, "--to", to]
    return subprocess.run([*command, *options], capture_output=True, text=True)


@pytest.mark.usefixtures("known")
def test_when_destination_is_a_file_then_one_line_says_so(challenge, tmp_path):
    (tmp_path / "file").touch()
    done = run_command(challenge, tmp_path / "file")
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "Can't copy" in done.stderr


def test_when_source_is_nowhere_then_command_says_one_line_and_exits_2(tmp_path):
    done = run_command(tmp_path / "nowhere", tmp_path)
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1 and "doesn't exist" in done.stderr
