"""Holds a document of plain values to the schema: names every unknown key, and reads text where the type is known.

The environment and ``--set`` bring only text. What that text means is decided by the type of the key it is for: a
secret such as ``0012`` stays text, ``10`` becomes a number only where a number belongs.
"""

from __future__ import annotations

import difflib
import re
import tomllib
from collections.abc import Collection
from typing import Any

from msgspec import inspect

from harvester.errors import ConfigError

_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d|w)")
_DURATIONS = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|s|m|h|d|w))+", re.ASCII)
_SIZE = re.compile(r"(\d+(?:\.\d+)?) ?(B|[kKMGT]B|[KMGT]iB)", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d[\d_]*(?:\.\d+)?(?:[eE][+-]?\d+)?", re.ASCII)
_UNIT_SECONDS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_QUANTITIES = frozenset({"seconds", "bytes"})
_POWERS = {"k": 1, "K": 1, "M": 2, "G": 3, "T": 4}


class Text(str):
    """A value that came as text; *origin* says from where, for messages (``the environment variable X``)."""

    __slots__ = ("origin",)
    origin: str

    def __new__(cls, value: str, origin: str) -> Text:
        self = super().__new__(cls, value)
        self.origin = origin
        return self


def conform(value: Any, kind: inspect.Type, path: str) -> Any:
    """*value* with text read as *kind* wants it and all its keys known.

    Values of a wrong type pass unchanged: the conversion that follows refuses them.

    Raises:
        ConfigError: an unknown key, or text that cannot be read; the path is the key's.
    """
    if isinstance(value, Text) and _is_word_or_bool(kind):
        return {"true": True, "false": False}.get(value.lower(), str(value))
    kind, unit = _plain(kind)
    if isinstance(value, Text):
        value = _read(value, kind, unit, path)
    if isinstance(kind, inspect.VarTupleType) and value == unit != "":
        return [value]  # the one word that stands for a list
    if isinstance(kind, inspect.StructType) and isinstance(value, dict):
        fields = {field.encode_name: field.type for field in kind.fields}
        for key in value:
            if key not in fields:
                raise unknown_key(join(path, key), key, fields)
        return {key: conform(item, fields[key], join(path, key)) for key, item in value.items()}
    if isinstance(kind, inspect.DictType) and isinstance(value, dict):
        return {key: conform(item, kind.value_type, join(path, key)) for key, item in value.items()}
    if isinstance(kind, inspect.VarTupleType) and isinstance(value, dict) and _is_named(kind.item_type):
        # Tables by name are the same as a list of tables that each say their name.
        value = [{"name": name, **table} if isinstance(table, dict) else table for name, table in value.items()]
    if isinstance(kind, inspect.VarTupleType) and isinstance(value, list):
        return [conform(item, kind.item_type, f"{path}[{number}]") for number, item in enumerate(value)]
    if unit in _QUANTITIES and isinstance(value, str):
        return quantity(value, unit, path)
    return value


def _is_word_or_bool(kind: inspect.Type) -> bool:
    """Whether *kind* takes a word of a list as well as true or false."""
    kinds = {type(part) for part in kind.types} if isinstance(kind, inspect.UnionType) else set()
    return {inspect.BoolType, inspect.LiteralType} <= kinds


def _is_named(kind: inspect.Type) -> bool:
    return isinstance(kind, inspect.StructType) and any(field.encode_name == "name" for field in kind.fields)


def unknown_key(path: str, key: str, known: Collection[str], *, what: str = "unknown key") -> ConfigError:
    """The error for *key*, with the nearest known name when one is near."""
    near = difflib.get_close_matches(key, known, n=1, cutoff=0.6)
    advice = f'did you mean "{near[0]}"?' if near else f"known are: {', '.join(sorted(known)) or 'none'}"
    return ConfigError(f"{what}; {advice}", path=path)


def join(path: str, key: str) -> str:
    """*key* below *path*. Keys that are not plain words are quoted, so that a message shows no control character."""
    word = key if re.fullmatch(r"[A-Za-z0-9_-]+", key) else ascii(key)
    return f"{path}.{word}" if path else word


def _plain(kind: inspect.Type) -> tuple[inspect.Type, str]:
    """*kind* without ``| None`` and annotations; the unit, "" when it has none."""
    if isinstance(kind, inspect.UnionType):
        kind = next(part for part in kind.types if not isinstance(part, inspect.NoneType))
    if isinstance(kind, inspect.Metadata):
        inner, _ = _plain(kind.type)
        return inner, str((kind.extra or {}).get("unit", ""))
    return kind, ""


def _read(value: Text, kind: inspect.Type, unit: str, path: str) -> Any:
    text = str(value)
    match kind:
        case inspect.IntType() | inspect.FloatType() if not unit:
            if _NUMBER.fullmatch(text):
                return float(text) if "." in text or "e" in text.lower() else int(text)
            raise ConfigError(f"{value.origin} says {text!a}; a number is needed", path=path)
        case inspect.BoolType():
            if text.lower() in {"true", "1", "yes", "on"}:
                return True
            if text.lower() in {"false", "0", "no", "off"}:
                return False
            raise ConfigError(f"{value.origin} says {text!a}; true or false is needed", path=path)
        case inspect.VarTupleType() if not text.lstrip().startswith("["):
            return [part.strip() for part in text.split(",") if part.strip()]
        case inspect.VarTupleType() | inspect.StructType() | inspect.DictType():
            return _inline(value, path)
        case inspect.CustomType() if text.lstrip().startswith("{"):
            return _inline(value, path)
    return text


def _inline(value: Text, path: str) -> Any:
    """A list or table in TOML's inline notation."""
    try:
        return tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        # Without a cause and without the text: it may be a secret with a brace in front.
        raise ConfigError(f"{value.origin} is neither a TOML list nor a TOML inline table", path=path) from None


def quantity(text: str, unit: str, path: str) -> float | int:
    """*text* such as ``2h`` or ``128MiB`` as a number of *unit*: seconds or bytes. Raises ConfigError."""
    if _NUMBER.fullmatch(text):
        return float(text) if unit == "seconds" else int(float(text))
    if unit == "seconds" and _DURATIONS.fullmatch(text):
        return sum(float(number) * _UNIT_SECONDS[name] for number, name in _DURATION.findall(text))
    if unit == "bytes" and (match := _SIZE.fullmatch(text)):
        number, name = match.groups()
        base = 1024 if name.endswith("iB") else 1000
        return int(float(number) * base ** _POWERS.get(name[0], 0))
    example = '"90s", "2h" or "1h30m"' if unit == "seconds" else '"128MiB" or "4GB"'
    raise ConfigError(f"{text!a} is not a number of {unit}; write a number, or for example {example}", path=path)
