"""Duplicates: pairs of images that are equal or nearly so."""

import imagehash
import numpy as np
import pandas as pd
from PIL import Image
from sklearn.neighbors import radius_neighbors_graph

HASH_SIDE = 32  # the hash has 32 × 32 bits
MAX_DISTANCE = 1 / 6  # fraction of the bits that may differ


def find_near_duplicates(images: pd.DataFrame, pixels: np.ndarray) -> pd.DataFrame:
    """Return the pairs of nearly equal images, the nearest first.

    Perceptual hashes of 1024 bits are compared (ImageHash's `phash`: the signs of the lowest
    frequencies of a discrete cosine transform). A copy of another size, compression or brightness,
    or with a hundredth of each side cropped, differs in at most a sixth of the bits. Two images of
    the challenge, except one pair, differ in a third or more, two phantoms in a fifth or more.
    Mirrored or rotated copies, and those that are cropped further, are not found.

    Parameters
    ----------
    images : DataFrame
        One row per image: path, patient, class, split.
    pixels : ndarray of uint8, shape (images, height, width)
        Gray levels.

    Returns
    -------
    DataFrame
        One row per pair: first and second (paths), distance (the fraction of bits that differ),
        exact (whether the given pixels are equal), same_patient, same_class, same_split.
    """
    hashes = np.stack(
        [imagehash.phash(Image.fromarray(gray), HASH_SIDE).hash.ravel() for gray in pixels]
    )
    near = radius_neighbors_graph(hashes, MAX_DISTANCE, mode="distance", metric="hamming").tocoo()
    pairs = sorted(
        (distance, first, second)
        for distance, first, second in zip(near.data, near.row, near.col, strict=True)
        if first < second
    )
    rows = []
    for distance, first, second in pairs:
        one, other = images.iloc[first], images.iloc[second]
        row = {
            "first": one["path"],
            "second": other["path"],
            "distance": distance,
            "exact": np.array_equal(pixels[first], pixels[second]),
        }
        for name in ("patient", "class", "split"):
            row[f"same_{name}"] = one[name] == other[name]
        rows.append(row)
    columns = ["first", "second", "distance", "exact"]
    columns += ["same_patient", "same_class", "same_split"]
    return pd.DataFrame(rows, columns=columns)
