"""The main job in one go: both notebooks run on the pictures at hand, and made into reports."""

import time
from pathlib import Path

import nbformat
import papermill
from nbconvert import HTMLExporter
from papermill.exceptions import PapermillExecutionError

from ..data.tasks import find_pictures

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


class RunFailedError(RuntimeError):
    """A notebook stopped at an error; the text says where and which."""


def run_demo(folder: Path) -> list[Path]:
    """Run both notebooks as they are, make an HTML report of each in `folder`, return their paths.

    Without the challenge's pictures the notebooks draw phantoms, and run on those.

    Raises
    ------
    InputError
        If `XRAYKIT_CHALLENGE_DIR` names a folder without pictures.
    RunFailedError
        If a notebook fails, as without ImageNet weights; it is kept up to the failing cell.
    """
    find_pictures()
    folder.mkdir(parents=True, exist_ok=True)
    return [_report(notebook, folder) for notebook in sorted(NOTEBOOKS.glob("*.ipynb"))]


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
