"""Pictures from elsewhere, which no student's network has seen: folders of their own."""

import os
from pathlib import Path

from ..errors import InputError
from .images import ImageSet
from .tasks import read_folders

FOLDER = "XRAYKIT_EXTERNAL_DIR"


def load_external(
    groups: tuple[str, ...], class_names: tuple[str, ...], image_size: int = 224
) -> ImageSet:
    """Read the pictures below `GROUP/CLASS` of the folder that `XRAYKIT_EXTERNAL_DIR` names.

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
    named = os.environ.get(FOLDER)
    if not named:
        raise InputError(
            f"{FOLDER} is not set: expected a folder that holds "
            f"{', '.join(f'{group}/' for group in groups)} with a folder for each class"
        )
    root = Path(named).expanduser()
    folders = {
        (group, label): root / group / label
        for group in groups
        for label in class_names
        if (root / group / label).is_dir()
    }
    if missing := set(class_names) - {label for _, label in folders}:
        raise InputError(
            f"{root} has no pictures of {', '.join(sorted(missing))} in {', '.join(groups)}"
        )
    images, _ = read_folders(folders, root, image_size, class_names, in_memory=True)
    first, *others = images.values()
    for other in others:
        first = first.join(other)
    return first
