"""Notebooks run headless: run, demo, collect, card."""

import sys
from pathlib import Path
from typing import Any

import click

from ..errors import InputError
from .options import PARAMETERS, PATH


@click.command()
@click.argument("notebook")
@PARAMETERS
@click.option("--out", required=True, type=PATH, help="Output folder.")
@click.option("--timeout", type=float, help="Seconds for the whole run; by default four hours.")
@click.option("--kernel", help="Jupyter kernel; by default the one that the notebook names.")
@click.option("--hide-inputs", is_flag=True, help="Leave the code out of the HTML report.")
@click.option("--again", is_flag=True, help="Run even if --out holds a complete run; replace it.")
def run(notebook: str, out: Path, **options: Any) -> None:
    """Run a notebook headless and save its results.

    NOTEBOOK is task1, task2 or a path. The output folder receives the executed notebook, its HTML
    report, results.json, history.csv, predictions, model.keras and figures/. If the run is
    interrupted, killed or fails, the same command resumes from the last complete epoch.
    """
    from ..headless.run import run as execute

    given = {name: value for name, value in options.items() if value is not None}
    try:
        path = execute(notebook, out, **given)
        click.echo(f"{'Report' if path.suffix == '.html' else 'Notebook'}: {path}")
    except SystemExit:  # a signal
        click.echo("The same command resumes from the last complete epoch.", err=True)
        raise


@click.command()
@click.option("--to", type=PATH, default=Path("reports"), show_default=True, help="Output folder.")
def demo(to: Path) -> None:
    """Run both notebooks with their default parameters.

    They run on the challenge's images or, without them, on phantoms. An earlier demo is replaced.
    """
    from ..headless.run import run_demo

    click.echo("\n".join(["Reports, to open in a browser:", *map(str, run_demo(to))]))


@click.command()
@click.argument("folders", nargs=-1, required=True, type=PATH)
@click.option("--csv", type=PATH, help="Output file for the table as CSV.")
@click.option("--html", type=PATH, help="Output file for the table as an HTML page.")
def collect(folders: tuple[Path, ...], csv: Path | None, html: Path | None) -> None:
    """Collect the runs in and below FOLDERS in one table."""
    from ..headless import collect as runs

    table = runs.collect(folders)
    if csv:
        runs.write_csv(table, csv)
    if html:
        runs.write_page(table, html)
    click.echo(runs.display_runs(table).to_string(index=False, na_rep="", max_colwidth=70))


@click.command()
@click.argument("folders", nargs=-1, required=True, type=PATH)
def card(folders: tuple[Path, ...]) -> None:
    """Write a model card for each run in FOLDERS.

    The card is written beside the run's results, as card.md and card.html. A folder without a
    complete run is named and left out; only if no card can be written, this is an error.
    """
    from ..headless.card import write_card

    errors = []
    for folder in folders:
        try:
            click.echo("\n".join(map(str, write_card(folder))))
        except InputError as error:
            errors.append(error)
            click.echo(f"No card: {error}", err=True)
    if len(errors) == len(folders):
        sys.exit(InputError.exit_code)


COMMANDS = (run, demo, collect, card)
