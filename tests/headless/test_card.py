import json

import pytest
from click.testing import CliRunner

import xraykit as xk
from xraykit.cli import cli
from xraykit.headless.card import write_card
from xraykit.headless.collect import collect
from xraykit.headless.results import write_results

SCORE = {"correct": 27, "total": 36, "low": 0.59, "high": 0.86, "loss": 0.7, "brier": 0.4}
SCORE |= {"calibration_error": 0.1, "confusion": [[15, 3], [6, 12]]}


def records(names, *rows):
    return [dict(zip(names, row, strict=True)) | {"low": 0.1, "high": 0.9} for row in rows]


RESULTS = {
    "schema": 1,
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
        "checks": [
            {"check": "border", "verdict": "predicts the class", "flagged": True, "p": 0.003,
             "evidence": "120 | 129"},
        ],
        "baselines": records(
            ("name", "sees", "split", "correct", "total"),
            ("border", "the outermost", "cross-validated", 120, 129),
            ("border", "the outermost", "test", 30, 36),
        ),
        "best_baseline": "border",
        "summary": "Of the 9 images, 9 can be predicted without the lungs.",
    },
    "perturbations": records(
        ("perturbation", "model", "correct", "total"),
        ("unchanged", "original model", 27, 36),
        ("thorax black", "original model", 18, 36),
        ("thorax black", "retrained", 33, 36),
    ),
    "external_validation": records(
        ("group", "predicted", "count", "total"),
        ("healthy adults", "normal", 3, 100),
        ("healthy adults", "covid", 97, 100),
    ),
}  # fmt: skip


@pytest.fixture
def run(tmp_path):
    write_results(tmp_path, RESULTS)
    return tmp_path


def test_card_has_all_that_a_reader_must_know(run):
    done = CliRunner().invoke(cli, ["card", str(run)], catch_exceptions=False)
    assert done.exit_code == 0 and done.stdout.split() == [f"{run}/card.md", f"{run}/card.html"]
    card, page = ((run / f"card.{ending}").read_text("utf-8") for ending in ("md", "html"))
    for text in (card, page):
        assert "Not a medical device." in text
        assert "27/36 = 75 % [59, 86]" in text  # the score
        assert "30/36 = 83 % [68, 92]" in text  # the baseline's
        assert "covid predicted as normal: 6/18 = 33 % [16, 56]" in text
        assert "9 can be predicted without the lungs" in text
        assert "MobileNetV2" in text
        assert "33/36 = 92 % [78, 97]" in text  # on the border alone
        assert "97/100 = 97 % [92, 99]" in text and "not tested" not in text
    assert "| **predicts the class** | 0.003 |" in card
    assert "| border | 120/129 = 93 % [87, 96] | 30/36 = 83 % [68, 92] | the outermost |" in card
    assert "| test images | original model | retrained |" in card
    assert "| unchanged | 27/36 = 75 % [59, 86] |  |" in card
    assert "| images | normal | covid |" in card
    assert "<strong>predicts the class</strong>" in page
    assert page.count("<table>") == 7
    assert page.count('<div class="scroll" tabindex="0">\n<table>') == 7  # reached by the keyboard
    assert page.count("</table>\n</div>") == 7 and '<pre tabindex="0">' in page
    title = card.partition("\n")[0].removeprefix("# ")
    assert f"<title>{title}</title>" in page and page.count(f">{title}</h1>") == 1


def test_when_text_could_be_taken_for_markup_then_it_stays_text(run):
    write_card(run)
    page = (run / "card.html").read_text("utf-8")
    assert "<b>x" not in page and "&lt;b&gt;x|y" in page
    assert "<td>120 | 129</td>" in page


def test_card_of_older_results_says_what_is_not_known(tmp_path):
    old = {name: RESULTS[name] for name in ("schema", "status", "settings")}
    task = {name: RESULTS["task"][name] for name in ("name", "classes", "images")}
    short = {name: SCORE[name] for name in ("correct", "total", "low", "high")}
    write_results(tmp_path, old | {"task": task, "scores": {"test": short}})
    write_card(tmp_path)
    card = (tmp_path / "card.md").read_text("utf-8")
    assert "No audit was saved with the results" in card
    assert "other hospitals and machines: not tested." in card
    assert "Not saved with the results: `xk.save_results(..., perturbations=" in card
    assert card.count("Not saved with the results.") == 2  # the recipe and the confusions
    assert "None" not in card and "nan" not in card and "0/0" not in card


def test_when_images_are_phantoms_then_the_card_says_so(tmp_path):
    write_results(tmp_path, RESULTS | {"task": RESULTS["task"] | {"phantoms": True}})
    write_card(tmp_path)
    assert "show nobody" in (tmp_path / "card.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("results", "message"),
    [
        ({"schema": 1, "status": "failed"}, r"holds no scores \(status: failed\)"),
        ({"schema": 9, "status": "done"}, "has version 9, this xraykit"),
        (None, "can't be read"),
    ],
)
def test_when_there_is_nothing_to_tell_then_one_line_says_so(tmp_path, results, message):
    if results:
        (tmp_path / "results.json").write_text(json.dumps(results))
    with pytest.raises(xk.InputError, match=message):
        write_card(tmp_path)
    assert not (tmp_path / "card.md").exists()


def test_collect_shows_the_best_baseline_beside_the_score(run):
    table = collect([run])
    assert table.loc[0, "best_baseline"] == f"border {xk.Proportion(30, 36)}"


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


def test_card_one_of_many_without_results_spares_the_others(run, tmp_path):
    done = CliRunner().invoke(cli, ["card", str(tmp_path / "none"), str(run)])
    assert done.exit_code == 0
    assert f"No card: {tmp_path}/none/results.json can't be read" in done.stderr
    assert (run / "card.html").exists()
    done = CliRunner().invoke(cli, ["card", str(tmp_path / "none"), str(tmp_path / "nowhere")])
    assert done.exit_code == 2 and done.stderr.count("No card: ") == 2
