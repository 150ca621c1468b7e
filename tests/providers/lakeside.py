"""Lakeside MLS: a toy provider, to show that one file is the whole change."""

from harvester.auth.bearer import Bearer
from harvester.decode.envelopes import ODataEnvelope
from harvester.decode.verdicts import judge_http
from harvester.governor.signals import standard_signal
from harvester.model import Budget, Resource, Window
from harvester.pagers.chain import ChainPager
from harvester.provider import Provider

PROVIDER = Provider(
    name="lakeside",
    title="Lakeside MLS",
    base_url="https://api.lakeside.example/odata",
    auth=Bearer(),
    resources=(Resource(name="Property", key=("ListingKey",), modified="ModificationTimestamp"),),
    pagers={"chain": ChainPager(page_size=1000, page_size_parameter="$top")},
    full="chain",
    envelope=ODataEnvelope(),
    judge=judge_http,
    signals=standard_signal,
    budget=Budget(windows=(Window(requests=5000, seconds=3600),), in_flight=4),
    source="Lakeside developer guide, section Limits",
)
