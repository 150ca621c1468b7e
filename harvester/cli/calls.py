"""The functions of ``harvester.api`` that commands call, as one value that a test can replace.

Each is loaded when it is first called: ``--help`` and ``sandbox`` need none of the client.
"""

from __future__ import annotations

import importlib
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harvester.api.compact import CompactReport
    from harvester.api.configuration import Config
    from harvester.api.listen import ListenReport
    from harvester.api.metadata import MetadataReport
    from harvester.api.plan import PlanReport
    from harvester.api.probe import ProbeReport
    from harvester.api.quota import QuotaReport
    from harvester.api.status import StatusReport
    from harvester.api.sync import SyncReport
    from harvester.api.verify import VerifyReport
    from harvester.api.view import ViewReport
    from harvester.provider import Provider
    from harvester.report.pulse import Pulse
    from harvester.report.tally import Report


def _loaded(module: str, name: str) -> Callable[..., Any]:
    def call(*args: object, **kwargs: object) -> Any:
        return getattr(importlib.import_module(f"harvester.api.{module}"), name)(*args, **kwargs)

    return call


@dataclass(frozen=True, kw_only=True)
class Api:
    """What the API can do. See the functions themselves for arguments and errors."""

    load_config: Callable[..., Config]
    run: Callable[..., Awaitable[Report]]
    sync: Callable[..., Awaitable[SyncReport]]
    pulse_of: Callable[..., Pulse]
    listen: Callable[..., Awaitable[ListenReport]]
    plan: Callable[..., Awaitable[PlanReport]]
    probe: Callable[..., Awaitable[ProbeReport]]
    verify: Callable[..., Awaitable[VerifyReport]]
    metadata: Callable[..., Awaitable[MetadataReport]]
    view: Callable[..., ViewReport]
    compact: Callable[..., Awaitable[CompactReport]]
    status: Callable[..., StatusReport]
    quota: Callable[..., QuotaReport]
    providers: Callable[[], Sequence[Provider]]


REAL = Api(
    load_config=_loaded("configuration", "load_config"),
    run=_loaded("harvest", "run"),
    sync=_loaded("sync", "sync"),
    pulse_of=_loaded("sync", "pulse_of"),
    listen=_loaded("listen", "listen"),
    plan=_loaded("plan", "plan"),
    probe=_loaded("probe", "probe"),
    verify=_loaded("verify", "verify"),
    metadata=_loaded("metadata", "metadata"),
    view=_loaded("view", "view"),
    compact=_loaded("compact", "compact_in_turn"),
    status=_loaded("status", "status"),
    quota=_loaded("quota", "quota"),
    providers=_loaded("catalogue", "providers"),
)
