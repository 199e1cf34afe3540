"""The two tasks of the challenge: read, checked, and cut into train, validation and test."""

from collections import Counter, defaultdict
from dataclasses import dataclass
from fractions import Fraction
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd
import psutil
from sklearn.model_selection import StratifiedGroupKFold

from ..errors import InputError, check_kind, check_whole_number, unknown
from ..progress import in_threads
from .challenge import LAYOUT, SPLITS, find_challenge, patient_of
from .images import FilePixels, ImageSet, UnusableError, digest_of, list_files, read_picture
from .phantoms import PHANTOMS, standby_phantoms

LOST_SHARE, LOST_PICTURES = 0.05, 2  # more than both lost from a class is an error


@dataclass(frozen=True, eq=False, repr=False)
class Task:
    """A task's pictures, and what happened to them on the way in.

    Attributes
    ----------
    name : {"binary", "multiclass"}
    root : Path
        The folder that the pictures' paths start from.
    train, validation, test : ImageSet
        No patient is in two of them (in train and test only with `allow_leak=True`).
    skipped : DataFrame
        Files that could not be used: path, reason.
    leaking : DataFrame
        Training pictures of patients who are in test too: path, patient.
    notes : tuple of str
        What a reader should know before believing a score.
    phantoms : bool
        Whether the pictures were drawn by `draw_phantoms`, and show nobody.
    """

    name: str
    root: Path
    train: ImageSet
    validation: ImageSet
    test: ImageSet
    skipped: pd.DataFrame
    leaking: pd.DataFrame
    notes: tuple[str, ...]
    phantoms: bool = False

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, in the order of the labels."""
        return self.train.class_names

    @property
    def digest(self) -> str:
        """SHA-256 of all pictures with their paths, whatever the split between them."""
        images = self.train.join(self.validation).join(self.test)
        digest = sha256()
        for row in np.argsort(images.paths):
            digest.update(images.paths[row].encode())
            digest.update(images.pixels[row])
        return digest.hexdigest()

    def __repr__(self) -> str:
        parts = {"train": self.train, "validation": self.validation, "test": self.test}
        counts = pd.DataFrame(
            {
                name: {**part.counts(), "all": len(part), "patients": len(set(part.patients))}
                for name, part in parts.items()
            }
        ).T
        skipped = [f"Left out: {row.path}: {row.reason}." for row in self.skipped.itertuples()]
        return "\n".join([f"Task {self.name}", counts.to_string(), *self.notes, *skipped])


def check_task(given: object) -> None:
    """Raise the error for what is no task."""
    check_kind(given, Task, "a task, as xk.load_task gives it")


def load_task(
    name: str,
    root: str | Path = "auto",
    image_size: int = 224,
    validation_fraction: float = 0.2,
    seed: int = 42,
    allow_leak: bool = False,
    in_memory: bool | None = None,
) -> Task:
    """Read a task's pictures, check them, and print what was found.

    Validation is cut from train by patient, stratified and seeded, by scikit-learn's
    `StratifiedGroupKFold`: 0.2 is one fold of five, 0.3 three of ten.

    Parameters
    ----------
    name : {"binary", "multiclass"}
        Task 1 reads `two/` (normal or COVID-19), Task 2 `all/` (normal, COVID-19, bacterial or
        viral pneumonia). Where `two/SPLIT/CLASS` is not a folder, `all/SPLIT/CLASS` is read: the
        challenge keeps the same pictures there, and copies often lose the links between the two.
    root : str or Path
        The folder that holds `two/` and `all/`; "auto" looks in `XRAYKIT_CHALLENGE_DIR`, then in
        the clone's `data/`; where neither is to be had it draws phantoms into `data/phantoms`,
        at shortcut 1, and says so.
    image_size : int
        Height and width in pixels; pictures are stretched to a square, as in the original.
    validation_fraction : float
        Above 0, at most 0.5; taken as the nearest fraction of at most ten folds.
    seed : int
    allow_leak : bool
        Keep training pictures of patients who are in test too. For showing what that does.
    in_memory : bool, optional
        Whether the decoded pictures are kept, or decoded anew whenever they are needed
        (`FilePixels`). By default they are kept where they take less than a quarter of the memory
        that is free.

    Raises
    ------
    InputError
        If folders are missing, empty or unexpected, if more than 5 % and more than 2 pictures of
        a class can't be used, if one picture lies under two classes, or if a class has too few
        patients to cut a validation set.
    """
    if name not in LAYOUT:
        raise unknown("task", name, LAYOUT)
    check_whole_number("image_size", image_size, least=8)
    check_whole_number("seed", seed, least=0)
    if not 0 < validation_fraction <= 0.5:
        raise InputError(f"validation_fraction={validation_fraction!r}: expected above 0 up to 0.5")
    root = find_pictures() if root == "auto" else Path(root).expanduser().resolve()
    folders, notes = _class_folders(name, root)
    phantoms = (root / PHANTOMS).is_file()
    if phantoms:
        notes.insert(0, _banner(root))
    images, skipped = read_folders(folders, root, image_size, LAYOUT[name][1], in_memory)
    train, test = images["train"], images["test"]

    crossing = sorted(set(train.patients) & set(test.patients))
    leaks = np.isin(train.patients, crossing)
    leaking = pd.DataFrame(
        [(train.paths[row], train.patients[row]) for row in np.flatnonzero(leaks)],
        columns=["path", "patient"],
    )
    what = "kept (allow_leak=True)" if allow_leak else "dropped"
    notes += [
        f"Leak: patient {row.patient} is in train and test; {what}: {row.path}."
        for row in leaking.itertuples()
    ]
    if not allow_leak:
        train = train.subset(np.flatnonzero(~leaks))
    train, validation = cut_validation(train, validation_fraction, seed)
    task = Task(name, root, train, validation, test, skipped, leaking, tuple(notes), phantoms)
    print(task)
    return task


def find_pictures() -> Path:
    """Return the challenge's folder, or that of the phantoms that stand in for it."""
    return find_challenge() or standby_phantoms()


def _banner(root: Path) -> str:
    try:
        drawn = pd.read_csv(root / PHANTOMS, nrows=1).iloc[0]
        how = f"shortcut {drawn['shortcut']}, seed {drawn['seed']}"
    except (OSError, ValueError, LookupError) as error:
        raise InputError(f"{root / PHANTOMS} is damaged: draw the phantoms again") from error
    return f"PHANTOMS, pictures of nobody ({how}): scores say nothing of patients."


def _class_folders(name: str, root: Path) -> tuple[dict[tuple[str, str], Path], list[str]]:
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
    """Return the pictures of each split, and a table of those that can't be used.

    Parameters
    ----------
    folders : dict
        From split and class to folder.
    root : Path
        What the pictures' paths are relative to.
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
            raise InputError(f"{folder} is empty: expected the pictures of class {where[1]}")

    if in_memory is None:
        in_memory = 3 * image_size**2 * len(files) < psutil.virtual_memory().available / 4

    def attempt(path: Path) -> tuple[np.ndarray | str, str] | UnusableError:
        try:
            pixels, digest = read_picture(path, image_size)
            return pixels if in_memory else digest_of(pixels), digest
        except UnusableError as error:
            return error

    results = in_threads(attempt, [path for *_, path in files], doing="reading")
    skipped, lost, twins = [], defaultdict(list), {}
    rows: dict[str, list[tuple]] = {split: [] for split, _ in folders}
    for (split, label, path), result in zip(files, results, strict=True):
        relative = path.relative_to(root).as_posix()
        if isinstance(result, UnusableError):
            skipped.append((relative, str(result)))
            lost[split, label].append(f"{path.name}: {result}")
        else:
            pixels, digest = result
            twin_label, twin = twins.setdefault(digest, (label, relative))
            if twin_label != label:
                raise InputError(
                    f"{twin} and {relative} are the same picture under two classes: remove one"
                )
            patient = patient_of(relative, digest)
            rows[split].append((pixels, path, classes.index(label), relative, patient))
    for where, bad in lost.items():
        allowed = max(LOST_PICTURES, LOST_SHARE * held[where])
        if len(bad) > allowed or len(bad) == held[where]:
            raise InputError(
                f"{folders[where]}: {len(bad)} of {held[where]} pictures can't be used "
                f"({bad[0]} is the first). Expected at most {LOST_PICTURES} or {LOST_SHARE:.0%}; "
                "copy the pictures again"
            )
    images = {}
    for split, found in rows.items():
        pixels, kept, labels, paths, patients = zip(*found, strict=True)
        shown = np.stack(pixels) if in_memory else FilePixels(kept, pixels, image_size)
        images[split] = ImageSet(shown, np.array(labels), paths, patients, classes)
    return images, pd.DataFrame(skipped, columns=["path", "reason"])


def cut_validation(images: ImageSet, fraction: float, seed: int) -> tuple[ImageSet, ImageSet]:
    """Return the pictures in two sets, the second of about that share, no patient in both.

    Raises
    ------
    InputError
        If a class has too few patients.
    """
    share = max(Fraction(fraction).limit_denominator(10), Fraction(1, 10))
    folds = share.denominator
    for label, class_name in enumerate(images.class_names):
        owners = {p for p, own in zip(images.patients, images.labels, strict=True) if own == label}
        if len(owners) < folds:
            raise InputError(
                f"Class {class_name} has {len(owners)} patients to train on: expected at least "
                f"{folds} to cut a validation set by patient with validation_fraction={fraction}"
            )
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    parts = [part for _, part in splitter.split(images.paths, images.labels, images.patients)]
    held_out = np.sort(np.concatenate(parts[: share.numerator]))
    kept = np.setdiff1d(np.arange(len(images)), held_out)
    return images.subset(kept), images.subset(held_out)
