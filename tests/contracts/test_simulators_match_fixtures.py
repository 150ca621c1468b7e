"""The simulators answer in the shapes of the fixtures: envelope members, kinds of values, header names and formats.

Client and simulator share no code, so each could be wrong in its own way. Both are held to the same files here.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlencode

import pytest

from harvester.sandbox.exchange import Reply, Sandbox
from harvester.sandbox.registry import client_source
from harvester.sandbox.settings import Settings
from tests.contracts.fixture_files import PROVIDERS, ROOT, Fixture, declared, fixtures, resource_of
from tests.fakes.clock import FakeClock

ORIGIN = "https://sandbox.example.com"
ALL = {fixture.label: fixture for fixture in fixtures()}
BY_NAME = {name: declared(name) for name in PROVIDERS}

# Told by the server in front, or of no meaning to the client.
UNCOMPARED = {"date", "content-type", "x-request-id", "odata-version", "content-language"}
QUOTA_HEADERS = {
    *("x-rate-limit-limit", "x-rate-limit-remaining", "x-rate-limit-reset"),
    *("retry-after", "hourly-access-key-usage"),
}


class Visitor:
    """Asks a sandbox of its own, with the credentials it hands out."""

    def __init__(self, provider: str, **options: object) -> None:
        self.provider = provider
        self.version = str(options.get("version", "1.0.4"))  # of IDX Broker
        self.clock = FakeClock()
        self.sandbox = Sandbox(Settings(records=120, clock=self.clock, options={provider: options} if options else {}))
        config = client_source(self.sandbox.simulator(provider), f"{ORIGIN}/{provider}", f"{ORIGIN}/{provider}")
        self.config = {name: str(value) for name, value in config.items()}
        self.headers: dict[str, str] = {}

    async def get(self, target: str, headers: dict[str, str] | None = None) -> Reply:
        """*target* is below the simulator's root, not encoded."""
        if not self.headers:
            self.headers = await self._credentials()
        return await self.sandbox.exchange(
            method="GET",
            origin=ORIGIN,
            target=f"/{self.provider}/{quote(target, safe='/?&=$%+:~-._')}",
            headers=self.headers if headers is None else headers,
        )

    async def token(self, secret: str | None = None) -> Reply:
        form = {
            "client_id": self.config["client_id"],
            "client_secret": secret or self.config["client_secret"],
            "grant_type": "client_credentials",
            "scope": "api",
        }
        return await self.sandbox.exchange(
            method="POST",
            origin=ORIGIN,
            target=self.config["token_url"].removeprefix(ORIGIN),
            headers={"content-type": "application/x-www-form-urlencoded"},
            body=urlencode(form).encode(),
            identity=self.provider == "centris",
        )

    async def _credentials(self) -> dict[str, str]:
        fixed = {name.lower(): value for name, value in BY_NAME[self.provider].headers}
        if "access_key" in self.config:
            return {**fixed, "apiversion": self.version, "accesskey": self.config["access_key"]}
        token = self.config.get("token") or json.loads((await self.token()).body)["access_token"]
        return {**fixed, "authorization": f"Bearer {token}"}


# ------------------------------------------------------------------ what is compared


def kind(value: Any) -> str:
    """The JSON kind of *value*; of a list also what its items are."""
    if isinstance(value, list):
        return "list of " + "/".join(sorted({kind(item).split(" ")[0] for item in value}) or ["nothing"])
    names = {dict: "object", str: "string", bool: "boolean", int: "number", float: "number", type(None): "null"}
    return names[type(value)]


def outline(body: bytes, provider: str) -> Any:
    """The envelope: member names with kinds, descending into ``D``, ``Pagination`` and ``error`` only."""
    if not body:
        return "nothing"
    value = json.loads(body)
    if provider == "idx_broker":
        return _idx_outline(value)
    return _members(value)


def _members(value: Any) -> Any:
    if not isinstance(value, dict):
        return kind(value)
    return {
        name: _members(child) if name in {"D", "Pagination", "error"} else kind(child) for name, child in value.items()
    }


def _idx_outline(value: Any) -> Any:
    """The shape class of contract section 6."""
    if isinstance(value, dict) and value and all(isinstance(child, dict) for child in value.values()):
        return "object by id"
    if isinstance(value, dict) and "data" in value:
        return {name: kind(child) for name, child in value.items()}
    if isinstance(value, dict) and any(isinstance(child, str | int) for child in value.values()):
        return "one record"
    return _members(value)


def same(simulated: Any, recorded: Any) -> bool:
    """Equal, where null stands for any kind, and a list of nothing for any list."""
    if isinstance(simulated, dict) and isinstance(recorded, dict):
        return simulated.keys() == recorded.keys() and all(same(simulated[name], recorded[name]) for name in recorded)
    if simulated == recorded or "null" in (simulated, recorded):
        return True
    texts = isinstance(simulated, str) and isinstance(recorded, str)
    return texts and "list of nothing" in (simulated, recorded) and simulated[:4] == recorded[:4]


def pattern(text: str) -> str:
    """The format of a header or a timestamp: digits become 9, as many as there are behind a dot, else one."""
    return re.sub(r"(?<!\.)(?<!9)\d+", "9", re.sub(r"\.(\d+)", lambda found: "." + "9" * len(found[1]), text))


def headers_of(fields: tuple[tuple[str, str], ...]) -> dict[str, str]:
    return {name.lower(): value for name, value in fields if name.lower() not in UNCOMPARED}


# ------------------------------------------------------------------ which answer belongs to which fixture


@dataclass(frozen=True)
class Case:
    """A fixture and the request that makes the simulator give the like."""

    label: str
    target: str = ""
    options: dict[str, object] = field(default_factory=dict)
    headers: dict[str, str] | None = None  # instead of the credentials
    before: int = 0  # requests made first, to use the allowance up
    ask: Callable[[Visitor], Any] | None = None  # instead of a GET

    def __str__(self) -> str:
        return self.label


async def _end_of_chain(visitor: Visitor) -> Reply:
    reply = await visitor.get("v1/listings?_limit=1000&_skiptoken=")
    while True:
        answer = json.loads(reply.body)["D"]
        if not answer["Results"]:
            return reply
        reply = await visitor.get(f"v1/listings?_limit=1000&_skiptoken={answer['SkipToken']}")


ODATA = "Reso/OData"

CASES = [
    # IMS
    Case("ims/Database/first", "v1/Database?$orderby=MLSID asc&$top=5"),
    Case("ims/Database/empty", "v1/Database?$skip=1000"),
    *(
        Case(f"ims/{name}/first", f"v1/{name}?$filter=OriginatingSystemName eq '@db'&$top=5")
        for name in ("Property", "Member", "Office")
    ),
    Case("ims/Property/empty", "v1/Property?$filter=OriginatingSystemName eq '@db'&$skip=100000"),
    Case("ims/token/granted", ask=lambda visitor: visitor.token()),
    Case("ims/token/refused", ask=lambda visitor: visitor.token("wrong")),
    Case("ims/errors/unscoped", "v1/Property?$top=1"),
    Case("ims/errors/unknown_column", "v1/Property?$filter=OriginatingSystemName eq '@db'&$select=X"),
    Case("ims/errors/top_too_large", "v1/Property?$filter=OriginatingSystemName eq '@db'&$top=5001"),
    Case("ims/errors/token_missing", "v1/Database", headers={}),
    Case("ims/errors/wrong_path", "v1/Listing"),
    Case(
        "ims/errors/rate_limited",
        "v1/Database",
        {"requests_per_hour": 3, "retry_after_header": False},
        before=3,
    ),
    Case("ims/errors/rate_limited_header", "v1/Database", {"requests_per_hour": 3}, before=3),
    # Centris
    Case("centris/Property/first", "v1/odata/Property?$count=true", {"page_size": 4}),
    Case("centris/Property/empty", "v1/odata/Property?$filter=ModificationTimestamp gt 2999-01-01T00:00:00Z"),
    Case("centris/Member/first", "v1/odata/Member?$filter=ModificationTimestamp gt 2025-12-01T00:00:00Z"),
    Case("centris/token/granted", ask=lambda visitor: visitor.token()),
    Case("centris/token/refused", ask=lambda visitor: visitor.token("wrong")),
    Case("centris/errors/quota", "v1/odata/Property?$top=1", {"per_minute": 2}, before=2),
    Case("centris/errors/not_filterable", "v1/odata/Property?$filter=ListPrice gt 5"),
    Case("centris/errors/no_entitlement", "v1/odata/Association"),
    # IDX Broker
    Case("idx_broker/clients.featured/paged_keyed", "clients/featured", {"version": "1.8.0", "page_rows": 2}),
    Case(
        "idx_broker/leads.lead/paged_first",
        "leads/lead?interval=168",
        {"version": "1.8.0", "page_rows": 1},
    ),
    Case("idx_broker/errors/hourly_limit", "clients/featured", {"per_hour": 2}, before=2),
    Case("idx_broker/errors/no_key", "clients/featured", headers={"outputtype": "json"}),
    Case("idx_broker/errors/key_revoked", "clients/featured", headers={"accesskey": "revoked"}),
    Case("idx_broker/errors/wrong_component", "agents/featured"),
    Case("idx_broker/errors/wrong_method", "clients/nothing"),
    Case("idx_broker/errors/bad_parameter", "mls/cities/z999"),
    Case("idx_broker/errors/other_version", "clients/featured?offset=9999", {"retired": ["1.0.4"]}),
    # Spark
    Case("spark/listings/first", "v1/listings?_limit=5&_skiptoken="),
    Case("spark/listings/last", "v1/listings?_limit=1000&_skiptoken=", {"end": "missing"}),
    Case("spark/listings/empty_with_token", ask=_end_of_chain),
    Case("spark/listings/paged", "v1/listings?_limit=5&_pagination=1&_page=1"),
    Case("spark/listings/offset", "v1/listings?_limit=5&_pagination=1&_skip=5"),
    Case("spark/listings/count", "v1/listings?_pagination=count"),
    Case("spark/accounts/first", "v1/accounts?_limit=5&_skiptoken="),
    Case("spark/contacts/first", "v1/contacts?_limit=2&_skiptoken="),
    Case("spark/errors/invalid_key", "v1/listings", headers={"authorization": "Bearer nobody"}),
    Case("spark/errors/expired", "v1/listings", headers={"authorization": "Bearer sandbox-spark-expired"}),
    Case("spark/errors/key_disabled", "v1/listings", headers={"authorization": "Bearer sandbox-spark-disabled"}),
    Case("spark/errors/wrong_host", "v1/listings", {"wrong_host": True}),
    Case("spark/errors/bad_parameter", "v1/listings?_skiptoken=&_orderby=%2BListPrice"),
    Case("spark/errors/throttled", "v1/listings", {"per_second": 1}, before=1),
    Case("spark/errors/throttled_wait", "v1/listings", {"per_second": 1, "retry_after": True}, before=1),
    Case("spark/errors/throttled_old", "v1/listings", {"per_second": 1, "throttle_status": 503}, before=1),
    Case("spark/errors/too_large", "v1/listings?_limit=100&_skiptoken=", {"heavy": 50}),
    Case("spark/errors/failed_with_200", "v1/listings", {"per_second": 1, "errors_with_200": True}, before=1),
    # Spark RESO
    *(
        Case(f"spark_reso/{name}/first", f"{ODATA}/{name}?$count=true&$top=2")
        for name in ("Property", "Member", "Office", "Media", "Room", "Unit", "OpenHouse")
    ),
    Case("spark_reso/Property/last", f"{ODATA}/Property?$top=1000"),
    Case("spark_reso/errors/invalid_key", f"{ODATA}/Property", headers={"authorization": "Bearer nobody"}),
    Case("spark_reso/errors/wrong_host", f"{ODATA}/Property", {"wrong_host": True}),
    Case("spark_reso/errors/wrong_host_d", f"{ODATA}/Property", {"wrong_host": True, "errors": "D"}),
    Case("spark_reso/errors/forbidden_parameter", f"{ODATA}/Property?$orderby=ListPrice"),
    Case("spark_reso/errors/throttled", f"{ODATA}/Property", {"per_second": 1, "retry_after": True}, before=1),
    Case(
        "spark_reso/errors/throttled_old",
        f"{ODATA}/Property",
        {"per_second": 1, "throttle_status": 503, "errors": "D"},
        before=1,
    ),
]


async def _reply(case: Case) -> Reply:
    visitor = Visitor(case.label.split("/")[0], **case.options)
    if case.ask is not None:
        found: Reply = await case.ask(visitor)
        return found
    target = case.target
    if "@db" in target:
        databases = json.loads((await visitor.get("v1/Database")).body)["value"]
        target = target.replace("@db", databases[0]["OriginatingSystemName"])
    for _ in range(case.before):
        await visitor.get(target)
    return await visitor.get(target, case.headers)


@pytest.mark.parametrize("case", CASES, ids=str)
async def test_the_simulator_answers_in_the_shape_of_the_fixture(case: Case) -> None:
    fixture = ALL[case.label]
    reply = await _reply(case)
    recorded = fixture.response()
    assert reply.status == recorded.status
    assert same(outline(reply.body, fixture.provider), outline(fixture.body, fixture.provider)), (
        outline(reply.body, fixture.provider),
        outline(fixture.body, fixture.provider),
    )
    if fixture.told is not None:
        simulated, told = headers_of(reply.headers), headers_of(fixture.told.headers)
        assert {name for name in told if name != "www-authenticate"} <= simulated.keys()
        for name in told.keys() & QUOTA_HEADERS:
            assert pattern(simulated[name]) == pattern(told[name])
        if recorded.status in {200, 204, 412, 429}:  # of other answers the contracts say nothing about headers
            assert not (simulated.keys() - told.keys()) & QUOTA_HEADERS, "the contract names no such header here"


@pytest.mark.parametrize("case", [case for case in CASES if case.label.endswith("/first")], ids=str)
async def test_keys_and_timestamps_have_the_kind_and_format_of_the_fixture(case: Case) -> None:
    """26 digits stay text, zoneless stays zoneless: each format the simulator writes is one a fixture shows."""
    fixture = ALL[case.label]
    provider = BY_NAME[fixture.provider]
    resource = resource_of(provider, fixture.folder)
    simulated, recorded = _records((await _reply(case)).body), _recorded(fixture)
    assert simulated
    for name in resource.key:
        assert {kind(_dig(record, name)) for record in simulated} <= {kind(_dig(record, name)) for record in recorded}
    if resource.modified:
        shown = {_zone(_dig(record, resource.modified)) for record in recorded}
        assert {_zone(_dig(record, resource.modified)) for record in simulated} <= shown


IDX_FOLDERS = [resource for resource in BY_NAME["idx_broker"].resources if resource.default]


@pytest.mark.parametrize("resource", IDX_FOLDERS, ids=lambda resource: resource.name)
async def test_every_idx_broker_method_has_a_shape_of_its_fixtures(resource: Any) -> None:
    """Shapes are decided per method: keyed, list, paged, wrapper, single record, value, or nothing at all."""
    shapes = [
        outline(fixture.body, "idx_broker")
        for fixture in fixtures("idx_broker")
        if fixture.folder == resource.dirname and fixture.body
    ]
    ids = {"_idxID": "a001", "_listID": "combinedActiveMLS", "_leadID": "5001"}
    path = (resource.path or resource.name).format(value=ids[resource.per_value.stamp] if resource.per_value else "")
    window = "?interval=168" if resource.walk == "windows" else ""
    reply = await Visitor("idx_broker").get(path + window)
    assert reply.status in {200, 204}
    if reply.body:
        found = outline(reply.body, "idx_broker")
        assert any(same(found, shape) for shape in shapes), (found, shapes)


@pytest.mark.parametrize(
    ("provider", "target"), [("centris", "v1/odata/$metadata"), ("spark_reso", "Reso/OData/$metadata")]
)
async def test_metadata_is_xml_of_the_same_vocabulary(provider: str, target: str) -> None:
    reply = await Visitor(provider).get(target)
    body, recorded = reply.body.decode(), (ROOT / provider / "$metadata" / "metadata.xml").read_text()
    assert "xml" in dict(reply.headers)["Content-Type"]
    for piece in ("<edmx:Edmx", "<edmx:DataServices", "<Schema ", "<EntityType ", "<PropertyRef ", "<EntitySet "):
        assert piece in body
        assert piece in recorded
    namespaces = re.findall(r'xmlns(?::\w+)?="([^"]+)"', recorded)
    assert all(namespace in body for namespace in namespaces)
    for name in ("Property", "Member", "Office"):
        assert f'<EntitySet Name="{name}"' in body


async def test_centris_metadata_also_comes_as_json() -> None:
    reply = await Visitor("centris").get("v1/odata/$metadata?$format=application/json")
    recorded = json.loads((ROOT / "centris" / "$metadata" / "metadata.json").read_text())
    simulated = json.loads(reply.body)
    assert simulated["$Version"] == recorded["$Version"]
    assert "$EntityContainer" in simulated
    schema = simulated[simulated["$EntityContainer"].rpartition(".")[0]]
    assert schema["Property"]["$Key"] == ["ListingKey"]


async def test_idx_broker_gives_xml_when_no_header_asks_for_json() -> None:
    visitor = Visitor("idx_broker")
    reply = await visitor.get("mls/approvedmls", {"accesskey": visitor.config["access_key"]})
    assert reply.body.startswith(b"<?xml")
    assert dict(reply.headers)["Content-Type"] == "application/xml"


def _records(body: bytes) -> list[dict[str, Any]]:
    value = json.loads(body)
    for name in ("value", "D", "Results"):
        value = value.get(name, value) if isinstance(value, dict) else value
    assert isinstance(value, list)
    return value


def _recorded(fixture: Fixture) -> list[dict[str, Any]]:
    same_folder = [each for each in ALL.values() if each.provider == fixture.provider and each.folder == fixture.folder]
    wanted = {"first", "last", "topped"}
    return [record for each in same_folder if each.stem in wanted for record in _records(each.body)]


def _dig(record: Any, name: str) -> Any:
    for step in name.split("."):
        record = record[step]
    return record


def _zone(text: Any) -> str:
    """The format of a timestamp without its fraction: fractions of every length occur."""
    return "null" if text is None else re.sub(r"\d", "9", re.sub(r"\.\d+", "", str(text)))
