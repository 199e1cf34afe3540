"""Run a notebook headless with papermill, into an output folder."""

import logging
import math
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import nbformat
import papermill
import psutil
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError
from papermill.iorw import LocalHandler, papermill_io

from ..data.tasks import find_data_folder
from ..errors import InputError, RunFailedError, check_choice, escape_name
from ..files import to_path
from ..log import logger
from ..progress import is_interactive
from ..recipes.choose import AUTO
from ..recipes.published import RECIPES
from ..training import CHECKPOINT_FOLDER
from .content import content_key
from .folder import (
    CHECKPOINTS,
    FAILED,
    PARTIAL,
    finish,
    finished_run,
    lock_folder,
    make_work_folder,
)
from .parameters import SAVE_TO, check_parameters, describe_edits, find_notebook, read_notebook
from .report import make_report, write_figures
from .results import NO_REPORT, RESULTS, SCHEMA, read_results, write_results
from .stop import find_stop

TIMEOUT = 4 * 3600  # seconds; the handout's own training takes over two hours on two cores

FIGURES_IN_NOTEBOOK = "module://matplotlib_inline.backend_inline"  # clusters and CI set Agg

logging.getLogger("papermill").setLevel(logging.CRITICAL)  # errors become one line instead

SCHEME = "escaped:"


class _EscapedPaths(LocalHandler):
    """Files whose names are not UTF-8: papermill notes its paths in the notebook, escaped here."""

    def read(self, path: str) -> str:
        return super().read(str(to_path(path.removeprefix(SCHEME))))

    def write(self, buf: str, path: str) -> None:
        super().write(buf, str(to_path(path.removeprefix(SCHEME))))


papermill_io.register(SCHEME, _EscapedPaths())


def run(
    notebook: str | Path,
    out: str | Path,
    *,
    parameters: Iterable[tuple[str, object]] = (),
    kernel: str | None = None,
    timeout: float = TIMEOUT,
    hide_inputs: bool = False,
    again: bool = False,
) -> Path:
    """Run a notebook with papermill, and return the path of its HTML report in `out`.

    The run works in `out/.partial` under a lock. Its files are moved to `out` when it is complete,
    results.json last, and only then is the report made. If that fails, one line says why, the
    status is "done, without report", and the path is that of the executed notebook. The same call
    tries the report again. A run that was interrupted, killed or failed resumes from the last
    complete epoch of its trainings when it is started again. The notebook itself is only read; it
    runs in the current folder, where relative paths among the parameters start.

    Parameters
    ----------
    notebook : str or Path
        "task1", "task2" or the path of a notebook.
    out : str or Path
        A folder that is new, empty, or of an earlier run. A failed run is replaced.
    parameters : pairs of name and value
        Checked against the notebook's `parameters` cell before anything starts.
    kernel : str, optional
        Replaces the kernel that the notebook names.
    timeout : float
        Seconds for the whole run.
    hide_inputs : bool
        Leave the code out of the HTML report.
    again : bool
        Run even if `out` holds a complete run, this one or another. It is replaced if the new run
        completes.

    Raises
    ------
    InputError
        If a parameter is wrong, the notebook can't be run, or `out` can't be used.
    NotFilledInError
        If a graded cell is not filled in. The executed part of the notebook is kept.
    RunFailedError
        If a cell fails, time runs out, the kernel dies, or the disk is full. The executed part of
        the notebook is kept.
    """
    if not 0 < timeout < math.inf:
        raise InputError(f"timeout={timeout!r}: expected seconds, more than 0")
    source, out = find_notebook(notebook), to_path(out)
    content = read_notebook(source, kernel=kernel)
    given, values = check_parameters(content, parameters)
    takes_folder = values.pop(SAVE_TO, None) is not None
    if source.resolve().parent == out.resolve():
        raise InputError(f"{source} lies in {out}, where its results would go: name another folder")
    _check_values(values)
    key = content_key(content, values, out)
    with _disk_errors(source.stem, out), lock_folder(out):
        previous = finished_run(out)
        if previous and not again:
            _check_same(previous, key, out)
            logger.info("This run is already complete. Use --again to repeat it.")
            return make_report(out / source.name, hide_inputs=hide_inputs)
        work = make_work_folder(out)
        if takes_folder:
            given[SAVE_TO] = escape_name(work.absolute())
        logger.info(f"{source.stem}: running …")
        if edits := describe_edits(source, content):
            logger.warning(f"Cells for grading differ from the course's notebook: {edits}.")
        started, start = datetime.now(UTC), time.perf_counter()
        executed, reason = _execute(content, work / source.name, given, timeout)
        seconds = time.perf_counter() - start
        place, error = find_stop(executed, reason)
        target = out / PARTIAL / FAILED if error and previous else out
        place = _replace_folder(place, work, target)
        executed = nbformat.reads(
            _replace_folder(nbformat.writes(executed), work, target), as_version=4
        )
        paths = {"input_path": source, "output_path": target / source.name}
        executed.metadata.papermill.update({key: escape_name(paths[key]) for key in paths})
        nbformat.write(executed, work / source.name)
        write_figures(executed, work)
        details: dict[str, object] = {
            "status": error.status if error else NO_REPORT,
            "error": place or None,
            "notebook": escape_name(source.stem),
            "parameters": values,
            "content": key,
            "started": started.isoformat(timespec="seconds"),
            "seconds": {"total": round(seconds, 1), "cells": _cell_seconds(executed)},
        }
        _add_details(work, details)
        if target == out:
            finish(work, out)
        else:
            work.rename(target)
        report = make_report(target / source.name, hide_inputs=hide_inputs)
    if error:
        executed_part = target / source.name
        stop = f"{source.stem} did not complete: {place.rstrip('.')}"
        raise error(f"{stop}. The executed part is in {executed_part}")
    logger.info(f"{source.stem}: done in {seconds:.0f} s")
    return report


def _check_values(values: dict[str, object]) -> None:
    """Raise InputError before the kernel starts, if the notebook's first cells would, after it."""
    name, changes, data = (values.get(name) for name in ("recipe", "overrides", "data"))
    if isinstance(name, str) and isinstance(changes, dict):
        if name != AUTO:
            check_choice("recipe", name, [AUTO, *RECIPES])
        recipe = RECIPES[name] if name != AUTO else next(iter(RECIPES.values()))
        epochs = {"epochs": values["epochs"]} if values.get("epochs") else {}
        recipe.override(**changes | epochs)
    if isinstance(data, str) and data not in ("", AUTO) and not to_path(data).is_dir():
        raise InputError(f"data={data!r} is not a folder: expected one that holds two/ or all/")


def run_demo(folder: Path) -> list[Path]:
    """Run both notebooks with their defaults, and return the paths of their HTML reports.

    Without the challenge's images the notebooks draw phantoms and run on those. An earlier demo is
    replaced.

    Raises
    ------
    InputError
        If `XRAYKIT_CHALLENGE_DIR` names a folder without images, or `folder` can't be written.
    RunFailedError
        If a notebook fails, as without ImageNet weights; it is kept up to the failing cell.
    """
    find_data_folder()
    return [run(task, folder / task, again=True) for task in ("task1", "task2")]


@contextmanager
def _disk_errors(name: str, out: Path) -> Iterator[None]:
    """Raise RunFailedError if a file can't be written."""
    try:
        yield
    except OSError as error:
        raise RunFailedError(
            f"{name} stopped: {out} can't be written: {error.strerror or error}. Solve this and "
            "start it again: it resumes from the last complete epoch"
        ) from error


def _check_same(previous: dict, key: str, out: Path) -> None:
    if previous["content"] != key:
        raise InputError(
            f"{out} holds another run, of {previous['notebook']} with other parameters, images or "
            "versions: name another folder, or replace it with --again"
        )


def _execute(
    content: NotebookNode, path: Path, parameters: dict[str, object], timeout: float
) -> tuple[NotebookNode, str]:
    """Run a notebook at `path`; return it executed, and why it stopped if no output says so."""
    nbformat.write(content, path)
    with _kernel_environment(path.parents[1] / CHECKPOINTS):
        reason = _run_papermill(path, parameters, timeout)
    return nbformat.read(path, as_version=4), reason


def _run_papermill(path: Path, parameters: dict[str, object], timeout: float) -> str:
    """Run the notebook at `path` in place; return why it stopped, if no cell's output says so."""
    # papermill fills in braces
    escaped = SCHEME + escape_name(path).replace("{", "{{").replace("}", "}}")
    deadline = time.monotonic() + timeout

    def remaining_seconds(cell: NotebookNode) -> float:
        seconds = deadline - time.monotonic()
        if seconds <= 0:
            raise TimeoutError
        return seconds

    try:
        papermill.execute_notebook(
            escaped,
            escaped,
            parameters,
            progress_bar=is_interactive(),
            extra_arguments=["--log-level=ERROR"],  # no messages on how the kernel communicates
            shutdown_kernel="immediate",
            timeout_func=remaining_seconds,
        )
    except PapermillExecutionError:
        return ""  # the outputs tell which cell failed; papermill names the last one, tagged or not
    except TimeoutError:
        return (
            f"out of time, {timeout:g} s. Start it again with a longer --timeout: it resumes "
            "from the last complete epoch"
        )
    except DeadKernelError:
        return (
            "the kernel died, probably for lack of memory: close other programs, or use a smaller "
            "image_size, batch_size or network"
        )
    except RuntimeError as error:
        return f"the kernel does not start: {error}"
    except nbformat.ValidationError as error:
        return f"its output can't be stored in a notebook: {error.message}"
    return ""


@contextmanager
def _kernel_environment(checkpoints: Path) -> Iterator[None]:
    """Set what kernels inherit: where trainings keep their state, and figures in the notebook.

    All processes that use this folder of checkpoints are ended before and afterwards.
    """
    path = str(checkpoints.absolute())  # the notebook may change its folder
    _end_processes(path)  # a run that was killed may have left one
    variables = {CHECKPOINT_FOLDER: path, "MPLBACKEND": FIGURES_IN_NOTEBOOK}
    previous = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in previous.items():
            del os.environ[name]
            if value is not None:
                os.environ[name] = value
        _end_processes(path)


def _end_processes(checkpoints: str) -> None:
    """Kill kernels, and processes that notebooks started, by their environment variable."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(CHECKPOINT_FOLDER) == checkpoints:
                process.kill()
                process.wait(10)


def _replace_folder(text: str, work: Path, target: Path) -> str:
    """Replace the work folder by the one that its files are moved to.

    Only the end of the path differs, so it does not matter how its beginning is escaped.
    """
    end = "" if target.parent != work.parent else f"/{PARTIAL}/{target.name}"
    return re.sub(rf"[/\\]+{re.escape(PARTIAL)}[/\\]+{work.name}", end, text)


def _cell_seconds(notebook: NotebookNode) -> dict[str, float]:
    """Return the seconds of each cell that took a tenth of a second or more."""
    times = {cell.id: cell.metadata.get("papermill", {}).get("duration") for cell in notebook.cells}
    return {name: round(seconds, 1) for name, seconds in times.items() if (seconds or 0) >= 0.1}


def _add_details(work: Path, details: dict[str, object]) -> None:
    """Add the details of a run to the results that its notebook saved, if it did."""
    saved: dict[str, object] = {"schema": SCHEMA}
    if (work / RESULTS).exists():
        try:
            saved = read_results(work)
        except InputError:  # the notebook wrote another file of that name
            (work / RESULTS).rename(work / f"notebook-{RESULTS}")
    files = [path for path in work.rglob("*") if path.is_file() and path != work / RESULTS]
    names = sorted(escape_name(path.relative_to(work).as_posix()) for path in files)
    write_results(work, saved | details | {"files": names})
