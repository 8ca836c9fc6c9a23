"""Answers kept by their Idempotency-Key, in the transaction of the change they answer."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from pydantic_core import from_json, to_json
from sqlalchemy import Connection, bindparam, delete, select

from service.storage.sets import read_set, sent_rows, write_set
from service.storage.tables import StoredAnswer, table

_ANSWERS = table(StoredAnswer)
_COLUMNS = {column.name: column for column in _ANSWERS.columns}
_SENT = sent_rows(0, {name: _COLUMNS[name] for name in ("scope", "key")})
_ONE = select(_ANSWERS).where(_ANSWERS.c.scope == bindparam("scope"), _ANSWERS.c.key == bindparam("key"))
_MANY = select(_ANSWERS).where(_ANSWERS.c.scope == _SENT.scope, _ANSWERS.c.key == _SENT.key)
_KEEP = _ANSWERS.insert()
_KEEP_SET = _ANSWERS.insert().from_select(list(_COLUMNS), select(*sent_rows(0, _COLUMNS)))
KEPT_FOR = timedelta(hours=48)


@dataclass(frozen=True, slots=True)
class Answer:
    """What leaves for a client: status, headers of its own, JSON body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Key:
    """An Idempotency-Key within its caller's scope, and the fingerprint of the request that carries it."""

    scope: str
    key: str
    fingerprint: str


def find(tx: Connection, keys: Iterable[Key]) -> dict[tuple[str, str], tuple[str, Answer]]:
    """The kept answers for these keys: (scope, key) → (fingerprint, answer)."""
    wanted = [{"scope": key.scope, "key": key.key} for key in keys]
    if not wanted:
        return {}
    rows = read_set(tx, _ONE, _MANY, wanted)
    return {
        (row.scope, row.key): (row.fingerprint, Answer(row.status, from_json(row.headers), row.body.encode()))
        for row in rows
    }


def keep(tx: Connection, kept: Iterable[tuple[Key, Answer]], now: datetime) -> None:
    """Keep answers. Raises IntegrityError where another transaction has kept one for the same key meanwhile."""
    rows: list[dict[str, Any]] = [
        {
            "scope": key.scope, "key": key.key, "fingerprint": key.fingerprint, "status": answer.status,
            "headers": to_json(dict(answer.headers)).decode(), "body": answer.body.decode(), "stored_at": now,
        }
        for key, answer in kept
    ]  # fmt: skip
    if rows:
        write_set(tx, [(_KEEP, rows)], _KEEP_SET)


def expire(tx: Connection, now: datetime) -> int:
    """Forget answers kept for longer than 48 hours; how many."""
    return tx.execute(delete(_ANSWERS).where(_ANSWERS.c.stored_at < now - KEPT_FOR)).rowcount


def is_kept(answer: Answer) -> bool:
    """Whether an answer is kept: what was done, and what the rules refused; not what was never decided."""
    return answer.status < 300 or answer.status == 409
