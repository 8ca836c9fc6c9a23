"""What a rehearsal came to: each unit's figures, the mails, and the heads of the audit in a few hashes."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import func, select, tuple_

from notifications import outbox
from service.access import SYSTEM
from service.casework import board, obligations, request_statistics, verification
from service.casework.desk import Desk
from service.casework.request_statistics import Figures
from service.casework.verification import Break
from service.storage.tables import AuditEntry, table
from workflows.obligations import Outcome
from workflows.programme import Programme

_AUDIT = table(AuditEntry)


@dataclass(frozen=True, slots=True)
class Report:
    """What stands at the end."""

    programme: Programme
    province: board.Standing
    units: list[board.Standing]
    closed: Mapping[str, int]
    requests: Mapping[str, Mapping[str, int]]
    mails: Mapping[str, int]
    refused: Mapping[str, int]
    entries: int
    broken: list[Break]
    heads: Mapping[str, str]


def draw_up(desk: Desk, programme: Programme, refused: Mapping[str, int], now: datetime) -> Report:
    """Everything, as it stands at `now`; the audit is verified on the way."""
    province, units = board.draw_up(desk, programme, now)
    figures, everything = request_statistics.by_unit_and_kind(desk, SYSTEM, request_statistics.Wanted(), now)
    asked: dict[str, Counter[str]] = defaultdict(Counter)
    for (unit, _), each in figures.items():
        asked[unit].update(_counted(each))
    asked[programme.province.code] = Counter(_counted(everything))
    entries, broken = verification.verify(desk.tx, SYSTEM)
    return Report(
        programme, province, units, _closed(desk, programme, now), asked, _mails(desk), dict(refused), entries, broken,
        heads(desk),
    )  # fmt: skip


def _counted(figures: Figures) -> dict[str, int]:
    in_time = figures.answered - figures.answered_late
    return {"in time": in_time, "late": figures.answered_late, "open": figures.open, "overdue": figures.overdue}


def _closed(desk: Desk, programme: Programme, now: datetime) -> dict[str, int]:
    rows = obligations.ROWS
    statement = select(rows.c.unit, func.count()).where(
        rows.c.programme == programme.id, rows.c.status == str(Outcome.CLOSED), obligations.begun(now)
    )
    return {row.unit: row[1] for row in desk.tx.execute(statement.group_by(rows.c.unit))}


def _mails(desk: Desk) -> dict[str, int]:
    name = outbox.MESSAGES.c.template, outbox.MESSAGES.c.status
    statement = select(*name, func.count()).group_by(*name).order_by(*name)
    return {
        template if status == outbox.Status.SENT else f"{template} ({status})": number
        for template, status, number in desk.tx.execute(statement)
    }


def heads(desk: Desk) -> dict[str, str]:
    """For each kind of thing one SHA-256 over its ids and heads in order, and one over them all."""
    newest = select(_AUDIT.c.subject_type, _AUDIT.c.subject_id, func.max(_AUDIT.c.version))
    newest = newest.group_by(_AUDIT.c.subject_type, _AUDIT.c.subject_id)
    named = _AUDIT.c.subject_type, _AUDIT.c.subject_id
    statement = select(*named, _AUDIT.c.hash).where(tuple_(*named, _AUDIT.c.version).in_(newest))
    found: dict[str, list[tuple[str, str]]] = defaultdict(list)
    for kind, subject, head in desk.tx.execute(statement):
        found[kind].append((subject, head))
    hashed = {kind: _hashed(f"{subject} {head}" for subject, head in sorted(each)) for kind, each in found.items()}
    hashed = dict(sorted(hashed.items()))
    return {**hashed, "all": _hashed(f"{kind} {each}" for kind, each in hashed.items())}


def _hashed(lines: Iterator[str]) -> str:
    return sha256("\n".join(lines).encode()).hexdigest()


# --- in words ---------------------------------------------------------------------------------------------------------

_HEAD = ("unit", "target", "counted", "met", "late", "overdue", "open", "closed", "answered", "late", "open", "overdue")


def lines(report: Report) -> Iterator[str]:
    """The report in lines."""
    programme = report.programme
    yield f"{programme.title.zh} / {programme.title.en}"
    yield ""
    yield f"{'':32}{'sites':>16}{'obligations':>44}{'requests':>36}"
    yield f"{_HEAD[0]:32}" + "".join(f"{word:>9}" for word in _HEAD[1:])
    for standing in (*report.units, report.province):
        yield _line(standing, report)
    yield ""
    yield "cases by state"
    for standing in (*report.units, report.province):
        states = ", ".join(f"{state} {number}" for state, number in standing.by_state.items())
        yield f"{standing.area.name.en:32}{states or '-'}"
    yield ""
    yield f"mails: {_listed(report.mails)}"
    yield f"refused: {_listed(report.refused)}"
    yield f"audit: {report.entries} entries, {len(report.broken)} broken"
    yield from (
        f"  {each.subject_type} {each.subject_id} version {each.version}: {each.what}" for each in report.broken
    )
    yield ""
    yield "heads (SHA-256)"
    yield from (f"  {kind:12}{head}" for kind, head in report.heads.items())


def _line(standing: board.Standing, report: Report) -> str:
    owed, asked = standing.obligations, report.requests.get(standing.area.code, {})
    counted = f"{standing.counted}+{standing.counted_after}" if standing.counted_after else str(standing.counted)
    figures: list[Any] = [
        "-" if standing.target is None else standing.target, counted, owed["met"] + owed["nil"], owed["late"],
        owed["overdue"], owed["open"], report.closed.get(standing.area.code, 0),
        *(asked.get(name, 0) for name in ("in time", "late", "open", "overdue")),
    ]  # fmt: skip
    return f"{standing.area.name.en:32}" + "".join(f"{figure:>9}" for figure in figures)


def _listed(counted: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {number}" for name, number in sorted(counted.items())) or "none"
