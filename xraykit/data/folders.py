"""Class folders: found, checked and read into image sets."""

from collections import Counter, defaultdict
from pathlib import Path

import numpy as np
import pandas as pd
import psutil

from ..errors import InputError
from ..progress import thread_map
from .challenge import LAYOUT, SPLITS, patient_of
from .images import (
    FilePixels,
    ImageSet,
    UnusableImageError,
    digest_of,
    list_files,
    read_image,
)

MAX_UNUSABLE_FRACTION, MAX_UNUSABLE_IMAGES = 0.05, 2  # of a class: more than both is an error


def find_class_folders(name: str, root: Path) -> tuple[dict[tuple[str, str], Path], list[str]]:
    """Return the folder of each split and class, and notes on those found elsewhere."""
    part, classes = LAYOUT[name]
    folders, borrowed = {}, []
    if not root.is_dir():
        raise InputError(f"{root} is not a folder: expected one that holds {part}/")
    if root.name in ("two", "all") and (root / "train").is_dir():
        raise InputError(f"{root} is one task's folder: pass the one above it, {root.parent}")
    places = dict.fromkeys((part, "all"))
    if not any((root / each).is_dir() for each in places):
        holds = ", ".join(sorted(_subfolders(root))) or "no folder"
        raise InputError(
            f"{root} has no folder {' or '.join(places)}: expected {part}/train and {part}/test, "
            f"each with the folders {', '.join(classes)}; found {holds}"
        )
    for split in SPLITS:
        for label in classes:
            folder = root / part / split / label
            shared = root / "all" / split / label
            if not folder.is_dir() and shared.is_dir():
                borrowed.append(f"{split}/{label}")
                folder = shared
            folders[split, label] = folder
    found = {
        split: {label for label in classes if folders[split, label].is_dir()} for split in SPLITS
    }
    for split, other in (SPLITS, SPLITS[::-1]):
        where = root / part / split
        extra = _subfolders(where) - {*classes, "__MACOSX"}
        if extra:
            raise InputError(
                f"{where}: unexpected folder {', '.join(sorted(extra))}. "
                f"Expected only {', '.join(classes)}; rename it, or move it elsewhere"
            )
        missing = [label for label in classes if label not in found[split]]
        if missing:
            problem = "missing class folder"
            if found[split] != found[other]:
                problem = f"classes differ between {split} and {other}"
            elif len(found[split]) == 1:
                problem = "only one class, and there is nothing to tell apart"
            where = where if where.is_dir() else root / "all" / split
            raise InputError(
                f"{where}: {problem}. Expected the folders {', '.join(classes)}; "
                f"found {', '.join(sorted(found[split])) or 'none'}; add {', '.join(missing)}"
            )
    note = f"Note: {part}/ lacks these folders, so they were read from all/: {', '.join(borrowed)}."
    return folders, [note] if borrowed else []


def _subfolders(folder: Path) -> set[str]:
    return {path.name for path in list_files(folder) if path.is_dir()} if folder.is_dir() else set()


def read_folders(
    folders: dict[tuple[str, str], Path],
    root: Path,
    image_size: int,
    classes: tuple[str, ...],
    in_memory: bool | None,
) -> tuple[dict[str, ImageSet], pd.DataFrame]:
    """Return the images of each split, and a table of those that can't be used.

    Parameters
    ----------
    folders : dict
        From split and class to folder.
    root : Path
        What the images' paths are relative to.
    image_size, in_memory
        As in `load_task`.
    classes : tuple of str
        In the order of the labels.

    Raises
    ------
    InputError
        As in `load_task`.
    """
    files = [(*where, path) for where, folder in folders.items() for path in list_files(folder)]
    held = Counter(where[:2] for where in files)
    for where, folder in folders.items():
        if not held[where]:
            raise InputError(f"{folder} is empty: expected the images of class {where[1]}")

    if in_memory is None:
        in_memory = 3 * image_size**2 * len(files) < psutil.virtual_memory().available / 4

    def attempt(path: Path) -> tuple[np.ndarray | str, str] | UnusableImageError:
        try:
            pixels, digest = read_image(path, image_size)
            return pixels if in_memory else digest_of(pixels), digest
        except UnusableImageError as error:
            return error

    results = thread_map(attempt, [path for *_, path in files], doing="reading")
    skipped, lost, twins = [], defaultdict(list), {}
    rows: dict[str, list[tuple]] = {split: [] for split, _ in folders}
    for (split, label, path), result in zip(files, results, strict=True):
        relative = path.relative_to(root).as_posix()
        if isinstance(result, UnusableImageError):
            skipped.append((relative, str(result)))
            lost[split, label].append(f"{path.name}: {result}")
        else:
            pixels, digest = result
            twin_label, twin = twins.setdefault(digest, (label, relative))
            if twin_label != label:
                raise InputError(
                    f"{twin} and {relative} are the same image under two classes: remove one"
                )
            patient = patient_of(relative, digest)
            rows[split].append((pixels, path, classes.index(label), relative, patient))
    for where, bad in lost.items():
        allowed = max(MAX_UNUSABLE_IMAGES, MAX_UNUSABLE_FRACTION * held[where])
        if len(bad) > allowed or len(bad) == held[where]:
            raise InputError(
                f"{folders[where]}: {len(bad)} of {held[where]} images can't be used "
                f"({bad[0]} is the first). Expected at most {MAX_UNUSABLE_IMAGES} or {MAX_UNUSABLE_FRACTION:.0%}; "
                "copy the images again"
            )
    images = {}
    for split, found in rows.items():
        pixels, kept, labels, paths, patients = zip(*found, strict=True)
        shown = np.stack(pixels) if in_memory else FilePixels(kept, pixels, image_size)
        images[split] = ImageSet(shown, np.array(labels), paths, patients, classes)
    return images, pd.DataFrame(skipped, columns=["path", "reason"])
