"""The outside of a harvest in one value: real by default, replaceable as a whole by a simulation."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from harvester.clock import SystemClock, SystemResolver, SystemRng
from harvester.contracts import Clock, Fs, Resolver, Rng
from harvester.store.files import DiskFs


@dataclass(frozen=True, kw_only=True)
class Ports:
    """Time, chance, names, files and environment as one harvest sees them."""

    clock: Clock = field(default_factory=SystemClock)
    rng: Rng = field(default_factory=SystemRng)
    resolver: Resolver = field(default_factory=SystemResolver)
    fs: Fs = field(default_factory=lambda: DiskFs(SystemRng()))
    environment: Mapping[str, str] = field(default_factory=lambda: dict(os.environ), repr=False)
    keeps_state: bool = True  # False: quota and key index stay in memory (simulations)
