"""A model card: what a run gave, and what it may not be used for, from its results.json alone."""

from pathlib import Path

import mistune
import numpy as np
import pandas as pd

from ..errors import InputError
from ..files import write_text
from ..metrics.intervals import Proportion, display_table
from ..metrics.scores import Scores
from ..templates import render
from .results import RESULTS, read_results

MAX_CONFUSIONS = 5  # confusions that are named
SCROLLING = {
    "<table>": '<div class="scroll" tabindex="0">\n<table>',
    "</table>": "</table>\n</div>",
    "<pre>": '<pre tabindex="0">',
}


def write_card(folder: str | Path) -> tuple[Path, Path]:
    """Write card.md and card.html beside a run's results.json, and return their paths.

    After the sections that Mitchell et al. propose (2019, Model Cards for Model Reporting, ACM
    FAT*, 220): data, recipe, scores with intervals beside what needs no lungs, the audit's
    verdicts, where it fails, and intended use.

    Parameters
    ----------
    folder : str or Path
        As `xraykit run` or `xk.save_results` leaves it.

    Raises
    ------
    InputError
        If the folder has no results, the run was not done, or a card can't be written.
    """
    folder = Path(folder).expanduser()
    results = read_results(folder)
    missing = {"task", "scores"} - results.keys()
    if results["status"] != "done" or missing or "test" not in results["scores"]:
        raise InputError(
            f"{folder / RESULTS} holds no scores (status: {results['status']}): expected those of "
            "a run that is done, with what xk.save_results keeps"
        )
    card = markdown(results)
    title, _, rest = card.partition("\n")
    html = mistune.create_markdown(escape=True, plugins=["table"])(rest)
    for plain, scrolling in SCROLLING.items():  # on a narrow screen, by the keyboard too
        html = html.replace(plain, scrolling)
    paths = folder / "card.md", folder / "card.html"
    write_text(card, paths[0])
    write_text(render("page.html", title=title.removeprefix("# "), body=html), paths[1])
    return paths


def markdown(results: dict) -> str:
    """Return the card of a run as Markdown; sections of which nothing is known say so."""
    classes = results["task"]["classes"]
    results = {"settings": {}} | results
    test = _scores(results["scores"]["test"], classes)
    return render(
        "card.md",
        results=results,
        by_class=display_table(test.by_class),
        Proportion=Proportion,
        confusions=_confusions(test),
        counted=test.confusion.to_numpy().any(),
        **{name: _table(results.get(name)) for name in ("perturbations", "external_validation")},
        baselines=_table((results.get("audit") or {}).get("baselines")),
    )


def _scores(score: dict, classes: list[str]) -> Scores:
    counts = score.get("confusion", [])
    if [len(row) for row in counts] != [len(classes)] * len(classes):
        counts = 0
    confusion = pd.DataFrame(counts, index=classes, columns=classes)
    return Scores(score["correct"], score["total"], score.get("loss", float("nan")), confusion)


def _table(records: list[dict] | None) -> pd.DataFrame | None:
    """Return counts as people read them, with "" where a row has none."""
    return display_table(pd.DataFrame(records)) if records else None


def _confusions(scores: Scores) -> list[tuple[str, str, str]]:
    """Return true class, what it was called, and how often, the most frequent first."""
    table, names = scores.confusion.to_numpy(), list(scores.confusion.index)
    places = np.argsort(-table, axis=None, kind="stable")
    cells = np.column_stack(np.unravel_index(places, table.shape)).tolist()
    wrong = [(row, column) for row, column in cells if row != column and table[row, column]]
    return [
        (names[row], names[column], Proportion(int(table[row, column]), int(table[row].sum())))
        for row, column in wrong[:MAX_CONFUSIONS]
    ]
