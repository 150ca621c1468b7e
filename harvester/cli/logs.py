"""Log records to standard error: one line each, escaped; JSON when nobody watches."""

from __future__ import annotations

import logging
from collections.abc import MutableMapping
from typing import Any, TextIO

import structlog

from harvester.report.printable import printable


def set_up_logs(stderr: TextIO, *, debug: bool) -> None:
    """Warnings and worse, everything with *debug*. Also for the libraries that use the standard logging."""
    level = logging.DEBUG if debug else logging.WARNING
    renderer = structlog.dev.ConsoleRenderer() if stderr.isatty() else structlog.processors.JSONRenderer()
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            _escape,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stderr),
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(stderr)
    handler.setFormatter(_EscapingFormatter("%(levelname)s %(name)s %(message)s"))
    logging.basicConfig(level=level, handlers=[handler], force=True)


class _EscapingFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def _escape(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """FAULTS E06 and E07: text in a record cannot end it or steer the terminal."""
    for key, value in event.items():
        if isinstance(value, str):
            event[key] = printable(value)
    return event
