"""Why a body cannot be read, in words for people who never saw the decoder; pure."""

from __future__ import annotations

import re

_MISSING = re.compile(r"Object missing required field `(?P<name>[^`]*)`(?: - at `\$\.?(?P<path>[^`]*)`)?")
_WRONG = re.compile(r"Expected `(?P<kind>\w+)(?: \| \w+)*`, got `(?P<got>\w+)`(?: - at `\$\.?(?P<path>[^`]*)`)?")
_KINDS = {
    "array": "a list",
    "object": "an object",
    "str": "text",
    "int": "a number",
    "float": "a number",
    "bool": "true or false",
    "null": "null",
}
_LISTS = ("value", "Results")


def complaint(error: Exception) -> str:
    """What *error* of msgspec says of a body, as the end of a sentence. It shows nothing of the body but names."""
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    text = str(error).rstrip(".")
    if found := _MISSING.fullmatch(text):
        name = found["name"]
        answer = "it is not an OData answer: " if name == "value" else ""
        return f"{answer}{found['path'] or 'it'} has no {'list' if name in _LISTS else 'member'} named {name}"
    if found := _WRONG.fullmatch(text):
        kind, got = _KINDS.get(found["kind"], found["kind"]), _KINDS.get(found["got"], found["got"])
        return f"{found['path'] or 'it'} is {got} where {kind} is due"
    if "truncated" in text:
        return "it stops before its end"
    return f"it is not JSON: {text.removeprefix('JSON is malformed: ')}" if text.startswith("JSON is") else text
