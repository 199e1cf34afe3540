import re

import pytest
from PIL import Image

import xraykit as xk
from xraykit.experiments import gallery
from xraykit.experiments.gallery import draw_gallery


@pytest.mark.slow
@pytest.mark.usefixtures("no_environment")
def test_draw_gallery_page_has_ten_figures_and_their_numbers(
    tmp_path, drawn_challenge, monkeypatch
):
    monkeypatch.setenv("XRAYKIT_CHALLENGE_DIR", str(drawn_challenge))
    monkeypatch.setenv("XRAYKIT_WEIGHTS_DIR", str(tmp_path))
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.setenv("https_proxy", "http://127.0.0.1:9")  # no server answers there
    monkeypatch.delenv("XRAYKIT_EXTERNAL_DIR", raising=False)
    draw = gallery.draw_phantoms
    monkeypatch.setattr(
        gallery,
        "draw_phantoms",
        lambda folder, **options: draw(folder, **options | {"images": 40}),
    )
    page = draw_gallery(tmp_path / "gallery", overrides={"epochs": 1, "image_size": 32})
    text = page.read_text()
    files = re.findall(r"!\[[^]]+\]\((.+)\)", text)
    assert len(set(files)) == 10 and text.count("```") == 20
    for file in files:
        with Image.open(page.with_name(file)) as figure:
            assert min(figure.size) > 200
    assert sorted(path.name for path in page.parent.iterdir()) == sorted([*files, "README.md"])
    assert "no external images here" in text and "bright, normal" in text
    assert "challenge's images, seed 42" in text and "task2-smallcnn" in text


def test_draw_gallery_folder_that_cannot_be_written_raises(tmp_path, drawn_challenge):
    (tmp_path / "file").write_text("")
    with pytest.raises(xk.InputError, match=r"gallery can't be written: .*Name another path"):
        draw_gallery(
            tmp_path / "file" / "gallery",
            data=drawn_challenge,
            overrides={"image_size": 32, "backbone": "SmallCNN", "weights": None},
        )


def test_draw_gallery_reads_the_images_that_it_is_given(tmp_path):
    with pytest.raises(xk.InputError, match="elsewhere is not a folder"):
        draw_gallery(
            tmp_path / "gallery",
            data=tmp_path / "elsewhere",
            overrides={"image_size": 32, "backbone": "SmallCNN", "weights": None},
        )


def test_draw_gallery_other_page_is_not_replaced(tmp_path):
    (tmp_path / "README.md").write_text("mine")
    with pytest.raises(xk.InputError, match="is not the page of a gallery"):
        draw_gallery(tmp_path)
    assert (tmp_path / "README.md").read_text() == "mine"
