import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tiny import xraykit

import xraykit as xk
from xraykit.audit import baselines
from xraykit.audit import checks as module
from xraykit.audit.audit import Audit
from xraykit.audit.baselines import Baseline
from xraykit.audit.checks import check_patients, image_table, left_out, without_lungs
from xraykit.audit.features import ImageFeature
from xraykit.audit.report import write_page

SHORTCUTS = ["file metadata", "border", "text-like marks"]


def flagged(audit):
    return audit.rows.index[audit.rows["flagged"].astype(bool)].tolist()


@pytest.fixture(scope="module")
def audited(binary):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baselines, "TREES", 20)
        return xk.audit_task(binary)


@pytest.fixture
def predictions(binary):
    """Nine of ten right."""
    names = np.array(binary.class_names)
    said = binary.test.labels.copy()
    said[0] = 1 - said[0]
    table = {"path": binary.test.paths, "patient": binary.test.patients}
    table |= {"true": names[binary.test.labels], "predicted": names[said]}
    for label, name in enumerate(names):
        table[f"probability_{name}"] = np.where(said == label, 0.8, 0.2)
    return pd.DataFrame(table)


def test_when_the_border_tells_the_class_then_it_is_flagged(audited):
    """The drawn challenge's bar runs from edge to edge, at another place in each class."""
    assert "border" in flagged(audited)
    assert audited.rows.loc["border", "verdict"] == "tells the class"
    assert audited.rows.loc["border", "p"] <= 0.01
    assert not {"brightness", "16 × 16 pixels", "patients across splits"} & set(flagged(audited))


def test_when_predictions_are_given_then_the_network_stands_beside_the_baselines(
    audited, predictions
):
    beside = audited.with_predictions(predictions)
    total = len(predictions)
    assert beside.baselines.loc["the network", "test"] == xk.Proportion(total - 1, total)
    assert f"right, {total - 1 - total // 2} beyond guessing; " in str(beside)
    assert "the network" not in audited.baselines.index


def test_when_the_network_only_guesses_then_the_sentence_says_so(audited, predictions):
    always = predictions.assign(predicted="normal")
    assert audited.with_predictions(always).summary.endswith("right, no more than guessing.")


def answers(correct):
    """Predictions of images, half normal and half covid, of which some are right."""
    true = np.repeat(["normal", "covid"], len(correct) // 2)
    other = np.where(true == "normal", "covid", "normal")
    said = np.where(correct, true, other)
    columns = {f"probability_{name}": 1.0 * (said == name) for name in ("normal", "covid")}
    table = {"path": [f"{row}.png" for row in range(len(correct))], "true": true, "predicted": said}
    return pd.DataFrame(table | columns)


def forest(name, correct, crossed, tested=True):
    said = pd.DataFrame({"true": "a", "predicted": ["a"] * crossed + ["b"] * (40 - crossed)})
    measure = ImageFeature(name, "", None, tested)
    return Baseline(measure, None, answers(correct), said.assign(repeat=1, fold=1))


def sentence(network, flagged, border, facts=(20, [True] * 20), verdict=""):
    """The sentence on 20 test images; file metadata and coarse pixels are all right there."""
    fitted = (
        forest("guessing", [True] * 10 + [False] * 10, 20, tested=False),
        forest("border", border[1], border[0]),
        forest("file metadata", facts[1], facts[0]),
        forest("16 × 16 pixels", [True] * 20, 40, tested=False),
    )
    rows = pd.DataFrame({"flagged": [each.feature.name in flagged for each in fitted]})
    rows["verdict"] = verdict
    rows.index = [each.feature.name for each in fitted]
    predictions = None if network is None else answers(network)
    return Audit(None, rows, None, {}, fitted, predictions).summary


SEVENTEEN = [False] * 3 + [True] * 17


def test_sentence_compares_the_network_with_the_best_in_cross_validation_images_by_images():
    said = sentence([True] * 18 + [False] * 2, ["border", "file metadata"], (30, SEVENTEEN))
    assert said == (
        "From border alone a forest has 17/20 = 85 % [64, 95] test images right; guessing has "
        "10/20 = 50 % [30, 70]. The network has 18/20 = 90 % [70, 97] right, 8 beyond guessing; 7 "
        "beyond guessing can be had without lungs. Both have 15 right, the network alone 3, "
        "the forest alone 2: the two can't be told apart on these images (exact McNemar test, "
        "p = 1)."
    )


def test_when_the_forest_is_better_than_the_network_then_no_more_than_its_score_needs_no_lungs():
    said = sentence([True] * 12 + [False] * 8, ["border"], (30, SEVENTEEN))
    assert "2 beyond guessing; 2 beyond guessing can be had without lungs." in said


def test_when_the_network_is_far_better_then_the_sentence_says_that_they_differ():
    said = sentence([True] * 20, ["border"], (30, [True] * 12 + [False] * 8))
    assert said.endswith("the two differ (exact McNemar test, p = 0.0078).")


def test_when_there_is_no_verdict_then_no_score_is_said_to_need_no_lungs():
    said = sentence([True] * 20, [], (30, SEVENTEEN))
    assert said.startswith("Nothing was found that tells the class without lungs. From border")
    assert "can be had without" not in said
    assert "need not come" not in sentence(None, [], (30, SEVENTEEN))
    few = sentence(None, [], (30, SEVENTEEN), verdict="too few patients for a verdict")
    assert few.startswith("There are too few patients to say whether lungs are needed. From")
    assert "need not come" in sentence(None, ["border"], (30, SEVENTEEN))
    assert "need not come" not in sentence(None, ["border"], (30, [True] * 10 + [False] * 10))


def test_when_one_measure_alone_has_a_verdict_then_it_is_the_one_named():
    assert sentence(None, ["file metadata"], (30, SEVENTEEN)).startswith("From file metadata alone")


@pytest.mark.parametrize(
    ("given", "corrected", "verdicts"),
    [
        ([0.002, 0.3, 0.005], [0.006, 0.3, 0.01], ["tells the class", "nothing found"] * 2),
        ([0.004, 0.3, 0.4], [0.012, 0.6, 0.6], ["nothing found"] * 3),
    ],
)
def test_when_there_are_p_values_then_holms_correction_decides(
    audited, monkeypatch, given, corrected, verdicts
):
    learned = audited.task.development
    left = iter(given)

    def p(table, labels, patients, seed):
        assert patients == learned.patients and len(table) == len(learned)
        return next(left)

    monkeypatch.setattr(module, "permutation_p", p)
    rows = without_lungs(audited.task, audited.fitted, seed=1)
    assert [rows[name][2] for name in SHORTCUTS] == pytest.approx(corrected)
    assert [rows[name][0] for name in SHORTCUTS] == verdicts[:3]


def test_when_there_are_too_few_patients_for_a_verdict_then_the_row_says_so(audited, monkeypatch):
    images = audited.task.train
    rows = [np.flatnonzero(images.labels == label)[:5] for label in (0, 1)]
    few = images.subset(np.concatenate(rows))
    halves = few.subset(range(0, 10, 2)), few.subset(range(1, 10, 2))
    task = replace(audited.task, train=halves[0], validation=halves[1])
    monkeypatch.setattr(module, "permutation_p", lambda *given: 0.009)
    row = without_lungs(task, audited.fitted, seed=1)["border"]
    assert row[0] == "too few patients for a verdict" and not row[1]
    assert row[3].endswith("However well they told it, p could not be below 0.027.")


def test_when_a_measure_is_noise_then_a_forest_of_it_only_guesses(binary, monkeypatch):
    rng = np.random.default_rng(0)
    noise = ImageFeature("noise", "", lambda path, grey: rng.normal(size=5), True)
    monkeypatch.setattr(baselines, "IMAGE_FEATURES", (noise,))
    monkeypatch.setattr(baselines, "TREES", 50)
    images = sum(map(len, (binary.train, binary.validation, binary.test)))
    _, found = baselines.fit_baselines(binary, [np.zeros((2, 2))] * images, 1, 5, seed=1)
    correct, total = found.counts["cross-validated"]
    assert correct <= 0.8 * total


def test_when_files_were_left_out_then_the_audit_names_them(audited):
    skipped = pd.DataFrame([["two/train/covid/x.png", "not an image"]], columns=["path", "reason"])
    verdict, flagged, _, evidence = left_out(replace(audited.task, skipped=skipped))
    assert (verdict, flagged) == ("found: 1 file", True)
    assert evidence == "two/train/covid/x.png: not an image."
    assert audited.rows.loc["files left out", "verdict"] == "none"


@pytest.mark.parametrize("given", ["binary", None, pd.DataFrame()])
def test_when_it_is_no_task_then_one_line_says_so(given):
    with pytest.raises(xk.InputError, match=r"Expected a task, as xk.load_task gives it; found"):
        xk.audit_task(given)


def test_when_predictions_are_of_other_images_then_one_line_says_so(audited, predictions):
    with pytest.raises(xk.InputError, match="predictions of the 8 test images of the binary"):
        audited.with_predictions(predictions.iloc[1:])
    with pytest.raises(xk.InputError, match="predictions of the 8 test images of the binary"):
        audited.with_predictions(pd.concat([predictions, predictions.iloc[:1]]))


def test_when_shown_then_every_row_and_score_is_in_text_and_page(audited, predictions, tmp_path):
    beside = audited.with_predictions(predictions)
    beside.save(tmp_path / "new" / "audit.html")
    page = (tmp_path / "new" / "audit.html").read_text(encoding="utf-8")
    for said in [*beside.rows.index, *beside.baselines["test"]]:
        assert str(said) in page and str(said) in str(beside)
    assert page.startswith("<!DOCTYPE html>")
    assert "<script" not in page and "http" not in page


def test_when_saved_where_it_can_not_be_then_one_line_says_so(audited, tmp_path):
    with pytest.raises(xk.InputError, match="can't be written: it is a folder"):
        write_page([audited], tmp_path)


@pytest.fixture
def damaged(challenge):
    """The challenge with a copy in another split, one in another class, and a patient in both."""
    train, test = (challenge / "all" / split / "pneumonia_bac" for split in ("train", "test"))
    first, second, third = sorted(train.iterdir())[:3]
    shutil.copyfile(first, test / "person9101_bacteria_1.jpeg")
    Image.open(second).save(
        challenge / "all" / "train" / "pneumonia_vir" / "person9102_virus_1.jpeg", quality=60
    )
    shutil.copyfile(sorted(test.iterdir())[0], test / third.name.replace("_1.", "_2."))
    return challenge


@pytest.mark.slow
def test_when_a_set_is_damaged_then_each_damage_is_named(damaged):
    task = xk.load_task("multiclass", damaged, image_size=32)
    audit = xk.audit_task(task)
    leak = audit.rows.loc["patients across splits"]
    assert leak["flagged"] and "1 in train" in leak["evidence"] and "1 in test" in leak["evidence"]
    assert "across splits" in audit.rows.loc["exact duplicates", "verdict"]
    assert "person9101_bacteria_1.jpeg" in audit.rows.loc["exact duplicates", "evidence"]
    assert "person9102_virus_1.jpeg" in audit.rows.loc["conflicting labels", "evidence"]


@pytest.mark.slow
def test_when_an_image_is_gone_then_one_line_says_so(challenge):
    task = xk.load_task("binary", challenge, image_size=32)
    (task.root / task.train.paths[3]).unlink()
    with pytest.raises(xk.InputError, match="can't be read any more: not a regular file"):
        xk.audit_task(task)


@pytest.mark.slow
@pytest.mark.parametrize(("shortcut", "expected"), [(0.0, []), (1.0, SHORTCUTS)])
def test_when_phantoms_are_tied_then_what_needs_no_lungs_is_flagged_and_else_nothing(
    tmp_path, shortcut, expected
):
    xk.draw_phantoms(tmp_path, shortcut=shortcut, seed=71)
    assert flagged(xk.audit_task(xk.load_task("multiclass", tmp_path, image_size=64))) == expected


@pytest.mark.slow
def test_when_real_images_are_audited_then_what_is_known_of_them_is_found(real_challenge, tmp_path):
    page = tmp_path / "audit.html"
    said = xraykit("audit", real_challenge, "--html", page)
    assert said.returncode == 0 and not said.stderr
    assert page.read_text(encoding="utf-8").count('<section class="xk-audit">') == 2
    for part, file_right, border_right, total in zip(
        said.stdout.split("Audit of the ")[1:], (17, 27), (18, 27), (18, 36), strict=True
    ):
        assert "ieee8023:13: 3 in test, 1 in train" in part
        assert "E63574A7-4188-4C8D-8D17-9D67A18A1AFA" in part
        assert "F4341CE7-73C9-45C6-99C8-8567A5484B63" in part
        for name, known in (("file metadata", file_right), ("border", border_right)):
            assert f"✗ {name}: tells the class" in part
            row = next(line for line in part.splitlines() if line.startswith(f"{name}  "))
            correct, _, tested = row.split("]")[1].split("=")[0].strip().partition("/")
            assert int(tested) == total and abs(int(correct) - known) <= 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["{}/nowhere"], "is not a folder"),
        (["{}", "--task", "binry"], "Did you mean 'binary'"),
        (["{}", "--html", "{}"], "expected a file for the page, found a folder"),
        (["{}", "--seed", "5000000000"], "expected a whole number, 0, at most 2147483648"),
        (["{}", "--predictions", "{}/all"], "can't be read as a table of predictions"),
    ],
)
@pytest.mark.slow
def test_when_the_command_is_given_nonsense_then_one_line_says_so(
    drawn_challenge, arguments, message
):
    said = xraykit("audit", *(each.format(drawn_challenge) for each in arguments))
    assert said.returncode == 2 and message in said.stderr
    assert said.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("part", ["train", "validation"])
def test_when_a_leak_is_kept_then_the_row_says_so_whichever_part_it_is_in(damaged, part):
    for seed in range(20):
        task = xk.load_task("multiclass", damaged, image_size=32, seed=seed, allow_leak=True)
        if set(task.leaking["path"]) <= set(getattr(task, part).paths):
            break
    row = check_patients(task, image_table(task))
    assert task.leaking["path"].iloc[0] in row[3]
    assert f"1 in {part}" in row[3] and row[3].endswith("They were kept.")


DAMAGES = {
    "a probability is missing": ({"probability_covid": np.nan}, "Expected probabilities"),
    "a probability is text": ({"probability_covid": "oops"}, "Expected probabilities"),
    "a class is unknown": ({"predicted": "zebra"}, "Expected the classes normal, covid; found zeb"),
    "the truth is another": ({"true": "covid"}, "found 8 of the classes normal, covid, 4 of them"),
    "percent": ({"probability_covid": 99.9}, "that add up to 1"),
}


@pytest.mark.parametrize(("columns", "message"), DAMAGES.values(), ids=DAMAGES.keys())
def test_when_predictions_make_no_sense_then_one_line_says_so(
    audited, predictions, columns, message
):
    with pytest.raises(xk.InputError, match=message):
        audited.with_predictions(predictions.assign(**columns))


def test_when_predictions_are_in_another_order_then_nothing_changes(audited, predictions):
    shuffled = predictions.sample(frac=1, random_state=0)
    assert (
        audited.with_predictions(shuffled).summary == audited.with_predictions(predictions).summary
    )
