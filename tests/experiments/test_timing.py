import pytest
from click.testing import CliRunner

import xraykit as xk
from xraykit.cli import cli
from xraykit.experiments import timing


@pytest.mark.slow
def test_time_recipe_counts_frozen_once_and_steps_every_epoch():
    recipe = xk.recipes["task2-mobilenetv2"].override(image_size=32, epochs=10)
    times = xk.time_recipe(recipe)
    first = times.iloc[0]
    assert first["device"] == "cpu:0" and first["precision"] == "float32"
    expected = first["image_seconds"] * (215 + 54) + 10 * 22 * first["step_seconds"]
    assert first["total_seconds"] == pytest.approx(expected) and expected > 0
    assert times["precision"][1] == "mixed_bfloat16"
    assert list(times["total_seconds"])[-2:] == [2786, 483]


def test_time_recipe_has_rows_for_cpu_and_gpu(monkeypatch):
    def devices(kind=None):  # like Keras: without a kind, only the faster kind
        return {"cpu": ["cpu:0"]}.get(kind, ["gpu:0"])

    monkeypatch.setattr(timing.keras.distribution, "list_devices", devices)
    monkeypatch.setattr(timing, "_time_training", lambda recipe, device, precision: {})
    times = xk.time_recipe(xk.recipes["task1-smallcnn"])
    assert list(times["device"]) == ["cpu:0", "cpu:0", "gpu:0", "gpu:0"]


def test_time_recipe_nothing_frozen_has_no_time_per_image():
    small = {"image_size": 32, "end_at": "block1_pool"}
    times = xk.time_recipe(xk.recipes["task1-smallcnn"].override(**small))
    assert len(times) == 2  # report B's times are of Task 2
    assert times["image_seconds"][0] == 0 and times["step_seconds"][0] > 0


def test_doctor_command_unknown_recipe_raises():
    done = CliRunner().invoke(cli, ["doctor", "--time", "task2-vgg"])
    assert isinstance(done.exception, xk.InputError)
    assert "Unknown recipe 'task2-vgg'" in str(done.exception)
