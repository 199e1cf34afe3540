"""The feature cache: what the frozen part of a network gives, computed once and kept."""

from collections.abc import Callable
from hashlib import sha256

import numpy as np

from .._keras import keras, tf
from ..models.graph import description
from .batches import Views
from .cache_files import CacheFiles


class FeatureCache:
    """The features of a network whose weights and behaviour stay as they are.

    Parameters
    ----------
    network : keras.Model
        From raw pixels to features, as split_frozen gives it.
    precision : str
        What it computes in; the caller sees to that.
    dtype : {"float16", "float32"}
        What features are kept as.
    """

    def __init__(self, network: keras.Model, precision: str, dtype: str) -> None:
        self.network = network
        facts = [description(network), precision, keras.__version__, tf.__version__]
        digest = sha256(" ".join(facts).encode())
        for weight in network.get_weights():
            digest.update(np.ascontiguousarray(weight))
        end = network.layers[-1]
        shape = "×".join(map(str, end.output.shape[1:]))
        about = f"{end.name} {shape}, weights {digest.hexdigest()[:8]}, {precision}"
        self.files = CacheFiles(digest.hexdigest(), about, dtype)

    def features(self, views: Views) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """Compute the features of all views that are not there; return what reads them.

        Raises
        ------
        CacheError
            If they can't be kept.
        """

        def compute(positions: np.ndarray) -> np.ndarray:
            pixels = views.pixels(positions // views.count, positions % views.count)
            return self.network.predict_on_batch(pixels)

        kept = self.files.rows(views.keys(), compute)
        return lambda rows, numbers: kept.take(rows * views.count + numbers)
