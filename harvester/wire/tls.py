"""The TLS settings of every connection: verified, TLS 1.2 or newer, blind to the environment."""

from __future__ import annotations

import ssl
import sys
from contextlib import suppress

from harvester.errors import ConfigError

# Where systems keep their roots; asked in this order when the place compiled into OpenSSL is empty.
_ROOTS = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem")


def tls_context(ca_file: str | None = None) -> ssl.SSLContext:
    """Verify against *ca_file* (PEM), or against the system's roots when it is None.

    ``ssl.create_default_context`` is not used: it obeys ``SSL_CERT_FILE`` and ``SSLKEYLOGFILE``, so that whoever sets
    the environment could replace the roots or read the traffic (FAULTS E05).

    Raises:
        ConfigError: *ca_file* cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)  # demands a certificate for the very host
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if ca_file is not None:
        try:
            context.load_verify_locations(ca_file)
        except OSError as exc:
            raise ConfigError(f"The certificate file {ca_file} cannot be read ({exc.strerror}).") from exc
        return context
    if sys.platform == "win32":
        context.load_default_certs()
        return context
    compiled = ssl.get_default_verify_paths()
    with suppress(OSError):
        context.load_verify_locations(capath=compiled.openssl_capath)
    for path in (compiled.openssl_cafile, *_ROOTS):
        with suppress(OSError):
            context.load_verify_locations(path)
            break
    return context
