import re
import subprocess
import sys
from collections import namedtuple
from importlib.metadata import PackageNotFoundError

import jupyter_client.kernelspec
import pytest
from tiny import xraykit

import xraykit as xk
from xraykit.headless import doctor
from xraykit.models.weights import candidate_files
from xraykit.recipes.choose import rank_recipes

Memory = namedtuple("Memory", "total")


def examine():
    return [str(finding) for finding in doctor.examine()]


def faults():
    return [line for line in examine() if not line.startswith("✓ ")]


@pytest.mark.usefixtures("no_environment")
def test_when_all_is_well_then_each_line_is_ticked_and_it_exits_0(drawn_challenge):
    environment = {"XRAYKIT_CHALLENGE_DIR": "", "XRAYKIT_WEIGHTS_DIR": ""}
    done = xraykit("doctor", env=environment)
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert len(lines) == 8 and all(line.startswith("✓ ") for line in lines)
    assert "computes on cpu:0" in lines[1] and done.stderr == ""


@pytest.mark.slow
def test_when_named_folders_are_wrong_then_it_says_what_to_do_and_exits_1(tmp_path):
    wrong = {"XRAYKIT_CHALLENGE_DIR": str(tmp_path), "XRAYKIT_WEIGHTS_DIR": str(tmp_path / "no")}
    wrong["XRAYKIT_EXTERNAL_DIR"] = str(tmp_path)
    done = xraykit("doctor", env=wrong)
    assert done.returncode == 1
    faults = [line for line in done.stdout.splitlines() if line.startswith("✗ ")]
    assert len(faults) == 3
    assert "Name the folder that holds them" in faults[0]
    assert "is not a folder: name one, or unset it" in faults[1]
    assert "has none of adult_normal/normal" in faults[2]


def test_when_images_are_missing_from_the_copy_then_they_are_counted(challenge, monkeypatch):
    monkeypatch.setenv("XRAYKIT_CHALLENGE_DIR", str(challenge))
    (line,) = faults()
    assert (
        "0 of 454 are identical to the challenge's" in line and "454 are missing, such as" in line
    )


def test_when_the_real_challenge_is_there_then_it_is_whole(real_challenge, real_weights):
    *_, images, weights, _ = examine()
    assert f"454 of 454 are identical to the challenge's, in {real_challenge}" in images
    for name in ("MobileNetV2", "MobileNetV2 0.35", "ResNet50 up to conv4_block6_out"):
        assert name in weights


@pytest.mark.usefixtures("no_environment")
def test_when_the_defaults_weights_are_missing_then_it_names_the_stand_in_and_the_file(
    tmp_path, monkeypatch
):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    default = xk.recipes[rank_recipes("multiclass").index[0]]
    *_, weights, _ = examine()
    assert weights.startswith("✓ ImageNet weights here: none; ")
    assert f"the default, {default.name}, needs {default.backbone}" in weights
    assert "Without an internet connection task2-smallcnn replaces it" in weights
    (tmp_path / "models").mkdir()
    file = next(iter(candidate_files(default.backbone, default.alpha)))
    assert file in weights
    (tmp_path / "models" / file).write_text("weights")
    *_, weights, _ = examine()
    assert f"the default, {default.name}, can run" in weights


@pytest.mark.usefixtures("no_environment")
def test_when_the_machine_is_small_then_it_says_what_to_do(monkeypatch):
    monkeypatch.setattr(doctor.psutil, "virtual_memory", lambda: Memory(2 * 2**30))
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: namedtuple("D", "free")(2**29))
    memory, disk = faults()
    assert memory == (
        "✗ Memory: 2.0 GiB, expected at least 4 GiB. Use a smaller image_size, such as 128"
    )
    assert disk == "✗ Free disk space: 0.5 GiB, expected at least 2 GiB. Delete some files"


@pytest.mark.usefixtures("no_environment")
def test_when_the_kernel_is_missing_or_anothers_then_it_says_what_to_do(tmp_path, monkeypatch):
    specs = jupyter_client.kernelspec.KernelSpecManager

    def missing(self, name):
        raise jupyter_client.kernelspec.NoSuchKernel(name)

    monkeypatch.setattr(specs, "get_kernel_spec", missing)
    (line,) = faults()
    assert line == (
        "✗ JupyterLab has no kernel python3. Create it: python -m ipykernel install --sys-prefix"
    )
    other = jupyter_client.kernelspec.KernelSpec(argv=["/bin/sh"])
    monkeypatch.setattr(specs, "get_kernel_spec", lambda self, name: other)
    (line,) = faults()
    assert "runs another Python, /bin/sh. Replace it: python -m ipykernel install" in line


@pytest.mark.usefixtures("no_environment")
def test_when_a_package_is_not_the_pinned_one_then_it_says_what_to_do(monkeypatch):
    version = doctor.version
    monkeypatch.setattr(doctor, "version", lambda name: "3.0" if name == "keras" else version(name))
    (line,) = faults()
    assert re.search(r"keras 3\.0: expected .*3\.15.*\. Install again: pip install -e \.", line)


@pytest.mark.usefixtures("no_environment")
@pytest.mark.parametrize("name", ["keras", "jupyterlab"])
def test_doctor_with_a_missing_package_names_it_and_continues(monkeypatch, name):
    version = doctor.version

    def find_version(package):
        if package == name:
            raise PackageNotFoundError(package)
        return version(package)

    monkeypatch.setattr(doctor, "version", find_version)
    lines = examine()
    assert len(lines) == 8
    assert f"but the package {name} is missing. Install again: pip install -e ." in lines[0]
    assert lines[2].startswith("✗ JupyterLab is missing." if name == "jupyterlab" else "✓ ")


def test_doctor_command_with_a_package_that_cannot_be_imported_exits_1(tmp_path):
    code = (
        "import sys; sys.modules['psutil'] = None\n"
        "from xraykit.cli import main\n"
        "sys.argv = ['xraykit', 'doctor']\n"
        "main()"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (1, "")
    assert done.stdout == "✗ Package psutil is missing. Install again: pip install -e .\n"
