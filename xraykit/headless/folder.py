"""The output folder of a run: it receives complete results or stays unchanged, under a lock."""

import json
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import InputError, cannot_write
from ..files import is_clutter, to_path
from ..log import logger
from .results import RESULTS, is_done, read_results

LOCK, PARTIAL, READY = ".lock", ".partial", "ready"
# In PARTIAL, until a run is complete:
CHECKPOINTS, FAILED, EARLIER, WORK = "checkpoints", "failed", "earlier", "work-"


@contextmanager
def lock_folder(out: Path) -> Iterator[None]:
    """Lock a folder for one run, if it may be written into.

    If an earlier run was killed while it moved its complete files, they are moved now.

    Raises
    ------
    InputError
        If the folder can't be used, holds other files, or another run is working in it.
    WriteError
        If the disk is full.
    """
    try:
        names = {path.name for path in out.iterdir()} if out.exists() else set()
        others = {name for name in names if not is_clutter(name)}
        if others and not names & {RESULTS, PARTIAL}:
            raise InputError(
                f"{out} is not empty (it contains {min(others)}): expected a new or empty folder, "
                "or one of an earlier run"
            )
        if RESULTS in names and "content" not in read_results(out):
            raise InputError(
                f"{out / RESULTS} was not written by `xraykit run`: name another folder"
            )
        out.mkdir(parents=True, exist_ok=True)
        lock = FileLock(out / LOCK, timeout=0)
        lock.acquire()
    except Timeout as error:
        raise InputError(
            f"Another run is working in {out}: wait until it is done, or name another folder"
        ) from error
    except OSError as error:
        raise cannot_write(out, error) from error
    try:
        _publish(out)
        yield
    finally:
        lock.release()


def finished_run(out: Path) -> dict | None:
    """Return the results of the complete run in a folder, or None if there is none."""
    if not (out / RESULTS).exists():
        return None
    results = read_results(out)
    return results if is_done(results) else None


def make_work_folder(out: Path) -> Path:
    """Return a new folder in PARTIAL; remove the files of earlier runs there, but checkpoints.

    What a run had executed when it was interrupted has not been offered to anyone: it is moved to
    EARLIER, one line says so, and it stays until this run is complete, or the next one starts.
    """
    partial = out / PARTIAL
    partial.mkdir(exist_ok=True)
    interrupted = sorted(partial.glob(f"{WORK}*"))
    _remove_content(partial, exclude=(CHECKPOINTS, *(path.name for path in interrupted)))
    for path in interrupted:
        (partial / EARLIER).mkdir(exist_ok=True)
        path.rename(partial / EARLIER / path.name)
        logger.warning(
            f"An earlier run was interrupted. What it had executed is in "
            f"{partial / EARLIER / path.name} until this run is complete, or the next one starts."
        )
    return Path(tempfile.mkdtemp(prefix=WORK, dir=partial))


def finish(work: Path, out: Path) -> None:
    """Move the complete files of a run from `work` to `out`."""
    work.rename(out / PARTIAL / READY)
    _publish(out)


def _remove_content(folder: Path, exclude: Sequence[str]) -> None:
    for path in folder.iterdir():
        if path.is_dir() and path.name not in exclude:
            shutil.rmtree(path)
        elif path.is_file():
            path.unlink()


def _publish(out: Path) -> None:
    """Move complete files to their final names, results.json last; safe to kill and call again.

    The files of the earlier run are removed first, so that files of two runs are never mixed.
    """
    ready, replaced = out / PARTIAL / READY, out / PARTIAL / "replaced.json"
    if (ready / RESULTS).exists():
        if (out / RESULTS).exists():
            (out / RESULTS).replace(replaced)
        if replaced.exists():
            _remove_files(replaced, out)
            replaced.unlink()
        files = [path for path in ready.rglob("*") if path.is_file()]
        for path in sorted(files, key=lambda path: path.name == RESULTS):
            target = out / path.relative_to(ready)
            target.parent.mkdir(exist_ok=True, parents=True)
            path.replace(target)
    if ready.exists():
        if is_done(read_results(out)):
            _remove_content(out / PARTIAL, exclude=[READY])
        shutil.rmtree(ready)
    with suppress(OSError):  # it holds checkpoints or a failed run
        (out / PARTIAL).rmdir()


def _remove_files(results: Path, out: Path) -> None:
    for name in json.loads(results.read_text(encoding="utf-8")).get("files", []):
        path = to_path(out / name)
        if path.resolve().is_relative_to(out.resolve()):
            path.unlink(missing_ok=True)
            if path.parent != out:
                with suppress(OSError):  # it holds a file of the user
                    path.parent.rmdir()
