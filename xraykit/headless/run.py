"""Headless runs: a notebook through papermill, into a folder of its own."""

import ast
import json
import logging
import math
import os
import re
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from hashlib import file_digest, sha256
from importlib.metadata import version
from pathlib import Path

import nbformat
import papermill
import psutil
from nbclient.exceptions import DeadKernelError
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError

from ..data.challenge import find_challenge
from ..errors import InputError, NotFilledInError, RunFailedError
from ..progress import is_interactive
from ..training import CHECKPOINT_FOLDER
from .folder import CHECKPOINTS, FAILED, PARTIAL, finish, finished_run, locked, new_work
from .parameters import SAVE_TO, check_parameters, existing, find_notebook, read_notebook
from .report import write_report
from .results import RESULTS, SCHEMA, read_results, write_results

TIMEOUT = 4 * 3600  # seconds; the handout's own training takes over two hours on two cores

logging.getLogger("papermill").setLevel(logging.CRITICAL)  # what goes wrong is said in one line


def run(
    notebook: str | Path,
    out: str | Path,
    parameters: Iterable[tuple[str, object]] = (),
    kernel: str | None = None,
    timeout: float = TIMEOUT,
    hide_inputs: bool = False,
    again: bool = False,
) -> Path:
    """Run a notebook with papermill, and return the path of its HTML report in `out`.

    Everything happens in `out/.partial` under a lock, and is moved to `out` when it is complete,
    results.json last. A run that was interrupted, killed or failed goes on from the last whole
    epoch of its trainings when it is started again. The notebook itself is only read; it runs in
    the current folder, and relative paths among the parameters start there.

    Parameters
    ----------
    notebook : str or Path
        "task1", "task2" or the path of a notebook.
    out : str or Path
        A folder that is new, empty, or of an earlier run. One that failed is replaced.
    parameters : pairs of name and value
        Checked against the notebook's `parameters` cell before anything starts.
    kernel : str, optional
        In place of the one that the notebook names.
    timeout : float
        Seconds that the whole run may take.
    hide_inputs : bool
        Leave the code out of the HTML report.
    again : bool
        Run even if a run that is done is in `out`, this one or another, and replace it if the
        new one is done too.

    Raises
    ------
    InputError
        If a parameter doesn't fit, the notebook can't be run, or `out` can't be used.
    NotFilledInError
        If a graded cell is not filled in. The notebook up to it is kept, as with the next one.
    RunFailedError
        If a cell fails, time runs out, the kernel dies, or the disk is full.
    """
    if not 0 < timeout < math.inf:
        raise InputError(f"timeout={timeout!r}: expected seconds, more than 0")
    source, out = find_notebook(notebook), Path(out)
    content = read_notebook(source, kernel)
    given, values = check_parameters(content, parameters)
    takes_folder = values.pop(SAVE_TO, None) is not None
    if source.resolve().parent == out.resolve():
        raise InputError(f"{source} lies in {out}, where its results would go: name another folder")
    key = _content_key(content, values, out)
    report = out / f"{source.stem}.html"
    try:
        with locked(out):
            before = finished_run(out)
            if before and not again:
                _check_same(before, key, out)
                print(f"{out} holds this very run already: kept. Run it anew with --again")
                return report
            work = new_work(out)
            copy = work / source.name
            nbformat.write(content, copy)
            if takes_folder:
                given[SAVE_TO] = str(work.absolute())
            print(f"{source.stem}: running …", flush=True)
            started, begun = datetime.now(UTC), time.perf_counter()
            with _checkpoints(out / PARTIAL / CHECKPOINTS):
                reason = _execute(copy, given, timeout)
            seconds = time.perf_counter() - begun
            executed = nbformat.read(copy, as_version=4)
            stop, error = _stop(executed, reason)
            kept = out / PARTIAL / FAILED if error and before else out
            executed.metadata.papermill["input_path"] = str(source)
            executed.metadata.papermill["output_path"] = str(kept / source.name)
            write_report(executed, work / report.name, hide_inputs)
            facts = {
                "status": error.status if error else "done",
                "error": stop or None,
                "notebook": source.stem,
                "parameters": values,
                "content": key,
                "started": started.isoformat(timespec="seconds"),
                "seconds": {"total": round(seconds, 1), "cells": _seconds(executed)},
            }
            _write_facts(work, facts)
            if kept == out:
                finish(work, out)
            else:
                work.rename(kept)
    except OSError as problem:
        raise RunFailedError(
            f"{source.stem} stopped: {out} can't be written: {problem.strerror or problem}. "
            "Mend that and start it again: it goes on from the last whole epoch"
        ) from problem
    if error:
        raise error(f"{source.stem} stopped at {stop}. What ran is in {kept / source.name}")
    print(f"{source.stem}: done in {seconds:.0f} s", flush=True)
    return report


def _content_key(content: NotebookNode, values: dict[str, object], out: Path) -> str:
    """Return a digest of all that a run depends on, so that the same one need not run again."""
    inner = [
        each for value in values.values() if isinstance(value, dict) for each in value.values()
    ]
    named = [path for path in map(existing, [*values.values(), *inner]) if path]
    if values.get("data") == "auto" and (images := find_challenge()):
        named.append(images)
    facts = {
        "cells": [(cell.cell_type, cell.source) for cell in content.cells],
        "kernel": content.metadata.kernelspec.name,
        "values": values,
        "files": [_digest(path, out) for path in named],
        "code": _digest(Path(__file__).parents[1], out),
        "versions": [version(package) for package in ("tensorflow", "keras", "numpy", "pillow")],
    }
    return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _digest(path: Path, out: Path) -> str:
    digest, own = sha256(), out.resolve()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        made = file.suffix == ".pyc" or file.resolve().is_relative_to(own)
        if file.is_file() and not made:
            digest.update(file.relative_to(path).as_posix().encode())
            try:
                with file.open("rb") as content:
                    digest.update(file_digest(content, "sha256").digest())
            except OSError as error:
                raise InputError(f"{file} can't be read: {error.strerror}") from error
    return digest.hexdigest()


def _check_same(before: dict, key: str, out: Path) -> None:
    if before["content"] != key:
        raise InputError(
            f"{out} holds another run, of {before['notebook']} with other parameters, images or "
            "versions: name another folder, or replace it with --again"
        )


def _execute(path: Path, parameters: dict[str, object], timeout: float) -> str:
    """Run the notebook at `path` in place; return why it stopped, or "" if it didn't."""
    escaped = str(path).replace("{", "{{").replace("}", "}}")  # papermill fills in braces
    deadline = time.monotonic() + timeout

    def left(cell: NotebookNode) -> float:
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
            extra_arguments=["--log-level=ERROR"],  # not a word on how the kernel talks to us
            shutdown_kernel="immediate",
            timeout_func=left,
        )
    except PapermillExecutionError as error:
        said = re.sub(r"\x1b\[[0-9;]*m", "", error.evalue).strip()
        return f"{error.ename}: {said.partition(chr(10))[0]}"
    except TimeoutError:
        return (
            f"out of time, {timeout:g} s. Started again with a longer --timeout it goes on from "
            "the last whole epoch"
        )
    except DeadKernelError:
        return (
            "the kernel died, as one does that is killed for lack of memory: close other programs, "
            "or take a smaller image_size, batch_size or network"
        )
    except RuntimeError as error:
        return f"the kernel doesn't start: {error}"
    return ""


@contextmanager
def _checkpoints(folder: Path) -> Iterator[None]:
    """Let trainings keep their state in a folder; no process that knows it is left afterwards."""
    mine = str(folder.absolute())  # the notebook may go to another folder
    _end_processes(mine)  # a run that was killed may have left one
    before = os.environ.get(CHECKPOINT_FOLDER)
    os.environ[CHECKPOINT_FOLDER] = mine
    try:
        yield
    finally:
        del os.environ[CHECKPOINT_FOLDER]
        if before is not None:
            os.environ[CHECKPOINT_FOLDER] = before
        _end_processes(mine)


def _end_processes(checkpoints: str) -> None:
    """Kill kernels, and what notebooks started in them, by the variable that they were given."""
    for process in psutil.process_iter():
        with suppress(psutil.Error):
            if process.environ().get(CHECKPOINT_FOLDER) == checkpoints:
                process.kill()
                process.wait(10)


def _stop(notebook: NotebookNode, reason: str) -> tuple[str, type[RunFailedError] | None]:
    """Return at which cell and why a notebook stopped, and the error for it; else neither."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    begun = [cell for cell in code if cell.metadata.papermill.get("start_time")]
    if not reason and len(begun) < len(code):
        reason = "it ends the kernel (SystemExit), and the cells after it never ran"
    if not reason:
        return "", None
    cell = begun[-1] if begun else code[0]
    graded = [each for each in begun if each.metadata.get("nbgrader", {}).get("solution")]
    empty = [each for each in graded if _is_empty(each.source)]
    if cell in graded and reason.startswith("NotImplementedError"):
        empty.append(cell)
    if empty:
        facts = empty[0].metadata.nbgrader
        points = f" ({facts.points} points)" if "points" in facts else ""
        return f"graded cell {facts.grade_id}{points}, which is not filled in", NotFilledInError
    name = cell.metadata.get("nbgrader", {}).get("grade_id", cell.id)
    return f"cell {name}: {reason}", RunFailedError


def _is_empty(source: str) -> bool:
    try:
        return not ast.parse(source).body
    except SyntaxError:
        return False


def _seconds(notebook: NotebookNode) -> dict[str, float]:
    """Return how long each cell took that took a tenth of a second or more."""
    took = {cell.id: cell.metadata.get("papermill", {}).get("duration") for cell in notebook.cells}
    return {name: round(seconds, 1) for name, seconds in took.items() if (seconds or 0) >= 0.1}


def _write_facts(work: Path, facts: dict[str, object]) -> None:
    """Add what is known of a run to the results that its notebook saved, if it did."""
    saved: dict[str, object] = {"schema": SCHEMA}
    if (work / RESULTS).exists():
        try:
            saved = read_results(work)
        except InputError:  # the notebook's own file of that name
            (work / RESULTS).rename(work / f"notebook-{RESULTS}")
    files = [path for path in work.rglob("*") if path.is_file() and path != work / RESULTS]
    names = sorted(path.relative_to(work).as_posix() for path in files)
    write_results(work, saved | facts | {"files": names})
