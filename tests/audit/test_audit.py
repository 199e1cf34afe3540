import shutil
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tiny import xraykit

import xraykit as xk
from xraykit.audit import baselines, checks as module
from xraykit.audit.audit import Audit
from xraykit.audit.baselines import Baseline, ImageFeature
from xraykit.audit.checks import (
    check_no_lung_features,
    check_patients,
    check_unusable_files,
    check_unusual_images,
    image_table,
)
from xraykit.audit.report import write_page
from xraykit.metrics.intervals import format_counts

SHORTCUTS = ["file metadata", "border", "text-like marks"]


def flagged(audit):
    return audit.checks.index[audit.checks["flagged"].astype(bool)].tolist()


@pytest.fixture(scope="module")
def audited(binary):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baselines, "TREES", 20)
        return xk.audit_task(binary)


@pytest.fixture
def predictions(binary):
    """Predictions of the test images, all correct except the first."""
    names = np.array(binary.class_names)
    predicted = binary.test.labels.copy()
    predicted[0] = 1 - predicted[0]
    table = {"path": binary.test.paths, "patient": binary.test.patients}
    table |= {"true": names[binary.test.labels], "predicted": names[predicted]}
    for label, name in enumerate(names):
        table[f"probability_{name}"] = np.where(predicted == label, 0.8, 0.2)
    return pd.DataFrame(table)


def test_audit_task_border_that_predicts_the_class_is_flagged(audited):
    """The drawn challenge's bar runs from edge to edge, at another place in each class."""
    assert "border" in flagged(audited)
    assert audited.checks.loc["border", "verdict"] == "predicts the class"
    assert audited.checks.loc["border", "p"] <= 0.01
    assert not {"brightness", "16 × 16 pixels", "patients across splits"} & set(flagged(audited))


def test_with_predictions_adds_the_network_to_scores_and_summary(audited, predictions):
    audit = audited.with_predictions(predictions)
    total = len(predictions)
    scores = audit.baseline_scores.set_index(["name", "split"])
    network = scores.loc[("the network", "test"), ["correct", "total"]].tolist()
    assert network == [total - 1, total]
    assert f"correctly, {total - 1 - total // 2} more than guessing; " in str(audit)
    assert "the network" not in audited.baseline_scores["name"].to_numpy()


def test_summary_network_that_only_guesses_is_named(audited, predictions):
    always = predictions.assign(predicted="normal")
    assert audited.with_predictions(always).summary.endswith("correctly, no more than guessing.")


def predict(is_correct):
    """Return predictions of images, half normal and half covid, some of them correct."""
    true = np.repeat(["normal", "covid"], len(is_correct) // 2)
    other = np.where(true == "normal", "covid", "normal")
    predicted = np.where(is_correct, true, other)
    table = {"path": [f"{row}.png" for row in range(len(true))], "true": true}
    table["predicted"] = predicted
    columns = {f"probability_{name}": 1.0 * (predicted == name) for name in ("normal", "covid")}
    return pd.DataFrame(table | columns)


def fit_forest(name, is_correct, n_cross_validated, is_tested=True):
    predicted = ["a"] * n_cross_validated + ["b"] * (40 - n_cross_validated)
    cross_validated = pd.DataFrame({"true": "a", "predicted": predicted, "repeat": 1, "fold": 1})
    feature = ImageFeature(name, "", None, is_tested)
    return Baseline(feature, None, predict(is_correct), cross_validated)


def summarize(network, flagged, border, metadata=(20, [True] * 20), verdict=""):
    """Return the summary of 20 test images; metadata and coarse pixels are correct on all."""
    forests = (
        fit_forest("guessing", [True] * 10 + [False] * 10, 20, is_tested=False),
        fit_forest("border", border[1], border[0]),
        fit_forest("file metadata", metadata[1], metadata[0]),
        fit_forest("16 × 16 pixels", [True] * 20, 40, is_tested=False),
    )
    names = [forest.feature.name for forest in forests]
    checks = pd.DataFrame({"flagged": [name in flagged for name in names]}, names)
    checks["verdict"] = verdict
    predictions = None if network is None else predict(network)
    return Audit(None, checks, None, {}, forests, predictions).summary


SEVENTEEN = [False] * 3 + [True] * 17


def test_summary_compares_the_network_with_the_best_baseline():
    text = summarize([True] * 18 + [False] * 2, ["border", "file metadata"], (30, SEVENTEEN))
    assert text == (
        "The best flagged baseline in cross-validation sees only the border. It predicts "
        "17/20 = 85 % [64, 95] test images correctly; guessing predicts 10/20 = 50 % [30, 70]. "
        "The network predicts 18/20 = 90 % [70, 97] correctly, 8 more than guessing; that "
        "baseline, almost without the lungs, 7 more than guessing. "
        "Both are correct on 15 images, the network alone on 3, the baseline alone on 2: the "
        "two do not differ significantly on these images (exact McNemar test, p = 1)."
    )


def test_summary_of_a_better_forest_says_so():
    text = summarize([True] * 12 + [False] * 8, ["border"], (30, SEVENTEEN))
    expected = (
        "2 more than guessing; that baseline, almost without the lungs, 7 more than guessing."
    )
    assert expected in text


def test_summary_network_far_better_says_that_they_differ():
    text = summarize([True] * 20, ["border"], (30, [True] * 12 + [False] * 8))
    assert text.endswith("the two differ (exact McNemar test, p = 0.0078).")


def test_summary_nothing_flagged_blames_no_score():
    text = summarize([True] * 20, [], (30, SEVENTEEN))
    assert text.startswith(
        "No feature outside the lungs was found that predicts the class. The best no-lung baseline "
        "in cross-validation sees only the border."
    )
    assert "without the lungs" not in text
    assert "need not use" not in summarize(None, [], (30, SEVENTEEN))
    few = summarize(None, [], (30, SEVENTEEN), verdict="too few patients for a verdict")
    assert few.startswith("There are too few patients to say whether lungs are needed. The best")
    assert "need not use" in summarize(None, ["border"], (30, SEVENTEEN))
    assert "need not use" not in summarize(None, ["border"], (30, [True] * 10 + [False] * 10))


def test_summary_names_the_only_feature_that_was_flagged():
    text = summarize(None, ["file metadata"], (30, SEVENTEEN))
    assert text.startswith(
        "The best flagged baseline in cross-validation sees only the file metadata. It"
    )


@pytest.mark.parametrize(
    ("p_values", "corrected", "verdicts"),
    [
        ([0.002, 0.3, 0.005], [0.006, 0.3, 0.01], ["predicts the class", "nothing found"] * 2),
        ([0.004, 0.3, 0.4], [0.012, 0.6, 0.6], ["nothing found"] * 3),
    ],
)
def test_check_no_lung_features_decides_by_holms_correction(
    audited, monkeypatch, p_values, corrected, verdicts
):
    development = audited.task.development
    remaining = iter(p_values)

    def next_p(values, labels, patients, seed):
        assert patients == development.patients and len(values) == len(development)
        return next(remaining)

    monkeypatch.setattr(module, "permutation_p", next_p)
    rows = check_no_lung_features(audited.task, audited.baselines, seed=1)
    assert [rows[name].p for name in SHORTCUTS] == pytest.approx(corrected)
    assert [rows[name].verdict for name in SHORTCUTS] == verdicts[:3]


def test_check_no_lung_features_few_patients_gives_no_verdict(audited, monkeypatch):
    images = audited.task.train
    rows = [np.flatnonzero(images.labels == label)[:5] for label in (0, 1)]
    few = images.subset(np.concatenate(rows))
    halves = few.subset(range(0, 10, 2)), few.subset(range(1, 10, 2))
    task = replace(audited.task, train=halves[0], validation=halves[1])
    monkeypatch.setattr(module, "permutation_p", lambda *given, **options: 0.009)
    row = check_no_lung_features(task, audited.baselines, seed=1)["border"]
    assert row.verdict == "too few patients for a verdict" and not row.flagged
    assert row.evidence.endswith("With so few patients p cannot be below 0.027.")


def test_fit_baselines_noise_only_guesses(binary, monkeypatch):
    rng = np.random.default_rng(0)
    noise = ImageFeature("noise", "", lambda path, gray: rng.normal(size=5), True)
    monkeypatch.setattr(baselines, "IMAGE_FEATURES", (noise,))
    monkeypatch.setattr(baselines, "TREES", 50)
    images = sum(map(len, (binary.train, binary.validation, binary.test)))
    _, baseline = baselines.fit_baselines(
        binary, [np.zeros((2, 2))] * images, repeats=1, folds=5, seed=1
    )
    correct, total = baseline.counts["cross-validated"]
    assert correct <= 0.8 * total


def test_check_unusable_files_names_them(audited):
    skipped = pd.DataFrame([["two/train/covid/x.png", "not an image"]], columns=["path", "reason"])
    row = check_unusable_files(replace(audited.task, skipped=skipped))
    assert (row.verdict, row.flagged) == ("found: 1 file", True)
    assert row.evidence == "two/train/covid/x.png: not an image."
    assert audited.checks.loc["unusable files", "verdict"] == "none"


def test_check_unusual_images_names_each_with_its_reasons(audited, tmp_path):
    noise = np.random.default_rng(0).integers(0, 255, (400, 300), dtype=np.uint8)
    images = {
        "tiny.png": noise[:1, :1],
        "narrow.png": np.tile(noise[:2], 100),
        "long.png": np.tile(noise[:100], 2),
        "black.png": np.zeros((100, 100), np.uint8),
        "tilted.png": noise[:100],
        "smallest.png": noise[:64, :64],
    }
    for name, pixels in images.items():
        Image.fromarray(pixels).save(tmp_path / name)
    gray = baselines.read_gray([tmp_path / name for name in images])
    table = pd.DataFrame({"path": list(images)})
    row = check_unusual_images(replace(audited.task, root=tmp_path), table, gray)
    assert (row.verdict, row.flagged, row.p) == ("found: 4 images", True, None)
    assert row.evidence.split("; ") == [
        "tiny.png: 1 × 1 pixels, a side below 64, one color",
        "narrow.png: 30000 × 2 pixels, a side below 64, an aspect ratio above 4",
        "long.png: 600 × 100 pixels, an aspect ratio above 4",
        "black.png: 100 × 100 pixels, one color.",
    ]
    row = check_unusual_images(replace(audited.task, root=tmp_path), table[4:], gray[4:])
    assert (row.verdict, row.flagged) == ("none", False)


def test_audit_of_tiny_images_names_them_in_text_and_page(audited):
    evidence = f"{audited.task.train.paths[0]}: 40 × 40 pixels, a side below 64"
    assert evidence in str(audited) and evidence in audited.to_html()


@pytest.mark.parametrize("value", ["binary", None, pd.DataFrame()])
def test_audit_task_wrong_type_raises(value):
    with pytest.raises(xk.InputError, match=r"Expected a task, .*xk.load_task"):
        xk.audit_task(value)


def test_with_predictions_of_other_images_raises(audited, predictions):
    with pytest.raises(xk.InputError, match="predictions of the 8 test images of the binary"):
        audited.with_predictions(predictions.iloc[1:])
    with pytest.raises(xk.InputError, match="predictions of the 8 test images of the binary"):
        audited.with_predictions(pd.concat([predictions, predictions.iloc[:1]]))


def test_save_page_and_text_have_every_check_and_score(audited, predictions, tmp_path):
    audit = audited.with_predictions(predictions)
    audit.save(tmp_path / "new" / "audit.html")
    page = (tmp_path / "new" / "audit.html").read_text(encoding="utf-8")
    for text in [*audit.checks.index, *format_counts(audit.baseline_scores)]:
        assert text in page and text in str(audit)
    assert page.startswith("<!DOCTYPE html>")
    assert "<script" not in page and "http" not in page


def test_write_page_to_a_folder_raises(audited, tmp_path):
    with pytest.raises(xk.InputError, match="can't be written: it is a folder"):
        write_page([audited.to_html()], tmp_path)


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
def test_audit_task_damaged_set_names_each_damage(damaged):
    task = xk.load_task("multiclass", damaged, image_size=32)
    audit = xk.audit_task(task)
    leak = audit.checks.loc["patients across splits"]
    assert leak["flagged"] and "1 in train" in leak["evidence"] and "1 in test" in leak["evidence"]
    assert "across splits" in audit.checks.loc["exact duplicates", "verdict"]
    assert "person9101_bacteria_1.jpeg" in audit.checks.loc["exact duplicates", "evidence"]
    assert "person9102_virus_1.jpeg" in audit.checks.loc["conflicting labels", "evidence"]


@pytest.mark.slow
def test_audit_task_missing_image_raises(challenge):
    task = xk.load_task("binary", challenge, image_size=32)
    (task.root / task.train.paths[3]).unlink()
    with pytest.raises(xk.InputError, match="can't be read any more: not a regular file"):
        xk.audit_task(task)


@pytest.mark.slow
@pytest.mark.parametrize(("shortcut", "expected"), [(0.0, []), (1.0, SHORTCUTS)])
def test_audit_task_phantoms_are_flagged_only_with_shortcuts(tmp_path, shortcut, expected):
    xk.draw_phantoms(tmp_path, shortcut=shortcut, seed=71)
    assert flagged(xk.audit_task(xk.load_task("multiclass", tmp_path, image_size=64))) == expected


@pytest.mark.slow
def test_audit_command_real_images_finds_the_known_problems(real_challenge, tmp_path):
    page = tmp_path / "audit.html"
    done = xraykit("audit", real_challenge, "--html", page)
    assert done.returncode == 0 and not done.stderr
    assert page.read_text(encoding="utf-8").count('<section class="xk-audit">') == 2
    for part, metadata_correct, border_correct, total in zip(
        done.stdout.split("Audit of the ")[1:], (17, 27), (18, 27), (18, 36), strict=True
    ):
        assert "· unusual images: none" in part
        assert "ieee8023:13: 3 in test, 1 in train" in part
        assert "E63574A7-4188-4C8D-8D17-9D67A18A1AFA" in part
        assert "F4341CE7-73C9-45C6-99C8-8567A5484B63" in part
        for name, known in (("file metadata", metadata_correct), ("border", border_correct)):
            assert f"✗ {name}: predicts the class" in part
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
def test_audit_command_wrong_input_prints_one_line(drawn_challenge, arguments, message):
    done = xraykit("audit", *(argument.format(drawn_challenge) for argument in arguments))
    assert done.returncode == 2 and message in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("part", ["train", "validation"])
def test_check_patients_kept_leak_is_named_in_either_part(damaged, part):
    for seed in range(20):
        task = xk.load_task("multiclass", damaged, image_size=32, seed=seed, allow_leak=True)
        if set(task.leaking["path"]) <= set(getattr(task, part).paths):
            break
    row = check_patients(task, image_table(task))
    assert f"1 in {part}" in row.evidence
    kept = f"load_task kept those outside test: {task.leaking['path'].iloc[0]}."
    assert row.evidence.endswith(kept)


DAMAGES = {
    "a probability is missing": ({"probability_covid": np.nan}, "Expected probabilities"),
    "a probability is text": ({"probability_covid": "oops"}, "Expected probabilities"),
    "a class is unknown": ({"predicted": "zebra"}, "Expected the classes normal, covid; found zeb"),
    "the truth is another": (
        {"true": "covid"},
        "Got 8 predictions of the classes normal, covid; 4 of them have the path and class",
    ),
    "percent": ({"probability_covid": 99.9}, "that add up to 1"),
}


@pytest.mark.parametrize(("columns", "message"), DAMAGES.values(), ids=DAMAGES.keys())
def test_with_predictions_wrong_values_raise(audited, predictions, columns, message):
    with pytest.raises(xk.InputError, match=message):
        audited.with_predictions(predictions.assign(**columns))


def test_with_predictions_order_of_rows_does_not_matter(audited, predictions):
    shuffled = predictions.sample(frac=1, random_state=0)
    assert (
        audited.with_predictions(shuffled).summary == audited.with_predictions(predictions).summary
    )
