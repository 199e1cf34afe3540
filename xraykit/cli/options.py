"""What several commands take: paths, and parameters of a notebook."""

from pathlib import Path

import click

from ..files import to_path


class _PathType(click.ParamType):
    name = "path"

    def convert(
        self, value: object, param: click.Parameter | None, ctx: click.Context | None
    ) -> Path:
        return to_path(value)


PATH = _PathType()
PARAMETERS = click.option(
    "-p",
    "parameters",
    type=(str, str),
    multiple=True,
    metavar="NAME VALUE",
    help="Set a parameter of the notebook; may be repeated.",
)
