import pytest

import xraykit as xk
from xraykit.data.external import CALLED


@pytest.fixture
def external(tmp_path, multiclass, drawn_challenge, monkeypatch):
    for place in CALLED:
        group, label = place.split("/")
        (tmp_path / group).mkdir(exist_ok=True)
        (tmp_path / place).symlink_to(drawn_challenge / "all" / "test" / label)
    monkeypatch.setenv("XRAYKIT_EXTERNAL_DIR", str(tmp_path))
    return tmp_path


def test_when_asked_about_classes_it_has_no_name_for_then_each_image_is_called_something(
    external, binary, small_cnn
):
    groups = xk.load_external(image_size=32)
    assert list(groups) == list(CALLED.values())
    table = xk.external_validation(small_cnn, binary.class_names, groups)
    assert list(table) == ["called normal", "called covid"]
    for name in groups:
        assert sum(cell.correct for cell in table.loc[name]) == len(groups[name]) == 4
    said = xk.predict(small_cnn, binary.test)  # the same images as the first two groups
    called = (said["true"] == "covid") & (said["predicted"] == "covid")
    assert table.loc["adults with COVID-19", "called covid"] == xk.Proportion(int(called.sum()), 4)


def test_when_there_are_only_some_groups_then_these_are_read(external):
    (external / "child" / "normal").unlink()
    (external / "adult_covid" / "covid").unlink()
    (external / "adult_covid" / "covid").mkdir()  # empty
    assert "adults with COVID-19" not in xk.load_external(image_size=32)
    assert "healthy children" not in xk.load_external(image_size=32)


@pytest.mark.parametrize("value", [None, "empty"])
def test_when_there_are_no_images_then_one_line_says_what_to_do(tmp_path, monkeypatch, value):
    monkeypatch.delenv("XRAYKIT_EXTERNAL_DIR", raising=False)
    if value:
        monkeypatch.setenv("XRAYKIT_EXTERNAL_DIR", str(tmp_path))
    with pytest.raises(xk.InputError, match="adult_normal/normal") as error:
        xk.load_external()
    assert "\n" not in str(error.value)


def test_when_images_have_another_size_then_one_line_says_so(external, binary, small_cnn):
    with pytest.raises(xk.InputError, match="use the same image_size"):
        xk.external_validation(small_cnn, binary.class_names, xk.load_external(image_size=64))
