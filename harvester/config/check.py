"""What the schema alone cannot say: names that become paths, URLs that get credentials, things that must agree."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Sequence
from urllib.parse import urlsplit

from harvester.config.schema import BudgetConfig, Config, SourceConfig
from harvester.config.secrets import SECRET_KEYS, WEBHOOK_SECRETS, Secret, configured_secrets, credential_path
from harvester.config.typed import unknown_key
from harvester.errors import ArgumentError, ConfigError

# Both become directory names and parts of URLs (FAULTS M03); a dot in a source name would split a --set path.
_SOURCE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,63}")
_LANGUAGE = re.compile(r"[A-Za-z]{2,3}(?:-[A-Za-z0-9]{2,8}){0,3}")
_RESOURCE_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}(?:/[A-Za-z0-9_][A-Za-z0-9_.-]{0,63}){0,4}")

OPTION_KEYS = (
    "translations",
    "language",
    "languages",
    "lead_horizon",
    "api_version",
    "link_lifetime",
    "masked",
    "readable_names",
    "names",
)
"""Source keys that only some providers take; ``Provider.options`` names the ones a provider does."""


def check_config(config: Config) -> None:
    """Refuse a configuration that no run could use. Raises ConfigError naming the path."""
    if not config.out:
        raise ConfigError("is empty; name a directory", path="out")
    if "://" in config.out:
        raise ConfigError("must be a local directory; object stores are not supported yet", path="out")
    if config.quota_fallback and config.quota is None:
        raise ConfigError("means nothing without quota, the URL of a quota store", path="quota_fallback")
    _check_secret(config.quota, "quota")
    _check_sweeps(config, "")
    if config.health is not None:
        check_address(config.health, "health")
    if config.listen is not None:
        check_address(config.listen, "listen")
    if not config.sources:
        raise ConfigError("no source is configured; add a [sources.NAME] table", path="sources")
    seen: dict[str, str] = {}
    for name, source in config.sources.items():
        _check_name(name, seen)
        _check_source(f"sources.{name}", source)


def check_address(text: str, path: str) -> tuple[str, int]:
    """Host and port of an address to listen at: ``8080``, ``127.0.0.1:8080`` or ``[::1]:8080``.

    Without a host it is this machine alone. Raises ConfigError for *path*.
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]") if colon else "127.0.0.1"
    if not re.fullmatch(r"[0-9]{1,5}", port, re.ASCII) or int(port) > 65_535 or not host:
        raise ConfigError(f"{text!a} is no address to listen at; one is 127.0.0.1:8080", path=path)
    return host, int(port)


def _check_sweeps(section: Config | SourceConfig, path: str) -> None:
    if section.sweep_at is None:
        return
    if section.sweep_every is not None:
        raise ConfigError("stands beside sweep_every; say one of them", path=f"{path}sweep_at")
    if section.sweep_at != "never" and not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9]", section.sweep_at, re.ASCII):
        raise ConfigError('must be a time of day in UTC such as "03:00", or "never"', path=f"{path}sweep_at")


def check_quota(url: str) -> None:
    """Refuse the URL of a quota store that cannot be used. It stays out of the messages: it may hold a password."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        raise ConfigError("is not a URL", path="quota") from None  # the cause may quote a password
    if parts.scheme not in {"redis", "rediss"} or not host:
        raise ConfigError("must begin with redis:// or rediss:// and a host name", path="quota")
    if not re.fullmatch(r"/?\d*", parts.path):
        raise ConfigError("ends with the number of a database, for example redis://host:6379/0", path="quota")
    if parts.query or parts.fragment:
        raise ConfigError("must not hold a query (?) or a fragment (#)", path="quota")


def check_secrets(source: str, section: SourceConfig, needed: Sequence[str], taken: Collection[str]) -> None:
    """Raises ConfigError for the first of *needed* (configuration keys) that a credential of *section* does not set,
    and for a secret set that is not among *taken*: it would be sent to nobody, and its owner would believe it is in
    use."""
    for name, seen in section.sharers.items():
        _check_secrets_of(source, name, seen, needed, taken)


def _check_secrets_of(
    source: str, credential: str, section: SourceConfig, needed: Sequence[str], taken: Collection[str]
) -> None:
    present = configured_secrets(section)
    path = credential_path(source, credential)
    for name in present:
        if name not in taken:
            raise ConfigError(f"this provider does not use it; it takes {', '.join(taken)}", path=f"{path}.{name}")
    for name in needed:
        if name not in present:
            owner = "_".join(each for each in (source, credential) if each).upper().replace("-", "_")
            example = f'{name} = {{ env = "{owner}_{name.upper()}" }}'
            raise ConfigError(f"is missing; the provider needs it, for example: {example}", path=f"{path}.{name}")


def check_webhooks(source: str, section: SourceConfig, *, posts: bool) -> None:
    """Raises ConfigError for a secret of a provider that *posts* nothing."""
    for key in WEBHOOK_SECRETS:
        if not posts and getattr(section, key) is not None:
            raise ConfigError("this provider posts nothing", path=f"sources.{source}.{key}")


def check_options(source: str, section: SourceConfig, granted: Collection[str]) -> None:
    """Raises ConfigError for a key of ``OPTION_KEYS`` that is set though its provider does not take it."""
    for key in OPTION_KEYS:
        if key not in granted and getattr(section, key) is not None:
            raise ConfigError("this provider has no such option", path=f"sources.{source}.{key}")


def check_languages(source: str, section: SourceConfig) -> None:
    """Raises ConfigError for two ways to ask for languages, of which exactly one may be used (Centris, section 8)."""
    path = f"sources.{source}"
    if section.language is not None and section.translations not in (None, False, "none"):
        raise ConfigError(
            "language and translations are two ways to the same; keep one of them", path=f"{path}.language"
        )
    if section.languages is not None and section.translations != "accept-language":
        raise ConfigError('needs translations = "accept-language"', path=f"{path}.languages")
    for place, tag in enumerate(section.languages or ()):
        if not _LANGUAGE.fullmatch(tag) or tag in (section.languages or ())[:place]:
            raise ConfigError(f"{tag!a} is no language, or there twice; write for example fr", path=f"{path}.languages")


def is_resource_name(name: str) -> bool:
    """Whether *name*, from wherever it comes, may become a directory and a part of URLs (FAULTS M03)."""
    return _RESOURCE_NAME.fullmatch(name) is not None and ".." not in name


def check_resource(source: str, name: str, known: Collection[str]) -> None:
    """Raises ConfigError when *name* is none of the provider's resources."""
    if name not in known:
        raise unknown_key(f"sources.{source}.resources", name, known, what=f"there is no resource {name!a}")


def check_walks(source: str, section: SourceConfig, known: Collection[str]) -> None:
    """Raises ConfigError when a ``walk`` of *section* is none of *known*, the provider's pagers."""
    walks = {f"sources.{source}.walk": section.walk}
    walks |= {f"sources.{source}.resource[{number}].walk": table.walk for number, table in enumerate(section.resource)}
    for path, walk in walks.items():
        if walk is not None and walk not in known:
            # All of them, not the nearest: ranges and pages are spelled alike and have nothing in common.
            raise ConfigError(f"this provider has no walk {walk!a}; known are: {', '.join(sorted(known))}", path=path)


def check_source_names(names: Sequence[str], config: Config) -> None:
    """Raises ArgumentError when one of *names* (from ``--source``) is not configured."""
    for name in names:
        if name not in config.sources:
            raise ArgumentError(str(unknown_key("", name, config.sources, what=f"there is no source {name!a}")))


def check_resource_names(names: Sequence[str], configured: Collection[str]) -> None:
    """Raises ArgumentError when one of *names* (from ``--resource``) is not among those that are *configured*."""
    for name in names:
        if name not in configured:
            what = f"no source is configured to harvest a resource {name!a}"
            raise ArgumentError(str(unknown_key("", name, configured, what=what)))


def _check_name(name: str, seen: dict[str, str]) -> None:
    if not _SOURCE_NAME.fullmatch(name):
        raise ConfigError(f"{name!a} cannot name a source; use letters, digits, _ and -", path="sources")
    twin = seen.setdefault(name.lower(), name)
    if twin != name:
        # Their directories would be the same one on a file system that ignores case.
        raise ConfigError(f"{twin} and {name} differ only in case", path="sources")


def _check_source(path: str, source: SourceConfig) -> None:
    _check_sweeps(source, f"{path}.")
    for key in ("base_url", "token_url"):
        url = getattr(source, key)
        if url is not None:
            _check_url(url, f"{path}.{key}")
    for key in (*SECRET_KEYS, *WEBHOOK_SECRETS):
        _check_secret(getattr(source, key), f"{path}.{key}")
    if not re.fullmatch(r"[A-Za-z0-9-]{1,64}", source.webhook_header, re.ASCII):
        raise ConfigError("is not the name of a header", path=f"{path}.webhook_header")
    for number, name in enumerate(source.resources):
        _check_resource_name(name, f"{path}.resources[{number}]")
    if len({table.name for table in source.resource}) < len(source.resource):
        raise ConfigError("the same name stands in two tables", path=f"{path}.resource")
    for number, table in enumerate(source.resource):
        _check_resource_name(table.name, f"{path}.resource[{number}].name")
    _check_budget(source.budget, f"{path}.budget")
    _check_credentials(source, path)


def _check_budget(budget: BudgetConfig, path: str) -> None:
    for number, window in enumerate(budget.windows):
        if (window.requests is None) == (window.bytes is None):
            raise ConfigError("say either requests or bytes", path=f"{path}.windows[{number}]")


def _check_credentials(source: SourceConfig, path: str) -> None:
    """Several credentials take the place of the source's own; their names become parts of file names."""
    if not source.credentials:
        return
    for key in SECRET_KEYS:
        if getattr(source, key) is not None:
            raise ConfigError("stands beside credentials; move it into one of them", path=f"{path}.{key}")
    if source.credential is not None:
        raise ConfigError("would make one quota of all credentials; remove it", path=f"{path}.credential")
    seen: set[str] = set()
    held = set(configured_secrets(next(iter(source.sharers.values()))))
    for each in source.credentials:
        if not _SOURCE_NAME.fullmatch(each.name):
            raise ConfigError(
                f"{each.name!a} cannot name a credential; use letters, digits, _ and -", path=f"{path}.credentials"
            )
        if each.name.lower() in seen:
            raise ConfigError(f"two are named {each.name}", path=f"{path}.credentials")
        seen.add(each.name.lower())
        if differing := held ^ set(configured_secrets(source.sharers[each.name])):
            raise ConfigError(
                f"holds another kind of credential than {source.credentials[0].name} ({', '.join(sorted(differing))})",
                path=f"{path}.credentials.{each.name}",
            )
        for key in SECRET_KEYS:
            _check_secret(getattr(each, key), f"{path}.credentials.{each.name}.{key}")
        _check_budget(each.budget, f"{path}.credentials.{each.name}.budget")


def _check_secret(value: object, path: str) -> None:
    """A plain text would be shown wherever the configuration is. Only programs can bring one; files are converted."""
    if not isinstance(value, Secret | None):
        raise ConfigError('must be a Secret: Secret("…"), Secret(env="NAME") or Secret(file="path")', path=path)


def _check_resource_name(name: str, path: str) -> None:
    if not is_resource_name(name):
        raise ConfigError(f"{name!a} cannot name a resource", path=path)


def _check_url(url: str, path: str) -> None:
    """*url* itself stays out of the messages where it may hold a password."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:  # it quotes what it takes for a port, and that may be half a password
        raise ConfigError("is not a URL: its host or port cannot be read", path=path) from None
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        raise ConfigError("holds characters a URL cannot hold", path=path)
    if parts.scheme not in {"http", "https"} or not host:
        raise ConfigError("must begin with https:// and a host name", path=path)
    if "@" in parts.netloc:
        raise ConfigError("holds a user name or password; use the keys for credentials", path=path)
    if parts.query or parts.fragment:
        raise ConfigError("must not hold a query (?) or a fragment (#)", path=path)
    if parts.scheme == "http" and not _is_loopback(host):
        raise ConfigError("must begin with https://; http is for this machine only (127.0.0.1, localhost)", path=path)


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
