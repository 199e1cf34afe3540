"""Recipes and what they show: recipes, experiment, reproduce, shortcuts, gallery."""

from collections.abc import Callable
from pathlib import Path

import click

from .options import PATH

_SEED = click.option(
    "--seed", default=42, show_default=True, help="Random seed for splits and training."
)


def _to_table(path: str) -> Callable:
    return click.option(
        "--to",
        type=PATH,
        default=Path(path),
        show_default=True,
        help="Output file for the table.",
    )


@click.command()
@click.argument("name", required=False)
def recipes(name: str | None) -> None:
    """List the recipes, or show the recipe NAME in full."""
    from .. import recipes as known
    from ..metrics.intervals import Proportion

    if name:
        click.echo(known[name])
        return
    for recipe in (known[key] for key in known):
        test = recipe.published.test
        score = f"published {Proportion(*test)}" if test else ""
        width = "" if recipe.alpha == 1 else f" {recipe.alpha}"
        click.echo(f"{recipe.name:24} {recipe.backbone + width:17} {recipe.source:36} {score}")


@click.command()
@click.argument("name")
@click.option(
    "--recipe", default="", help="Recipe whose settings are varied; by default the experiment's."
)
@click.option("--folds", default=5, show_default=True, help="Number of folds.")
@click.option(
    "--seed", default=42, show_default=True, help="Random seed for splits, folds and training."
)
@click.option(
    "--to",
    type=PATH,
    default=Path("reports/experiments"),
    show_default=True,
    help="Output folder.",
)
def experiment(name: str, recipe: str, folds: int, seed: int, to: Path) -> None:
    """Run one of the reports' experiments.

    NAME is task1_recipes, task2_recipes, repairs, repairs_finetuned, backbones, optimizers,
    batch_sizes, depth, dropout, early_stopping, schedules, preprocessing, batch_norm,
    more_images, learning_curve or augmentation. The output is a table and a figure, NAME.csv and
    NAME.png; with another recipe than the default, its name is added.
    """
    from ..experiments.run import run_experiment

    to.mkdir(parents=True, exist_ok=True)  # fails before an hour of training, not after it
    result = run_experiment(name, recipe, folds=folds, seed=seed)
    result.save(to)
    click.echo(f"\n{result.display_table().to_string()}\n")
    click.echo(f"{result.answer}\nTable and figure: {to / result.stem}.csv and .png")


@click.command()
@click.option(
    "--recipes", "names", multiple=True, help="Recipe to train; may be repeated. By default all."
)
@click.option(
    "--overrides",
    default="{}",
    help="Settings of the recipes to change, as JSON: '{\"image_size\": 112}'.",
)
@click.option(
    "--folds",
    default=5,
    show_default=True,
    help="Number of folds; 0 skips the cross-validation.",
)
@click.option(
    "--seed",
    "seeds",
    multiple=True,
    type=int,
    help="Random seed; may be repeated. By default 42, 1 and 2.",
)
@_to_table("reports/reproduce.csv")
def reproduce(
    names: tuple[str, ...], overrides: str, folds: int, seeds: tuple[int, ...], to: Path
) -> None:
    """Train recipes and compare with their published scores.

    If it is interrupted or killed, the same command resumes: rows of the table are kept.
    """
    from ..experiments.reproduce import SEEDS, reproduce as measure, summarize
    from ..headless.parameters import parse_settings

    settings = parse_settings(overrides)
    table = measure(to, names, overrides=settings, folds=folds, seeds=seeds or SEEDS)
    summary = summarize(table).astype(object).fillna("")
    click.echo(f"\n{summary.to_string(index=False)}\n\nTable: {to}")


@click.command()
@click.option(
    "--recipes", "names", multiple=True, help="Recipe to train; may be repeated. By default five."
)
@_SEED
@_to_table("reports/shortcuts.csv")
def shortcuts(names: tuple[str, ...], seed: int, to: Path) -> None:
    """Measure what trained networks rely on.

    These are perturbations, external validation, Grad-CAM and features. If it is interrupted or
    killed, the same command resumes: measures in the table are kept.
    """
    from ..experiments.shortcuts import measure_shortcuts

    measure_shortcuts(to, names, seed=seed)
    click.echo(f"Table: {to}")


@click.command()
@click.option(
    "--to", type=PATH, default=Path("reports/gallery"), show_default=True, help="Output folder."
)
@_SEED
def gallery(to: Path, seed: int) -> None:
    """Train both tasks and draw a page of ten figures.

    No figure shows an image of a patient.
    """
    from ..experiments.gallery import draw_gallery

    click.echo(f"Page: {draw_gallery(to, seed=seed)}")


COMMANDS = (recipes, experiment, reproduce, shortcuts, gallery)
