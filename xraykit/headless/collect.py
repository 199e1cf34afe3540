"""Many runs in one table, from their `results.json` files alone."""

import os
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path

import pandas as pd

from ..errors import InputError
from ..files import write_text
from ..metrics.intervals import Proportion
from ..templates import render
from .results import RESULTS, read_results

SCORES = ("validation", "test")


def collect(folders: Iterable[str | Path]) -> pd.DataFrame:
    """Return a table with a row a run, as the folders are given, then in the order of paths.

    Parameters
    ----------
    folders : paths
        Each the folder of a run, or one with such folders anywhere below it.

    Returns
    -------
    DataFrame
        Columns run (the path), status; validation and test (counts with their 95 % interval), each
        with _right, _of, _low and _high as numbers; best_baseline (the test score of the
        audit's best no-lung baseline); notebook, images (how many; phantoms are called that); the
        settings that the notebooks saved, and the parameters in which runs of one notebook differ;
        test_loss (nats), epochs, seconds; error. A file that is damaged or of a newer version is a
        row that says so; what an older version lacks is missing.

    Raises
    ------
    InputError
        If a folder is missing or holds no run.
    """
    runs = dict.fromkeys(run for each in folders for run in _runs(Path(each)))
    facts, settings, parameters = [], [], []
    for run in runs:
        try:
            results = read_results(run)
        except InputError as error:
            results = {"status": "unreadable", "error": str(error)}
        facts.append({"run": str(run), **_facts(results)})
        settings.append(results.get("settings", {}))
        parameters.append({"notebook": results.get("notebook"), **results.get("parameters", {})})
    table = pd.DataFrame(facts)
    chosen = pd.DataFrame(settings, index=table.index, dtype=object)
    varied = pd.DataFrame(parameters, dtype=object)
    kinds = varied.map(str).groupby("notebook").nunique().max()
    varied = varied[[name for name in kinds.index if kinds[name] > 1]]
    own = chosen.combine_first(varied)
    own = own.drop(columns=table.columns.intersection(own.columns))  # such as epochs: as they ran
    first = table.columns.get_loc("test_loss")
    return pd.concat([table.iloc[:, :first], own, table.iloc[:, first:]], axis=1)


def display_runs(table: pd.DataFrame) -> pd.DataFrame:
    """Return what a person reads of a table of runs: no column that is empty or said already."""
    said = [f"{score}_{part}" for score in SCORES for part in ("correct", "total", "low", "high")]
    return table.drop(columns=said).dropna(axis="columns", how="all")


def write_csv(table: pd.DataFrame, path: Path) -> None:
    """Write a table of runs as CSV.

    Raises
    ------
    InputError
        If it can't be written.
    """
    write_text(table.to_csv(index=False), path)


def write_page(table: pd.DataFrame, path: Path) -> None:
    """Write a table of runs as one HTML file, which needs no network, sorts and prints.

    Raises
    ------
    InputError
        If it can't be written.
    """
    rows = []
    for row in table.astype(object).where(table.notna(), None).to_dict("records"):
        report = Path(row["run"], f"{row['notebook']}.html")
        link = (
            os.path.relpath(report, path.parent).replace(os.sep, "/") if report.is_file() else None
        )
        rows.append({"values": row, "link": link})
    made = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    page = render(
        "collect.html",
        title=f"{len(rows)} run{'' if len(rows) == 1 else 's'}",
        columns=[name for name in display_runs(table) if name != "error"],
        rows=rows,
        scores=SCORES,
        made=made,
    )
    write_text(page, path)


def _runs(folder: Path) -> list[Path]:
    if not folder.is_dir():
        raise InputError(f"{folder} is not a folder: expected one with runs of `xraykit run`")
    runs = sorted(
        path.parent
        for path in folder.rglob(RESULTS)
        if not any(part.startswith(".") for part in path.relative_to(folder).parts)
    )
    if not runs:
        raise InputError(f"{folder} holds no run: expected {RESULTS} in it, or somewhere below")
    return runs


def _facts(results: dict) -> dict[str, object]:
    task = results.get("task", {})
    images = sum(task.get("images", {}).values())
    facts = {"status": results["status"]}
    for name in SCORES:
        score = results.get("scores", {}).get(name)
        facts[name] = str(Proportion(score["correct"], score["total"])) if score else None
        facts[f"{name}_correct"] = score["correct"] if score else None
        facts[f"{name}_total"] = score["total"] if score else None
        facts[f"{name}_low"], facts[f"{name}_high"] = (
            (score["low"], score["high"]) if score else (None, None)
        )
    return facts | {
        "best_baseline": _best_baseline(results.get("audit")),
        "notebook": results.get("notebook"),
        "images": f"{images}{' phantoms' if task.get('phantoms') else ''}" if task else None,
        "test_loss": results.get("scores", {}).get("test", {}).get("loss"),
        "epochs": len(results["history"]) if "history" in results else None,
        "seconds": results.get("seconds", {}).get("total"),
        "error": results.get("error"),
    }


def _best_baseline(audit: dict | None) -> str | None:
    for row in (audit or {}).get("baselines", []):
        if row["name"] == audit.get("best_baseline") and row["split"] == "test":
            return f"{row['name']} {Proportion(row['correct'], row['total'])}"
    return None
