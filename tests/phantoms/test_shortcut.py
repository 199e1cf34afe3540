"""The knob, measured: what needs no lungs tells nothing at 0 and all at 1."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GroupKFold, permutation_test_score

import xraykit as xk

SEEDS = range(9001, 9011)  # of no set that the drawing was developed on


def what_needs_no_lungs(folder, task_name, seeds, images, shortcut):
    """Return three tables of facts about images, their classes and their sets."""
    geometry, size, border, labels, sets = [], [], [], [], []
    for seed in seeds:
        root = folder / f"{seed}-{shortcut}"
        drawn = xk.draw_phantoms(root, task_name, images, shortcut, seed).set_index("path")
        task = xk.load_task(task_name, root, image_size=16)
        images = task.development.join(task.test)
        rows = drawn.loc[list(images.paths)]
        modes = rows["mode"].map(["L", "RGB", "RGBA"].index)
        geometry.append(np.column_stack([modes, rows["width"], rows["height"]]))
        size.append([[(root / path).stat().st_size] for path in images.paths])
        ring = np.ones((16, 16), bool)
        ring[1:-1, 1:-1] = False  # the outermost sixteenth, where no lung is
        border.append(images.pixels[:, ring].mean(axis=-1))
        labels.append(images.labels)
        sets += [seed] * len(images)
    tables = {"geometry and mode": geometry, "bytes": size, "border": border}
    return {name: np.concatenate(t) for name, t in tables.items()}, np.concatenate(labels), sets


def guess(table, labels, sets, permutations):
    """Return accuracy on sets left out, and the p of a test that permutes classes in each set."""
    forest = RandomForestClassifier(10, max_depth=6, random_state=0)
    score, _, p = permutation_test_score(
        forest,
        table,
        labels,
        groups=sets,
        cv=GroupKFold(5),
        n_permutations=permutations,
        random_state=0,
        n_jobs=2,
    )
    return score, p


@pytest.mark.slow
def test_when_shortcut_is_0_then_what_needs_no_lungs_tells_nothing(tmp_path):
    tables, labels, sets = what_needs_no_lungs(tmp_path, "multiclass", SEEDS, 60, shortcut=0)
    found = {name: guess(table, labels, sets, 350) for name, table in tables.items()}
    smallest = min(p for _, p in found.values())
    assert len(found) * smallest > 0.01, found  # Holm's first step, which decides all


@pytest.mark.slow
def test_when_shortcut_is_1_then_what_needs_no_lungs_tells_the_class(tmp_path):
    tables, labels, sets = what_needs_no_lungs(tmp_path, "binary", SEEDS[:5], 60, shortcut=1)
    for name, table in tables.items():
        score, _ = guess(table, labels, sets, 1)
        assert score > 0.9, name
