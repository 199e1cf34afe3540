"""An audit as a page: a verdict a row, with its evidence."""

import base64
import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ..files import write_text
from ..metrics.intervals import Proportion, wilson_interval
from ..templates import render

if TYPE_CHECKING:
    from .audit import Audit

SHOWN = 3  # pairs of pictures that are alike


def as_html(audit: "Audit") -> str:
    """Return an audit as a part of a page, which brings its own style."""
    scores = [
        {
            "name": name,
            "sees": sees,
            "network": "cross-validated" not in counts,
            **{column.replace("-", "_"): _drawn(*count) for column, count in counts.items()},
        }
        for name, sees, counts in audit.scores
    ]
    alike = audit.twins[["first", "second"]].head(SHOWN).to_numpy()
    pairs = [[(path, _picture(audit.greys[path])) for path in pair] for pair in alike]
    return render("audit.html", audit=audit, scores=scores, pairs=pairs)


def write_page(audits: Sequence["Audit"], path: str | Path) -> None:
    """Write audits as one HTML file, which needs no network and prints.

    Pictures that are alike are in it: keep the page where the pictures may be.

    Raises
    ------
    InputError
        If it can't be written.
    """
    body = "\n".join(map(as_html, audits))
    write_text(render("page.html", title="Audit of the pictures", body=body), path)


def _drawn(right: int, of: int) -> dict[str, object]:
    low, high = wilson_interval(right, of)
    return {"said": Proportion(right, of), "interval": (low, right / of, high)}


def _picture(grey: np.ndarray) -> str:
    content = io.BytesIO()
    Image.fromarray(grey).save(content, "PNG")
    return base64.b64encode(content.getvalue()).decode()
