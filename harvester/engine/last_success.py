"""How far the replica of a resource was true when a process begins to keep it current, as its runs tell."""

from __future__ import annotations

from datetime import datetime
from pathlib import PurePath

from msgspec import Struct, structs

from harvester.contracts import Fs
from harvester.engine.source import Blueprint
from harvester.model import Phase
from harvester.store.manifest import Manifest, read_manifest
from harvester.store.renewals import Renewal, read_renewal
from harvester.store.runs import find_runs


class LastSuccess(Struct, frozen=True, kw_only=True):
    """Times are aware UTC; None: no complete run tells it."""

    finished: datetime | None = None  # end of the last complete run
    watermark: str | None = None  # where the next delta starts, the provider's text
    listed: datetime | None = None  # beginning of the last one that saw all keys: a full one or a sweep

    def seen(self, manifest: Manifest) -> LastSuccess:
        """The same, with what an older complete run tells of what is not known yet."""
        whole, sweep = manifest.mode == Phase.FULL, manifest.mode == Phase.SWEEP
        return structs.replace(
            self,
            finished=self.finished or manifest.finished,
            watermark=self.watermark or (None if sweep else manifest.watermark),
            listed=self.listed or (manifest.started if whole or sweep else None),
        )


def last_success(fs: Fs, out: PurePath, source: str, blueprint: Blueprint) -> LastSuccess:
    """Read from the newest run back to the one that saw all keys. Blocking.

    Runs with other settings, and all before them, say nothing about these.
    """
    runs = [run for run in find_runs(fs, out, source, blueprint.resource.dirname) if run.finished]
    found = LastSuccess()
    renewal = read_renewal(fs, out, source, blueprint.resource.dirname)
    for run in reversed(runs):
        manifest = read_manifest(fs, run.path, settle=False)
        if manifest is None or manifest.mode == Phase.PUSH:  # what is pushed tells of itself only
            continue
        if manifest.fingerprint != blueprint.fingerprint:
            break
        if renewal is not None and renewal.manifest.run > run.name:
            found, renewal = _renewed(found, renewal, blueprint), None
        if manifest.verdict == "complete":
            found = found.seen(manifest)
        if found.listed is not None:
            break
    return found


def _renewed(found: LastSuccess, renewal: Renewal, blueprint: Blueprint) -> LastSuccess:
    same = renewal.manifest.fingerprint == blueprint.fingerprint
    return found.seen(renewal.manifest) if same else found
