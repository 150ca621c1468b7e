"""What earlier attempts at the same run have left: commits to go on from, and records not to be written twice."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import PurePath

from harvester.contracts import Fs, Rng
from harvester.decode.heads import HeadReader
from harvester.engine.crew import Crew
from harvester.engine.proof import LISTINGS
from harvester.engine.sieve import Sieve
from harvester.engine.source import Blueprint
from harvester.engine.stamps import stamp_of
from harvester.engine.workshop import Workshop
from harvester.errors import ConfigError, StorageError
from harvester.model import Walk
from harvester.store import commits as commit_logs
from harvester.store import layout
from harvester.store.commits import Commit, CommitLog
from harvester.store.runs import tidy
from harvester.store.shards import read_lines

_REMEMBER = 1000  # lines taken at a time


class Earlier:
    """The directory of one run, as the attempts before this one left it. Blocking.

    Args:
        source: name of the source, for messages.
    """

    def __init__(self, fs: Fs, rng: Rng, directory: PurePath, source: str, blueprint: Blueprint) -> None:
        self._fs, self._rng, self._directory = fs, rng, directory
        self._source, self._blueprint = source, blueprint

    def load(self, crew: Crew) -> dict[str, tuple[Commit, ...]]:
        """The commits of every walk that has some, by walk id; *crew* goes on with their logs.

        Raises:
            ConfigError: the run was made with other settings. StorageError: it is damaged.
        """
        fs = self._fs
        earlier: dict[str, tuple[Commit, ...]] = {}
        for name in commit_logs.walks(fs, self._directory):
            log = CommitLog(fs, self._directory, name, self._rng)
            try:
                commits = log.load()
            except StorageError:
                if name[0] not in LISTINGS:
                    raise
                # The end of a run removes what it listed before there is a manifest: killed between, it lists again.
                fs.remove_tree(layout.log_directory(self._directory, name))
                continue
            if commits:
                earlier[name] = commits
                crew.logs[name] = log
                self.check_fingerprint(commits[-1].fingerprint)
        keep = {entry.path for commits in earlier.values() for commit in commits for entry in commit.add}
        tidy(fs, self._directory, keep)
        return earlier

    def check_fingerprint(self, fingerprint: str) -> None:
        """Raises ``ConfigError`` when what bears *fingerprint* was made with other settings."""
        if fingerprint != self._blueprint.fingerprint:
            raise ConfigError(
                f"{self._directory} belongs to an unfinished harvest made with other settings (base URL, select, "
                "filter, expand, language, horizon or walk). Nothing was changed. Run again with the earlier settings "
                "to finish it, with --restart to give it up, or with another output directory.",
                path=f"sources.{self._source}",
            )

    def drop_empty(self) -> None:
        """An attempt that never committed anything leaves no run behind to be gone on with."""
        fs, directory = self._fs, self._directory
        with suppress(StorageError):  # the failure that led here is the one to tell
            if not commit_logs.walks(fs, directory) and not fs.exists(layout.manifest_path(directory)):
                fs.remove_tree(directory)

    def remember(self, shop: Workshop, commits: tuple[Commit, ...]) -> None:
        """Read back what is committed, so that nothing of it is written twice."""
        walk = commits[-1].walk
        for entry in (entry for commit in commits for entry in commit.add):
            lines = read_lines(self._fs, self._directory / entry.path)
            match layout.data_kind(entry.path):
                case layout.ShardKind.QUARANTINE:
                    for line in lines:
                        shop.quarantine.remember(line)
                case layout.ShardKind.PART if self._blueprint.resource.key:
                    self._remember_records(shop.sieve, walk, lines)

    def _remember_records(self, sieve: Sieve, walk: Walk, lines: Iterator[bytes]) -> None:
        stamp, reader = stamp_of(walk), HeadReader(self._blueprint.resource)
        while batch := [
            b"{" + line[len(stamp) :] if stamp and line.startswith(stamp) else line for line in islice(lines, _REMEMBER)
        ]:
            sieve.remember(walk, batch, reader)
