"""Images from elsewhere, which no student's network has seen: folders of their own."""

import os
from pathlib import Path

from ..errors import InputError
from .folders import read_folders
from .images import ImageSet, list_files

FOLDER = "XRAYKIT_EXTERNAL_DIR"
CALLED = {
    "adult_normal/normal": "healthy adults",
    "adult_covid/covid": "adults with COVID-19",
    "child/normal": "healthy children",
    "child/pneumonia_bac": "children, bacterial pneumonia",
    "child/pneumonia_vir": "children, viral pneumonia",
}


class NoExternalFolderError(InputError):
    """No folder of images from elsewhere is named."""


def load_external_set(
    groups: tuple[str, ...], class_names: tuple[str, ...], image_size: int = 224
) -> ImageSet:
    """Read the images below `GROUP/CLASS` of the folder that `XRAYKIT_EXTERNAL_DIR` names.

    Parameters
    ----------
    groups : tuple of str
        Such as "child", "adult_covid" and "adult_normal". A class may be in several.
    class_names : tuple of str
        The classes, in the order of the labels; each is in one of the groups at least.
    image_size : int

    Raises
    ------
    InputError
        If the folder is not named, or a class is in none of the groups.
    """
    root = _root()
    folders = {
        (group, label): root / group / label
        for group in groups
        for label in class_names
        if (root / group / label).is_dir()
    }
    if missing := set(class_names) - {label for _, label in folders}:
        raise InputError(
            f"{root} has no images of {', '.join(sorted(missing))} in {', '.join(groups)}"
        )
    images, _ = read_folders(folders, root, image_size, class_names, in_memory=True)
    first, *others = images.values()
    for other in others:
        first = first.join(other)
    return first


def load_external(image_size: int = 224) -> dict[str, ImageSet]:
    """Read each folder `GROUP/CLASS` of those that `XRAYKIT_EXTERNAL_DIR` names, as a set.

    No patient of theirs should be in the challenge: the folder is taken at its word.

    Parameters
    ----------
    image_size : int

    Returns
    -------
    dict of str to ImageSet
        By what the group is called: healthy adults (`adult_normal/normal`), adults with COVID-19
        (`adult_covid/covid`), healthy children (`child/normal`), children with bacterial
        (`child/pneumonia_bac`) and viral pneumonia (`child/pneumonia_vir`).

    Raises
    ------
    InputError
        If the folder is not named (`NoExternalFolderError`), or has none of these.
    """
    root = _root()
    sets = {}
    for place, called in CALLED.items():
        if (root / place).is_dir() and list_files(root / place):
            label = place.partition("/")[2]
            folders = {(called, label): root / place}
            images, _ = read_folders(folders, root, image_size, (label,), in_memory=True)
            sets |= images
    if not sets:
        raise InputError(
            f"{FOLDER}={root}: expected a folder that has images in one of {', '.join(CALLED)}"
        )
    return sets


def _root() -> Path:
    named = os.environ.get(FOLDER)
    if not named:
        raise NoExternalFolderError(
            f"{FOLDER} is not set: expected a folder of images from elsewhere, with "
            f"{', '.join(CALLED)}"
        )
    return Path(named).expanduser()
