"""Credentials: from text, an environment variable or a file; masked wherever a value can be seen.

A secret is read only when a source is really used, so that ``status`` or a run of one source does not need the
secrets of all others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import PurePath
from typing import TYPE_CHECKING, NoReturn, final

from harvester.contracts import Fs
from harvester.errors import ConfigError, StorageError

if TYPE_CHECKING:
    from harvester.config.schema import Config, SourceConfig

MASK = "********"
SECRET_KEYS = ("client_id", "client_secret", "token", "access_key", "ancillary_key")
WEBHOOK_SECRETS = ("webhook_secret", "webhook_secret_old")  # of those who post to us; they are sent nowhere
# What a provider counts requests against, in this order: a rotated client_secret keeps its client's quota.
_QUOTA_OWNERS = ("client_id", "access_key", "token")
_HASH_ROUNDS = 20_000  # identities are stored with the quota ledger; a short key must not be guessed from one


@final
class Secret:
    """A credential as configured. ``Secret("text")``, or read later: ``Secret(env="NAME")``, ``Secret(file="path")``.

    Never shows its value: not in repr, str or format, and it refuses to be pickled or encoded. A relative *file*
    is looked up from the current directory.
    """

    __slots__ = ("_env", "_file", "_text")

    def __init__(self, text: str | None = None, *, env: str | None = None, file: str | None = None) -> None:
        if sum(part is not None for part in (text, env, file)) != 1:
            raise ValueError('a secret is text, { env = "NAME" } or { file = "path" }')
        self._text, self._env, self._file = text, env, file

    @classmethod
    def parse(cls, value: object) -> Secret:
        """A secret as TOML writes it. Raises ValueError, without the value, for any other shape."""
        match value:
            case Secret():
                return value
            case str():
                return cls(value)
            case {"env": str(name), **rest} if not rest and name:
                return cls(env=name)
            case {"file": str(path), **rest} if not rest and path:
                return cls(file=path)
        raise ValueError(f'a secret is "text", {{ env = "NAME" }} or {{ file = "path" }}, not {_shape(value)}')

    def read(self, path: str, environment: Mapping[str, str], fs: Fs) -> str:
        """The value itself.

        Args:
            path: the key it is configured at, for the message.
        Raises:
            ConfigError: the variable or file is missing or unreadable, the value is empty or holds a control character.
        """
        if self._env is not None:
            if self._env not in environment:
                raise ConfigError(f"the environment variable {self._env} is not set", path=path)
            value, origin = environment[self._env], f"the environment variable {self._env}"
        elif self._file is not None:
            value, origin = _read_file(self._file, path, fs), f"the file {self._file}"
        else:
            value, origin = self._text or "", "the value"
        if not value:
            raise ConfigError(f"{origin} is empty", path=path)
        if not value.isprintable():
            # It becomes part of a header: a line break would end the header and start another.
            raise ConfigError(f"{origin} holds a line break or another control character", path=path)
        return value

    def __repr__(self) -> str:
        if self._env is not None:
            return f"Secret(env={self._env!r})"
        if self._file is not None:
            return f"Secret(file={self._file!r})"
        return f"Secret({MASK!r})"

    __str__ = __repr__

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        return (self._text, self._env, self._file) == (other._text, other._env, other._file)

    def __hash__(self) -> int:
        return hash((self._text, self._env, self._file))

    def __reduce__(self) -> NoReturn:
        raise TypeError("a Secret cannot be pickled")


@final
class SourceCredential:
    """The secrets of one source, read and checked; implements ``contracts.Credential``."""

    __slots__ = ("_values", "scope", "token_url")

    def __init__(self, values: Mapping[str, str], *, token_url: str | None, scope: str | None) -> None:
        self._values = dict(values)
        self.token_url = token_url
        self.scope = scope

    def reveal(self, name: str) -> str | None:
        return self._values.get(name)

    def identity(self, provider: str, origin: str) -> str:
        """Names what the quota belongs to, without telling the secret: sources with equal identities share a governor.

        Args:
            origin: scheme, host and port of the base URL.
        """
        owner = next((self._values[name] for name in _QUOTA_OWNERS if name in self._values), "")
        salt = f"{provider}|{origin}".encode()
        return f"{provider}|{origin}|{hashlib.pbkdf2_hmac('sha256', owner.encode(), salt, _HASH_ROUNDS).hex()[:16]}"

    def __repr__(self) -> str:
        shown = ", ".join(f"{name}={MASK}" for name in self._values)
        return f"SourceCredential({shown})"

    def __reduce__(self) -> NoReturn:
        raise TypeError("a SourceCredential cannot be pickled")


class SecretStore:
    """Reads the secrets of a configuration, one source at a time."""

    def __init__(self, config: Config, *, environment: Mapping[str, str], fs: Fs) -> None:
        self._config = config
        self._environment = environment
        self._fs = fs

    def credential(self, source: str, name: str = "") -> SourceCredential:
        """Every secret configured for *source*. Raises ConfigError naming the key when one cannot be read.

        *name*: of the credential, where the source has several.
        """
        section = self._config.sources[source].sharers[name]
        path = credential_path(source, name)
        values = {key: self._read(path, key, secret) for key, secret in configured_secrets(section).items()}
        return SourceCredential(values, token_url=section.token_url, scope=section.scope)

    def identity(self, source: str, base_url_origin: str, name: str = "") -> str:
        """What the quota of *source* belongs to: its ``credential`` name, else provider, origin and secret's hash."""
        section = self._config.sources[source].sharers[name]
        if section.credential is not None:
            return f"name|{section.credential}"
        configured = configured_secrets(section)
        owner = next((name for name in _QUOTA_OWNERS if name in configured), None)
        # The others are not read: who only asks for the quota need not have them.
        path = credential_path(source, name)
        values = {} if owner is None else {owner: self._read(path, owner, configured[owner])}
        known = SourceCredential(values, token_url=None, scope=None)
        return known.identity(self._config.provider_of(source), base_url_origin)

    def webhook_secrets(self, source: str) -> tuple[str, ...]:
        """The secrets that whoever posts changes of *source* may use. Raises ConfigError when one cannot be read."""
        section = self._config.sources[source]
        found = {key: getattr(section, key) for key in WEBHOOK_SECRETS}
        return tuple(self._read(f"sources.{source}", key, secret) for key, secret in found.items() if secret)

    def _read(self, path: str, key: str, secret: Secret) -> str:
        return secret.read(f"{path}.{key}", self._environment, self._fs)


def credential_path(source: str, name: str) -> str:
    """Where the secrets of *source* stand, or of its credential *name*, for messages."""
    return f"sources.{source}.credentials.{name}" if name else f"sources.{source}"


def configured_secrets(section: SourceConfig) -> dict[str, Secret]:
    """The secrets *section* names, by configuration key."""
    found = {name: getattr(section, name) for name in SECRET_KEYS}
    return {name: secret for name, secret in found.items() if secret is not None}


def _read_file(file: str, path: str, fs: Fs) -> str:
    location = PurePath(file)
    try:
        data = fs.read(location)
    except (StorageError, OSError) as exc:
        raise ConfigError(f"the file {file} cannot be read ({type(exc).__name__})", path=path) from exc
    try:
        text = data.decode()
    except UnicodeDecodeError:
        # Without a cause: the exception carries the bytes of the secret.
        raise ConfigError(f"the file {file} is not UTF-8 text", path=path) from None
    return text.removesuffix("\n").removesuffix("\r")


def _shape(value: object) -> str:
    match value:
        case bool() | int() | float():
            return "a number; put it in quotes"
        case dict():
            return "a table with other keys"
        case list() | tuple():
            return "a list"
    return f"a {type(value).__name__}"
