import re

import pytest
from PIL import Image

import xraykit as xk
from xraykit.experiments import gallery
from xraykit.experiments.gallery import draw_gallery


@pytest.mark.slow
@pytest.mark.usefixtures("no_environment")
def test_when_drawn_then_ten_figures_stand_on_the_page_with_their_numbers(
    tmp_path, drawn_challenge, monkeypatch
):
    monkeypatch.setenv("XRAYKIT_CHALLENGE_DIR", str(drawn_challenge))
    monkeypatch.setenv("XRAYKIT_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # where nobody answers
    monkeypatch.delenv("XRAYKIT_EXTERNAL_DIR", raising=False)
    draw = gallery.draw_phantoms
    monkeypatch.setattr(
        gallery,
        "draw_phantoms",
        lambda folder, task, images, shortcut, seed: draw(folder, task, 40, shortcut, seed),
    )
    page = draw_gallery(tmp_path / "gallery", overrides={"epochs": 1, "image_size": 32})
    text = page.read_text()
    files = re.findall(r"!\[[^]]+\]\((.+)\)", text)
    assert len(set(files)) == 10 and text.count("```") == 20
    for file in files:
        with Image.open(page.with_name(file)) as figure:
            assert min(figure.size) > 200
    assert sorted(path.name for path in page.parent.iterdir()) == sorted([*files, "README.md"])
    assert "so phantoms show it" in text and "bright, normal" in text
    assert "challenge's images, seed 42" in text and "task2-smallcnn" in text


def test_when_the_page_cant_be_written_then_one_line_says_so(tmp_path, drawn_challenge):
    (tmp_path / "file").write_text("")
    with pytest.raises(xk.InputError, match="Can't write to"):
        draw_gallery(
            tmp_path / "file" / "gallery",
            drawn_challenge,
            {"image_size": 32, "backbone": "SmallCNN", "weights": None},
        )


def test_when_the_folder_has_a_page_of_its_own_then_it_is_left_alone(tmp_path):
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(xk.InputError, match="is no gallery's page"):
        draw_gallery(tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"
