import json

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

import xraykit as xk
from xraykit.cli import cli
from xraykit.headless.collect import collect, display_runs, write_csv, write_page
from xraykit.headless.results import write_results

OLDEST = {"schema": 1, "status": "done"}  # the required fields of any version


def result(correct=27, seed=42, backbone="VGG16", notebook="task2", **changes):
    score = {"correct": correct, "total": 36, "low": 0.59, "high": 0.86, "loss": 0.7}
    return {
        **OLDEST,
        "error": None,
        "notebook": notebook,
        "parameters": {"backbone": "auto", "epochs": 12, "seed": seed, "data": "auto"},
        "settings": {"backbone": backbone, "seed": seed},
        "task": {"name": "x", "classes": ["a", "b"], "images": {"train": 30, "test": 36}},
        "history": [{"epoch": 1.0, "loss": 0.5}] * 12,
        "scores": {"validation": score, "test": score},
        "seconds": {"total": 61.5},
        **changes,
    }


def write(folder, results):
    folder.mkdir(parents=True)
    write_results(folder, results)


@pytest.fixture
def runs(tmp_path):
    for seed in (1, 2):
        write(tmp_path / "runs" / f"vgg {seed}", result(seed=seed))
    write(tmp_path / "runs" / "other", result(correct=20, backbone="SmallCNN"))
    return tmp_path / "runs"


def test_collect_has_one_row_per_run_with_counts_and_interval(runs):
    table = collect([runs])
    assert list(table["run"]) == [str(runs / name) for name in ("other", "vgg 1", "vgg 2")]
    assert list(table["test"]) == [
        "20/36 = 56 % [40, 70]",
        "27/36 = 75 % [59, 86]",
        "27/36 = 75 % [59, 86]",
    ]
    assert list(table["backbone"]) == ["SmallCNN", "VGG16", "VGG16"]  # as run, not "auto"
    assert list(table["seed"]) == [42, 1, 2]
    assert set(table["epochs"]) == {12} and set(table["images"]) == {"66"}
    assert set(table["notebook"]) == {"task2"}
    assert set(table["test_loss"]) == {0.7} and set(table["seconds"]) == {61.5}
    assert "data" not in table  # the same in all


def test_when_runs_differ_in_a_parameter_then_it_has_a_column(runs):
    parameters = {"epochs": 3, "seed": 42, "data": "external_validation", "run": "x"}
    write(runs / "z", result(parameters=parameters))
    table = collect([runs])
    assert list(table["data"]) == ["auto"] * 3 + ["external_validation"]
    assert list(table["epochs"]) == [12] * 4  # as many as ran
    assert table.columns.is_unique
    write(runs / "zz", result(notebook="task1", parameters={"folds": 3}))
    assert "folds" not in collect([runs])  # task2 has none: they can't differ in it


def test_when_a_folder_is_named_twice_then_its_run_is_one_row(runs):
    assert len(collect([runs / "other", runs, runs / "other"])) == 3


def test_when_images_are_phantoms_then_the_table_says_so(runs):
    task = {"name": "x", "classes": ["a", "b"], "images": {"train": 30}, "phantoms": True}
    write(runs / "drawn", result(task=task))
    assert collect([runs]).loc[0, "images"] == "30 phantoms"


GROUP = {"group": "adults", "predicted": "covid", "low": 0.1, "high": 0.9}
BASELINE = {"name": "border", "sees": "", "split": "test", "low": 0.1, "high": 0.9}
DAMAGED = {
    "cut off": ('{"schema": 1, "sta', "is damaged: Unterminated string"),
    "empty": ("", "is damaged: Expecting value"),
    "binary": (b"\xff\xfe\x00", "is damaged: 'utf-8' codec"),
    "a list": ("[]", r"is damaged: \[\] is not of type 'object'"),
    "no status": ('{"schema": 1}', "is damaged: 'status' is a required property"),
    "wrong type": (json.dumps(result() | {"history": 3}), "history → 3 is not of type 'array'"),
    "half a score": (
        json.dumps(result() | {"scores": {"test": {"correct": 3}}}),
        "is damaged: scores → test → 'total' is a required property",
    ),
    "more correct images than images": (
        json.dumps(result(correct=37)),
        "is damaged: scores → validation: correct 37 is above total 36",
    ),
    "more predicted images than images": (
        json.dumps(result() | {"external_validation": [GROUP | {"count": 3, "total": 2}]}),
        "is damaged: external_validation → adults: count 3 is above total 2",
    ),
    "more correct images of a baseline than images": (
        json.dumps(result() | {"audit": {"baselines": [BASELINE | {"correct": 3, "total": 2}]}}),
        "is damaged: audit → border → test: correct 3 is above total 2",
    ),
    "not a number": (
        json.dumps(result(seconds={"total": float("inf")})),
        "is damaged: Out of range",
    ),
    "half a character": (
        json.dumps(result(error="\ud800")),
        "is damaged: 'utf-8' codec can't encode",
    ),
    "newer": (
        '{"schema": 99, "status": "?"}',
        "has version 99, this xraykit reads versions up to 2",
    ),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_when_a_file_is_damaged_then_its_row_says_so(runs, kind, tmp_path):
    content, message = DAMAGED[kind]
    (runs / "bad").mkdir()
    (runs / "bad/results.json").write_bytes(content if kind == "binary" else content.encode())
    table = collect([runs])
    assert len(table) == 4
    assert table.loc[0, "status"] == "unreadable"
    pd.testing.assert_series_equal(
        table["error"].str.contains(message, na=False),
        pd.Series([True] + [False] * 3, name="error"),
    )
    write_page(table, tmp_path / "page.html")


def test_collect_of_an_old_version_leaves_gaps(runs):
    write(runs / "a", OLDEST)
    row = collect([runs]).iloc[0]
    assert row["status"] == "done" and row.drop(["run", "status"]).isna().all()


def test_when_all_files_are_damaged_then_there_is_a_table(tmp_path):
    (tmp_path / "results.json").write_text("")
    assert list(collect([tmp_path])["status"]) == ["unreadable"]


def test_when_there_is_no_run_then_one_line_says_so(tmp_path):
    (tmp_path / ".partial").mkdir()
    (tmp_path / ".partial/results.json").write_text("{}")
    with pytest.raises(xk.InputError, match=r"holds no run: expected results.json in it"):
        collect([tmp_path])
    with pytest.raises(xk.InputError, match="nowhere is not a folder"):
        collect([tmp_path / "nowhere"])


def test_when_written_as_csv_then_it_reads_back_with_numbers(runs, tmp_path):
    write_csv(collect([runs]), tmp_path / "new" / "runs.csv")
    table = pd.read_csv(tmp_path / "new" / "runs.csv")
    assert list(table["test_correct"]) == [20, 27, 27]
    np.testing.assert_allclose(table["test_low"], 0.59)


def test_collect_page_stands_alone_and_escapes_code(runs, tmp_path):
    write(runs / "bad", result(error="<script>alert(1)</script>", status="failed"))
    table = collect([runs])
    write_page(table, tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert "&lt;script&gt;alert(1)" in page and page.count("<script>") == 1
    assert "http" not in page and " src=" not in page
    assert page.count('<svg class="interval"') == 8  # two scores in each of four rows
    assert 'data-sort="0.75"' in page and "M0.59 2H0.86V6H0.59" in page
    for name in display_runs(table).columns.drop("error"):
        assert f'<button type="button">{name.replace("_", " ")}</button>' in page


def test_collect_page_links_the_report_of_a_run(runs, tmp_path):
    (runs / "vgg 1/task2.html").touch()
    write_page(collect([runs / "vgg 1"]), tmp_path / "pages" / "page.html")
    page = (tmp_path / "pages" / "page.html").read_text()
    assert 'href="../runs/vgg%201/task2.html"' in page
    assert "1 run" in page and "1 runs" not in page
    write_page(collect([runs]), tmp_path / "page.html")
    page = (tmp_path / "page.html").read_text()
    assert page.count("<a href=") == 1 and "3 runs" in page  # the others have no report


def test_when_the_file_cant_be_written_then_one_line_says_so(runs, tmp_path):
    (tmp_path / "file").touch()
    for write_to in (write_csv, write_page):
        with pytest.raises(xk.InputError, match="can't be written"):
            write_to(collect([runs]), tmp_path / "file" / "x")


def test_when_command_is_used_then_it_prints_and_writes(runs, tmp_path):
    csv, html = tmp_path / "a.csv", tmp_path / "a.html"
    command = ["collect", str(runs), "--csv", str(csv), "--html", str(html)]
    done = CliRunner().invoke(cli, command, catch_exceptions=False)
    assert (done.exit_code, done.stderr) == (0, "")
    assert "27/36 = 75 % [59, 86]" in done.stdout
    assert csv.is_file() and html.is_file()
