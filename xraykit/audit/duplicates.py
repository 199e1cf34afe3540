"""Pictures that are there twice, alike to the byte or nearly so."""

import imagehash
import numpy as np
import pandas as pd
from PIL import Image
from sklearn.neighbors import radius_neighbors_graph

BITS = 32  # a side of the hash
NEAR = 1 / 6  # share of the hash's bits that may differ


def near_duplicates(pictures: pd.DataFrame, pixels: np.ndarray) -> pd.DataFrame:
    """Return the pairs of pictures that are alike, the most alike first.

    Perceptual hashes of 1024 bits are compared (ImageHash's `phash`: the signs of the lowest
    frequencies of a discrete cosine transform). Another size, compression or brightness of a
    picture, or one with a hundredth cut off each side, differs in up to a sixth of the bits; two
    pictures of the challenge, but for one pair, in a third or more; two phantoms in a fifth or
    more. Mirrored and turned copies, and those that more is cut off from, are not found.

    Parameters
    ----------
    pictures : DataFrame
        A row a picture: path, patient, class, split.
    pixels : ndarray of uint8, shape (pictures, height, width)
        Grey levels.

    Returns
    -------
    DataFrame
        A row a pair: first and second (paths), bits (the share that differs), exact (the same
        pixels, as handed in), and whether both have the same patient, class and split.
    """
    hashes = np.stack(
        [imagehash.phash(Image.fromarray(each), BITS).hash.ravel() for each in pixels]
    )
    near = radius_neighbors_graph(hashes, NEAR, mode="distance", metric="hamming").tocoo()
    pairs = sorted(
        (bits, first, second)
        for bits, first, second in zip(near.data, near.row, near.col, strict=True)
        if first < second
    )
    rows = []
    for bits, first, second in pairs:
        one, other = pictures.iloc[first], pictures.iloc[second]
        same = {f"same_{name}": one[name] == other[name] for name in ("patient", "class", "split")}
        exact = np.array_equal(pixels[first], pixels[second])
        rows.append({"first": one["path"], "second": other["path"], "bits": bits, "exact": exact})
        rows[-1] |= same
    columns = ["first", "second", "bits", "exact", "same_patient", "same_class", "same_split"]
    return pd.DataFrame(rows, columns=columns)
