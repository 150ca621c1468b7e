"""A configuration that no run could use is refused before anything is created or sent."""

from __future__ import annotations

import os
import re
from pathlib import Path

import msgspec
import pytest

import harvester
from harvester.errors import ConfigError
from harvester.sandbox.exchange import Sandbox

SOURCES = [
    ({"walk": "bogus"}, "sources.ims.walk"),
    ({"resource": (harvester.ResourceConfig(name="Office", walk="bogus"),)}, "sources.ims.resource[0].walk"),
    ({"access_key": harvester.Secret("canary")}, "sources.ims.access_key"),
    ({"token": "canary"}, "sources.ims.token"),
]


@pytest.mark.parametrize(("changes", "path"), SOURCES, ids=[path for _, path in SOURCES])
async def test_nothing_is_created_or_sent_for_a_setting_that_means_nothing(
    sandbox: Sandbox, config: harvester.Config, changes: dict[str, object], path: str
) -> None:
    """FAULTS E04: and no secret is shown."""
    section = msgspec.structs.replace(config.sources["ims"], **changes)
    with pytest.raises(ConfigError) as caught:
        await harvester.run(msgspec.structs.replace(config, sources={"ims": section}))
    assert caught.value.path == path
    assert "canary" not in str(caught.value)
    assert not os.path.exists(config.out)  # noqa: PTH110 - it is text
    assert sandbox.log.lines() == b""


@pytest.mark.parametrize(
    ("keys", "path"),
    [("", "sources.north.token"), ('client_id = "a"\nclient_secret = "b"\n', "sources.north.token_url")],
)
async def test_a_missing_way_to_a_token_is_told_by_the_whole_path_of_its_key(
    tmp_path: Path, keys: str, path: str
) -> None:
    text = f'[sources.north]\nprovider = "odata"\nbase_url = "https://x.example/o"\nresources = ["Property"]\n{keys}'
    with pytest.raises(ConfigError, match=rf"^{re.escape(path)}: ") as caught:
        await harvester.run(harvester.parse_config(text, overrides=[f"out={tmp_path / 'out'}"]))
    assert caught.value.path == path
    assert not (tmp_path / "out").exists()
