"""Recipes: `xk.recipes[name]` returns one.

This package is itself the mapping (Python's data model, "Customizing module attribute access"):
importing one of its modules would replace any other object of the name `xk.recipes`.
"""

import sys
from collections.abc import Iterator, KeysView
from copy import deepcopy
from types import ModuleType

from .published import RECIPES, get_recipe
from .recipe import Recipe


class _Recipes(ModuleType):
    def __getitem__(self, name: str) -> Recipe:
        return deepcopy(get_recipe(name))

    def __iter__(self) -> Iterator[str]:
        return iter(RECIPES)

    def __len__(self) -> int:
        return len(RECIPES)

    def keys(self) -> KeysView[str]:
        return RECIPES.keys()

    _ipython_key_completions_ = keys


sys.modules[__name__].__class__ = _Recipes
