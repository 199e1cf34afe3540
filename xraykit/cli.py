"""The `xraykit` command: parse, call one public function, print. Exit codes: README."""

import signal
import sys
from pathlib import Path

import click

from .data.challenge import DATA, import_challenge
from .errors import InputError, RunFailedError
from .metrics.intervals import Proportion


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="xraykit")
def cli() -> None:
    """Classify chest X-rays by transfer learning, and find out what the network learned."""


@cli.group()
def data() -> None:
    """Bring images in."""


@data.command()
@click.option("--from-folder", type=click.Path(path_type=Path), help="A folder that has them.")
@click.option("--from-zip", type=click.Path(path_type=Path), help="A zip file that has them.")
@click.option(
    "--to", type=click.Path(path_type=Path), default=DATA, help="By default the clone's data/."
)
def challenge(from_folder: Path | None, from_zip: Path | None, to: Path) -> None:
    """Check your copy of the 2020 class challenge against the manifest, and put it in data/."""
    given = [path for path in (from_folder, from_zip) if path]
    if len(given) != 1:
        raise InputError("Expected one of --from-folder FOLDER and --from-zip FILE")
    try:
        click.echo(import_challenge(given[0], to))
    except OSError as error:
        raise InputError(f"Can't copy {given[0]} to {to}: {error}") from error
    known = "" if to == DATA else f"; set XRAYKIT_CHALLENGE_DIR={to} for the notebooks to find them"
    click.echo(f"Images are in {to}{known}")


@data.command()
@click.argument("folder", type=click.Path(path_type=Path))
@click.option("--task", default="multiclass", show_default=True, help="Or binary, for two/ alone.")
@click.option("--images", type=int, help="How many in all; by default as the challenge has.")
@click.option(
    "--shortcut", default=0.0, show_default=True, help="0 to 1: how far all but disease tells."
)
@click.option("--seed", default=42, show_default=True, help="For an independent set, another seed.")
def phantoms(folder: Path, task: str, images: int | None, shortcut: float, seed: int) -> None:
    """Draw radiographs of nobody into FOLDER, in the challenge's layout, with a manifest."""
    from .data.phantoms import PHANTOMS, draw_phantoms

    drawn = draw_phantoms(folder, task, images, shortcut, seed)
    click.echo(drawn.groupby(["split", "class"]).size().unstack().to_string())
    click.echo(f"{len(drawn)} phantoms are in {folder}, and what is in each in {PHANTOMS}")


@cli.command()
@click.argument("notebooks", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--to", type=click.Path(path_type=Path), default=Path("student"), help="By default student/."
)
def release(notebooks: tuple[Path, ...], to: Path) -> None:
    """Write the student versions of NOTEBOOKS.

    Files that are there already stay as they are.
    """
    try:
        from .classroom.release import release as write
    except ModuleNotFoundError as error:
        raise InputError(
            f"{error.name} is missing: get it with `pip install -e '.[instructor]'`"
        ) from error
    for notebook in notebooks:
        kept = (to / notebook.name).exists()
        click.echo(f"{write(notebook, to)}{' is there already, kept' if kept else ''}")


@cli.command()
@click.argument("notebook")
@click.option(
    "-p",
    "parameters",
    type=(str, str),
    multiple=True,
    metavar="NAME VALUE",
    help="Of the notebook's `parameters` cell; as often as you like.",
)
@click.option(
    "--out", required=True, type=click.Path(path_type=Path), help="Folder for what it leaves."
)
@click.option("--timeout", type=float, help="Seconds for the whole run; by default four hours.")
@click.option("--kernel", help="In place of the one that the notebook names.")
@click.option("--hide-inputs", is_flag=True, help="Leave the code out of the HTML report.")
@click.option("--again", is_flag=True, help="Run even if a run is in --out, and replace it.")
def run(notebook: str, out: Path, **options: object) -> None:
    """Run a notebook headless, into a folder of its own.

    NOTEBOOK is task1, task2 or a path. Leaves the executed notebook, its HTML report, results.json,
    history.csv, predictions, model.keras and figures/. Interrupted, killed or failed, the same
    command goes on from the last whole epoch.
    """
    from .headless.run import run as execute

    given = {name: value for name, value in options.items() if value is not None}
    try:
        click.echo(f"Report: {execute(notebook, out, **given)}")
    except _SignalError:
        click.echo("The same command goes on from the last whole epoch.", err=True)
        raise


@cli.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option("--csv", type=click.Path(path_type=Path), help="A file for the table, as text.")
@click.option("--html", type=click.Path(path_type=Path), help="A file for the table, as a page.")
def collect(folders: tuple[Path, ...], csv: Path | None, html: Path | None) -> None:
    """Bring runs in and below FOLDERS into one table."""
    from .headless import collect as runs

    table = runs.collect(folders)
    if csv:
        runs.write_csv(table, csv)
    if html:
        runs.write_page(table, html)
    click.echo(runs.display_runs(table).to_string(index=False, na_rep="", max_colwidth=70))


@cli.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
def card(folders: tuple[Path, ...]) -> None:
    """Write a model card of each run in FOLDERS: card.md and card.html beside its results."""
    from .headless.card import write_card

    failed = []
    for folder in folders:
        try:
            click.echo("\n".join(map(str, write_card(folder))))
        except InputError as error:
            failed.append(str(error))
    if failed:
        raise InputError("\n".join(failed))


@cli.command()
@click.argument("folder", default="auto")
@click.option("--task", "name", help="binary or multiclass; by default both, or what is there.")
@click.option(
    "--predictions",
    type=click.Path(path_type=Path),
    help="A run's predictions.csv, to stand beside what needs no lungs.",
)
@click.option(
    "--html",
    is_flag=False,
    flag_value="audit.html",
    type=click.Path(path_type=Path),
    help="A file for the page; without a name, audit.html.",
)
@click.option("--seed", default=42, show_default=True, help="Of split, folds, forests and lots.")
def audit(
    folder: str, name: str | None, predictions: Path | None, html: Path | None, seed: int
) -> None:
    """Look for what makes a score on the images in FOLDER worth less than it seems.

    FOLDER holds two/ and all/; by default it is found as in the notebooks. Names patients across
    splits, images that are there twice, and what tells the class without lungs. Found or not,
    the exit code is 0.
    """
    from .audit.audit import audit_folder
    from .audit.report import write_page

    if html and html.is_dir():
        raise InputError(f"--html {html}: expected a file for the page, found a folder")
    audits = audit_folder(folder, name, predictions, seed)
    for each in audits:
        click.echo(f"{each}\n")
    if html:
        write_page([audit.to_html() for audit in audits], html)
        click.echo(f"Page: {html}")


@cli.command()
@click.option("--time", "recipe", metavar="RECIPE", help="Time a recipe on each device instead.")
def doctor(recipe: str | None) -> None:
    """Say what is missing here, and what to do."""
    if recipe:
        from . import recipes

        named = recipes[recipe]
        from .experiments.timing import time_recipe

        times = time_recipe(named)
        click.echo(times.to_string(index=False, na_rep="", float_format="{:.4g}".format))
        return
    from .headless.doctor import examine

    well = True
    for finding in examine():
        click.echo(finding)
        well = well and finding.ok
    sys.exit(not well)


@cli.command("recipes")
@click.argument("name", required=False)
def recipes_(name: str | None) -> None:
    """List the recipes; with NAME, say all of one."""
    from . import recipes

    if name:
        click.echo(recipes[name])
        return
    for recipe in (recipes[each] for each in recipes):
        test = recipe.published.test
        said = f"published {Proportion(*test)}" if test else ""
        width = "" if recipe.alpha == 1 else f" {recipe.alpha}"
        click.echo(f"{recipe.name:24} {recipe.backbone + width:17} {recipe.source:36} {said}")


@cli.command()
@click.argument("name")
@click.option("--recipe", default="", help="Whose settings are varied; by default its own.")
@click.option("--folds", default=5, show_default=True, help="Of the cross-validation by patient.")
@click.option("--seed", default=42, show_default=True)
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    default=Path("reports/experiments"),
    help="By default reports/experiments/.",
)
def experiment(name: str, recipe: str, folds: int, seed: int, to: Path) -> None:
    """Run one of the reports' experiments.

    NAME is task1_recipes, task2_recipes, repairs, repairs_finetuned, backbones, optimizers,
    batch_sizes, depth, dropout, early_stopping, schedules, preprocessing, batch_norm,
    more_images, learning_curve or augmentation. Leaves a table and a figure, NAME.csv and
    NAME.png.
    """
    from .experiments.experiments import run_experiment

    to.mkdir(parents=True, exist_ok=True)  # or an hour might be lost
    result = run_experiment(name, recipe, folds=folds, seed=seed)
    result.save(to)
    click.echo(f"\n{result.display_table().to_string()}\n")
    click.echo(f"{result.answer}\nTable and figure: {to / name}.csv and .png")


@cli.command()
@click.option("--recipes", "names", multiple=True, help="A recipe; as often as you like.")
@click.option(
    "--overrides",
    default="{}",
    help="Settings of the recipes to change, as JSON: '{\"image_size\": 112}'.",
)
@click.option("--folds", default=5, show_default=True, help="Cross-validation; 0 leaves it out.")
@click.option("--seed", "seeds", multiple=True, type=int, help="As often as you like: 42, 1, 2.")
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    default=Path("reports/reproduce.csv"),
    help="A file for the table; by default reports/reproduce.csv.",
)
def reproduce(
    names: tuple[str, ...], overrides: str, folds: int, seeds: tuple[int, ...], to: Path
) -> None:
    """Run recipes, by default all, and set what was published beside what is measured.

    Interrupted or killed, the same command goes on: rows that the table has are kept.
    """
    from .experiments.reproduce import SEEDS, summarize
    from .experiments.reproduce import reproduce as measure
    from .headless.parameters import names_and_values

    table = measure(to, names, names_and_values(overrides), folds=folds, seeds=seeds or SEEDS)
    summary = summarize(table).astype(object).fillna("")
    click.echo(f"\n{summary.to_string(index=False)}\n\nTable: {to}")


@cli.command()
@click.option("--clear", is_flag=True, help="Remove them all.")
def cache(clear: bool) -> None:
    """Show the features that trainings have kept, the longest unused first."""
    from .training.cache_folder import cache_folder, cached, clear_cache

    table = cached()
    if clear:
        clear_cache()
    elif len(table):
        click.echo(table.drop(columns="path").to_string(index=False, float_format="{:.1f}".format))
    done = "removed from" if clear else "in"
    click.echo(f"{len(table)} files, {table['MB'].sum() / 1000:.2f} GB, {done} {cache_folder()}")


@cli.command()
@click.option(
    "--to", type=click.Path(path_type=Path), default=Path("reports"), help="By default reports/."
)
def demo(to: Path) -> None:
    """Run both notebooks on the images at hand."""
    from .headless.demo import run_demo

    click.echo("\n".join(["Reports, to open in a browser:", *map(str, run_demo(to))]))


@cli.command()
@click.option(
    "--to",
    type=click.Path(path_type=Path),
    default=Path("reports/gallery"),
    help="By default reports/gallery/.",
)
@click.option("--seed", default=42, show_default=True)
def gallery(to: Path, seed: int) -> None:
    """Draw ten figures that tell the story, and a page of them with their numbers.

    Both tasks are trained anew on the images at hand. No figure shows an image of a patient.
    """
    from .experiments.gallery import draw_gallery

    click.echo(f"Page: {draw_gallery(to, seed=seed)}")


class _SignalError(SystemExit):
    """A signal that ends the command; a kind of SystemExit, which asyncio and click let through."""


def _raise(number: int, frame: object) -> None:
    raise _SignalError(number)


def main() -> None:
    """Run the command; what goes wrong is one line, without a traceback.

    On Ctrl-C and SIGTERM a run ends its kernel first; then the command dies of that signal, so that
    a shell loop around it ends as well.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _raise)
    for stream in (sys.stdout, sys.stderr):
        stream.reconfigure(errors="replace")  # a pipe that knows no ✓
    try:
        cli()
    except _SignalError as error:
        click.echo("Interrupted.", err=True)
        signal.signal(error.code, signal.SIG_DFL)
        signal.raise_signal(error.code)
    except (InputError, RunFailedError) as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        click.echo(f"{error.filename or ''}: {error.strerror or error}", err=True)
        sys.exit(InputError.exit_code)
