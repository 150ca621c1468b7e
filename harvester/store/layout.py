"""Where everything lies on disk: pure functions from names to paths.

Names come from the configuration and, for open resources, from a server's metadata. Only an allow-list of them
becomes a path, so nothing is ever written outside the output root (FAULTS M03).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from pathlib import PurePath

from harvester.errors import ArgumentError, ConfigError

MANIFEST = "_manifest.json"
LOG = "_log"
STATE = "_harvester"
VIEW_LOCK = "view.lock"  # in it: held by who reads the current state, and by who changes what it is read from
PART = ".part"

# ASCII letters, digits, ``_ - .``: unquoted in every shell, untouched by the readers of Hive paths (which decode
# ``%``) and by right-to-left display. The length leaves room for ``resource=`` in a path component of 255 bytes.
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_-]|\.(?!\.|$)){0,127}")
_DEVICE = re.compile(r"(?:con|prn|aux|nul|com[0-9]|lpt[0-9])(?:\..*)?", re.IGNORECASE)
_RUN = re.compile(r"\d{8}T\d{6}Z(?:-\d{1,4})?")
_STARTED = "%Y%m%dT%H%M%SZ"
_WALK = re.compile(r"[a-z0-9][a-z0-9_-]{0,63}")
_TOKEN = re.compile(r"[0-9a-f]{8,32}")
_TEMPORARY = re.compile(r"\..+\.[0-9a-f]{8,32}\.tmp")
_SHARD = re.compile(r"[a-z]+-(?P<walk>[a-z0-9][a-z0-9_-]{0,63})-\d{5,}-[0-9a-f]{8,32}\.ndjson(?:\.zst|\.gz)?")
_DATA = re.compile(r"(?P<kind>[a-z]+)-.*\.ndjson(?:\.zst|\.gz)?")


class Compression(StrEnum):
    """How shards are compressed."""

    ZSTD = "zstd"
    GZIP = "gzip"
    NONE = "none"

    @property
    def suffix(self) -> str:
        """What it adds to a file name: ``.zst``, ``.gz`` or nothing."""
        return {"zstd": ".zst", "gzip": ".gz"}.get(self.value, "")


class ShardKind(StrEnum):
    """What the lines of a shard are; the first word of its name."""

    PART = "part"  # records, as the provider wrote them
    DELETED = "deleted"  # tombstones
    QUARANTINE = "quarantine"  # records that could not be taken, with the reason
    SETS = "sets"  # of whose parent which related records there are
    LISTED = "listed"  # keys that a sweep has listed; only while the run has not finished


def resource_directory(out: PurePath, source: str, resource_dirname: str) -> PurePath:
    """``out/source=centris/resource=Property``.

    Args:
        resource_dirname: ``Resource.dirname``: a slash has become a dot.
    Raises:
        ConfigError: a name that is not on the allow-list.
    """
    _check(source, "sources", "source name")
    _check(resource_dirname, f"sources.{source}.resources", "resource name")
    return out / f"source={source}" / f"resource={resource_dirname}"


def run_directory(out: PurePath, source: str, resource_dirname: str, run: str) -> PurePath:
    """``out/source=centris/resource=Property/run=20260301T120000Z``."""
    if not _RUN.fullmatch(run):
        raise ArgumentError(f"{run!r} is no run name; one looks like 20260301T120000Z.")
    return resource_directory(out, source, resource_dirname) / f"run={run}"


def state_directory(out: PurePath) -> PurePath:
    """``out/_harvester``: what can be rebuilt or is advisory; mode 0700."""
    return out / STATE


def quota_file(out: PurePath) -> PurePath:
    """``out/_harvester/quota.sqlite``: what was spent of every credential's quota, and what was learned of it."""
    return state_directory(out) / "quota.sqlite"


def token_file(out: PurePath, source: str) -> PurePath:
    """``out/_harvester/tokens/centris.json``: the token of a source, where the configuration wants it kept."""
    _check(source, "sources", "source name")
    return state_directory(out) / "tokens" / f"{source}.json"


def profile_file(out: PurePath, source: str, resource_dirname: str) -> PurePath:
    """``out/_harvester/profiles/centris.Property.json``: what a probe found of the server."""
    _check(source, "sources", "source name")
    _check(resource_dirname, f"sources.{source}.resources", "resource name")
    return state_directory(out) / "profiles" / f"{source}.{resource_dirname}.json"


def views_file(out: PurePath, source: str, resource_dirname: str) -> PurePath:
    """``out/_harvester/views/centris.Property.json``: the credentials that were found to see the same records."""
    _check(source, "sources", "source name")
    _check(resource_dirname, f"sources.{source}.resources", "resource name")
    return state_directory(out) / "views" / f"{source}.{resource_dirname}.json"


def names_file(out: PurePath, source: str) -> PurePath:
    """``out/_harvester/names/spark_reso.json``: what encoded names stand for."""
    _check(source, "sources", "source name")
    return state_directory(out) / "names" / f"{source}.json"


def renewal_file(out: PurePath, source: str, resource_dirname: str) -> PurePath:
    """``out/_harvester/renewals/centris.Property.json``: the last run that found nothing new."""
    _check(source, "sources", "source name")
    _check(resource_dirname, f"sources.{source}.resources", "resource name")
    return state_directory(out) / "renewals" / f"{source}.{resource_dirname}.json"


def push_directory(out: PurePath) -> PurePath:
    """``out/_harvester/push``: runs of what was pushed, while they are made."""
    return state_directory(out) / "push"


def inbox_directory(out: PurePath, source: str) -> PurePath:
    """``out/_harvester/inbox/centris``: what was posted and is not yet dealt with."""
    _check(source, "sources", "source name")
    return state_directory(out) / "inbox" / source


def log_directory(run_dir: PurePath, walk: str) -> PurePath:
    """``<run>/_log/w03``: the commits of one walk."""
    return run_dir / LOG / _walk(walk)


def manifest_path(run_dir: PurePath) -> PurePath:
    """``<run>/_manifest.json``; it exists only when the run has finished."""
    return run_dir / MANIFEST


def run_name(at: datetime, taken: Collection[str] = ()) -> str:
    """The name of a run started *at* (aware), e.g. ``20260301T120000Z``. It sorts behind every name that is *taken*.

    A second run of the same second becomes ``20260301T120000Z-2``. Where the clock was set back (FAULTS C02) the name
    tells the second after the last run: the order of runs says which of two versions of a record counts.
    """
    name, last = at.astimezone(UTC).strftime(_STARTED), max(filter(_RUN.fullmatch, taken), default="")
    if name > last:
        return name
    free = (f"{last[: len(name)]}-{number}" for number in range(2, 10))  # -10 would sort before -2
    return next((each for each in free if each > last), _second_after(last[: len(name)]))


def name_behind(name: str, following: str = "") -> str:
    """A name that sorts right behind the run *name* and before the run *following*; "" when there is no room.

    ``20260301T120000Z`` becomes ``20260301T120000Z-1``.
    """
    behind = f"{name}1" if "-" in name else f"{name}-1"
    return behind if _RUN.fullmatch(behind) and (not following or behind < following) else ""


def _second_after(name: str) -> str:
    try:
        return (datetime.strptime(name, _STARTED).replace(tzinfo=UTC) + timedelta(seconds=1)).strftime(_STARTED)
    except (ValueError, OverflowError):
        raise ArgumentError(f"{name!a} is no name of a run that another can follow.") from None


def shard_name(kind: str, walk: str, number: int, token: str, compression: Compression) -> str:
    """``part-w03-00000-3f9a1c2e.ndjson.zst``.

    Args:
        token: hexadecimal digits by chance, so that no two attempts ever write the same name.
    """
    if not _TOKEN.fullmatch(token):
        raise ArgumentError(f"{token!r} is no shard token: 8 to 32 hexadecimal digits.")
    return f"{ShardKind(kind).value}-{_walk(walk)}-{number:05d}-{token}.ndjson{compression.suffix}"


def data_kind(name: str) -> str | None:
    """The first word of a data file's name (``part``, ``deleted`` …); None: the name is not that of a data file."""
    match = _DATA.fullmatch(name)
    return match["kind"] if match else None


def walk_of(name: str) -> str:
    """The id of the walk that wrote the shard *name*.

    Raises:
        ArgumentError: it is not the name of a shard.
    """
    match = _SHARD.fullmatch(name)
    if match is None:
        raise ArgumentError(f"{name!r} is not the name of a shard")
    return match["walk"]


def compression_of(path: PurePath) -> Compression:
    """How the shard *path* is compressed, by its suffix."""
    return {".zst": Compression.ZSTD, ".gz": Compression.GZIP}.get(path.suffix, Compression.NONE)


def temporary_name(name: str, token: str) -> str:
    """A name beside *name* that no glob for data and no reader of logs matches."""
    return f".{name}.{token}.tmp"


def is_temporary(name: str) -> bool:
    """A file that a dead process left behind: a temporary name, or a shard that was never sealed."""
    return name.endswith(PART) or _TEMPORARY.fullmatch(name) is not None


def is_walk(name: str) -> bool:
    """*name* may be the id of a walk."""
    return _WALK.fullmatch(name) is not None


def check_distinct(names: Iterable[str], path: str) -> None:
    """Refuse names that would share a directory: equal ones, and twins that differ only in case (FAULTS M03).

    Args:
        names: source names, or the ``dirname`` of every resource of a source (``a/b`` and ``a.b`` are one).
        path: the configuration key they come from.
    Raises:
        ConfigError: names both.
    """
    seen: dict[str, str] = {}
    for name in names:
        folded = name.casefold()
        if twin := seen.get(folded):
            raise ConfigError(
                f"{twin!r} and {name!r} would share a directory, at least where case does not count. Keep one of them.",
                path=path,
            )
        seen[folded] = name


def _check(name: str, path: str, what: str) -> None:
    if not _NAME.fullmatch(name) or _DEVICE.fullmatch(name):
        shown = ascii(name if len(name) <= 60 else name[:60] + "…")
        raise ConfigError(
            f"{shown} cannot be a {what}: it becomes a directory. Use up to 128 ASCII letters, digits, '_', '-' and "
            "single dots inside, beginning with a letter, digit or '_', and no device name such as CON or NUL.",
            path=path,
        )


def _walk(walk: str) -> str:
    if not is_walk(walk):
        raise ArgumentError(f"{walk!a} is no walk id: lower-case letters, digits, '_' and '-', e.g. w03.")
    return walk
