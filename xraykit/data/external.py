"""External images: groups of images that are not in the challenge, for external validation."""

import os
from pathlib import Path

from ..errors import InputError
from ..files import to_path
from .folders import read_folders
from .images import ImageSet, list_files

EXTERNAL_VARIABLE = "XRAYKIT_EXTERNAL_DIR"
GROUP_NAMES = {
    "adult_normal/normal": "healthy adults",
    "adult_covid/covid": "adults with COVID-19",
    "child/normal": "healthy children",
    "child/pneumonia_bac": "children, bacterial pneumonia",
    "child/pneumonia_vir": "children, viral pneumonia",
}


class NoExternalFolderError(InputError):
    """`XRAYKIT_EXTERNAL_DIR` is not set."""


def load_external_set(
    groups: tuple[str, ...], class_names: tuple[str, ...], *, image_size: int = 224
) -> ImageSet:
    """Read the images in `GROUP/CLASS` below the folder `XRAYKIT_EXTERNAL_DIR` as one set.

    Parameters
    ----------
    groups : tuple of str
        Such as "child", "adult_covid" and "adult_normal". A class may be in several groups.
    class_names : tuple of str
        The classes, in the order of the labels; each is in at least one of the groups.
    image_size : int
        Height and width in pixels.

    Raises
    ------
    InputError
        If `XRAYKIT_EXTERNAL_DIR` is not set, or a class is in none of the groups.
    """
    root = _find_root()
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
    image_sets, _ = read_folders(
        folders, root, image_size=image_size, classes=class_names, in_memory=True
    )
    joined, *others = image_sets.values()
    for images in others:
        joined = joined.join(images)
    return joined


def load_external(image_size: int = 224) -> dict[str, ImageSet]:
    """Read each group of external images below the folder `XRAYKIT_EXTERNAL_DIR`.

    None of their patients should be in the challenge; this is not checked.

    Parameters
    ----------
    image_size : int
        Height and width in pixels.

    Returns
    -------
    dict of str to ImageSet
        By name of the group: healthy adults (`adult_normal/normal`), adults with COVID-19
        (`adult_covid/covid`), healthy children (`child/normal`), children with bacterial
        (`child/pneumonia_bac`) and viral pneumonia (`child/pneumonia_vir`).

    Raises
    ------
    InputError
        If `XRAYKIT_EXTERNAL_DIR` is not set (`NoExternalFolderError`), or has none of the groups.

    Examples
    --------
    >>> xk.load_external()  # where XRAYKIT_EXTERNAL_DIR is not set
    Traceback (most recent call last):
        ...
    xraykit.data.external.NoExternalFolderError: XRAYKIT_EXTERNAL_DIR is not set: ...
    """
    root = _find_root()
    image_sets: dict[str, ImageSet] = {}
    for place, group in GROUP_NAMES.items():
        if (root / place).is_dir() and list_files(root / place):
            label = place.partition("/")[2]
            folders = {(group, label): root / place}
            images, _ = read_folders(
                folders, root, image_size=image_size, classes=(label,), in_memory=True
            )
            image_sets |= images
    if not image_sets:
        raise InputError(
            f"{EXTERNAL_VARIABLE}={root}: expected a folder with images in one of "
            f"{', '.join(GROUP_NAMES)}"
        )
    return image_sets


def _find_root() -> Path:
    root = os.environ.get(EXTERNAL_VARIABLE)
    if not root:
        raise NoExternalFolderError(
            f"{EXTERNAL_VARIABLE} is not set: expected a folder of external images, with "
            f"{', '.join(GROUP_NAMES)}"
        )
    return to_path(root, variable=EXTERNAL_VARIABLE)
