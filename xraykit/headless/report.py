"""Make an executed notebook's HTML report, and its figures as files."""

import base64
import html as escaping
import re
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter
from nbformat import NotebookNode

from ..errors import escape_name
from ..files import write_text
from ..log import logger
from .results import NO_REPORT, read_results, write_results

TEMPLATE = Path(__file__).parents[1] / "templates" / "report.html"
HEADING = re.compile(r"^#+ (.+)", re.MULTILINE)
EMPTY_HEADER = re.compile(r"<th([^>]*)>(?:&nbsp;|\s)*</th>")  # pandas' corner: a header of nothing
NO_ALT = 'alt="No description has been provided for this image"'  # as nbconvert writes it


def write_figures(notebook: NotebookNode, folder: Path) -> None:
    """Write each figure of an executed notebook into `folder/figures`, named by its cell."""
    for name, _, output in _find_figures(notebook):
        (folder / "figures").mkdir(exist_ok=True)
        with suppress(ValueError):  # not base64, so not written by Matplotlib
            content = base64.b64decode(output["data"]["image/png"], validate=False)
            (folder / "figures" / f"{name}.png").write_bytes(content)


def make_report(notebook: Path, *, hide_inputs: bool) -> Path:
    """Write the report of a run's executed notebook beside it, if it has none; return its path.

    The run's results are there already, so that no error in a report can lose them. Notebooks of
    any origin can raise nearly anything in nbconvert; one line says what, and the path of the
    notebook is returned.
    """
    report, folder = notebook.with_suffix(".html"), notebook.parent
    results = read_results(folder)
    name = escape_name(report.name)
    if name in results["files"]:
        return report
    try:
        content = nbformat.read(notebook, as_version=4)
        html = _render(content, escape_name(report.stem), hide_inputs=hide_inputs)
        write_text(html, report)
        status = "done" if results["status"] == NO_REPORT else results["status"]
        files = sorted([*results["files"], name])
        write_results(folder, results | {"status": status, "files": files})
    except Exception as error:
        reason = f"{type(error).__name__}: {' '.join(str(error).split())[:150]}"
        logger.warning(
            f"{report} could not be made ({reason}). The executed notebook and the results are in "
            f"{folder}; the same command tries the report again."
        )
        return notebook
    return report


def _render(notebook: NotebookNode, name: str, *, hide_inputs: bool) -> str:
    exporter = HTMLExporter(template_file=str(TEMPLATE), exclude_input=hide_inputs)
    html, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": name}})
    html = EMPTY_HEADER.sub(r"<td\1></td>", html)
    for figure, heading, output in _find_figures(notebook):
        if "alt" in output.get("metadata", {}).get("image/png", {}):
            continue
        text = f"Figure {figure} of “{heading or name}”: described in the text beside it"
        html = html.replace(NO_ALT, f'alt="{escaping.escape(text)}"', 1)
    return html


def _find_figures(notebook: NotebookNode) -> Iterator[tuple[str, str, NotebookNode]]:
    """Yield the name of each figure, the heading above it, and the output that holds it."""
    heading = ""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            heading = next(iter(HEADING.findall(cell.source)), heading)
        figures = [o for o in cell.get("outputs", []) if o.get("data", {}).get("image/png")]
        for number, output in enumerate(figures, start=1):
            yield cell.id if number == 1 else f"{cell.id}-{number}", heading, output
