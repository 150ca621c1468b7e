"""Certificates and handshakes (FAULTS E05, N14, N15). The certificates are made on the spot."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
from pathlib import Path

import pytest

from harvester.clock import SystemClock, SystemResolver
from harvester.errors import ConfigError, ConnectionFailed, HarvesterError, RepeatError, TimedOut
from harvester.model import Request
from harvester.wire.limits import Timeouts
from harvester.wire.origin import Origin
from harvester.wire.tls import tls_context
from harvester.wire.transport import AiohttpTransport
from tests.fakes.raw_server import Wire, ok, once, raw_server

QUICK = Timeouts(connect=0.3, read=0.2)


def made(directory: Path, name: str) -> Path:
    """A self-signed certificate and its key for the address *name*, in one PEM file."""
    path = directory / f"{name}.pem"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(path), "-out", str(path.with_suffix(".crt")), "-days", "2", "-subj", "/CN=test"]
    command += ["-addext", f"subjectAltName=IP:{name}"]
    try:
        subprocess.run(command, check=True, capture_output=True)
    except FileNotFoundError:
        pytest.skip("the openssl command is not installed")
    path.write_bytes(path.read_bytes() + path.with_suffix(".crt").read_bytes())
    return path


@pytest.fixture(scope="module")
def here(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("tls"), "127.0.0.1")


@pytest.fixture(scope="module")
def elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return made(tmp_path_factory.mktemp("tls"), "192.0.2.1")


def serving(pem: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context


async def asked(url: str, tls: ssl.SSLContext | None = None) -> bytes | HarvesterError:
    async with AiohttpTransport(
        Origin.parse(url), SystemClock(), SystemResolver(), timeouts=QUICK, tls=tls
    ) as transport:
        try:
            return (await transport.send(Request(url=url + "/"))).body
        except HarvesterError as exc:
            return exc


async def test_a_trusted_certificate_for_the_host_passes(here: Path) -> None:
    async with raw_server(once(ok()), tls=serving(here)) as server:
        assert await asked(server.url, tls_context(str(here))) == b'{"value":[]}'


async def test_a_self_signed_certificate_is_a_hard_failure(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """FAULTS N14: no repeat, nothing sent. FAULTS E05: not even when the environment vouches for it."""
    monkeypatch.setenv("SSL_CERT_FILE", str(here))
    async with raw_server(once(ok()), tls=serving(here)) as server:
        error = await asked(server.url)
    assert isinstance(error, ConfigError)
    assert "not trusted" in str(error)
    assert server.requests == []


async def test_a_certificate_for_another_host_is_a_hard_failure(elsewhere: Path) -> None:
    """FAULTS N14: trusted, but not for this address."""
    async with raw_server(once(ok()), tls=serving(elsewhere)) as server:
        error = await asked(server.url, tls_context(str(elsewhere)))
    assert isinstance(error, ConfigError)
    assert "not trusted" in str(error)


async def test_no_common_version_is_a_hard_failure(here: Path) -> None:
    """FAULTS N14: the server answers our hello with the alert "protocol version"."""

    async def script(wire: Wire) -> None:
        await wire.reader.read(100)
        await wire.send(bytes.fromhex("15 0303 0002 02 46"))
        await wire.until_closed()

    async with raw_server(script) as server:
        error = await asked(server.url.replace("http:", "https:"), tls_context(str(here)))
    assert isinstance(error, ConfigError)
    assert "TLS 1.2 or newer" in str(error)


def test_old_versions_are_off_and_verification_is_on() -> None:
    """FAULTS N14."""
    context = tls_context()
    assert context.minimum_version == ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname


def test_the_environment_does_not_get_the_session_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """FAULTS E05."""
    monkeypatch.setenv("SSLKEYLOGFILE", str(tmp_path / "keys"))
    assert tls_context().keylog_filename is None


def test_an_unreadable_certificate_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="absent"):
        tls_context(str(tmp_path / "absent.pem"))
    (tmp_path / "text.pem").write_text("no certificate")
    with pytest.raises(ConfigError, match=r"text\.pem"):
        tls_context(str(tmp_path / "text.pem"))


async def test_a_stalling_handshake_ends_at_the_connect_timeout(here: Path) -> None:
    """FAULTS N15."""

    async def script(wire: Wire) -> None:
        await wire.until_closed()

    async with raw_server(script) as server:
        error = await asked(server.url.replace("http:", "https:"), tls_context(str(here)))
    assert isinstance(error, TimedOut)
    assert not error.sent


async def test_a_handshake_that_breaks_off_may_be_repeated(here: Path) -> None:
    """FAULTS N15: a load balancer in trouble, not a setting."""

    async def script(wire: Wire) -> None:
        await wire.reader.read(100)

    async with raw_server(script) as server:
        error = await asked(server.url.replace("http:", "https:"), tls_context(str(here)))
    assert isinstance(error, ConnectionFailed)
    assert not error.sent


async def test_a_body_without_length_cut_without_close_notify_is_suspect(here: Path) -> None:
    """FAULTS N15, H03."""

    async def script(wire: Wire) -> None:
        await wire.request()
        await wire.send(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"value":[1')
        await asyncio.sleep(0.01)
        wire.reset()

    async with raw_server(script, tls=serving(here)) as server:
        error = await asked(server.url, tls_context(str(here)))
    assert isinstance(error, RepeatError)


async def test_plain_http_on_a_tls_port_is_a_matter_of_configuration(here: Path) -> None:
    async def script(wire: Wire) -> None:
        await wire.reader.read(100)
        await wire.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    async with raw_server(script) as server:
        error = await asked(server.url.replace("http:", "https:"), tls_context(str(here)))
    assert isinstance(error, ConfigError)
