"""A program that leaves a stream early leaves nothing open behind it."""

from __future__ import annotations

import gc

import pytest

import harvester


async def test_the_end_of_a_session_closes_what_it_has_opened(
    config: harvester.Config, recwarn: pytest.WarningsRecorder
) -> None:
    async def program() -> None:
        async with harvester.open(config) as session:
            async for _page in session.pages("spark_reso", "Property"):
                break

    await program()
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []
