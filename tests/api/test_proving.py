"""Proofs and sweeps as a program asks for them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from msgspec import structs

import harvester
from harvester.errors import ArgumentError


def manifests(config: harvester.Config, resource: str) -> list[dict[str, object]]:
    found = Path(config.out).glob(f"source=*/resource={resource}/run=*/_manifest.json")
    return [json.loads(path.read_bytes()) for path in sorted(found)]


async def test_a_proof_reads_everything_also_where_a_delta_would_do(config: harvester.Config) -> None:
    """What is proven is a whole, not what changed."""
    await harvester.run(config, sources=["centris"], resources=["Office"])
    again = await harvester.run(config, sources=["centris"], resources=["Office"])
    assert again.resources[0].mode == "delta"
    config = structs.replace(config, prove=True)
    report = await harvester.run(config, sources=["centris"], resources=["Office"])
    assert (report.resources[0].mode, report.complete) == ("full", True)
    sweep = manifests(config, "Office")[-1]["sweep"]
    assert isinstance(sweep, dict)
    assert sweep["proven"]


@pytest.mark.parametrize("mode", ["delta", "sweep"])
async def test_only_a_full_harvest_is_proven(config: harvester.Config, mode: str) -> None:
    with pytest.raises(ArgumentError, match="only a full harvest can be proven"):
        await harvester.run(config, mode=mode, prove=True)


async def test_a_configured_proof_does_not_turn_a_delta_that_is_asked_for_into_a_full_harvest(
    config: harvester.Config,
) -> None:
    config = structs.replace(config, prove=True)
    await harvester.run(config, sources=["centris"], resources=["Office"])
    report = await harvester.run(config, mode="delta", sources=["centris"], resources=["Office"])
    assert (report.resources[0].mode, report.complete) == ("delta", True)
