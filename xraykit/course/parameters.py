"""A notebook before it runs: whether it is one, and whether the parameters given are its own."""

import ast
import math
import warnings
from collections.abc import Iterable
from pathlib import Path

import click
import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from nbformat import NotebookNode

from ..errors import InputError, unknown

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
PARAMETERS = "parameters"  # the tag, as papermill knows it
SAVE_TO = "save_to"  # the parameter that names the folder for results


def find_notebook(named: str | Path) -> Path:
    """Return the path of a notebook, which may be named `task1` or `task2`.

    Raises
    ------
    InputError
        If there is none.
    """
    own = {path.stem.partition("_")[0]: path for path in sorted(NOTEBOOKS.glob("*.ipynb"))}
    if str(named) in own:
        return own[str(named)]
    path = Path(named).expanduser()
    if not path.exists() and path.suffix != ".ipynb":
        raise unknown("notebook", str(named), [*own, "the path of a .ipynb file"])
    return path


def read_notebook(path: Path, kernel: str | None = None) -> NotebookNode:
    """Read a notebook that can be run; `kernel`, if given, takes the place of its own one.

    Raises
    ------
    InputError
        If it isn't a notebook, its kernel isn't installed, or no cell is tagged `parameters`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ids that are missing or doubled are mended
            notebook = nbformat.read(path, as_version=4)
            nbformat.validate(notebook)
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from error
    except Exception as error:  # whatever a damaged file leads to
        reason = str(error).strip().partition("\n")[0][:100]
        raise InputError(f"{path} is not a Jupyter notebook: {reason}") from error
    installed = KernelSpecManager().get_all_specs()
    kernel = kernel or notebook.metadata.get("kernelspec", {}).get("name")
    if kernel not in installed:
        asks = f"names the kernel {kernel!r}, not installed here" if kernel else "names no kernel"
        raise InputError(
            f"{path} {asks}: pass --kernel with one of {', '.join(sorted(installed)) or 'none'}"
        )
    language = installed[kernel]["spec"]["language"]
    if language != "python":
        raise InputError(f"{path} runs on {kernel}, which is {language}: expected Python")
    notebook.metadata["kernelspec"] = {
        "name": kernel,
        "display_name": installed[kernel]["spec"]["display_name"],
        "language": language,
    }
    if not any(PARAMETERS in cell.metadata.get("tags", []) for cell in cells):
        raise InputError(
            f"{path} has no cell tagged 'parameters' (some editors drop tags): tag the one that "
            "has them, in JupyterLab's Property Inspector, or begin with a fresh copy"
        )
    return notebook


def check_parameters(
    notebook: NotebookNode, given: Iterable[tuple[str, object]]
) -> tuple[dict[str, object], dict[str, object]]:
    """Return the given parameters, of the notebook's types, and all of them with their defaults.

    The `parameters` cell is the measure: a name that it doesn't assign or a value that isn't of the
    annotated type is refused, where papermill would run for hours with the default.

    Raises
    ------
    InputError
        If a name is unknown or given twice, or a value is not of its type.
    """
    annotations, values = _inspect(notebook)
    mine: dict[str, object] = {}
    for name, value in given:
        if name == SAVE_TO:
            raise InputError(f"{SAVE_TO} is not for -p: --out says where results go")
        if name not in values:
            raise unknown("parameter", name, [each for each in values if each != SAVE_TO])
        if name in mine:
            raise InputError(f"Parameter {name} is given twice: {mine[name]!r} and {value!r}")
        mine[name] = _parse(name, str(value), annotations.get(name, "no type"))
    return mine, values | mine


def _inspect(notebook: NotebookNode) -> tuple[dict[str, str], dict[str, object]]:
    """Return the annotations and defaults of the `parameters` cell.

    Read as Python: papermill's own inspection leaves out a line with a second "=", as in a comment.
    """
    cell = next(cell for cell in notebook.cells if PARAMETERS in cell.metadata.get("tags", []))
    try:
        lines = ast.parse(cell.source).body
    except SyntaxError as error:
        raise InputError(f"The parameters cell is not Python: line {error.lineno}") from error
    annotations, values = {}, {}
    for line in lines:
        if isinstance(line, ast.AnnAssign) and line.value:
            annotations[ast.unparse(line.target)] = ast.unparse(line.annotation)
            values[ast.unparse(line.target)] = _literal(line.value)
        elif isinstance(line, ast.Assign):
            values |= {ast.unparse(target): _literal(line.value) for target in line.targets}
    return annotations, values


def _literal(value: ast.expr) -> object:
    try:
        return ast.literal_eval(value)
    except ValueError:
        return ast.unparse(value)  # computed: as it is written


def _parse(name: str, value: str, annotation: str) -> object:
    if annotation not in TYPES:
        raise InputError(
            f"Parameter {name} can't be set: the notebook gives it {annotation}. "
            f"Annotate it there, as {name}: int = …, with one of {', '.join(TYPES)}"
        )
    expected, parse = TYPES[annotation]
    try:
        return parse(value)
    except (ValueError, click.BadParameter) as error:
        raise InputError(f"{name}={value!r}: expected {expected} ({annotation})") from error


def _finite(value: str) -> float:
    number = float(value)
    if not math.isfinite(number):
        raise ValueError
    return number


TYPES = {
    "str": ("text", str),
    "int": ("a whole number, such as 10", int),
    "float": ("a number, such as 0.001", _finite),
    "bool": ("true or false", lambda value: click.BOOL.convert(value, None, None)),
}
