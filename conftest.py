"""What tests and the examples of docstrings and pages share."""

import re

import numpy as np
import pandas as pd
import pytest

import xraykit as xk


@pytest.fixture(scope="session", autouse=True)
def session_cache(tmp_path_factory):
    """Use a feature cache for this session only."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XRAYKIT_CACHE_DIR", str(tmp_path_factory.mktemp("cache")))
        yield


NAMES = ("task", "recipe", "model", "history", "predictions", "audit")
SLOW_EXAMPLES = ("Audit", "audit_task", "cross_validate", "cross_validate_perturbations")
SLOW_EXAMPLES += ("run_experiment", "time_recipe")


def pytest_collection_modifyitems(items):
    """Mark the examples that train several networks as slow."""
    for item in items:
        if isinstance(item, pytest.DoctestItem) and item.name.split(".")[-1] in SLOW_EXAMPLES:
            item.add_marker("slow")


class Examples(dict):
    """The names that docs/reference/api.md promises to examples, each made at first use."""

    def __init__(self, folder):
        super().__init__(xk=xk, np=np, pd=pd)
        self.folder = folder

    def __missing__(self, name):
        match name:
            case "task":
                xk.draw_phantoms(self.folder, "binary", images=40, shortcut=1, seed=1)
                value = xk.load_task("binary", self.folder, image_size=32)
            case "recipe":
                value = xk.recipes["task1-smallcnn"].override(image_size=32, epochs=1)
            case "model" | "history":
                self["model"], self["history"] = self["recipe"].train(self["task"])
                return self[name]
            case "predictions":
                value = xk.predict(self["model"], self["task"].test)
            case "audit":
                value = xk.audit_task(self["task"], folds=3)
            case _:
                raise KeyError(name)
        self[name] = value
        return value


@pytest.fixture(scope="session")
def examples(tmp_path_factory):
    return Examples(tmp_path_factory.mktemp("phantoms"))


@pytest.fixture(autouse=True)
def example_names(request, doctest_namespace, tmp_path, monkeypatch):
    """Give the examples of a docstring the names that they use, and a folder of their own."""
    if not isinstance(request.node, pytest.DoctestItem):
        return
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XRAYKIT_EXTERNAL_DIR", raising=False)
    xk.set_verbosity("warning")
    request.addfinalizer(lambda: xk.set_verbosity("info"))
    examples = request.getfixturevalue("examples")
    source = "".join(example.source for example in request.node.dtest.examples)
    names = set(re.findall(r"\w+", source)) & set(NAMES)
    doctest_namespace.update(examples, folder=tmp_path / "folder")
    doctest_namespace.update({name: examples[name] for name in names})
