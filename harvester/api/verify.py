"""Is what is on disk what was harvested, and is it what the provider has?"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path, PurePath
from urllib.parse import quote

from msgspec import Struct, structs

from harvester.api.ports import Ports
from harvester.api.view import current_state
from harvester.contracts import Fs
from harvester.engine.heads_of import heads_of
from harvester.engine.view import layers_of
from harvester.errors import ArgumentError, ConfigError, ProtocolError, RepeatError
from harvester.model import Phase, Request
from harvester.store.compare import Difference, compare, compare_lines
from harvester.store.manifest import Manifest, read_manifest
from harvester.store.runs import RunDirectory, find_all_runs
from harvester.store.verify import RunVerdict, verify_run
from harvester.wire.limits import MIB, Caps
from harvester.wire.origin import Origin
from harvester.wire.transport import AiohttpTransport

_LARGEST_TRUTH = 2048 * MIB  # bytes a sandbox may answer for one resource


class ResourceCheck(Struct, frozen=True, kw_only=True):
    """One run compared with its manifest and, where asked for, with the truth."""

    source: str
    resource: str
    run: str
    finished: bool
    verdict: str  # the manifest's own
    records: int  # counted
    bytes: int  # read from disk
    problems: tuple[str, ...]
    missing: int = 0  # records of the truth that are not held
    extra: int = 0  # records held that are not of the truth
    compared: bool = False


class VerifyReport(Struct, frozen=True, kw_only=True):
    """``matches`` is True only when something was checked and nothing differs."""

    out: str
    runs: tuple[ResourceCheck, ...]
    against: str = ""  # the sandbox it was compared with; "" when it was not

    @property
    def matches(self) -> bool:
        """Unfinished runs are no difference, they claim nothing yet; but nothing finished is nothing checked."""
        return any(run.finished for run in self.runs) and not any(
            run.problems or run.missing or run.extra for run in self.runs
        )


async def verify(
    out: Path | PurePath | str,
    *,
    against: str | None = None,
    on_progress: Callable[[ResourceCheck], None] | None = None,
    on_bytes: Callable[[PurePath, int], None] | None = None,
    ports: Ports | None = None,
) -> VerifyReport:
    """Compare every finished run below *out* with its manifest: names, sizes, hashes, rows, lines, totals, keys, times.

    Args:
        against: the URL of a sandbox; the newest finished run of each resource is compared with the truth it
            serves, record by record and byte by byte: what it holds itself if it is a full one, else what it amounts to
            together with the runs before it.
        on_progress: called with each run as it is done.
        on_bytes: called from another thread with the path of the shard that is read, and the bytes read of it since
            the last call.
    Raises:
        ArgumentError: there is no harvest at *out*.
        StorageError: something cannot be read at all, or a run was folded into another one meanwhile.
        ProtocolError: *against* is no sandbox, or does not know a resource.
    """
    ports = ports or Ports()
    root = PurePath(out)
    sandbox = _sandbox_at(against) if against is not None else None
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="harvester-verify") as executor:
        runs = await loop.run_in_executor(executor, find_all_runs, ports.fs, root)
        if not runs:
            raise ArgumentError(f"{root} holds no harvest; name the directory that `harvester run` writes to")
        checks: list[ResourceCheck] = []
        newest = {run.path.parent: run.path for run in runs if run.finished}
        judge = partial(verify_run, ports.fs, heads_of=heads_of, on_bytes=on_bytes)
        for run in runs:
            verdict = await loop.run_in_executor(executor, judge, run.path)
            manifest = _manifest(ports, verdict)
            check = _check(verdict, manifest)
            if sandbox is not None and manifest is not None and newest.get(verdict.path.parent) == verdict.path:
                truth = await _truth(sandbox, manifest, ports)
                lines = truth.split(b"\n")[:-1]
                if manifest.mode == Phase.FULL:
                    judged = partial(compare_lines, ports.fs, (verdict.path,), lines)
                else:  # it lies on top of others: what they amount to together is what there should be
                    beside = [each for each in runs if each.path.parent == verdict.path.parent]
                    judged = partial(_compare_state, ports.fs, root, beside, lines)
                check = _compared(check, await loop.run_in_executor(executor, judged))
            checks.append(check)
            if on_progress is not None:
                on_progress(check)
    return VerifyReport(out=str(root), runs=tuple(checks), against=against or "")


def _compare_state(fs: Fs, out: PurePath, runs: Sequence[RunDirectory], truth: Sequence[bytes]) -> Difference:
    with current_state(fs, out, partial(layers_of, fs, runs)) as (state, _, _):
        return compare(state.lines, state.records, truth)


def _manifest(ports: Ports, verdict: RunVerdict) -> Manifest | None:
    # A damaged manifest is among the problems already.
    return read_manifest(ports.fs, verdict.path) if verdict.finished and verdict.verdict else None


def _check(verdict: RunVerdict, manifest: Manifest | None) -> ResourceCheck:
    resource, source = verdict.path.parent, verdict.path.parent.parent
    return ResourceCheck(
        source=source.name.removeprefix("source="),
        resource=manifest.resource if manifest else resource.name.removeprefix("resource="),
        run=verdict.path.name.removeprefix("run="),
        finished=verdict.finished,
        verdict=verdict.verdict,
        records=verdict.rows,
        bytes=verdict.bytes,
        problems=verdict.problems,
    )


def _compared(check: ResourceCheck, difference: Difference) -> ResourceCheck:
    problems = list(check.problems)
    for count, what, samples in (
        (difference.missing, "missing", difference.missing_samples),
        (difference.extra, "not in the truth", difference.extra_samples),
    ):
        if count:
            shown = samples[0][:120].decode("utf-8", "backslashreplace") if samples else ""
            records = "1 record is" if count == 1 else f"{count:,} records are"
            problems.append(f"{check.source} {check.resource}: {records} {what}, for example {shown}")
    return structs.replace(
        check,
        problems=tuple(problems),
        missing=difference.missing,
        extra=difference.extra,
        compared=True,
    )


def _sandbox_at(url: str) -> Origin:
    try:
        origin = Origin.parse(url, path="")
    except ConfigError as exc:
        raise ArgumentError(f"{url!r} is not the URL of a sandbox, such as http://127.0.0.1:8080") from exc
    if not origin.loopback:
        raise ArgumentError(f"{origin} is not on this machine; only a sandbox knows the truth, and it serves only here")
    return origin


async def _truth(sandbox: Origin, manifest: Manifest, ports: Ports) -> bytes:
    """Every record of the resource as a perfect replica holds it, one a line."""
    url = sandbox.resolve(f"_sandbox/truth/{quote(manifest.provider)}/{quote(manifest.resource)}")
    caps = Caps(raw=_LARGEST_TRUTH, decoded=_LARGEST_TRUTH)
    async with AiohttpTransport(sandbox, ports.clock, ports.resolver, caps=caps) as transport:
        try:
            response = await transport.send(Request(url=url))
        except RepeatError as exc:
            raise ProtocolError(f"{sandbox} does not answer ({exc}). Is the sandbox running?") from exc
    if response.status != 200:
        raise ProtocolError(
            f"{sandbox} knows no truth of {manifest.provider} {manifest.resource} (status {response.status}). "
            "Give the URL that `harvester sandbox` prints."
        )
    return response.body
