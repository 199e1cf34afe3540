import json

import pytest
from tiny import xraykit

import xraykit as xk
from xraykit.headless.card import write_card
from xraykit.headless.collect import collect
from xraykit.headless.results import write_results

SCORE = {"correct": 27, "total": 36, "interval": [0.59, 0.86], "loss": 0.7, "brier": 0.4}
SCORE |= {"calibration_error": 0.1, "confusion": [[15, 3], [6, 12]]}
RESULTS = {
    "schema": 3,
    "status": "done",
    "notebook": "task1_binary",
    "settings": {"recipe": "task1-mobilenetv2", "seed": 42},
    "recipe": "task1-mobilenetv2\nnetwork   MobileNetV2",
    "task": {
        "name": "binary",
        "classes": ["normal", "covid"],
        "phantoms": False,
        "images": {"train": 100, "validation": 29, "test": 36},
        "notes": ["Leak: patient <b>x|y</b> is in train and test."],
    },
    "model": {"parameters": 2258, "trainable": 33},
    "scores": {"validation": SCORE, "test": SCORE},
    "audit": {
        "rows": [
            {"check": "border", "verdict": "tells the class", "flagged": True, "p": 0.003,
             "evidence": "120 | 129"},
        ],
        "baselines": [
            {"name": "border", "sees": "the outermost", "cross_validated": [120, 129],
             "test": [30, 36]},
        ],
        "best": "border",
        "sentence": "Of the 9 images, 9 can be had without lungs.",
    },
    "perturbations": {
        "unchanged": {"trained as they are": [27, 36]},
        "thorax black": {"trained as they are": [18, 36], "retrained that way": [33, 36]},
    },
    "external_validation": {"healthy adults": {"called normal": [3, 100], "called covid": [97, 100]}},
}  # fmt: skip


@pytest.fixture
def run(tmp_path):
    write_results(tmp_path, RESULTS)
    return tmp_path


def test_when_a_card_is_written_then_all_that_a_reader_must_know_is_in_it(run):
    said = xraykit("card", run)
    assert said.returncode == 0 and said.stdout.split() == [f"{run}/card.md", f"{run}/card.html"]
    card, page = ((run / f"card.{ending}").read_text("utf-8") for ending in ("md", "html"))
    for text in (card, page):
        assert "Not a medical device." in text
        assert "27/36 = 75 % [59, 86]" in text  # the score
        assert "30/36 = 83 % [68, 92]" in text  # the baseline's
        assert "covid called normal: 6/18 = 33 % [16, 56]" in text
        assert "9 can be had without lungs" in text
        assert "MobileNetV2" in text
        assert "33/36 = 92 % [78, 97]" in text  # on the border alone
        assert "97/100 = 97 % [92, 99]" in text and "not measured" not in text
    assert "| **tells the class** | 0.003 |" in card
    assert "| test images | trained as they are | retrained that way |" in card
    assert "<strong>tells the class</strong>" in page
    assert page.count("<table>") == 7


def test_when_text_could_be_taken_for_markup_then_it_stays_text(run):
    write_card(run)
    page = (run / "card.html").read_text("utf-8")
    assert "<b>x" not in page and "&lt;b&gt;x|y" in page
    assert "<td>120 | 129</td>" in page


def test_when_results_are_of_an_older_version_then_the_card_says_what_is_not_known(tmp_path):
    old = {name: RESULTS[name] for name in ("status", "settings")} | {"schema": 1}
    task = {name: RESULTS["task"][name] for name in ("name", "classes", "images")}
    short = {name: SCORE[name] for name in ("correct", "total", "interval")}
    write_results(tmp_path, old | {"task": task, "scores": {"test": short}})
    write_card(tmp_path)
    card = (tmp_path / "card.md").read_text("utf-8")
    assert "No audit was kept with the results" in card
    assert "other hospitals and machines: not measured." in card
    assert "Not kept with the results: `xk.save_results(..., perturbations=" in card
    assert card.count("Not kept with the results.") == 2  # the recipe, and what is mixed up
    assert "None" not in card and "nan" not in card and "0/0" not in card


def test_when_images_are_phantoms_then_the_card_says_so(tmp_path):
    write_results(tmp_path, RESULTS | {"task": RESULTS["task"] | {"phantoms": True}})
    write_card(tmp_path)
    assert "show nobody" in (tmp_path / "card.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ({"schema": 2, "status": "failed"}, r"holds no scores \(status: failed\)"),
        ({"schema": 9, "status": "done"}, "is of version 9"),
        (None, "can't be read"),
    ],
)
def test_when_there_is_nothing_to_tell_then_one_line_says_so(tmp_path, results, message):
    if results:
        (tmp_path / "results.json").write_text(json.dumps(results))
    with pytest.raises(xk.InputError, match=message):
        write_card(tmp_path)
    assert not (tmp_path / "card.md").exists()


def test_when_runs_are_collected_then_the_best_baseline_stands_beside_the_score(run):
    table = collect([run])
    assert table.loc[0, "without_lungs"] == f"border {xk.Proportion(30, 36)}"


@pytest.mark.parametrize(
    "change",
    [
        {"settings": None},
        {"model": {"parameters": 5}},
        {"scores": {"test": SCORE | {"confusion": [[1, 2, 3]]}}},
        {"scores": {"test": SCORE | {"confusion": []}}},
        {"settings": {"recipe": "two\nlines"}},
    ],
    ids=str,
)
def test_when_results_are_odd_then_there_is_a_card_all_the_same(tmp_path, change):
    odd = {name: value for name, value in (RESULTS | change).items() if value is not None}
    write_results(tmp_path, odd)
    card, _ = write_card(tmp_path)
    assert card.read_text("utf-8").startswith("# Model card: ")
    assert "\n\n**Not a medical device." in card.read_text("utf-8")


def test_when_one_of_many_has_no_results_then_the_others_get_their_cards(run, tmp_path):
    said = xraykit("card", tmp_path / "none", run)
    assert said.returncode == 2 and f"{tmp_path}/none/results.json can't be read" in said.stderr
    assert (run / "card.html").exists()
