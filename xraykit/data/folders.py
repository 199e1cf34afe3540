"""Class folders: find them, check them and read them into image sets."""

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from ..errors import InputError, escape_name
from ..progress import thread_map
from .challenge import LAYOUT, SPLITS, find_patient
from .images import (
    FilePixels,
    ImageSet,
    UnusableImageError,
    list_files,
    pixel_digest,
    read_image,
)
from .phantoms import PHANTOMS

# Files beside the images, which are listed and don't count as images that can't be used.
DOCUMENTS = {".csv", ".db", ".doc", ".docx", ".htm", ".html", ".ini", ".ipynb", ".json", ".lnk"}
DOCUMENTS |= {".log", ".md", ".pdf", ".py", ".rtf", ".tsv", ".txt", ".url", ".xls", ".xlsx", ".xml"}
MAX_LISTED = 5
Folders = dict[tuple[str, str], Path]  # by split and class
MAX_UNUSABLE_FRACTION, MAX_UNUSABLE_IMAGES = (
    0.05,
    2,
)  # of a class; the larger one is the limit


def find_class_folders(name: str, root: Path) -> tuple[Folders, list[str]]:
    """Return the folder of each split and class, and notes on what is not read.

    A note also says if `all/` replaces some folders of `two/`.
    """
    part, classes = LAYOUT[name]
    _check_root(root, part, classes)
    for split in SPLITS:
        if not any((root / top / split).is_dir() for top in (part, "all")):
            top = part if (root / part).is_dir() else "all"
            found = ", ".join(sorted(_list_subfolders(root / top))) or "no folder"
            raise InputError(
                f"{root / top} has no folder {split}: expected {' and '.join(SPLITS)}, spelled "
                f"like this; found {found}"
            )
    folders, replaced = {}, []
    for split in SPLITS:
        for label in classes:
            folder = root / part / split / label
            shared = root / "all" / split / label
            if not folder.is_dir() and shared.is_dir():
                replaced.append(f"{split}/{label}")
                folder = shared
            folders[split, label] = folder
    present = {
        split: [label for label in classes if folders[split, label].is_dir()] for split in SPLITS
    }
    for split, other in (SPLITS, SPLITS[::-1]):
        folder = root / part / split
        extra = _list_subfolders(folder) - {*classes}
        if extra:
            raise InputError(
                f"{folder}: unexpected folder {', '.join(sorted(extra))}. "
                f"Expected only {', '.join(classes)}; rename it, or move it out of here"
            )
        missing = [label for label in classes if label not in present[split]]
        if missing:
            problem = "missing class folder"
            if present[split] != present[other]:
                problem = f"classes differ between {split} and {other}"
            elif len(present[split]) == 1:
                problem = "only one class, and a classifier needs two"
            folder = folder if folder.is_dir() else root / "all" / split
            raise InputError(
                f"{folder}: {problem}. Expected the folders {', '.join(classes)}; "
                f"found {', '.join(sorted(present[split])) or 'none'}; add {', '.join(missing)}"
            )
    notes = _list_unread(root, part, expected=folders)
    if replaced and not (root / PHANTOMS).is_file():  # phantoms are drawn into all/ alone
        listed = ", ".join(replaced)
        notes.append(
            f"Note: in {part}/ these class folders are missing or lost links, so they were read "
            f"from all/: {listed}."
        )
    return folders, notes


def _list_unread(root: Path, part: str, expected: Folders) -> list[str]:
    """Return a note that names the files and folders outside the class folders, if any.

    A file in place of an expected folder is a link that lost its target, and named elsewhere.
    """
    places = [root / part, *(root / part / split for split in SPLITS)]
    unread = [
        escape_name(path.relative_to(root).as_posix())
        for folder in places
        if folder.is_dir()
        for path in list_files(folder)
        if (path.is_file() and (folder.name, path.name) not in expected)
        or (folder == places[0] and path.name not in SPLITS)
    ]
    if not unread:
        return []
    listed = ", ".join(unread[:MAX_LISTED])
    rest = f" and {len(unread) - MAX_LISTED} more" if len(unread) > MAX_LISTED else ""
    return [f"Not read, because it is not in the folder of a class: {listed}{rest}."]


def _check_root(root: Path, part: str, classes: tuple[str, ...]) -> None:
    if not root.is_dir():
        raise InputError(f"{root} is not a folder. Pass the folder that contains {part}/ or all/.")
    if root.name in ("two", "all") and (root / "train").is_dir():
        raise InputError(f"{root} is one task's folder: pass the one above it, {root.parent}")
    parts = dict.fromkeys((part, "all"))
    if not any((root / name).is_dir() for name in parts):
        subfolders = ", ".join(sorted(_list_subfolders(root))) or "no folder"
        raise InputError(
            f"{root} has no folder {' or '.join(parts)}: expected {part}/train and {part}/test, "
            f"each with the folders {', '.join(classes)}; found {subfolders}"
        )


def _list_subfolders(folder: Path) -> set[str]:
    return {path.name for path in list_files(folder) if path.is_dir()} if folder.is_dir() else set()


def read_folders(
    folders: Folders,
    root: Path,
    *,
    image_size: int,
    classes: tuple[str, ...],
    in_memory: bool | None,
) -> tuple[dict[str, ImageSet], pd.DataFrame]:
    """Return the images of each split, and a table of the files that can't be used.

    Parameters
    ----------
    folders : dict of (str, str) to Path
        The folder of each split and class.
    root : Path
        Paths of images are relative to this folder.
    image_size, in_memory
        As in `load_task`.
    classes : tuple of str
        In the order of the labels.

    Raises
    ------
    InputError
        If a folder is empty, has too many unusable files, or one image has two classes.
    """
    files = [(*key, path) for key, folder in folders.items() for path in list_files(folder)]
    n_files = Counter((split, label) for split, label, path in files if _is_image(path.name))
    for key, folder in folders.items():
        if not n_files[key]:
            raise InputError(f"{folder} is empty. Copy the images of class {key[1]} into it")
    if in_memory is None:
        in_memory = 3 * image_size**2 * len(files) < psutil.virtual_memory().available / 4

    def read(path: Path) -> tuple[np.ndarray | str, str] | UnusableImageError:
        try:
            pixels, digest = read_image(path, image_size)
            return pixels if in_memory else pixel_digest(pixels), digest
        except UnusableImageError as error:
            return error

    results = thread_map(read, [path for *_, path in files], doing="reading")
    usable, unusable = defaultdict(list), defaultdict(list)
    for (split, label, path), result in zip(files, results, strict=True):
        relative = escape_name(path.relative_to(root).as_posix())
        if isinstance(result, UnusableImageError):
            unusable[split, label].append((relative, str(result)))
        else:
            usable[split].append((path, relative, label, *result))
    _check_conflicts([file for part in usable.values() for file in part])
    for key, skipped in unusable.items():
        _check_skipped(folders[key], skipped, n_files[key])
    images = {}
    for split, part in usable.items():
        paths, names, labels, pixels, digests = zip(*part, strict=True)
        images[split] = ImageSet(
            np.stack(pixels) if in_memory else FilePixels(paths, pixels, image_size),
            np.array([classes.index(label) for label in labels]),
            names,
            tuple(map(find_patient, names, digests)),
            classes,
        )
    skipped = [file for part in unusable.values() for file in part]
    return images, pd.DataFrame(skipped, columns=["path", "reason"])


def _is_image(name: str) -> bool:
    return Path(name).suffix.lower() not in DOCUMENTS


def _check_conflicts(files: list[tuple]) -> None:
    """Raise InputError if one image is in the folders of two classes."""
    first_files: dict[str, tuple[str, str]] = {}
    for _, path, label, _, digest in files:
        first_label, first_path = first_files.setdefault(digest, (label, path))
        if first_label != label:
            raise InputError(
                f"{first_path} and {path} are the same image under two classes: remove one"
            )


def _check_skipped(folder: Path, skipped: list[tuple[str, str]], n_files: int) -> None:
    """Raise InputError if too many files of a folder can't be used."""
    skipped = [(path, reason) for path, reason in skipped if _is_image(path)]
    allowed = max(MAX_UNUSABLE_IMAGES, MAX_UNUSABLE_FRACTION * n_files)
    if len(skipped) > allowed or len(skipped) == n_files:
        path, reason = skipped[0]
        limit = min(int(allowed), n_files - 1)
        raise InputError(
            f"{folder}: {len(skipped)} of {n_files} images can't be used "
            f"(the first is {Path(path).name}: {reason}). Expected at most {limit} such images; "
            "copy the images again"
        )
