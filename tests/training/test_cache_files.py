import json
import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest

import xraykit as xk
from xraykit.training.cache_files import CacheFiles
from xraykit.training.cache_folder import FOLDER, LIMIT, CacheError, cached, clear_cache

NETWORK = "a network"


def key(number):
    return f"{number:032d}"


def feature(number, size=100):
    return np.full(size, number, np.float32)


class Network:
    """Gives each key its number as features, and counts what it was asked."""

    def __init__(self, keys, size=100, scale=1):
        self.keys, self.size, self.scale, self.computed = list(keys), size, scale, 0

    def __call__(self, positions):
        self.computed += len(positions)
        return np.stack([feature(int(self.keys[i]) * self.scale, self.size) for i in positions])


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(FOLDER, str(tmp_path / "cache"))
    return tmp_path / "cache"


def read(keys, network=None, dtype="float16"):
    network = network or Network(keys)
    rows = CacheFiles(NETWORK, "a layer", dtype).rows(keys, network)
    return rows.take(np.arange(len(keys)))


def correct(keys, network=None, **options):
    """Whether each key has its own features, to the last bit."""
    expected = np.stack([feature(int(each)) for each in keys])
    return (read(keys, network, **options) == expected).all()


KEYS = [key(number) for number in range(70)]  # three chunks, the last one smaller


def test_when_features_are_there_then_nothing_is_computed():
    assert correct(KEYS)
    again = Network(KEYS)
    assert correct(KEYS, again) and again.computed == 0


def test_when_some_are_missing_then_only_those_are_computed_and_the_order_is_kept():
    read(KEYS[10:40])
    mixed = KEYS[35:60] + KEYS[:20] + KEYS[50:55]
    network = Network(mixed)
    assert correct(mixed, network)
    assert network.computed == 20 + 10  # 40 to 59 and 0 to 9, each once


def test_when_it_is_of_another_network_or_dtype_then_it_is_computed_anew():
    read(KEYS)
    for bank in (CacheFiles("another", "", "float16"), CacheFiles(NETWORK, "", "float32")):
        network = Network(KEYS)
        bank.rows(KEYS, network)
        assert network.computed == len(KEYS)


def test_when_a_feature_is_beyond_float16_then_all_are_kept_as_float32():
    network = Network(KEYS, scale=1000)  # up to 69,000
    rows = CacheFiles(NETWORK, "a layer").rows(KEYS, network)
    assert rows.dtype == np.float32
    assert rows.take(np.array([69]))[0, 0] == 69_000
    within = CacheFiles("another", "a layer").rows(KEYS, Network(KEYS, scale=900))
    assert within.dtype == np.float16


def files(cache, ending):
    return sorted(path for path in cache.rglob(f"*{ending}") if not path.name.startswith("."))


def flip(path, place):
    content = bytearray(path.read_bytes())
    content[place % len(content)] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("place", [9, 200, -5])  # in the header, the features, the last row
def test_when_a_byte_of_features_is_flipped_then_they_are_computed_anew(cache, place, capsys):
    read(KEYS)
    flip(*files(cache, ".npy"), place)
    network = Network(KEYS)
    assert correct(KEYS, network) and network.computed == len(KEYS)
    assert "damaged" in capsys.readouterr().out
    assert correct(KEYS, again := Network(KEYS)) and again.computed == 0


def test_when_any_byte_of_what_is_said_about_them_is_flipped_then_nothing_wrong_is_read(cache):
    read(KEYS)
    (path,) = files(cache, ".json")
    for place in np.random.default_rng(3).integers(0, path.stat().st_size, 40):
        flip(path, place)
        assert correct(KEYS)
        (path,) = files(cache, ".json")


@pytest.mark.parametrize("ending", [".npy", ".json"])
@pytest.mark.parametrize("left", [0, 50, 0.5])
def test_when_a_file_is_truncated_then_they_are_computed_anew(cache, ending, left):
    read(KEYS)
    (path,) = files(cache, ending)
    size = path.stat().st_size
    os.truncate(path, int(left * size) if left < 1 else left)
    network = Network(KEYS)
    assert correct(KEYS, network) and network.computed == len(KEYS)


@pytest.mark.parametrize("ending", [".npy", ".json"])
def test_when_one_of_the_two_files_is_gone_then_they_are_computed_anew(cache, ending):
    read(KEYS)
    files(cache, ending)[0].unlink()
    assert correct(KEYS)
    assert len(files(cache, ".npy")) == len(files(cache, ".json")) == 1


def test_when_the_cache_is_full_then_the_longest_unused_go_first(cache, monkeypatch):
    def banks(number):
        return [key(1000 * number + each) for each in range(10)]

    monkeypatch.setenv(LIMIT, str(10 * 1000 * 2 * 2.5 / 1e9))  # room for two and a half
    for number in (1, 2):
        read(banks(number), Network(banks(number), size=1000))
    for path in files(cache, ".json"):
        first = json.loads(path.read_text())["keys"].startswith(key(1000))
        os.utime(path, (1, 200 if first else 100))  # the first was used after the second
    read(banks(3), Network(banks(3), size=1000))
    kept = {json.loads(path.read_text())["keys"][:32] for path in files(cache, ".json")}
    assert kept == {key(1000), key(3000)}


def test_when_features_are_larger_than_the_limit_then_it_is_said_and_nothing_is_removed(
    cache, monkeypatch
):
    read(KEYS)
    monkeypatch.setenv(LIMIT, "0.00001")
    more = [key(100 + number) for number in range(200)]
    with pytest.raises(CacheError, match=r"would take 0.0 GB, over XRAYKIT_CACHE_GB=0.00001"):
        read(more)
    assert correct(KEYS, again := Network(KEYS)) and again.computed == 0
    assert len(list(cache.rglob("*.npy"))) == 1


def test_when_the_room_is_taken_by_what_is_needed_too_then_that_stays(cache, monkeypatch):
    read(KEYS)
    monkeypatch.setenv(LIMIT, str(100 * 100 * 2 / 1e9))  # room for a hundred
    with pytest.raises(CacheError, match="features would take"):
        read([*KEYS, *(key(100 + number) for number in range(40))])
    assert correct(KEYS, again := Network(KEYS)) and again.computed == 0


def test_when_something_was_never_finished_then_clearing_removes_it_too(cache):
    read(KEYS)
    (features,) = files(cache, ".npy")
    (features.parent / ".1234.partial.npy").touch()
    (features.parent / "1234.npy").touch()
    clear_cache()
    assert {path.name for path in cache.rglob("*") if path.is_file()} <= {".lock"}


@pytest.mark.parametrize("limit", ["nan", "-1"])
def test_when_the_limit_is_out_of_range_then_one_line_says_so(limit, monkeypatch):
    monkeypatch.setenv(LIMIT, limit)
    with pytest.raises(xk.InputError, match="expected a number of gigabytes, 0 or more"):
        read(KEYS)


def test_when_the_limit_is_no_number_then_one_line_says_so(monkeypatch):
    monkeypatch.setenv(LIMIT, "much")
    with pytest.raises(xk.InputError, match="XRAYKIT_CACHE_GB='much': expected a number of giga"):
        read(KEYS)


def test_when_the_folder_cant_be_written_then_it_is_said(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv(FOLDER, str(tmp_path / "file"))
    with pytest.raises(CacheError, match=r"the feature cache in .*file.*: "):
        read(KEYS)


def test_when_the_folder_is_read_only_then_what_is_there_is_read(cache, monkeypatch):
    read(KEYS)

    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    for name in ("utime", "mkdir", "open", "replace", "unlink"):
        monkeypatch.setattr(os, name, refuse)
    assert correct(KEYS, again := Network(KEYS)) and again.computed == 0
    with pytest.raises(CacheError, match="Read-only file system"):
        read([*KEYS, key(99)])


def test_when_shown_and_cleared_then_the_cache_is_what_is_said():
    read(KEYS)
    table = cached()
    assert table.loc[0, "network"] == "a layer" and table.loc[0, "features"] == 70
    assert table.loc[0, "MB"] == pytest.approx(70 * 100 * 2 / 1e6, rel=0.05)
    clear_cache()
    assert cached().empty
    assert correct(KEYS)


def test_when_the_cache_is_in_a_folder_with_other_things_then_those_are_left_alone(cache):
    others = [cache / "project" / "notes.json", cache / "project" / ".lock", cache / "empty"]
    others[0].parent.mkdir(parents=True)
    others[0].write_text("{}")
    others[1].touch()
    others[2].mkdir()
    read(KEYS)
    clear_cache()
    assert all(path.exists() for path in others)
    assert cached().empty


@pytest.mark.slow
def test_when_the_command_is_asked_then_it_shows_and_clears_the_cache(cache):
    def xraykit(*arguments):
        command = [str(Path(sys.executable).with_name("xraykit")), "cache", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    read(KEYS)
    assert "a layer" in (shown := xraykit()) and f"1 files, 0.00 GB, in {cache}" in shown
    assert f"1 files, 0.00 GB, removed from {cache}" in xraykit("--clear")
    assert xraykit().startswith("0 files, 0.00 GB")


CHILD = """
    import os, resource, signal, sys, time
    import numpy as np
    from xraykit.training.cache_files import CacheFiles
    from xraykit.training.cache_folder import CacheError

    KEYS = [f"{number:032d}" for number in range(640)]
    slow, limit = float(sys.argv[1]), int(sys.argv[2])
    if limit:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

    def compute(positions):
        time.sleep(slow)
        return np.stack([np.full(1000, int(KEYS[i]), np.float32) for i in positions])

    print("begun", flush=True)
    try:
        rows = CacheFiles("a network", "a layer").rows(KEYS, compute)
    except CacheError as error:
        sys.exit(f"CacheError: {error}")
    got = rows.take(np.arange(len(KEYS)))
    print("right" if (got == np.arange(640)[:, None]).all() else "wrong")
"""
MANY = [key(number) for number in range(640)]


def child(slow=0.0, limit=0):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD), str(slow), str(limit)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def whole(cache):
    """Whether what is under final names is whole: what is said to be there is there, and right."""
    network = Network(MANY, size=1000)
    CacheFiles(NETWORK, "a layer").rows(MANY, network)
    partial = [path for path in cache.rglob(".*") if "partial" in path.name]
    return network.computed in (0, len(MANY)) and not partial


@pytest.mark.slow
def test_when_killed_at_any_of_20_moments_then_nothing_half_written_is_read(cache):
    start = time.perf_counter()
    undisturbed = child(slow=0.02)
    assert undisturbed.communicate()[0].endswith("right\n")
    lasts = time.perf_counter() - start
    interrupted = 0
    for moment in np.random.default_rng(5).uniform(0, 1, 20):
        clear_cache()
        killed = child(slow=0.02)
        assert killed.stdout.readline() == "begun\n"
        time.sleep(moment * 0.02 * 20)  # 20 chunks
        killed.send_signal(signal.SIGKILL)
        interrupted += killed.wait() == -signal.SIGKILL
        assert child().communicate()[0].endswith("right\n")
        assert whole(cache)
    assert interrupted >= 18 and lasts > 0.4


def test_when_killed_in_the_middle_then_it_is_computed_anew_and_nothing_is_left(cache):
    killed = child(slow=0.1)
    assert killed.stdout.readline() == "begun\n"
    while not list(cache.rglob(".*.partial.npy")):
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert list(cache.rglob(".*.partial.npy"))
    assert whole(cache)


def test_when_the_disk_is_full_then_one_line_says_so_and_nothing_is_left(cache):
    out, error = (full := child(limit=500_000)).communicate()
    assert full.returncode == 1 and "correct" not in out
    assert error.startswith("CacheError: the feature cache in") and "Traceback" not in error
    assert not list(cache.rglob("*.npy"))
    assert whole(cache)


@pytest.mark.slow
def test_when_two_processes_want_the_same_then_one_computes_and_the_other_waits():
    one = child(slow=0.1)
    assert one.stdout.readline() == "begun\n"
    two = child(slow=0.1)
    said = [each.communicate()[0] for each in (one, two)]
    assert all(text.endswith("right\n") for text in said)
    assert sum("another process computes features of this network; waiting" in t for t in said) == 1
    assert sum("computing 640 features once" in t for t in said) == 1
