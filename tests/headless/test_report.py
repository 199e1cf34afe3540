import base64

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from xraykit.headless.report import make_report, write_figures
from xraykit.headless.results import read_results, write_results

PASTED = "My answer: ![image.png](attachment:image.png)"  # and the image is gone


@pytest.fixture
def executed(tmp_path):
    """The executed notebook of a run whose report nbconvert can't make, and its results."""
    notebook = new_notebook(cells=[new_markdown_cell(PASTED, id="answer")])
    nbformat.write(notebook, tmp_path / "a.ipynb")
    results = {"schema": 1, "status": "done, without report", "files": ["a.ipynb"]}
    write_results(tmp_path, results)
    return tmp_path / "a.ipynb"


def test_make_report_that_fails_is_one_line_and_loses_nothing(executed, capsys):
    before = read_results(executed.parent)
    assert make_report(executed, hide_inputs=False) == executed
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 1 and "missing attachment: image.png" in lines[0]
    assert "a.html could not be made" in lines[0] and "tries the report again" in lines[0]
    assert read_results(executed.parent) == before
    assert not executed.with_suffix(".html").exists()


def test_make_report_later_completes_the_results(executed):
    executed.write_text(executed.read_text().replace("attachment:", ""))
    report = make_report(executed, hide_inputs=False)
    results = read_results(executed.parent)
    assert report == executed.with_suffix(".html") and "My answer" in report.read_text()
    assert (results["status"], results["files"]) == ("done", ["a.html", "a.ipynb"])


def test_make_report_that_exists_is_kept(executed):
    results = read_results(executed.parent)
    write_results(executed.parent, results | {"files": ["a.html", "a.ipynb"]})
    executed.with_suffix(".html").write_text("made before")
    assert make_report(executed, hide_inputs=True).read_text() == "made before"


def test_make_report_of_a_failed_run_leaves_it_failed(executed):
    executed.write_text(executed.read_text().replace("attachment:", ""))
    write_results(executed.parent, read_results(executed.parent) | {"status": "failed"})
    make_report(executed, hide_inputs=False)
    assert read_results(executed.parent)["status"] == "failed"


def test_write_figures_leaves_out_what_is_no_image(tmp_path):
    image = base64.b64encode(b"PNG").decode()
    outputs = [new_output("display_data", {"image/png": data}) for data in ("x", image)]
    write_figures(new_notebook(cells=[new_code_cell("", id="a", outputs=outputs)]), tmp_path)
    assert [path.name for path in (tmp_path / "figures").iterdir()] == ["a-2.png"]
