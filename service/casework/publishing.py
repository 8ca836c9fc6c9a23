"""When the plan changes: a new version of a programme, the filings and cases that it moves, and whom that concerns.

Cases keep the version by which they were listed unless they are moved on purpose. A running notice keeps the end, and a
request and an objection the day, that was told when they began.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from sqlalchemy import func, select

from service.access import Act
from service.casework import audit, breaches, filings, moves, objections, obligations, programmes, rescheduling
from service.casework.desk import Desk
from service.casework.links import Links
from service.casework.obligations import ROWS
from service.casework.rescheduling import Correction, Moved
from service.casework.standing import WITH_SITE, Standing, standing
from service.storage.tables import CaseRow, FilingRow, Objection, ProgrammeVersion, table
from workflows import obligations as rules
from workflows.case import Case
from workflows.errors import ProgrammeRefused
from workflows.obligations import Outcome, Owed
from workflows.programme import Programme
from workflows.programme_checks import load
from workflows.text import Text

_CASES, _FILINGS, _OBJECTIONS, _VERSIONS = table(CaseRow), table(FilingRow), table(Objection), table(ProgrammeVersion)
_AT_ONCE = 500


class NotNewer(ValueError):
    """A version is published once, and after the ones before it."""


@dataclass(frozen=True, slots=True)
class Publication:
    """What a new version does to what is open.

    Filings by id: `added` are asked for anew, `removed` no more, `kept` were handed in by the old version and stay.
    Of cases: how many go on to the new version, which cannot and why, and what they owe anew (`begun`) or no more.
    """

    programme: Programme
    moved: tuple[Moved, ...]
    added: tuple[Owed, ...]
    removed: tuple[str, ...]
    kept: tuple[str, ...]
    cases: tuple[str, ...]
    stuck: Mapping[str, str]
    begun: tuple[Owed, ...]
    ended: tuple[Owed, ...]
    corrections: tuple[Correction, ...]


def read(desk: Desk, source: str) -> Programme | None:
    """The programme in a file that may be published; None where it stands already just so.

    Raises ProgrammeRefused with every problem of the file, NotNewer.
    """
    programme = load(source)
    if programme.draft:
        raise ProgrammeRefused(("draft: it is a draft; look at its dates, then write `draft = false`",))
    of_it = _VERSIONS.c.programme == programme.id
    stands = select(_VERSIONS.c.source).where(of_it, _VERSIONS.c.version == programme.version)
    known = desk.tx.execute(stands).scalar()
    if known == source:
        return None
    if known is not None:
        raise NotNewer(f"{programme.id} version {programme.version} is published: give the changed file a new version")
    newest = desk.tx.execute(select(func.max(_VERSIONS.c.version)).where(of_it)).scalar()
    if newest is not None and programme.version < newest:
        raise NotNewer(f"{programme.id} has version {newest} already: version {programme.version} is not newer")
    return programme


def of_programme(desk: Desk, programme: Programme, now: datetime, *, move_cases: bool) -> Publication:
    """What publishing `programme` would do, as things stand at `now`."""
    filed = _Filings(desk, programme, now)
    cases = _Cases(desk, programme, move_cases=move_cases)
    moved = (*filed.moved, *cases.moved)
    return Publication(
        programme, moved, filed.added, tuple(sorted(filed.removed)), filed.kept, tuple(cases.moving), cases.stuck,
        tuple(cases.begun), tuple(cases.ended), rescheduling.corrections(desk, moved),
    )  # fmt: skip


def publish(
    desk: Desk, act: Act, links: Links, source: str, reason: str | None, *, move_cases: bool
) -> Publication | None:
    """Publish a version, move what it moves, and tell those concerned; None where it stands already just so.

    Raises ProgrammeRefused with every problem of the file, NotNewer.
    """
    programme = read(desk, source)
    if programme is None:
        return None
    why = Text(
        reason or f"方案第 {programme.version} 版已发布",
        reason or f"version {programme.version} of the plan is published",
    )
    programmes.publish(desk.tx, act, source, why.zh)
    found = of_programme(desk, programme, act.at, move_cases=move_cases)
    held = rescheduling.hold(desk, found.moved, act.at, found.cases)
    rescheduling.move(desk, act, held, why.zh)
    _change_filings(desk, act, programme, found, why.zh)
    days = rescheduling.days_by_case(held.moved)
    for first in range(0, len(found.cases), _AT_ONCE):
        _move_cases(desk, act, programme, set(found.cases[first : first + _AT_ONCE]), days, why.zh)
    corrections = rescheduling.corrections(desk, held.moved)
    name = f"{programme.title.zh}（第 {programme.version} 版）"
    rescheduling.tell(desk, act, links, corrections, why, name, f"programme:{programme.id}:{programme.version}")
    return replace(found, moved=held.moved, corrections=corrections)


def _record_breaches(desk: Desk, was: Mapping[str, dict[str, Any]], now: datetime) -> None:
    """What is breached by now goes on record by the version under which it was."""
    breaches.record(desk, was.values(), now)
    breaches.write(desk.tx, list(was.values()))


def _with_turns(
    owes: Iterable[dict[str, Any]], was: Mapping[str, dict[str, Any]], at: datetime
) -> Iterator[dict[str, Any]]:
    """The rows, so that a turn which one that stays open has missed still comes: it may be owed since before its case came
    into the state in which it stands.
    """
    for row in owes:
        missed = was[row["id"]]["next_at"] if row["status"] == Outcome.OPEN and row["id"] in was else None
        yield row if missed is None or missed > at else {**row, "next_at": missed}


# --- filings ----------------------------------------------------------------------------------------------------------


class _Filings:
    """What the units' filings are by the new version, against those that there are."""

    def __init__(self, desk: Desk, programme: Programme, now: datetime) -> None:
        statement = select(_FILINGS).where(_FILINGS.c.programme == programme.id).order_by(_FILINGS.c.id)
        there = {row["id"]: dict(row) for row in desk.tx.execute(statement).mappings()}
        owed = {each.subject: each for each in rules.filings(programme, desk.calendar, now)}
        of_filings = (ROWS.c.programme == programme.id) & (ROWS.c.kind == "filing")
        rows = desk.tx.execute(select(ROWS).where(of_filings).order_by(ROWS.c.id)).mappings()
        owing = {row["subject"]: dict(row) for row in rows}
        is_open = {id_ for id_, row in there.items() if row["status"] == filings.OPEN and id_ in owing}
        found = (rescheduling.compared(owing[id_], owed.get(id_), programme) for id_ in sorted(is_open))
        self.moved = tuple(each for each in found if each is not None)
        is_asked = {id_ for id_, row in there.items() if row["status"] != filings.CLOSED}
        self.added = tuple(each for id_, each in sorted(owed.items()) if id_ not in is_asked)
        gone = (
            {id_ for id_ in is_asked if id_ not in owed} if owed else set()
        )  # one that has closed leaves all as it is
        self.removed = gone & is_open
        self.kept = tuple(sorted(gone - is_open))


def _change_filings(desk: Desk, act: Act, programme: Programme, found: Publication, reason: str | None) -> None:
    """Let open filings be the new version's, close those that it does not ask for, open those that it asks for anew."""
    of_it = (_FILINGS.c.programme == programme.id) & (_FILINGS.c.status == filings.OPEN)
    owed = {each.subject: each for each in rules.filings(programme, desk.calendar, act.at)}
    removed, again = set(found.removed), [each.subject for each in found.added]
    rows = _locked(desk, of_it)
    was = obligations.standing(desk.tx, [f"filing.{row['id']}" for row in rows])
    _record_breaches(desk, was, act.at)
    owes = []
    for row in rows:
        if row["id"] in removed:
            closed = _enter(desk, act, row, "close", {"status": filings.CLOSED}, reason)
            owes.append(filings.owed_for(desk, closed, act.at))
        elif row["id"] in owed:
            version = {"programme_version": programme.version}
            desk.tx.execute(_FILINGS.update().where(_FILINGS.c.id == row["id"]).values(**version))
            owes.append(filings.owed_for(desk, {**row, **version}, act.at))
    for row in _locked(desk, _FILINGS.c.id.in_(again)):
        day = {
            "programme_version": programme.version,
            "due_on": owed[row["id"]].due_on,
            "due_at": owed[row["id"]].due_at,
        }
        desk.tx.execute(_FILINGS.update().where(_FILINGS.c.id == row["id"]).values(**day))
        changes = {"status": filings.OPEN, "due_on": str(day["due_on"])}
        opened = _enter(desk, act, {**row, **day}, "open", changes, reason)
        owes.append(filings.owed_for(desk, opened, act.at))
    obligations.put(desk.tx, sorted(owes, key=lambda row: row["id"]))
    filings.open_all(desk, programme, act.at)


def _locked(desk: Desk, wanted: Any) -> list[dict[str, Any]]:
    statement = select(_FILINGS).where(wanted).order_by(_FILINGS.c.id).with_for_update()
    return [dict(row) for row in desk.tx.execute(statement).mappings()]


def _enter(
    desk: Desk, act: Act, row: Mapping[str, Any], action: str, changes: dict[str, Any], reason: str | None
) -> dict[str, Any]:
    """Append an entry to a filing's history and make the filing as it says; its row."""
    version = row["version"] + 1
    entry = audit.Entry(
        act, "filing", row["id"], version, action, row["head"], row["unit"], reason, data={}, changes=changes
    )
    (head,) = audit.append(desk.tx, [entry])
    change = {"status": changes["status"], "version": version, "head": head}
    desk.tx.execute(_FILINGS.update().where(_FILINGS.c.id == row["id"]).values(**change))
    return {**row, **change}


# --- cases ------------------------------------------------------------------------------------------------------------


class _Cases:
    """What the open cases owe by the new version, against what they owe by their own."""

    def __init__(self, desk: Desk, programme: Programme, *, move_cases: bool) -> None:
        self.moving: list[str] = []
        self.stuck: dict[str, str] = {}
        self.moved: list[Moved] = []
        self.begun: list[Owed] = []
        self.ended: list[Owed] = []
        for stands in _open_cases(desk, programme) if move_cases else ():
            case = stands.case
            why = _cannot_move(case, programme)
            if why is not None:
                self.stuck[case.id] = why
                continue
            self.moving.append(case.id)
            old = desk.lifecycle(case.programme, case.programme_version).programme
            was = rules.of_case(old, desk.calendar, case)
            is_ = rules.of_case(programme, desk.calendar, case)
            self.begun += (is_[id_] for id_ in sorted(is_.keys() - was.keys()))
            self.ended += (was[id_] for id_ in sorted(was.keys() - is_.keys()))
            changed = {id_: owed for id_, owed in is_.items() if id_ in was and was[id_].due_on != owed.due_on}
            rows = desk.tx.execute(select(ROWS).where(ROWS.c.id.in_(changed)).order_by(ROWS.c.id)) if changed else None
            found = (
                rescheduling.compared(dict(row), changed[row["id"]], programme)
                for row in (rows.mappings() if rows else ())
            )
            self.moved += (each for each in found if each is not None)


def _open_cases(desk: Desk, programme: Programme) -> Iterator[Standing]:
    """The cases of earlier versions that have not ended, in the order of their ids, read in parts."""
    versions = select(_VERSIONS.c.version).where(_VERSIONS.c.programme == programme.id)
    known = [version for version in desk.tx.execute(versions).scalars() if version < programme.version]
    after = ""
    of_it = WITH_SITE.where(_CASES.c.programme == programme.id, _CASES.c.programme_version.in_(known))
    while (
        part := desk.tx.execute(of_it.where(_CASES.c.id > after).order_by(_CASES.c.id).limit(_AT_ONCE)).mappings().all()
    ):
        for row in part:
            stands = standing(row)
            states = desk.lifecycle(row["programme"], row["programme_version"]).programme.state_by_id
            if not states[stands.case.state].final:
                yield stands
        after = part[-1]["id"]


def _cannot_move(case: Case, programme: Programme) -> str | None:
    """What the new version does not know of a case; None where it may go on by it."""
    if case.state not in programme.state_by_id:
        return f"the new version has no state {case.state}"
    if case.unit not in programme.unit_by_code:
        return f"the new version has no unit {case.unit}"
    if case.industry not in programme.industry_by_id:
        return f"the new version has no industry {case.industry}"
    grades = (case.current_grade, case.target_grade, case.grade_reached)
    unknown = next((grade for grade in grades if grade is not None and grade not in programme.grade_by_id), None)
    return f"the new version has no grade {unknown}" if unknown is not None else None


def _move_cases(
    desk: Desk,
    act: Act,
    programme: Programme,
    ids: set[str],
    days: Mapping[str, Mapping[str, list[str]]],
    reason: str | None,
) -> None:
    """Let cases go on by the new version: their entries with the `days` that moved, their columns, and what they owe."""
    stands = moves.locked(desk, ids)
    owing = select(ROWS).where(ROWS.c.case_id.in_(ids), ROWS.c.subject_type == "case", ROWS.c.status == "open")
    was = {row["id"]: dict(row) for row in desk.tx.execute(owing.order_by(ROWS.c.id).with_for_update()).mappings()}
    changed, entries = [], []
    for each in stands.values():
        lifecycle = desk.lifecycle(each.case.programme, each.case.programme_version)
        if lifecycle.programme.state_by_id[each.case.state].final or _cannot_move(each.case, programme):
            continue  # it went on while we came to it
        case = replace(each.case, programme_version=programme.version)
        data: dict[str, Any] = {"programme_version": [each.case.programme_version, programme.version]}
        if each.case.id in days:
            data["due_on"] = days[each.case.id]
        entry, after = moves.next_entry(desk, act.not_before(each.row["head_at"]), each, case, "amend", data, reason)
        entries.append(entry)
        changed.append(after)
    if not changed:
        return
    _record_breaches(desk, was, act.at)
    owes = _with_turns((row for after in changed for row in after.owes), was, act.at)
    moves.write_rows(desk.tx, changed, entries, sorted(owes, key=lambda row: row["id"]))
    cases = {after.case.id: after.case for after in changed}
    _move_objections(desk, act, cases)


def _move_objections(desk: Desk, act: Act, cases: Mapping[str, Case]) -> None:
    """Their decision is owed by the version of the case; its day stays as it was told to the objector."""
    of_them = select(_OBJECTIONS).where(_OBJECTIONS.c.case_id.in_(cases), _OBJECTIONS.c.state == "open")
    rows = desk.tx.execute(of_them.order_by(_OBJECTIONS.c.id).with_for_update()).mappings().all()
    owes = [objections.owed_for(desk, dict(row), cases[row["case_id"]]) for row in rows]
    obligations.put(desk.tx, owes)


# --- for a person at a keyboard ---------------------------------------------------------------------------------------


def lines(found: Publication, now: datetime) -> Iterator[str]:
    """The publication in lines."""
    for owed in found.added:
        yield f"{owed.due_on} added  {owed.unit}  {owed.id}"
    for id_ in found.removed:
        yield f"closed, not asked for any more  filing.{id_}"
    for id_ in found.kept:
        yield f"handed in, stays  filing.{id_}"
    if found.cases or found.stuck:
        yield f"{len(found.cases)} case(s) move to version {found.programme.version}"
    for why, number in sorted(Counter(found.stuck.values()).items()):
        yield f"{number} case(s) cannot move: {why}"
    for id_, why in found.stuck.items():
        yield f"stays  {id_}: {why}"
    for owed in found.begun:
        yield f"{owed.due_on} owed from now on  {owed.unit}  {owed.id}"
    for owed in found.ended:
        yield f"{owed.due_on} owed no more  {owed.unit}  {owed.id}"
    yield from rescheduling.lines(found.moved, found.corrections, now)
