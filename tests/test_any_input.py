"""Any input gives a result, or one line that says what is wrong, and is left as it was.

Few examples are tried by default; many thousands by
`pytest tests/test_any_input.py --hypothesis-profile=thorough --hypothesis-seed=1`.
"""

import io
import json
import shutil
import sys
import zipfile
import zlib
from contextlib import suppress

import nbformat
import numpy as np
import pytest
import tiny
from hypothesis import given, strategies as st
from PIL import Image, ImageCms, PngImagePlugin

import xraykit as xk
from xraykit import keras
from xraykit.cli import cli, main
from xraykit.data.challenge import import_challenge
from xraykit.data.images import UnusableImageError, read_image
from xraykit.experiments.rows import read_rows, write_rows
from xraykit.headless.collect import collect
from xraykit.headless.parameters import check_parameters, read_notebook
from xraykit.headless.results import RESULTS, read_results
from xraykit.metrics.predictions import read_predictions, tabulate
from xraykit.models.weights import load_file
from xraykit.training.checkpoint import Checkpoint

PARTS = ("two", "all", "train", "test", "val", "normal", "covid", "pneumonia_bac")
CLUTTER = (".DS_Store", "Thumbs.db", "__MACOSX", "._scan.png", "x.icloud", "notes.txt", "é\udce9")
NAMES = st.sampled_from(PARTS + CLUTTER) | st.text(
    st.characters(exclude_characters="/\0", max_codepoint=0x2FF), min_size=1, max_size=12
).filter(lambda name: name not in (".", ".."))


def picture(seed, kind="PNG", mode="L", size=12):
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 255, (size, size), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(file, kind)
    return file.getvalue()


def deep_picture(seed):
    file = io.BytesIO()
    pixels = np.random.default_rng(seed).integers(0, 60_000, (12, 12)).astype(np.uint16)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def tagged_picture(seed, kind):
    """Return a picture with an orientation, a colour profile and a text, which may be damaged."""
    file, exif = io.BytesIO(), Image.Exif()
    exif[0x0112], exif[0x010E] = 6, "chest"
    image = Image.open(io.BytesIO(picture(seed, kind, "RGB")))
    profile = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    texts = PngImagePlugin.PngInfo()
    texts.add_itxt("Comment", "röntgen", zip=True)
    image.save(file, kind, exif=exif, icc_profile=profile, pnginfo=texts)
    return file.getvalue()


PICTURES = [picture(1), picture(2, "JPEG"), picture(3, "WEBP", "RGB"), picture(4, "PNG", "RGBA")]
PICTURES += [picture(5, "PNG", "P"), picture(6, "JPEG", "CMYK"), deep_picture(7)]
PICTURES += [tagged_picture(8, "PNG"), tagged_picture(9, "JPEG"), tagged_picture(10, "WEBP")]


@st.composite
def damaged(draw, content):
    """Return bytes with parts replaced, removed, repeated or added."""
    data = bytearray(content)
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = start + draw(st.sampled_from([0, 1, 1, 2, 8, 100]))
        new = draw(st.binary(max_size=8) | st.just(bytes(data[start:end] * 2)) | st.just(b""))
        data[start:end] = new
        if draw(st.booleans()) and draw(st.booleans()):
            del data[draw(st.integers(0, len(data))) :]
    return bytes(data)


FILES = st.sampled_from(PICTURES) | st.sampled_from(PICTURES).flatmap(damaged)
FILES |= st.just(b"") | st.binary(max_size=40)


def one_line(error):
    """Return whether the text of an error is one line that can be printed anywhere."""
    text = str(error)
    text.encode()
    return 10 < len(text) < 2000 and "\n" not in text and "Traceback" not in text


def snapshot(folder):
    """Return the type and the content of each file and folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        is_link, is_file = path.is_symlink(), path.is_file()
        found[path] = path.readlink() if is_link else path.read_bytes() if is_file else None
    return found


def draw_set(root):
    for part, classes in (("two", PARTS[5:7]), ("all", (*PARTS[5:8], "pneumonia_vir"))):
        for split, count in (("train", 6), ("test", 2)):
            for label in classes:
                for number in range(count):
                    path = root / part / split / label / f"{split}{number}.png"
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(picture(zlib.crc32(f"{split}{label}{number}".encode())))


def change_tree(root, change):
    """Change one thing below a folder, if it can be changed."""
    action, where, name, content = change
    places = sorted(path for path in root.rglob("*") if action != "into" or path.is_dir())
    if not places:
        return
    place = places[where % len(places)]
    with suppress(OSError):
        match action:
            case "into":
                (place / name).write_bytes(content)
            case "replace" if place.is_file() and not place.is_symlink():
                place.write_bytes(content)
            case "remove":
                shutil.rmtree(place) if place.is_dir() else place.unlink()
            case "rename":
                place.rename(place.with_name(name))
            case "folder":
                (place.parent / name).mkdir()
            case "link":
                (place.parent / name).symlink_to(places[(7 * where) % len(places)])
            case "loop":
                (place.parent / name).symlink_to(place.parent)
            case "broken":
                (place.parent / name).symlink_to("nothing here")
            case "copy" if place.is_file():
                shutil.copy(place, places[(7 * where) % len(places)].parent / name)


ACTIONS = ("into", "replace", "remove", "rename", "folder", "link", "loop", "broken", "copy")
CHANGES = st.lists(
    st.tuples(st.sampled_from(ACTIONS), st.integers(0, 200), NAMES, FILES), min_size=1, max_size=6
)


@given(changes=CHANGES, name=st.sampled_from(["binary", "multiclass"]), in_memory=st.booleans())
def test_load_task_any_tree_gives_a_task_or_one_line(tmp_path_factory, changes, name, in_memory):
    root = tmp_path_factory.mktemp("tree")
    draw_set(root)
    for change in changes:
        change_tree(root, change)
    before = snapshot(root)
    try:
        task = xk.load_task(name, root, image_size=8, in_memory=in_memory)
    except xk.XraykitError as error:
        assert one_line(error)
    else:
        text = repr(task)
        text.encode()
        assert task.train.pixels[:].shape[1:] == (8, 8, 3)
        assert xk.image_metadata(task)["path"].is_unique
    assert snapshot(root) == before
    shutil.rmtree(root)


TYPES = ("int", "float", "str", "bool", "list", "list[int]", "dict", "int | None", "Optional[str]")
TYPES += ("float | str", "Path", "list[list]", "dict[str, int]", "int |", "None", "typing.Any")
LITERALS = ("0", "-1", "1e400", "'x'", "None", "[1, 2]", "{'a': 1}", "True", "f(2)", "float('nan')")
TEXTS = st.sampled_from(
    ["", "0", "-1", "1e3", "nan", "inf", "true", "No", "null", "[1", "[1.5, 2]", '{"a": 1}', "{}"]
) | st.text(max_size=20)


@given(
    lines=st.lists(
        st.tuples(st.sampled_from(TYPES) | st.none(), st.sampled_from(LITERALS)), max_size=4
    ),
    pairs=st.lists(
        st.tuples(st.sampled_from(["a0", "a1", "a2", "save_to"]) | st.text(max_size=8), TEXTS),
        max_size=3,
    ),
)
def test_check_parameters_any_name_and_value_is_of_its_type_or_one_line(lines, pairs):
    source = "\n".join(
        f"a{number}{f': {kind}' if kind else ''} = {value}"
        for number, (kind, value) in enumerate(lines)
    )
    cell = nbformat.v4.new_code_cell(source, metadata={"tags": ["parameters"]})
    notebook = nbformat.v4.new_notebook(cells=[cell])
    try:
        given_values, values = check_parameters(notebook, pairs)
    except xk.InputError as error:
        assert one_line(error)
        return
    json.dumps(given_values, allow_nan=False)
    assert set(given_values) == {name for name, _ in pairs} <= set(values)
    for name, value in given_values.items():
        kind = lines[int(name[1:])][0]
        assert kind != "bool" or isinstance(value, bool)
        assert kind != "int" or type(value) is int


COLUMNS = (["name", "seed"], ["correct", "total"])


def read_run(path):
    """Read results.json as `collect` and `card` do."""
    folder = path.parent / "run"
    folder.mkdir(exist_ok=True)
    shutil.copy(path, folder / RESULTS)
    collect([folder])  # has a row for a damaged one
    read_results(folder)


def import_zip(path):
    """Import a zip file; it holds no image of the challenge."""
    target = path.parent / "imported"
    try:
        import_challenge(path, target)
    finally:
        assert not target.exists() or not any(target.iterdir())


def read_picture(path):
    try:
        pixels, _ = read_image(path, 8)
        assert pixels.shape == (8, 8, 3)
    except UnusableImageError as error:
        raise xk.InputError(str(error)) from error


def read_checkpoint(path):
    """Read the state of a training; a damaged one is ignored."""
    assert Checkpoint(path).epochs in ([{"loss": 1.0}], [])


def load_weights(path):
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    load_file(network, path, end_at=None)


READERS = {
    **{f"image {number}": read_picture for number in range(len(PICTURES))},
    "results": read_run,
    "predictions": read_predictions,
    "notebook": read_notebook,
    "rows": lambda path: read_rows(path, *COLUMNS, "xraykit reproduce"),
    "zip": import_zip,
    "checkpoint": read_checkpoint,
    "weights": load_weights,
}


@pytest.fixture(scope="module")
def sound_files(tmp_path_factory, binary):
    """A folder with one sound file of each kind."""
    folder = tmp_path_factory.mktemp("sound")
    tiny.write_notebook(folder / "notebook", ("cell", "1 + 1", None))
    row = {"name": "a", "seed": 1, "correct": 3, "total": 4}
    write_rows(folder / "rows", [*COLUMNS[0], *COLUMNS[1]], [row])
    half = np.full((len(binary.test), 2), 0.5)
    tabulate(binary.test, half).to_csv(folder / "predictions", index=False)
    results = {"schema": 2, "status": "done", "notebook": "task1", "history": [{"loss": 1.0}]}
    results["scores"] = {"test": {"correct": 3, "total": 4, "low": 0.3, "high": 0.9, "loss": 1.0}}
    (folder / "results").write_text(json.dumps(results))
    with zipfile.ZipFile(folder / "zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("two/train/normal/IM-0001.png", PICTURES[0])
    with (folder / "checkpoint").open("wb") as file:
        np.savez(
            file, said=np.array(json.dumps({"epochs": [{"loss": 1.0}]})), variable_0=np.ones(3)
        )
    network = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    network.save_weights(folder / "w.weights.h5")
    (folder / "w.weights.h5").rename(folder / "weights")
    for number, content in enumerate(PICTURES):
        (folder / f"image {number}").write_bytes(content)
    return folder


SUFFIXES = {"weights": ".weights.h5", "checkpoint": ".npz"}


@pytest.mark.parametrize("kind", READERS)
@given(data=st.data())
def test_damaged_file_is_read_or_named_in_one_line(tmp_path_factory, sound_files, kind, data):
    sound = (sound_files / kind).read_bytes()
    content = data.draw(damaged(sound) | st.just(sound))
    folder = tmp_path_factory.mktemp("damaged")
    path = folder / f"{kind}{SUFFIXES.get(kind, '')}"
    path.write_bytes(content)
    try:
        READERS[kind](path)
    except xk.XraykitError as error:
        assert one_line(error)
        assert content != sound or kind == "zip"
    assert path.read_bytes() == content
    shutil.rmtree(folder)


WORDS = [*sorted({*cli.commands, *cli.commands["data"].commands}), "task1", "task2", "nothing"]
WORDS += [
    "task1-smallcnn",
    "task1-vgg61",
    "batch_sizes",
    "binary",
    "set",
    "set/two",
    "out",
    ".",
    "",
]
WORDS += ["-1", "0", "3", "40", "0.5", "nan", "1e99", "{}", '{"epochs": 1}', "[", "a\0b", "é\udce9"]
WORDS += [
    "epochs",
    "recipe",
    "data",
    "~nobody/x",
    "x" * 300,
    "file.csv",
    "notebook.ipynb",
    "--",
    "-",
]
OPTIONS = sorted(
    {
        option
        for group in (cli, cli.commands["data"])
        for command in group.commands.values()
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("-")
    }
)


class LongWorkError(Exception):
    """The arguments were right: what follows takes long."""


@pytest.fixture(scope="module")
def no_long_work():
    def stop(*arguments, **options):
        raise LongWorkError

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(keras.Model, "fit", stop)
        patch.setattr(keras.Model, "predict", stop)
        patch.setattr("xraykit.headless.run._execute", stop)
        patch.setattr("xraykit.audit.audit.audit_task", stop)
        patch.setattr("xraykit.data.phantoms.thread_map", stop)
        patch.setattr("xraykit.headless.doctor.examine", stop)
        patch.setattr("xraykit.recipes.choose.has_weights", lambda recipe: recipe.weights is None)
        yield


@given(
    arguments=st.lists(st.sampled_from(WORDS) | st.sampled_from(OPTIONS), max_size=6),
    command=st.sampled_from([[name] for name in cli.commands] + [["data", "phantoms"]]),
)
def test_command_any_arguments_ends_with_output_or_one_line(
    tmp_path_factory, no_long_work, capsys, arguments, command
):
    folder = tmp_path_factory.mktemp("command")
    (folder / "set" / "two").mkdir(parents=True)
    (folder / "file.csv").write_text("a,b\n1,2\n")
    tiny.write_notebook(folder / "notebook.ipynb", ("cell", "1 + 1", None))
    before = snapshot(folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("HOME", str(folder / "home"))
        patch.setattr(sys, "argv", ["xraykit", *command, *arguments])
        try:
            code = main()
        except SystemExit as error:
            code = error.code
        except LongWorkError:
            code = 0
    output = capsys.readouterr()
    assert "Traceback" not in output.err
    if code:
        assert output.err.strip()
        last = output.err.strip().splitlines()[-1]
        assert len(last) < 2000
    after = snapshot(folder)
    assert not any(".partial" in path.name and path.is_file() for path in after)
    assert {path: after[path] for path in before} == before
    shutil.rmtree(folder)
