"""What an output directory holds: finished harvests, unfinished ones and how to go on with them."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from pathlib import Path, PurePath

from msgspec import Struct, structs

from harvester.api.ports import Ports
from harvester.contracts import Fs
from harvester.errors import ArgumentError
from harvester.model import Phase
from harvester.store.commits import read_log, walks
from harvester.store.manifest import CredentialUse, Manifest, read_manifest
from harvester.store.renewals import Renewal, read_renewal
from harvester.store.runs import RunDirectory, find_all_runs


class ResourceStatus(Struct, frozen=True, kw_only=True):
    """One resource of one source: its last finished run, and the unfinished one if there is one."""

    source: str
    resource: str  # before its first run has finished as the directory says it: a slash is a dot there
    finished_run: str = ""  # "": none has finished
    mode: str = ""  # of that run: ``full``, ``delta``; *records* and *bytes* are what it brought
    verdict: str = ""
    reason: str = ""
    finished: datetime | None = None
    records: int = 0
    bytes: int = 0  # on disk
    sets: int = 0  # related sets that the run has read, or knows the stamps of; 0 also: it is no related resource
    watermark: str | None = None  # where the next delta starts; None: the resource has no such question
    credentials: tuple[CredentialUse, ...] = ()  # that shared the work of that run; (): one did all of it
    checked: datetime | None = None  # end of the last run after it, which found nothing new; None: there is none
    checks: int = 0  # such runs; *verdict* and *watermark* are those of the last one
    pushed: datetime | None = None  # end of the newest run of what was pushed after it; None: there is none
    unfinished_run: str = ""  # "": none
    committed: int = 0  # records the unfinished run holds
    walks_done: int = 0
    walks_open: int = 0


class StatusReport(Struct, frozen=True, kw_only=True):
    """Sorted by source and resource."""

    out: str
    resources: tuple[ResourceStatus, ...]

    @property
    def unfinished(self) -> bool:
        """Whether running the same command again has something to go on with."""
        return any(resource.unfinished_run for resource in self.resources)


def status(out: Path | PurePath | str, *, ports: Ports | None = None) -> StatusReport:
    """Read what *out* holds. Nothing is changed and nothing is sent.

    Raises:
        ArgumentError: there is no harvest at *out*.
        StorageError: a manifest or commit cannot be read; the message names it.
    """
    fs = (ports or Ports()).fs
    root = PurePath(out)
    grouped: dict[tuple[str, str], list[RunDirectory]] = {}
    for run in find_all_runs(fs, root):
        resource, source = run.path.parent, run.path.parent.parent
        key = source.name.removeprefix("source="), resource.name.removeprefix("resource=")
        grouped.setdefault(key, []).append(run)
    if not grouped:
        raise ArgumentError(f"{root} holds no harvest; name the directory that `harvester run` writes to")
    rows = []
    for (source_name, resource_name), runs in sorted(grouped.items()):
        done = [run for run in runs if run.finished]
        manifest, pushed = _newest(fs, done)
        going = [run for run in runs if not run.finished]
        row = ResourceStatus(source=source_name, resource=resource_name)
        if manifest is not None:
            row = ResourceStatus(
                source=source_name,
                resource=manifest.resource,
                finished_run=manifest.run,
                mode=manifest.mode,
                verdict=manifest.verdict,
                reason=manifest.reason,
                finished=manifest.finished,
                records=manifest.records,
                bytes=manifest.bytes,
                sets=manifest.sets,
                watermark=manifest.watermark,
                credentials=manifest.credentials,
            )
            row = _with_renewal(row, read_renewal(fs, root, source_name, resource_name, manifest.run))
        row = structs.replace(row, pushed=pushed)
        rows.append(_with_unfinished(row, going[-1], ports or Ports()) if going else row)
    return StatusReport(out=str(root), resources=tuple(rows))


def _with_renewal(row: ResourceStatus, renewal: Renewal | None) -> ResourceStatus:
    """*row*, with what a later run tells that left no directory."""
    if renewal is None:
        return row
    told = renewal.manifest
    return structs.replace(
        row,
        verdict=told.verdict,
        reason=told.reason,
        watermark=told.watermark or row.watermark,
        checked=told.finished,
        checks=renewal.rounds,
    )


def _newest(fs: Fs, runs: Sequence[RunDirectory]) -> tuple[Manifest | None, datetime | None]:
    """The newest of finished *runs* that was asked for, and when the newest one that was pushed after it has ended."""
    pushed: datetime | None = None
    for run in reversed(runs):
        manifest = read_manifest(fs, run.path)
        if manifest is not None and manifest.mode != Phase.PUSH:
            return manifest, pushed
        pushed = pushed or (manifest.finished if manifest is not None else None)
    return None, pushed


def _with_unfinished(row: ResourceStatus, run: RunDirectory, ports: Ports) -> ResourceStatus:
    committed = done = still = 0
    for name in walks(ports.fs, run.path):
        commits = read_log(ports.fs, run.path, name)
        if commits:
            committed += commits[-1].tally.records
            done += commits[-1].done
            still += not commits[-1].done
    return structs.replace(
        row,
        unfinished_run=run.name,
        committed=committed,
        walks_done=done,
        walks_open=still,
    )
