"""Related sets from outside: ``related = [...]``, the sandbox's log, what ``view`` and ``verify`` say of them."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.request import Request, urlopen

import pytest

from tests.scenarios.conftest import SandboxProcess, Workplace, end, serve

_KEY = re.compile(r"\d{26}")
_STAMPS = ("PhotosChangeTimestamp", "VideosChangeTimestamp", "DocumentsChangeTimestamp")


class Harvest:
    """A source with related sets, its sandbox and its output directory."""

    def __init__(self, sandbox: SandboxProcess, workplace: Workplace, source: str, related: Sequence[str]) -> None:
        self.sandbox, self.workplace, self.source = sandbox, workplace, source
        self.parent = "listings" if source == "spark" else "Property"
        self.settings = [
            f'sources.{source}.resources=["{self.parent}"]',
            f"sources.{source}.related={json.dumps(list(related))}",
        ]

    def run(self, *options: str) -> list[str]:
        """Harvest; the paths it asked for, without keys."""
        before = len(self.sandbox.log(self.source))
        sets = [word for setting in self.settings for word in ("--set", setting)]
        done = self.workplace.run("run", "-c", str(self.sandbox.config), "--source", self.source, *sets, *options)
        assert done.returncode == 0, done.stdout + done.stderr
        return [_KEY.sub("K", str(entry["path"])) for entry in self.sandbox.log(self.source)[before:]]

    def mutate(self, count: int) -> None:
        url = f"{self.sandbox.url}/_sandbox/mutate?count={count}&provider={self.source}"
        with urlopen(Request(url, method="POST")) as answer:  # noqa: S310 - loopback
            answer.read()

    def view(self, resource: str) -> set[bytes]:
        done = self.workplace.run("view", resource, "--source", self.source)
        assert done.returncode == 0, done.stderr
        return set(done.stdout.encode().split(b"\n")[:-1])

    def truth(self, resource: str) -> set[bytes]:
        return set(self.sandbox.truth(self.source, resource))

    def listings(self) -> dict[str, dict[str, Any]]:
        """The provider's listings by key."""
        records = (json.loads(line) for line in self.truth(self.parent))
        fields = (record.get("StandardFields", record) for record in records)
        return {each["ListingKey"]: each for each in fields}


@pytest.fixture
def started(tmp_path: Path) -> Iterator[tuple[SandboxProcess, Workplace]]:
    sandbox = serve(tmp_path, "--time-scale", "3600", "--records", "120")
    yield sandbox, Workplace(tmp_path)
    end(sandbox)


def test_media_is_asked_for_only_where_its_stamps_have_moved_and_is_replaced_as_a_set(
    started: tuple[SandboxProcess, Workplace],
) -> None:
    """One request a listing whose photos, videos or documents changed; none for the others. What went has gone."""
    harvest = Harvest(*started, "spark_reso", ["Media"])
    harvest.run()
    first, before = harvest.truth("Media"), harvest.listings()
    assert harvest.view("Media") == first
    harvest.mutate(60)
    truth, now = harvest.truth("Media"), harvest.listings()
    moved = {key for key in now if any(before.get(key, {}).get(name) != now[key][name] for name in _STAMPS)}
    changed = {
        key for key in now if before.get(key, {}).get("ModificationTimestamp") != now[key]["ModificationTimestamp"]
    }
    assert changed > moved, "some listings changed and their media did not"
    removed = {line for line in first - truth if json.loads(line)["ResourceRecordKey"] in now}
    assert removed, "no photo of a listing that lives has gone"
    asked = harvest.run()
    assert len([path for path in asked if "Media" in path]) == len(moved)
    view = harvest.view("Media")
    assert truth <= view
    assert not removed & view
    assert not [path for path in harvest.run() if "Media" in path]
    done = harvest.workplace.run("verify", "out")
    assert done.returncode == 0, done.stdout


def test_sets_that_come_inside_a_listing_cost_one_request_for_all_of_them(
    started: tuple[SandboxProcess, Workplace],
) -> None:
    """Seven related resources of Spark, each committed by itself: as many requests as listings have changed."""
    harvest = Harvest(*started, "spark", ["all"])
    before = harvest.listings()
    assert len([path for path in harvest.run() if "/listings/K" in path]) == len(before)
    harvest.mutate(20)
    now = harvest.listings()
    changed = {
        key for key in now if before.get(key, {}).get("ModificationTimestamp") != now[key]["ModificationTimestamp"]
    }
    assert len([path for path in harvest.run() if "/listings/K" in path]) == len(changed) > 0
    assert harvest.truth("listings/photos") <= harvest.view("listings/photos")
    assert not [path for path in harvest.run() if "/listings/K" in path]


def test_words_that_name_nothing_related_are_refused(started: tuple[SandboxProcess, Workplace]) -> None:
    sandbox, workplace = started
    for source, word, told in (
        ("spark_reso", "Medea", 'did you mean "Media"'),
        ("centris", "Media", "ask for them with expand"),
        ("spark", "photo", "listings/photos"),
    ):
        done = workplace.run(
            "run", "-c", str(sandbox.config), "--source", source, "--set", f'sources.{source}.related=["{word}"]'
        )
        assert done.returncode == 78
        assert told in done.stderr
