"""What the network sees: the output of its `features` layer, and a flat map of it by t-SNE."""

import numpy as np
import pandas as pd
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits

from .._keras import keras
from ..data.images import ImageSet, check_images
from ..data.metadata import METADATA, image_metadata
from ..data.tasks import Task, check_task
from ..errors import InputError
from ..metrics.intervals import add_intervals
from ..models.classifier import FEATURES, check_flat, check_model
from ..models.graph import NotCacheableError, split_frozen
from ..training.batches import Views
from ..training.cache_folder import CacheError
from ..training.feature_cache import FeatureCache
from ..training.predict import outputs

NEIGHBOURS = 15


def features(model: keras.Model, images: ImageSet) -> np.ndarray:
    """Return the output of the layer named "features", shape (images, features).

    What the frozen layers give is read from the feature cache, and computed only for images that
    are not there: the training has left its own. It is kept as float16, about 3 digits.

    Raises
    ------
    InputError
        If the model has no such layer, is a Sequential with a network in it, or its output is no
        numbers.
    """
    check_model(model)
    check_images(images)
    if isinstance(model, keras.Sequential):  # of any other the named layer can be reached
        check_flat(model)
    names = [layer.name for layer in model.layers]
    if FEATURES not in names:
        raise InputError(
            f"The model has no layer named 'features': expected one, found {', '.join(names[-6:])} "
            "at its end. Give the layer that t-SNE should show that name"
        )
    tap = keras.Model(model.input, model.get_layer(FEATURES).output)
    try:
        prefix, tail = split_frozen(tap)
        stored = FeatureCache(prefix, "float32", "float16").features(Views(images))
    except (NotCacheableError, CacheError):  # nothing is frozen, or there is no room
        return outputs(tap, images)
    return outputs(tail, images, stored)


def tsne(
    model: keras.Model, images: ImageSet, perplexity: float = 30.0, seed: int = 42
) -> pd.DataFrame:
    """Lay the images out in two dimensions, alike ones close together.

    t-SNE of the "features" layer, begun from the first two principal components (van der Maaten
    and Hinton, 2008, Journal of Machine Learning Research 9, 2579; scikit-learn's). Distances
    between clusters and their sizes mean nothing.

    Parameters
    ----------
    model : keras.Model
    images : ImageSet
    perplexity : float
        How many neighbours count as near; at most a third of the images is used.
    seed : int

    Returns
    -------
    DataFrame
        A row an image: path, patient, class, x, y. Its `attrs` say perplexity and seed.

    Raises
    ------
    InputError
        As `features`, and if all images have the same features.
    """
    tapped = features(model, images)
    if not np.ptp(tapped, axis=0).any():  # scikit-learn's t-SNE would crash the kernel
        raise InputError(
            "The network gives every image the same features, so there is nothing to lay out: "
            "build the model anew, and train it with a lower learning rate"
        )
    perplexity = usable(perplexity, images)
    with threadpool_limits(1):  # where processors are busy, threads wait ten times as long
        layout = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(tapped)
    table = pd.DataFrame(
        {
            "path": images.paths,
            "patient": images.patients,
            "class": images.label_names,
            "x": layout[:, 0],
            "y": layout[:, 1],
        }
    )
    table.attrs = {"perplexity": perplexity, "seed": seed}
    return table


def usable(perplexity: float, images: ImageSet) -> float:
    """Return the perplexity, or a third of the images where it is more than that."""
    return min(perplexity, (len(images) - 1) / 3)


def cluster_separation(model: keras.Model, task: Task) -> pd.DataFrame:
    """Measure how well groups of images separate in the features themselves.

    No map distorts them. The first property is the class; the others are those of
    `image_metadata` that have two values or more: source, age, mode and frame.

    Parameters
    ----------
    model : keras.Model
        Trained on `task.train`, which pulls its classes apart: the test images say more.
    task : Task

    Returns
    -------
    DataFrame
        One row per property and split (training, test): property, split, correct (15-NN accuracy:
        images whose value is that of most of their 15 nearest training images of other patients,
        or of fewer where there are not so many), total, low, high (its 95 % interval),
        most_frequent (images that have the most frequent value of the training images), silhouette
        (the mean, from -1 to 1, where 0 means no clusters; Rousseeuw 1987, Journal of
        Computational and Applied Mathematics 20, 53).

    Raises
    ------
    InputError
        As `features`, and if all training images are of one patient.
    """
    check_task(task)
    if len(set(task.train.patients)) < 2:
        raise InputError(
            "All training images are of one patient: expected two patients or more, so that the "
            "nearest images can be another patient's"
        )
    metadata = image_metadata(task).set_index("path")
    train_features, test_features = (features(model, part) for part in (task.train, task.test))
    nearest = KNeighborsClassifier(min(NEIGHBOURS, len(set(task.train.patients)) - 1))
    rows = []
    for name in ("class", *METADATA):
        train_values, test_values = (
            metadata.loc[list(part.paths), name].to_numpy() for part in (task.train, task.test)
        )
        if len(set(train_values)) == 1:
            continue
        cross_validated = cross_val_predict(
            nearest, train_features, train_values, groups=task.train.patients, cv=LeaveOneGroupOut()
        )
        predicted = nearest.fit(train_features, train_values).predict(test_features)
        most_frequent = pd.Series(train_values).mode()[0]
        for split, found, values, vectors in (
            ("training", cross_validated, train_values, train_features),
            ("test", predicted, test_values, test_features),
        ):
            rows.append(
                {
                    "property": name,
                    "split": split,
                    "correct": int((found == values).sum()),
                    "total": len(values),
                    "most_frequent": int((most_frequent == values).sum()),
                    "silhouette": _silhouette(vectors, values),
                }
            )
    return add_intervals(pd.DataFrame(rows))


def _silhouette(vectors: np.ndarray, groups: np.ndarray) -> float:
    if not 1 < len(set(groups)) < len(groups):
        return float("nan")
    return round(float(silhouette_score(vectors, groups)), 2)
