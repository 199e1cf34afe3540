"""The class challenge of 2020: the manifest of its images, and how to import a copy."""

import errno
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
from platformdirs import user_data_path

from ..errors import InputError
from ..files import is_clutter, shipped_path, to_path

MANIFEST = shipped_path("data/challenge.csv")
# Where images are imported to: data/ of a clone, or the user's own folder for an installed wheel.
IN_CLONE = MANIFEST.parent != Path(__file__).parent
DATA = MANIFEST.parent if IN_CLONE else user_data_path("xraykit")
# Folder and classes of each task; in the binary one COVID-19 comes second: the positive class, 1.
LAYOUT = {
    "binary": ("two", ("normal", "covid")),
    "multiclass": ("all", ("normal", "covid", "pneumonia_bac", "pneumonia_vir")),
}
SPLITS = ("train", "test")
MAX_UNPACKED_BYTES = 2_000_000_000  # the challenge has 130 million
MAX_LISTED = 10  # files named in a message

# Bacterial and viral files may number their persons separately; one number is one patient here,
# the cautious choice.
PATIENT_IN_NAME = re.compile(r"(person\d+)(?=_(?:bacteria|virus)_)|((?:NORMAL2-)?IM-\d+)(?=-\d+)")


@cache
def read_manifest() -> pd.DataFrame:
    """Return the manifest of the challenge, one row per image.

    Columns: path (`two/…` or `all/…`), class, split, patient, view, sha256, licence, source.
    """
    if not MANIFEST.is_file():
        raise InputError(
            f"{MANIFEST} is missing: it comes with a clone of xraykit. "
            "Install from a clone with `pip install -e .`"
        )
    return pd.read_csv(MANIFEST, keep_default_na=False)


@cache
def _index_patients() -> tuple[dict[str, str], dict[str, str]]:
    """Return the patients of the manifest by digest of the file, and by its name."""
    rows = read_manifest()
    by_digest = dict(zip(rows["sha256"], rows["patient"], strict=True))
    by_name = dict(zip(rows["path"].map(_normalize_stem), rows["patient"], strict=True))
    return by_digest, by_name


def _normalize_stem(path: str) -> str:
    return unicodedata.normalize("NFC", Path(path).stem)


def find_patient(path: str, digest: str) -> str:
    """Return the patient of an image.

    The image is looked up in the manifest by content, then by file name without its suffix. For
    other images the patient is read from names such as `person100_bacteria_475` and
    `NORMAL2-IM-1385-0001`. Any other image is one patient, identified by its content.

    Examples
    --------
    >>> find_patient("copy/person7_virus_12.jpeg", "")
    'kermany:person7'
    >>> find_patient("copy/scan.png", "0123456789abcdef")
    'unknown:0123456789ab'
    """
    by_digest, by_name = _index_patients()
    stem = _normalize_stem(path)
    if digest in by_digest:
        return by_digest[digest]
    if stem in by_name:
        return by_name[stem]
    if match := PATIENT_IN_NAME.search(stem):
        return f"kermany:{match[0]}"
    return f"unknown:{digest[:12]}"


def find_challenge() -> Path | None:
    """Return the folder that holds `two/` or `all/`, or None if there is none.

    It is `XRAYKIT_CHALLENGE_DIR` if that is set, else `data/` of the clone.

    Raises
    ------
    InputError
        If `XRAYKIT_CHALLENGE_DIR` is set and holds neither folder.
    """
    variable = os.environ.get("XRAYKIT_CHALLENGE_DIR")
    folder = to_path(variable, variable="XRAYKIT_CHALLENGE_DIR") if variable else DATA
    if any((folder / part).is_dir() for part in ("two", "all")):
        return folder
    if not variable:
        return None
    raise InputError(
        f"No images found: expected two/ and all/ in XRAYKIT_CHALLENGE_DIR={variable}. "
        "Name the folder that holds them, or unset it to use data/ of the clone, or phantoms"
    )


@dataclass(frozen=True)
class ManifestComparison:
    """A copy of the challenge compared with the manifest; dict keys are the manifest's paths."""

    same: dict[str, Path]  # files with the same bytes
    different: dict[str, Path]  # files with the same name and other bytes
    missing: tuple[str, ...]  # paths of the manifest without a file in the copy
    unknown: tuple[Path, ...]  # files of the copy that the manifest doesn't have

    def __str__(self) -> str:
        total = len(self.same) + len(self.different) + len(self.missing)
        lines = [f"{len(self.same)} of {total} images are identical to the challenge's"]
        for heading, paths in (
            ("differ from the challenge's and were copied unchanged", sorted(self.different)),
            ("missing", self.missing),
            ("not in the challenge and left out", [str(path) for path in self.unknown]),
        ):
            if paths:
                lines.append(f"{len(paths)} {heading}:")
                lines += [f"  {path}" for path in paths[:MAX_LISTED]]
                if len(paths) > MAX_LISTED:
                    lines.append(f"  … and {len(paths) - MAX_LISTED} more")
        return "\n".join(lines)


def compare_with_manifest(folder: Path) -> ManifestComparison:
    """Match the files anywhere below `folder` with the manifest, by content, then by name.

    A name matches only below folders named like its split and class. If a copy has lost the
    links of `two/`, the images of `all/` match both.
    """
    rows = read_manifest()
    files = sorted(
        path
        for path in folder.rglob("*")
        if path.is_file() and not is_clutter(path.name) and path.stat().st_size
    )
    digests = {path: sha256(path.read_bytes()).hexdigest() for path in files}
    by_digest = {digest: path for path, digest in digests.items()}
    by_name = {(*path.parts[-3:-1], _normalize_stem(path.name)): path for path in files}
    same, different, missing = {}, {}, []
    for row in rows.itertuples():
        split, label, name = Path(row.path).parts[1:]
        key = (split, label, _normalize_stem(name))
        if row.sha256 in by_digest:
            same[row.path] = by_digest[row.sha256]
        elif key in by_name:
            different[row.path] = by_name[key]
        else:
            missing.append(row.path)
    known, used = set(rows["sha256"]), set(different.values())
    unknown = [path for path in files if digests[path] not in known and path not in used]
    relative = tuple(path.relative_to(folder) for path in unknown)
    return ManifestComparison(same, different, tuple(missing), relative)


def import_challenge(source: Path, destination: Path = DATA) -> ManifestComparison:
    """Compare a folder or zip file with the manifest and copy its images to `destination`.

    `two/` and `all/` appear after every image has been copied. Existing files are never replaced
    and the source is only read.

    Raises
    ------
    InputError
        If the source can't be read or holds no image of the challenge, or if `destination`
        already has `two/` or `all/`.
    """
    for part in ("two", "all"):
        if (destination / part).exists():
            raise InputError(f"{destination / part} is already there: move it away first")
    if not source.exists():
        raise InputError(f"{source} doesn't exist: expected a folder or zip file of the challenge")
    destination.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory(prefix=".incoming-", dir=destination) as scratch,
        _open_source(source, Path(scratch, "unpacked")) as folder,
    ):
        comparison = compare_with_manifest(folder)
        files = comparison.same | comparison.different
        if not files:
            raise InputError(
                f"{source} holds none of the challenge's {len(read_manifest())} images: "
                "expected the folders two/ and all/, each with train/ and test/"
            )
        for path, file in files.items():
            target = Path(scratch, path)
            if path in comparison.different:  # it may have been converted: keep its suffix
                target = target.with_name(target.stem + file.suffix)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, target)
        for part in {path.split("/")[0] for path in files}:
            Path(scratch, part).rename(destination / part)
    return comparison


@contextmanager
def _open_source(source: Path, scratch: Path) -> Iterator[Path]:
    """Yield the source if it is a folder, else unpack the zip file into `scratch`."""
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
            archive.extractall(scratch)  # never writes outside `scratch`, whatever entries say
    except InputError:
        raise
    except Exception as error:  # a damaged file can raise nearly anything
        if isinstance(error, OSError) and error.errno != errno.EINVAL:  # that is a wrong offset
            raise
        raise InputError(f"{source} can't be unpacked as a zip file: {error}") from error
    yield scratch
