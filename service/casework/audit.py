"""The audit: a hash chain for each thing, appended in the transaction of the change, queried, and verified.

An entry is canonical JSON (RFC 8785) with the hash of the one before, hashed SHA-256. It never holds the contact of a
person, only a salted commitment to it.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from itertools import groupby
from typing import Any

import rfc8785
from pydantic_core import from_json
from sqlalchemy import ColumnElement, Connection, String, and_, cast, or_, select

from service.access import Act, Caller, audit_seen
from service.storage import stamps, tables
from service.storage.tables import AuditEntry, table

_AUDIT = table(AuditEntry)

# Where the newest version and head of each kind of thing stand: subject type → (row class, its key).
_THINGS: dict[str, tuple[Any, str]] = {
    "case": (tables.CaseRow, "id"),
    "enterprise": (tables.Enterprise, "id"),
    "notice": (tables.Notice, "id"),
    "objection": (tables.Objection, "id"),
    "token": (tables.Token, "id"),
    "calendar": (tables.CalendarYearRow, "year"),
    "programme": (tables.ProgrammeVersion, "programme"),
}

# The stamp in which the version and head of the clock's chain stand.
CLOCK_CHAIN = "clock_chain"


@dataclass(frozen=True, slots=True)
class Entry:
    """One step in the history of one thing. `changes` hold each changed part as it is afterwards."""

    act: Act
    subject_type: str
    subject_id: str
    version: int
    action: str
    prev: str | None
    unit: str | None = None
    reason: str | None = None
    data: dict[str, Any] = field(default_factory=dict)
    changes: dict[str, Any] = field(default_factory=dict)


def canonical(value: Any) -> str:
    """`value` as canonical JSON (RFC 8785)."""
    return rfc8785.dumps(value).decode()


def instant_text(at: datetime) -> str:
    """An instant as it stands in a hashed entry: UTC, microseconds."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def hashed_text(row: Any) -> str:
    """The canonical JSON whose SHA-256 is the entry's hash, from a row whose data and changes are canonical already.

    The keys stand in the order of RFC 8785, so joining canonical parts gives a canonical whole.
    """
    actor = canonical({"id": row["actor_id"], "name": row["actor_name"], "role": row["actor_role"]})
    subject = canonical({"id": row["subject_id"], "type": row["subject_type"]})
    return (
        f'{{"action":{canonical(row["action"])},"actor":{actor},"at":"{instant_text(row["at"])}",'
        f'"changes":{row["changes"]},"data":{row["data"]},"prev":{canonical(row["prev"])},'
        f'"reason":{canonical(row["reason"])},"request_id":{canonical(row["request_id"])},'
        f'"subject":{subject},"unit":{canonical(row["unit"])},"version":{row["version"]}}}'
    )


def row_of(entry: Entry) -> dict[str, Any]:
    """The row of an entry, with its hash."""
    caller = entry.act.caller
    row: dict[str, Any] = {
        "at": entry.act.at,
        "actor_id": caller.id,
        "actor_name": caller.name,
        "actor_role": str(caller.role),
        "unit": entry.unit,
        "action": entry.action,
        "subject_type": entry.subject_type,
        "subject_id": entry.subject_id,
        "version": entry.version,
        "reason": entry.reason,
        "data": canonical(entry.data),
        "changes": canonical(entry.changes),
        "prev": entry.prev,
        "request_id": entry.act.request_id,
    }
    row["hash"] = sha256(hashed_text(row).encode()).hexdigest()
    return row


def append(tx: Connection, entries: Sequence[Entry]) -> list[str]:
    """Append entries, each to its thing's chain; their hashes, which become the things' heads, in order."""
    return insert(tx, [row_of(entry) for entry in entries])


def insert(tx: Connection, rows: list[dict[str, Any]]) -> list[str]:
    """Write rows made by `row_of`; their hashes in order."""
    if rows:
        tx.execute(_AUDIT.insert(), rows)
    return [row["hash"] for row in rows]


def entry_id(row: Any) -> str:
    """The public id of an entry: its thing's id and the version it made."""
    return f"{row['subject_id']}.{row['version']}"


@dataclass(frozen=True, slots=True)
class Query:
    """What entries are asked for; None asks for all."""

    subject_type: str | None = None
    subject: str | None = None
    actor: str | None = None
    unit: str | None = None
    action: str | None = None
    from_: datetime | None = None
    to: datetime | None = None
    request_id: str | None = None
    q: str | None = None


def _wanted(caller: Caller, query: Query) -> ColumnElement[bool]:
    conditions = [audit_seen(caller)]
    for column, value in (
        (_AUDIT.c.subject_type, query.subject_type),
        (_AUDIT.c.subject_id, query.subject),
        (_AUDIT.c.unit, query.unit),
        (_AUDIT.c.action, query.action),
        (_AUDIT.c.request_id, query.request_id),
    ):
        if value is not None:
            conditions.append(column == value)
    if query.actor is not None:
        conditions.append(or_(_AUDIT.c.actor_id == query.actor, _AUDIT.c.actor_name == query.actor))
    if query.from_ is not None:
        conditions.append(_AUDIT.c.at >= query.from_)
    if query.to is not None:
        conditions.append(_AUDIT.c.at < query.to)
    if query.q is not None:
        conditions.append(
            or_(
                _AUDIT.c.reason.contains(query.q, autoescape=True),
                _AUDIT.c.data.contains(query.q, autoescape=True),
                _AUDIT.c.actor_name.contains(query.q, autoescape=True),
            )
        )
    return and_(*conditions)


def page(
    tx: Connection, caller: Caller, query: Query, limit: int, after: tuple[datetime, int] | None = None
) -> list[dict[str, Any]]:
    """Up to `limit` entries in scope, newest first, beyond the entry `after` (its instant and sequence)."""
    statement = select(_AUDIT).where(_wanted(caller, query))
    if after is not None:
        at, seq = after
        statement = statement.where(or_(_AUDIT.c.at < at, and_(_AUDIT.c.at == at, _AUDIT.c.seq < seq)))
    statement = statement.order_by(_AUDIT.c.at.desc(), _AUDIT.c.seq.desc()).limit(limit)
    return [dict(row) for row in tx.execute(statement).mappings()]


def stream(tx: Connection, caller: Caller, query: Query) -> Iterator[dict[str, Any]]:
    """Every entry in scope, newest first, read in parts of 1,000."""
    statement = select(_AUDIT).where(_wanted(caller, query)).order_by(_AUDIT.c.at.desc(), _AUDIT.c.seq.desc())
    with tx.execution_options(yield_per=1000).execute(statement) as result:
        for row in result.mappings():
            yield dict(row)


def history(tx: Connection, subject_type: str, subject_id: str) -> list[dict[str, Any]]:
    """All entries of one thing, oldest first."""
    statement = (
        select(_AUDIT)
        .where(_AUDIT.c.subject_type == subject_type, _AUDIT.c.subject_id == subject_id)
        .order_by(_AUDIT.c.version)
    )
    return [dict(row) for row in tx.execute(statement).mappings()]


def changes_of(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """What each entry changed, parsed."""
    return [from_json(row["changes"]) for row in rows]


@dataclass(frozen=True, slots=True)
class Break:
    """A place where a chain does not hold."""

    subject_type: str
    subject_id: str
    version: int
    what: str


def verify(tx: Connection, caller: Caller, subject: str | None = None) -> tuple[int, list[Break]]:
    """Check every chain in scope, or one thing's: each hash, each link, no gap, and the head at the end.

    Returns how many entries were read and every break found, among them the things without any entry.
    """
    statement = select(_AUDIT).where(audit_seen(caller))
    if subject is not None:
        statement = statement.where(_AUDIT.c.subject_id == subject)
    statement = statement.order_by(_AUDIT.c.subject_type, _AUDIT.c.subject_id, _AUDIT.c.version)
    entries = 0
    broken: list[Break] = []
    with tx.execution_options(yield_per=1000).execute(statement) as result:
        for (kind, thing), rows in groupby(result.mappings(), key=lambda row: (row["subject_type"], row["subject_id"])):
            last = None
            for row in rows:
                entries += 1
                broken.extend(_breaks(row, last))
                last = row
            if last is not None:
                broken.extend(_head_breaks(tx, kind, thing, last))
    broken.extend(_without_history(tx, caller, subject))
    return entries, broken


def _without_history(tx: Connection, caller: Caller, subject: str | None) -> Iterator[Break]:
    """Every thing in scope whose whole chain is gone."""
    for kind, (model, key) in _THINGS.items():
        rows = table(model)
        name = cast(rows.c[key], String)
        entries = select(_AUDIT.c.seq).where(_AUDIT.c.subject_type == kind, _AUDIT.c.subject_id == name)
        statement = select(name, rows.c.version).where(~entries.exists())
        if not caller.sees_all:
            if caller.unit is None or "unit" not in rows.c:
                continue
            statement = statement.where(rows.c.unit == caller.unit)
        if subject is not None:
            statement = statement.where(name == subject)
        for thing, version in tx.execute(statement):
            yield Break(kind, thing, version, "history missing")


def _breaks(row: Any, last: Any) -> Iterator[Break]:
    def here(what: str) -> Break:
        return Break(row["subject_type"], row["subject_id"], row["version"], what)

    try:
        if sha256(hashed_text(row).encode()).hexdigest() != row["hash"]:
            yield here("hash")
        if canonical(from_json(row["data"])) != row["data"] or canonical(from_json(row["changes"])) != row["changes"]:
            yield here("not canonical")
    except ValueError:
        yield here("not JSON")
    if last is None:
        if row["prev"] is not None or row["version"] != 1:
            yield here("beginning missing")
    else:
        if row["prev"] != last["hash"]:
            yield here("link")
        if row["version"] != last["version"] + 1:
            yield here("gap")


def _head_breaks(tx: Connection, kind: str, thing: str, last: Any) -> Iterator[Break]:
    if kind == "clock" and stamps.get(tx, CLOCK_CHAIN) != f"{last['version']}:{last['hash']}":
        yield Break(kind, thing, last["version"], "head")
    if kind not in _THINGS:
        return
    model, key = _THINGS[kind]
    rows = table(model)
    wanted: Any = int(thing) if kind == "calendar" else thing
    found = tx.execute(
        select(rows.c.version, rows.c.head).where(rows.c[key] == wanted).order_by(rows.c.version.desc()).limit(1)
    ).one_or_none()
    if found is None:
        yield Break(kind, thing, last["version"], "the thing is gone")
    elif (found.version, found.head) != (last["version"], last["hash"]):
        yield Break(kind, thing, last["version"], "head")


def place(position: Sequence[Any]) -> tuple[datetime, int]:
    """The instant and sequence that a cursor carries."""
    at, seq = position
    return datetime.fromisoformat(at), int(seq)


def exported(row: dict[str, Any]) -> dict[str, Any]:
    """An entry as it is exported: exactly what was hashed, and the hash."""
    document: dict[str, Any] = from_json(hashed_text(row))
    return {**document, "hash": row["hash"]}
