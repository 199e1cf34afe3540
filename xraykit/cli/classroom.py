"""The class: release, bundle."""

from collections.abc import Callable
from functools import wraps
from pathlib import Path

import click

from ..errors import InputError, RunFailedError
from .options import PARAMETERS, PATH

_NOTEBOOKS = click.argument("notebooks", nargs=-1, type=PATH)


def _needs_nbgrader(command: Callable) -> Callable:
    """Say in one line what to install if nbgrader is missing."""

    @wraps(command)
    def checked(*arguments: object, **options: object) -> None:
        try:
            command(*arguments, **options)
        except ModuleNotFoundError as error:
            raise InputError(
                f"Package {error.name} is missing. Install it: pip install -e '.[instructor]'"
            ) from error

    return checked


@click.command()
@_NOTEBOOKS
@click.option("--to", type=PATH, default=Path("student"), show_default=True, help="Output folder.")
@click.option(
    "--run", "is_run", is_flag=True, help="First run the solutions: do they get all points?"
)
@PARAMETERS
@_needs_nbgrader
def release(
    notebooks: tuple[Path, ...], to: Path, is_run: bool, parameters: tuple[tuple[str, str], ...]
) -> None:
    """Write the student versions of NOTEBOOKS.

    By default these are all notebooks of this kit. A student version in which a part of a solution
    is left, a stub has no instructions, or the points do not add up, is not written. Existing files
    are not changed.
    """
    from ..classroom.release import count_points, make_student_version, release as write
    from ..classroom.verify import find_failed_checks

    for notebook in _find_notebooks(notebooks):
        computed, written = count_points(make_student_version(notebook))
        failed = find_failed_checks(notebook, parameters) if is_run else []
        if failed:
            checks = ", ".join(f"{name} ({got:g} of {most:g})" for name, got, most in failed)
            raise RunFailedError(f"{notebook}: its solutions do not get all points: {checks}")
        exists = (to / notebook.name).exists()
        points = f"{computed:g} points by checks, {written:g} by a person" if computed else ""
        note = "exists already: not changed" if exists else points
        click.echo(f"{write(notebook, to)} {note}".strip())


@click.command()
@_NOTEBOOKS
@click.option("--to", type=PATH, required=True, help="Output file, such as course.zip.")
@click.option("--images", type=PATH, help="Folder with two/ and all/ that students may have.")
@click.option(
    "--weights", "with_weights", is_flag=True, help="Add this machine's ImageNet weights."
)
@click.option(
    "--include",
    type=PATH,
    multiple=True,
    help="More files for the notebooks' folder, such as a module of own checks; may be repeated.",
)
@_needs_nbgrader
def bundle(
    notebooks: tuple[Path, ...],
    to: Path,
    images: Path | None,
    with_weights: bool,
    include: tuple[Path, ...],
) -> None:
    """Write one zip file for students, without any solution.

    It has the student versions of NOTEBOOKS (by default all of this kit), the kit, and how to
    install it in three lines. Images and weights are in it only if you say so.
    """
    from ..classroom.bundle import write_bundle

    sources = _find_notebooks(notebooks)
    write_bundle(to, sources, images=images, with_weights=with_weights, include=include)
    size = to.stat().st_size / 1e6
    click.echo(f"Bundle: {to} ({size:.1f} MB), with {', '.join(path.name for path in sources)}")


def _find_notebooks(given: tuple[Path, ...]) -> list[Path]:
    from ..headless.parameters import NOTEBOOKS

    return list(given) or sorted(NOTEBOOKS.glob("*.ipynb"))


COMMANDS = (release, bundle)
