"""Which addresses a public host name may lead to (FAULTS N12, N13); pure but for the resolver port."""

from __future__ import annotations

import socket
from collections.abc import Collection, Sequence
from ipaddress import IPv6Address, ip_address

from harvester.contracts import Resolver
from harvester.errors import ConfigError

_NO_SUCH_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


async def lookup(resolver: Resolver, host: str, port: int, *, private_hosts: Collection[str] = ()) -> Sequence[str]:
    """Addresses of *host* that may be connected to, best first, never empty.

    Args:
        private_hosts: names that may lead to private addresses; ``localhost`` always may.
    Raises:
        ConfigError: the name does not exist, or leads only to addresses of a private network.
        OSError: the resolver failed in a way that may pass.
    """
    try:
        found = await resolver.resolve(host, port)
    except socket.gaierror as exc:
        if exc.errno in _NO_SUCH_NAME:
            raise ConfigError(f"There is no host named {host}. Check the base URL and this machine's DNS.") from exc
        raise
    if host == "localhost" or host in private_hosts:
        return found
    public = [address for address in found if _is_public(address)]
    if not public:
        raise ConfigError(
            f"{host} leads to {', '.join(found)}, an address of a private network. Credentials are not sent there "
            "unless that host is allowed by name."
        )
    return public


def _is_public(address: str) -> bool:
    try:
        parsed = ip_address(address)
    except ValueError:
        return False
    if isinstance(parsed, IPv6Address) and parsed.ipv4_mapped is not None:
        parsed = parsed.ipv4_mapped
    return parsed.is_global and not parsed.is_multicast
