"""From what is known of a server to the walk that cannot lose rows there, in one sentence. Pure.

The order of preference is that of safety, then of speed. Windows of time are as safe as the keyset they are read by: a
row leaves one only by changing, and the closing delta has it; and a server that does not keep to them is seen, and read
by another walk. A serial chain of links that hold an offset loses rows (one that leaves an earlier page takes another
across the boundary), so it is chosen only where nothing else is left, and never without saying that its run has to be
proved.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from msgspec import Struct

from harvester.model import Budget, Resource
from harvester.planning.lanes import useful_lanes
from harvester.planning.link_forms import LinkForm
from harvester.planning.profile import Count, Heard, Profile
from harvester.provider import Provider

# Walks by the names that providers give them.
CHAIN, OFFSET, KEYSET, WINDOWS = "chain", "offset", "keyset", "windows"
PROVE = "run with --prove"
_SLOW = 2.0  # requests a second; a quota below that, not latency, decides how long a harvest takes
_PAGES = 40  # of one walk; fewer are read as soon as windows of time are cut and their ends are proved
_SHIFTING = frozenset({LinkForm.OFFSET, LinkForm.PAGE})


class Strategy(Struct, frozen=True, kw_only=True):
    """How a resource is to be read."""

    walk: str  # name of the pager
    reason: str  # one sentence
    closing: str | None  # pager that reads what changed meanwhile; None: it cannot be asked for
    doubt: str = ""  # why a run that meets no failure may still miss something; "" when it may not
    doubts: Mapping[str, str] = {}  # the same of walks that may take its place, by name
    gap: str = ""  # why the walk cannot reach everything, whatever is proved by it; "" when it can
    page_size: int | None = None  # to ask for; None: the pager's own
    dated: bool = True  # False: records have no modification time, whatever they are said to have
    counted: bool = True  # False: the server's count is absent or wrong, so it says nothing about what was read


def choose_strategy(provider: Provider, resource: Resource, profile: Profile, budget: Budget) -> Strategy:
    """The walk for *resource*, found to be as *profile* says, of those that *provider* has.

    Args:
        budget: of the source; decides between the fewest requests and the most at once.
    """
    default = resource.walk or provider.full
    if provider.questions is None or not resource.key:
        reason = "its contract fixes it" if provider.questions is None else "records without a key cannot be told apart"
        return Strategy(walk=default, reason=f"{reason}; this is the provider's own way", closing=provider.closing)
    walk, reason = _walk(provider.pagers, profile, budget, default)
    return _strategy(provider, profile, walk, reason)


def kept_strategy(provider: Provider, resource: Resource, profile: Profile, walk: str) -> Strategy:
    """The *walk* that the configuration names, with what speaks against it."""
    reason = "the configuration names it"
    if provider.questions is None or not resource.key:
        return Strategy(walk=walk, reason=reason, closing=provider.closing)
    return _strategy(provider, profile, walk, reason)


def _strategy(provider: Provider, profile: Profile, walk: str, reason: str) -> Strategy:
    closing, unasked = _closing(provider, profile, walk)
    doubts = [doubt for doubt in (_doubt(profile, walk), unasked) if doubt]
    instead = _doubt(profile, CHAIN) or _gap(profile, CHAIN) if walk != CHAIN else ""
    return Strategy(
        walk=walk,
        reason=reason,
        closing=closing,
        doubt="; ".join((*doubts, PROVE)) if doubts else "",
        doubts={CHAIN: f"{instead}; {PROVE}"} if instead else {},
        gap=_gap(profile, walk),
        page_size=_page_size(profile, walk),
        dated=profile.dated,
        counted=profile.count not in {Count.WRONG, Count.ABSENT, Count.REFUSED},
    )


def _doubt(profile: Profile, walk: str) -> str:
    """What a chain does not see; the other walks see for themselves when a server does not do as they ask."""
    if walk != CHAIN or not profile.rows or not profile.usable:
        return ""
    if profile.link in _SHIFTING:
        return f"next links hold {_held(profile)}, so rows that shift while it is read are not seen"
    if profile.link is LinkForm.NONE:
        return "no next link leads to the other records"
    if profile.link is not LinkForm.UNKNOWN and (profile.steady is False or profile.link_leads_on is False):
        return "the order of records is not steady" if profile.steady is False else "its links do not lead on"
    return ""


def _gap(profile: Profile, walk: str) -> str:
    """A listing of keys goes by the same links, so it cannot prove what they do not lead to (FAULTS P06)."""
    if walk != CHAIN or profile.link is not LinkForm.NONE or not profile.beyond:
        return ""
    return f"the server gives {profile.rows:,} records and no way to the others that were seen"


def _walk(available: Collection[str], profile: Profile, budget: Budget, default: str) -> tuple[str, str]:
    """The walk, and why."""
    if profile.top is Heard.REFUSED:  # all but the chain send a size
        available = [name for name in available if name in {CHAIN, default}]
    elif profile.top is Heard.IGNORED or profile.skip in {Heard.REFUSED, Heard.IGNORED}:
        available = [name for name in available if name != OFFSET]  # its pages would not meet where they should
    ordered = profile.orderby is Heard.HONOURED
    by_value = ordered and profile.filter is Heard.HONOURED and (profile.dated or not profile.number_key)
    by_value = by_value and KEYSET in available
    if not profile.rows:
        return default, "the resource is empty, so nothing is known yet; this is the provider's own way"
    if not profile.usable:
        return default, "records do not have the key they are said to have; name it in the configuration"
    cut = _windows(available, profile, budget) if by_value else ""
    if profile.link in {LinkForm.TOKEN, LinkForm.KEY} and CHAIN in available:
        if cut:
            return WINDOWS, f"next links hold {_held(profile)} and lead from page to page only; {cut}"
        if profile.steady is not False and profile.link_leads_on is not False:
            return CHAIN, f"next links hold {_held(profile)}: a position that rows which come and go cannot shift"
        if by_value:
            why = "two reads differ in their order" if profile.steady is False else "its links do not lead on"
            return KEYSET, f"{why}, but it filters and sorts as asked: values cannot be shifted"
        return CHAIN, "there are links and nothing else to go by"
    if profile.link in _SHIFTING:
        return _beside_offsets(available, profile, budget, ordered=ordered, by_value=by_value)
    if cut:
        return WINDOWS, f"there are no next links; {cut}"
    if by_value:
        why = "everything fits one page today" if profile.whole else "there are no next links"
        return KEYSET, f"{why}, and it filters and sorts as asked: a value cannot be shifted, however much comes"
    if profile.whole:
        return default, "everything fits one page, and a page is one instant"
    if ordered and OFFSET in available and profile.link is LinkForm.NONE:
        return OFFSET, "there are no next links, but it sorts by key: pages share a record, so that shifts are seen"
    if profile.link is LinkForm.NONE:
        return default, "there is no way on from the first page"
    return default, "how its links work could not be found out; this is the provider's own way"


def _windows(available: Collection[str], profile: Profile, budget: Budget) -> str:
    """Why windows of time side by side are faster, and safe; "": they are not, or it is not known."""
    size = profile.page_size or profile.cap or profile.rows
    if WINDOWS not in available or not profile.dated or not size or profile.records is None:
        return ""
    if profile.count not in {Count.HONEST, Count.MOVING, Count.UNKNOWN}:
        return ""
    pages = profile.records / size
    if pages < _PAGES or useful_lanes(budget, pages) < 2:
        return ""
    return (
        f"it filters and sorts by time as asked and counts {profile.records:,} records, so windows of time can be read "
        "side by side"
    )


def _beside_offsets(
    available: Collection[str], profile: Profile, budget: Budget, *, ordered: bool, by_value: bool
) -> tuple[str, str]:
    """Where the server's own links would lose rows."""
    held = _held(profile)
    counted = OFFSET in available and profile.link_leads_on is not False  # else $skip is not heard
    if by_value and (_is_slow(budget) or not counted):
        why = " in the fewest requests, which is what the quota asks for" if _is_slow(budget) else ""
        return KEYSET, f"next links hold {held}, which shifts; it filters and sorts, so values can be followed{why}"
    if ordered and counted:
        return OFFSET, f"next links hold {held}; sorted by key, pages share a record, so that every shift is seen"
    if profile.orderby is Heard.UNKNOWN:
        return CHAIN, f"next links hold {held}, and whether it sorts as asked is not known"
    why = "nothing safer can be done here" if ordered else "it does not sort as asked"
    return CHAIN, f"next links hold {held}, and {why}"


def _held(profile: Profile) -> str:
    names = {LinkForm.OFFSET: "an offset", LinkForm.PAGE: "a page number", LinkForm.KEY: "a key"}
    return names.get(profile.link, "an opaque token")


def _closing(provider: Provider, profile: Profile, walk: str) -> tuple[str | None, str]:
    """The pager that asks what changed, or None and why it cannot be asked."""
    if provider.closing is None or not profile.dated or not profile.rows:
        return provider.closing, ""
    if profile.filter in {Heard.IGNORED, Heard.REFUSED, Heard.WRONG}:
        said = {Heard.IGNORED: "ignores", Heard.REFUSED: "refuses", Heard.WRONG: "answers wrongly to"}[profile.filter]
        return None, f"the server {said} $filter, so changes during the run cannot be asked for"
    if walk != CHAIN and profile.orderby is Heard.HONOURED and KEYSET in provider.pagers:
        return KEYSET, ""
    return provider.closing, ""


def _page_size(profile: Profile, walk: str) -> int | None:
    """What to ask for; None where the server's own pages are as good, or nothing is known."""
    if profile.page_size is None or profile.cap is None:
        return None
    return None if walk == CHAIN and profile.page_size <= profile.rows else profile.page_size


def _is_slow(budget: Budget) -> bool:
    return any(window.requests is not None and window.requests / window.seconds < _SLOW for window in budget.windows)
