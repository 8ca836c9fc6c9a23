"""The log: one JSON object a line on standard error, with the request id and without personal data or secrets."""

import logging
import sys

import structlog


def begin(level: str) -> None:
    """Set up logging for this process; `level` is a name such as info or warning."""
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(level=logging.WARNING, stream=sys.stderr, format='{"event": "%(name)s: %(message)s"}')
    # It warns of every event that does not fit a state: a refusal is an answer here, not a fault.
    logging.getLogger("transitions.core").setLevel(logging.ERROR)
