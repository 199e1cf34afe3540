import shutil

import numpy as np
import pandas as pd
import pytest
from PIL import Image
from tiny import xraykit

import xraykit as xk
from xraykit.evaluation import baselines
from xraykit.evaluation.audit_page import write_page
from xraykit.evaluation.verdicts import across_splits, pictures_of

SHORTCUTS = ["file facts", "border", "marks"]


def flagged(audit):
    return audit.rows.index[audit.rows["flagged"].astype(bool)].tolist()


@pytest.fixture(scope="module")
def audited(binary):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(baselines, "TREES", 20)
        return xk.audit(binary)


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
    beside = audited.beside(predictions)
    of = len(predictions)
    assert beside.baselines.loc["the network", "test"] == xk.Proportion(of - 1, of)
    assert f"right, {of - 1 - of // 2} beyond guessing, of which" in str(beside)
    assert "the network" not in audited.baselines.index


def test_when_the_network_only_guesses_then_the_sentence_says_so(audited, predictions):
    always = predictions.assign(predicted="normal")
    assert audited.beside(always).sentence.endswith("The network is no better than guessing.")


def test_when_predictions_are_of_other_pictures_then_one_line_says_so(audited, predictions):
    with pytest.raises(xk.InputError, match="predictions of the 8 test pictures of the binary"):
        audited.beside(predictions.iloc[1:])
    with pytest.raises(xk.InputError, match="predictions of the 8 test pictures of the binary"):
        audited.beside(pd.concat([predictions, predictions.iloc[:1]]))


def test_when_shown_then_every_row_and_score_is_in_text_and_page(audited, predictions, tmp_path):
    beside = audited.beside(predictions)
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
    audit = xk.audit(task)
    leak = audit.rows.loc["patients across splits"]
    assert leak["flagged"] and "1 in train" in leak["evidence"] and "1 in test" in leak["evidence"]
    assert "across splits" in audit.rows.loc["exact duplicates", "verdict"]
    assert "person9101_bacteria_1.jpeg" in audit.rows.loc["exact duplicates", "evidence"]
    assert "person9102_virus_1.jpeg" in audit.rows.loc["conflicting labels", "evidence"]


@pytest.mark.slow
def test_when_a_picture_is_gone_then_one_line_says_so(challenge):
    task = xk.load_task("binary", challenge, image_size=32)
    (task.root / task.train.paths[3]).unlink()
    with pytest.raises(xk.InputError, match="can't be read any more: not a regular file"):
        xk.audit(task)


@pytest.mark.slow
@pytest.mark.parametrize(("shortcut", "expected"), [(0.0, []), (1.0, SHORTCUTS)])
def test_when_phantoms_are_tied_then_what_needs_no_lungs_is_flagged_and_else_nothing(
    tmp_path, shortcut, expected
):
    xk.draw_phantoms(tmp_path, shortcut=shortcut, seed=71)
    assert flagged(xk.audit(xk.load_task("multiclass", tmp_path, image_size=64))) == expected


@pytest.mark.slow
def test_when_real_pictures_are_audited_then_what_is_known_of_them_is_found(
    real_challenge, tmp_path
):
    page = tmp_path / "audit.html"
    said = xraykit("audit", real_challenge, "--html", page)
    assert said.returncode == 0 and not said.stderr
    assert page.read_text(encoding="utf-8").count('<section class="xk-audit">') == 2
    for part, file_right, border_right, of in zip(
        said.stdout.split("Audit of the ")[1:], (17, 27), (18, 27), (18, 36), strict=True
    ):
        assert "ieee8023:13: 3 in test, 1 in train" in part
        assert "E63574A7-4188-4C8D-8D17-9D67A18A1AFA" in part
        assert "F4341CE7-73C9-45C6-99C8-8567A5484B63" in part
        for name, known in (("file facts", file_right), ("border", border_right)):
            assert f"✗ {name}: tells the class" in part
            row = next(line for line in part.splitlines() if line.startswith(f"{name}  "))
            right, _, tested = row.split("]")[1].split("=")[0].strip().partition("/")
            assert int(tested) == of and abs(int(right) - known) <= 2


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
    row = across_splits(task, pictures_of(task))
    assert task.leaking["path"].iloc[0] in row[3]
    assert f"1 in {part}" in row[3] and row[3].endswith("They were kept.")


DAMAGES = {
    "a probability is missing": ({"probability_covid": np.nan}, "Expected probabilities"),
    "a probability is text": ({"probability_covid": "oops"}, "Expected probabilities"),
    "a class is unknown": ({"predicted": "zebra"}, "Expected the classes normal, covid; found zeb"),
    "the truth is another": ({"true": "covid"}, "predictions of the 8 test pictures"),
}


@pytest.mark.parametrize(("columns", "message"), DAMAGES.values(), ids=DAMAGES.keys())
def test_when_predictions_make_no_sense_then_one_line_says_so(
    audited, predictions, columns, message
):
    with pytest.raises(xk.InputError, match=message):
        audited.beside(predictions.assign(**columns))


def test_when_predictions_are_in_another_order_then_nothing_changes(audited, predictions):
    shuffled = predictions.sample(frac=1, random_state=0)
    assert audited.beside(shuffled).sentence == audited.beside(predictions).sentence
