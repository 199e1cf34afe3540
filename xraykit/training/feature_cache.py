"""The feature cache: outputs of a network's frozen part, computed once and stored."""

from collections.abc import Callable
from hashlib import sha256

import numpy as np

from .._keras import keras, tf
from ..models.graph import describe_structure
from .batches import Views
from .cache_files import CacheFiles


class FeatureCache:
    """The features of a network whose weights and behavior do not change.

    Parameters
    ----------
    network : keras.Model
        From raw pixels to features, as `split_frozen` returns it.
    dtype : {"float16", "float32"}
        Storage type of the features.
    """

    def __init__(self, network: keras.Model, dtype: str) -> None:
        self.network = network
        parts = [describe_structure(network), keras.__version__, tf.__version__]
        digest = sha256(" ".join(parts).encode())
        for weight in network.get_weights():
            digest.update(np.ascontiguousarray(weight))  # type: ignore[arg-type]
        last = network.layers[-1]
        shape = "×".join(map(str, last.output.shape[1:]))
        precision = last.dtype_policy.name
        description = f"{last.name} {shape}, weights {digest.hexdigest()[:8]}, {precision}"
        self.files = CacheFiles(digest.hexdigest(), description, dtype)

    def features(self, views: Views) -> Callable[[np.ndarray, np.ndarray], np.ndarray]:
        """Compute the missing features of all views; return a function that reads features.

        That function takes rows of the images and the numbers of their views.

        Raises
        ------
        CacheError
            If features can't be stored.
        """

        def compute(positions: np.ndarray) -> np.ndarray:
            pixels = views.pixels(positions // views.count, positions % views.count)
            return self.network.predict_on_batch(pixels)

        features = self.files.load_rows(views.keys(), compute)
        return lambda rows, numbers: features.take(rows * views.count + numbers)
