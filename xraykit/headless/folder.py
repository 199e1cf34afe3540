"""The folder of a run: under a lock it comes to hold a whole result, or stays as it was."""

import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from filelock import FileLock, Timeout

from ..errors import InputError
from .results import RESULTS, read_results

LOCK, PARTIAL, READY = ".lock", ".partial", "ready"
CHECKPOINTS, FAILED = "checkpoints", "failed"  # in PARTIAL, and kept there until a run is done


@contextmanager
def locked(out: Path) -> Iterator[None]:
    """Hold a folder for one run, after a look at whether it may be written into.

    What a run had ready to be moved when it was killed is moved now.

    Raises
    ------
    InputError
        If the folder can't be written, holds what is not of a run, or another run works in it.
    """
    try:
        found = {path.name for path in out.iterdir()} if out.exists() else set()
        if found - {LOCK} and not found & {RESULTS, PARTIAL}:
            raise InputError(
                f"{out} holds something already, such as {min(found)}: expected a new or empty "
                "folder, or one of an earlier run"
            )
        if RESULTS in found and "content" not in read_results(out):
            raise InputError(f"{out / RESULTS} is not of `xraykit run`: name another folder")
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
        _publish(out)
        yield
    finally:
        lock.release()


def finished_run(out: Path) -> dict | None:
    """Return the results of the run that was done in a folder, if there are any."""
    if not (out / RESULTS).exists():
        return None
    results = read_results(out)
    return results if results["status"] == "done" else None


def new_work(out: Path) -> Path:
    """Remove what other runs left in PARTIAL, but for checkpoints; return a folder to work in."""
    (out / PARTIAL).mkdir(exist_ok=True)
    _empty(out / PARTIAL, but=CHECKPOINTS)
    return Path(tempfile.mkdtemp(prefix="work-", dir=out / PARTIAL))


def finish(work: Path, out: Path) -> None:
    """Move what a run left, complete by now, from `work` to `out`."""
    work.rename(out / PARTIAL / READY)
    _publish(out)


def _empty(folder: Path, but: str) -> None:
    for path in folder.iterdir():
        if path.is_dir() and path.name != but:
            shutil.rmtree(path)
        elif path.is_file():
            path.unlink()


def _publish(out: Path) -> None:
    """Move what is ready to its final names, results.json last; it may be killed, and called again.

    The files of the run before go first, so that those of two runs never stand side by side.
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
        if read_results(out)["status"] == "done":
            _empty(out / PARTIAL, but=READY)
        shutil.rmtree(ready)
    with suppress(OSError):  # checkpoints are in it, or a run that failed
        (out / PARTIAL).rmdir()


def _remove_files(results: Path, out: Path) -> None:
    for name in json.loads(results.read_text(encoding="utf-8")).get("files", []):
        path = out / name
        if path.resolve().is_relative_to(out.resolve()):
            path.unlink(missing_ok=True)
            if path.parent != out:
                with suppress(OSError):  # something of the user's own is in it
                    path.parent.rmdir()
