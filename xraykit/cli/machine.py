"""The machine: doctor and cache."""

import sys

import click

from ..errors import WriteError


@click.command()
@click.option("--time", "name", metavar="RECIPE", help="Time this recipe on each device instead.")
def doctor(name: str | None) -> None:
    """Check the installation and say what is missing."""
    if name:
        from .. import recipes

        recipe = recipes[name]
        from ..experiments.timing import time_recipe

        times = time_recipe(recipe)
        click.echo(times.to_string(index=False, na_rep="", float_format="{:.4g}".format))
        return
    from ..headless.doctor import examine

    is_well = True
    for finding in examine():
        click.echo(finding)
        is_well = is_well and finding.ok
    sys.exit(not is_well)


@click.command()
@click.option("--clear", is_flag=True, help="Remove all cached features.")
def cache(clear: bool) -> None:
    """List or remove the cached features.

    The least recently used file comes first.
    """
    from ..training.cache_folder import cache_folder, clear_cache, list_cached

    if clear:
        table, remaining = clear_cache()
    else:
        table = remaining = list_cached()
    if len(remaining):
        columns = remaining.drop(columns="path")
        click.echo(columns.to_string(index=False, float_format="{:.1f}".format))
    action = "removed from" if clear else "in"
    click.echo(f"{len(table)} files, {table['MB'].sum() / 1000:.2f} GB, {action} {cache_folder()}")
    if clear and len(remaining):
        raise WriteError(f"Could not remove {len(remaining)} files: another user may own them")


COMMANDS = (doctor, cache)
