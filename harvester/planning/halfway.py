"""A place between two bounds, some share of the way: of time, or of text. Pure.

It need not be the middle, nor even lie between them in the server's order of text: parts that are cut there are whole
whatever it is (``engine.parts``). A poor place makes them unequal, and the longer one is cut again.
"""

from __future__ import annotations

from datetime import timedelta

from harvester.planning.closing import read_instant, write_instant

_LETTERS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"  # in the order of their codes
_PLACES = 6  # letters behind the common ones that are reckoned with


def between_times(low: str, high: str, share: float, style: str) -> str | None:
    """The second at *share* (0 to 1) of the way from *low* to *high*, in the provider's style.

    None: there is none between, or one is unreadable.
    """
    first, last = read_instant(low), read_instant(high)
    if first is None or last is None:
        return None
    seconds = int((last - first).total_seconds() * share)
    return write_instant(first + timedelta(seconds=seconds), style) if seconds > 0 else None


def between_texts(low: str, high: str, share: float) -> str | None:
    """A text at *share* (0 to 1) of the way from *low* to *high* as digits and letters sort; None: there is none."""
    if low.isascii() and high.isascii() and low.isdigit() and high.isdigit():
        if len(low) != len(high):
            return None  # numbers or text? 9 comes before 10 in one order and behind it in the other
        number = _on_the_way(int(low), int(high), share)
        return f"{number:0{len(low)}d}" if int(low) < number else None
    shared = 0
    while shared < min(len(low), len(high)) and low[shared] == high[shared]:
        shared += 1
    here, there = _number(low[shared:]), _number(high[shared:])
    middle = low[:shared] + _text(_on_the_way(here, there, share))
    return middle if low < middle < high else None


def _on_the_way(low: int, high: int, share: float) -> int:
    """Keys may have more digits than a float holds."""
    return low + (high - low) * round(share * 1000) // 1000


def _number(text: str) -> int:
    value = 0
    for place in range(_PLACES):
        digit = 0
        if place < len(text):
            digit = sum(letter < text[place] for letter in _LETTERS)
        value = value * (len(_LETTERS) + 1) + digit
    return value


def _text(value: int) -> str:
    letters = []
    for _ in range(_PLACES):
        value, digit = divmod(value, len(_LETTERS) + 1)
        letters.append(_LETTERS[min(digit, len(_LETTERS) - 1)])
    return "".join(reversed(letters)).rstrip("0")
