import numpy as np
import pandas as pd
import pytest
from scipy.stats import binomtest, multinomial

import xraykit as xk
from xraykit.metrics.comparison import (
    compare_proportions,
    holm,
    mcnemar,
    mcnemar_power,
    required_test_size,
)


def predict(correct):
    predicted = np.where(correct, "covid", "normal")
    return pd.DataFrame(
        {"path": [f"{i}.png" for i in range(len(correct))], "true": "covid", "predicted": predicted}
    )


def test_mcnemar_is_the_binomial_test_of_the_images_that_differ():
    first = predict([True] * 6 + [False] + [True] * 20)
    second = predict([False] * 6 + [True] + [True] * 20)
    assert mcnemar(first, second)[:2] == (6, 1)
    assert mcnemar(first, second)[2] == pytest.approx(2 * (1 + 7) / 2**7)  # both tails, by hand


def test_mcnemar_does_not_depend_on_the_order_of_rows():
    first, second = (
        predict([True, True, True, False]),
        predict([False, False, False, True]),
    )
    reversed_rows = second.iloc[::-1]
    assert mcnemar(first, reversed_rows) == mcnemar(first, second) == (3, 1, 0.625)
    by_place = reversed_rows.assign(path=first["path"].to_list())
    assert mcnemar(first, by_place)[:2] == (2, 0)


def test_mcnemar_of_other_images_raises():
    with pytest.raises(xk.InputError, match="predictions of the same images"):
        mcnemar(predict([True, True]), predict([True]))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (None, r"tables from xk.predict; found nothing \(None\)"),
        ("predictions.csv", "found a value of type str"),
        (pd.DataFrame({"true": ["a"]}), "path, true and predicted; found 1 rows of true"),
        (predict([]), "found 0 rows"),
        (predict([True, True]), "found 1 and 2, of which 1 are the same"),
    ],
)
def test_mcnemar_and_required_test_size_of_other_values_raise(other, message):
    for compare in (mcnemar, required_test_size):
        with pytest.raises(xk.InputError, match=message):
            compare(predict([True]), other)


def test_holm_corrects_in_steps_and_never_decreases():
    np.testing.assert_allclose(holm([0.01, 0.04, 0.03, 0.5]), [0.04, 0.09, 0.09, 0.5])
    np.testing.assert_allclose(holm([0.9, 0.8]), [1, 1])


def test_mcnemar_gives_the_published_p_of_a_worked_example():
    """Fagerland, Lydersen and Laake 2013, BMC Med. Res. Methodology 13, 91: 1 and 7 of 21."""
    first = predict([True] * 1 + [False] * 7 + [True] * 13)
    second = predict([False] * 1 + [True] * 7 + [True] * 13)
    assert mcnemar(first, second) == (1, 7, pytest.approx(0.070, abs=5e-4))


def test_power_is_that_of_a_published_worked_example():
    """O'Brien 2002 (G*Power's manual): fractions .32 and .08, 50 pairs, one-sided 5 %: 0.8393."""
    assert mcnemar_power(50, only_first=0.32, only_second=0.08, level=0.10) == pytest.approx(
        0.83934, abs=1e-4
    )


def test_required_test_size_has_its_power_in_a_simulation():
    first = predict([True] * 5 + [False] + [True] * 30)
    second = predict([False] * 5 + [True] * 31)
    needed = required_test_size(first, second)
    rng = np.random.default_rng(0)
    kinds = rng.choice(3, size=(400, needed), p=[5 / 36, 1 / 36, 30 / 36])
    p = [mcnemar(predict(draw != 1), predict(draw != 0))[2] for draw in kinds]
    assert np.mean(np.array(p) <= 0.05) == pytest.approx(0.8, abs=0.06)
    assert (
        mcnemar_power(needed - 1, only_first=5 / 36, only_second=1 / 36)
        < 0.8
        <= mcnemar_power(needed, only_first=5 / 36, only_second=1 / 36)
    )


@pytest.mark.parametrize("level", [0.01, 0.05, 0.2])
@pytest.mark.parametrize("images", [1, 7, 30])
def test_power_is_the_sum_over_all_outcomes(images, level):
    fractions = np.array([0.3, 0.1, 0.6])
    power = 0.0
    for first in range(images + 1):
        for second in range(images + 1 - first):
            differing = first + second
            if differing and binomtest(first, differing).pvalue <= level:
                counts = [first, second, images - differing]
                power += multinomial.pmf(counts, images, fractions)
    actual = mcnemar_power(images, only_first=0.3, only_second=0.1, level=level)
    assert actual == pytest.approx(power, abs=1e-9)


@pytest.mark.parametrize("options", [{}, {"level": 0.01}, {"power": 0.9}, {"power": 0.5}])
def test_required_test_size_is_the_smallest_with_the_power(options):
    pair = predict([True] * 8 + [False] + [True] * 30), predict([False] * 8 + [True] * 31)
    needed = required_test_size(*pair, **options)
    fractions = {"only_first": 8 / 39, "only_second": 1 / 39, "level": options.get("level", 0.05)}
    power = options.get("power", 0.8)
    assert mcnemar_power(needed - 1, **fractions) < power <= mcnemar_power(needed, **fractions)


def test_mcnemar_of_equal_predictions_has_p_1():
    assert mcnemar(predict([True, False]), predict([True, False])) == (0, 0, 1.0)


def test_required_test_size_of_equal_models_is_none():
    assert required_test_size(predict([True, False]), predict([False, True])) is None
    assert required_test_size(predict([True]), predict([True])) is None


@pytest.mark.parametrize(("name", "value"), [("power", 1.5), ("level", 0), ("power", -1)])
def test_required_test_size_power_out_of_range_raises(name, value):
    with pytest.raises(xk.InputError, match=f"{name}={value}: expected a number above 0"):
        required_test_size(predict([True, False]), predict([True, True]), **{name: value})


def test_mcnemar_of_other_true_classes_raises():
    with pytest.raises(xk.InputError, match="predictions of the same images"):
        mcnemar(predict([True]), predict([True]).assign(true="normal"))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [  # Newcombe 1998, Statistics in Medicine 17, 873, table II, method 10
        ((48, 80), (56, 70), (0.2, 0.0524, 0.3339)),
        ((3, 10), (9, 10), (0.6, 0.1705, 0.8090)),
        ((2, 7), (6, 7), (0.5714, 0.0582, 0.8062)),
        ((0, 29), (5, 56), (0.0893, -0.0381, 0.1926)),
        ((0, 20), (0, 10), (0.0, -0.1611, 0.2775)),
        ((0, 10), (10, 10), (1.0, 0.6075, 1.0)),
    ],
)
def test_compare_proportions_gives_newcombes_interval(first, second, expected):
    result = compare_proportions(xk.Proportion(*first), xk.Proportion(*second))
    assert result == pytest.approx(expected, abs=5e-5)


def test_compare_proportions_reversed_mirrors_the_interval():
    first, second = xk.Proportion(28, 36), xk.Proportion(23, 36)
    difference, low, high = compare_proportions(first, second)
    mirrored = compare_proportions(second, first)
    assert mirrored == pytest.approx((-difference, -high, -low))
    assert low < difference < 0 < high  # 28 and 23 of 36 do not differ significantly


def test_compare_proportions_of_other_values_raises():
    with pytest.raises(xk.InputError, match=r"a proportion, such as xk.Proportion\(28, 36\)"):
        compare_proportions(0.7, xk.Proportion(23, 36))
    with pytest.raises(xk.InputError, match="at least one image, found 0/0"):
        compare_proportions(xk.Proportion(0, 0), xk.Proportion(23, 36))
