"""The tables of the documentation, made from saved files when the pages are built.

A page shows one with the directive `saved`. A name is one of `TABLES`, an experiment of
`xraykit.experiments`, or a CSV file in `docs/results/`, where `27/36` stands for a count.
`python docs/saved_tables.py NAME` prints one.
"""

import csv
import json
import re
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import pandas as pd

from xraykit.experiments.experiments import EXPERIMENTS
from xraykit.experiments.reproduce import saved_reproduction, summarize
from xraykit.experiments.run import saved_experiment
from xraykit.experiments.shortcuts import saved_shortcuts
from xraykit.headless.results import results_schema
from xraykit.metrics.intervals import Proportion

DOCS = Path(__file__).parent


def to_markdown(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Return a Markdown table."""
    cells = [["" if pd.isna(cell) else str(cell) for cell in row] for row in rows]
    lines = [header, ["---"] * len(header), *cells]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def expand_counts(cell: str) -> str:
    """Write each count in a cell with its percentage and 95 % interval.

    >>> expand_counts("**27/36**")
    '**27/36 = 75 % [59, 86]**'
    """
    return re.sub(
        r"\b(\d+)/(\d+)\b", lambda found: str(Proportion(*map(int, found.groups()))), cell
    )


def read_csv(name: str) -> str:
    """Return a table of `docs/results/`."""
    with (DOCS / "results" / f"{name}.csv").open(newline="") as file:
        header, *rows = csv.reader(file)
    return to_markdown(header, [[expand_counts(cell) for cell in row] for row in rows])


def reproduction() -> str:
    """Return published and measured scores, one row per recipe and training."""
    table = summarize(saved_reproduction()).astype(object).fillna("–")
    network = {"end_at=conv4_block6_out": "first four stages"}
    table["training"] = [
        ", ".join(filter(None, [row.training, *(network.get(x, x) for x in row.network)]))
        for row in table.assign(network=table["network"].str.split(", ")).itertuples()
    ]
    table["recipe"] = [f"`{recipe}`" for recipe in table["recipe"]]
    table = table.drop(columns="network")
    return to_markdown([name.replace("_", " ") for name in table], table.to_numpy().tolist())


def ranking() -> str:
    """Return the recipes from which the default is chosen."""
    tables = [saved_experiment(f"{task}_recipes").table for task in ("task1", "task2")]
    rows = []
    for first, second in zip(*(table.itertuples() for table in tables), strict=True):
        row = [f"`{first.setting.partition('-')[2]}`"]
        for result in (first, second):
            p = "the best" if pd.isna(result.p) else f"{result.p:.2g}"
            row += [Proportion(result.correct, result.total), p, f"{result.seconds:.0f}"]
        rows.append(row)
    columns = ("correct", "p against the best", "seconds")
    return to_markdown(["recipe", *(f"Task {n} {name}" for n in (1, 2) for name in columns)], rows)


def speed() -> str:
    """Return what `make bench` measured."""
    header = ("what", "handout", "kit", "ratio")
    rows = json.loads((DOCS / "bench.json").read_text())["rows"]
    return to_markdown(header, [[row[name] for name in header] for row in rows])


def experiment(name: str, recipe: str = "") -> str:
    """Return the table of one of the reports' experiments."""
    table = saved_experiment(name, recipe).display_table().reset_index()
    table = table.rename(columns={"only_first": "only first", "only_this": "only this"})
    return to_markdown(list(table), table.to_numpy().tolist())


def experiments() -> str:
    """Return a section for each experiment that has no other page."""
    elsewhere = ("task1_recipes", "task2_recipes", "repairs", "repairs_finetuned")
    parts = []
    for name, found in EXPERIMENTS.items():
        if name not in elsewhere:
            parts += [f"## {found.question}", found.finding, experiment(name)]
            parts.append(f"`xraykit experiment {name}` makes this table again.")
            for recipe, finding in found.others.items():
                command = f"`xraykit experiment {name} --recipe {recipe}` makes this table again."
                parts += [finding, experiment(name, recipe), command]
    return "\n\n".join(parts)


def shortcuts(measure: str) -> str:
    """Return what both tasks' networks rely on, by one measure of `xraykit shortcuts`."""
    sections = []
    for number, task in enumerate(("binary", "multiclass"), start=1):
        table = saved_shortcuts(task, measure).data.reset_index()
        rows = to_markdown(list(table), table.to_numpy().tolist())
        sections.append(f"Task {number}:\n\n{rows}")
    return "\n\n".join(sections)


def results_fields() -> str:
    """Return the fields of results.json, from its schema."""
    return to_markdown(["field", "type", "meaning"], list(_fields(results_schema())))


def _fields(schema: dict, path: str = "") -> Iterator[tuple[str, str, str]]:
    for name, field in schema.get("properties", {}).items():
        kind = field.get("type", "string")
        kind = " or ".join(kind) if isinstance(kind, list) else kind
        yield f"`{path}{name}`", kind, field["description"]
        yield from _fields(field, f"{path}{name}.")
        inner = field.get("additionalProperties")
        if isinstance(inner, dict):
            yield from _fields(inner, f"{path}{name}.*.")


TABLES: dict[str, Callable[[], str]] = {
    "external-validation": partial(shortcuts, "external validation"),
    "gradcam": partial(shortcuts, "Grad-CAM"),
    "features": partial(shortcuts, "features"),
    "confidence": partial(shortcuts, "test"),
    "perturbations-cross-validated": partial(shortcuts, "perturbations"),
    "reproduction": reproduction,
    "ranking": ranking,
    "speed": speed,
    "experiments": experiments,
    "results-fields": results_fields,
}


def make_table(name: str) -> str:
    """Return the table of this name as Markdown."""
    if name in TABLES:
        return TABLES[name]()
    return experiment(name) if name in EXPERIMENTS else read_csv(name)


if __name__ == "__main__":
    print(make_table(sys.argv[1]))
