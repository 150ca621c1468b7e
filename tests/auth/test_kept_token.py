"""A token that outlives the run, and is shared by processes (FAULTS A01, A07, C02)."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import PurePath

import pytest

from harvester.auth.client_credentials import ClientCredentials
from harvester.contracts import Auth
from harvester.model import Request, Response
from harvester.store.token_file import TokenFile, binding_of
from tests.auth.test_client_credentials import ASK, token
from tests.fakes.clock import FakeClock
from tests.fakes.credential import FakeCredential
from tests.fakes.fs import MemoryFs
from tests.fakes.transport import ScriptedTransport

PATH = PurePath("/out/_harvester/tokens/lakeside.json")
URL = "https://id.example.com/token"


class Runs:
    """One run after another, or two at once, with one directory. The endpoint gives ``t1``, ``t2``, …"""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.fs = MemoryFs()
        self.fs.make_directory(PurePath("/out"))
        self.endpoint = ScriptedTransport([self._issue])
        self._issued = 0

    def _issue(self, _: Request) -> Response:
        self._issued += 1
        return token(f"t{self._issued}", 1000)

    def run(self, client_id: str = "id", *, scheme: ClientCredentials | None = None) -> Auth:
        credential = FakeCredential(client_id=client_id, client_secret="canary")
        keeper = TokenFile(self.fs, PATH, binding_of(URL, "", f"{client_id}\0canary"))
        return (scheme or ClientCredentials(token_url=URL)).bind(credential, self.endpoint, self.clock, keeper)


async def used(auth: Auth) -> tuple[str, str]:
    """The token that goes on a request now, and its mark."""
    await auth.prepare()
    request, mark = await auth.authorize(ASK)
    return dict(request.headers)["Authorization"].removeprefix("Bearer "), mark


@pytest.fixture
def runs() -> Runs:
    return Runs()


async def test_the_next_run_goes_on_with_the_token_until_it_is_old(runs: Runs) -> None:
    assert (await used(runs.run()))[0] == "t1"
    runs.clock.advance(800.0)
    later = runs.run()
    assert (await used(later))[0] == "t1"
    runs.clock.advance(150.0)
    assert (await used(later))[0] == "t2"  # at nine tenths of the life it had from the beginning
    assert len(runs.endpoint.requests) == 2


async def test_a_process_takes_over_what_another_has_renewed(runs: Runs) -> None:
    """FAULTS A01, A05: of two that are refused the same token, one asks for a new one."""
    one, other = runs.run(), runs.run()
    assert (await used(one))[0] == (await used(other))[0] == "t1"
    marks = [(await used(each))[1] for each in (one, other)]
    assert await one.renew(marks[0])
    assert await other.renew(marks[1])
    assert (await used(one))[0] == (await used(other))[0] == "t2"
    assert len(runs.endpoint.requests) == 2


async def test_a_token_that_was_refused_is_not_taken_up_again(runs: Runs) -> None:
    await used(runs.run())
    later = runs.run()
    _, mark = await used(later)
    assert await later.renew(mark)
    assert (await used(later))[0] == "t2"


async def test_another_clients_token_is_left_alone(runs: Runs) -> None:
    """FAULTS A07: another tenant's."""
    await used(runs.run("id"))
    assert (await used(runs.run("another")))[0] == "t2"


def public(runs: Runs, document: bytes) -> None:
    runs.fs.replace(PATH, document)


def link(runs: Runs, document: bytes) -> None:
    runs.fs.replace(PATH.with_name("victim"), document, private=True)
    runs.fs.remove(PATH)
    runs.fs.disk.symlink(str(PATH.with_name("victim")), str(PATH))


def corrupt(runs: Runs, document: bytes) -> None:
    runs.fs.replace(PATH, document[:-9], private=True)


def hostile(runs: Runs, document: bytes) -> None:
    runs.fs.replace(PATH, document.replace(b'"t1"', rb'"t1\r\nX: y"'), private=True)


def endless(runs: Runs, document: bytes) -> None:
    runs.fs.replace(PATH, document.replace(b"1000.0", b"1e300"), private=True)


def of_the_future(runs: Runs, document: bytes) -> None:
    runs.fs.replace(PATH, document, private=True)
    runs.clock.jump(-3600.0)


@pytest.mark.parametrize("plant", [public, link, corrupt, hostile, endless, of_the_future])
async def test_a_file_that_cannot_be_trusted_is_not_used_and_is_replaced(
    runs: Runs, plant: Callable[[Runs, bytes], None]
) -> None:
    """FAULTS A07, C02, E08: mode 0644, a symlink, damage, a header in it, a life without end, a clock set back."""
    await used(runs.run())
    document = runs.fs.read_private(PATH)
    assert document is not None
    plant(runs, document)
    assert (await used(runs.run()))[0] == "t2"
    assert b'"t2"' in (runs.fs.read_private(PATH) or b"")


async def test_without_a_place_to_keep_it_a_run_goes_on(runs: Runs) -> None:
    runs.fs.fail("open", path="tokens", times=None)
    assert (await used(runs.run()))[0] == "t1"
