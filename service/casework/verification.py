"""Whether the audit is whole: each chain from its first entry to its head, and each thing as its history says.

What somebody changes behind the service's back shows in one of three ways: a hash or link that does not fit, a head that
is not the last entry, or a thing that its history does not make.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import groupby, islice
from typing import Any

from pydantic_core import from_json
from sqlalchemy import ColumnElement, Connection, Select, String, cast, select, true

from service.access import Caller, audit_seen, hashed
from service.casework import contacts, ledger, private, requests
from service.casework.audit import CLOCK_CHAIN, canonical, hashed_text
from service.storage import stamps, tables
from service.storage.tables import AuditEntry, table
from workflows.case import dump, load
from workflows.working_days import end_of_day

_AUDIT, _TEXTS = table(AuditEntry), table(tables.PrivateText)
_IN_PARTS = {"yield_per": 1000}
# So many chains are held against their things at once.
_CHAINS_AT_ONCE = 500


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

    kind: str
    thing: str
    changes: dict[str, Any]
    data: dict[str, Any]
    last: Any

    def broken(self, what: str) -> Break:
        """Something that does not hold about the thing as it is now."""
        return Break(self.kind, self.thing, self.last["version"], what)


# The rows of one thing, the newest last, and what its entries say.
Differs = Callable[[Sequence[Any], _Told], bool]


@dataclass(frozen=True, slots=True)
class _Thing:
    """Where a kind of thing stands, what names it and counts its entries, and how it is held against its history."""

    row: Any
    key: str
    differs: Differs
    version: str = "version"
    needs_history: Callable[[Any], ColumnElement[bool]] = lambda rows: true()

    def stored(self, names: Sequence[str]) -> Select[Any]:
        """The rows of the things of these names, with the text of a contact that somebody keeps there."""
        rows = table(self.row)
        wanted = (
            [int(name) for name in names if name.isdecimal()] if rows.c[self.key].type.python_type is int else names
        )
        statement = select(rows).where(rows.c[self.key].in_(wanted)).order_by(rows.c[self.version])
        kept = next((rows.c[name] for name in ("contact", "person") if name in rows.c), None)
        if kept is not None:
            private_text = _TEXTS.c.salt.label("private_salt"), _TEXTS.c.text.label("private_text")
            statement = statement.add_columns(*private_text).outerjoin(_TEXTS, _TEXTS.c.id == kept)
        return statement


def _case_differs(rows: Sequence[Any], told: _Told) -> bool:
    (row,) = rows
    case = load(from_json(row["facts"]))
    columns = (
        "programme", "programme_version", "unit", "enterprise", "industry", "state", "target_grade", "listed_at", "entered_at",
    )  # fmt: skip
    stands = case.recognised_at is not None and case.disqualification is None
    return (
        dump(case) != dump(load(told.changes))
        or any(row[name] != getattr(case, name) for name in columns)
        or row["recognised_grade"] != (case.grade_reached if stands else None)
    )


def _site_differs(rows: Sequence[Any], told: _Told) -> bool:
    (row,) = rows
    public = ledger.told_of(row)
    return public != {name: told.changes.get(name) for name in public} or _contact_differs(row, told)


def _contact_differs(row: Any, told: _Told) -> bool:
    if row["private_text"] is None:  # erased, or never given
        return False
    return private.commitment(row["private_salt"], from_json(row["private_text"])) != told.data.get(
        "contact_commitment"
    )


def _token_differs(rows: Sequence[Any], told: _Told) -> bool:
    (row,) = rows
    said = told.changes
    return (
        any(row[name] != said.get(name) for name in ("name", "role", "unit", "secret_hash"))
        or any(from_json(row[name]) != said.get(name) for name in ("cases", "enterprises"))
        or (row["revoked_at"] is not None) != bool(said.get("revoked"))
        or (row["expires_at"].isoformat() if row["expires_at"] else None) != said.get("expires_at")
    )


def _calendar_differs(rows: Sequence[Any], told: _Told) -> bool:
    return bool(rows[-1]["document"] != canonical(told.changes))


def _programme_differs(rows: Sequence[Any], told: _Told) -> bool:
    return {str(row["version"]): sha256(row["source"].encode()).hexdigest() for row in rows} != told.changes


def _objection_differs(rows: Sequence[Any], told: _Told) -> bool:
    (row,) = rows
    said = told.changes.get("state"), told.data.get("reasons"), told.data.get("finding")
    moved_to = told.changes.get("due_on", str(row["due_on"]))  # said where the day was moved
    return (
        (row["state"], row["reasons"], row["finding"]) != said
        or str(row["due_on"]) != moved_to
        or _contact_differs(row, told)
    )


def _notice_differs(rows: Sequence[Any], told: _Told) -> bool:
    return any(str(rows[-1][name]) != told.changes.get(name) for name in ("opened_on", "ends_on"))


def _request_differs(rows: Sequence[Any], told: _Told) -> bool:
    (row,) = rows
    said = requests.told_of(row)
    return (
        said != {name: told.changes.get(name) for name in said}
        or any(row[name] != told.data.get(name) for name in ("text", "answer"))
        or row["due_at"] != end_of_day(row["due_on"])  # by which it is judged
    )


def _obligation_differs(rows: Sequence[Any], told: _Told) -> bool:
    (row,) = rows
    is_breached = row["breached_at"] is not None
    return row["due_at"] != end_of_day(row["due_on"]) or is_breached != ("breached_at" in told.changes)


def _officer_differs(rows: Sequence[Any], told: _Told) -> bool:
    (row,) = rows
    said = contacts.told_of(row)
    return said != {name: told.changes.get(name) for name in said} or _contact_differs(row, told)


def _filing_differs(rows: Sequence[Any], told: _Told) -> bool:
    (row,) = rows
    said = told.changes  # only a day, where it was never handed in
    return (
        row["status"] != said.get("status", "open")
        or sha256(row["rows"].encode()).hexdigest() != said.get("rows_hash", sha256(b"[]").hexdigest())
        or from_json(row["documents"]) != said.get("documents", [])
        or str(row["due_on"]) != said.get("due_on", str(row["due_on"]))
        or _contact_differs(row, told)
    )


def _feed_differs(rows: Sequence[Any], told: _Told) -> bool:
    (row,) = rows
    said = told.changes
    is_removed = row["removed_at"] is not None
    return is_removed != said.get("removed") or any(row[name] != said.get(name) for name in ("unit", "token_hash"))


def _webhook_differs(rows: Sequence[Any], told: _Told) -> bool:
    (row,) = rows
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
    # What was opened by a plan and not touched since has no history yet.
    "filing": _Thing(
        tables.FilingRow,
        "id",
        _filing_differs,
        needs_history=lambda rows: (rows.c.version != 0) | (rows.c.status != "open") | rows.c.submitted_at.is_not(None),
    ),
    "notice": _Thing(tables.Notice, "id", _notice_differs),
    "objection": _Thing(tables.Objection, "id", _objection_differs),
    "request": _Thing(tables.Request, "id", _request_differs),
    "contact": _Thing(tables.Contact, "id", _officer_differs),
    "token": _Thing(tables.Token, "id", _token_differs),
    "feed": _Thing(tables.Feed, "id", _feed_differs),
    "webhook": _Thing(tables.Webhook, "id", _webhook_differs),
    # Derived from the rest, but for the breach of its term.
    "obligation": _Thing(
        tables.Obligation,
        "id",
        _obligation_differs,
        needs_history=lambda rows: (
            (rows.c.version != 0) | (rows.c.breached_at.is_not(None) & (rows.c.kind != "answer"))
        ),
    ),
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
    statement = statement.order_by(_AUDIT.c.subject_id, _AUDIT.c.subject_type, _AUDIT.c.version)
    entries = 0
    broken: list[Break] = []
    with tx.execute(statement, execution_options=_IN_PARTS) as result:
        chains = groupby(result.mappings(), key=lambda row: (row["subject_type"], row["subject_id"]))
        while told := [_read(kind, thing, rows, broken) for (kind, thing), rows in islice(chains, _CHAINS_AT_ONCE)]:
            entries += sum(count for _, count in told)
            broken.extend(_things_breaks(tx, [each for each, _ in told]))
    broken.sort(key=lambda each: (each.subject_type, each.subject_id))
    broken.extend(_without_history(tx, caller, subject))
    return entries, broken


def _read(kind: str, thing: str, rows: Iterable[Any], broken: list[Break]) -> tuple[_Told, int]:
    """What one chain says, and of how many entries it is; where it does not hold is added to `broken`."""
    changes: dict[str, Any] = {}
    data: dict[str, Any] = {}
    count, last = 0, None
    for row in rows:
        count += 1
        broken.extend(_chain_breaks(row, last))
        changes.update(_parsed(row["changes"]))
        data.update(_parsed(row["data"]))
        last = row
    return _Told(kind, thing, changes, data, last), count


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


def _things_breaks(tx: Connection, told: Sequence[_Told]) -> Iterator[Break]:
    """What does not hold of the things themselves, asked for kind by kind."""
    by_kind: dict[str, list[_Told]] = defaultdict(list)
    for each in told:
        by_kind[each.kind].append(each)
    for kind, chains in by_kind.items():
        if kind == "clock":
            stamp = stamps.get(tx, CLOCK_CHAIN)
            yield from (
                each.broken("head") for each in chains if stamp != f"{each.last['version']}:{each.last['hash']}"
            )
        if kind not in _THINGS:
            continue
        where = _THINGS[kind]
        stored: dict[str, list[Any]] = defaultdict(list)
        for row in tx.execute(where.stored([chain.thing for chain in chains])).mappings():
            stored[str(row[where.key])].append(row)
        for chain in chains:
            yield from _thing_breaks(where, stored[chain.thing], chain)


def _thing_breaks(where: _Thing, rows: Sequence[Any], chain: _Told) -> Iterator[Break]:
    if not rows:
        yield chain.broken("the thing is gone")
        return
    if (rows[-1][where.version], rows[-1]["head"]) != (chain.last["version"], chain.last["hash"]):
        yield chain.broken("head")
    try:
        if where.differs(rows, chain):
            yield chain.broken("not what its history says")
    except (ValueError, KeyError, TypeError):
        yield chain.broken("cannot be read")


def _without_history(tx: Connection, caller: Caller, subject: str | None) -> Iterator[Break]:
    """Every thing in scope whose whole chain is gone."""
    for kind, where in _THINGS.items():
        rows = table(where.row)
        name = cast(rows.c[where.key], String)
        entries = select(_AUDIT.c.seq).where(_AUDIT.c.subject_type == kind, _AUDIT.c.subject_id == name)
        statement = select(name, rows.c[where.version]).where(~entries.exists(), where.needs_history(rows))
        if not caller.sees_all:
            if caller.unit is None or "unit" not in rows.c:
                continue
            statement = statement.where(rows.c.unit == caller.unit)
        if subject is not None:
            statement = statement.where(name == subject)
        for thing, version in tx.execute(statement):
            yield Break(kind, thing, version, "history missing")
