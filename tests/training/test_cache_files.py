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
from xraykit.training.cache_folder import (
    CACHE_VARIABLE,
    LIMIT_VARIABLE,
    CacheError,
    clear_cache,
    list_cached,
)

NETWORK = "a network"


def key(number):
    return f"{number:032d}"


def feature(number, size=100):
    return np.full(size, number, np.float32)


class Network:
    """Returns the number of each key as its features, and counts the keys."""

    def __init__(self, keys, size=100, scale=1):
        self.keys, self.size, self.scale, self.computed = list(keys), size, scale, 0

    def __call__(self, positions):
        self.computed += len(positions)
        return np.stack([feature(int(self.keys[i]) * self.scale, self.size) for i in positions])


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return tmp_path / "cache"


def read(keys, network=None, dtype="float16"):
    network = network or Network(keys)
    rows = CacheFiles(NETWORK, "a layer", dtype).load_rows(keys, network)
    return rows.take(np.arange(len(keys)))


def correct(keys, network=None, **options):
    """Return whether each key has exactly its features."""
    expected = np.stack([feature(int(number)) for number in keys])
    return (read(keys, network, **options) == expected).all()


KEYS = [key(number) for number in range(70)]  # three chunks, the last one smaller


def test_load_rows_stored_features_are_not_computed():
    assert correct(KEYS)
    again = Network(KEYS)
    assert correct(KEYS, again) and again.computed == 0


def test_load_rows_computes_only_missing_features_in_order():
    read(KEYS[10:40])
    mixed = KEYS[35:60] + KEYS[:20] + KEYS[50:55]
    network = Network(mixed)
    assert correct(mixed, network)
    assert network.computed == 20 + 10  # 40 to 59 and 0 to 9, each once


def test_load_rows_other_network_or_dtype_is_computed():
    read(KEYS)
    for files in (CacheFiles("another", "", "float16"), CacheFiles(NETWORK, "", "float32")):
        network = Network(KEYS)
        files.load_rows(KEYS, network)
        assert network.computed == len(KEYS)


def test_load_rows_feature_beyond_float16_stores_all_as_float32():
    network = Network(KEYS, scale=1000)  # up to 69,000
    rows = CacheFiles(NETWORK, "a layer").load_rows(KEYS, network)
    assert rows.dtype == np.float32
    assert rows.take(np.array([69]))[0, 0] == 69_000
    within = CacheFiles("another", "a layer").load_rows(KEYS, Network(KEYS, scale=900))
    assert within.dtype == np.float16


def list_files(cache, ending):
    return sorted(path for path in cache.rglob(f"*{ending}") if not path.name.startswith("."))


def flip(path, position):
    content = bytearray(path.read_bytes())
    content[position % len(content)] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("position", [9, 200, -5])  # in the header, the features, the last row
def test_load_rows_flipped_byte_in_features_is_computed_again(cache, position, capsys):
    read(KEYS)
    flip(*list_files(cache, ".npy"), position)
    network = Network(KEYS)
    assert correct(KEYS, network) and network.computed == len(KEYS)
    assert "damaged" in capsys.readouterr().out
    assert correct(KEYS, again := Network(KEYS)) and again.computed == 0


def test_load_rows_flipped_byte_in_metadata_reads_nothing_wrong(cache):
    read(KEYS)
    (path,) = list_files(cache, ".json")
    for position in np.random.default_rng(3).integers(0, path.stat().st_size, 40):
        flip(path, position)
        assert correct(KEYS)
        (path,) = list_files(cache, ".json")


@pytest.mark.parametrize("ending", [".npy", ".json"])
@pytest.mark.parametrize("remaining", [0, 50, 0.5])
def test_load_rows_truncated_file_is_computed_again(cache, ending, remaining):
    read(KEYS)
    (path,) = list_files(cache, ending)
    size = path.stat().st_size
    os.truncate(path, int(remaining * size) if remaining < 1 else remaining)
    network = Network(KEYS)
    assert correct(KEYS, network) and network.computed == len(KEYS)


@pytest.mark.parametrize("ending", [".npy", ".json"])
def test_load_rows_one_of_two_files_missing_is_computed_again(cache, ending):
    read(KEYS)
    list_files(cache, ending)[0].unlink()
    assert correct(KEYS)
    assert len(list_files(cache, ".npy")) == len(list_files(cache, ".json")) == 1


def test_load_rows_full_cache_removes_the_least_recently_used(cache, monkeypatch):
    def keys(number):
        return [key(1000 * number + i) for i in range(10)]

    monkeypatch.setenv(LIMIT_VARIABLE, str(10 * 1000 * 2 * 2.5 / 1e9))  # room for two and a half
    for number in (1, 2):
        read(keys(number), Network(keys(number), size=1000))
    for path in list_files(cache, ".json"):
        first = json.loads(path.read_text())["keys"].startswith(key(1000))
        os.utime(path, (1, 200 if first else 100))  # the first was used after the second
    read(keys(3), Network(keys(3), size=1000))
    remaining = {json.loads(path.read_text())["keys"][:32] for path in list_files(cache, ".json")}
    assert remaining == {key(1000), key(3000)}


def test_load_rows_over_the_limit_raises_and_removes_nothing(cache, monkeypatch):
    read(KEYS)
    monkeypatch.setenv(LIMIT_VARIABLE, "0.00001")
    more = [key(100 + number) for number in range(200)]
    with pytest.raises(CacheError, match=r"would take 0.0 GB, over XRAYKIT_CACHE_GB=1e-05"):
        read(more)
    assert correct(KEYS, again := Network(KEYS)) and again.computed == 0
    assert len(list(cache.rglob("*.npy"))) == 1


def test_load_rows_does_not_remove_files_in_use(cache, monkeypatch):
    read(KEYS)
    monkeypatch.setenv(LIMIT_VARIABLE, str(100 * 100 * 2 / 1e9))  # room for a hundred
    with pytest.raises(CacheError, match="the features would take"):
        read([*KEYS, *(key(100 + number) for number in range(40))])
    assert correct(KEYS, again := Network(KEYS)) and again.computed == 0


def test_clear_cache_removes_incomplete_files(cache):
    read(KEYS)
    (features,) = list_files(cache, ".npy")
    (features.parent / ".1234.partial.npy").touch()
    (features.parent / "1234.npy").touch()
    clear_cache()
    assert {path.name for path in cache.rglob("*") if path.is_file()} <= {".lock"}


@pytest.mark.parametrize("limit", ["nan", "-1"])
def test_load_rows_limit_out_of_range_raises(limit, monkeypatch):
    monkeypatch.setenv(LIMIT_VARIABLE, limit)
    with pytest.raises(xk.InputError, match="expected a number of gigabytes, 0 or more"):
        read(KEYS)


def test_load_rows_limit_not_a_number_raises(monkeypatch):
    monkeypatch.setenv(LIMIT_VARIABLE, "much")
    with pytest.raises(xk.InputError, match="XRAYKIT_CACHE_GB='much': expected a number of giga"):
        read(KEYS)


def test_load_rows_folder_not_writable_raises(tmp_path, monkeypatch):
    (tmp_path / "file").touch()
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "file"))
    with pytest.raises(CacheError, match=r"the feature cache in .*file.*: "):
        read(KEYS)


def test_load_rows_read_only_folder_reads_stored_features(cache, monkeypatch):
    read(KEYS)

    def refuse(*_, **__):
        raise OSError(30, "Read-only file system")

    for name in ("utime", "mkdir", "open", "replace", "unlink"):
        monkeypatch.setattr(os, name, refuse)
    assert correct(KEYS, again := Network(KEYS)) and again.computed == 0
    with pytest.raises(CacheError, match="Read-only file system"):
        read([*KEYS, key(99)])


def test_list_cached_and_clear_cache():
    read(KEYS)
    table = list_cached()
    assert table.loc[0, "network"] == "a layer" and table.loc[0, "features"] == 70
    assert table.loc[0, "MB"] == pytest.approx(70 * 100 * 2 / 1e6, rel=0.05)
    clear_cache()
    assert list_cached().empty
    assert correct(KEYS)


def test_clear_cache_leaves_other_files_alone(cache):
    others = [cache / "project" / "notes.json", cache / "project" / ".lock", cache / "empty"]
    others[0].parent.mkdir(parents=True)
    others[0].write_text("{}")
    others[1].touch()
    others[2].mkdir()
    read(KEYS)
    clear_cache()
    assert all(path.exists() for path in others)
    assert list_cached().empty


@pytest.mark.slow
def test_cache_command_shows_and_clears_the_cache(cache):
    def xraykit(*arguments):
        command = [str(Path(sys.executable).with_name("xraykit")), "cache", *arguments]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    read(KEYS)
    assert "a layer" in (text := xraykit()) and f"1 files, 0.00 GB, in {cache}" in text
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
        rows = CacheFiles("a network", "a layer").load_rows(KEYS, compute)
    except CacheError as error:
        sys.exit(f"CacheError: {error}")
    features = rows.take(np.arange(len(KEYS)))
    print("correct" if (features == np.arange(640)[:, None]).all() else "wrong")
"""
MANY = [key(number) for number in range(640)]


def child(slow=0.0, limit=0):
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(CHILD), str(slow), str(limit)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def is_complete(cache):
    """Return whether the files with final names are complete, and no others are left."""
    network = Network(MANY, size=1000)
    CacheFiles(NETWORK, "a layer").load_rows(MANY, network)
    partial = [path for path in cache.rglob(".*") if "partial" in path.name]
    return network.computed in (0, len(MANY)) and not partial


@pytest.mark.slow
def test_load_rows_killed_20_times_reads_nothing_incomplete(cache):
    start = time.perf_counter()
    uninterrupted = child(slow=0.02)
    assert uninterrupted.communicate()[0].endswith("correct\n")
    duration = time.perf_counter() - start
    interrupted = 0
    for moment in np.random.default_rng(5).uniform(0, 1, 20):
        clear_cache()
        killed = child(slow=0.02)
        assert killed.stdout.readline() == "begun\n"
        time.sleep(moment * 0.02 * 20)  # 20 chunks
        killed.send_signal(signal.SIGKILL)
        interrupted += killed.wait() == -signal.SIGKILL
        assert child().communicate()[0].endswith("correct\n")
        assert is_complete(cache)
    assert interrupted >= 18 and duration > 0.4


def test_load_rows_killed_is_computed_again_without_leftovers(cache):
    killed = child(slow=0.1)
    assert killed.stdout.readline() == "begun\n"
    while not list(cache.rglob(".*.partial.npy")):
        time.sleep(0.01)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert list(cache.rglob(".*.partial.npy"))
    assert is_complete(cache)


def test_load_rows_full_disk_raises_without_leftovers(cache):
    out, error = (full := child(limit=500_000)).communicate()
    assert full.returncode == 1 and "correct" not in out
    assert error.startswith("CacheError: the feature cache in") and "Traceback" not in error
    assert not list(cache.rglob("*.npy"))
    assert is_complete(cache)


@pytest.mark.slow
def test_load_rows_in_two_processes_computes_once():
    one = child(slow=0.1)
    assert one.stdout.readline() == "begun\n"
    two = child(slow=0.1)
    texts = [process.communicate()[0] for process in (one, two)]
    assert all(text.endswith("correct\n") for text in texts)
    assert (
        sum("another process computes features of this network; waiting" in t for t in texts) == 1
    )
    assert sum("computing 640 features once" in text for text in texts) == 1


def test_clear_cache_tells_what_it_could_not_remove(cache, monkeypatch):
    folder = cache / "xraykit-features/aa"
    folder.mkdir(parents=True)
    for name in ("00.json", "00.npy", "01.json", "01.npy"):
        (folder / name).write_text("{}")
    unlink = Path.unlink

    def unlink_own(path, **options):
        if path.stem == "00":
            raise PermissionError
        unlink(path, **options)

    monkeypatch.setattr(Path, "unlink", unlink_own)
    removed, remaining = clear_cache()
    assert [path.stem for path in removed["path"]] == ["01"]
    assert [path.stem for path in remaining["path"]] == ["00"]
