"""Collect many runs in one table, from their `results.json` files alone."""

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote_from_bytes

import pandas as pd

from ..errors import InputError, escape_name
from ..files import is_clutter, to_path, write_text
from ..metrics.intervals import Proportion
from ..templates import render
from .results import RESULTS, read_results

SCORES = ("validation", "test")
PARTS = ("correct", "total", "low", "high")


def collect(folders: Iterable[str | Path]) -> pd.DataFrame:
    """Return a table of runs, in the order of the folders, then of the paths below them.

    Parameters
    ----------
    folders : paths
        Output folders of runs, or folders with such folders anywhere below them.

    Returns
    -------
    DataFrame
        One row per run. Columns: run (the path), status; validation and test (text with the 95 %
        interval), each with _correct, _total, _low and _high as numbers; best_baseline (test score
        of the audit's best no-lung baseline); notebook, images (number; phantoms are named); the
        settings that the notebooks saved, and the parameters in which runs of one notebook differ;
        test_loss (nats), epochs, seconds; error. A file that is damaged or of a newer version has
        a row with the error. Fields that an older version lacks are missing.

    Raises
    ------
    InputError
        If a folder is missing or holds no run.
    """
    runs = dict.fromkeys(run for folder in folders for run in _find_runs(to_path(folder)))
    rows, settings, parameters = [], [], []
    for run in runs:
        try:
            results = read_results(run)
        except InputError as error:
            results = {"status": "unreadable", "error": str(error)}
        rows.append({"run": escape_name(run), **_row(results)})
        settings.append(results.get("settings", {}))
        parameters.append({"notebook": results.get("notebook"), **results.get("parameters", {})})
    table = pd.DataFrame(rows)
    saved = pd.DataFrame(settings, index=table.index, dtype=object)
    varied = pd.DataFrame(parameters, dtype=object)
    n_values = varied.map(str).groupby("notebook").nunique().max()
    varied = varied[[name for name in n_values.index if n_values[name] > 1]]
    inputs = saved.combine_first(varied)
    inputs = inputs.drop(columns=table.columns.intersection(inputs.columns))  # epochs: as trained
    place = table.columns.get_loc("test_loss")
    return pd.concat([table.iloc[:, :place], inputs, table.iloc[:, place:]], axis=1)


def display_runs(table: pd.DataFrame) -> pd.DataFrame:
    """Return a table of runs for display: scores only as text, no empty columns."""
    numbers = [f"{score}_{part}" for score in SCORES for part in PARTS]
    return table.drop(columns=numbers).dropna(axis="columns", how="all")


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table of runs as CSV.

    Raises
    ------
    InputError, WriteError
        If it can't be written.
    """
    write_text(table.to_csv(index=False), path)


def write_page(table: pd.DataFrame, path: Path) -> None:
    """Write a table of runs as one HTML file that can be sorted, printed and read offline.

    Raises
    ------
    InputError, WriteError
        If it can't be written.
    """
    rows = []
    for row in table.astype(object).where(table.notna(), None).to_dict("records"):
        report = to_path(Path(row["run"], f"{row['notebook']}.html"))
        link = None
        if report.is_file():
            relative = os.path.relpath(report, path.parent).replace(os.sep, "/")
            link = quote_from_bytes(os.fsencode(relative))
        rows.append({"values": row, "link": link})
    page = render(
        "collect.html",
        title=f"{len(rows)} run{'' if len(rows) == 1 else 's'}",
        columns=[name for name in display_runs(table) if name != "error"],
        rows=rows,
        scores=SCORES,
        time=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
    )
    write_text(page, path)


def _find_runs(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: expected one with runs of `xraykit run`")
    runs = sorted(
        path.parent
        for path in folder.rglob(RESULTS)
        if not any(map(is_clutter, path.relative_to(folder).parts))
    )
    if not runs:
        raise InputError(f"{folder} holds no run: expected {RESULTS} in it or below it")
    return runs


def _row(results: dict) -> dict[str, object]:
    task, scores = results.get("task", {}), results.get("scores", {})
    images = sum(task.get("images", {}).values())
    row = {"status": results["status"]}
    for name in SCORES:
        score = scores.get(name, {})
        row[name] = str(Proportion(score["correct"], score["total"])) if score else None
        row |= {f"{name}_{part}": score.get(part) for part in PARTS}
    return row | {
        "best_baseline": _best_baseline(results.get("audit") or {}),
        "notebook": results.get("notebook"),
        "images": f"{images}{' phantoms' if task.get('phantoms') else ''}" if task else None,
        "test_loss": scores.get("test", {}).get("loss"),
        "epochs": len(results["history"]) if "history" in results else None,
        "seconds": results.get("seconds", {}).get("total"),
        "error": results.get("error"),
    }


def _best_baseline(audit: dict) -> str | None:
    for row in audit.get("baselines", []):
        if row["name"] == audit.get("best_baseline") and row["split"] == "test":
            return f"{row['name']} {Proportion(row['correct'], row['total'])}"
    return None
