"""An executed notebook as a page to read, and its figures as files."""

import base64
from contextlib import suppress
from pathlib import Path

import nbformat
from nbconvert import HTMLExporter
from nbformat import NotebookNode


def write_report(notebook: NotebookNode, path: Path, hide_inputs: bool) -> None:
    """Write the executed notebook, its HTML report at `path`, and each figure named by its cell."""
    nbformat.write(notebook, path.with_suffix(".ipynb"))
    exporter = HTMLExporter(exclude_input=hide_inputs)
    html, _ = exporter.from_notebook_node(notebook, {"metadata": {"name": path.stem}})
    path.write_text(html, encoding="utf-8")
    for cell in notebook.cells:
        pictures = [each.get("data", {}).get("image/png") for each in cell.get("outputs", [])]
        for number, picture in enumerate(filter(None, pictures), start=1):
            name = cell.id if number == 1 else f"{cell.id}-{number}"
            (path.parent / "figures").mkdir(exist_ok=True)
            with suppress(ValueError):  # not base64: no picture of Matplotlib's
                content = base64.b64decode(picture, validate=False)
                (path.parent / "figures" / f"{name}.png").write_bytes(content)
