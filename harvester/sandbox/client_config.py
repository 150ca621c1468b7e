"""The client configuration that fits a running sandbox, as TOML."""

from __future__ import annotations

from collections.abc import Mapping

import orjson

from harvester.sandbox.registry import client_sources
from harvester.sandbox.simulator import Simulator


def config_toml(simulators: Mapping[str, Simulator], url: str, identity_url: str, *, out: str = "out") -> str:
    """A ready configuration: base and token URLs, demo credentials, budgets that equal the sandbox's quotas."""
    lines = [f"out = {_value(out)}"]
    for name, simulator in simulators.items():
        for source, table in client_sources(simulator, f"{url}/{name}", f"{identity_url}/{name}").items():
            lines += ["", f"[sources.{source}]"]
            lines += [f"{key} = {_value(value)}" for key, value in table.items()]
    return "\n".join(lines) + "\n"


def _value(value: object) -> str:
    """A TOML value. JSON strings without ``\\u007f`` and lone surrogates are TOML strings."""
    match value:
        case bool():
            return "true" if value else "false"
        case int() | float():
            return repr(value)
        case str():
            return orjson.dumps(value).decode()
        case Mapping():
            return "{ " + ", ".join(f"{key} = {_value(each)}" for key, each in value.items()) + " }"
        case list() | tuple():
            return "[" + ", ".join(_value(each) for each in value) + "]"
        case _:
            raise TypeError(f"no TOML for {type(value).__name__}")
