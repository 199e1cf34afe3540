"""The `xraykit` command: each subcommand parses, calls one public function and prints.

A subcommand is a function in the file of its group (classroom, images, machine, research, runs),
listed in the group's COMMANDS.
Modules that load pandas, SciPy or TensorFlow are imported inside the subcommands, so that
`xraykit --help` is fast.
"""

import signal
import sys

try:
    import click
except ImportError:
    sys.exit("✗ The package click is missing. Install again: pip install -e .")

from ..errors import XraykitError, error_class
from . import classroom, images, machine, research, runs


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="xraykit")
def cli() -> None:
    """Classify chest X-rays by transfer learning, and find out what the network learned."""


for _group in (classroom, images, machine, research, runs):
    for _command in _group.COMMANDS:
        cli.add_command(_command)


class _SignalError(SystemExit):
    """A signal that ends the command; a kind of SystemExit, which asyncio and click let through."""

    code: int


def _raise_signal(number: int, frame: object) -> None:
    raise _SignalError(number)


def main() -> None:
    """Run the command; an error is printed as one line, without a traceback.

    The exit code is 0 if all is well, 1 if the command failed, 2 if its input can't be used, and 3
    if a graded cell is not filled in.
    On Ctrl-C and SIGTERM a run ends its kernel first; then the command dies of that signal, so that
    a shell loop around it ends as well.
    """
    for number in (signal.SIGINT, signal.SIGTERM):
        if signal.getsignal(number) != signal.SIG_IGN:
            signal.signal(number, _raise_signal)
    for stream in (sys.stdout, sys.stderr):  # for ✓ in a pipe, and names that are not UTF-8
        stream.reconfigure(errors="backslashreplace")  # type: ignore[union-attr]
    try:
        cli()
    except _SignalError as error:
        click.echo("Interrupted.", err=True)
        signal.signal(error.code, signal.SIG_DFL)
        signal.raise_signal(error.code)
    except XraykitError as error:
        click.echo(str(error), err=True)
        sys.exit(error.exit_code)
    except OSError as error:
        place = error.filename or "Standard output"
        click.echo(f"{place}: {error.strerror or error}", err=True)
        sys.exit(error_class(error).exit_code)
