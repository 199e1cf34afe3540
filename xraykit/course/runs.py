"""Headless runs: a notebook through papermill into a folder that holds a whole result, or none."""

import base64
import json
import logging
import os
import re
import shutil
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from hashlib import file_digest, sha256
from importlib.metadata import version
from pathlib import Path

import nbformat
import papermill
from filelock import FileLock, Timeout
from nbclient.exceptions import CellTimeoutError, DeadKernelError
from nbconvert import HTMLExporter
from nbformat import NotebookNode
from papermill.exceptions import PapermillExecutionError

from ..data.challenge import find_challenge
from ..errors import InputError, NotFilledInError, RunFailedError
from ..progress import person_watches
from ..training import CHECKPOINT_FOLDER
from .parameters import SAVE_TO, check_parameters, find_notebook, read_notebook
from .results import RESULTS, SCHEMA, read_results, write_results

PARTIAL, LOCK, READY, FIGURES = ".partial", ".lock", "ready", "figures"
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
    results.json last. A run that was interrupted or killed goes on from the last whole epoch of its
    trainings when it is started again. The notebook itself is only read; it runs in the current
    folder, and relative paths among the parameters start there.

    Parameters
    ----------
    notebook : str or Path
        "task1", "task2" or the path of a notebook.
    out : str or Path
        A folder that is new, empty, or of an earlier run.
    parameters : pairs of name and value
        Checked against the notebook's `parameters` cell before anything starts.
    kernel : str, optional
        In place of the one that the notebook names.
    timeout : float
        Seconds that the whole run may take.
    hide_inputs : bool
        Leave the code out of the HTML report.
    again : bool
        Run anew what is there already, or replace the run that is there.

    Raises
    ------
    InputError
        If a parameter doesn't fit, the notebook can't be run, or `out` can't be used.
    NotFilledInError
        If a graded cell is not filled in. The notebook up to it is kept, as with the next one.
    RunFailedError
        If a cell fails, time runs out, or the kernel dies.
    """
    if not timeout > 0:
        raise InputError(f"timeout={timeout!r}: expected seconds, more than 0")
    source = find_notebook(notebook)
    content = read_notebook(source, kernel)
    given, values = check_parameters(content, parameters)
    out = Path(out)
    key = _content_key(content, values)
    report = out / f"{source.stem}.html"
    try:
        with _locked(out):
            partial = out / PARTIAL
            partial.mkdir(exist_ok=True)
            _publish(partial, out)  # what an earlier run had ready when it was killed
            if not again and _is_there(out, key):
                shutil.rmtree(partial)
                print(f"{out} holds this very run already: kept. Run it anew with --again")
                return report
            checkpoints, work = _clear(partial, key)
            copy, kept = work / source.name, out / source.name
            nbformat.write(content, copy)
            print(f"{source.stem}: running …", flush=True)
            started, begun = datetime.now(UTC), time.perf_counter()
            folder = {SAVE_TO: str(work.absolute())} if SAVE_TO in values else {}
            reason = _execute(copy, given | folder, checkpoints, timeout)
            seconds = time.perf_counter() - begun
            executed = nbformat.read(copy, as_version=4)
            executed.metadata.papermill.update(input_path=str(source), output_path=str(kept))
            nbformat.write(executed, copy)
            _write_report(executed, copy.with_suffix(".html"), hide_inputs)
            stop, error = _stop(executed, reason)
            facts = {
                "status": error.status if error else "done",
                "error": stop or None,
                "notebook": source.stem,
                "parameters": {name: value for name, value in values.items() if name != SAVE_TO},
                "content": key,
                "started": started.isoformat(timespec="seconds"),
                "seconds": {"total": round(seconds, 1), "cells": _seconds(executed)},
            }
            _write_facts(work, facts)
            work.rename(partial / READY)
            _publish(partial, out)
            if not error:
                shutil.rmtree(partial)
    except OSError as problem:
        raise RunFailedError(
            f"{source.stem} stopped: {out} can't be written: {problem.strerror or problem}. "
            "Mend that and start it again: it goes on from the last whole epoch"
        ) from problem
    if error:
        raise error(f"{source.stem} stopped at {stop}. What ran is in {kept}")
    print(f"{source.stem}: done in {seconds:.0f} s", flush=True)
    return report


def _content_key(content: NotebookNode, values: dict[str, object]) -> str:
    """Return a digest of all that a run depends on, so that the same one need not run again."""
    texts = [value for name, value in values.items() if name != SAVE_TO and isinstance(value, str)]
    named = [path for path in (Path(text).expanduser() for text in texts if text) if path.exists()]
    if values.get("data") == "auto" and (pictures := find_challenge()):
        named.append(pictures)
    facts = {
        "cells": [(cell.cell_type, cell.source) for cell in content.cells],
        "kernel": content.metadata.kernelspec.name,
        "values": {name: value for name, value in values.items() if name != SAVE_TO},
        "files": [_digest(path) for path in named],
        "code": _digest(Path(__file__).parents[1]),
        "versions": [version(package) for package in ("tensorflow", "keras", "numpy", "pillow")],
    }
    return sha256(json.dumps(facts, sort_keys=True).encode()).hexdigest()


def _digest(path: Path) -> str:
    digest = sha256()
    for file in sorted(path.rglob("*")) if path.is_dir() else [path]:
        if file.is_file() and file.suffix != ".pyc":
            digest.update(file.relative_to(path).as_posix().encode())
            try:
                with file.open("rb") as content:
                    digest.update(file_digest(content, "sha256").digest())
            except OSError as error:
                raise InputError(f"{file} can't be read: {error.strerror}") from error
    return digest.hexdigest()


@contextmanager
def _locked(out: Path) -> Iterator[None]:
    """Hold `out` for one run, after a look at whether it may be written into."""
    try:
        found = {path.name for path in out.iterdir()} if out.exists() else set()
        if found - {LOCK} and not found & {RESULTS, PARTIAL}:
            raise InputError(
                f"{out} holds something already, such as {min(found)}: expected a new or empty "
                "folder, or one of an earlier run"
            )
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / LOCK, timeout=0)
        lock.acquire()
    except Timeout as error:
        raise InputError(
            f"Another run is working in {out}: wait until it is done, or name another folder"
        ) from error
    except OSError as error:
        raise InputError(
            f"{out} can't be written: {error.strerror or error}. Name another folder"
        ) from error
    try:
        yield
    finally:
        lock.release()


def _is_there(out: Path, key: str) -> bool:
    if not (out / RESULTS).exists():
        return False
    results = read_results(out)
    if results["status"] != "done":
        return False
    if results.get("content") != key:
        raise InputError(
            f"{out} holds another run, of {results.get('notebook')} with other parameters, "
            "pictures or versions: name another folder, or replace it with --again"
        )
    return True


def _clear(partial: Path, key: str) -> tuple[Path, Path]:
    """Remove what other runs left; return this one's checkpoints, and a folder to work in."""
    checkpoints = partial / f"checkpoints-{key[:16]}"
    for leftover in partial.iterdir():
        if leftover != checkpoints:
            shutil.rmtree(leftover)
    return checkpoints, Path(tempfile.mkdtemp(prefix="work-", dir=partial))


def _execute(path: Path, parameters: dict[str, object], checkpoints: Path, timeout: float) -> str:
    """Run the notebook at `path` in place; return why it stopped, or "" if it didn't."""
    escaped = str(path).replace("{", "{{").replace("}", "}}")  # papermill fills in braces
    deadline = time.monotonic() + timeout
    os.environ[CHECKPOINT_FOLDER] = str(checkpoints.absolute())
    try:
        papermill.execute_notebook(
            escaped,
            escaped,
            parameters,
            progress_bar=person_watches(),
            extra_arguments=["--log-level=ERROR"],  # not a word on how the kernel talks to us
            shutdown_kernel="immediate",
            timeout_func=lambda cell: max(1, round(deadline - time.monotonic())),
        )
    except PapermillExecutionError as error:
        said = re.sub(r"\x1b\[[0-9;]*m", "", error.evalue).strip()
        return f"{error.ename}: {said.partition(chr(10))[0]}"
    except CellTimeoutError:
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
    finally:
        del os.environ[CHECKPOINT_FOLDER]
    return ""


def _stop(notebook: NotebookNode, reason: str) -> tuple[str, type[RunFailedError] | None]:
    """Return in which cell and why a notebook stopped, and the error that says so; else neither."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    begun = [cell for cell in code if cell.metadata.papermill.get("start_time")]
    if not reason and len(begun) < len(code):
        reason = "it ends the kernel (SystemExit), and the cells after it never ran"
    if not reason:
        return "", None
    cell = begun[-1] if begun else code[0]
    graded = cell.metadata.get("nbgrader", {})
    name = graded.get("grade_id", cell.id)
    if graded.get("solution") and reason.startswith("NotImplementedError"):
        return (
            f"graded cell {name} ({graded.get('points')} points) is not filled in",
            NotFilledInError,
        )
    return f"cell {name}: {reason}", RunFailedError


def _seconds(notebook: NotebookNode) -> dict[str, float]:
    """Return how long each cell took that took a tenth of a second or more."""
    took = {cell.id: cell.metadata.get("papermill", {}).get("duration") for cell in notebook.cells}
    return {name: round(seconds, 1) for name, seconds in took.items() if (seconds or 0) >= 0.1}


def _write_facts(work: Path, facts: dict[str, object]) -> None:
    """Add what is known of a run to the results that its notebook saved, if it did."""
    saved = read_results(work) if (work / RESULTS).exists() else {"schema": SCHEMA}
    files = sorted(path.name for path in work.iterdir() if path.name != RESULTS)
    write_results(work, saved | facts | {"files": files})


def _write_report(notebook: NotebookNode, path: Path, hide_inputs: bool) -> None:
    """Write the HTML report to `path`, and each figure beside it as a file named after its cell."""
    exporter = HTMLExporter(exclude_input=hide_inputs)
    html, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": path.stem}})
    path.write_text(html, encoding="utf-8")
    for cell in notebook.cells:
        pictures = [each.get("data", {}).get("image/png") for each in cell.get("outputs", [])]
        for number, picture in enumerate(filter(None, pictures), start=1):
            name = cell.id if number == 1 else f"{cell.id}-{number}"
            (path.parent / FIGURES).mkdir(exist_ok=True)
            (path.parent / FIGURES / f"{name}.png").write_bytes(base64.b64decode(picture))


def _publish(partial: Path, out: Path) -> None:
    """Move a complete result to `out`, results.json last; take up where an earlier call was killed.

    What the run before left goes first, so that files of two runs never stand side by side.
    """
    ready, replaced = partial / READY, partial / "replaced.json"
    if (ready / RESULTS).exists():
        if (out / RESULTS).exists():
            (out / RESULTS).replace(replaced)
        if replaced.exists():
            for name in _files(replaced):
                _remove(out / name)
            replaced.unlink()
        for path in sorted(ready.iterdir(), key=lambda path: path.name == RESULTS):
            if path.is_dir():
                _remove(out / path.name)
            path.replace(out / path.name)
    if ready.exists():
        ready.rmdir()


def _files(results: Path) -> list[str]:
    try:
        names = json.loads(results.read_text(encoding="utf-8"))["files"]
        return [name for name in names if Path(name).name == name]
    except (OSError, ValueError, LookupError, TypeError):
        return []  # damaged: what has another name than the new files stays


def _remove(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
