"""May this URL be asked, and with these credentials? One source, one origin and base path; pure.

Parsed by the grammar of RFC 3986 and nothing friendlier: a parser that forgives (drops tabs, turns backslashes)
agrees with nobody about where a URL leads, and that disagreement is how credentials leave.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import AddressValueError, IPv4Address, IPv6Address, ip_address
from typing import NamedTuple
from urllib.parse import quote, unquote

from harvester.errors import ConfigError, OriginRefused
from harvester.wire.redaction import redact, strip_secrets

_URL = re.compile(r"(?:([A-Za-z][A-Za-z0-9+.\-]*):)?(?://([^/?#]*))?([^?#]*)(?:\?([^#]*))?(?:#.*)?", re.DOTALL)
_AUTHORITY = re.compile(r"(?:([^@]*)@)?(\[[0-9A-Fa-f:.]*\]|[^:@\[\]]*)(?::([0-9]{0,5}))?")
_NAME = re.compile(r"(?:[a-z0-9_](?:[a-z0-9_\-]{0,62})\.)*[a-z0-9_](?:[a-z0-9_\-]{0,62})")
_NUMBER_LIKE = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)")  # what inet_aton takes for an address
_UNSENDABLE = re.compile(r"[^\x21-\x7e]+")  # cannot stand in a request line
_PORTS = {"http": 80, "https": 443}


class _Parts(NamedTuple):
    scheme: str | None  # lower case
    authority: str | None
    path: str
    query: str | None


def _split(url: str) -> _Parts:
    found = _URL.fullmatch(url)
    if found is None:  # cannot happen: the pattern takes any text
        return _Parts(None, None, url, None)
    scheme, authority, path, query = found.groups()
    return _Parts(scheme.lower() if scheme else None, authority, path, query)


@dataclass(frozen=True)
class Origin:
    """Where one source's requests may go: scheme, host, port, and everything under a base path."""

    scheme: str
    host: str  # lower case, IDNA; IPv6 without brackets
    port: int
    base_path: str  # "" or "/v1/odata", never with a slash at the end

    @classmethod
    def parse(cls, url: str, *, path: str = "base_url") -> Origin:
        """The origin of a configured base URL. *path* names the configuration key in errors.

        Raises:
            ConfigError: not an absolute http(s) URL, http to another machine, or parts no base URL has.
        """

        parts = _split(url)
        found = _AUTHORITY.fullmatch(parts.authority or "")
        # Where user information cannot be told from the rest nobody knows what to mask.
        shown = repr(redact(url)) if found is not None and "@" not in url else "the URL"

        def wrong(reason: str) -> ConfigError:
            return ConfigError(f"{shown} {reason}", path=path)

        if parts.scheme not in _PORTS or parts.authority is None:
            raise wrong("is not an absolute https:// URL")
        if _UNSENDABLE.search(parts.path) or "\\" in url:
            raise wrong("holds characters that must be percent-encoded")
        if parts.query is not None or "#" in url:
            raise wrong("must not have a query or a fragment")
        if found is None or found[1] is not None:
            raise wrong("must not hold user information" if "@" in parts.authority else "has no valid host")
        try:
            host = _canonical_host(found[2])
        except ValueError as exc:
            raise wrong(f"has no valid host: {exc}") from exc
        port = int(found[3] or _PORTS[parts.scheme])
        if not 0 < port < 65536:
            raise wrong("has no valid port")
        origin = cls(parts.scheme, host, port, _normal_path(parts.path).rstrip("/"))
        if origin.scheme == "http" and not origin.loopback:
            raise wrong("sends credentials in clear text: use https (http is for this machine only)")
        return origin

    @property
    def loopback(self) -> bool:
        """Whether the host is this machine by its very name."""
        if self.host == "localhost":
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def url(self) -> str:
        """The base URL as a directory, ready for relative references: ``https://host/v1/odata/``."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        port = "" if self.port == _PORTS[self.scheme] else f":{self.port}"
        return f"{self.scheme}://{host}{port}{self.base_path}/"

    def check(self, url: str) -> None:
        """Let *url* pass if it is sent to this origin and lies under the base path.

        The base path is compared without regard to case, since servers that ignore it write links in another
        (FAULTS P07); host and port are already equal then, so this widens nothing. Dot segments count as what they
        lead to, also when percent-encoded.

        Raises:
            OriginRefused: it leads elsewhere or could be read to lead elsewhere; no socket is opened (FAULTS E01).
        """
        if _UNSENDABLE.search(url):
            raise self._refused(url, "it holds characters no URL may hold")
        parts = _split(url)
        if "\\" in url.partition("?")[0]:
            raise self._refused(url, "it holds a backslash")
        if parts.scheme is None or parts.authority is None:
            raise self._refused(url, "it is not absolute")
        found = _AUTHORITY.fullmatch(parts.authority)
        if found is None or found[1] is not None:
            raise self._refused(url, "it holds user information or no valid host")
        host = found[2].lower().removeprefix("[").removesuffix("]")
        port = int(found[3] or _PORTS.get(parts.scheme, 0))
        if (parts.scheme, host, port) != (self.scheme, self.host, self.port):
            raise self._refused(url, "scheme, host and port must be the same")
        if not self._covers(parts.path):
            raise self._refused(url, "the path lies elsewhere")

    def resolve(self, link: str, request_url: str | None = None) -> str:
        """The absolute URL of *link*, every byte of it as the provider wrote it (FAULTS P07).

        Args:
            link: absolute, ``//host``, ``/path``, ``?query`` or relative (RFC 3986, section 5.3). Characters that
                cannot stand in a request line (blanks, non-ASCII) are percent-encoded; parameters that are
                credentials are left out (FAULTS E02); a fragment is dropped.
            request_url: the URL whose answer held the link; None: the base URL as a directory.
        Raises:
            OriginRefused: as ``check``.
        """
        link = link.strip(" ")
        if any(ord(c) < 0x20 or ord(c) == 0x7F for c in link):
            raise self._refused(link, "it holds control characters")
        link = _UNSENDABLE.sub(lambda found: quote(found[0], safe=""), link)
        if "\\" in link.partition("?")[0]:
            raise self._refused(link, "it holds a backslash")
        absolute = strip_secrets(_resolved(_split(link), _split(request_url or self.url)))
        self.check(absolute)
        return absolute

    def _covers(self, path: str) -> bool:
        plain = path
        for _ in range(3):  # %252e is a dot to a server that decodes twice
            plain = unquote(plain, errors="replace").replace("\\", "/")
        for candidate in (path, plain):
            base, wanted = self.base_path.lower(), _normal_path(candidate).lower()
            if wanted != base and not wanted.startswith(base + "/"):
                return False
        return True

    def _refused(self, url: str, reason: str) -> OriginRefused:
        return OriginRefused(
            f"The URL {redact(url)} is refused, {reason}: this source is {self.url}. Nothing was sent. "
            "If the provider has moved, set base_url (or token_url) to the new place."
        )

    def __str__(self) -> str:
        return self.url


def _canonical_host(text: str) -> str:
    """Lower case and IDNA; addresses only in their one canonical spelling. Raises ValueError."""
    if text.startswith("["):
        return str(IPv6Address(text[1:-1]))
    host = text.lower()
    if not host.isascii():
        host = host.encode("idna").decode("ascii")
    if _NUMBER_LIKE.fullmatch(host):
        try:
            return str(IPv4Address(host))
        except AddressValueError as exc:
            raise ValueError(f"{host} is an unusual spelling of an address") from exc
    if not _NAME.fullmatch(host):
        raise ValueError("a name has letters, digits, dots and hyphens, and no dot at the end")
    return host


def _normal_path(path: str) -> str:
    """*path* without dot segments (RFC 3986, section 5.2.4), the rest byte for byte."""
    kept: list[str] = []
    segments = path.split("/")
    for segment in segments:
        if segment == "..":
            if len(kept) > 1:
                kept.pop()
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    return "/".join(kept)


def _resolved(link: _Parts, base: _Parts) -> str:
    """RFC 3986, section 5.3, without re-quoting. An absolute link keeps its dot segments, for ``check`` to judge."""
    if link.scheme is not None:
        prefix = f"{link.scheme}:" + (f"//{link.authority}" if link.authority is not None else "")
        path, query = link.path, link.query
    elif link.authority is not None:
        prefix, path, query = f"{base.scheme}://{link.authority}", link.path, link.query
    else:
        prefix = f"{base.scheme}://{base.authority}"
        if not link.path:
            path, query = base.path, base.query if link.query is None else link.query
        else:
            directory = "" if link.path.startswith("/") else base.path.rpartition("/")[0] + "/"
            path, query = _normal_path(directory + link.path), link.query
    return prefix + path + ("" if query is None else f"?{query}")
