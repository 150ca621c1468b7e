"""Credentials that go into a request header, checked once when they are bound; pure."""

from __future__ import annotations

import re

from harvester.contracts import Credential
from harvester.errors import ConfigError

_VISIBLE = re.compile(r"[\x21-\x7e]+")
_LONGEST = 16 * 1024  # characters; servers refuse heads far below that


def required(credential: Credential, name: str) -> str:
    """The secret configured as *name*, fit for a header.

    Raises:
        ConfigError: it is missing, or holds characters that would end the header (FAULTS A04); it is not shown.
    """
    value = optional(credential, name)
    if value is None:
        raise ConfigError("this secret is needed and not configured", path=name)
    return value


def optional(credential: Credential, name: str) -> str | None:
    """As ``required``; None when *name* is not configured or empty."""
    value = credential.reveal(name)
    if not value:
        return None
    if not is_header_safe(value):
        raise ConfigError("the secret holds blanks, line ends or other characters no header may hold", path=name)
    return value


def is_header_safe(value: str) -> bool:
    """Visible ASCII without blanks, and not absurdly long."""
    return len(value) <= _LONGEST and _VISIBLE.fullmatch(value) is not None
