"""Embedding: a program harvests, or takes the records itself and says when they are safe."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import msgspec
import pytest

import harvester
from harvester.errors import ArgumentError, Locked
from harvester.sandbox.exchange import Sandbox
from tests.typing.readme_example import harvest_all, load_listings


def truth(sandbox: Sandbox, provider: str, resource: str) -> list[bytes]:
    return sorted(sandbox.simulator(provider).truth(resource))


async def test_the_example_of_the_readme_loads_every_listing(
    sandbox: Sandbox, config: harvester.Config, tmp_path: Path
) -> None:
    into = tmp_path / "listings.ndjson"
    assert await load_listings(config, into) == 300
    assert sorted(into.read_bytes().splitlines()) == truth(sandbox, "centris", "Property")


async def test_run_is_the_same_as_the_command(sandbox: Sandbox, config: harvester.Config) -> None:
    assert await harvest_all(config)


async def test_a_report_names_each_resource(sandbox: Sandbox, config: harvester.Config) -> None:
    report = await harvester.run(config, sources=["ims"], resources=["Office"])
    assert [(row.source, row.resource, row.verdict) for row in report.resources] == [
        ("ims", "Database", "complete"),
        ("ims", "Office", "complete"),
    ]
    assert report.exit_status == 0


async def test_pages_that_were_not_committed_come_again(sandbox: Sandbox, config: harvester.Config) -> None:
    """The position moves with commit() and never without it."""
    small = harvester.Config(
        out=config.out,
        sources={"spark_reso": _smaller(config.sources["spark_reso"], 100)},
    )
    taken: list[bytes] = []
    async with harvester.open(small) as session:
        number = 0
        async for page in session.pages("spark_reso", "Property"):
            number += 1
            if number == 3:
                break  # as if the program had died with this page in hand
            taken += page.records
            await page.commit()
    again: list[bytes] = []
    async with harvester.open(small) as session:
        async for page in session.pages("spark_reso", "Property"):
            again += page.records
            await page.commit()
    assert len(taken) == 200
    assert sorted(taken + again) == truth(sandbox, "spark_reso", "Property")


async def test_committing_a_page_commits_those_before_it(sandbox: Sandbox, config: harvester.Config) -> None:
    small = harvester.Config(out=config.out, sources={"spark_reso": _smaller(config.sources["spark_reso"], 100)})
    async with harvester.open(small) as session:
        pages = [page async for page in session.pages("spark_reso", "Property") if page.records]
        await pages[1].commit()
        with pytest.raises(ArgumentError, match="committed already"):
            await pages[0].commit()
    async with harvester.open(small) as session:
        rest = [record async for page in session.pages("spark_reso", "Property") for record in page.records]
    assert len(rest) == 100


async def test_records_of_a_resource_per_value_carry_the_value(sandbox: Sandbox, config: harvester.Config) -> None:
    records = []
    async with harvester.open(config) as session:
        async for page in session.pages("ims", "Office"):
            records += page.records
            assert page.value is not None
            await page.commit()
    assert sorted(records) == truth(sandbox, "ims", "Office")


async def test_decode_gives_structs_or_names_what_does_not_fit(sandbox: Sandbox, config: harvester.Config) -> None:
    async with harvester.open(config) as session:
        async for page in session.pages("centris", "Office"):
            plain = page.decode(dict)
            assert [json.loads(record)["OfficeKey"] for record in page.records] == [row["OfficeKey"] for row in plain]


async def test_an_unknown_source_or_resource_is_named(sandbox: Sandbox, config: harvester.Config) -> None:
    async with harvester.open(config) as session:
        with pytest.raises(ArgumentError, match="there is no source"):
            session.pages("nowhere", "Property")
        with pytest.raises(ArgumentError, match="no resource"):
            session.pages("centris", "Nothing")


async def test_an_exception_of_the_program_comes_out_as_it_was_raised(
    sandbox: Sandbox, config: harvester.Config
) -> None:
    async def program() -> None:
        async with harvester.open(config) as session:
            async for _ in session.pages("spark", "listings"):
                raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        await program()


async def test_a_second_writer_is_refused(sandbox: Sandbox, config: harvester.Config) -> None:
    """FAULTS R09."""
    async with harvester.open(config):
        with pytest.raises(Locked):
            await harvester.run(config)


async def test_two_harvests_into_two_directories_run_side_by_side_in_one_loop(
    sandbox: Sandbox, config: harvester.Config, tmp_path: Path
) -> None:
    """No global state: one program, two harvests."""
    other = harvester.parse_config(sandbox.config_toml(), overrides=[f"out={tmp_path / 'other'}"])
    first, second = await asyncio.gather(
        harvester.run(config, sources=["centris"], resources=["Office"]),
        harvester.run(other, sources=["spark_reso"], resources=["Office"]),
    )
    assert first.complete
    assert second.complete


def _smaller(source: harvester.SourceConfig, size: int) -> harvester.SourceConfig:
    return msgspec.structs.replace(source, page_size=size)
