"""A configuration that no run could use is refused before anything is created or sent."""

from __future__ import annotations

import os

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
