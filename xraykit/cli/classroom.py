"""The class: release."""

from pathlib import Path

import click

from ..errors import InputError
from .paths import PATH


@click.command()
@click.argument("notebooks", nargs=-1, type=PATH)
@click.option("--to", type=PATH, default=Path("student"), show_default=True, help="Output folder.")
def release(notebooks: tuple[Path, ...], to: Path) -> None:
    """Write the student versions of NOTEBOOKS.

    By default these are all notebooks of this kit. Existing files are not changed.
    """
    try:
        from ..classroom.release import release as write
        from ..headless.parameters import NOTEBOOKS
    except ModuleNotFoundError as error:
        raise InputError(
            f"Package {error.name} is missing. Install it: pip install -e '.[instructor]'"
        ) from error
    for notebook in notebooks or sorted(NOTEBOOKS.glob("*.ipynb")):
        exists = (to / notebook.name).exists()
        click.echo(f"{write(notebook, to)}{' exists already: not changed' if exists else ''}")


COMMANDS = (release,)
