"""No-lung baselines predict nothing from phantoms at shortcut 0, and the class at 1."""

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.model_selection import GroupKFold, permutation_test_score

import xraykit as xk

SEEDS = range(9001, 9011)  # unused in development


def draw_no_lung_tables(folder, task_name, seeds, n_images, shortcut):
    """Return three tables of features that do not contain the lungs, the labels, and the sets."""
    geometry, size, border, labels, sets = [], [], [], [], []
    for seed in seeds:
        root = folder / f"{seed}-{shortcut}"
        drawn = xk.draw_phantoms(
            root, task=task_name, images=n_images, shortcut=shortcut, seed=seed
        ).set_index("path")
        task = xk.load_task(task_name, root, image_size=16)
        images = task.development.join(task.test)
        rows = drawn.loc[list(images.paths)]
        modes = rows["mode"].map(["L", "RGB", "RGBA"].index)
        geometry.append(np.column_stack([modes, rows["width"], rows["height"]]))
        size.append([[(root / path).stat().st_size] for path in images.paths])
        ring = np.ones((16, 16), bool)
        ring[1:-1, 1:-1] = False  # the outermost sixteenth has no lung
        border.append(images.pixels[:, ring].mean(axis=-1))
        labels.append(images.labels)
        sets += [seed] * len(images)
    tables = {"geometry and mode": geometry, "bytes": size, "border": border}
    tables = {name: np.concatenate(table) for name, table in tables.items()}
    return tables, np.concatenate(labels), sets


def fit_forest(table, labels, sets, permutations):
    """Return accuracy on held-out sets, and the p value of permuting labels within sets."""
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
def test_no_lung_baselines_at_shortcut_0_predict_nothing(tmp_path):
    tables, labels, sets = draw_no_lung_tables(tmp_path, "multiclass", SEEDS, 60, shortcut=0)
    results = {name: fit_forest(table, labels, sets, 350) for name, table in tables.items()}
    smallest = min(p for _, p in results.values())
    assert len(results) * smallest > 0.01, results  # the first step of Holm's method


@pytest.mark.slow
def test_no_lung_baselines_at_shortcut_1_predict_the_class(tmp_path):
    tables, labels, sets = draw_no_lung_tables(tmp_path, "binary", SEEDS[:5], 60, shortcut=1)
    for name, table in tables.items():
        score, _ = fit_forest(table, labels, sets, 1)
        assert score > 0.9, name
