import errno
import os
import subprocess
import sys
import tempfile
from collections import namedtuple
from importlib.metadata import PackageNotFoundError

import h5py
import jupyter_client.kernelspec
import psutil
import pytest
from tiny import xraykit

import xraykit as xk
from xraykit.headless import doctor
from xraykit.models.weight_files import candidate_files
from xraykit.recipes.choose import rank_recipes

CHECKS = doctor.CHECKS
INSTALL = "Install again: pip install -e ."
NO_FOLDERS = {"XRAYKIT_CHALLENGE_DIR": "", "XRAYKIT_WEIGHTS_DIR": "", "XRAYKIT_EXTERNAL_DIR": ""}
HIDE = """
import importlib.metadata, sys
class Hide:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] == {0!r}:
            raise ModuleNotFoundError(f"No module named {{name!r}}", name=name)
sys.meta_path.insert(0, Hide())
find = importlib.metadata.Distribution.from_name
def find_other(name):
    if name == {0!r}:
        raise importlib.metadata.PackageNotFoundError(name)
    return find(name)
importlib.metadata.Distribution.from_name = find_other
"""
BROKEN_TENSORFLOW = '''
raise ImportError("""Traceback (most recent call last):
  File "pywrap_tensorflow.py", line 73, in <module>
ImportError: DLL load failed while importing _pywrap_tensorflow_internal

Failed to load the native TensorFlow runtime.
If you need help, create an issue""")
'''


@pytest.fixture
def report(monkeypatch):
    """Run one check of the doctor, and return its line."""
    for variable in NO_FOLDERS:
        monkeypatch.delenv(variable, raising=False)

    def report(name):
        monkeypatch.setattr(doctor, "CHECKS", {name: CHECKS[name]})
        (line,) = map(str, doctor.examine())
        assert "\n" not in line
        return line

    return report


@pytest.fixture
def put_first(tmp_path, monkeypatch):
    """Write a module that Python finds before all others, as in an environment with that fault."""

    def put_first(name, source):
        (tmp_path / "first").mkdir()
        (tmp_path / "first" / f"{name}.py").write_text(source)
        paths = [str(tmp_path / "first"), *filter(None, [os.environ.get("PYTHONPATH")])]
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))

    return put_first


# The command


@pytest.mark.slow
def test_doctor_command_all_well_ticks_each_line_and_exits_0():
    done = xraykit("doctor", env=NO_FOLDERS)
    assert done.returncode == 0, done.stdout
    lines = done.stdout.splitlines()
    assert len(lines) == len(CHECKS) and all(line.startswith("✓ ") for line in lines)
    assert "computes on cpu:0" in lines[1] and done.stderr == ""


@pytest.mark.slow
@pytest.mark.parametrize(
    ("package", "n_faults"),
    [("tensorflow", 2), ("keras", 2), ("pandas", 6), ("psutil", 5), ("packaging", 2)],
)
def test_doctor_command_without_a_package_runs_every_check(put_first, package, n_faults):
    put_first("sitecustomize", HIDE.format(package))
    done = xraykit("doctor", env=NO_FOLDERS)
    assert (done.returncode, done.stderr) == (1, "")
    lines = done.stdout.splitlines()
    assert len(lines) == len(CHECKS)
    faults = [line for line in lines if line.startswith("✗ ")]
    assert len(faults) == n_faults
    assert all(package in line and line.endswith(INSTALL) for line in faults)


@pytest.mark.parametrize("command", [["-m", "xraykit.cli"], ["-c", "import xraykit"]], ids=str)
def test_import_without_lazy_loader_is_one_line(put_first, command):
    put_first("sitecustomize", HIDE.format("lazy_loader"))
    done = subprocess.run([sys.executable, *command], capture_output=True, text=True)
    expected = f"✗ The package lazy_loader is missing. {INSTALL}\n"
    assert (done.returncode, done.stdout, done.stderr) == (1, "", expected)


def test_command_without_click_says_so(put_first):
    put_first("sitecustomize", HIDE.format("click"))
    done = xraykit("doctor")
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == f"✗ The package click is missing. {INSTALL}\n"


@pytest.mark.slow
def test_doctor_command_wrong_folders_say_what_to_do(tmp_path):
    (tmp_path / "file").touch()
    names = [*NO_FOLDERS, "XRAYKIT_CACHE_DIR"]
    done = xraykit("doctor", env=dict.fromkeys(names, str(tmp_path / "file")))
    assert (done.returncode, done.stderr) == (1, "")
    cache, images, weights, external = (
        line for line in done.stdout.splitlines() if line.startswith("✗ ")
    )
    assert "file/xraykit-features can't be written: Not a directory" in cache
    assert "Name the folder that holds them" in images
    assert "is not a folder: name one, or unset it" in weights
    assert "has none of adult_normal/normal" in external


@pytest.mark.parametrize("error", [KeyError("x"), OSError(5, "Input/output error"), ValueError()])
def test_examine_check_that_fails_is_one_line_and_goes_on(monkeypatch, error):
    def fail():
        raise error

    passed = doctor.Finding(True, "fine")
    checks = {"the engine": (fail, "Call someone"), "more": (lambda: passed, "")}
    monkeypatch.setattr(doctor, "CHECKS", checks)
    fault, other = doctor.examine()
    assert str(fault).startswith(f"✗ Could not check the engine: {type(error).__name__}")
    assert fault.text.endswith(". Call someone") and other == passed


# Packages


def test_check_versions_wrong_and_missing_packages_are_all_named(report, monkeypatch):
    def find_version(package):
        if package == "keras":
            return "3.0"
        if package in ("numpy", "jupyterlab"):
            raise PackageNotFoundError(package)
        return version(package)

    version = doctor.version
    monkeypatch.setattr(doctor, "version", find_version)
    line = report("the installed packages")
    assert line.startswith("✗ Python 3.") and line.endswith(INSTALL)
    assert "keras 3.0, expected >=3.15" in line
    assert "no numpy, expected >=2" in line and "no jupyterlab, expected >=4" in line


def test_check_versions_xraykit_not_installed_says_so(report, monkeypatch):
    def find_nothing(package):
        raise PackageNotFoundError(package)

    monkeypatch.setattr(doctor, "requires", find_nothing)
    line = report("the installed packages")
    assert "No package metadata was found for xraykit" in line and line.endswith(INSTALL)


@pytest.mark.parametrize(
    ("module", "source", "expected"),
    [
        ("tensorflow", BROKEN_TENSORFLOW, "ImportError: DLL load failed while importing _pywrap_"),
        ("tensorflow", "import os; os.kill(os.getpid(), 4)", r"ends Python (SIGILL): this process"),
        pytest.param(
            "cv2",
            "raise ImportError('libGL.so.1: no such file')",
            "ImportError: libGL.so.1: no such file",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_check_imports_that_fail_give_the_reason(report, put_first, module, source, expected):
    put_first(module, source)
    line = report("the imports")
    assert line.startswith("✗ ") and expected in line
    assert line.endswith((INSTALL, "Use another computer"))


# Jupyter


def write_kernel(folder, text):
    (folder / "kernels" / "python3").mkdir(parents=True)
    (folder / "kernels" / "python3" / "kernel.json").write_text(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"argv": [', "Could not check JupyterLab's kernel python3: JSONDecodeError: "),
        ('{"argv": []}', "Could not check JupyterLab's kernel python3: "),
        ('{"argv": ["/gone/python"], "display_name": ""}', "runs another Python, /gone/python. "),
    ],
)
def test_check_kernel_damaged_or_other_says_replace_it(
    report, tmp_path, monkeypatch, text, expected
):
    write_kernel(tmp_path, text)
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    line = report("JupyterLab's kernel python3")
    assert line.startswith("✗ ") and expected in line
    assert "Remove it" in line and line.endswith("python -m ipykernel install --sys-prefix")


def test_check_kernel_missing_says_create_it(report, monkeypatch):
    def find_nothing(self, name):
        raise jupyter_client.kernelspec.NoSuchKernel(name)

    specs = jupyter_client.kernelspec.KernelSpecManager
    monkeypatch.setattr(specs, "get_kernel_spec", find_nothing)
    assert report("JupyterLab's kernel python3") == (
        "✗ JupyterLab has no kernel python3. Create it: python -m ipykernel install --sys-prefix"
    )


@pytest.mark.parametrize("name", ["jupyterlab", "ipykernel"])
def test_check_kernel_without_its_package_names_it(report, monkeypatch, name):
    def find_version(package):
        if package == name:
            raise PackageNotFoundError(package)
        return version(package)

    version = doctor.version
    monkeypatch.setattr(doctor, "version", find_version)
    line = report("JupyterLab's kernel python3")
    assert line == f"✗ The package {name} is missing. {INSTALL}"


# The machine


def test_check_memory_and_disk_too_small_say_what_to_do(report, monkeypatch):
    memory, disk = namedtuple("Memory", "total"), namedtuple("Disk", "free")
    monkeypatch.setattr(psutil, "virtual_memory", lambda: memory(2 * 2**30))
    monkeypatch.setattr(doctor.shutil, "disk_usage", lambda path: disk(2**29))
    assert report("the memory") == (
        "✗ Memory: 2.0 GiB, expected at least 4 GiB. Use a smaller image_size, such as 128"
    )
    assert report("the free disk space") == (
        "✗ Free disk space: 0.5 GiB, expected at least 2 GiB. Delete some files"
    )


def test_check_memory_without_psutil_says_install(report, monkeypatch):
    monkeypatch.setitem(sys.modules, "psutil", None)
    line = report("the memory")
    assert line.startswith("✗ Could not check the memory: ") and line.endswith(INSTALL)


def test_check_disk_deleted_working_folder_says_change_it(report, tmp_path, monkeypatch):
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert report("the free disk space").endswith("Change to a folder that exists")


def test_check_cache_names_its_limit_and_folder(report, tmp_path, monkeypatch):
    monkeypatch.setenv("XRAYKIT_CACHE_DIR", str(tmp_path))
    monkeypatch.setenv("XRAYKIT_CACHE_GB", "2.5")
    line = report("the feature cache")
    assert line == f"✓ Feature cache: at most 2.5 GB, in {tmp_path}/xraykit-features"
    assert not list((tmp_path / "xraykit-features").iterdir())


@pytest.mark.parametrize("setting", ["lots", "-1", "nan"])
def test_check_cache_impossible_limit_says_what_to_set(report, monkeypatch, setting):
    monkeypatch.setenv("XRAYKIT_CACHE_GB", setting)
    assert report("the feature cache") == (
        f"✗ XRAYKIT_CACHE_GB={setting!r}: expected a number of gigabytes, 0 or more"
    )


def test_check_cache_full_disk_says_free_it(report, monkeypatch):
    def fail(dir):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryFile", fail)
    line = report("the feature cache")
    assert "can't be written: No space left on device. Free some disk space" in line


# Folders


@pytest.mark.parametrize(
    ("name", "variable"),
    [
        ("the feature cache", "XRAYKIT_CACHE_DIR"),
        ("the images", "XRAYKIT_CHALLENGE_DIR"),
        ("the weights", "XRAYKIT_WEIGHTS_DIR"),
        ("the external images", "XRAYKIT_EXTERNAL_DIR"),
    ],
)
@pytest.mark.parametrize("folder", ["~unknown user/x", "/" + 300 * "x"])
def test_check_folder_that_cannot_exist_names_the_variable(
    report, monkeypatch, name, variable, folder
):
    monkeypatch.setenv(variable, folder)
    line = report(name)
    assert line.startswith("✗ ") and line.endswith(variable)


def test_check_images_missing_from_the_copy_are_counted(report, challenge, monkeypatch):
    monkeypatch.setenv("XRAYKIT_CHALLENGE_DIR", str(challenge))
    line = report("the images")
    assert line.startswith("✗ Images: 0 of 454 are identical to the challenge's, in ")
    assert "454 are missing, such as" in line


def test_examine_real_challenge_is_complete(real_challenge, real_weights, monkeypatch):
    names = ("the images", "the weights")
    monkeypatch.setattr(doctor, "CHECKS", {name: CHECKS[name] for name in names})
    images, weights = map(str, doctor.examine())
    assert f"454 of 454 are identical to the challenge's, in {real_challenge}" in images
    for name in ("MobileNetV2", "MobileNetV2 0.35", "ResNet50 up to conv4_block6_out"):
        assert name in weights


def test_check_weights_missing_names_replacement_and_file(report, tmp_path, monkeypatch):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    ranking = rank_recipes("multiclass").index
    default = xk.recipes[ranking[0]]
    replacement = next(name for name in ranking if xk.recipes[name].backbone == "SmallCNN")
    line = report("the weights")
    assert line.startswith("✓ ImageNet weights here: none; ")
    assert f"the default, {default.name}, needs {default.backbone}" in line
    assert f"Without an internet connection {replacement} replaces it" in line
    file = next(iter(candidate_files(default.backbone, default.alpha)))
    assert file in line
    (tmp_path / "models").mkdir()
    h5py.File(tmp_path / "models" / file, "w").close()
    assert f"the default, {default.name}, can run" in report("the weights")


@pytest.mark.parametrize("content", [b"", b"<html>Not found</html>", b"\x89HDF\r\n\x1a\n123"])
def test_check_weights_damaged_file_is_named(report, tmp_path, monkeypatch, content):
    file = tmp_path / next(iter(candidate_files("VGG16", 1.0)))
    file.write_bytes(content)
    monkeypatch.setenv("XRAYKIT_WEIGHTS_DIR", str(tmp_path))
    line = report("the weights")
    assert line.startswith(f"✗ {file} is damaged: ") and line.endswith("or copy it again")


def test_check_weights_whose_folder_is_missing_says_so(report, tmp_path, monkeypatch):
    monkeypatch.setenv("XRAYKIT_WEIGHTS_DIR", str(tmp_path / "no"))
    assert report("the weights").endswith("/no is not a folder: name one, or unset it")


def test_check_settings_names_each_that_changes_keras(report, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    monkeypatch.delenv("MPLBACKEND", raising=False)
    monkeypatch.setattr("locale.getencoding", lambda: "UTF-8")
    assert report("the settings").startswith("✓ ")
    (tmp_path / "keras.json").write_text('{"image_data_format": "channels_first"}')
    (tmp_path / "keras.py").touch()
    monkeypatch.setenv("MPLBACKEND", "Agg")
    monkeypatch.setattr("locale.getencoding", lambda: "ISO-8859-1")
    line = report("the settings")
    assert line.startswith("✗ ")
    for part in ("channels_first", "has a keras.py", "MPLBACKEND=Agg", "ISO-8859-1"):
        assert part in line


@pytest.mark.parametrize("content", ["{", "[]", ""])
def test_check_settings_damaged_keras_json_is_named(report, monkeypatch, tmp_path, content):
    monkeypatch.setenv("KERAS_HOME", str(tmp_path))
    (tmp_path / "keras.json").write_text(content)
    line = report("the settings")
    assert line.startswith("✗ Could not check the settings") and "Delete keras.json" in line


def test_check_limits_names_those_that_are_too_low(report, monkeypatch, tmp_path):
    assert report("the limits").startswith("✓ ")
    monkeypatch.setattr(doctor.resource, "getrlimit", lambda _: (64, 64))
    monkeypatch.setattr(doctor, "SHARED_MEMORY", tmp_path)
    monkeypatch.setattr("shutil.disk_usage", lambda _: namedtuple("usage", "free")(0))
    line = report("the limits")
    assert "`ulimit -n 256`" in line and f"{tmp_path} has 0 MB" in line


def test_check_cache_of_another_user_is_named(report, monkeypatch, tmp_path):
    monkeypatch.setenv("XRAYKIT_CACHE_DIR", str(tmp_path))
    folder = tmp_path / "xraykit-features/aa"
    folder.mkdir(parents=True)
    make = tempfile.TemporaryFile

    def make_own(dir):
        if dir == folder:
            raise PermissionError(errno.EACCES, "Permission denied", str(folder))
        return make(dir=dir)

    monkeypatch.setattr(tempfile, "TemporaryFile", make_own)
    line = report("the feature cache")
    assert line.startswith("✗ ") and f"Permission denied ({folder})" in line


def test_check_images_phantoms_nowhere_to_draw_is_a_fault(report, monkeypatch, tmp_path):
    monkeypatch.setattr("xraykit.data.challenge.DATA", tmp_path)
    monkeypatch.setattr("xraykit.data.phantoms.DATA", tmp_path)
    monkeypatch.setattr("xraykit.data.phantoms.user_data_path", lambda _: tmp_path / "own")
    assert "drawn when first needed" in report("the images")
    monkeypatch.setattr("os.access", lambda *_: False)
    line = report("the images")
    assert line.startswith("✗ ") and f"can't be drawn in {tmp_path / 'own/phantoms'}" in line
