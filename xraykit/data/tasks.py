"""The two tasks of the challenge: read, checked, and split into train, validation and test."""

from dataclasses import dataclass, field
from functools import partial
from hashlib import sha256
from pathlib import Path

import numpy as np
import pandas as pd

from ..errors import (
    InputError,
    check_choice,
    check_kind,
    check_seed,
    check_whole_number,
    one_line,
    to_number,
)
from ..files import to_path
from ..log import logger
from .challenge import LAYOUT, find_challenge
from .folders import find_class_folders, read_folders
from .images import ImageSet
from .phantoms import PHANTOMS, substitute_phantoms
from .splits import split_validation


def _no_files(about: str) -> pd.DataFrame:
    return pd.DataFrame(columns=["path", about], dtype=str)


@dataclass(frozen=True, eq=False, repr=False)
class Task:
    """The images of a task, and the problems found when they were loaded.

    Attributes
    ----------
    name : {"binary", "multiclass"}
    root : Path
        The folder that the images' paths are relative to.
    train, validation, test : ImageSet
        No patient is in two of them (in train and test only with `allow_leak=True`).
    skipped : DataFrame
        Files that can't be used, one row per file: path, reason.
    leaking : DataFrame
        Training images of patients who are in test too, one row per image: path, patient.
    notes : tuple of str
        Warnings that affect how scores are read.
    phantoms : bool
        Whether the images are phantoms, synthetic radiographs drawn by `draw_phantoms`.

    Examples
    --------
    >>> task.class_names
    ('normal', 'covid')
    >>> list(task.parts)
    ['train', 'validation', 'test']
    >>> set(task.train.patients) & set(task.test.patients)
    set()
    """

    name: str
    root: Path
    train: ImageSet
    validation: ImageSet
    test: ImageSet
    skipped: pd.DataFrame = field(default_factory=partial(_no_files, "reason"))
    leaking: pd.DataFrame = field(default_factory=partial(_no_files, "patient"))
    notes: tuple[str, ...] = ()
    phantoms: bool = False

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes, in the order of the labels."""
        return self.train.class_names

    @property
    def parts(self) -> dict[str, ImageSet]:
        """The image sets by name: train, validation and test."""
        return {"train": self.train, "validation": self.validation, "test": self.test}

    @property
    def development(self) -> ImageSet:
        """The training images followed by the validation images: all images but test."""
        return self.train.join(self.validation)

    @property
    def digest(self) -> str:
        """SHA-256 of all images with their paths; it does not depend on the split."""
        images = self.development.join(self.test)
        digest = sha256()
        for row in np.argsort(images.paths):
            digest.update(images.paths[row].encode())  # escaped, so always UTF-8
            digest.update(images.pixels[row].data)
        return digest.hexdigest()

    def file(self, path: str) -> Path:
        """Return the file of an image, by its path in an image set."""
        return to_path(self.root / path)

    def __repr__(self) -> str:
        counts = pd.DataFrame(
            {
                name: {**part.counts(), "all": len(part), "patients": len(set(part.patients))}
                for name, part in self.parts.items()
            }
        ).T
        skipped = [f"Left out: {row.path}: {row.reason}." for row in self.skipped.itertuples()]
        lines = map(one_line, [*self.notes, *skipped])
        return "\n".join([f"Task {self.name}", counts.to_string(), *lines])


def check_task(task: object) -> None:
    """Raise InputError unless this is a Task."""
    check_kind(task, Task, "a task, as xk.load_task gives it")


def load_task(
    name: str,
    root: str | Path = "auto",
    *,
    image_size: int = 224,
    validation_fraction: float = 0.2,
    seed: int = 42,
    allow_leak: bool = False,
    in_memory: bool | None = None,
) -> Task:
    """Read the images of a task, check and split them, and print a summary.

    Validation is split from train by patient and stratified by class, by scikit-learn's
    `StratifiedGroupKFold`: 0.2 is one fold of five, 0.3 is three of ten.

    Parameters
    ----------
    name : {"binary", "multiclass"}
        Task 1 reads `two/` (normal or COVID-19), Task 2 `all/` (normal, COVID-19, bacterial or
        viral pneumonia). Where `two/SPLIT/CLASS` is not a folder, `all/SPLIT/CLASS` is read: the
        challenge keeps the same images there, and copies often lose the links between the two.
    root : str or Path
        The folder that holds `two/` and `all/`. "auto" looks in `XRAYKIT_CHALLENGE_DIR`, then in
        the clone's `data/`; if neither has images, it draws phantoms into `data/phantoms` at
        shortcut 1.
    image_size : int
        Height and width in pixels; images are stretched to a square, as in the original.
    validation_fraction : float
        Above 0, at most 0.5; rounded to the nearest fraction of at most ten folds.
    seed : int
        Random seed of the split.
    allow_leak : bool
        Keep training images of patients who are in test too, to show the effect of the leak.
    in_memory : bool, optional
        Whether decoded images are kept in memory, or decoded at each use (`FilePixels`). By
        default they are kept if they take less than a quarter of the free memory.

    Returns
    -------
    Task

    Raises
    ------
    InputError
        If an argument can't be used, if folders are missing, empty or unexpected, if more than 5 %
        and more than 2 images of a class can't be used, if one image is in the folders of two
        classes, or if a class has too few patients for a validation set.

    Examples
    --------
    >>> task = xk.load_task("binary", task.root, image_size=32)
    >>> task
    Task binary
                normal  covid  all  patients
    train           15     13   28        28
    validation       4      3    7         7
    test             2      3    5         5
    SYNTHETIC IMAGES (phantoms, shortcut 1, seed 1): scores say nothing about patients.
    >>> task.train.pixels.shape
    (28, 32, 32, 3)
    """
    check_choice("task", name, LAYOUT)
    check_whole_number("image_size", image_size, minimum=8)
    check_seed(seed)
    check_kind(allow_leak, bool, "allow_leak as True or False")
    if not 0 < to_number(validation_fraction) <= 0.5:
        raise InputError(f"validation_fraction={validation_fraction!r}: expected above 0 up to 0.5")
    root = (
        find_data_folder() if isinstance(root, str) and root == "auto" else to_path(root).resolve()
    )
    folders, notes = find_class_folders(name, root)
    are_phantoms = (root / PHANTOMS).is_file()
    if are_phantoms:
        notes.insert(0, _describe_phantoms(root))
    images, skipped = read_folders(
        folders, root, image_size=image_size, classes=LAYOUT[name][1], in_memory=in_memory
    )
    train, test = images["train"], images["test"]
    leaks = np.isin(train.patients, test.patients)
    leaking = pd.DataFrame(
        [(train.paths[row], train.patients[row]) for row in np.flatnonzero(leaks)],
        columns=["path", "patient"],
    )
    action = "kept (allow_leak=True)" if allow_leak else "dropped"
    notes += [
        f"Leak: patient {row.patient} is in train and test; {action}: {row.path}."
        for row in leaking.itertuples()
    ]
    if not allow_leak:
        train = train.subset(np.flatnonzero(~leaks))
    train, validation = split_validation(train, fraction=validation_fraction, seed=seed)
    task = Task(name, root, train, validation, test, skipped, leaking, tuple(notes), are_phantoms)
    logger.info(task)
    return task


def find_data_folder() -> Path:
    """Return the folder of the challenge, or of the phantoms that are used instead."""
    return find_challenge() or substitute_phantoms()


def _describe_phantoms(root: Path) -> str:
    try:
        row = pd.read_csv(root / PHANTOMS, nrows=1).iloc[0]
        settings = f"shortcut {row['shortcut']}, seed {row['seed']}"
    except (OSError, ValueError, LookupError) as error:
        raise InputError(f"{root / PHANTOMS} is damaged: draw the phantoms again") from error
    return f"SYNTHETIC IMAGES (phantoms, {settings}): scores say nothing about patients."
