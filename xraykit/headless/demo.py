"""The main job in one go: both notebooks run on the images at hand, and made into reports."""

from pathlib import Path

from ..data.tasks import find_data_folder
from .run import run


def run_demo(folder: Path) -> list[Path]:
    """Run both notebooks as they are, and return the HTML reports, each in a folder of its own.

    Without the challenge's images the notebooks draw phantoms, and run on those. What a demo
    before left is replaced.

    Raises
    ------
    InputError
        If `XRAYKIT_CHALLENGE_DIR` names a folder without images, or `folder` can't be written.
    RunFailedError
        If a notebook fails, as without ImageNet weights; it is kept up to the failing cell.
    """
    find_data_folder()
    return [run(task, folder / task, again=True) for task in ("task1", "task2")]
