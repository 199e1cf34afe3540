import numpy as np
import pandas as pd
import pytest

import xraykit as xk
from xraykit.metrics.intervals import add_intervals, format_counts, label_columns, wilson_interval
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
def test_wilson_interval_covers_the_truth_as_often_as_promised(total):
    rng = np.random.default_rng(total)
    accuracies = rng.uniform(0.5, 0.97, 4000)
    intervals = np.array([wilson_interval(correct, total) for correct in range(total + 1)])
    low, high = intervals[rng.binomial(total, accuracies)].T
    assert 0.93 <= np.mean((low <= accuracies) & (accuracies <= high)) <= 0.97


@pytest.mark.parametrize("counts", [(5, 3), (-1, 3), (0.75, 36), (27.0, 36.0), ("a", 3)])
def test_proportion_of_impossible_counts_raises(counts):
    with pytest.raises(xk.InputError, match="expected two whole numbers, the first not larger"):
        xk.Proportion(*counts)


def test_proportion_nearly_1_does_not_round_its_interval_away():
    assert str(xk.Proportion(9999, 10000)) == "9999/10000 = 100.0 % [99.9, 100.0]"


@pytest.fixture
def counts():
    """Two tasks by two models, one of which was not run."""
    return pd.DataFrame(
        {
            "task": ["two", "two", "four", "four"],
            "model": ["original", "retrained"] * 2,
            "correct": [18, 9, 27, np.nan],
            "total": [18, 18, 36, np.nan],
            "note": list("abcd"),
        }
    )


def test_add_intervals_leaves_missing_totals_open(counts):
    table = add_intervals(counts)
    assert list(table) == ["task", "model", "correct", "total", "low", "high", "note"]
    assert table[["low", "high"]].iloc[2].tolist() == pytest.approx(wilson_interval(27, 36))
    assert table[["low", "high"]].isna().all(axis=1).tolist() == [False] * 3 + [True]
    assert list(add_intervals(counts.rename(columns={"correct": "count"})))[2] == "count"


def test_add_intervals_keeps_the_index_of_the_table(counts):
    table = add_intervals(counts.iloc[::-1])
    assert table.index.tolist() == [3, 2, 1, 0]
    assert table.loc[1, "high"] == pytest.approx(wilson_interval(9, 18)[1])


def test_label_columns_are_those_before_the_counts(counts):
    assert label_columns(counts) == ["task", "model"]
    assert label_columns(counts.rename(columns={"correct": "count"})) == ["task", "model"]


def test_format_counts_is_empty_where_the_total_is_missing(counts):
    reversed_counts = counts.iloc[::-1]
    assert format_counts(reversed_counts).to_dict() == {
        0: "18/18 = 100 % [82, 100]",
        1: "9/18 = 50 % [29, 71]",
        2: "27/36 = 75 % [59, 86]",
        3: "",
    }


def test_proportion_takes_a_width_in_a_format():
    assert f"{xk.Proportion(27, 36):>23}|" == "  27/36 = 75 % [59, 86]|"


def test_display_table_has_a_column_per_value_of_the_last_label(counts):
    table = xk.display_table(counts)
    assert table.index.tolist() == ["two", "four"]  # in their order, not sorted
    assert table.columns.tolist() == ["original", "retrained"]
    assert table.loc["two", "retrained"] == "9/18 = 50 % [29, 71]"
    assert table.loc["four"].tolist() == ["27/36 = 75 % [59, 86]", ""]


def test_display_table_of_a_missing_row_is_empty_there(counts):
    assert xk.display_table(counts.iloc[:3]).loc["four", "retrained"] == ""


def test_display_table_of_one_label_has_one_column_of_counts(counts):
    table = xk.display_table(counts.iloc[:2].drop(columns="task"))
    assert table.index.tolist() == ["original", "retrained"]
    assert table["correct"].tolist() == ["18/18 = 100 % [82, 100]", "9/18 = 50 % [29, 71]"]


@pytest.mark.parametrize(
    "function", [add_intervals, label_columns, format_counts, xk.display_table]
)
@pytest.mark.parametrize(
    ("table", "message"),
    [
        (pd.DataFrame({"model": ["a"], "correct": [3]}), "found model, correct"),
        ({"correct": 3, "total": 4}, "found dict"),
        (None, "found NoneType"),
    ],
)
def test_functions_of_counts_raise_for_other_values(function, table, message):
    with pytest.raises(xk.InputError, match=f"Expected a table of counts.*{message}$"):
        function(table)


def test_display_table_without_labels_raises():
    with pytest.raises(xk.InputError, match="with labels before correct; found none"):
        xk.display_table(pd.DataFrame({"correct": [3], "total": [4]}))


def make_scores(positives, hits, negatives, rejected):
    table = [[hits, positives - hits], [negatives - rejected, rejected]]
    confusion = pd.DataFrame(table, ["abnormal", "normal"], ["abnormal", "normal"])
    return Scores(hits + rejected, positives + negatives, 0.3, confusion)


def test_predictive_values_have_one_row_per_class_and_measure():
    table = xk.predictive_values(make_scores(258, 231, 86, 54), 0.25)
    assert list(table) == ["class", "measure", "value", "low", "high"]
    assert table["class"].tolist() == ["abnormal", "abnormal", "normal", "normal"]
    assert table["measure"].str.split().str[0].tolist() == ["positive", "negative"] * 2
    assert (table["low"] < table["value"]).all() and (table["value"] < table["high"]).all()


@pytest.mark.parametrize(
    ("prevalence", "positive", "negative"), [(258 / 344, 0.88, 0.67), (0.25, 0.45, 0.95)]
)
def test_predictive_values_are_those_of_a_published_example(prevalence, positive, negative):
    """Altman and Bland 1994, BMJ 309, 102: liver scans, 231 of 258 and 54 of 86."""
    table = xk.predictive_values(make_scores(258, 231, 86, 54), prevalence)
    values = table.loc[table["class"] == "abnormal", "value"].tolist()
    assert values == pytest.approx([positive, negative], abs=0.005)


def test_predictive_values_cover_the_truth_as_often_as_promised():
    rng = np.random.default_rng(1)
    sensitivity, specificity, prevalence = 0.85, 0.9, 0.1
    true = 0.85 * 0.1 / (0.85 * 0.1 + 0.1 * 0.9)
    covered = []
    for _ in range(300):
        hits, rejected = rng.binomial(40, sensitivity), rng.binomial(60, specificity)
        table = xk.predictive_values(make_scores(40, hits, 60, rejected), prevalence)
        covered.append(table.loc[0, "low"] <= true <= table.loc[0, "high"])
    assert np.mean(covered) >= 0.95


def test_predictive_values_nearly_1_have_an_interval():
    value, low, high = xk.predictive_values(make_scores(9, 9, 9, 9), 0.001).iloc[1, 2:]
    assert value == high == 1 and 0.999 <= low < 1


def test_predictive_values_of_something_else_raise():
    with pytest.raises(xk.InputError, match=r"Expected scores, xk.score\(predictions\); found a"):
        xk.predictive_values(pd.DataFrame({"true": ["a"]}), 0.1)


@pytest.mark.parametrize("prevalence", ["1 %", None, 0, 1, 1.5, -0.1, float("nan")])
def test_predictive_values_with_prevalence_out_of_range_raise(prevalence):
    with pytest.raises(xk.InputError, match="expected a number above 0 and below 1"):
        xk.predictive_values(make_scores(2, 1, 2, 1), prevalence)


def test_predictive_values_of_an_absent_class_are_unknown():
    value, low, high = xk.predictive_values(make_scores(0, 0, 9, 9), 0.5).iloc[0, 2:]
    assert np.isnan(value) and (low, high) == (0, 1)


def test_predictive_values_never_predicted_class_is_unknown():
    value, low, high = xk.predictive_values(make_scores(9, 0, 9, 9), 0.5).iloc[0, 2:]
    assert np.isnan(value) and low == 0 < high
