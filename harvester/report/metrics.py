"""Health as Prometheus reads it: the text exposition format, version 0.0.4, with no library for it."""

from __future__ import annotations

from collections.abc import Iterator

from harvester.report.pulse import Health, ResourceHealth, SourceHealth

TYPE = "text/plain; version=0.0.4; charset=utf-8"

_Sample = tuple[str, str, float]  # source, resource ("": of the source), value


def metrics_of(health: Health) -> bytes:
    """One family a figure. What is not known is left out: 0 would be a lie."""
    return "".join(_families(health)).encode()


def _families(health: Health) -> Iterator[str]:
    sources = health.sources
    resources = [(source, resource) for source in sources for resource in source.resources]
    yield _family("up", "gauge", "The process is alive.", [("", "", 1.0)])
    yield _family("current", "gauge", "1: the last success is recent enough.", list(_currency(sources)))
    yield _family(
        "last_success_timestamp_seconds",
        "gauge",
        "End of the last complete round, Unix time.",
        [
            (source.source, each.resource, each.last_success.timestamp())
            for source, each in resources
            if each.last_success is not None
        ],
    )
    yield _family(
        "watermark_lag_seconds",
        "gauge",
        "How far the watermark lies behind now.",
        [(source.source, each.resource, each.lag) for source, each in resources if each.lag is not None],
    )
    yield _family(
        "listed_timestamp_seconds",
        "gauge",
        "End of the last complete round that saw all keys, Unix time.",
        [
            (source.source, each.resource, each.listed.timestamp())
            for source, each in resources
            if each.listed is not None
        ],
    )
    yield _family(
        "unswept",
        "gauge",
        "1: the last sweep is not complete.",
        [(source.source, each.resource, float(bool(each.unswept))) for source, each in resources],
    )
    for name, kind, text, read in _FIGURES:
        samples = [(source.source, each.resource, float(getattr(each, read))) for source, each in resources]
        yield _family(name, kind, text, samples)
    yield _family(
        "paused_seconds",
        "gauge",
        "Seconds until something may be sent again.",
        [
            (source.source, "", (source.paused_until - health.at).total_seconds() if source.paused_until else 0.0)
            for source in sources
        ],
    )
    sent = [(source.source, "", float(source.requests)) for source in sources]
    yield _family("sent_total", "counter", "Requests put on the wire, tokens and repeats included.", sent)


_FIGURES = (
    ("failures", "gauge", "Rounds in a row that were not whole.", "failures"),
    ("rounds_total", "counter", "Rounds that ended.", "rounds"),
    ("changed_rounds_total", "counter", "Rounds that brought records.", "changed"),
    ("requests_total", "counter", "Requests of all rounds.", "requests"),
    ("changes_total", "counter", "Records and tombstones that were new.", "changes"),
)


def _currency(sources: tuple[SourceHealth, ...]) -> Iterator[_Sample]:
    for source in sources:
        if not source.resources:
            yield source.source, "", 0.0
        for each in source.resources:
            yield source.source, each.resource, float(_is_current(source, each))


def _is_current(source: SourceHealth, resource: ResourceHealth) -> bool:
    return resource.current and not source.stopped


def _family(name: str, kind: str, text: str, samples: list[_Sample]) -> str:
    if not samples:
        return ""
    lines = [f"# HELP harvester_{name} {text}", f"# TYPE harvester_{name} {kind}"]
    for source, resource, value in samples:
        labels = [("source", source), ("resource", resource)]
        told = ",".join(f'{label}="{_escaped(word)}"' for label, word in labels if word)
        lines.append(f"harvester_{name}{{{told}}} {value:.17g}" if told else f"harvester_{name} {value:.17g}")
    return "\n".join((*lines, ""))


def _escaped(text: str) -> str:
    return text.replace("\\", r"\\").replace("\n", r"\n").replace('"', r"\"")
