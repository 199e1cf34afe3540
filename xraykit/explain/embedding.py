"""The output of the model's `features` layer, its t-SNE map, and how well groups separate."""

import numpy as np
import pandas as pd
from sklearn.manifold import TSNE
from sklearn.metrics import silhouette_score
from sklearn.model_selection import LeaveOneGroupOut, cross_val_predict
from sklearn.neighbors import KNeighborsClassifier
from threadpoolctl import threadpool_limits

from .._keras import keras
from ..data.images import ImageSet, check_some_images
from ..data.metadata import METADATA, image_metadata
from ..data.tasks import Task, check_task
from ..errors import InputError, check_whole_number, to_number
from ..metrics.intervals import add_intervals
from ..models.classifier import FEATURE_LAYER, check_flat, check_model
from ..models.graph import NotCacheableError, split_frozen
from ..training.batches import Views
from ..training.cache_folder import CacheError
from ..training.feature_cache import FeatureCache
from ..training.predict import compute_outputs

N_NEIGHBORS = 15
MIN_IMAGES = 3  # with fewer, t-SNE has no neighborhoods


def features(model: keras.Model, images: ImageSet) -> np.ndarray:
    """Return the output of the layer named "features", shape (images, features).

    The output of the frozen layers is read from the feature cache, where training has stored it,
    and computed for images that are missing there. It is stored as float16, about 3 digits.

    Raises
    ------
    InputError
        If the model has no such layer, it does not give vectors, the model is a Sequential that
        contains a network, or there are no images.
    TrainingError
        If its output contains NaN or infinite values.

    Examples
    --------
    >>> xk.features(model, task.test).shape
    (5, 256)
    """
    check_model(model)
    check_some_images(images)
    if isinstance(model, keras.Sequential):  # in other models the layer is always reachable
        check_flat(model)
    names = [layer.name for layer in model.layers]
    if FEATURE_LAYER not in names:
        raise InputError(
            f"The model has no layer named 'features': found {', '.join(names[-6:])} at its end. "
            "Give this name to the layer that t-SNE should show"
        )
    output = model.get_layer(FEATURE_LAYER).output
    if len(output.shape) != 2:
        raise InputError(
            f"The layer 'features' gives {output.shape}: expected one vector per image. Give this "
            "name to a layer behind GlobalAveragePooling2D or Flatten"
        )
    extractor = keras.Model(model.input, output)
    try:
        prefix, tail = split_frozen(extractor)
        stored = FeatureCache(prefix, "float16").features(Views(images))
    except (NotCacheableError, CacheError):  # nothing is frozen, or the disk is full
        return compute_outputs(extractor, images)
    return compute_outputs(tail, images, read=stored)


def tsne(
    model: keras.Model, images: ImageSet, *, perplexity: float = 30.0, seed: int = 42
) -> pd.DataFrame:
    """Map the images to two dimensions, similar images close together.

    t-SNE of the "features" layer by scikit-learn, initialized with the first two principal
    components (van der Maaten and Hinton, 2008, Journal of Machine Learning Research 9, 2579).
    Sizes of clusters and distances between them mean nothing.

    Parameters
    ----------
    model : keras.Model
    images : ImageSet
    perplexity : float
        The effective number of neighbors, at most a third of the images.
    seed : int

    Returns
    -------
    DataFrame
        One row per image: path, patient, class, x, y. Its `attrs` hold perplexity and seed.

    Raises
    ------
    InputError
        As `features`, if perplexity or seed can't be used, if there are fewer than 3 images or 2
        features, or if all images have the same features.

    Examples
    --------
    >>> xk.tsne(model, task.train, perplexity=5).columns.tolist()
    ['path', 'patient', 'class', 'x', 'y']
    """
    check_some_images(images)
    check_whole_number("seed", seed, 0)
    perplexity = limit_perplexity(perplexity, images)
    vectors = features(model, images)
    if vectors.shape[1] < 2 or len(vectors) < MIN_IMAGES:
        raise InputError(
            f"t-SNE needs at least {MIN_IMAGES} images and 2 features, found {len(vectors)} and "
            f"{vectors.shape[1]}: take more images, and a layer 'features' of more units"
        )
    if not np.ptp(vectors, axis=0).any():  # scikit-learn's t-SNE would crash the kernel
        raise InputError(
            "The model gives every image the same features, so there is nothing to map. "
            "Rebuild it and train with a lower learning rate"
        )
    with threadpool_limits(1):  # on busy processors several threads take ten times as long
        layout = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(vectors)
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


def limit_perplexity(perplexity: float, images: ImageSet) -> float:
    """Return the perplexity, or a third of the images if that is less.

    Raises
    ------
    InputError
        If it is not a number above 0.
    """
    if not 0 < to_number(perplexity) < np.inf:
        raise InputError(f"perplexity={perplexity!r}: expected a number above 0, such as 30")
    return min(float(perplexity), (len(images) - 1) / 3)


def cluster_separation(model: keras.Model, task: Task) -> pd.DataFrame:
    """Measure how well groups of images separate in the features, without the distortion of a map.

    The first property is the class; the others are those of `image_metadata` that have two values
    or more: source, age, mode and frame.

    Parameters
    ----------
    model : keras.Model
        Trained on `task.train`, whose classes it has learned to separate: the test images are the
        better evidence.
    task : Task

    Returns
    -------
    DataFrame
        One row per property and split (training, test): property, split, correct (15-NN accuracy:
        images whose value is that of most of their 15, or patients - 1, nearest training images of
        other patients), total, low, high (its 95 % interval), most_frequent (images that have the
        most frequent value of the training images), silhouette (the mean, from -1 to 1, where 0
        means no clusters; Rousseeuw 1987, Journal of Computational and Applied Mathematics 20, 53).

    Raises
    ------
    InputError
        As `features`, and if all training images are of one patient.

    Examples
    --------
    >>> table = xk.cluster_separation(model, task)
    >>> table[["property", "split"]].head(2).values.tolist()
    [['class', 'training'], ['class', 'test']]
    """
    check_task(task)
    n_patients = len(set(task.train.patients))
    if n_patients < 2:
        raise InputError(
            "All training images are of one patient: expected two patients or more, so that the "
            "nearest images can be another patient's"
        )
    metadata = image_metadata(task).set_index("path")
    train_features, test_features = (features(model, part) for part in (task.train, task.test))
    nearest = KNeighborsClassifier(min(N_NEIGHBORS, n_patients - 1))
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
        for split, predictions, values, vectors in (
            ("training", cross_validated, train_values, train_features),
            ("test", predicted, test_values, test_features),
        ):
            rows.append(
                {
                    "property": name,
                    "split": split,
                    "correct": int((predictions == values).sum()),
                    "total": len(values),
                    "most_frequent": int((most_frequent == values).sum()),
                    "silhouette": _measure_silhouette(vectors, values),
                }
            )
    return add_intervals(pd.DataFrame(rows))


def _measure_silhouette(vectors: np.ndarray, groups: np.ndarray) -> float:
    if not 1 < len(set(groups)) < len(groups):
        return float("nan")
    return round(float(silhouette_score(vectors, groups)), 2)
