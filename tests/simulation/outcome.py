"""What may come of a harvest under faults: it equals the truth, or it says what is missing."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Container, Iterable
from pathlib import PurePath

from harvester.events import Event, PageFetched
from harvester.model import Phase
from harvester.report.tally import Report
from harvester.sandbox.shelves import Shelf
from harvester.store.manifest import Manifest, read_manifest
from harvester.store.runs import find_all_runs
from tests.simulation.contestants import Contestant
from tests.simulation.truth import held
from tests.simulation.world import World

Version = tuple[str, ...]


class Witness:
    """A sink: what the provider held when the last page of a full walk came. Later changes are for the next run.

    Of a delta it is what was held when it ``began``; of records without a time, what was held all the while.
    """

    def __init__(self, world: World, contestant: Contestant) -> None:
        self._world, self._contestant = world, contestant
        self._seen: dict[str, set[bytes]] = {}
        self.resources = list(contestant.resources)  # to harvest
        self.desync = False  # answers may be those of other requests

    def began(self) -> None:
        """A delta begins now: what changes from here on is for the next one."""
        simulator = self._world.sandbox.simulator(self._contestant.simulator)
        self._seen = {resource: set(simulator.truth(resource)) for resource in self.resources}

    def __call__(self, event: Event) -> None:
        if isinstance(event, PageFetched) and event.walk.startswith("w"):
            simulator = self._world.sandbox.simulator(self._contestant.simulator)
            now = set(simulator.truth(event.resource))
            if not self._contestant.dated:  # nobody can ask what came behind the pages that were read
                now &= self._seen.get(event.resource, now)
            self._seen[event.resource] = now

    def held_then(self, resource: str, line: bytes) -> bool:
        """Whether *line* was true at that time; True where no page came at all."""
        return resource not in self._seen or line in self._seen[resource]


def check_outcome(world: World, contestant: Contestant, report: Report, truth: str, witness: Witness) -> str:
    """Raises ``AssertionError`` for a lie; else what came of the resource that met the faults, in a few words.

    Args:
        truth: how the server's rows and the replica's may differ (``Case.truth``).
    """
    if not report.complete:
        assert report.exit_status != 0, report
        named = [*(row.reason for row in report.resources if row.verdict != "complete")]
        named += [failure.reason for failure in report.failures]
        assert named, report
        assert all(named), f"no reason is given: {report}"
    else:
        assert report.exit_status == 0, report
    # Nothing tells an empty page that is another request's from a span in which nothing changed: one request a quiet
    # resource is all there is. The next delta asks for that span again (FAULTS H11).
    hidden = {row.resource for row in report.resources if witness.desync and not row.records}
    whole = {row.resource for row in report.resources if row.verdict == "complete"} - hidden
    check_runs(world, contestant, truth, witness, whole if contestant.changes else None)
    row = {row.resource: row for row in report.resources}.get(contestant.path)
    if row is None:
        return f"exit {report.exit_status}: {'; '.join(each.reason for each in report.failures)}"
    return "equal" if row.verdict == "complete" else f"exit {report.exit_status}, {row.verdict}: {row.reason}"


def check_runs(
    world: World, contestant: Contestant, truth: str, witness: Witness, among: Container[str] | None = None
) -> None:
    """What is on disk of every resource: whole where it says so, and no line twice.

    *among*: these alone have a run that is of now; None: all of them.
    """
    for resource, runs in _finished_runs(world).items():
        whole: Counter[bytes] = Counter()
        for run, manifest in runs:
            lines = held(world.machine.files, run, manifest)
            _check_once(contestant, world, resource, lines)
            assert manifest.reason or manifest.verdict == "complete", f"{resource} does not say why it is not complete"
            if manifest.mode == Phase.FULL:
                whole = Counter()
            whole.update(set(lines) - set(whole) if manifest.mode != Phase.FULL else lines)
        if runs[-1][1].verdict == "complete" and (among is None or resource in among):
            _check_whole(contestant, world, resource, whole, truth, witness)


def _finished_runs(world: World) -> dict[str, list[tuple[PurePath, Manifest]]]:
    """Every run of a resource that has a manifest, oldest first. A delta holds what changed since the run before."""
    found: dict[str, list[tuple[PurePath, Manifest]]] = {}
    for run in find_all_runs(world.machine.files, world.machine.out):
        manifest = read_manifest(world.machine.files, run.path)
        if manifest is not None:
            found.setdefault(manifest.resource, []).append((run.path, manifest))
    return found


def _check_once(contestant: Contestant, world: World, resource: str, lines: Counter[bytes]) -> None:
    """No line twice, unless the provider itself holds it twice (resources without identity)."""
    true = Counter(world.sandbox.simulator(contestant.simulator).truth(resource))
    twice = [line for line, times in lines.items() if times > max(1, true[line])]
    assert not twice, f"{resource} holds {twice[0][:200]!r} twice"


def _check_whole(
    contestant: Contestant, world: World, resource: str, lines: Counter[bytes], truth: str, witness: Witness
) -> None:
    simulator = world.sandbox.simulator(contestant.simulator)
    true = Counter(simulator.truth(resource))
    missing = Counter(line for line in true - lines if witness.held_then(resource, line))
    shelf = next(iter(simulator.shelves(resource)), None)
    if truth != "same" and missing and shelf is not None:
        versions = {_version(line, shelf, timed=truth in ("moves", "altered")) for line in lines}
        missing = Counter(
            line for line in missing if _version(line, shelf, timed=truth in ("moves", "altered")) not in versions
        )
    assert not missing, f"{resource} is complete without {len(missing)} rows, as {next(iter(missing))[:300]!r}"
    if truth == "same" and not contestant.changes:  # a delta does not see what has gone
        extra = lines - true
        assert not extra, f"{resource} holds {len(extra)} rows that are not true: {next(iter(extra))[:300]!r}"


def _version(line: bytes, shelf: Shelf, *, timed: bool) -> Version:
    """Key and time of a line: rows that change twice in one unit of their time cannot be told apart (FAULTS T08)."""
    row = json.loads(line)
    names: Iterable[str] = (*shelf.key, *([shelf.modified] if timed and shelf.modified else ()))
    key, *rest = (str(_member(row, name)) for name in names)
    return (str(row.get("OriginatingSystemName", "")), key.lstrip("0"), *rest)  # a key may come as a number (P14)


def _member(row: dict[str, object], path: str) -> object:
    value: object = row
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    return value
