"""What is on the machine's disk against what the provider holds: the invariants of the fault catalogue."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePath

from harvester.api.catalogue import providers
from harvester.contracts import Fs
from harvester.sandbox.simulator import Simulator
from harvester.store.manifest import Manifest, read_manifest
from harvester.store.runs import find_all_runs
from harvester.store.shards import read_lines
from harvester.store.verify import verify_tree
from tests.simulation.machine import Machine


def finished(machine: Machine) -> dict[str, tuple[PurePath, Manifest]]:
    """The newest finished run of each resource, by the provider's name for it."""
    found: dict[str, tuple[PurePath, Manifest]] = {}
    for run in find_all_runs(machine.files, machine.out):
        manifest = read_manifest(machine.files, run.path)
        if manifest is not None:
            found[manifest.resource] = (run.path, manifest)
    return found


def held(fs: Fs, run: PurePath, manifest: Manifest) -> Counter[bytes]:
    """Every record line of a run."""
    return Counter(
        line for entry in manifest.shards if entry.path.startswith("part-") for line in read_lines(fs, run / entry.path)
    )


def check_disk(machine: Machine) -> None:
    """Every finished run equals its manifest: shards, hashes, rows, lines (invariants 2, 3 and 4)."""
    problems = [
        f"{verdict.path}: {problem}"
        for verdict in verify_tree(machine.files, machine.out)
        for problem in verdict.problems
    ]
    assert not problems, problems


def check_complete(machine: Machine, simulator: Simulator, *, changed: bool) -> None:
    """What says ``complete`` holds the truth, each version once (invariants 5 and 10).

    Args:
        changed: rows changed while they were read, so that older versions and deleted rows may be held too.
    """
    for resource, (run, manifest) in finished(machine).items():
        if manifest.verdict != "complete":
            continue
        mine, truth = held(machine.files, run, manifest), Counter(simulator.truth(resource))
        missing = truth - mine
        if changed:
            missing = Counter(_without_twins(missing, mine, simulator.name, resource))
        assert not missing, f"{resource} is complete without {len(missing)} rows, as {next(iter(missing))[:200]!r}"
        extra = mine - truth
        if not changed:
            assert not extra, f"{resource} holds {len(extra)} rows that are not true: {next(iter(extra))[:200]!r}"
        twice = [line for line, times in mine.items() if times > max(1, truth[line])]
        assert not twice, f"{resource} holds {twice[0][:200]!r} twice"


def _without_twins(missing: Iterable[bytes], mine: Iterable[bytes], provider: str, resource: str) -> list[bytes]:
    """*missing* without rows that changed twice in one unit of their modification time (FAULTS T08).

    The version that is held has the same key and the same time, so no delta can tell it from the one that is not.
    """
    declared = next(each for each in providers() if each.name == provider)
    known = {each.name: each for each in declared.resources}.get(resource)
    if known is None or known.modified is None:
        return list(missing)
    members = (*known.key, known.modified)

    def version(line: bytes) -> tuple[object, ...]:
        row = json.loads(line)
        row = row.get("StandardFields", row)
        return tuple(row.get(member) for member in members)

    versions = {version(line) for line in mine}
    return [line for line in missing if version(line) not in versions]
