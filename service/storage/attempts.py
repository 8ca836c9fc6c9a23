"""Doing something as if it had not been tried, where it fails."""

from collections.abc import Callable
from datetime import timedelta
from typing import ParamSpec

import structlog
from sqlalchemy import Connection
from sqlalchemy.exc import InterfaceError, OperationalError

_log = structlog.get_logger(__name__)
_P = ParamSpec("_P")
AGAIN_AFTER = timedelta(days=1)  # what could not be done is looked at again after this long


def fault_of(tx: Connection, act: Callable[_P, object], *args: _P.args, **more: _P.kwargs) -> Exception | None:
    """Do it within `tx`; where it fails, nothing of it is done and this is why. A database that fails is raised."""
    try:
        with tx.begin_nested():
            act(*args, **more)
    except (OperationalError, InterfaceError):
        raise
    except Exception as fault:  # noqa: BLE001 one bad row must not stop the others: its fault stands on it
        _log.exception("left out")
        return fault
    return None
