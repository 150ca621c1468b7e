"""A TOML file, the environment and flags become a Config: flag over environment over file.

``HARVESTER_OUT`` is the key ``out``; ``HARVESTER_SOURCES__CENTRIS__CLIENT_ID`` is ``sources.centris.client_id``: two
underscores stand for a dot. A flag is ``sources.centris.budget.per_minute=10``.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import PurePath
from typing import Any, TypeVar

import msgspec
from msgspec import inspect

from harvester.config.check import check_config
from harvester.config.schema import Config, SourceConfig
from harvester.config.secrets import Secret
from harvester.config.typed import Text, conform, join, unknown_key
from harvester.config.wording import reworded
from harvester.contracts import Fs
from harvester.errors import ArgumentError, ConfigError, StorageError

DEFAULT_FILE = PurePath("harvester.toml")
PREFIX = "HARVESTER_"
# Kubernetes puts these into every container of a namespace that has a service called "harvester".
_SERVICE_LINK = re.compile(r"HARVESTER_(?:SERVICE_(?:HOST|PORT)(?:_.*)?|PORT(?:_.*)?)")
_T = TypeVar("_T")
_WHERE = re.compile(r"(?P<what>.*?)(?: - at `\$(?P<path>[^`]*)`)?", re.DOTALL)


def load_config(
    path: PurePath | None,
    *,
    fs: Fs,
    environment: Mapping[str, str],
    overrides: Sequence[str] = (),
) -> Config:
    """Read and check a configuration.

    Args:
        path: the file; None: ``harvester.toml`` when it exists, else environment and flags alone.
        environment: variables by name; those beginning with ``HARVESTER_`` are keys.
        overrides: ``key.path=value`` texts, the last one wins.
    Raises:
        ConfigError: the file is missing or not TOML, a key is unknown or its value wrong; the message names the key.
        ArgumentError: an override is not ``key=value``.
        StorageError: the file exists and cannot be read.
    """
    if path is None:
        if fs.exists(DEFAULT_FILE):
            return load_config(DEFAULT_FILE, fs=fs, environment=environment, overrides=overrides)
        try:
            return parse_config("", environment=environment, overrides=overrides)
        except ConfigError as exc:
            if exc.path != "sources":
                raise
            raise ConfigError(
                f"there is no {DEFAULT_FILE} in this directory. Name a configuration with -c FILE, or write one: "
                "`harvester providers` tells what it needs. `harvester demo` needs none."
            ) from exc
    if not fs.exists(path):
        raise ConfigError(f"there is no configuration file {path}; name one with -c FILE")
    return parse_config(_text_of(path, fs), origin=str(path), environment=environment, overrides=overrides)


def parse_config(
    text: str,
    *,
    origin: str = "the configuration",
    environment: Mapping[str, str] | None = None,
    overrides: Sequence[str] = (),
) -> Config:
    """The same from TOML *text*; *origin* names it in messages."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as exc:
        raise ConfigError(f"{origin} is not valid TOML: {exc}") from exc
    for name in sorted(environment or {}):
        if name.startswith(PREFIX) and not _SERVICE_LINK.fullmatch(name):
            value = Text((environment or {})[name], f"the environment variable {name}")
            _assign(document, _parts_of_variable(name, document), value)
    for override in overrides:
        key, equals, value_text = override.partition("=")
        if not equals or not key.strip():
            raise ArgumentError(f"--set {override!a}: write KEY=VALUE, for example sources.centris.page_size=100")
        _assign(document, key.strip().split("."), Text(_unquoted(value_text), f"--set {key.strip()}"))
    return _build(document)


def _unquoted(text: str) -> str:
    """What a TOML string says; any other text is what it is. A person quotes here as in the file."""
    if len(text) > 1 and text[0] in "\"'" and text[0] == text[-1]:
        with suppress(tomllib.TOMLDecodeError):
            value = tomllib.loads(f"value = {text}")["value"]
            return value if isinstance(value, str) else text
    return text


def _text_of(path: PurePath, fs: Fs) -> str:
    try:
        return fs.read(path).decode("utf-8-sig")
    except StorageError as exc:
        if isinstance(exc.__cause__, IsADirectoryError):
            raise ConfigError(f"{path} is a directory; name the configuration file in it") from exc
        raise
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path} is not UTF-8 text") from exc


def _parts_of_variable(name: str, document: Mapping[str, Any]) -> list[str]:
    parts = name.removeprefix(PREFIX).lower().split("__")
    if len(parts) > 1 and parts[0] == "sources":
        # Variables are written in capitals and know no hyphen; the file's spelling of the source wins.
        sources = document.get("sources")
        spellings = {key.lower().replace("-", "_"): key for key in sources} if isinstance(sources, dict) else {}
        parts[1] = spellings.get(parts[1], parts[1])
    elif parts[0] not in Config.__struct_fields__:
        raise unknown_key(f"the environment variable {name}", parts[0], Config.__struct_fields__)
    return parts


def _assign(document: dict[str, Any], parts: Sequence[str], value: Text) -> None:
    place = document
    for number, part in enumerate(parts[:-1]):
        below = place.setdefault(part, {})
        if isinstance(below, list):
            below = place[part] = _by_name(below)
        if not isinstance(below, dict):
            raise ConfigError(f"{value.origin} goes below a key that is no table", path=".".join(parts[: number + 1]))
        place = below
    place[parts[-1]] = value


def _by_name(tables: list[Any]) -> Any:
    """A list of tables that each have a name, as tables by name, so that a path can lead to one of them."""
    named = {table.get("name"): table for table in tables if isinstance(table, dict)}
    return named if len(named) == len(tables) and all(isinstance(name, str) for name in named) else tables


def _build(document: dict[str, Any]) -> Config:
    plain = conform(document, inspect.type_info(Config), "")
    sources = plain.pop("sources", {})
    if not isinstance(sources, dict):
        raise ConfigError("must be tables, one a source: [sources.NAME]", path="sources")
    # One at a time: the converter's own paths do not tell the keys of a dictionary.
    sections = {name: _convert(section, SourceConfig, join("sources", name)) for name, section in sources.items()}
    config = msgspec.structs.replace(_convert(plain, Config, ""), sources=sections)
    check_config(config)
    return config


def _convert(value: Any, kind: type[_T], path: str) -> _T:
    try:
        return msgspec.convert(value, kind, dec_hook=_decode)
    except msgspec.ValidationError as exc:
        match = _WHERE.fullmatch(str(exc))
        what, where = (match["what"], match["path"] or "") if match else (str(exc), "")
        place = (path + where).lstrip(".")
        raise ConfigError(reworded(what, place), path=place) from exc


def _decode(kind: type, value: object) -> object:
    if kind is Secret:
        return Secret.parse(value)
    raise NotImplementedError
