"""README and documentation: links, tables, and the blocks of code, which are run or listed."""

import contextlib
import inspect
import io
import re
import shlex
import shutil
import sys
import tomllib
from dataclasses import dataclass
from pathlib import Path

import click
import pytest
import yaml

import xraykit as xk
from xraykit import cli
from xraykit.audit import baselines
from xraykit.experiments.experiments import EXPERIMENTS
from xraykit.experiments.reproduce import saved_reproduction, summarize
from xraykit.headless.results import SCHEMA, results_schema
from xraykit.models import backbones, weight_files
from xraykit.recipes.published import RECIPES

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
sys.path.insert(0, str(DOCS))
from saved_tables import expand_counts, make_table  # noqa: E402

EXAMPLE_NAMES = ("xk", "np", "pd", "task", "recipe", "model", "history", "predictions")
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", ROOT / "data/README.md"]
PAGES += sorted(page for page in DOCS.rglob("*.md") if "_build" not in page.parts)
BLOCK = re.compile(
    r"(?:^<!-- (not run|slow): ([^\n]+) -->\n)?^```(bash|python|powershell)\n(.*?)^```"
    r"(?:\n```text\n(.*?)^```)?",
    re.MULTILINE | re.DOTALL,
)


@dataclass(frozen=True)
class Block:
    """A fenced block of code, with the comment before it and the output after it."""

    page: Path
    line: int
    mark: str
    reason: str
    language: str
    code: str
    output: str

    def __str__(self):
        return f"{self.page.relative_to(ROOT)}:{self.line}"


def find_blocks(page):
    text = page.read_text()
    for found in BLOCK.finditer(text):
        line = text.count("\n", 0, found.start(4))
        yield Block(page, line, *(group or "" for group in found.groups()))


BLOCKS = [block for page in PAGES for block in find_blocks(page)]


def pages_with(language):
    """Return the pages with such blocks to run; once more, slow, those with slow blocks."""
    everyday = {block.page for block in BLOCKS if block.language == language and not block.mark}
    marks = pytest.mark.slow if language == "python" else ()  # nearly all train a network
    slow = {b.page for b in BLOCKS if b.language == language and b.mark == "slow"}
    cases = [pytest.param(page, False, id=page.stem, marks=marks) for page in sorted(everyday)]
    return cases + [
        pytest.param(page, True, id=f"{page.stem}-slow", marks=pytest.mark.slow)
        for page in sorted(slow)
    ]


def blocks_to_run(page, language, with_slow):
    """Return the blocks of a page, in their order."""
    skipped = ("not run",) if with_slow else ("not run", "slow")
    blocks = find_blocks(page)
    return [block for block in blocks if block.language == language and block.mark not in skipped]


def anchors(page):
    """Return the anchors of a page's headings, as code hosts make them."""
    text = re.sub(r"```.*?```", "", page.read_text(), flags=re.DOTALL)
    included = re.findall(r"```{(?:include|saved)} (\S+)", page.read_text())
    text += "".join(make_table(name) for name in included if "/" not in name)
    text += "".join((page.parent / name).read_text() for name in included if "/" in name)
    titles = re.findall(r"^#+ (.+)$", text, flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", title.lower()).replace(" ", "-") for title in titles}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_links_lead_somewhere(page):
    for link in re.findall(r"\]\(([^)]+)\)", page.read_text()):
        if link.startswith("http"):
            continue
        file, _, anchor = link.partition("#")
        target = (page.parent / file).resolve() if file else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_page_counts_have_the_interval_of_the_kit(page):
    for count in re.findall(r"\d+/\d+ = \d+ % \[\d+, \d+\]", page.read_text()):
        assert count == expand_counts(count.partition(" ")[0])


def test_readme_is_short():
    assert len((ROOT / "README.md").read_text().splitlines()) <= 130


def test_every_page_is_reached_from_the_index():
    listed, new = set(), [DOCS / "index.md"]
    while new:
        page = new.pop()
        listed.add(page)
        for tree in re.findall(r"```{toctree}\n(.*?)```", page.read_text(), re.DOTALL):
            names = [line for line in tree.split() if not line.startswith(":")]
            new += [(page.parent / f"{name}.md").resolve() for name in names if name != "1"]
    assert listed == set(PAGES[3:])


@pytest.mark.parametrize("name", xk.__all__)
def test_every_public_name_has_an_example(name):
    value = getattr(xk, name)
    if isinstance(value, dict) or inspect.ismodule(value):
        assert f"xk.{name}" in "".join(block.code for block in BLOCKS)
    else:
        assert ">>> " in inspect.getdoc(value).partition("\nExamples\n--------\n")[2]


def test_api_page_lists_every_public_name():
    page = (DOCS / "reference/api.md").read_text()
    for name in xk.__all__:
        assert re.search(rf"^   {name}$|`xk\.{name}`", page, re.MULTILINE), name


def test_blocks_that_are_not_run_say_why():
    """`pytest tests/test_docs.py -k say_why -s` lists them."""
    listed = [block for block in BLOCKS if block.mark]
    print("", *(f"{block} {block.mark}: {block.reason}" for block in listed), sep="\n")
    assert all(block.reason for block in listed)
    other = [block for block in BLOCKS if block.language == "bash" and not block.mark]
    assert all(commands(block) for block in other), "neither run nor marked"


@pytest.fixture
def page_examples(examples, tmp_path, monkeypatch, drawn_challenge):
    """A folder with notebooks and images, random weights as ImageNet's, and undone changes."""
    task = examples["task"]
    monkeypatch.chdir(tmp_path)
    shutil.copytree(ROOT / "notebooks", tmp_path / "notebooks")
    shutil.copytree(task.root, tmp_path / "my-images")
    monkeypatch.setenv("XRAYKIT_CHALLENGE_DIR", str(drawn_challenge))
    monkeypatch.setenv("XRAYKIT_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(backbones, "load_imagenet", lambda network, **options: None)
    monkeypatch.setattr(baselines, "IMAGE_FEATURES", baselines.IMAGE_FEATURES)
    for known in (RECIPES, EXPERIMENTS, backbones.SCALINGS, weight_files.KERAS_FILES):
        for name in ("task1-tiny", "widths", "Xception"):
            monkeypatch.setitem(known, name, None)
            del known[name]
    xk.set_verbosity("warning")
    yield {name: examples[name] for name in EXAMPLE_NAMES}
    xk.set_verbosity("info")


@contextlib.contextmanager
def compare_output(block):
    """Compare what is printed with the text after the block, where `…` stands for anything."""
    shown = io.StringIO()
    try:
        with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(shown):
            yield
    except (xk.XraykitError, click.ClickException) as error:
        if not block.output:
            raise
        kind = f"{type(error).__name__}: " if block.language == "python" else ""
        print(f"{kind}{error}", file=shown)
    if block.output:
        pattern = re.escape(block.output.strip()).replace("…", ".*")
        assert re.fullmatch(pattern, shown.getvalue().strip(), re.DOTALL), (block, shown.getvalue())


@pytest.mark.parametrize(("page", "with_slow"), pages_with("python"))
def test_python_of_page_runs_and_shows_its_output(page, with_slow, page_examples):
    for block in blocks_to_run(page, "python", with_slow):
        with compare_output(block):
            exec(compile(block.code, str(block), "exec"), page_examples)


@pytest.mark.parametrize(("page", "with_slow"), pages_with("bash"))
def test_commands_of_page_run_and_show_their_output(page, with_slow, page_examples):
    for block in blocks_to_run(page, "bash", with_slow):
        for command in commands(block):
            with compare_output(block):
                cli.cli(command[1:], prog_name="xraykit", standalone_mode=False)


def commands(block):
    """Return the `xraykit` commands of a block, each as a list of words."""
    lines = re.sub(r"\$(\w+)", "1", block.code).splitlines()
    found = [shlex.split(line, comments=True) for line in lines if line.strip()]
    return [words for words in found if words and words[0] == "xraykit"]


@pytest.mark.parametrize("block", [block for block in BLOCKS if commands(block)], ids=str)
def test_command_block_has_commands_and_options_that_exist(block):
    for command in commands(block):
        context, group, words = click.Context(cli.cli), cli.cli, command[1:]
        while isinstance(group, click.Group):
            if words[0].startswith("-"):  # an option of the group, such as --help
                break
            name, group, words = group.resolve_command(context, words)
            context = click.Context(group, info_name=name, parent=context)
        else:
            group.make_parser(context).parse_args(args=list(words))


def test_citation_and_documentation_have_the_version():
    version = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert citation["version"] == version and citation["cff-version"] == "1.2.0"
    assert {"message", "title", "authors"} <= citation.keys()
    assert f"## {version} " in (ROOT / "CHANGELOG.md").read_text()


def test_hooks_before_a_commit_are_those_of_make_check():
    hooks = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text())["repos"][0]["hooks"]
    check = (ROOT / "Makefile").read_text().partition("\ncheck:")[2].partition("\n\n")[0]
    expected = [line.partition("$(BIN)/")[2] for line in check.splitlines()[1:]]
    assert len(hooks) == len(expected)
    for hook, command in zip(hooks, expected, strict=True):
        entry = hook["entry"].removeprefix(".venv/bin/")
        assert command.removesuffix(" .").removesuffix(" notebooks/*.ipynb") == entry


def test_results_page_lists_the_fields_of_the_schema():
    table, schema = make_table("results-fields"), results_schema()
    for name, field in schema["properties"].items():
        assert re.search(
            rf"^\| `{name}` \| .* \| {re.escape(field['description'])} \|$", table, re.M
        )
    assert "| `scores.*.correct` | integer | images predicted correctly |" in table
    assert f"version {SCHEMA}" in (DOCS / "reference/results-json.md").read_text()


def test_reproduction_page_shows_the_saved_table():
    table = make_table("reproduction")
    for row in summarize(saved_reproduction()).itertuples():
        cells = f"`{row.recipe}`", row.training, str(row.measured), row.loss
        assert any(all(cell in line for cell in cells) for line in table.splitlines()), cells


@pytest.mark.parametrize("name", sorted(path.stem for path in (DOCS / "results").glob("*.csv")))
def test_saved_table_is_shown_on_a_page(name):
    assert make_table(name).count("\n") > 1
    assert any(f"{{saved}} {name}\n" in page.read_text() for page in PAGES)
