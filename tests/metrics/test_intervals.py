import numpy as np
import pandas as pd
import pytest

import xraykit as xk
from xraykit.metrics.intervals import wilson_interval
from xraykit.metrics.scores import Scores


@pytest.mark.parametrize(
    ("correct", "total", "low", "high"),
    [
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0000, 0.1611),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_is_that_of_published_worked_examples(correct, total, low, high):
    """Newcombe 1998, Statistics in Medicine 17, 857, table I."""
    assert wilson_interval(correct, total) == pytest.approx((low, high), abs=5e-5)


@pytest.mark.parametrize("total", [18, 36, 129, 269])
def test_accuracy_interval_covers_the_truth_as_often_as_it_promises(total):
    rng = np.random.default_rng(total)
    truths = rng.uniform(0.5, 0.97, 4000)
    ends = {correct: wilson_interval(correct, total) for correct in range(total + 1)}
    drawn = [ends[int(correct)] for correct in rng.binomial(total, truths)]
    covered = [low <= truth <= high for (low, high), truth in zip(drawn, truths, strict=True)]
    assert 0.93 <= np.mean(covered) <= 0.97


def counted(positives, hits, negatives, rejected):
    table = [[hits, positives - hits], [negatives - rejected, rejected]]
    confusion = pd.DataFrame(table, ["abnormal", "normal"], ["abnormal", "normal"])
    return Scores(hits + rejected, positives + negatives, 0.3, confusion)


@pytest.mark.parametrize(
    ("prevalence", "positive", "negative"), [(258 / 344, "88 %", "67 %"), (0.25, "45 %", "95 %")]
)
def test_predictive_values_are_those_of_a_published_worked_example(prevalence, positive, negative):
    """Altman and Bland 1994, BMJ 309, 102: liver scans, 231 of 258 and 54 of 86."""
    said = xk.predictive_values(counted(258, 231, 86, 54), prevalence).loc["abnormal"]
    assert [value.partition(" [")[0] for value in said] == [positive, negative]


def test_predictive_values_cover_the_truth_at_least_as_often_as_they_promise():
    rng = np.random.default_rng(1)
    sensitivity, specificity, prevalence = 0.85, 0.9, 0.1
    true = 100 * 0.85 * 0.1 / (0.85 * 0.1 + 0.1 * 0.9)
    covered = []
    for _ in range(300):
        hits, rejected = rng.binomial(40, sensitivity), rng.binomial(60, specificity)
        said = xk.predictive_values(counted(40, hits, 60, rejected), prevalence)
        low, high = said.loc["abnormal"].iloc[0].partition("[")[2].rstrip("]").split(", ")
        covered.append(int(low) - 0.5 <= true <= int(high) + 0.5)
    assert np.mean(covered) >= 0.95


def test_when_it_is_nearly_certain_then_no_interval_is_rounded_away():
    assert str(xk.Proportion(9999, 10000)) == "9999/10000 = 100.0 % [99.9, 100.0]"
    said = xk.predictive_values(counted(9, 9, 9, 9), 0.001).loc["abnormal"].iloc[1]
    assert said == "100.0 % [99.9, 100.0]"


@pytest.mark.parametrize("counts", [(5, 3), (-1, 3), (0.75, 36), (27.0, 36.0), ("a", 3)])
def test_when_counts_make_no_sense_then_one_line_says_so(counts):
    with pytest.raises(xk.InputError, match="expected whole numbers, not more right than"):
        xk.Proportion(*counts)


def test_when_it_is_no_scores_then_one_line_says_how_to_get_some():
    with pytest.raises(xk.InputError, match=r"Expected scores, xk.score\(predictions\); found a"):
        xk.predictive_values(pd.DataFrame({"true": ["a"]}), 0.1)


@pytest.mark.parametrize("prevalence", ["1 %", None, 0, 1, 1.5, -0.1, float("nan")])
def test_when_prevalence_is_no_share_then_one_line_says_so(prevalence):
    with pytest.raises(xk.InputError, match="expected a number above 0 and below 1"):
        xk.predictive_values(counted(2, 1, 2, 1), prevalence)


def test_when_a_class_is_absent_then_its_predictive_value_is_open():
    assert xk.predictive_values(counted(0, 0, 9, 9), 0.5).iloc[0, 0].endswith("[0, 100]")


def test_when_a_class_is_never_named_then_what_that_would_be_worth_is_unknown():
    assert xk.predictive_values(counted(9, 0, 9, 9), 0.5).iloc[0, 0].startswith("unknown [0, ")
