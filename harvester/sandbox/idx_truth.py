"""What a perfect replica of the simulated IDX Broker account holds, with the stamps of the on-disk format."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from harvester.sandbox.idx_account import Account
from harvester.sandbox.idx_answers import LINK_TAILS, Answers
from harvester.sandbox.idx_dictionaries import DEFAULT_LIST
from harvester.sandbox.idx_entries import Entry, encode
from harvester.sandbox.idx_methods import LISTING_DETAIL, METHODS, NEWEST, OLDEST, Method, Shape, Target, find
from harvester.sandbox.records import splice


def resources() -> Sequence[str]:
    """Every method, of any version, that can be read whole."""
    methods = (name for name, method in METHODS.items() if method.harvested)
    return (*methods, *(f"clients/savedlinks/{tail}" for tail in LINK_TAILS))


def truth(account: Account, answers: Answers, resource: str, *, version: str) -> Iterator[bytes]:
    """Records of a method, by its name; of one id with the id behind the name: ``clients/cities/lakefront``.

    A method that is asked once per id gives the records of all ids, each stamped with its id. Nothing lists
    the lists of zip codes, so that ``clients/zipcodes`` means the list every account has. The credentials in
    ``partners/clients`` are left out: no replica may hold them. *version* is the one a replica asks for.
    """
    stem, _, tail = resource.rpartition("/")
    if stem == "clients/savedlinks" and tail in LINK_TAILS:
        for link in account.rows(stem) or ():
            for record in _linked(answers, link.text("id"), tail):
                yield splice(record, "_savedlinkID", link.members["id"])
        return
    target = find(resource, NEWEST) or find(resource, LISTING_DETAIL) or find(resource, OLDEST)
    if target is None:
        raise KeyError(resource)
    method = target.method
    if method.name == "partners/clients":
        yield from (_without_key(client) for client in answers.rows(target, version))
        return
    if method.name == "clients/zipcodes" and not target.primary:
        target = Target(method=method, primary=DEFAULT_LIST)
    if method.stamp and not target.primary:
        for id_ in account.ids(method.id):
            for record in _records(method, account.rows(method.name, id_) or ()):
                yield splice(record, method.stamp, encode(id_))
    else:
        yield from _records(method, answers.rows(target, version))


def _linked(answers: Answers, link: str, tail: str) -> Iterator[bytes]:
    """Results or count of a saved link as a replica keeps them."""
    if tail == "count":
        yield b'{"value":%d}' % len(answers.behind(link))
    else:
        yield from _records(METHODS["clients/featured"], answers.behind(link))


def _records(method: Method, rows: Sequence[Entry]) -> Iterator[bytes]:
    """*rows* as a replica keeps them: with the stamp of the key or scalar they would otherwise lose."""
    for each in rows:
        if method.shape in (Shape.SCALAR, Shape.SINGLE):
            yield b'{"value":' + each.members["value"] + b"}"
        elif method.shape is Shape.KEYED:
            yield splice(each.body(), "_key", encode(each.key))
        else:
            yield each.body()


def _without_key(client: Entry) -> bytes:
    """A partner's client without its API key: credentials are no data (contract, section 9)."""
    return client.body([name for name in client.members if name != "apiKey"])
