"""One file for students: the student versions and the kit, without any solution."""

import re
import shutil
import tempfile
from collections.abc import Iterable, Sequence
from pathlib import Path

import nbformat

from ..data.challenge import LAYOUT, SPLITS
from ..errors import InputError
from ..files import atomic_write, is_clutter, report_write_errors
from ..models.weight_files import available_weights
from ..templates import render
from .release import make_student_version

CLONE = Path(__file__).parents[2]
TOP = "xraykit-course"
SHIPPED = ("LICENSE", "data/README.md", "data/challenge.csv")
NOTEBOOKS_IN_WHEEL = re.compile(r'^"notebooks" = .*\n', re.M)  # a bundle has no such folder


def write_bundle(
    path: Path,
    notebooks: Sequence[Path],
    *,
    images: Path | None = None,
    with_weights: bool = False,
    include: Iterable[Path] = (),
) -> Path:
    """Write a zip file from which students install the kit and open their notebooks.

    It has the student versions, the package, the manifest and the data card of the images, and
    nothing of a solution: no worked notebooks, no tests, no git history.

    Parameters
    ----------
    path : Path
        The zip file; an existing one is replaced.
    notebooks : sequence of Path
        Worked notebooks.
    images : Path, optional
        A folder with two/ and all/, whose images may be given to students. By default none are:
        then the notebooks draw phantoms.
    with_weights : bool
        Add the ImageNet weights that are on this machine.
    include : iterable of Path
        More files or folders for the folder of the notebooks, such as a module of own checks.

    Raises
    ------
    InputError
        If a notebook can't be made into a student version, there are no images or weights, a name
        is there twice, or the kit is not installed from a clone.
    WriteError
        If the disk is full.
    """
    if not (CLONE / "pyproject.toml").is_file():
        raise InputError(
            "A bundle is made from a clone: install the kit with `pip install -e .` in a clone"
        )
    with tempfile.TemporaryDirectory() as scratch, report_write_errors(path):
        top = Path(scratch, TOP)
        _copy_package(top)
        names = _write_notebooks(top / "student", notebooks, include)
        contents = [f"Notebooks: {', '.join(names)}."]
        contents += [_copy_images(images, top / "data")] if images else [_WITHOUT_IMAGES]
        if with_weights:
            contents.append(_copy_weights(top / "weights"))
        text = render("bundle.md", contents="\n".join(contents))
        (top / "README.md").write_text(text, "utf-8")
        path.parent.mkdir(parents=True, exist_ok=True)
        archive = Path(shutil.make_archive(str(Path(scratch, "bundle")), "zip", scratch, TOP))
        atomic_write(path, lambda partial: shutil.copyfile(archive, partial))
    return path


_WITHOUT_IMAGES = (
    "Images: none are included. The notebooks draw phantoms, synthetic images. If you have a copy "
    "of the challenge, put its folders two/ and all/ into the folder `data`."
)


def _copy_package(top: Path) -> None:
    for name in SHIPPED:
        (top / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(CLONE / name, top / name)
    text = (CLONE / "pyproject.toml").read_text("utf-8")
    (top / "pyproject.toml").write_text(NOTEBOOKS_IN_WHEEL.sub("", text), "utf-8")
    shutil.copytree(CLONE / "xraykit", top / "xraykit", ignore=_list_clutter)


def _list_clutter(_: str, names: list[str]) -> list[str]:
    return [name for name in names if is_clutter(name) or name == "notebooks"]


def _write_notebooks(folder: Path, notebooks: Sequence[Path], include: Iterable[Path]) -> list[str]:
    folder.mkdir()
    for source in [*notebooks, *include]:
        if (folder / source.name).exists():
            raise InputError(f"Two files for the bundle are named {source.name}: rename one")
        if source in notebooks:
            nbformat.write(make_student_version(source), folder / source.name)
        elif source.is_dir():
            shutil.copytree(source, folder / source.name, ignore=_list_clutter)
        elif source.is_file():
            shutil.copyfile(source, folder / source.name)
        else:
            raise InputError(f"{source} does not exist: expected a file or folder to include")
    return [source.name for source in notebooks]


def _copy_images(images: Path, folder: Path) -> str:
    """Copy the images of both tasks, and nothing else of the folder."""
    count = 0
    for part, classes in LAYOUT.values():
        for split in SPLITS:
            for name in classes:
                source = images / part / split / name
                if source.is_dir():
                    target = folder / part / split / name
                    shutil.copytree(source, target, ignore=_list_clutter)
                    count += sum(1 for _ in target.iterdir())
    if not count:
        raise InputError(f"{images} has no images: expected the folders two/ and all/ in it")
    return f"Images: {count} files in the folder `data`, for this course only."


def _copy_weights(folder: Path) -> str:
    files = available_weights()
    if not files:
        raise InputError(
            "No ImageNet weights are on this machine: `xraykit doctor` says where they are expected"
        )
    folder.mkdir()
    for file in files:
        shutil.copyfile(file, folder / file.name)
    return f"ImageNet weights: {', '.join(sorted(file.name for file in files))}."
