"""Read a notebook before it runs, and check the parameters that are given for it."""

import ast
import json
import math
import re
import shutil
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from numbers import Integral, Real
from pathlib import Path
from typing import get_args

import click
import nbformat
from jupyter_client import KernelManager
from jupyter_client.kernelspec import KernelSpecManager, NoSuchKernel
from nbformat import NotebookNode

from ..errors import InputError, escape_name, unknown
from ..files import shipped_path, to_path

NOTEBOOKS = shipped_path("notebooks")
PARAMETERS = "parameters"  # papermill's tag
SAVE_TO = "save_to"  # the parameter that names the output folder


def find_notebook(name: str | Path) -> Path:
    """Return the path of a notebook; `task1`, `task2`, `extra_task1` name those of the clone.

    Raises
    ------
    InputError
        If there is none.
    """
    shipped = {
        re.sub(r"^(task\d)_.*", r"\1", path.stem): path for path in NOTEBOOKS.glob("*.ipynb")
    }
    if str(name) in shipped:
        return shipped[str(name)]
    path = find_path(str(name))
    if path is None and not str(name).endswith(".ipynb"):
        if not shipped:  # a student's bundle
            raise InputError(
                f"Unknown notebook {str(name)!r}: this copy of the kit has no worked notebooks. "
                "Pass the path of one, such as student/task1_binary.ipynb"
            )
        raise InputError(
            f"{unknown('notebook', str(name), sorted(shipped))} Or pass the path of a .ipynb file"
        )
    return path or to_path(name)


def find_path(value: object) -> Path | None:
    """Return the path of the file or folder that a text names, or None if there is none."""
    try:
        path = to_path(value)
    except InputError:
        return None
    return path if path.exists() else None


def read_notebook(path: Path, *, kernel: str | None = None) -> NotebookNode:
    """Read a notebook that can be run; `kernel` replaces the one that it names.

    The parameters cell that papermill inserted in an earlier run is left out.

    Raises
    ------
    InputError
        If it is not a notebook, its kernel is not available, the number of cells tagged
        `parameters` is not one, or a graded cell is there twice.
    """
    try:
        notebook = _parse_notebook(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from error
    except Exception as error:  # a damaged file can raise anything
        reason = str(error).strip().partition("\n")[0][:100]
        raise InputError(f"{path} is not a Jupyter notebook: {reason}") from error
    notebook.metadata["kernelspec"] = _find_kernel(
        path, kernel or notebook.metadata.get("kernelspec", {}).get("name") or ""
    )
    tagged = [cell for cell in notebook.cells if has_tag(cell, PARAMETERS)]
    if len(tagged) != 1 or tagged[0].cell_type != "code":
        raise InputError(
            f"{path} has {len(tagged)} cells tagged {PARAMETERS!r} (some editors drop tags): "
            "expected one code cell. Set its tag in JupyterLab's Property Inspector, or start from "
            "a fresh copy"
        )
    _check_graded_cells(path, notebook)
    return notebook


def _check_graded_cells(path: Path, notebook: NotebookNode) -> None:
    """Raise InputError if nbgrader could not tell the graded cells apart, or would change them."""
    used: set[str] = set()
    for cell in notebook.cells:
        name = nbgrader_metadata(cell).get("grade_id")
        if name in used:
            raise InputError(
                f"{path}: two cells are the graded cell {name!r}. Delete the copy, cell {cell.id}"
            )
        if name:
            used.add(name)


def describe_edits(path: Path, notebook: NotebookNode) -> str:
    """Return which locked cells of a course's notebook were edited or deleted, "" if none was."""
    original = NOTEBOOKS / path.name
    if not original.is_file():
        return ""
    sources = {nbgrader_metadata(cell).get("grade_id"): cell.source for cell in notebook.cells}
    edited = []
    for cell in nbformat.read(original, as_version=4).cells:
        metadata = nbgrader_metadata(cell)
        name = metadata.get("grade_id")
        if name and name not in sources:
            edited.append(f"{name} (missing)")
        elif metadata.get("locked") and sources[name] != cell.source:
            edited.append(f"{name} (edited)")
    return ", ".join(edited)


def has_tag(cell: NotebookNode, tag: str) -> bool:
    """Return whether a cell has a tag."""
    return tag in cell.metadata.get("tags", [])


def nbgrader_metadata(cell: NotebookNode) -> dict:
    """Return what nbgrader has noted about a cell; an empty dict if that is nothing or damaged."""
    metadata = cell.metadata.get("nbgrader")
    return metadata if isinstance(metadata, dict) else {}


def _parse_notebook(text: str) -> NotebookNode:
    """Return a valid notebook without traces of earlier runs, each of its cells with an id.

    nbformat would draw missing ids at random, so that each run named a cell differently.
    """
    original = nbformat.reader.reads(text)
    notebook = nbformat.convert(original, 4)
    used: set[str] = set()
    for number, cell in enumerate(notebook.cells, start=1):
        name = cell.get("id") if original.nbformat == 4 else None
        while not name or name in used:
            name = f"{name or 'cell'}-{number}"
        cell["id"] = name
        used.add(name)
        cell.metadata.pop("papermill", None)
    notebook.nbformat_minor = max(notebook.nbformat_minor, 5)  # the first version with ids
    for earlier in ("papermill", "widgets"):  # Colab's state of widgets is damaged at times
        notebook.metadata.pop(earlier, None)
    notebook.cells = [cell for cell in notebook.cells if not has_tag(cell, "injected-parameters")]
    nbformat.validate(notebook)
    return notebook


def _find_kernel(path: Path, kernel: str) -> dict[str, str]:
    """Return the kernel's specification for the notebook's metadata."""
    specs = KernelSpecManager()
    names = ", ".join(sorted(specs.find_kernel_specs()))
    try:
        spec = specs.get_kernel_spec(kernel)
    except (NoSuchKernel, ValueError) as error:
        reason = f"names the kernel {kernel!r}, not installed here" if kernel else "names no kernel"
        raise InputError(f"{path} {reason}: pass --kernel with one of {names}") from error
    program = KernelManager(kernel_name=kernel).format_kernel_cmd()[0]
    if spec.language != "python" or not shutil.which(program):
        raise InputError(
            f"{path} names the kernel {kernel!r}, which is {spec.language} run by {program}: "
            f"expected Python and an existing program; pass --kernel with one of {names}"
        )
    return {"name": kernel, "display_name": spec.display_name, "language": spec.language}


def check_parameters(
    notebook: NotebookNode, pairs: Iterable[tuple[str, object]]
) -> tuple[dict[str, object], dict[str, object]]:
    """Return the given parameters with the notebook's types, and all parameters with defaults.

    A name that the `parameters` cell does not assign or a value that is not of the annotated type
    is refused, where papermill would run for hours with the default.

    Raises
    ------
    InputError
        If a name is unknown or given twice, or a value is not of its type.
    """
    annotations, defaults = _read_defaults(notebook)
    given: dict[str, object] = {}
    for name, value in pairs:
        if name == SAVE_TO:
            raise InputError(f"{SAVE_TO} can't be set with -p: use --out for the output folder")
        if name not in defaults:
            raise unknown("parameter", name, [key for key in defaults if key != SAVE_TO])
        if name in given:
            raise InputError(f"Parameter {name} is given twice: {given[name]!r} and {value!r}")
        given[name] = _parse(name, escape_name(str(value)), annotations.get(name, "no type"))
    return given, defaults | given


def _read_defaults(notebook: NotebookNode) -> tuple[dict[str, str], dict[str, object]]:
    """Return the annotations and defaults of the `parameters` cell.

    Read as Python: papermill's own inspection leaves out a line with a second "=", as in a comment.
    """
    cell = next(cell for cell in notebook.cells if has_tag(cell, PARAMETERS))
    try:
        lines = ast.parse(cell.source).body
    except SyntaxError as error:
        raise InputError(f"The parameters cell is not Python: line {error.lineno}") from error
    annotations, values = {}, {}
    for line in lines:
        if isinstance(line, ast.AnnAssign) and line.value:
            annotations[ast.unparse(line.target)] = ast.unparse(line.annotation)
            values[ast.unparse(line.target)] = _to_json_value(line.value)
        elif isinstance(line, ast.Assign):
            values |= {ast.unparse(target): _to_json_value(line.value) for target in line.targets}
    return annotations, values


def _to_json_value(source: ast.expr) -> object:
    """Return the value of a literal that JSON can hold, and the source text of all else."""
    try:
        value = ast.literal_eval(source)
        json.dumps(value, allow_nan=False)
    except (ValueError, TypeError):
        return ast.unparse(source)
    return value


def check_types(namespace: Mapping[str, object]) -> None:
    """Raise InputError if a notebook's parameter does not have the type of its annotation.

    `papermill` itself checks no types: its `-p flag false` sets the text "false", which is true.

    Parameters
    ----------
    namespace : dict
        The notebook's `globals()`.

    Raises
    ------
    InputError
        If a value is not of its annotated type.

    Examples
    --------
    >>> check_types({"__annotations__": {"shuffle": bool}, "shuffle": "false"})
    Traceback (most recent call last):
    xraykit.errors.InputError: shuffle='false': expected True or False (bool)
    """
    annotations = namespace.get("__annotations__", {})
    for name, annotation in annotations.items():  # type: ignore[attr-defined]
        is_class = isinstance(annotation, type) and not get_args(annotation)
        text = annotation.__name__ if is_class else str(annotation)
        kinds = _read_annotation(text)
        if name in namespace and kinds and not any(_fits(namespace[name], kind) for kind in kinds):
            raise _wrong_type(name, namespace[name], kinds, text)


def _read_annotation(annotation: str) -> list[tuple[str, str]]:
    """Return the alternatives of an annotation, each with its kind of items; [] if unknown."""
    text = annotation.replace("typing.", "").replace(" ", "")
    if match := re.fullmatch(r"Optional\[(.*)\]", text):
        text = f"{match[1]}|None"
    kinds = []
    for alternative in text.split("|"):
        match = re.fullmatch(r"(\w+)(?:\[(\w+)\])?", alternative)
        if not match or match[1] not in TYPES or (match[2] and match[2] not in TYPES):
            return []
        kinds.append((match[1], match[2] or ""))
    return kinds


def _fits(value: object, kind: tuple[str, str]) -> bool:
    types = TYPES[kind[0]][1]
    is_kind = isinstance(value, types) and (kind[0] == "bool") == isinstance(value, bool)
    is_finite = not isinstance(value, float) or math.isfinite(value)
    items = value if kind[1] and isinstance(value, list | tuple) else ()
    return is_kind and is_finite and all(_fits(item, (kind[1], "")) for item in items)


def _wrong_type(
    name: str, value: object, kinds: list[tuple[str, str]], annotation: str
) -> InputError:
    expected = " or ".join(TYPES[kind][0] for kind, _ in kinds)
    return InputError(f"{name}={value!r}: expected {expected} ({annotation})")


def _parse(name: str, value: str, annotation: str) -> object:
    kinds = _read_annotation(annotation)
    if not kinds:
        raise InputError(
            f"Parameter {name} can't be set: the notebook gives it {annotation}. Annotate it "
            f"there with one of {', '.join(TYPES)}, such as list[int] or int | None"
        )
    for kind in sorted(kinds, key=lambda kind: kind[0] == "str"):  # any value is a text
        with suppress(ValueError, click.BadParameter):
            parsed = TYPES[kind[0]][2](value)
            if _fits(parsed, kind):
                return parsed
    raise _wrong_type(name, value, kinds, annotation)


def parse_settings(text: str) -> dict:
    """Return the dict that a JSON text holds.

    Raises
    ------
    InputError
        If it is not a JSON object, or holds a number that is not finite.
    """
    with suppress(ValueError):
        settings = _parse_json(text)
        if isinstance(settings, dict):
            return settings
    raise InputError(f'{text!r}: expected names and values as JSON, such as {{"epochs": 20}}')


def _parse_json(text: str) -> object:
    value = json.loads(text)
    json.dumps(value, allow_nan=False)
    return value


def _parse_none(text: str) -> None:
    if text.lower() not in ("none", "null", ""):
        raise ValueError


# By annotation: how a message calls it, the types of its values, and how a text becomes one.
TYPES: dict[str, tuple[str, tuple[type, ...], Callable[[str], object]]] = {
    "str": ("text", (str,), str),
    "int": ("a whole number, such as 10", (Integral,), int),
    "float": ("a number, such as 0.001", (Real,), float),
    "bool": ("True or False", (bool,), lambda text: click.BOOL.convert(text, None, None)),
    "dict": ('names and values as JSON, such as {"epochs": 20}', (dict,), _parse_json),
    "list": ("a list as JSON, such as [1, 2]", (list, tuple), _parse_json),
    "None": ("None", (type(None),), _parse_none),
}
