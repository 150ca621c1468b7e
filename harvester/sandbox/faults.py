"""Faults on demand: rules say which requests meet which fault, by the names of the fault catalogue.

``{"match": {"provider": "ims", "resource": "Property", "page": 3}, "fault": "status:503", "times": 2}``. Seeded:
the same rules, seed and order of requests give the same faults.
"""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Annotated

import msgspec

from harvester.sandbox.body_faults import BODY_KINDS
from harvester.sandbox.data_faults import DATA_KINDS
from harvester.sandbox.fault_kinds import PLAIN_KINDS, Effect, Kind
from harvester.sandbox.metadata_faults import METADATA_KINDS
from harvester.sandbox.page_faults import PAGE_KINDS
from harvester.sandbox.registry import simulator_names
from harvester.sandbox.simulator import fits_resource

KINDS: dict[str, Kind] = {**PLAIN_KINDS, **BODY_KINDS, **PAGE_KINDS, **DATA_KINDS, **METADATA_KINDS}

Count = Annotated[int, msgspec.Meta(ge=1)]


class FaultError(ValueError):
    """A rule that cannot be used; the message names the rule and what would be understood."""


class Match(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """Which requests a rule is about; every given field must fit. Token requests fit only a *path*."""

    provider: str = ""
    resource: str = ""  # as in the client's configuration
    path: str = ""  # part of the path and query as sent, below the provider's mount point
    page: Count | None = None  # the n-th page of the resource: one more than were answered with 2xx before
    nth: Count | None = None  # the n-th request that fits all the other fields
    credential: Count | None = None  # made with the n-th credential of the provider


class Rule(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One fault for some requests."""

    fault: str  # name, or name:arguments
    match: Match = msgspec.field(default_factory=Match)
    p: Annotated[float, msgspec.Meta(ge=0, le=1)] = 1.0  # for each request that fits
    times: Count | None = None  # then the rule is spent; None: the fault's own default


class Asked(msgspec.Struct, frozen=True, kw_only=True):
    """What rules look at."""

    provider: str
    path: str  # decoded, below the mount point
    target: str  # path and query as sent, below the mount point
    token: bool  # a token request
    credential: int | None = None  # the number of the credential; None: none of the provider's


class _Live:
    """A rule with its counters."""

    def __init__(self, rule: Rule) -> None:
        name, _, arguments = rule.fault.partition(":")
        kind = KINDS.get(name)
        if kind is None:
            raise FaultError(f"unknown fault '{rule.fault}'; known are {', '.join(sorted(known_faults()))}")
        try:
            self.fault = kind.make(arguments)
        except ValueError as exc:
            raise FaultError(f"fault '{rule.fault}': {exc}; write it as {kind.usage}") from exc
        self.rule = rule
        self.left = rule.times if rule.times is not None else kind.times
        self.seen = 0
        self.fired = 0
        self.burst = 0


def known_faults() -> Sequence[str]:
    """The fault names and how they are written."""
    return [kind.usage for kind in KINDS.values()]


def parse_rules(text: bytes) -> list[Rule]:
    """Read a JSON list of rules. Raises ``FaultError``."""
    try:
        rules = msgspec.json.decode(text, type=list[Rule])
    except msgspec.DecodeError as exc:
        raise FaultError(f"not a list of fault rules: {exc}") from exc
    known = simulator_names()
    for rule in rules:
        _Live(rule)
        if rule.match.provider and rule.match.provider not in known:
            # It would be in force and never fire.
            raise FaultError(f"fault '{rule.fault}': no provider '{rule.match.provider}', only {', '.join(known)}")
    return rules


class Faults:
    """The rules in force and what they have done so far."""

    def __init__(self, rules: Sequence[Rule] = (), *, seed: int = 0) -> None:
        self._seed = seed
        self.replace(rules)

    def replace(self, rules: Sequence[Rule]) -> None:
        """Other rules from now on; every counter starts again. Raises ``FaultError`` and keeps the old ones."""
        self._live = [_Live(rule) for rule in rules]
        self.rng = Random(f"{self._seed}:faults")
        self._answered: dict[tuple[str, str], int] = {}

    @property
    def rules(self) -> list[Rule]:
        return [live.rule for live in self._live]

    def effects(self, asked: Asked) -> list[tuple[str, Effect]]:
        """What happens to this request: fault names with their effects, in the order of the rules."""
        found: list[tuple[str, Effect]] = []
        for live in self._live:
            if not self._fits(live, asked):
                continue
            live.seen += 1
            if live.rule.match.nth is not None and live.seen != live.rule.match.nth:
                continue
            if live.burst:
                live.burst -= 1
            elif (live.left is not None and live.fired >= live.left) or not self._chance(live):
                continue
            else:
                live.fired += 1
                live.burst = live.fault.burst - 1
            found.append((live.rule.fault, live.fault.effect(live.fired, self.rng)))
        return found

    def answered(self, asked: Asked, status: int) -> None:
        """Count a page: the request was answered with *status*."""
        if not 200 <= status < 300 or asked.token:
            return
        for resource in {live.rule.match.resource for live in self._live if live.rule.match.page is not None}:
            if not resource or fits_resource(asked.path, resource):
                key = (asked.provider, resource)
                self._answered[key] = self._answered.get(key, 0) + 1

    def _fits(self, live: _Live, asked: Asked) -> bool:
        match = live.rule.match
        if match.provider and match.provider != asked.provider:
            return False
        if asked.token and not match.path:
            return False
        if match.credential is not None and match.credential != asked.credential:
            return False
        if match.path and match.path not in asked.target:
            return False
        if match.resource and not fits_resource(asked.path, match.resource):
            return False
        return match.page in (None, self._answered.get((asked.provider, match.resource), 0) + 1)

    def _chance(self, live: _Live) -> bool:
        chance = live.rule.p * live.fault.p
        return chance >= 1 or self.rng.random() < chance
