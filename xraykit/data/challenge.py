"""The class challenge of 2020: the manifest of its images, and how a copy is brought in."""

import os
import re
import shutil
import tempfile
import unicodedata
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from pathlib import Path

import pandas as pd

from ..errors import InputError

DATA = Path(__file__).parents[2] / "data"
MANIFEST = DATA / "challenge.csv"
# Folder and classes of each task; in the binary one COVID-19 comes second: the positive class, 1.
LAYOUT = {
    "binary": ("two", ("normal", "covid")),
    "multiclass": ("all", ("normal", "covid", "pneumonia_bac", "pneumonia_vir")),
}
SPLITS = ("train", "test")
MAX_UNPACKED_BYTES = 2_000_000_000  # bytes; the challenge has 130 million

# "personN" of bacterial and viral files is read as one counter, the cautious choice.
PATIENT_IN_NAME = re.compile(r"(person\d+)(?=_(?:bacteria|virus)_)|((?:NORMAL2-)?IM-\d+)(?=-\d+)")


@cache
def manifest() -> pd.DataFrame:
    """Return what is known of each image of the challenge, a row a path.

    Columns: path (`two/…` or `all/…`), class, split, patient, view, sha256, licence, source.
    """
    if not MANIFEST.is_file():
        raise InputError(
            f"{MANIFEST} is missing: it comes with a clone of xraykit. "
            "Install from a clone with `pip install -e .`"
        )
    return pd.read_csv(MANIFEST, keep_default_na=False)


@cache
def _known_patients() -> tuple[dict[str, str], dict[str, str]]:
    rows = manifest()
    by_digest = dict(zip(rows["sha256"], rows["patient"], strict=True))
    by_name = dict(zip(rows["path"].map(_stem), rows["patient"], strict=True))
    return by_digest, by_name


def _stem(path: str) -> str:
    return unicodedata.normalize("NFC", Path(path).stem)


def patient_of(path: str, digest: str) -> str:
    """Return whose image this is.

    The manifest knows it by content, else by file name without its ending; elsewhere the name may
    tell (`person100_bacteria_475`, `NORMAL2-IM-1385-0001`). An image of which nothing is known
    is a patient of its own, the same one wherever the same bytes turn up.

    Examples
    --------
    >>> patient_of("elsewhere/person7_virus_12.jpeg", "")
    'kermany:person7'
    >>> patient_of("elsewhere/scan.png", "0123456789abcdef")
    'image:0123456789ab'
    """
    by_digest, by_name = _known_patients()
    stem = _stem(path)
    if digest in by_digest:
        return by_digest[digest]
    if stem in by_name:
        return by_name[stem]
    if found := PATIENT_IN_NAME.search(stem):
        return f"kermany:{found[0]}"
    return f"image:{digest[:12]}"


def find_challenge() -> Path | None:
    """Return the folder that holds `two/` and `all/`, or None if there is none.

    `XRAYKIT_CHALLENGE_DIR` if it is set, else `data/` of the clone.

    Raises
    ------
    InputError
        If `XRAYKIT_CHALLENGE_DIR` is set, and holds no images.
    """
    named = os.environ.get("XRAYKIT_CHALLENGE_DIR")
    folder = Path(named).expanduser() if named else DATA
    if any((folder / part).is_dir() for part in ("two", "all")):
        return folder
    if not named:
        return None
    raise InputError(
        f"No images found: expected two/ and all/ in XRAYKIT_CHALLENGE_DIR={named}. "
        "Name the folder that holds them, or unset it to use data/ of the clone, or phantoms"
    )


@dataclass(frozen=True)
class Comparison:
    """A copy of the challenge against the manifest; paths are the manifest's.

    `same` have the very bytes, `different` the right name and other bytes, `missing` neither;
    `unknown` are files of the copy that the manifest doesn't have.
    """

    same: dict[str, Path]
    different: dict[str, Path]
    missing: tuple[str, ...]
    unknown: tuple[Path, ...]

    def __str__(self) -> str:
        total = len(self.same) + len(self.different) + len(self.missing)
        lines = [f"{len(self.same)} of {total} images are the challenge's own"]
        for what, paths in (
            ("different from the challenge's, taken as they are", sorted(self.different)),
            ("missing", self.missing),
            ("not in the challenge, left out", [str(path) for path in self.unknown]),
        ):
            if paths:
                lines.append(f"{len(paths)} {what}:")
                lines += [f"  {path}" for path in paths[:10]]
                if len(paths) > 10:
                    lines.append(f"  … and {len(paths) - 10} more")
        return "\n".join(lines)


def compare(folder: Path) -> Comparison:
    """Match the files anywhere below `folder` with the manifest: by content, then by name.

    A name counts only below folders that name the split and the class; where a copy keeps `two/`
    as links, or lost it, the images of `all/` serve for both.
    """
    rows = manifest()
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith(".") and path.stat().st_size
    )
    digests = {path: sha256(path.read_bytes()).hexdigest() for path in files}
    by_digest = {digest: path for path, digest in digests.items()}
    by_name = {(*path.parts[-3:-1], _stem(path.name)): path for path in files}
    same, different, missing = {}, {}, []
    for row in rows.itertuples():
        split, label, _ = Path(row.path).parts[1:]
        if row.sha256 in by_digest:
            same[row.path] = by_digest[row.sha256]
        elif (split, label, _stem(row.path)) in by_name:
            different[row.path] = by_name[split, label, _stem(row.path)]
        else:
            missing.append(row.path)
    known = set(rows["sha256"])
    used = set(different.values())
    extra = (path for path in files if digests[path] not in known and path not in used)
    unknown = tuple(path.relative_to(folder) for path in extra)
    return Comparison(same, different, tuple(missing), unknown)


def import_challenge(source: Path, destination: Path = DATA) -> Comparison:
    """Check a folder or zip file against the manifest and copy its images to `destination`.

    Nothing appears under `two/` and `all/` before every image has been copied, what is there
    already is never replaced, and the source is only read.

    Raises
    ------
    InputError
        If the source can't be read, holds no image of the challenge, or `destination` already
        has `two/` or `all/`.
    """
    for part in ("two", "all"):
        if (destination / part).exists():
            raise InputError(f"{destination / part} is already there: move it away first")
    if not source.exists():
        raise InputError(f"{source} doesn't exist: expected a folder or zip file of the challenge")
    destination.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix=".incoming-", dir=destination) as scratch,
        _as_folder(source, Path(scratch, "unpacked")) as folder,
    ):
        found = compare(folder)
        taken = found.same | found.different
        if not taken:
            raise InputError(
                f"{source} holds none of the challenge's {len(manifest())} images: "
                "expected the folders two/ and all/, each with train/ and test/"
            )
        for path, file in taken.items():
            target = Path(scratch, path)
            if path in found.different:  # it may have been converted: its own ending stays
                target = target.with_name(target.stem + file.suffix)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        for part in {path.split("/")[0] for path in taken}:
            Path(scratch, part).rename(destination / part)
    return found


@contextmanager
def _as_folder(source: Path, scratch: Path) -> Iterator[Path]:
    if source.is_dir():
        yield source
        return
    try:
        with zipfile.ZipFile(source) as archive:
            unpacked = sum(entry.file_size for entry in archive.infolist())
            if unpacked > MAX_UNPACKED_BYTES:
                raise InputError(
                    f"{source} would unpack to {unpacked:,} bytes: "
                    f"expected at most {MAX_UNPACKED_BYTES:,} of a copy of the challenge"
                )
            archive.extractall(scratch)  # never leaves `scratch`, whatever its entries are called
    except (zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        raise InputError(f"{source} can't be unpacked as a zip file: {error}") from error
    yield scratch
