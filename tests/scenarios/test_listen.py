"""``harvester listen`` from outside: what was acknowledged reaches the view, whatever happens in between."""

from __future__ import annotations

import json
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.scenarios.conftest import PATIENCE, SandboxProcess, Workplace, end, serve
from tests.scenarios.listening import (
    KEY,
    OLD_KEY,
    OLD_SECRET,
    SECRET,
    asked,
    command,
    doubled_and_shuffled,
    elsewhere,
    harvest,
    listening,
    mutate,
    notice,
    post_all,
    raw_post,
    signed,
    truth,
    view,
)

POSTS = 200  # changed rows; ``benchmarks/bench_push.py`` takes thousands


@pytest.fixture(scope="module")
def sandbox(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SandboxProcess]:
    """One for all; each test has a harvest of its own."""
    running = serve(tmp_path_factory.mktemp("sandbox"), "--time-scale", "3600", "--records", "500")
    try:
        yield running
    finally:
        end(running)


@pytest.mark.slow
def test_a_burst_doubled_and_shuffled_with_a_kill_in_the_middle(sandbox: SandboxProcess, workplace: Workplace) -> None:
    """FAULTS W03, W04, W05: nothing that was answered 2xx is lost, and another origin is not asked at all."""
    harvest(workplace, sandbox)
    keys = mutate(sandbox, POSTS)
    with elsewhere() as (root, requests):
        good = [notice(sandbox, key) for key in keys]
        foreign = [notice(sandbox, key, root=root) for key in keys[:20]]
        posts = doubled_and_shuffled([*good, *foreign], 7)
        with listening(workplace, sandbox) as first:
            statuses = post_all(
                first.url, posts, lambda done: first.process.kill() if done == len(posts) // 2 else None
            )
            first.kill()
        assert 0 in statuses
        with listening(workplace, sandbox) as second:
            unanswered = [post for post, status in zip(posts, statuses, strict=True) if status == 0]
            statuses += post_all(second.url, unanswered)
            second.worked_off()
            assert second.stop() == 143
        assert {status for status in statuses if status} == {202, 400}
        assert requests == []
    assert view(workplace) == truth(sandbox)
    checked = workplace.run("verify", "out", "--json")
    assert checked.returncode == 0, checked.stdout + checked.stderr
    tombstones = sum(int(str(each["tombstones"])) for each in workplace.manifests())
    held = {json.loads(line)["ListingKey"] for line in truth(sandbox)}
    assert tombstones >= len(set(keys) - held), "each deleted one is buried"


def test_killed_at_any_post_everything_acknowledged_is_still_there(
    sandbox: SandboxProcess, workplace: Workplace
) -> None:
    """FAULTS W05: 2xx only after the notice is durable. Nothing is worked off here: there is no harvest to add to."""
    before = asked(sandbox)
    acknowledged: set[str] = set()
    for attempt, kill_at in enumerate((1, 40, 333)):
        posts = [notice(sandbox, f"{attempt}-{number}") for number in range(500)]
        with listening(workplace, sandbox) as running:
            statuses = post_all(running.url, posts, lambda done: running.process.kill() if done == kill_at else None)  # noqa: B023
            running.kill()
        acknowledged |= {f"{attempt}-{number}" for number, status in enumerate(statuses) if status == 202}
    kept = {
        json.loads(line)["key"]
        for path in inbox(workplace)
        for line in path.read_bytes().splitlines()
        if line[-1:] == b"}"
    }
    assert acknowledged <= kept
    with listening(workplace, sandbox) as last:
        assert int(str(last.health()["waiting"])) >= len(acknowledged) >= 3
        assert "no full run" in str(last.health()["stalled"])
        assert asked(sandbox) == before


def inbox(workplace: Workplace) -> list[Path]:
    return sorted((workplace.out / "_harvester" / "inbox" / "centris").glob("*.ndjson"))


def test_only_who_signs_is_heard(sandbox: SandboxProcess, workplace: Workplace) -> None:
    """FAULTS W01, W02: also with the secret before, and among several signatures; never old, never another body."""
    harvest(workplace, sandbox)
    body, other = notice(sandbox, "1"), notice(sandbox, "2")
    secrets = (
        f"--set=sources.centris.webhook_secret={SECRET}",
        f"--set=sources.centris.webhook_secret_old={OLD_SECRET}",
    )
    with listening(workplace, sandbox, *secrets) as running:
        for headers in (
            {},
            signed(other, KEY),
            signed(body, b"x" * 16),
            {**signed(body, KEY), "webhook-id": "msg_2"},
            {**signed(body, KEY), "webhook-timestamp": "soon"},
            signed(body, KEY, age=301),
            signed(body, KEY, age=-302),
            {"Authorization": f"Bearer {SECRET}"},
        ):
            assert running.post(body, headers)[0] == 401, headers
        assert running.health()["waiting"] == 0
        assert running.post(body, signed(body, OLD_KEY, name="old"))[0] == 202
        assert running.post(body, signed(body, b"x" * 16, KEY, name="both"))[0] == 202
        assert running.post(body, signed(body, KEY, age=200, name="late"))[0] == 202
    told = (workplace.directory / "listen.jsonl").read_text()
    assert SECRET not in told
    assert KEY.decode() not in told


def test_a_post_that_comes_again_is_known_also_after_a_restart(sandbox: SandboxProcess, workplace: Workplace) -> None:
    """FAULTS W02: told by its id, durable over a restart."""
    harvest(workplace, sandbox)
    key = mutate(sandbox, 5)[0]
    body, secret = notice(sandbox, key), f"--set=sources.centris.webhook_secret={SECRET}"
    headers = signed(body, KEY)
    with listening(workplace, sandbox, secret) as first:
        assert first.post(body, headers)[0] == 202
        first.worked_off()
        requests = asked(sandbox)
        assert first.post(body, headers) == (200, "known\n")
        first.kill()
    with listening(workplace, sandbox, secret) as second:
        assert second.post(body, headers) == (200, "known\n")
        assert second.health()["known"] == 1
        assert second.post(body, signed(body, KEY, name="another"))[0] == 202
        second.worked_off()
    assert asked(sandbox) > requests


def test_a_shared_secret_in_a_header_of_choice(sandbox: SandboxProcess, workplace: Workplace) -> None:
    """FAULTS W01."""
    options = ("--set=sources.centris.webhook_secret=open-sesame", "--set=sources.centris.webhook_header=X-Hook")
    with listening(workplace, sandbox, *options) as running:
        body = notice(sandbox, "1")
        assert running.post(body, {"X-Hook": "open-sesam"})[0] == 401
        assert running.post(body, {"Authorization": "open-sesame"})[0] == 401
        assert running.post(body, {"X-Hook": "open-sesame"})[0] == 202


def test_what_is_too_much_is_refused_before_it_is_read(sandbox: SandboxProcess, workplace: Workplace) -> None:
    """FAULTS W03: a body of a gigabyte, chunks without end, deep JSON, other types, more than the queue holds."""
    before = asked(sandbox)
    with listening(workplace, sandbox) as running:
        host = b"POST / HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
        assert b" 413 " in raw_post(running.url, host + b"Content-Length: 1073741824\r\n\r\n", b"{")
        chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
        assert b" 413 " in raw_post(running.url, host + b"Transfer-Encoding: chunked\r\n\r\n", chunk * 20)
        for body in (b"[" * 100_000, b'{"a":' * 100_000, b"", b"null", b'{"ResourceName": "Property"}', b"\xff"):
            assert running.post(body)[0] == 400, body[:20]
        assert running.post(b"{}", {"Content-Type": "text/plain"})[0] == 415
        assert running.post(b"{}", {"Content-Encoding": "gzip"})[0] == 415
        assert running.post(notice(sandbox, "1"), path="elsewhere")[0] == 404
        many = [[json.loads(notice(sandbox, f"{post}-{number}")) for number in range(5_000)] for post in range(21)]
        answers = [running.post(bodies) for bodies in many]
        assert {status for status, _ in answers[:20]} == {202}
        assert answers[20][0] == 503
        assert b"Retry-After: " in raw_post(
            running.url, host + b"Content-Length: %d\r\n\r\n" % len(notice(sandbox, "1")), notice(sandbox, "1")
        )
        assert running.health()["waiting"] == 100_000
        assert asked(sandbox) == before


@pytest.mark.slow
def test_notices_lost_doubled_early_and_of_what_nobody_knows(sandbox: SandboxProcess, workplace: Workplace) -> None:
    """FAULTS W04: a notice is a hint; a delta and a sweep make the state right."""
    harvest(workplace, sandbox)
    with listening(workplace, sandbox) as running:
        keys = mutate(sandbox, 60)
        heard = [notice(sandbox, key) for key in keys[::2]]
        for body in doubled_and_shuffled(heard, 3):
            assert running.post(body)[0] == 202
        assert running.post(notice(sandbox, "1", resource="Unknown")) == (202, "0 of 1 notices taken\n")
        # RESO EntityEvent, as a collection; one of them for a listing that cannot be seen yet, or ever.
        events = {"value": [{"EntityEventSequence": 7, "ResourceName": "Property", "ResourceRecordKey": "not-yet"}]}
        assert running.post(events)[0] == 202
        running.worked_off()
        assert running.health()["ignored"] == 1
        harvest(workplace, sandbox, "--mode", "delta")
        harvest(workplace, sandbox, "--mode", "sweep")
        assert running.stop() == 143
    assert view(workplace) == truth(sandbox)
    told = json.loads(workplace.run("status", "out", "--json").stdout)["resources"][0]
    assert told["mode"] == "sweep"


def test_stopped_it_answers_what_is_in_hand_and_the_next_goes_on(sandbox: SandboxProcess, workplace: Workplace) -> None:
    """FAULTS R02: status 143 or 130; and what waits is worked off by --once."""
    harvest(workplace, sandbox)
    keys = mutate(sandbox, 40)
    slow = [{"fault": "latency:0.2", "match": {"provider": "centris"}}]
    sandbox.set_faults(slow)
    with listening(workplace, sandbox) as running:
        assert set(post_all(running.url, [notice(sandbox, key) for key in keys])) == {202}
        running.process.send_signal(signal.SIGINT)
        _, told = running.process.communicate(timeout=PATIENCE)
        assert running.process.returncode == 130, told
    assert b"run it again to go on" in told
    assert running.events()[-1]["exit_status"] == 130
    sandbox.set_faults([])
    done = workplace.run(*command(sandbox), "--once")
    assert done.returncode == 0, done.stderr
    assert view(workplace) == truth(sandbox)


@pytest.mark.slow
def test_one_listener_a_source_and_harvests_beside_it(sandbox: SandboxProcess, workplace: Workplace) -> None:
    """FAULTS R09: a second listener is refused; a harvest is not, it waits the moments in which one writes."""
    harvest(workplace, sandbox)
    with listening(workplace, sandbox) as running:
        second = workplace.run(*command(sandbox), "--bind=127.0.0.1:0")
        assert second.returncode == 79
        assert "another process listens" in second.stderr
        for _ in range(2):
            for key in mutate(sandbox, 20):
                running.post(notice(sandbox, key))
            harvest(workplace, sandbox, "--mode", "delta")
        running.worked_off()
    assert view(workplace) == truth(sandbox)
    assert workplace.run("verify", "out").returncode == 0


def test_what_makes_no_sense_is_told_before_anything_is_opened(sandbox: SandboxProcess, workplace: Workplace) -> None:
    config = ("-c", str(sandbox.config))
    for arguments, status, words in (
        (("listen", "ims", *config), 2, "nothing is posted"),
        (("listen", "centris", *config, "--bind", "here"), 78, "listen"),
        (("listen", "centris", *config, "--set=sources.centris.webhook_secret=whsec_AAAA"), 78, "16 bytes"),
        (("run", *config, "--set=sources.ims.webhook_secret=x"), 78, "sources.ims.webhook_secret"),
    ):
        done = workplace.run(*arguments)
        assert (done.returncode, words in done.stderr) == (status, True), done.stderr


def test_a_refused_credential_ends_it_with_everything_kept(sandbox: SandboxProcess, workplace: Workplace) -> None:
    """FAULTS A02: asked once, told, and nothing of what was acknowledged is lost."""
    harvest(workplace, sandbox)
    keys = mutate(sandbox, 5)
    with listening(workplace, sandbox, "--set=sources.centris.client_secret=wrong") as running:
        assert running.post([json.loads(notice(sandbox, key)) for key in keys])[0] == 202
        running.process.wait(PATIENCE)
        assert running.process.returncode == 77
    done = workplace.run(*command(sandbox), "--once")
    assert done.returncode == 0, done.stderr
    assert view(workplace) == truth(sandbox)
