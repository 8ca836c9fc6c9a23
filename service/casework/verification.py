"""Whether the audit is whole: each chain from its first entry to its head, and each thing as its history says.

What somebody changes behind the service's back shows in one of three ways: a hash or link that does not fit, a head that
is not the last entry, or a thing that its history does not make.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby
from typing import Any

from pydantic_core import from_json
from sqlalchemy import Connection, String, cast, select

from service.access import Caller, audit_seen, hashed
from service.casework import ledger, private
from service.casework.audit import CLOCK_CHAIN, canonical, hashed_text
from service.storage import stamps, tables
from service.storage.tables import AuditEntry, table
from workflows.case import dump, load

_AUDIT = table(AuditEntry)
_TEXTS, _VERSIONS = table(tables.PrivateText), table(tables.ProgrammeVersion)
_IN_PARTS = {"yield_per": 1000}


@dataclass(frozen=True, slots=True)
class Break:
    """A place where a chain does not hold, or a thing that is not what its history makes."""

    subject_type: str
    subject_id: str
    version: int
    what: str


@dataclass(frozen=True, slots=True)
class _Told:
    """What the entries of one thing say: every change laid over the ones before, and the newest data."""

    changes: dict[str, Any]
    data: dict[str, Any]
    last: Any


Differs = Callable[[Connection, Any, _Told], bool]


@dataclass(frozen=True, slots=True)
class _Thing:
    """Where a kind of thing stands, what names it and counts its entries, and how it is held against its history."""

    row: Any
    key: str
    differs: Differs
    version: str = "version"


def _case_differs(tx: Connection, row: Any, told: _Told) -> bool:
    facts = dump(load(from_json(row["facts"])))
    columns = ("programme", "programme_version", "unit", "enterprise", "industry", "state", "target_grade")
    return facts != dump(load(told.changes)) or any(row[name] != facts[name] for name in columns)


def _site_differs(tx: Connection, row: Any, told: _Told) -> bool:
    return ledger.told_of(row) != {name: told.changes.get(name) for name in ledger.told_of(row)} or _contact_differs(
        tx, row, told
    )


def _contact_differs(tx: Connection, row: Any, told: _Told) -> bool:
    committed = told.data.get("contact_commitment")
    kept = tx.execute(select(_TEXTS).where(_TEXTS.c.id == row["contact"])).mappings().one_or_none()
    if kept is None:  # erased, or never given
        return False
    return private.commitment(kept["salt"], from_json(kept["text"])) != committed


def _token_differs(tx: Connection, row: Any, told: _Told) -> bool:
    said = told.changes
    return (
        any(row[name] != said.get(name) for name in ("name", "role", "unit", "secret_hash"))
        or any(from_json(row[name]) != said.get(name) for name in ("cases", "enterprises"))
        or (row["revoked_at"] is not None) != bool(said.get("revoked"))
        or (row["expires_at"].isoformat() if row["expires_at"] else None) != said.get("expires_at")
    )


def _calendar_differs(tx: Connection, row: Any, told: _Told) -> bool:
    return bool(row["document"] != canonical(told.changes))


def _programme_differs(tx: Connection, row: Any, told: _Told) -> bool:
    versions = tx.execute(select(_VERSIONS).where(_VERSIONS.c.programme == row["programme"])).mappings().all()
    stored = {str(each["version"]): sha256(each["source"].encode()).hexdigest() for each in versions}
    return bool(stored != told.changes)


def _objection_differs(tx: Connection, row: Any, told: _Told) -> bool:
    return bool(row["state"] != told.changes.get("state") or row["reasons"] != told.data.get("reasons"))


def _notice_differs(tx: Connection, row: Any, told: _Told) -> bool:
    return any(str(row[name]) != told.changes.get(name) for name in ("opened_on", "ends_on"))


def _feed_differs(tx: Connection, row: Any, told: _Told) -> bool:
    said = told.changes
    is_removed = row["removed_at"] is not None
    return is_removed != said.get("removed") or any(row[name] != said.get(name) for name in ("unit", "token_hash"))


def _webhook_differs(tx: Connection, row: Any, told: _Told) -> bool:
    said = told.changes
    is_removed = row["removed_at"] is not None
    kept = row["secret"] == "" if is_removed else hashed(row["secret"]) == said.get("secret_hash")
    return (
        not kept
        or is_removed != said.get("removed")
        or any(row[name] != said.get(name) for name in ("url", "unit"))
        or from_json(row["events"]) != said.get("events")
    )


_THINGS: Mapping[str, _Thing] = {
    "case": _Thing(tables.CaseRow, "id", _case_differs),
    "enterprise": _Thing(tables.Enterprise, "id", _site_differs),
    "notice": _Thing(tables.Notice, "id", _notice_differs),
    "objection": _Thing(tables.Objection, "id", _objection_differs),
    "token": _Thing(tables.Token, "id", _token_differs),
    "feed": _Thing(tables.Feed, "id", _feed_differs),
    "webhook": _Thing(tables.Webhook, "id", _webhook_differs),
    "calendar": _Thing(tables.CalendarYearRow, "year", _calendar_differs),
    "programme": _Thing(tables.ProgrammeVersion, "programme", _programme_differs, version="entry"),
}


def verify(tx: Connection, caller: Caller, subject: str | None = None) -> tuple[int, list[Break]]:
    """Check every chain in scope, or one thing's; how many entries were read, and every break.

    Each hash, each link, no gap, the head at the end, the thing as its history says, and no thing without one.
    """
    statement = select(_AUDIT).where(audit_seen(caller))
    if subject is not None:
        statement = statement.where(_AUDIT.c.subject_id == subject)
    statement = statement.order_by(_AUDIT.c.subject_type, _AUDIT.c.subject_id, _AUDIT.c.version)
    entries = 0
    broken: list[Break] = []
    with tx.execute(statement, execution_options=_IN_PARTS) as result:
        for (kind, thing), rows in groupby(result.mappings(), key=lambda row: (row["subject_type"], row["subject_id"])):
            changes: dict[str, Any] = {}
            data: dict[str, Any] = {}
            last = None
            for row in rows:
                entries += 1
                broken.extend(_chain_breaks(row, last))
                changes.update(_parsed(row["changes"]))
                data.update(_parsed(row["data"]))
                last = row
            broken.extend(_thing_breaks(tx, kind, thing, _Told(changes, data, last)))
    broken.extend(_without_history(tx, caller, subject))
    return entries, broken


def _parsed(text: str) -> dict[str, Any]:
    try:
        found = from_json(text)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}


def _chain_breaks(row: Any, last: Any) -> Iterator[Break]:
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
        if row["at"] < last["at"]:
            yield here("time goes back")


def _thing_breaks(tx: Connection, kind: str, thing: str, told: _Told) -> Iterator[Break]:
    version, head = told.last["version"], told.last["hash"]
    if kind == "clock" and stamps.get(tx, CLOCK_CHAIN) != f"{version}:{head}":
        yield Break(kind, thing, version, "head")
    if kind not in _THINGS:
        return
    where = _THINGS[kind]
    rows = table(where.row)
    name: Any = int(thing) if kind == "calendar" and thing.isdecimal() else thing
    statement = select(rows).where(rows.c[where.key] == name)
    found = tx.execute(statement.order_by(rows.c[where.version].desc()).limit(1)).mappings().one_or_none()
    if found is None:
        yield Break(kind, thing, version, "the thing is gone")
        return
    if (found[where.version], found["head"]) != (version, head):
        yield Break(kind, thing, version, "head")
    try:
        if where.differs(tx, found, told):
            yield Break(kind, thing, version, "not what its history says")
    except (ValueError, KeyError, TypeError):
        yield Break(kind, thing, version, "cannot be read")


def _without_history(tx: Connection, caller: Caller, subject: str | None) -> Iterator[Break]:
    """Every thing in scope whose whole chain is gone."""
    for kind, where in _THINGS.items():
        rows = table(where.row)
        name = cast(rows.c[where.key], String)
        entries = select(_AUDIT.c.seq).where(_AUDIT.c.subject_type == kind, _AUDIT.c.subject_id == name)
        statement = select(name, rows.c[where.version]).where(~entries.exists())
        if not caller.sees_all:
            if caller.unit is None or "unit" not in rows.c:
                continue
            statement = statement.where(rows.c.unit == caller.unit)
        if subject is not None:
            statement = statement.where(name == subject)
        for thing, version in tx.execute(statement):
            yield Break(kind, thing, version, "history missing")
