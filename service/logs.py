"""The log: one JSON object a line on standard error, with the request id and without personal data or secrets."""

import logging
import sys
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog
from pydantic_core import to_json


# In half the time of the interpreter's own encoder, for a line with every request.
def _line(said: Any, **_: Any) -> str:
    return to_json(said, fallback=repr).decode()


class _Stream:
    """Standard error that drops what it cannot take: a log that is full must not change what anybody is answered."""

    def write(self, text: str) -> int:
        """Write, or drop."""
        with suppress(OSError, ValueError):
            return sys.stderr.write(text)
        return 0

    def flush(self) -> None:
        """Flush, or leave it."""
        with suppress(OSError, ValueError):
            sys.stderr.flush()


def begin(level: str) -> None:
    """Set up logging for this process; `level` is a name such as info or warning."""
    number = logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    rendered = structlog.processors.JSONRenderer(_line)
    structlog.configure(
        processors=[*shared, rendered],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        # One write a line: processes share the stream.
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _Stream())),
        cache_logger_on_first_use=True,
    )
    # What libraries log goes the same way, so that every line is JSON.
    handler = logging.StreamHandler(_Stream())
    handler.setFormatter(structlog.stdlib.ProcessorFormatter(processor=rendered, foreign_pre_chain=shared))
    logging.basicConfig(level=logging.WARNING, handlers=[handler], force=True)
    # It warns of every event that does not fit a state: a refusal is an answer here, not a fault.
    logging.getLogger("transitions.core").setLevel(logging.ERROR)
