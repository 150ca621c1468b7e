"""What a sandbox is asked to be: the seed, the size, the clock, and each simulator's own options."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from random import Random
from typing import TypeVar

import msgspec

from harvester.clock import SystemClock
from harvester.contracts import Clock

Options = TypeVar("Options", bound=msgspec.Struct)

MOST_CREDENTIALS = 9

DATA_END = datetime(2026, 1, 31, 23, 59, 59, tzinfo=UTC)
"""Generated modification times end here, so that the same seed gives the same bytes on every day."""


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Equal settings give equal data; what changes later is stamped with the clock's time."""

    seed: int = 1
    records: int = 5_000  # listings of each provider; other resources in proportion
    time_scale: float = 1.0  # quota periods are divided by it: at 60, a provider's hour lasts a minute
    clock: Clock = field(default_factory=SystemClock)
    quota: bool = True  # False: nothing is ever refused for quota reasons
    mutate: float = 0.0  # rows changed a second, over all providers, while serving
    webhooks: str = ""  # where changes are posted to, by the providers that do that; "": nowhere
    webhook_secret: str = ""  # signs the posts, base64 with or without whsec_; "": they are not signed
    credentials: int = 1  # of each provider that a written configuration holds, each with a quota of its own
    gzip: bool = False  # compress answers for clients that accept it
    options: Mapping[str, Mapping[str, object]] = field(default_factory=dict)  # by simulator name

    def __post_init__(self) -> None:
        if self.records < 1:
            raise ValueError(f"records must be at least 1, not {self.records}")
        if not 1 <= self.credentials <= MOST_CREDENTIALS:
            raise ValueError(f"credentials must lie from 1 to {MOST_CREDENTIALS}, not {self.credentials}")
        if not self.time_scale > 0:
            raise ValueError(f"time_scale must be above 0, not {self.time_scale}")
        if self.webhooks and not self.webhooks.startswith(("http://", "https://")):
            raise ValueError(f"webhooks must be an http address, not {self.webhooks!r}")
        try:
            base64.b64decode(self.webhook_secret.removeprefix("whsec_"), validate=True)
        except ValueError as exc:
            raise ValueError("webhook_secret must be base64, with or without whsec_ in front") from exc
        if self.mutate < 0:
            raise ValueError(f"mutate must not be negative, not {self.mutate}")

    def of(self, name: str, kind: type[Options]) -> Options:
        """The options of simulator *name* as its own Struct; absent ones have the Struct's defaults.

        Raises ``ValueError`` naming the option that is unknown (when *kind* forbids those) or of the wrong type.
        """
        try:
            return msgspec.convert(self.options.get(name, {}), kind)
        except msgspec.ValidationError as exc:
            raise ValueError(f"options of {name}: {exc}") from exc

    def rng(self, *scope: str) -> Random:
        """A stream of its own for *scope*, e.g. ``rng("ims", "Property")``: lazy tables stay deterministic."""
        return Random(":".join((str(self.seed), *scope)))

    def share(self, divisor: int, least: int = 1) -> int:
        """Size of a resource in proportion to the listings: one for each *divisor*, at least *least*."""
        return max(least, self.records // divisor)
