import pytest

import xraykit as xk
from xraykit.data.external import GROUP_NAMES
from xraykit.metrics.intervals import wilson_interval


@pytest.fixture
def external(tmp_path, multiclass, drawn_challenge, monkeypatch):
    for place in GROUP_NAMES:
        group, label = place.split("/")
        (tmp_path / group).mkdir(exist_ok=True)
        (tmp_path / place).symlink_to(drawn_challenge / "all" / "test" / label)
    monkeypatch.setenv("XRAYKIT_EXTERNAL_DIR", str(tmp_path))
    return tmp_path


def test_external_validation_has_one_row_per_group_and_class(external, binary, small_cnn):
    groups = xk.load_external(image_size=32)
    assert list(groups) == list(GROUP_NAMES.values())
    table = xk.external_validation(small_cnn, groups, class_names=binary.class_names)
    assert list(table) == ["group", "predicted", "count", "total", "low", "high"]
    assert table["group"].tolist() == [name for name in groups for _ in range(2)]
    assert table["predicted"].tolist() == ["normal", "covid"] * len(groups)
    assert (table["total"] == 4).all() and (table.groupby("group")["count"].sum() == 4).all()
    assert (table["low"].iloc[0], table["high"].iloc[0]) == wilson_interval(
        int(table["count"].iloc[0]), 4
    )
    predictions = xk.predict(small_cnn, binary.test)  # the same images as the first two groups
    covid = predictions[predictions["true"] == "covid"]
    for label in binary.class_names:
        row = table.set_index(["group", "predicted"]).loc[("adults with COVID-19", label)]
        assert row["count"] == (covid["predicted"] == label).sum()


def test_load_external_leaves_out_missing_groups(external):
    (external / "child" / "normal").unlink()
    (external / "adult_covid" / "covid").unlink()
    (external / "adult_covid" / "covid").mkdir()  # empty
    assert "adults with COVID-19" not in xk.load_external(image_size=32)
    assert "healthy children" not in xk.load_external(image_size=32)


@pytest.mark.parametrize("value", [None, "empty"])
def test_load_external_without_images_says_what_to_do(tmp_path, monkeypatch, value):
    monkeypatch.delenv("XRAYKIT_EXTERNAL_DIR", raising=False)
    if value:
        monkeypatch.setenv("XRAYKIT_EXTERNAL_DIR", str(tmp_path))
    with pytest.raises(xk.InputError, match="adult_normal/normal") as error:
        xk.load_external()
    assert "\n" not in str(error.value)


def test_external_validation_of_images_of_another_size_raises(external, binary, small_cnn):
    with pytest.raises(xk.InputError, match="use the same image_size"):
        groups = xk.load_external(image_size=64)
        xk.external_validation(small_cnn, groups, class_names=binary.class_names)
