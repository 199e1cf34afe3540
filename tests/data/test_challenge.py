import csv
import shutil
import subprocess
import sys
import zipfile
from hashlib import sha256
from pathlib import Path

import pytest

import xraykit as xk
from xraykit.data import challenge as challenge_module
from xraykit.data.challenge import (
    compare_with_manifest,
    find_patient,
    import_challenge,
    read_manifest,
)


def test_read_manifest_has_one_row_per_image():
    rows = read_manifest()
    assert rows.groupby(rows["path"].str.split("/").str[0]).size().to_dict() == {
        "all": 306,
        "two": 148,
    }
    columns = ["path", "class", "split", "patient", "view", "sha256", "licence", "source"]
    assert list(rows.columns) == columns
    assert rows["sha256"].str.fullmatch("[0-9a-f]{64}").all()


@pytest.mark.parametrize(
    ("path", "patient"),
    [
        ("x/person100_bacteria_475.jpeg", "kermany:person100"),
        ("x/1e273d0058_person1261_virus_2148.jpeg", "kermany:person1261"),
        ("x/NORMAL2-IM-9385-0001.jpeg", "kermany:NORMAL2-IM-9385"),
        ("x/IM-0115-0001.jpeg", "kermany:IM-0115"),
        ("x/nejmoa2001191_f3-PA.png", "ieee8023:13"),  # known by name, though converted
        ("x/persona grata.png", "unknown:abcabcabcabc"),
    ],
)
def test_find_patient_reads_the_file_name(path, patient):
    assert find_patient(path, "abc" * 20) == patient


def test_find_patient_renamed_image_is_recognized_by_content():
    row = read_manifest().iloc[0]
    assert find_patient("x/renamed.jpeg", row["sha256"]) == row["patient"]


@pytest.fixture
def n_known(drawn_challenge, tmp_path, monkeypatch):
    """Replace the real manifest by one of the drawn challenge; return its number of images."""
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
    monkeypatch.setattr(challenge_module, "MANIFEST", path)
    read_manifest.cache_clear()
    yield 168
    read_manifest.cache_clear()


def tree(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_import_challenge_copies_a_complete_folder_unchanged(n_known, challenge, tmp_path):
    before = tree(challenge)
    comparison = import_challenge(challenge, tmp_path / "data")
    assert len(comparison.same) == n_known and not comparison.missing
    assert len(xk.load_task("binary", tmp_path / "data", image_size=8).test) == 8
    assert tree(challenge) == before
    assert sorted(path.name for path in (tmp_path / "data").iterdir()) == ["all", "two"]


def test_import_challenge_zip_without_two_uses_all(n_known, challenge, tmp_path):
    shutil.rmtree(challenge / "two")
    archive = shutil.make_archive(tmp_path / "copy", "zip", tmp_path, "challenge")
    comparison = import_challenge(tmp_path / "copy.zip", tmp_path / "data")
    assert archive and len(comparison.same) == n_known


def test_import_challenge_names_missing_and_different_images(n_known, challenge, tmp_path):
    missing, changed = (
        sorted(path.name for path in (challenge / "all/train" / label).iterdir())[0]
        for label in ("pneumonia_bac", "pneumonia_vir")
    )
    (challenge / "all/train/pneumonia_bac" / missing).unlink()
    path = challenge / "all/train/pneumonia_vir" / changed
    path.write_bytes(path.read_bytes() + b"\0")
    (challenge / "notes.txt").write_text("hello")
    comparison = import_challenge(challenge, tmp_path / "data")
    assert comparison.missing == (f"all/train/pneumonia_bac/{missing}",)
    assert list(comparison.different) == [f"all/train/pneumonia_vir/{changed}"]
    text = str(comparison)
    assert f"{n_known - 2} of {n_known}" in text and missing in text and changed in text
    assert "notes.txt" in text
    assert (tmp_path / "data" / "all/train/pneumonia_vir" / changed).exists()


def evil_zip(tmp_path, challenge):
    path = tmp_path / "evil.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("../escaped.txt", "out of the folder")
        for image in (challenge / "two").rglob("*.png"):
            archive.write(image, f"../../{image.relative_to(challenge)}")
    return path


def test_import_challenge_zip_with_outside_paths_stays_inside(n_known, challenge, tmp_path):
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


@pytest.mark.usefixtures("n_known")
def test_import_challenge_bad_source_raises_and_leaves_nothing(tmp_path):
    for name, message in bad_sources(tmp_path).items():
        with pytest.raises(xk.InputError, match=message):
            import_challenge(tmp_path / name, tmp_path / "data")
        assert not list((tmp_path / "data").glob("*"))


@pytest.mark.usefixtures("n_known")
def test_import_challenge_zip_bomb_is_not_unpacked(challenge, tmp_path, monkeypatch):
    monkeypatch.setattr(challenge_module, "MAX_UNPACKED_BYTES", 1000)
    shutil.make_archive(tmp_path / "copy", "zip", challenge)
    with pytest.raises(xk.InputError, match="would unpack to"):
        import_challenge(tmp_path / "copy.zip", tmp_path / "data")


@pytest.mark.usefixtures("n_known")
def test_import_challenge_existing_images_are_kept(challenge, tmp_path):
    existing = tmp_path / "data/two/mine.txt"
    existing.parent.mkdir(parents=True)
    existing.write_text("keep")
    with pytest.raises(xk.InputError, match="already there"):
        import_challenge(challenge, tmp_path / "data")
    assert existing.read_text() == "keep"


def test_compare_with_manifest_real_challenge_is_complete(real_challenge):
    comparison = compare_with_manifest(real_challenge)
    assert (len(comparison.same), comparison.different, comparison.missing) == (454, {}, ())


def run_command(source, to):
    command = [Path(sys.executable).with_name("xraykit"), "data", "challenge"]
    options = ["--from-folder", source, "--to", to]
    return subprocess.run([*command, *options], capture_output=True, text=True)


@pytest.mark.usefixtures("n_known")
def test_data_challenge_command_destination_is_a_file_exits_2(challenge, tmp_path):
    (tmp_path / "file").touch()
    process = run_command(challenge, tmp_path / "file")
    assert process.returncode == 2
    assert process.stderr.count("\n") == 1 and "Can't copy" in process.stderr


def test_data_challenge_command_missing_source_exits_2(tmp_path):
    process = run_command(tmp_path / "nowhere", tmp_path)
    assert process.returncode == 2
    assert process.stderr.count("\n") == 1 and "doesn't exist" in process.stderr
