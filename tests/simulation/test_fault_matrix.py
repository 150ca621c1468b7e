"""Every row of the fault catalogue that a server can cause, against every provider: the truth, or a reason.

One case of each row here; ``make simulate`` plays them all, over more seeds (scenario ``fault_matrix``).
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from msgspec import structs

from harvester.sandbox.faults import Faults, Match, Rule
from tests.simulation.contestants import ALL, CONTESTANTS, DELTAS, Contestant
from tests.simulation.fault_rows import CASES, HEAVY, Case
from tests.simulation.faulted import harvest_under
from tests.simulation.plays import scenarios
from tests.simulation.world import simulate

ROWS = (
    *(f"P{number:02d}" for number in range(1, 17)),
    *(f"T{number:02d}" for number in (*range(1, 9), 12)),
    *(f"H{number:02d}" for number in range(1, 14)),
    *(f"S{number:02d}" for number in range(1, 14)),
)


def first_of_each_row() -> Iterator[tuple[Case, Contestant]]:
    """The first case of each row that can happen to a provider."""
    for contestant in CONTESTANTS:
        met = set[str]()
        for case in CASES:
            if case.row not in met and case.fits(contestant):
                met.add(case.row)
                yield case, contestant


def deltas() -> Iterator[tuple[Case, Contestant]]:
    """A case of each row, with the deltas in turn; those about the ends of chains with every one that has links."""
    met = set[str]()
    for turn, case in enumerate(CASES):
        able = [contestant for contestant in DELTAS if case.fits(contestant)]
        if case.row in _ENDS:
            yield from ((case, contestant) for contestant in able)
        elif case.row not in met:
            met.add(case.row)
            yield case, able[turn % len(able)]


_ENDS = {"P05", "P06"}
_ONCE_FOUND = (
    ("P04-short:0.4-share", "centris-windows-delta"),  # changed in the second in which the delta began
    ("H03-cut:valid_json-always", "idx_broker-delta"),  # cut at the same record twice
    ("H11-desync:other-few", "spark-windows-delta"),  # an empty page without a token, and a count that tells nothing
)


def once_found() -> Iterator[tuple[Case, Contestant]]:
    """What has found a mistake."""
    for name, contestant in _ONCE_FOUND:
        yield next(case for case in CASES if case.name == name), ALL[contestant]


PLAYS = {
    f"{case.name}-{contestant.name}": (case, contestant)
    for plays in (first_of_each_row(), deltas(), once_found())
    for case, contestant in plays
}


@pytest.mark.parametrize("name", PLAYS)
def test_a_harvest_under_a_fault_is_whole_or_says_why_not(name: str) -> None:
    """FAULTS P01 to P16, T01 to T08, T12, H01 to H13, S01 to S13; the row is in the name.

    Behind a full harvest that met no fault: a delta, and one more when nothing fails any longer.
    """
    case, contestant = PLAYS[name]
    told: list[str] = []
    simulate(name, 0, harvest_under(contestant, case.rules(contestant), case.truth, told))
    assert told[0]


def test_every_row_has_a_case_and_every_case_is_a_fault_the_sandbox_knows() -> None:
    assert {case.row for case in (*CASES, *HEAVY)} == set(ROWS)
    for contestant in ALL.values():
        for case in (*CASES, *HEAVY):
            Faults(case.rules(contestant))


@pytest.mark.parametrize("seed", range(20))
def test_a_harvest_under_two_faults_is_whole_or_says_why_not(seed: int) -> None:
    """Drawn from the catalogue at random; ``make simulate`` plays hundreds (scenario ``fault_pairs``)."""
    simulate("fault_pairs", seed, scenarios()["fault_pairs"])


@pytest.mark.parametrize(
    ("drops", "outcome"), [(False, "equal"), (True, "nothing shows that the last page was the last")]
)
def test_a_server_that_does_not_count_is_believed_as_long_as_its_links_come(drops: bool, outcome: str) -> None:
    """FAULTS P13, P06: a short last page shows the end; a full one without a link shows none."""
    contestant = ALL["odata"]
    found = Match(provider=contestant.simulator, resource=contestant.path)
    rules = [Rule(fault="count:absent", match=found, times=1000)]
    if drops:
        rules.append(Rule(fault="next:drop", match=structs.replace(found, path="skiptoken"), times=1000))
    told: list[str] = []
    simulate(f"uncounted-{drops}", 0, harvest_under(contestant, rules, "same", told))
    assert outcome in told[0]
