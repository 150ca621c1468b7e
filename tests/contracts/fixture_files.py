"""Reads ``fixtures/``: recorded shapes of every provider, each body beside the status and headers it came with."""

from __future__ import annotations

import importlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from msgspec import Struct

from harvester.model import Headers, Page, PageRequest, Resource, Response, Walk
from harvester.provider import Provider, SourceFacts
from harvester.providers import idx_broker

ROOT = Path(__file__).parents[2] / "fixtures"

PROVIDERS = tuple(sorted(path.name for path in ROOT.iterdir() if path.is_dir()))

SIDE_FOLDERS = ("$metadata", "errors", "token", "webhook")
"""Folders of a provider that are no resource."""


class Told(Struct, frozen=True, forbid_unknown_fields=True):
    """A ``*.headers.json`` file: what came beside the body, and what the contract makes of it."""

    status: int
    means: str  # an Action, in the contract's table
    headers: tuple[tuple[str, str], ...]


class Fixture(Struct, frozen=True):
    """One answer as a provider gives it."""

    provider: str
    folder: str
    stem: str
    body: bytes  # b"": there is none
    told: Told | None  # None: status 200 and nothing worth noting in the headers

    @property
    def label(self) -> str:
        return f"{self.provider}/{self.folder}/{self.stem}"

    @property
    def means(self) -> str:
        return self.told.means if self.told else "use"

    def response(self) -> Response:
        fields = self.told.headers if self.told else (("Content-Type", "application/json"),)
        return Response(
            status=self.told.status if self.told else 200,
            headers=Headers(fields),
            body=self.body,
            url=f"https://api.example.com/{self.folder}?_pagination=count",
        )

    def judged(self, provider: Provider) -> Response:
        response = self.response()
        return msgspec.structs.replace(response, verdict=provider.judge(response))

    def opened(self, provider: Provider, resource: Resource) -> Page:
        """The page a walk over *resource* gets from this answer."""
        walk = Walk(id="w00", resource=resource, pager=provider.full, value="v" if resource.per_value else None)
        return provider.envelope.open(self.judged(provider), PageRequest(url=self.folder), walk)


def declared(provider: str) -> Provider:
    """The provider of that name, found by its file."""
    found: Any = importlib.import_module(f"harvester.providers.{provider}").PROVIDER
    assert isinstance(found, Provider)
    return found


def provider_for(fixture: Fixture) -> Provider:
    """The provider as a source that asked for the API version of *fixture* declares it."""
    version = fixture.response().headers.get("api-version")
    if version is None or fixture.means == "broken":
        provider = declared(fixture.provider)
        if "masked" in provider.options and provider.for_source is not None:
            return provider.for_source(SourceFacts(masked="stars"))  # the bytes as they came
        return provider
    return idx_broker.declare(api_version=version)


def resource_of(provider: Provider, folder: str) -> Resource:
    """The resource whose fixtures are in *folder*; described by convention where the provider lists none of its own."""
    for resource in provider.resources:
        if resource.dirname == folder:
            return resource
    assert provider.open_resources, f"{provider.name} has no resource {folder}"
    return provider.describe(folder)


def fixtures(provider: str | None = None) -> Iterator[Fixture]:
    """Every answer, in the order of its path."""
    for name in PROVIDERS if provider is None else (provider,):
        for folder in sorted(path for path in (ROOT / name).iterdir() if path.is_dir()):
            stems: dict[str, Path | None] = {}
            for path in sorted(folder.iterdir()):
                if path.name == "SOURCE.md":
                    continue
                if path.name.endswith(".headers.json"):
                    stems.setdefault(path.name.removesuffix(".headers.json"), None)
                elif stems.get(path.stem) is None:
                    stems[path.stem] = path
                else:  # the same data in a second format
                    stems[path.name] = path
            for stem, body in stems.items():
                told = folder / f"{stem}.headers.json"
                yield Fixture(
                    name,
                    folder.name,
                    stem,
                    body.read_bytes() if body else b"",
                    msgspec.json.decode(told.read_bytes(), type=Told) if told.exists() else None,
                )


def is_resource(fixture: Fixture) -> bool:
    return fixture.folder not in SIDE_FOLDERS
