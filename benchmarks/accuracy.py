"""The effect of augmentation, views, BatchNorm and precision on accuracy, in cross-validation.

Not part of `make bench`, because it is slow: `python -m benchmarks accuracy NAME BACKBONE`.
"""

from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from scipy import stats

import xraykit as xk
from xraykit import keras

FOLDS, EPOCHS, SEEDS = 10, 15, (42, 1, 2)
NETWORKS: dict[str, dict[str, Any]] = {
    "MobileNetV2": {},
    "MobileNet": {"alpha": 0.75},
    "ResNet50": {"end_at": "conv4_block6_out"},
}
VARIANTS: dict[str, dict[str, dict[str, Any]]] = {
    "augmentation": {
        "none": {},
        "the kit's": {"augmentation": "kit"},
        "the handout's": {"augmentation": "handout"},
    },
    "views": {
        "exact": {"augmentation": "kit", "use_feature_cache": False},
        "8 views": {"augmentation": "kit", "n_views": 8},
    },
    "batch_norm": {
        "frozen": {"batch_norm": "frozen"},
        "recalibrated": {"batch_norm": "recalibrate"},
    },
    "precision": {"float32": {}, "mixed": {"precision": "mixed_bfloat16"}},
}


def augmentation(backbone: str) -> list[str]:
    """Compare no augmentation with the kit's and the handout's, 8 views each."""
    return _compare("augmentation", backbone)


def views(backbone: str) -> list[str]:
    """Compare new views in each epoch with 8 cached ones."""
    return _compare("views", backbone)


def batch_norm(backbone: str) -> list[str]:
    """Compare ImageNet's BatchNorm statistics with those of the training images."""
    return _compare("batch_norm", backbone)


def precision(backbone: str) -> list[str]:
    """Compare float32 with mixed bfloat16."""
    return _compare("precision", backbone)


def _compare(name: str, backbone: str) -> list[str]:
    """Return a line per variant: correct images, mean over folds, difference to the first."""
    lines, first = [], None
    for variant, options in VARIANTS[name].items():
        folds = pd.concat([_cross_validate(backbone, seed, **options) for seed in SEEDS])
        correct, accuracies = int(folds["sum"].sum()), folds["mean"].to_numpy()
        first = accuracies if first is None else first
        score = xk.Proportion(correct, int(folds["count"].sum()))
        mean = f"mean of {len(accuracies)} folds {accuracies.mean():.3f}"
        line = f"{backbone}, {variant}: {score}; {mean}"
        if accuracies is not first:
            gains = accuracies - first
            low, high = stats.t.interval(0.95, len(gains) - 1, gains.mean(), stats.sem(gains))
            line += f"; difference {gains.mean():+.3f} [{low:+.3f}, {high:+.3f}]"
        print(line, flush=True)
        lines.append(line)
    return lines


@cache
def _load_task() -> xk.Task:
    return xk.load_task("multiclass")


def _cross_validate(backbone: str, seed: int, **settings: Any) -> pd.DataFrame:
    keras.utils.clear_session()
    recipe = xk.recipes["task2-mobilenetv2"].override(
        backbone=backbone, epochs=EPOCHS, **NETWORKS[backbone], **settings
    )
    predictions = xk.cross_validate(recipe, _load_task(), folds=FOLDS, seed=seed)
    correct = predictions["true"] == predictions["predicted"]
    return correct.groupby(predictions["fold"]).agg(["sum", "count", "mean"]).astype(np.float64)
