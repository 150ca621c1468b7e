"""The modes of a run."""

from __future__ import annotations

MODES = ("auto", "full", "delta", "sweep")
