"""Providers by name: the file name is the registration, there is no list to edit.

``load("centris")`` finds ``providers/centris.py``. A provider of your own needs no place in this package:
``load("acme.lakeside")`` imports a module, ``load("./lakeside.py")`` reads a file.
"""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
from difflib import get_close_matches
from pathlib import Path
from types import ModuleType

from harvester.errors import ConfigError
from harvester.provider import Provider


def names() -> tuple[str, ...]:
    """Names of the built-in providers, sorted; nothing is imported."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(__path__) if not module.name.startswith("_")))


def load(name: str) -> Provider:
    """The provider *name*: built in, a dotted module path, or the path of a Python file.

    Raises:
        ConfigError: there is none, it cannot be imported, or it declares no ``PROVIDER``.
    """
    if name in names():
        return _declared(importlib.import_module(f"{__name__}.{name}"), name)
    if name.endswith(".py"):
        return _declared(_from_file(Path(name)), name)
    if "." in name:
        try:
            module = importlib.import_module(name)
        except Exception as error:
            reason = f"{type(error).__name__}: {error}"
            raise ConfigError(f"the provider module {name!r} cannot be imported: {reason}", path="provider") from error
        return _declared(module, name)
    near = get_close_matches(name, names(), n=1)
    hint = f"did you mean {near[0]!r}?" if near else f"there are {', '.join(names())}"
    raise ConfigError(f"there is no provider {name!r}; {hint}", path="provider")


def _from_file(path: Path) -> ModuleType:
    """The module in the file at *path*, executed once a process."""
    path = path.absolute()
    label = f"harvester_provider_{path.stem}_{path.as_posix().encode().hex()}"
    if label in sys.modules:
        return sys.modules[label]
    spec = importlib.util.spec_from_file_location(label, path)
    if spec is None or spec.loader is None:
        raise ConfigError(f"{path} is no Python file", path="provider")
    module = importlib.util.module_from_spec(spec)
    sys.modules[label] = module  # dataclasses look themselves up here while the file runs
    try:
        spec.loader.exec_module(module)
    except Exception as error:
        del sys.modules[label]
        reason = f"{type(error).__name__}: {error}"
        raise ConfigError(f"the provider file {path} cannot be loaded: {reason}", path="provider") from error
    return module


def _declared(module: ModuleType, name: str) -> Provider:
    provider = getattr(module, "PROVIDER", None)
    if not isinstance(provider, Provider):
        raise ConfigError(f"{name!r} declares no PROVIDER of type Provider", path="provider")
    return provider
