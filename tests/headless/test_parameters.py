import json
import re

import nbformat
import pytest
from tiny import write_notebook

import xraykit as xk
from xraykit.headless.parameters import (
    NOTEBOOKS,
    check_parameters,
    describe_edits,
    find_notebook,
    nbgrader_metadata,
    read_notebook,
)


@pytest.fixture
def notebook(tmp_path):
    return write_notebook(tmp_path / "tiny.ipynb", ("show", "print(epochs, backbone)"))


def check(notebook, *pairs):
    return check_parameters(read_notebook(notebook), pairs)


def test_check_parameters_gives_the_notebooks_types(notebook):
    given, values = check(
        notebook,
        ("epochs", "7"),
        ("learning_rate", "1e-3"),
        ("backbone", "7"),
        ("shuffle", "yes"),
        ("settings", '{"epochs": 3}'),
    )
    expected = {"epochs": 7, "learning_rate": 0.001, "backbone": "7", "shuffle": True}
    assert given == expected | {"settings": {"epochs": 3}}
    assert values == {**given, "loose": 4, "layers": [], "save_to": ""}


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (("epcohs", "3"), r"Unknown parameter 'epcohs'.* Did you mean 'epochs'\?"),
        (("epochs", "3.5"), r"epochs='3.5': expected a whole number, such as 10 \(int\)"),
        (("epochs", ""), "epochs='': expected a whole number"),
        (("learning_rate", "fast"), "learning_rate='fast': expected a number, such as 0.001"),
        (("learning_rate", "nan"), "learning_rate='nan': expected a number"),
        (("shuffle", "perhaps"), r"shuffle='perhaps': expected true or false \(bool\)"),
        (("loose", "5"), "loose can't be set: the notebook gives it no type.* annotate it there"),
        (("settings", "{'a': 1}"), r"settings=.*expected names and values as JSON, such as"),
        (("settings", '{"a": NaN}'), "settings=.*expected names and values as JSON"),
        (("settings", '{"a": 1e999}'), "settings=.*expected names and values as JSON"),
        (("settings", "[1]"), r"settings='\[1\]': expected names and values as JSON"),
        (("save_to", "x"), "save_to can't be set with -p: use --out for the output folder"),
    ],
)
def test_when_a_parameter_does_not_fit_then_one_line_says_so(notebook, pair, message):
    with pytest.raises(xk.InputError, match=f"(?i){message}") as raised:
        check(notebook, pair)
    assert "\n" not in str(raised.value)


def test_when_a_parameter_is_given_twice_then_one_line_says_so(notebook):
    with pytest.raises(xk.InputError, match="epochs is given twice: 3 and '4'"):
        check(notebook, ("epochs", "3"), ("epochs", "4"))


def test_when_named_task1_then_it_is_the_clones_notebook():
    assert find_notebook("task1") == NOTEBOOKS / "task1_binary.ipynb"
    with pytest.raises(xk.InputError, match=r"Unknown notebook .tsak1.*Did you mean .task1"):
        find_notebook("tsak1")


def test_find_notebook_in_a_bundle_asks_for_a_path(tmp_path, monkeypatch):
    monkeypatch.setattr("xraykit.headless.parameters.NOTEBOOKS", tmp_path)
    with pytest.raises(xk.InputError, match=r"no worked notebooks\. Pass the path of one"):
        find_notebook("task1")


def write_bad_id(path):
    text = write_notebook(path, ("show", "1")).read_text()
    path.write_text(text.replace('"id": "show"', '"id": "../a"'))


BAD = {
    "text": (lambda path: path.write_text("hello"), "is not a Jupyter notebook"),
    "empty": (lambda path: path.write_text(""), "is not a Jupyter notebook"),
    "binary": (lambda path: path.write_bytes(b"\x89PNG\xff\xfe"), "is not a Jupyter notebook"),
    "other-json": (lambda path: path.write_text('{"a": 1}'), "is not a Jupyter notebook"),
    "list": (lambda path: path.write_text("[1, 2]"), "is not a Jupyter notebook"),
    "cut-off": (
        lambda path: path.write_text(write_notebook(path).read_text()[:200]),
        "is not a Jupyter notebook",
    ),
    "bad-id": (
        lambda path: write_bad_id(path),
        r"is not a Jupyter notebook: '\.\./a' does not match",
    ),
    "missing": (lambda path: None, "can't be read: No such file"),
    "folder": (lambda path: path.mkdir(), "can't be read: Is a directory"),
    "no-parameters": (
        lambda path: write_notebook(path, ("a", "1"), parameters=None),
        r"has 0 cells tagged 'parameters' \(some editors drop tags\)",
    ),
    "two-cells-of-parameters": (
        lambda path: write_notebook(path, ("parameters-2", "epochs: int = 4")),
        "has 2 cells tagged 'parameters'",
    ),
    "parameters-not-python": (
        lambda path: write_notebook(path, parameters="epochs: int = \n"),
        "parameters cell is not Python: line 1",
    ),
    "other-kernel": (
        lambda path: write_notebook(path, kernel="julia-9"),
        "names the kernel 'julia-9', not installed here: pass --kernel with one of .*python3",
    ),
    "no-kernel": (
        lambda path: write_notebook(path, kernel=None),
        "names no kernel: pass --kernel with one of .*python3",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_when_notebook_is_bad_then_one_line_says_so(tmp_path, kind):
    make, message = BAD[kind]
    path = tmp_path / f"{kind} é.ipynb"
    make(path)
    with pytest.raises(xk.InputError, match=message) as raised:
        check(path)
    assert "\n" not in str(raised.value)
    assert re.search(kind, str(raised.value)) or kind == "parameters-not-python"


def test_read_notebook_another_kernel_replaces_its_own(tmp_path):
    path = write_notebook(tmp_path / "a.ipynb", kernel="julia-9")
    assert read_notebook(path, kernel="python3").metadata.kernelspec.name == "python3"
    assert nbformat.read(path, 4).metadata.kernelspec.name == "julia-9"


def test_read_notebook_missing_and_duplicate_ids_are_the_same(tmp_path):
    path = write_notebook(tmp_path / "a.ipynb", ("cell-3", "1"), ("b", "2"), ("a", "3"))
    content = json.loads(path.read_text())
    content["nbformat_minor"] = 4
    del content["cells"][2]["id"]
    path.write_text(json.dumps(content))
    for _ in range(2):
        names = [cell.id for cell in read_notebook(path).cells]
        assert names == ["parameters", "cell-3", "cell-3-3", "a"]
    content["cells"][2]["id"] = "a"
    path.write_text(json.dumps(content))
    assert [cell.id for cell in read_notebook(path).cells][2:] == ["a", "a-4"]


def test_read_notebook_forgets_odd_metadata_of_earlier_runs(tmp_path):
    path = write_notebook(tmp_path / "a.ipynb", ("a", "1"))
    content = json.loads(path.read_text())
    content["metadata"] |= {"papermill": 5, "widgets": {"application/x": {}}}
    content["cells"][1]["metadata"]["papermill"] = "odd"
    path.write_text(json.dumps(content))
    notebook = read_notebook(path)
    assert set(notebook.metadata) == {"kernelspec"} and not notebook.cells[1].metadata


def test_read_notebook_duplicated_graded_cell_is_named(tmp_path):
    graded = {"grade_id": "build", "solution": True}
    path = write_notebook(tmp_path / "a.ipynb", ("a", "1", graded), ("copy", "1", graded))
    with pytest.raises(xk.InputError, match=r"two cells are .* 'build'.* cell copy"):
        read_notebook(path)


def test_describe_edits_names_edited_and_missing_locked_cells(tmp_path):
    (original,) = NOTEBOOKS.glob("task1_*.ipynb")
    notebook = read_notebook(original)
    assert describe_edits(original, notebook) == ""
    assert describe_edits(tmp_path / "a.ipynb", notebook) == ""
    ids = {nbgrader_metadata(cell).get("grade_id"): cell for cell in notebook.cells}
    ids["check-build"].source = "print('complete')"
    ids["build"].source = "model = 1  # a student's work"
    notebook.cells.remove(ids["check-tsne"])
    assert describe_edits(original, notebook) == "check-build (edited), check-tsne (missing)"


TYPED = """\
layers: list = [1]
sizes: list[int] = [1]
maybe: int | None = None
also: Optional[float] = None
either: int | str = 1
"""


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [("layers", "[1, \"a\"]", [1, "a"]), ("sizes", "[1, 2]", [1, 2]), ("maybe", "3", 3),
     ("maybe", "None", None), ("also", "null", None), ("also", "1e-3", 0.001),
     ("either", "5", 5), ("either", "five", "five")],
)  # fmt: skip
def test_check_parameters_lists_and_optional_values(tmp_path, name, text, value):
    path = write_notebook(tmp_path / "a.ipynb", parameters=TYPED)
    assert check(path, (name, text))[0] == {name: value}


@pytest.mark.parametrize(
    ("name", "text"),
    [("layers", "1"), ("layers", "1, 2"), ("sizes", "[1.5]"), ("sizes", "[true]"),
     ("maybe", "1.5"), ("also", "nan"), ("also", "1e999")],
)  # fmt: skip
def test_check_parameters_lists_of_other_values_raise(tmp_path, name, text):
    path = write_notebook(tmp_path / "a.ipynb", parameters=TYPED)
    with pytest.raises(xk.InputError, match=f"{name}=.*: expected"):
        check(path, (name, text))


@pytest.mark.parametrize(
    ("annotation", "fitting", "others"),
    [(bool, True, ["false", 1]), (int, 3, [True, "3", 3.5]), (float, 1, ["1", float("nan")]),
     (str, "a", [1, None]), (dict, {}, ["{}"]), (list[int], [1], [["a"], [True]]),
     (int | None, None, ["None", 1.5]), (object, "anything", [])],
    ids=str,
)  # fmt: skip
def test_check_types_refuses_what_papermill_lets_pass(annotation, fitting, others):
    namespace = {"__annotations__": {"value": annotation}}
    xk.check_types(namespace | {"value": fitting})
    for other in others:
        with pytest.raises(xk.InputError, match=r"value=.*: expected"):
            xk.check_types(namespace | {"value": other})
