"""`results.json`: what a run gave, for tables and reports. Its fields: docs/results.md."""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import jsonschema

from ..errors import InputError
from ..files import atomic_write

RESULTS = "results.json"
SCHEMA = 1  # raised with every change of results.schema.json, which only ever gains fields


@cache
def results_schema() -> dict:
    """Return the JSON Schema of `results.json`."""
    return json.loads(Path(__file__).with_name("results.schema.json").read_text(encoding="utf-8"))


def read_results(folder: Path) -> dict:
    """Return what `folder/results.json` says.

    Files of older versions lack the fields that came later.

    Raises
    ------
    InputError
        If the file is missing, damaged, or of a newer version.
    """
    path = folder / RESULTS
    try:
        results = json.loads(path.read_text(encoding="utf-8"))
        if isinstance(results, dict) and results.get("schema", 0) > SCHEMA:
            raise InputError(
                f"{path} is of version {results['schema']}: this xraykit reads up to {SCHEMA}. "
                "Update it"
            )
        _check(results)
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from error
    except InputError:
        raise
    except jsonschema.ValidationError as error:
        where = "".join(f"{part} → " for part in error.absolute_path)
        raise InputError(f"{path} is damaged: {where}{error.message[:100]}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is damaged: {error}") from error
    return results


def _check(results: dict) -> str:
    """Return results as JSON; raise ValueError or ValidationError if they make no sense."""
    text = json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False)
    text.encode()  # no half of a character
    jsonschema.validate(results, results_schema())
    for where, counts in _counts(results):
        part = "correct" if "correct" in counts else "count"
        if counts[part] > counts["total"]:
            raise ValueError(f"{where} has {part} {counts[part]} of total {counts['total']}")
    return text


def _counts(results: dict) -> Iterator[tuple[str, dict]]:
    """Yield each object that holds a count of images, and where it stands."""
    for name, score in results.get("scores", {}).items():
        yield f"scores → {name}", score
    for row in (results.get("audit") or {}).get("baselines", []):
        yield f"audit → {row['name']} → {row['split']}", row
    for table, label in (("perturbations", "perturbation"), ("external_validation", "group")):
        for row in results.get(table) or []:
            yield f"{table} → {row[label]}", row


def write_results(folder: Path, results: dict) -> None:
    """Write `folder/results.json`, whole or not at all."""
    text = _check(results)
    atomic_write(folder / RESULTS, lambda path: path.write_text(text + "\n", encoding="utf-8"))
