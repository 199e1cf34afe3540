"""Write a model card of a run, from its results.json alone."""

from pathlib import Path

import mistune
import numpy as np
import pandas as pd

from ..errors import InputError
from ..files import to_path, write_text
from ..metrics.intervals import Proportion, display_table
from ..metrics.scores import Scores
from ..templates import render
from .results import RESULTS, is_done, read_results

MAX_CONFUSIONS = 5
SCROLLABLE = {
    "<table>": '<div class="scroll" tabindex="0">\n<table>',
    "</table>": "</table>\n</div>",
    "<pre>": '<pre tabindex="0">',
}


def write_card(folder: str | Path) -> tuple[Path, Path]:
    """Write card.md and card.html beside a run's results.json, and return their paths.

    The sections follow Mitchell et al. (2019), Model Cards for Model Reporting, ACM FAT*, 220:
    intended use, data, recipe, scores with intervals next to the no-lung baselines, the verdicts
    of the audit, and failures.

    Parameters
    ----------
    folder : str or Path
        The output folder of `xraykit run` or `xk.save_results`.

    Raises
    ------
    InputError
        If the folder has no results, or the run is not complete.
    WriteError
        If the disk is full.
    """
    folder = to_path(folder)
    results = read_results(folder)
    missing = {"task", "scores"} - results.keys()
    if not is_done(results) or missing or "test" not in results["scores"]:
        raise InputError(
            f"{folder / RESULTS} holds no scores (status: {results['status']}): expected the "
            "results of a complete run that calls xk.save_results"
        )
    card = render_markdown(results)
    title, _, rest = card.partition("\n")
    html = str(mistune.create_markdown(escape=True, plugins=["table"])(rest))
    for tag, scrollable in SCROLLABLE.items():  # on a narrow screen, by the keyboard too
        html = html.replace(tag, scrollable)
    paths = folder / "card.md", folder / "card.html"
    write_text(card, paths[0])
    write_text(render("page.html", title=title.removeprefix("# "), body=html), paths[1])
    return paths


def render_markdown(results: dict) -> str:
    """Return the card of a run as Markdown; a section without data says so."""
    classes = results["task"]["classes"]
    results = {"settings": {}} | results
    test = _to_scores(results["scores"]["test"], classes)
    return render(
        "card.md",
        results=results,
        by_class=display_table(test.by_class),
        Proportion=Proportion,
        confusions=_list_confusions(test),
        has_confusion=test.confusion.to_numpy().any(),
        baselines=_to_table((results.get("audit") or {}).get("baselines")),
        perturbations=_to_table(results.get("perturbations")),
        external_validation=_to_table(results.get("external_validation")),
    )


def _to_scores(score: dict, classes: list[str]) -> Scores:
    counts = score.get("confusion", [])
    if [len(row) for row in counts] != [len(classes)] * len(classes):
        counts = 0
    confusion = pd.DataFrame(counts, index=classes, columns=classes)
    return Scores(score["correct"], score["total"], score.get("loss", float("nan")), confusion)


def _to_table(records: list[dict] | None) -> pd.DataFrame | None:
    """Return counts as texts in a wide table, "" where there is none."""
    return display_table(pd.DataFrame(records)) if records else None


def _list_confusions(scores: Scores) -> list[tuple[str, str, Proportion]]:
    """Return true class, predicted class and count of each confusion, the most frequent first."""
    table, names = scores.confusion.to_numpy(), list(scores.confusion.index)
    order = np.argsort(-table, axis=None, kind="stable")
    cells = np.column_stack(np.unravel_index(order, table.shape)).tolist()
    errors = [(true, predicted) for true, predicted in cells if true != predicted]
    return [
        (names[true], names[predicted], Proportion(int(count), int(table[true].sum())))
        for true, predicted in errors[:MAX_CONFUSIONS]
        if (count := table[true, predicted])
    ]
