"""What is known of an image beside its class: where it is from, of whom, in what file."""

import pandas as pd
from PIL import Image

from ..errors import InputError
from .images import ImageSet
from .phantoms import PHANTOMS
from .tasks import Task, check_task

# By the first part of a patient's name. The data card says what each collection holds.
SOURCES = {
    "ieee8023": ("covid-chestxray-dataset", "adult"),
    "kermany": ("Kermany et al.", "child"),
}
UNKNOWN = "unknown"
METADATA = ("source", "age", "mode", "frame")


def image_metadata(task: Task) -> pd.DataFrame:
    """Return facts about the images of a task that a network should not go by.

    Returns
    -------
    DataFrame
        A row an image: path; part (train, validation or test); class; source (the collection);
        age (adult or child: of the challenge's two collections one has adults and the other
        children; of phantoms each one's); mode (of the file: L is grey, RGB, RGBA); frame (of
        phantoms: black, bright or none). What is not known is called unknown.

    Raises
    ------
    InputError
        If a file can't be read any more.
    """
    check_task(task)
    drawn = {}
    if task.phantoms:
        drawn = pd.read_csv(task.root / PHANTOMS, index_col="path", keep_default_na=False)
        drawn = drawn[["build", "frame"]].T.to_dict("list")
    tables = [_facts(task, images, drawn).assign(part=part) for part, images in task.parts.items()]
    return pd.concat(tables, ignore_index=True)


def _facts(task: Task, images: ImageSet, drawn: dict[str, list[str]]) -> pd.DataFrame:
    rows = []
    for path, patient, label in zip(images.paths, images.patients, images.label_names, strict=True):
        source, age = SOURCES.get(patient.partition(":")[0], (UNKNOWN, UNKNOWN))
        frame = UNKNOWN
        if path in drawn:
            source = "drawn"
            age, frame = drawn[path]
        try:
            with Image.open(task.root / path) as image:
                mode = image.mode
        except OSError as error:
            raise InputError(
                f"{task.root / path} can't be read any more: {error}. Load the task anew"
            ) from error
        rows.append((path, label, source, age, mode, frame))
    return pd.DataFrame(rows, columns=["path", "class", *METADATA])
