import numpy as np
import pandas as pd
import pytest

import xraykit as xk
from xraykit.evaluation.comparison import holm, mcnemar


def said(right):
    predicted = np.where(right, "covid", "normal")
    return pd.DataFrame(
        {"path": [f"{i}.png" for i in range(len(right))], "true": "covid", "predicted": predicted}
    )


def test_mcnemar_is_the_binomial_test_of_the_pictures_that_differ():

    first = said([True] * 6 + [False] + [True] * 20)
    second = said([False] * 6 + [True] + [True] * 20)
    assert mcnemar(first, second)[:2] == (6, 1)
    assert mcnemar(first, second)[2] == pytest.approx(2 * (1 + 7) / 2**7)  # both tails, by hand


def test_when_the_rows_are_in_another_order_then_nothing_changes():
    first, second = said([True, True, False, True]), said([False, False, False, True])
    shuffled = second.sample(frac=1, random_state=0)
    assert mcnemar(first, shuffled) == mcnemar(first, second) == (2, 0, 0.5)


def test_when_the_pictures_differ_then_one_line_says_so():
    with pytest.raises(xk.InputError, match="predictions of the same pictures"):
        mcnemar(said([True, True]), said([True]))


def test_holm_multiplies_the_smallest_most_and_never_falls():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.5]), [0.04, 0.09, 0.09, 0.5])
    np.testing.assert_allclose(holm([0.9, 0.8]), [1, 1])
