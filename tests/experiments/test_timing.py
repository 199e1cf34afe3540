import pytest
from tiny import xraykit

import xraykit as xk
from xraykit.experiments import timing as hardware


@pytest.mark.slow
def test_when_a_recipe_is_timed_then_its_frozen_part_counts_once_and_its_steps_every_time():
    recipe = xk.recipes["task2-mobilenetv2"].override(image_size=32, epochs=10)
    times = xk.time_recipe(recipe)
    own = times.iloc[0]
    assert own["device"] == "cpu:0" and own["precision"] == "float32"
    expected = own["image_seconds"] * (215 + 54) + 10 * 22 * own["step_seconds"]
    assert own["total_seconds"] == pytest.approx(expected) and expected > 0
    assert times["precision"][1] == "mixed_bfloat16"
    assert list(times["total_seconds"])[-2:] == [2786, 483]


def test_when_there_is_a_graphics_card_then_processor_and_card_have_a_row_each(monkeypatch):
    def devices(kind=None):  # as Keras does it: without a kind the faster kind alone
        return {"cpu": ["cpu:0"]}.get(kind, ["gpu:0"])

    monkeypatch.setattr(hardware.keras.distribution, "list_devices", devices)
    monkeypatch.setattr(hardware, "_timed", lambda recipe, device, precision: {})
    times = xk.time_recipe(xk.recipes["task1-smallcnn"])
    assert list(times["device"]) == ["cpu:0", "cpu:0", "gpu:0", "gpu:0"]


def test_when_all_of_it_trains_then_every_step_computes_all():
    times = xk.time_recipe(xk.recipes["task1-smallcnn"].override(image_size=32))
    assert len(times) == 2  # report B's figures are of Task 2
    assert times["image_seconds"][0] == 0 and times["step_seconds"][0] > 0


def test_when_the_recipe_is_unknown_then_one_line_says_so():
    done = xraykit("doctor", "--time", "task2-vgg")
    assert done.returncode == 2 and "Unknown recipe 'task2-vgg'" in done.stderr
