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
from ..data.metadata import FACTS, picture_facts
from ..data.tasks import Task, check_task
from ..errors import InputError
from ..metrics.intervals import Proportion
from ..models.classifier import FEATURES, check_flat, check_model
from ..models.graph import CutError, cut
from ..training.batches import Views
from ..training.cache_folder import BankError
from ..training.feature_cache import FeatureBank
from ..training.predict import outputs

NEIGHBOURS = 15


def features(model: keras.Model, images: ImageSet) -> np.ndarray:
    """Return the output of the layer named "features", shape (pictures, features).

    What the frozen layers give is read from the feature bank, and computed only for images that
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
        prefix, tail = cut(tap)
        stored = FeatureBank(prefix, "float32", "float16").features(Views(images))
    except (CutError, BankError):  # nothing is frozen, or there is no room
        return outputs(tap, images)
    return outputs(tail, images, stored)


def tsne(
    model: keras.Model, images: ImageSet, perplexity: float = 30.0, seed: int = 42
) -> pd.DataFrame:
    """Lay the pictures out in two dimensions, alike ones close together.

    t-SNE of the "features" layer, begun from the first two principal components (van der Maaten
    and Hinton, 2008, Journal of Machine Learning Research 9, 2579; scikit-learn's). Distances
    between clusters and their sizes mean nothing.

    Parameters
    ----------
    model : keras.Model
    images : ImageSet
    perplexity : float
        How many neighbours count as near; at most a third of the pictures is used.
    seed : int

    Returns
    -------
    DataFrame
        A row a picture: path, patient, class, x, y. Its `attrs` say perplexity and seed.

    Raises
    ------
    InputError
        As `features`, and if all pictures have the same features.
    """
    tapped = features(model, images)
    if not np.ptp(tapped, axis=0).any():  # scikit-learn's t-SNE would crash the kernel
        raise InputError(
            "The network gives every picture the same features, so there is nothing to lay out: "
            "build the model anew, and train it with a lower learning rate"
        )
    perplexity = usable(perplexity, images)
    with threadpool_limits(1):  # where processors are busy, threads wait ten times as long
        layout = TSNE(perplexity=perplexity, init="pca", random_state=seed).fit_transform(tapped)
    table = pd.DataFrame(
        {
            "path": images.paths,
            "patient": images.patients,
            "class": np.array(images.class_names)[images.labels],
            "x": layout[:, 0],
            "y": layout[:, 1],
        }
    )
    table.attrs = {"perplexity": perplexity, "seed": seed}
    return table


def usable(perplexity: float, images: ImageSet) -> float:
    """Return the perplexity, or a third of the pictures where it is more than that."""
    return min(perplexity, (len(images) - 1) / 3)


def separation(model: keras.Model, task: Task) -> pd.DataFrame:
    """Say how far apart groups of pictures lie in the features themselves, which no map distorts.

    Parameters
    ----------
    model : keras.Model
        Trained on `task.train`, which pulls its classes apart: the test pictures say more.
    task : Task

    Returns
    -------
    DataFrame
        A row for the class, and one for each of source, age, mode and frame (`picture_facts`)
        that has two values or more. For training and test the mean silhouette (Rousseeuw 1987,
        Journal of Computational and Applied Mathematics 20, 53: from -1 to 1, where 0 is no
        clusters) and, as Proportion, how many pictures are what most of their 15 nearest training
        pictures are (those of other patients; of fewer, where there are not so many); last, how
        many test pictures the most frequent value has right.

    Raises
    ------
    InputError
        As `features`, and if the training pictures are of one patient alone.
    """
    check_task(task)
    if len(set(task.train.patients)) < 2:
        raise InputError(
            "The training pictures are of one patient: expected two or more, so that the nearest "
            "pictures can be another's"
        )
    facts = picture_facts(task).set_index("path")
    known, new = (features(model, images) for images in (task.train, task.test))
    nearest = KNeighborsClassifier(min(NEIGHBOURS, len(set(task.train.patients)) - 1))
    rows = {}
    for name in ("class", *FACTS):
        learned, tested = (
            facts.loc[list(images.paths), name].to_numpy() for images in (task.train, task.test)
        )
        if len(set(learned)) == 1:
            continue
        crossed = cross_val_predict(
            nearest, known, learned, groups=task.train.patients, cv=LeaveOneGroupOut()
        )
        said = nearest.fit(known, learned).predict(new)
        frequent = pd.Series(learned).mode()[0]
        rows[name] = {
            "silhouette, training": _silhouette(known, learned),
            "15 nearest, training": _alike(crossed, learned),
            "silhouette, test": _silhouette(new, tested),
            "15 nearest, test": _alike(said, tested),
            "most frequent, test": _alike(frequent, tested),
        }
    return pd.DataFrame(rows).T


def _silhouette(found: np.ndarray, groups: np.ndarray) -> float:
    if not 1 < len(set(groups)) < len(groups):
        return float("nan")
    return round(float(silhouette_score(found, groups)), 2)


def _alike(said: np.ndarray | str, true: np.ndarray) -> Proportion:
    return Proportion(int((said == true).sum()), len(true))
