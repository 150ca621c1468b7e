"""Fault rules for the sandbox, drawn at random: each is a fault the client must get over or own up to."""

from __future__ import annotations

from random import Random

from harvester.sandbox.faults import Match, Rule

PASSING = (
    *("status:500", "status:502", "status:503", "status:504", "status:521", "status:503,1,4"),  # S01, S02
    *("429:none", "429:ra=1", "429:ra=40", "429:ra=-5", "429:date_skew", "429:mid=30"),  # S03, S04, S05, Q12
    *("cut:len", "cut:chunk", "rst:0", "rst:300"),  # H01, H02, N02, N03
    *("maint:200", "maint:503"),  # S07
)
SLOW = ("latency:0.2", "latency:5", "latency:45", "latency:ramp")  # Q11
RENEWED = ("401:once", "token:ttl")  # S10, A01: where tokens are renewed


def draw(chance: Random, provider: str) -> list[Rule]:
    """One to four rules for *provider*: some hit single requests, some a share of all."""
    known = (*PASSING, *SLOW, *(RENEWED if provider in ("centris", "ims") else ()))
    rules = []
    for _ in range(chance.randint(1, 4)):
        fault = chance.choice(known)
        if chance.random() < 0.5:
            match, p, times = Match(provider=provider), chance.choice((0.02, 0.1, 0.3)), chance.choice((3, 10, 40))
        else:
            match, p, times = Match(provider=provider, nth=chance.randint(1, 12)), 1.0, 1
        rules.append(Rule(fault=fault, match=match, p=p, times=times))
    return rules
