"""How many posts a second does ``harvester listen`` make durable, and is the view right after a kill in the middle?

``python -m benchmarks.bench_push [POSTS] [SECONDS]``: half as many changed records, announced twice each, in no order,
spread evenly over SECONDS (0: as fast as they are answered), with every tenth one's URL on another origin. Half way the
process is killed and started again; what was not answered is posted again. Then the view is held against the truth.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit
from urllib.request import Request, urlopen

from benchmarks.measure import machine

POSTS, SECONDS = 10_000, 10.0
SENDERS = 16
HARVESTER = (sys.executable, "-m", "harvester")
_PATIENCE = 900  # seconds


def main() -> None:
    posts = int(sys.argv[1]) if len(sys.argv) > 1 else POSTS
    seconds = float(sys.argv[2]) if len(sys.argv) > 2 else SECONDS
    with tempfile.TemporaryDirectory() as directory, sandbox(Path(directory), posts) as url:
        measure(Path(directory), url, posts, seconds)


@contextmanager
def sandbox(directory: Path, posts: int) -> Iterator[str]:
    command = ("sandbox", "--port=0", f"--records={posts}", "--time-scale=36000", f"--write-config={directory}/s.toml")
    with subprocess.Popen((*HARVESTER, *command), stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        try:
            yield json.loads(process.stdout.readline())["url"]
        finally:
            process.terminate()


def measure(directory: Path, url: str, posts: int, seconds: float) -> None:
    run(directory, "run", "-c", "s.toml", "--source", "centris", "--resource", "Property")
    keys = mutate(url, posts // 2)
    other = socket.create_server(("127.0.0.1", 0), backlog=128)  # another origin: who comes waits to be accepted
    root = f"http://127.0.0.1:{other.getsockname()[1]}"
    bodies = [notice(url, key) for key in keys] * 2
    bodies += [notice(root, key) for key in keys[: posts // 10]]
    random.Random(5).shuffle(bodies)
    half = len(bodies) // 2

    began = time.perf_counter()
    first = listen(directory)
    answers = asyncio.run(post_all(address(directory), bodies[:half], seconds / 2, kill=first, at=half * 9 // 10))
    first.wait()
    second = listen(directory)
    where = address(directory)
    rest = [body for body, status in zip(bodies, answers, strict=False) if not status] + bodies[half:]
    again = time.perf_counter()
    answers += asyncio.run(post_all(where, rest, seconds / 2))
    took = time.perf_counter() - again
    while (left := waiting(where)) and time.perf_counter() - began < _PATIENCE:
        time.sleep(0.2)
    settled = time.perf_counter() - began
    second.send_signal(signal.SIGTERM)
    _, status, usage = os.wait4(second.pid, 0)

    view = sorted(run(directory, "view", "Property", "--source", "centris").splitlines())
    with urlopen(f"{url}/_sandbox/truth/centris/Property") as answer:  # noqa: S310 - loopback
        truth = sorted(answer.read().splitlines())
    run(directory, "verify", "out")
    came = bool(select.select([other], [], [], 0)[0])
    other.close()
    print(f"{len(bodies):,} posts of {len(keys):,} changed records; {machine()}")
    print(f"answers: 202 {answers.count(202):,}, 400 {answers.count(400):,}, none (killed) {answers.count(0):,}")
    print(f"after the kill: {len(rest):,} posts in {took:.1f} s")
    print(f"CPU of that process, records fetched and written included: {usage.ru_utime + usage.ru_stime:.1f} s")
    print(f"all in the view after {settled:.0f} s, {left} left; status {os.waitstatus_to_exitcode(status)}")
    print(f"view {len(view):,} lines, truth {len(truth):,}, equal: {view == truth}")
    print(f"somebody came to the other origin: {came}")
    if view != truth or came or left:
        raise SystemExit(1)


def run(directory: Path, *arguments: str) -> bytes:
    return subprocess.run((*HARVESTER, *arguments), cwd=directory, stdout=subprocess.PIPE, check=True).stdout


def listen(directory: Path) -> subprocess.Popen[bytes]:
    (directory / "listen.jsonl").unlink(missing_ok=True)
    with (directory / "listen.jsonl").open("wb") as log:
        return subprocess.Popen(
            (*HARVESTER, "listen", "centris", "-c", "s.toml", "--bind=127.0.0.1:0", "--set=push_confirm=2"),
            cwd=directory,
            stdout=log,
        )


def address(directory: Path) -> str:
    """Where it listens, once it does."""
    while True:
        for line in (directory / "listen.jsonl").read_bytes().splitlines():
            if line.endswith(b"}") and (event := json.loads(line))["event"] == "listening":
                return str(event["url"])
        time.sleep(0.05)


def mutate(url: str, count: int) -> list[str]:
    before = listings(url)
    changed: set[str] = set()
    while len(changed) < count:
        request = Request(f"{url}/_sandbox/mutate?count={count}&provider=centris", method="POST")  # noqa: S310
        with urlopen(request):  # noqa: S310 - loopback
            after = listings(url)
        changed = {key for key in before.keys() | after.keys() if before.get(key) != after.get(key)}
    return sorted(changed)


def listings(url: str) -> dict[str, bytes]:
    with urlopen(f"{url}/_sandbox/truth/centris/Property") as answer:  # noqa: S310 - loopback
        return {json.loads(line)["ListingKey"]: line for line in answer.read().splitlines()}


def notice(root: str, key: str) -> bytes:
    url = f"{root}/centris/v1/odata/Property('{key}')"
    return json.dumps({"ResourceName": "Property", "ResourceRecordKey": key, "ResourceRecordUrl": url}).encode()


def waiting(url: str) -> int:
    with urlopen(f"{url.rpartition('/')[0]}/health") as answer:  # noqa: S310 - loopback
        return int(json.loads(answer.read())["sources"][0]["waiting"])


async def post_all(
    url: str,
    bodies: Sequence[bytes],
    seconds: float,
    kill: subprocess.Popen[bytes] | None = None,
    at: int = 0,
) -> list[int]:
    """Post *bodies* evenly over *seconds*; the status of each, 0: none came. *kill*: once *at* of them are answered."""
    parts = urlsplit(url)
    statuses = [0] * len(bodies)
    began, answered = time.perf_counter(), 0
    todo = iter(range(len(bodies)))

    async def sender() -> None:
        nonlocal answered
        reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
        head = f"POST {parts.path} HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Type: application/json\r\n".encode()
        try:
            for place in todo:
                due = began + place * seconds / len(bodies) - time.perf_counter()
                if due > 0:
                    await asyncio.sleep(due)
                writer.write(head + b"Content-Length: %d\r\n\r\n" % len(bodies[place]) + bodies[place])
                answer = await reader.readuntil(b"\r\n\r\n")
                length = int(answer.lower().partition(b"content-length: ")[2].partition(b"\r")[0])
                await reader.readexactly(length)
                statuses[place] = int(answer[9:12])
                answered += 1
                if kill is not None and answered == at:
                    kill.kill()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    await asyncio.gather(*(sender() for _ in range(SENDERS)))
    return statuses


if __name__ == "__main__":
    main()
