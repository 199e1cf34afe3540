import numpy as np
import pytest

import xraykit as xk
from xraykit.audit import permutation
from xraykit.audit.permutation import deal, permutation_p, smallest_p

ONE_EACH = tuple(f"p{i}" for i in range(60))


def test_when_the_table_tells_the_class_then_p_is_the_smallest_possible():
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    table = np.column_stack([rng.normal(labels, 0.3), rng.normal(0, 1, 60)])
    assert permutation_p(table, labels, ONE_EACH, dealings=199) == 1 / 200


def test_when_the_table_tells_nothing_then_p_is_rarely_small():
    rng = np.random.default_rng(0)
    p = [
        permutation_p(rng.normal(size=(60, 4)), rng.integers(0, 2, 60), ONE_EACH, dealings=99)
        for _ in range(25)
    ]
    assert np.mean(np.array(p) <= 0.1) <= 0.1
    assert max(p) > 0.5


def test_when_the_table_tells_the_patient_alone_then_it_does_not_tell_the_class():
    """Each patient has five images that are alike, of one class: 12 patients, not 60."""
    rng = np.random.default_rng(1)
    owners = np.arange(60) // 5
    table = rng.normal(size=(12, 4))[owners] + rng.normal(0, 0.01, (60, 4))
    labels = (np.arange(12) % 2)[owners]
    by_patient = permutation_p(table, labels, tuple(f"p{owner}" for owner in owners), dealings=199)
    assert by_patient > 0.05
    assert permutation_p(table, labels, ONE_EACH, dealings=199) == 1 / 200  # as if 60 patients


def test_when_the_middle_is_one_class_and_both_ends_the_other_then_it_is_told():
    numbers = np.linspace(-1, 1, 60)[:, None]
    labels = (np.abs(numbers[:, 0]) > 0.5).astype(int)
    assert permutation_p(numbers, labels, ONE_EACH, dealings=199) == 1 / 200


def test_p_is_the_largest_of_three_ways_to_cut(monkeypatch):
    rng = np.random.default_rng(4)
    sets, ways = (
        [(rng.normal(size=(60, 2)), rng.integers(0, 2, 60)) for _ in range(6)],
        permutation.CUTS,
    )

    def found(ways):
        monkeypatch.setattr(permutation, "CUTS", ways)
        return np.array([permutation_p(*each, ONE_EACH, dealings=99) for each in sets])

    assert (found(ways) >= found(1)).all() and (found(ways) > found(1)).any()


@pytest.mark.parametrize("sizes", [(5, 5), (4, 8), (4, 4, 4)])
def test_the_smallest_p_is_that_of_a_table_that_tells_all(sizes):
    labels = np.repeat(np.arange(len(sizes)), sizes)
    told, patients = np.eye(len(sizes))[labels], ONE_EACH[: len(labels)]
    found = permutation_p(told, labels, patients, dealings=9999)
    assert found == pytest.approx(smallest_p(labels, patients, dealings=9999), rel=0.35)


def test_when_classes_are_dealt_then_images_of_a_patient_and_class_stay_together():
    labels, patients = np.array([0, 0, 1, 1, 0, 1, 0]), ("a", "a", "a", "b", "c", "d", "d")
    first, *dealt = deal(labels, patients, 50, seed=0)
    assert first.tolist() == labels.tolist()
    blocks = [0, 2, 3, 4, 5, 6]  # the first of each patient and class
    for labels_anew in dealt:
        assert labels_anew[0] == labels_anew[1]
        assert sorted(labels_anew[blocks]) == [0, 0, 0, 1, 1, 1]
    assert len({tuple(each) for each in dealt}) > 10


def test_when_asked_again_then_p_is_the_same():
    rng = np.random.default_rng(2)
    table, labels = rng.normal(size=(60, 3)), rng.integers(0, 2, 60)
    first, again, other = (
        permutation_p(table, labels, ONE_EACH, seed=seed, dealings=99) for seed in (1, 1, 2)
    )
    assert first == again != other


def test_when_there_are_fewer_patients_than_folds_then_one_line_says_so():
    with pytest.raises(xk.InputError, match="at least 5 patients; found 4"):
        permutation_p(np.zeros((4, 1)), np.array([0, 1, 0, 1]), ("a", "b", "c", "d"))
