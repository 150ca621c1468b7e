"""``harvester providers``: what can be harvested, and what its configuration needs."""

from __future__ import annotations

import msgspec
from msgspec import Struct
from rich.table import Table

from harvester.cli.context import Given
from harvester.provider import Provider
from harvester.report.render import safe

TEXT_WIDTH = 90  # columns of the longest lists


class ProviderFacts(Struct, frozen=True, kw_only=True):
    """What a configuration needs to know of one provider."""

    name: str
    title: str
    base_url: str | None  # None: must be configured
    secrets: tuple[str, ...]  # keys that must hold a credential
    options: tuple[str, ...]  # keys that not every provider takes
    resources: tuple[str, ...]
    walks: tuple[str, ...]  # the one of full walks first
    source: str  # where its rules come from


def providers(*, json: bool = False, debug: bool = False, context: Given) -> int:
    """List the providers with the keys that a [sources.NAME] table needs and the resources there are.

    Resources on request are harvested only when the configuration names them.

    Exit status:

    - 0: listed
    - 2: wrong arguments
    - 70: a bug in harvester

    Parameters
    ----------
    json
        one JSON list instead of text.
    debug
        show tracebacks and log everything to standard error.
    """
    known = context.api.providers()
    if json:
        context.raw_stdout.write(msgspec.json.encode([_facts(provider) for provider in known]) + b"\n")
        return 0
    for provider in known:
        context.console.print(_block(provider), "")
    return 0


def _block(provider: Provider) -> Table:
    """A provider in a few lines, its name in front."""
    wanted = [resource.name for resource in provider.resources if resource.default]
    others = [resource.name for resource in provider.resources if not resource.default]
    if provider.open_resources:
        others.append("any other the server has")
    facts = _facts(provider)
    table = Table.grid(padding=(0, 2))
    table.add_column(style="bold", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold", max_width=TEXT_WIDTH)
    table.add_row(safe(facts.name), "what it is", safe(facts.title))
    table.add_row(
        "", "credentials", safe(", ".join(facts.secrets) or "none, a token, or a client_id and client_secret")
    )
    table.add_row("", "base_url", safe(facts.base_url or "must be given"))
    if facts.options:
        table.add_row("", "options", safe(", ".join(facts.options)))
    if wanted:
        table.add_row("", "resources", safe(", ".join(wanted)))
    if others:
        table.add_row("", "on request", safe(", ".join(others)))
    return table


def _facts(provider: Provider) -> ProviderFacts:
    others = sorted(set(provider.pagers) - {provider.full})
    return ProviderFacts(
        name=provider.name,
        title=provider.title,
        base_url=provider.base_url,
        secrets=tuple(provider.auth.secrets()),
        options=tuple(sorted(provider.options)),
        resources=tuple(resource.name for resource in provider.resources),
        walks=(provider.full, *others),
        source=provider.source,
    )
