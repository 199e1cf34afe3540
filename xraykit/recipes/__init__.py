"""Configurations: `xk.recipes[name]` is one of them.

This package is the mapping itself (a module may have a class of its own: Python's data model,
"Customizing module attribute access"), since Python would put the package in its place otherwise.
"""

import sys
from collections.abc import Iterator, KeysView
from copy import deepcopy
from types import ModuleType

from .published import RECIPES, recipe_named
from .recipe import Recipe


class _Recipes(ModuleType):
    def __getitem__(self, name: str) -> Recipe:
        return deepcopy(recipe_named(name))

    def __iter__(self) -> Iterator[str]:
        return iter(RECIPES)

    def __len__(self) -> int:
        return len(RECIPES)

    def keys(self) -> KeysView[str]:
        return RECIPES.keys()

    _ipython_key_completions_ = keys


sys.modules[__name__].__class__ = _Recipes
