"""Pages and their cursors: opaque, signed, and good only for the list that gave them out."""

import base64
import hmac
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha256
from typing import Any

from pydantic_core import from_json, to_json

from service.errors import CursorRefused


def cursor(secret: bytes, list_: str, filters: Mapping[str, Any], position: Sequence[Any]) -> str:
    """A cursor for what comes beyond `position` in this list with these filters."""
    body = to_json([list(position), _digest(list_, filters)])
    return base64.urlsafe_b64encode(_sign(secret, body) + body).decode().rstrip("=")


def position(secret: bytes, list_: str, filters: Mapping[str, Any], said: str | None) -> list[Any] | None:
    """Where a cursor points; None without one. Raises CursorRefused for one that was not given out for this list."""
    if said is None:
        return None
    try:
        raw = base64.urlsafe_b64decode(said + "=" * (-len(said) % 4))
        signature, body = raw[:16], raw[16:]
        # Base64 has more than one way to write the same bytes: only the one that was given out is good.
        if base64.urlsafe_b64encode(raw).decode().rstrip("=") != said or not hmac.compare_digest(
            signature, _sign(secret, body)
        ):
            raise CursorRefused
        where, digest = from_json(body)
    except ValueError:
        raise CursorRefused from None
    if digest != _digest(list_, filters):
        raise CursorRefused
    found: list[Any] = where
    return found


def page(
    rows: Sequence[Any],
    limit: int,
    shown: Callable[[Any], Any],
    next_cursor: Callable[[Any], str],
) -> dict[str, Any]:
    """A page from up to `limit` + 1 rows: the one too many says that there is more."""
    more = len(rows) > limit
    return {
        "items": [shown(row) for row in rows[:limit]],
        "next": next_cursor(rows[limit - 1]) if more else None,
    }


def _sign(secret: bytes, body: bytes) -> bytes:
    return hmac.new(secret, body, sha256).digest()[:16]


def _digest(list_: str, filters: Mapping[str, Any]) -> str:
    return sha256(to_json([list_, sorted((name, str(value)) for name, value in filters.items())])).hexdigest()[:16]
