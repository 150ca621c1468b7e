"""The commits of a finished run against its manifest: the same shards, and every walk of which there is anything."""

from __future__ import annotations

from pathlib import PurePath

from harvester.contracts import Fs
from harvester.errors import StorageError
from harvester.store.commits import living, read_log, walks
from harvester.store.layout import ShardKind, data_kind
from harvester.store.manifest import Manifest
from harvester.store.shardfile import ShardEntry


def verify_commits(fs: Fs, run_dir: PurePath, manifest: Manifest) -> list[str]:
    """What the commits say otherwise. Nothing where there are none: they may be removed once a run has finished."""
    problems: list[str] = []
    named: dict[str, ShardEntry] = {}
    for walk in walks(fs, run_dir):
        try:
            commits = read_log(fs, run_dir, walk)
        except StorageError as error:
            problems.append(str(error))
            continue
        if any(commit.fingerprint != manifest.fingerprint for commit in commits):
            problems.append(f"walk {walk} was made with other settings than the manifest says")
        named |= {entry.path: entry for entry in living(commits) if data_kind(entry.path) != ShardKind.LISTED}
    if not named or problems:
        return problems
    held = {entry.path: entry for entry in manifest.shards}
    return [
        *(f"{path} was committed and is not in the manifest" for path in sorted(named.keys() - held.keys())),
        *(f"{path} is in the manifest and was never committed" for path in sorted(held.keys() - named.keys())),
        *(
            f"{path} was committed with other rows, bytes or digest than the manifest says"
            for path in sorted(named.keys() & held.keys())
            if named[path] != held[path]
        ),
    ]
