"""The main job in one go: both notebooks run on the pictures at hand, and made into reports."""

import contextlib
import io
import time
from collections.abc import Iterator
from pathlib import Path

import nbformat
import papermill
from nbconvert import HTMLExporter
from papermill.exceptions import PapermillExecutionError

from ..data.challenge import find_challenge
from ..errors import InputError
from ..models.backbones import backbone

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
BACKBONES = (("MobileNetV2", 1.0), ("MobileNet", 0.75))  # those that the notebooks ask for


class RunFailedError(RuntimeError):
    """A notebook stopped at an error; the text says where and which."""


def run_demo(folder: Path) -> Iterator[Path]:
    """Run both notebooks as they are; yield the HTML report of each in `folder` as it is done.

    Raises
    ------
    InputError
        If there are no pictures or no weights: a line for each says how to get them.
    RunFailedError
        If a notebook fails; it is kept up to the failing cell.
    """
    print("Looking for pictures and ImageNet weights …", flush=True)
    lacking = []
    for needed in (find_challenge, _find_weights):
        try:
            needed()
        except InputError as error:
            lacking.append(str(error))
    if lacking:
        raise InputError("\n".join(lacking))
    folder.mkdir(parents=True, exist_ok=True)
    for notebook in sorted(NOTEBOOKS.glob("*.ipynb")):
        yield _report(notebook, folder)


def _find_weights() -> None:
    for name, alpha in BACKBONES:
        with contextlib.redirect_stdout(io.StringIO()):  # Keras says what it tries to download
            backbone(name, alpha=alpha)


def _report(notebook: Path, folder: Path) -> Path:
    start = time.perf_counter()
    executed = folder / notebook.name
    print(f"{notebook.stem}: running …", flush=True)
    try:
        papermill.execute_notebook(
            notebook,
            executed,
            progress_bar=False,
            kernel_name="python3",
            extra_arguments=["--log-level=ERROR"],  # not a word on how the kernel talks to us
        )
    except PapermillExecutionError as error:
        raise RunFailedError(
            f"{notebook.name} stopped in cell {error.exec_count}: {error.ename}: {error.evalue}. "
            f"What ran is in {executed}"
        ) from error
    html, _ = HTMLExporter().from_notebook_node(nbformat.read(executed, as_version=4))
    report = executed.with_suffix(".html")
    report.write_text(html, encoding="utf-8")
    print(f"{notebook.stem}: done in {time.perf_counter() - start:.0f} s", flush=True)
    return report
