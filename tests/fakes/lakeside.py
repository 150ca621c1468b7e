"""Lakeside MLS, a provider nobody has: RESO Web API, token-chained pages. The whole cost of a new provider."""

from __future__ import annotations

from harvester.auth.bearer import Bearer
from harvester.decode.envelopes import ODataEnvelope
from harvester.decode.verdicts import judge_http
from harvester.governor.signals import any_signal
from harvester.model import Budget, PerValue, Resource, Window
from harvester.pagers.chain import ChainPager
from harvester.provider import Provider

PROVIDER = Provider(
    name="lakeside",
    title="Lakeside MLS",
    base_url="https://api.lakeside.example/odata",
    auth=Bearer(secret="token"),
    resources=(
        Resource(name="Property", key=("ListingKey",), modified="ModificationTimestamp"),
        Resource(name="Office", key=("OfficeKey",)),
        Resource(
            name="Agent",
            path="Office('{value}')/Agent",
            key=("AgentKey",),
            per_value=PerValue(resource="Office", member="OfficeKey", stamp="_OfficeKey"),
        ),
    ),
    pagers={"chain": ChainPager(page_size=100, page_size_parameter="$top")},
    full="chain",
    closing="chain",
    envelope=ODataEnvelope(),
    judge=judge_http,
    signals=any_signal,
    budget=Budget(windows=(Window(seconds=1, requests=50),), in_flight=4),
    source="invented for the tests",
)
