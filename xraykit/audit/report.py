"""The page of an audit: one verdict per row, with its evidence."""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from ..data.tasks import Task
from ..files import write_text
from ..metrics.intervals import format_counts
from ..templates import render

MAX_PAIRS = 3  # pairs of duplicates whose images are shown


def audit_section(
    task: Task,
    *,
    summary: str,
    checks: pd.DataFrame,
    scores: pd.DataFrame,
    duplicate_pairs: pd.DataFrame,
    gray_images: Mapping[str, np.ndarray],
) -> str:
    """Return an audit, given as its parts, as a section of a page that has its own style."""
    rows: dict[str, dict] = {}
    for text, row in zip(format_counts(scores), scores.itertuples(), strict=True):
        cell = {"text": text, "interval": (row.low, row.correct / row.total, row.high)}
        rows.setdefault(row.name, {"name": row.name, "sees": row.sees})[row.split] = cell
    paths = duplicate_pairs[["first", "second"]].head(MAX_PAIRS).to_numpy()
    pairs = [[(path, _to_png(gray_images[path])) for path in pair] for pair in paths]
    return render(
        "audit.html",
        task=task,
        summary=summary,
        checks=checks,
        scores=list(rows.values()),
        pairs=pairs,
    )


def write_page(sections: Sequence[str], path: str | Path) -> None:
    """Write sections of audits as one HTML file that can be read offline and printed.

    Raises
    ------
    InputError, WriteError
        If it can't be written.
    """
    body = "\n".join(sections)
    write_text(render("page.html", title="Audit of the images", body=body), path)


def _to_png(pixels: np.ndarray) -> str:
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()
