"""The data model of an OData service: one document at ``$metadata``, XML or JSON by what the service offers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harvester.contracts import Judge
from harvester.data_model import DataModel
from harvester.decode.csdl_json import read_csdl_json
from harvester.decode.csdl_xml import read_csdl_xml
from harvester.decode.verdicts import looks_like_html
from harvester.model import Action, PageRequest, Response, Verdict

PATH = "$metadata"


@dataclass(frozen=True, kw_only=True)
class ODataMetadata:
    """*query* and *accept* ask for the form that is wanted; what comes is read as what it is."""

    query: str = ""  # ``$format=application/json``
    accept: str = "application/xml"  # services may refuse to give their metadata as the JSON of everything else

    def requests(self) -> Sequence[PageRequest]:
        url = f"{PATH}?{self.query}" if self.query else PATH
        return (PageRequest(url=url, headers=(("Accept", self.accept),)),)

    def judge(self, response: Response, otherwise: Judge) -> Verdict:
        """XML is what was asked for here, and nowhere else."""
        at_metadata = response.url.partition("?")[0].endswith(f"/{PATH}")
        if at_metadata and 200 <= response.status < 300 and _is_xml(response):
            return Verdict(action=Action.USE)
        return otherwise(response)

    def read(self, answers: Sequence[Response]) -> DataModel:
        return read_document(answers[0].body)


def read_document(body: bytes) -> DataModel:
    """The data model in *body*, whichever of the two forms it has. Raises ``ProtocolError``."""
    if body[:64].lstrip(b"\xef\xbb\xbf \t\r\n").startswith(b"{"):
        return read_csdl_json(body)
    return read_csdl_xml(body)


def _is_xml(response: Response) -> bool:
    """By content type, or by how the body begins; a page for people is told by its own tag."""
    if looks_like_html(response):
        return False
    start = response.body[:64].lstrip(b"\xef\xbb\xbf \t\r\n")
    return start.startswith(b"<")
