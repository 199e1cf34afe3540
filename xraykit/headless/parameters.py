"""A notebook before it runs: whether it is one, and whether the parameters given are its own."""

import ast
import json
import math
import shutil
import warnings
from collections.abc import Iterable
from pathlib import Path

import click
import nbformat
from jupyter_client import KernelManager
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
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
    path = existing(str(named))
    if path is None and not str(named).endswith(".ipynb"):
        raise unknown("notebook", str(named), [*own, "the path of a .ipynb file"])
    return path or Path(named)


def existing(named: object) -> Path | None:
    """Return the path of the file or folder that a text names, or None if there is none."""
    try:
        path = Path(named).expanduser() if named and isinstance(named, str) else None
        return path if path and path.exists() else None
    except (OSError, RuntimeError, ValueError):  # too long, of a user unknown, with a zero byte
        return None


def read_notebook(path: Path, kernel: str | None = None) -> NotebookNode:
    """Read a notebook that can be run; `kernel`, if given, takes the place of its own one.

    A cell of parameters that papermill put in when it was run before is left out.

    Raises
    ------
    InputError
        If it isn't a notebook, its kernel can't be had, or not one cell is tagged `parameters`.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # ids that are missing or doubled are mended
            notebook = nbformat.read(path, as_version=4)
            nbformat.validate(notebook)
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from error
    except Exception as error:  # whatever a damaged file leads to
        reason = str(error).strip().partition("\n")[0][:100]
        raise InputError(f"{path} is not a Jupyter notebook: {reason}") from error
    notebook.metadata["kernelspec"] = _kernelspec(
        path, kernel or notebook.metadata.get("kernelspec", {}).get("name")
    )
    notebook.cells = [cell for cell in notebook.cells if "injected-parameters" not in _tags(cell)]
    tagged = [cell for cell in notebook.cells if PARAMETERS in _tags(cell)]
    if len(tagged) != 1 or tagged[0].cell_type != "code":
        raise InputError(
            f"{path} has {len(tagged)} cells tagged {PARAMETERS!r} (some editors drop tags): tag "
            "the one code cell that has them, in JupyterLab's Property Inspector, or begin with a "
            "fresh copy"
        )
    return notebook


def _tags(cell: NotebookNode) -> list[str]:
    return cell.metadata.get("tags", [])


def _kernelspec(path: Path, kernel: str | None) -> dict[str, str]:
    specs = KernelSpecManager()
    names = ", ".join(sorted(specs.find_kernel_specs()))
    try:
        spec = specs.get_kernel_spec(kernel or "")
    except (NoSuchKernel, ValueError) as error:
        named = f"names the kernel {kernel!r}, not installed here" if kernel else "names no kernel"
        raise InputError(f"{path} {named}: pass --kernel with one of {names}") from error
    program = KernelManager(kernel_name=kernel).format_kernel_cmd()[0]
    if spec.language != "python" or not shutil.which(program):
        raise InputError(
            f"{path} names the kernel {kernel!r}, which is {spec.language} run by {program}: "
            f"expected Python, and a program that is there; pass --kernel with one of {names}"
        )
    return {"name": kernel, "display_name": spec.display_name, "language": spec.language}


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
    cell = next(cell for cell in notebook.cells if PARAMETERS in _tags(cell))
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


def _literal(source: ast.expr) -> object:
    """Return a value that fits into JSON; what is computed, or doesn't fit, as it is written."""
    try:
        value = ast.literal_eval(source)
        json.dumps(value, allow_nan=False)
    except (ValueError, TypeError):
        return ast.unparse(source)
    return value


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


def names_and_values(text: str) -> dict:
    """Return the dict that a JSON text holds.

    Raises
    ------
    InputError
        If it holds none, or one that results.json could not have.
    """
    try:
        given = json.loads(text)
        json.dumps(given, allow_nan=False)
        if isinstance(given, dict):
            return given
    except ValueError:
        pass
    raise InputError(f'{text!r}: expected names and values as JSON, such as {{"epochs": 20}}')


TYPES = {
    "str": ("text", str),
    "int": ("a whole number, such as 10", int),
    "float": ("a number, such as 0.001", _finite),
    "bool": ("true or false", lambda value: click.BOOL.convert(value, None, None)),
    "dict": ('names and values as JSON, such as {"epochs": 20}', names_and_values),
}
