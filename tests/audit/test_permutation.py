import numpy as np
import pytest

import xraykit as xk
from xraykit.audit import permutation
from xraykit.audit.permutation import permutation_p, permute_labels, smallest_p

PATIENTS = tuple(f"p{i}" for i in range(60))


def test_permutation_p_of_a_predictive_feature_is_the_smallest():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    values = np.column_stack([rng.normal(labels, 0.3), rng.normal(0, 1, 60)])
    assert permutation_p(values, labels, patients=PATIENTS, n_permutations=199) == 1 / 200


def test_permutation_p_noise_rarely_gives_a_small_p():
    rng = np.random.default_rng(0)
    p = [
        permutation_p(
            rng.normal(size=(60, 4)), rng.integers(0, 2, 60), patients=PATIENTS, n_permutations=99
        )
        for _ in range(25)
    ]
    assert np.mean(np.array(p) <= 0.1) <= 0.1
    assert max(p) > 0.5


def test_permutation_p_of_a_patients_feature_is_not_small():
    """Each patient has five similar images of one class: 12 patients, not 60."""
    rng = np.random.default_rng(1)
    owners = np.arange(60) // 5
    values = rng.normal(size=(12, 4))[owners] + rng.normal(0, 0.01, (60, 4))
    labels = (np.arange(12) % 2)[owners]
    by_patient = permutation_p(
        values, labels, patients=tuple(f"p{owner}" for owner in owners), n_permutations=199
    )
    assert by_patient > 0.05
    assert (
        permutation_p(values, labels, patients=PATIENTS, n_permutations=199) == 1 / 200
    )  # as if 60 patients


def test_permutation_p_finds_a_class_in_the_middle_of_the_other():
    values = np.linspace(-1, 1, 60)[:, None]
    labels = (np.abs(values[:, 0]) > 0.5).astype(int)
    assert permutation_p(values, labels, patients=PATIENTS, n_permutations=199) == 1 / 200


def test_permutation_p_is_the_largest_over_three_splits(monkeypatch):
    rng = np.random.default_rng(4)
    sets = [(rng.normal(size=(60, 2)), rng.integers(0, 2, 60)) for _ in range(6)]

    def p_values(n_splits):
        monkeypatch.setattr(permutation, "N_SPLITS", n_splits)
        return np.array(
            [permutation_p(*each, patients=PATIENTS, n_permutations=99) for each in sets]
        )

    three, one = p_values(permutation.N_SPLITS), p_values(1)
    assert (three >= one).all() and (three > one).any()


@pytest.mark.parametrize("sizes", [(5, 5), (4, 8), (4, 4, 4)])
def test_smallest_p_is_that_of_a_perfect_feature(sizes):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    values, patients = np.eye(len(sizes))[labels], PATIENTS[: len(labels)]
    p = permutation_p(values, labels, patients=patients, n_permutations=9999)
    assert p == pytest.approx(smallest_p(labels, patients, n_permutations=9999), rel=0.35)


def test_permute_labels_keeps_a_patients_images_together():
    labels, patients = np.array([0, 0, 1, 1, 0, 1, 0]), ("a", "a", "a", "b", "c", "d", "d")
    first, *permuted = permute_labels(labels, patients=patients, n_permutations=50, seed=0)
    assert first.tolist() == labels.tolist()
    blocks = [0, 2, 3, 4, 5, 6]  # the first of each patient and class
    for labels in permuted:
        assert labels[0] == labels[1]
        assert sorted(labels[blocks]) == [0, 0, 0, 1, 1, 1]
    assert len({tuple(labels) for labels in permuted}) > 10


def test_permutation_p_same_seed_gives_the_same_p():
    rng = np.random.default_rng(2)
    values, labels = rng.normal(size=(60, 3)), rng.integers(0, 2, 60)
    first, again, other = (
        permutation_p(values, labels, patients=PATIENTS, seed=seed, n_permutations=99)
        for seed in (1, 1, 2)
    )
    assert first == again != other


def test_permutation_p_fewer_patients_than_folds_raises():
    with pytest.raises(xk.InputError, match="at least 5 patients; found 4"):
        permutation_p(np.zeros((4, 1)), np.array([0, 1, 0, 1]), patients=("a", "b", "c", "d"))
