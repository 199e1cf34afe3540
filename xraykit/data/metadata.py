"""Image metadata: properties other than the class that could serve as a shortcut."""

import pandas as pd
from PIL import Image

from ..errors import InputError
from .images import ImageSet
from .phantoms import PHANTOMS
from .tasks import Task, check_task

# By the first part of a patient's name. The data card describes the collections.
SOURCES = {
    "ieee8023": ("covid-chestxray-dataset", "adult"),
    "kermany": ("Kermany et al.", "child"),
}
UNKNOWN = "unknown"
METADATA = ("source", "age", "mode", "frame")


def image_metadata(task: Task) -> pd.DataFrame:
    """Return the metadata of a task's images, which should not predict the class.

    Parameters
    ----------
    task : Task

    Returns
    -------
    DataFrame
        One row per image: path; part (train, validation or test); class; source (the
        collection, or "phantom"); age (adult or child: one of the challenge's two
        collections is of adults, the other of children); mode (of the file: L is gray, RGB,
        RGBA); frame (of phantoms: black, bright or none). Missing values are "unknown".

    Raises
    ------
    InputError
        If a file can't be read any more.

    Examples
    --------
    >>> metadata = xk.image_metadata(task)
    >>> sorted(set(metadata["source"]))
    ['phantom']
    >>> metadata.columns.tolist()
    ['path', 'class', 'source', 'age', 'mode', 'frame', 'part']
    """
    check_task(task)
    drawn = {}
    if task.phantoms:
        drawn = pd.read_csv(task.root / PHANTOMS, index_col="path", keep_default_na=False)
        drawn = drawn[["build", "frame"]].T.to_dict("list")
    tables = [
        _read_metadata(task, part, drawn).assign(part=name) for name, part in task.parts.items()
    ]
    return pd.concat(tables, ignore_index=True)


def _read_metadata(task: Task, images: ImageSet, drawn: dict[str, list[str]]) -> pd.DataFrame:
    """Return one row per image; `drawn` has the build and frame of each phantom."""
    rows = []
    for path, patient, label in zip(images.paths, images.patients, images.label_names, strict=True):
        source, age = SOURCES.get(patient.partition(":")[0], (UNKNOWN, UNKNOWN))
        frame = UNKNOWN
        if path in drawn:
            source, (age, frame) = "phantom", drawn[path]
        try:
            with Image.open(task.file(path)) as image:
                mode = image.mode
        except OSError as error:
            raise InputError(
                f"{task.root / path} can't be read any more: {error}. Load the task again"
            ) from error
        rows.append((path, label, source, age, mode, frame))
    return pd.DataFrame(rows, columns=["path", "class", *METADATA])
