"""The main job in one go: both notebooks run on the pictures at hand, and made into reports."""

import ast
import contextlib
import io
import time
from pathlib import Path

import nbformat
import papermill
from nbconvert import HTMLExporter
from papermill.exceptions import PapermillExecutionError

from ..data.challenge import find_challenge
from ..errors import InputError
from ..models.backbones import backbone

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


class RunFailedError(RuntimeError):
    """A notebook stopped at an error; the text says where and which."""


def run_demo(folder: Path) -> list[Path]:
    """Run both notebooks as they are, make an HTML report of each in `folder`, return their paths.

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
    return [_report(notebook, folder) for notebook in sorted(NOTEBOOKS.glob("*.ipynb"))]


def _find_weights() -> None:
    for name, weights, alpha in _backbones_asked_for():
        with contextlib.redirect_stdout(io.StringIO()):  # Keras says what it tries to download
            backbone(name, weights, alpha)


def _backbones_asked_for() -> list[tuple[str, str, float]]:
    """Return name, weights and width of each backbone in the notebooks' own parameters, once."""
    asked_for = []
    for notebook in sorted(NOTEBOOKS.glob("*.ipynb")):
        parameters = papermill.inspect_notebook(notebook)
        for which in ("", "second_"):
            fields = [parameters.get(which + name) for name in ("backbone", "weights", "alpha")]
            if all(fields):
                asked_for.append(tuple(ast.literal_eval(field["default"]) for field in fields))
    return list(dict.fromkeys(asked_for))


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
