"""Images: import, draw and audit them."""

from pathlib import Path

import click

from ..errors import InputError, error_class
from .options import PATH


@click.group()
def data() -> None:
    """Import images or draw phantoms."""


@data.command()
@click.option("--from-folder", type=PATH, help="Folder with the images.")
@click.option("--from-zip", type=PATH, help="Zip file with the images.")
@click.option("--to", type=PATH, help="Output folder; by default data/ of the clone.")
def challenge(from_folder: Path | None, from_zip: Path | None, to: Path | None) -> None:
    """Import a copy of the 2020 class challenge.

    The images are compared with the manifest and copied to data/.
    """
    from ..data.challenge import DATA, import_challenge

    sources = [path for path in (from_folder, from_zip) if path]
    if len(sources) != 1:
        raise InputError("Expected one of --from-folder FOLDER and --from-zip FILE")
    to = to or DATA
    try:
        click.echo(import_challenge(sources[0], to))
    except OSError as error:
        raise error_class(error)(f"Can't copy {sources[0]} to {to}: {error}") from error
    hint = "" if to == DATA else f"; set XRAYKIT_CHALLENGE_DIR={to} for the notebooks to find them"
    click.echo(f"Images are in {to}{hint}")


@data.command()
@click.argument("folder", type=PATH)
@click.option(
    "--task",
    default="multiclass",
    show_default=True,
    help="multiclass draws all/, for both tasks; binary draws two/, for Task 1.",
)
@click.option("--images", type=int, help="Number of phantoms; by default that of the challenge.")
@click.option(
    "--shortcut",
    default=0.0,
    show_default=True,
    help="0 to 1: how strongly everything except disease depends on the class.",
)
@click.option(
    "--seed",
    default=42,
    show_default=True,
    help="Random seed; use another one for each set.",
)
def phantoms(folder: Path, task: str, images: int | None, shortcut: float, seed: int) -> None:
    """Draw phantoms into FOLDER.

    Phantoms are synthetic radiographs. They are drawn in the folder layout of the challenge, with
    a manifest.
    """
    from ..data.phantoms import PHANTOMS, draw_phantoms

    table = draw_phantoms(folder, task=task, images=images, shortcut=shortcut, seed=seed)
    click.echo(table.groupby(["split", "class"]).size().unstack().to_string())
    click.echo(f"{len(table)} phantoms are in {folder}; {PHANTOMS} describes each of them")


@click.command()
@click.argument("folder", default="auto")
@click.option("--task", "name", help="binary or multiclass; by default both, if available.")
@click.option(
    "--predictions",
    type=PATH,
    help="predictions.csv of a run, to compare with the no-lung baselines.",
)
@click.option(
    "--html",
    is_flag=False,
    flag_value="audit.html",
    type=PATH,
    help="Output file for the HTML page; audit.html if no name is given.",
)
@click.option(
    "--seed",
    default=42,
    show_default=True,
    help="Random seed for splits, folds, forests and permutations.",
)
def audit(
    folder: str, name: str | None, predictions: Path | None, html: Path | None, seed: int
) -> None:
    """Audit images for leaks, duplicates and shortcuts.

    FOLDER holds two/ and all/; by default it is found as in the notebooks. The audit names
    patients across splits, duplicate images, and features outside the lungs that predict the
    class. The exit code is 0 whatever the audit finds.
    """
    from ..audit.audit import audit_folder
    from ..audit.report import write_page

    if html and html.is_dir():
        raise InputError(f"--html {html}: expected a file for the page, found a folder")
    audits = audit_folder(folder, name=name, predictions=predictions, seed=seed)
    for result in audits:
        click.echo(f"{result}\n")
    if html:
        write_page([result.to_html() for result in audits], html)
        click.echo(f"Page: {html}")


COMMANDS = (data, audit)
