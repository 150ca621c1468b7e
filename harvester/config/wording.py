"""What msgspec says of a wrong value, in the words of someone who writes TOML; pure."""

from __future__ import annotations

import re

_TYPES = {
    "array": "a list",
    "object": "a table",
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
}
_EXPECTED = re.compile(r"Expected `([a-z]+)(?: \| null)?`, got `.*`", re.DOTALL)
_BOUND = re.compile(r"Expected `(?:int|float)(?: \| null)?` (>=|<=|>|<) (\S+)")
_MISSING = re.compile(r"Object missing required field `(.*)`")
_ENUM = re.compile(r"Invalid enum value (.*)")
_BOUNDS = {">=": "at least", "<=": "at most", ">": "more than", "<": "less than"}


def reworded(complaint: str, path: str) -> str:
    """*complaint* of msgspec, without its path, about the value at *path*; unchanged where it is of an unknown form."""
    if found := _BOUND.fullmatch(complaint):
        return f"must be {_BOUNDS[found[1]]} {found[2].removesuffix('.0')}"
    if found := _EXPECTED.fullmatch(complaint):
        needed = _TYPES.get(found[1], found[1])
        example = ', for example ["Property"]' if found[1] == "array" and path.endswith("resources") else ""
        return f"{needed} is needed{example}"
    if found := _MISSING.fullmatch(complaint):
        return f"the key {found[1]} is missing"
    if found := _ENUM.fullmatch(complaint):
        return f"{found[1]} is none of the values this key takes"
    return complaint.replace("`", "")
