"""Write an executed notebook as an HTML report, and its figures as files."""

import base64
import html as escaping
import re
from contextlib import suppress
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter
from nbformat import NotebookNode

TEMPLATE = Path(__file__).parents[1] / "templates" / "report.html"
HEADING = re.compile(r"^#+ (.+)", re.MULTILINE)
EMPTY_HEADER = re.compile(r"<th([^>]*)>(?:&nbsp;|\s)*</th>")  # pandas' corner: a header of nothing
NO_ALT = 'alt="No description has been provided for this image"'  # as nbconvert writes it


def write_report(notebook: NotebookNode, path: Path, *, hide_inputs: bool) -> None:
    """Write the executed notebook, its HTML report at `path`, and each figure named by its cell."""
    nbformat.write(notebook, path.with_suffix(".ipynb"))
    exporter = HTMLExporter(template_file=str(TEMPLATE), exclude_input=hide_inputs)
    html, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": path.stem}})
    html = EMPTY_HEADER.sub(r"<td\1></td>", html)
    heading = path.stem
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            heading = next(iter(HEADING.findall(cell.source)), heading)
        outputs = [output for output in cell.get("outputs", []) if "image/png" in _data(output)]
        for number, output in enumerate(outputs, start=1):
            name = cell.id if number == 1 else f"{cell.id}-{number}"
            if "alt" not in output.get("metadata", {}).get("image/png", {}):
                alt = escaping.escape(
                    f"Figure {name} of “{heading}”: described in the text beside it"
                )
                html = html.replace(NO_ALT, f'alt="{alt}"', 1)
            (path.parent / "figures").mkdir(exist_ok=True)
            with suppress(ValueError):  # not base64, so not written by Matplotlib
                content = base64.b64decode(_data(output)["image/png"], validate=False)
                (path.parent / "figures" / f"{name}.png").write_bytes(content)
    path.write_text(html, encoding="utf-8")


def _data(output: NotebookNode) -> dict[str, str]:
    return output.get("data") or {}
