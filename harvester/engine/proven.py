"""What came of a sweep, and what it settles."""

from __future__ import annotations

from msgspec import Struct

from harvester.store.manifest import Gap, SweepEvidence

_SHOWN = 3  # gaps told in words; all of them are in the manifest


class Proven(Struct, frozen=True, kw_only=True):
    """The evidence, and where something is missing."""

    evidence: SweepEvidence | None  # None: the keys cannot be listed
    gaps: tuple[Gap, ...] = ()  # () when proven

    def settle(self, counted: str, unasked: str) -> tuple[str, str]:
        """What is left of two reasons for not being complete.

        Args:
            counted: the provider counts more than was read; a proof says that its count is wrong (FAULTS P13).
            unasked: what changed meanwhile could not be asked for; where times were listed, it was compared.
        """
        if self.gaps or self.evidence is None:
            return "; ".join([*map(told, self.gaps[:_SHOWN]), *([unasked] if unasked else [])]), ""
        return "", "" if self.evidence.times else unasked


def told(gap: Gap) -> str:
    """A gap in words: cause and span."""
    parts = [gap.cause]
    if gap.first_key is not None and gap.last_key is not None:
        span = "/".join(gap.first_key)
        if gap.last_key != gap.first_key:
            span = f"from {span} to {'/'.join(gap.last_key)}"
        parts.append(f"keys {span}" + (f" of {gap.value}" if gap.value is not None else ""))
    if gap.first_time is not None and gap.last_time is not None:
        parts.append(f"changed {gap.first_time}" + (f" to {gap.last_time}" if gap.last_time != gap.first_time else ""))
    return ", ".join(parts)
