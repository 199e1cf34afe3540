import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from xraykit.errors import NotFilledInError, RunFailedError
from xraykit.headless.stop import find_stop

ERROR = new_output("error", ename="ValueError", evalue="bad row\nat 3", traceback=["…"])
DONE = {"start_time": "now", "exception": False}


def make_cell(name, *outputs, source="1", tags=(), **papermill):
    metadata = {"papermill": DONE | papermill, "tags": list(tags)}
    return new_code_cell(source, id=name, outputs=list(outputs), metadata=metadata)


def stop(*cells, reason=""):
    return find_stop(new_notebook(cells=list(cells)), reason)


def test_find_stop_names_the_first_failing_cell_not_the_last():
    cells = make_cell("a"), make_cell("b", ERROR), make_cell("c"), make_cell("d", ERROR)
    assert stop(*cells) == ("cell b: ValueError: bad row", RunFailedError)


def test_find_stop_expected_error_is_none_and_leaves_no_remark():
    remark = nbformat.v4.new_markdown_cell(
        "papermill", metadata={"tags": ["papermill-error-cell-tag"]}
    )
    expected = make_cell("a", ERROR, tags=["raises-exception"], exception=True)
    notebook = new_notebook(cells=[remark, expected, make_cell("b")])
    assert find_stop(notebook, "") == ("", None)
    assert [cell.id for cell in notebook.cells] == ["a", "b"]


def test_find_stop_expected_error_hides_no_other():
    cells = make_cell("a", ERROR, tags=["raises-exception"]), make_cell("b", ERROR)
    assert stop(*cells)[0] == "cell b: ValueError: bad row"


def test_find_stop_without_error_output_reads_standard_error():
    text = "loading\n\x1b[31mUsageError\x1b[0m: Line magic function `%x` not found.\n\n"
    cell = make_cell("a", new_output("stream", name="stderr", text=text), exception=True)
    assert stop(cell)[0] == "cell a: UsageError: Line magic function `%x` not found."
    assert stop(make_cell("a", exception=True))[0] == "cell a: it failed silently"


def test_find_stop_error_without_message_shows_the_failing_line():
    traceback = [
        "-----",
        "Cell In[1], line 2\n      1 x = 3\n\x1b[32m----> 2\x1b[39m assert x == 4",
    ]
    error = new_output("error", ename="AssertionError", evalue="", traceback=traceback)
    assert stop(make_cell("a", error))[0] == "cell a: AssertionError: assert x == 4"


@pytest.mark.parametrize("status", ["", "0"])
def test_find_stop_exit_at_the_end_is_no_failure(status):
    warning = new_output("stream", name="stderr", text="To exit: use 'exit'")
    leave = new_output("error", ename="SystemExit", evalue=status, traceback=[])
    last = make_cell("a", leave, warning, exception=True)
    assert stop(last) == ("", None)
    rest = new_code_cell("1", id="rest", metadata={"papermill": {"start_time": None}})
    assert "ends the kernel" in stop(last, rest)[0]


@pytest.mark.parametrize("noted", [None, "solution", [], {"solution": True}])
def test_find_stop_damaged_nbgrader_metadata_is_no_error(noted):
    cell = make_cell("a", source="# nothing")
    cell.metadata["nbgrader"] = noted
    place, error = stop(cell, reason="out of time")
    assert error is (NotFilledInError if isinstance(noted, dict) else RunFailedError)
    assert " a" in place
