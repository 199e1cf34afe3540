"""The type of every path on the command line."""

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
