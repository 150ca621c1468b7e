"""The access tokens both Spark simulators know, and what each may do.

Source: Spark API contract, sections 2 and 7. Tokens do not expire by themselves; the expired one stands for a grant
of another kind.
"""

from __future__ import annotations

from collections.abc import Mapping

from msgspec import Struct

from harvester.sandbox.holders import number_of, numbered
from harvester.sandbox.simulator import Ask
from harvester.sandbox.spark_shapes import Failure


class SparkKey(Struct, frozen=True, kw_only=True):
    """One access token."""

    name: str
    token: str
    replication: bool = False  # the replication grant: pages of up to 1000
    refused: int | None = None  # code every request with it gets; None: it is good


KEYS: Mapping[str, SparkKey] = {
    key.name: key
    for key in (
        SparkKey(name="replication", token="sandbox-spark-replication", replication=True),
        SparkKey(name="idx", token="sandbox-spark-idx"),
        SparkKey(name="disabled", token="sandbox-spark-disabled", refused=1010),
        SparkKey(name="expired", token="sandbox-spark-expired", refused=1020),
    )
}
_BY_TOKEN = {key.token: key for key in KEYS.values()}


def _key_of(token: str) -> SparkKey | None:
    """The key of a token. Of the replication key there are several, each with a quota of its own."""
    number = number_of(token, KEYS["replication"].token)
    if number is None or number == 1:
        return _BY_TOKEN.get(token)
    return SparkKey(name=numbered("replication", number), token=token, replication=True)


def holder_of(ask: Ask) -> int | None:
    """Which of the replication keys *ask* was made with; None: with none of them."""
    return number_of(ask.headers.get("authorization", "").partition(" ")[2].strip(), KEYS["replication"].token)


def read_key(headers: Mapping[str, str], *, wrong_host: bool, user_agent: bool) -> SparkKey:
    """The key of a request; the vendor's own client writes the scheme as ``OAuth``.

    Raises:
        Failure: 1000 without a known token, 1010 or 1020 for a refused one, 1021 for a replication key on a host
            that is not for replication, 1016 without the user agent header where that is demanded.
    """
    scheme, _, token = headers.get("authorization", "").partition(" ")
    key = _key_of(token.strip()) if scheme.lower() in ("bearer", "oauth") else None
    if key is None:
        raise Failure(1000)
    if key.refused is not None:
        raise Failure(key.refused)
    if wrong_host and key.replication:
        raise Failure(1021)
    if user_agent and not headers.get("x-sparkapi-user-agent"):
        raise Failure(1016)
    return key
