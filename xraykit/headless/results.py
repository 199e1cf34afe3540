"""Read, write and validate `results.json`; docs/reference/results-json.md lists its fields.

The fields are filled in by `save` (in the notebook) and `run` (around it), and declared in
results.schema.json.
"""

import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import jsonschema

from ..errors import InputError
from ..files import atomic_write

RESULTS = "results.json"
NO_REPORT = "done, without report"  # a status
SCHEMA = 2  # increased with every change of results.schema.json, which only adds fields


@cache
def results_schema() -> dict:
    """Return the JSON Schema of `results.json`."""
    return json.loads(Path(__file__).with_name("results.schema.json").read_text(encoding="utf-8"))


def read_results(folder: Path) -> dict:
    """Return the content of `folder/results.json`.

    Files of older versions lack the fields that were added later.

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
                f"{path} has version {results['schema']}, this xraykit reads versions up to "
                f"{SCHEMA}. Update xraykit"
            )
        _to_json(results)
    except OSError as error:
        raise InputError(f"{path} can't be read: {error.strerror}") from error
    except InputError:
        raise
    except jsonschema.ValidationError as error:
        place = "".join(f"{part} → " for part in error.absolute_path)
        raise InputError(f"{path} is damaged: {place}{error.message[:100]}") from error
    except (ValueError, TypeError, RecursionError) as error:
        raise InputError(f"{path} is damaged: {error}") from error
    return results


def is_done(results: dict) -> bool:
    """Return whether a run completed, with or without its report."""
    return results["status"] in ("done", NO_REPORT)


def _to_json(results: dict) -> str:
    """Return results as JSON text; raise ValueError or ValidationError if they are not valid."""
    text = json.dumps(results, indent=1, ensure_ascii=False, allow_nan=False)
    text.encode()  # fails for half of a surrogate pair
    jsonschema.validate(results, results_schema())
    for place, counts in _find_counts(results):
        name = "correct" if "correct" in counts else "count"
        if counts[name] > counts["total"]:
            raise ValueError(f"{place}: {name} {counts[name]} is above total {counts['total']}")
    return text


def _find_counts(results: dict) -> Iterator[tuple[str, dict]]:
    """Yield the place and the content of each object that holds a count of images."""
    for name, score in results.get("scores", {}).items():
        yield f"scores → {name}", score
    for row in (results.get("audit") or {}).get("baselines", []):
        yield f"audit → {row['name']} → {row['split']}", row
    for table, label in (("perturbations", "perturbation"), ("external_validation", "group")):
        for row in results.get(table) or []:
            yield f"{table} → {row[label]}", row


def write_results(folder: Path, results: dict) -> None:
    """Write `folder/results.json` atomically."""
    text = _to_json(results)
    atomic_write(folder / RESULTS, lambda path: path.write_text(text + "\n", encoding="utf-8"))
