"""Events of cases: read what stands, lock it in id order, decide each by the rules, write set-wise, all in one transaction.

One event is a batch of one. What fails, fails alone; what was decided is written with its audit entry, and with what it
does to notices and to the ledger.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from pydantic_core import to_json
from sqlalchemy import ColumnElement, Connection, String, any_, bindparam, func, select
from sqlalchemy.dialects import postgresql

from service import access
from service.access import Act
from service.casework import audit, breaches, calendars, filings, ledger, notices, obligations, receivers, results
from service.casework.desk import Desk
from service.casework.standing import WITH_SITE, Standing, standing
from service.casework.webhooks import EventType, Happened, enqueue_events
from service.errors import EventRefused, Malformed, NotFound, NotYourRole, ServiceError, VersionMissing, VersionStale
from service.storage.sets import sent_rows, write_set
from service.storage.tables import CaseRow, NoticeEntryRow, Objection, table
from workflows.case import Case, dump
from workflows.events import read_data
from workflows.facts import Actor, Facts
from workflows.faults import fault
from workflows.lifecycle import Decision, Lifecycle, Offer, Refused, replay
from workflows.obligations import stage_due_at
from workflows.programme import Event, Role
from workflows.text import Reason, Text, listed, quoted

_CASES, _OBJECTIONS, _ENTRIES = table(CaseRow), table(Objection), table(NoticeEntryRow)


@dataclass(frozen=True, slots=True)
class Command:
    """One event that somebody wants for one case. `data` as sent; `versions` that it may have, None where none was said.

    `verdict` (a repeated Idempotency-Key) and `malformed` were found before; they are told in their place in the order of
    errors, once the case is in scope and the role is right. `by_service`: the service makes an event of the system's in
    the name of somebody whose decision it follows from. `since`: when the event became due, for the scheduler's.
    """

    act: Act
    case: str
    event: Any
    data: Any
    versions: frozenset[int] | None
    reason: str | None = None
    verdict: ServiceError | None = None
    malformed: ServiceError | None = None
    by_service: bool = False
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """The event happened: the case as it is now, and the entry that says so."""

    standing: Standing
    entry_id: str
    entry_hash: str


@dataclass(slots=True)
class _Batch:
    """What the decisions of one batch add up to, to be written set-wise."""

    entries: list[dict[str, Any]] = field(default_factory=list)
    touched: dict[str, Standing] = field(default_factory=dict)
    events: list[results.Event] = field(default_factory=list)
    publications: notices.Publications = field(default_factory=notices.Publications)
    graded: list[tuple[Act, Decision, bool]] = field(default_factory=list)
    owes: dict[str, tuple[dict[str, Any], datetime]] = field(default_factory=dict)  # and when each came to be so


def apply_events(
    desk: Desk,
    commands: Sequence[Command],
    *,
    all_or_nothing: bool = False,
    dry_run: bool = False,
    notice: str | None = None,
) -> list[Applied | ServiceError]:
    """Decide every command in order and write what was decided; for each, what became of it.

    `notice` puts all publications into one notice. With `all_or_nothing`, one failure leaves everything unwritten.
    """
    cases = locked(desk, {command.case for command in commands})
    _hold_filings(desk, commands, cases)
    batch = _Batch()
    outcomes: list[Applied | ServiceError] = []
    for command in commands:
        try:
            outcomes.append(_apply(desk, command, cases.get(command.case), batch, notice))
        except ServiceError as error:
            outcomes.append(error)
    failed = any(isinstance(outcome, ServiceError) for outcome in outcomes)
    if not dry_run and not (all_or_nothing and failed):
        _write(desk, batch)
    return outcomes


def _hold_filings(desk: Desk, commands: Sequence[Command], cases: Mapping[str, Standing]) -> None:
    """Have nobody hand in meanwhile what a correction may undo; of several units in the order of their names."""
    units = set()
    for command in commands:
        if (stands := cases.get(command.case)) is None or not isinstance(command.event, str):
            continue
        programme = desk.lifecycle(stands.case.programme, stands.case.programme_version).programme
        event = programme.event_by_name.get(command.event)
        if event is not None and event.kind == "correct":
            units.add((stands.case.programme, stands.case.unit))
    for programme_id, unit in sorted(units):
        filings.hold(desk.tx, programme_id, unit)


class NotApplied(ServiceError):
    """An event of a batch that was wanted whole or not at all, and another of it failed."""

    code = "not_applied"
    said = Text(
        "同批次中有其他事件未能进行，按“全有或全无”未作更改",
        "another event of the batch failed, and all or nothing was asked",
    )


def _of_ids(statement: Any) -> dict[str, Any]:
    """The statement for the cases of `ids`, by dialect; on PostgreSQL it is one and the same for any number of ids."""
    return {
        "sqlite": statement.where(_CASES.c.id.in_(bindparam("ids", expanding=True))),
        "postgresql": statement.where(_CASES.c.id == any_(bindparam("ids", type_=postgresql.ARRAY(String)))),
    }


# The revisions of calendar and webhooks come with the cases: asked for by themselves, they would cost every batch a round trip.
# So does the instant of the case's newest entry: none is earlier than the one before it.
_HEAD_AT = (
    select(audit.AT)
    .where(_CASES.c.id == audit.OF_SUBJECT, audit.OF_TYPE == "case", _CASES.c.version == audit.OF_VERSION)
    .scalar_subquery()
)
_LOCK = _of_ids(
    WITH_SITE.add_columns(
        calendars.REVISION, receivers.REVISION, _HEAD_AT.label("head_at"), results.IS_TOLD_OF.label("is_told_of")
    )
    .order_by(_CASES.c.id)
    .with_for_update(of=_CASES)
)
_READ = _of_ids(WITH_SITE)


def read_many(tx: Connection, ids: Collection[str]) -> dict[str, Standing]:
    """The cases of these ids that there are, whoever may see them."""
    rows = tx.execute(_READ[tx.dialect.name], {"ids": list(ids)}).mappings()
    return {row["id"]: standing(row) for row in rows}


def locked(desk: Desk, ids: set[str]) -> dict[str, Standing]:
    """The cases of these ids that there are, whoever may see them, locked in the order of their ids."""
    rows = desk.tx.execute(_LOCK[desk.tx.dialect.name], {"ids": list(ids)}).mappings().all()
    if rows:
        desk.know_calendar(rows[0]["calendar_revision"])
        desk.know_receivers(rows[0]["webhooks_revision"])
    stands = {row["id"]: standing(row) for row in rows}
    for each in stands.values():
        if each.row["head_at"] is None:  # changed while we waited for its lock: the entry was not there when we began
            each.row["head_at"] = audit.at_of(desk.tx, "case", each.case.id, each.version)
    return stands


def _apply(desk: Desk, command: Command, stands: Standing | None, batch: _Batch, notice: str | None) -> Applied:
    caller = command.act.caller
    if stands is None or not caller.sees(
        unit=stands.row["unit"], case=command.case, enterprise=stands.row["enterprise"]
    ):
        raise NotFound
    role = Role.SYSTEM if command.by_service else caller.role
    lifecycle = desk.lifecycle(stands.case.programme, stands.case.programme_version)
    event = lifecycle.programme.event_by_name.get(command.event) if isinstance(command.event, str) else None
    if event is not None and role not in event.roles:
        raise NotYourRole.but(caller.role, *event.roles)
    if role != Role.SYSTEM:
        access.require(caller, "cases.move")
    if command.verdict is not None:
        raise command.verdict
    if command.versions is None:
        raise VersionMissing
    if stands.version not in command.versions:
        raise VersionStale.unless_quoted(command.versions, stands.version)
    if command.malformed is not None:
        raise command.malformed
    if event is None:
        raise Malformed(_unknown_event(lifecycle, command.event))
    act = command.act.not_before(stands.row["head_at"])
    decision = _decide(desk, lifecycle, event, act, command, stands, notice)
    return _record(desk, act, command, decision, stands, lifecycle, batch)


def _unknown_event(lifecycle: Lifecycle, said: Any) -> Reason:
    it, known = quoted(str(said)), listed(lifecycle.programme.event_by_name)
    return fault(
        "unknown_event", "event", f"没有{it.zh}这一事件；可选：{known.zh}", f"no event {it.en}; known: {known.en}"
    )


def _decide(
    desk: Desk, lifecycle: Lifecycle, event: Event, act: Act, command: Command, stands: Standing, notice: str | None
) -> Decision:
    facts = _facts_of(desk, act, stands, lifecycle.needs(event.name), event=event, notice=notice)
    if command.since is not None:
        facts = replace(facts, since=_since(desk.tx, command.since, act.at, stands))
    data = read_data(event.kind, command.data, lifecycle.programme, facts.today)
    faults = data if isinstance(data, tuple) else ()
    if event.needs_reason and command.reason is None:
        faults += (
            fault(
                "reason_required",
                "reason",
                f"{quoted(event.title).zh}须说明理由",
                f"{quoted(event.title).en} needs a reason",
                event.clause,
            ),
        )
    if isinstance(data, tuple) or faults:
        raise Malformed(*faults)
    decided = lifecycle.decide(facts, event.name, data, command.reason)
    if isinstance(decided, Refused):
        raise EventRefused(None, decided.reasons)
    return decided


def _facts_of(
    desk: Desk,
    act: Act,
    stands: Standing,
    needed: frozenset[str],
    *,
    event: Event | None = None,
    notice: str | None = None,
) -> Facts:
    """Everything the rules may know; what costs a query is asked only where a guard of the event, or offer, needs it."""
    case = stands.case
    before = None
    rested_on = None
    notice_id = None
    open_objections = 0
    if "open_objections" in needed:
        open_objections = _open_objections(desk.tx, case)
    if event is not None and event.kind == "publish":
        notice_id = notice or desk.chance.id(act.at)
        desk.hold_calendar()  # a notice counts days
    if event is not None and event.kind == "correct":
        before = _before_last_event(desk.tx, stands)
    if "rested_on" in needed:
        programme = desk.lifecycle(case.programme, case.programme_version).programme
        rested_on = filings.resting_on(desk, programme, stands) or _objected_since(desk.tx, case)
    return Facts(
        case=case,
        actor=Actor(act.caller.name, act.caller.role),
        now=act.at,
        calendar=desk.calendar,
        site=stands.site,
        open_objections=open_objections,
        notice_id=notice_id,
        before=before,
        rested_on=rested_on,
    )


def _open_objections(tx: Connection, case: Case) -> int:
    """How many objections to the case wait for their decision, whichever notice they were lodged in."""
    of_it = (_OBJECTIONS.c.case_id == case.id) & (_OBJECTIONS.c.state == "open")
    return int(tx.execute(select(func.count()).where(of_it)).scalar_one())


def _objected_since(tx: Connection, case: Case) -> Text | None:
    """What stands against undoing the case's last event: an open objection to the publication, or one that was found to be
    right since the case left its notice."""
    last = case.last_event
    if last is None:
        return None
    if last.kind == "publish" and _open_objections(tx, case):
        return Text("对该公示的异议尚未处理，先作出决定", "an objection to the publication is to be decided first")
    if last.kind not in ("withdraw", "disqualify"):
        return None  # of a case in its notice the decision is an event of its own
    upheld = (_OBJECTIONS.c.state == "upheld") & audit.written_after(
        "objection", _OBJECTIONS.c.id, _OBJECTIONS.c.version, case.id, last.event
    )
    if tx.execute(select(_OBJECTIONS.c.id).where(_OBJECTIONS.c.case_id == case.id, upheld).limit(1)).scalar():
        return Text("此后公示异议经核查属实", "an objection has been upheld since")
    return None


def _since(tx: Connection, due_at: datetime, now: datetime, stands: Standing) -> datetime:
    """Since when nothing stood against what became due: not before the case changed last, nor its last objection was decided."""
    instants: list[datetime | None] = [due_at, stands.row["head_at"]]
    of_it = _OBJECTIONS.c.case_id == stands.case.id
    instants.append(tx.execute(select(func.max(_OBJECTIONS.c.decided_at)).where(of_it)).scalar())
    return min(now, max(instant for instant in instants if instant is not None))


def _before_last_event(tx: Connection, stands: Standing) -> Case | None:
    """The case as it stood before the event that would be corrected, from its history; None where it has only been listed."""
    rows = _history(tx, stands)
    before = [row for row in rows if row["version"] < _to_correct(stands.case, rows)["version"]]
    return replay(audit.changes_of(before)) if before else None


def _history(tx: Connection, stands: Standing) -> list[dict[str, Any]]:
    """A case's history with what has been decided and is still to be written: events of one case may come in one batch."""
    return [*audit.history(tx, "case", stands.case.id), *stands.entries]


def _to_correct(case: Case, history: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The newest entry of a case that is the event which a correction would undo."""
    assert case.to_correct is not None
    return next(row for row in reversed(history) if row["action"] == case.to_correct.event)


def offers(desk: Desk, act: Act, stands: Standing) -> tuple[Offer, ...]:
    """Every event that leads on from the case's state, judged for the caller's role and the case's facts."""
    lifecycle = desk.lifecycle(stands.case.programme, stands.case.programme_version)
    return lifecycle.offers(_facts_of(desk, act, stands, lifecycle.offers_need(stands.case.state)))


def _record(
    desk: Desk, act: Act, command: Command, decision: Decision, stands: Standing, lifecycle: Lifecycle, batch: _Batch
) -> Applied:
    event = decision.event
    undone = event.kind == "correct"
    data = command.data
    if undone:
        data = {**data, "corrects": _to_correct(stands.case, _history(desk.tx, stands))["version"]}
    entry, after = next_entry(desk, act, stands, decision.after, event.name, data, command.reason, undone=undone)
    batch.entries.append(entry)
    batch.owes.update((row["id"], (row, act.at)) for row in after.owes)
    batch.touched[after.case.id] = after
    batch.events.append(results.Event(after, command.reason, data["corrects"] if undone else None))
    batch.publications.note(act, decision, after)
    recognised = lifecycle.is_recognised(decision.after)
    if recognised != lifecycle.is_recognised(decision.before):
        batch.graded.append((act, decision, recognised))
    stands.row, stands.case, stands.document, stands.entries = after.row, after.case, after.document, after.entries
    return Applied(after, audit.entry_id(entry), entry["hash"])


def next_entry(
    desk: Desk,
    act: Act,
    stands: Standing,
    case: Case,
    action: str,
    data: Any,
    reason: str | None,
    *,
    undone: bool = False,
) -> tuple[dict[str, Any], Standing]:
    """The audit row that turns `stands` into `case`, and the case as it stands then with what it owes since.

    `undone`: by a correction.
    """
    document = dump(case)
    changes = {name: value for name, value in document.items() if stands.document.get(name) != value}
    entry = audit.row_of(
        audit.Entry(
            act, "case", case.id, stands.version + 1, action, stands.row["head"], case.unit, reason, data or {}, changes
        )
    )
    lifecycle = desk.lifecycle(case.programme, case.programme_version)
    by = desk.lifecycle(case.programme, stands.case.programme_version).programme
    owes = obligations.between(lifecycle.programme, desk.calendar, stands.case, case, act.at, undone=undone, by=by)
    row = {**stands.row, **columns(desk, case, lifecycle), "facts": to_json(document).decode()}
    row["version"], row["head"], row["stalled"] = stands.version + 1, entry["hash"], None
    row["head_at"] = act.at
    return entry, Standing(row, case, document, owes, [*stands.entries, entry])


def columns(desk: Desk, case: Case, lifecycle: Lifecycle) -> dict[str, Any]:
    """The columns of a case's row that follow from its facts."""
    return {
        "programme_version": case.programme_version,
        "state": case.state,
        "target_grade": case.target_grade,
        "listed_at": case.listed_at,
        "entered_at": case.entered_at,
        "due_at": lifecycle.due_at(case),
        "owed_at": stage_due_at(lifecycle.programme, desk.calendar, case),
        "recognised_grade": case.grade_reached if lifecycle.is_recognised(case) else None,
    }


def _write(desk: Desk, batch: _Batch) -> None:
    """Write what was decided, in the order in which locks are taken: case, obligation, notice, site, message."""
    if not batch.touched:
        return
    breaches.settle_each(desk, batch.owes.values())
    owes = [batch.owes[name][0] for name in sorted(batch.owes)]
    write_rows(desk.tx, list(batch.touched.values()), batch.entries, owes)
    batch.publications.write(desk)
    for act, decision, recognised in sorted(batch.graded, key=lambda graded: graded[1].after.enterprise):
        ledger.record_grade(desk, act, decision.before, decision.after, recognised=recognised)
    _tell(desk, batch.touched.values())
    results.tell(desk, batch.events)


def _tell(desk: Desk, moved: Iterable[Standing]) -> None:
    """Have the webhooks told of cases that have moved, each with its last event."""
    if not desk.receivers:
        return
    by_unit: dict[str, list[Happened]] = {}
    for stands in moved:
        case, last = stands.case, stands.case.last_event
        assert last is not None
        data = {
            "case": case.id, "event": last.event, "state": case.state, "version": stands.version, "unit": case.unit,
        }  # fmt: skip
        by_unit.setdefault(case.unit, []).append(Happened(case.id, stands.version, last.at, data))
    for unit, happened in by_unit.items():
        enqueue_events(desk, EventType.CASE_MOVED, unit, happened)


_UPDATED = (
    "programme_version",
    "state",
    "target_grade",
    "version",
    "head",
    "listed_at",
    "entered_at",
    "due_at",
    "owed_at",
    "recognised_grade",
    "stalled",
    "facts",
)
_UPDATE = (
    _CASES.update()
    .where(_CASES.c.id == bindparam("case_id", type_=String))
    .values({name: bindparam(name, type_=_CASES.c[name].type) for name in _UPDATED})
)
_SENT = sent_rows(0, {"case_id": _CASES.c.id, **{name: _CASES.c[name] for name in _UPDATED}})
_UPDATE_SET = _CASES.update().where(_CASES.c.id == _SENT.case_id).values({name: _SENT[name] for name in _UPDATED})
_RECORD_SET = audit.append_set(1).add_cte(_UPDATE_SET.returning(_CASES.c.id).cte("moved"))
_RECORD_AND_OWE_SET = _RECORD_SET.add_cte(obligations.put_set(2).returning(obligations.ROWS.c.id).cte("owed"))


def write_rows(
    tx: Connection,
    cases: Sequence[Standing],
    entries: Sequence[dict[str, Any]],
    owes: Sequence[dict[str, Any]],
) -> None:
    """Write cases that were locked in this transaction, the entries that say why, and what they owe since, set-wise."""
    rows = [{"case_id": stands.row["id"], **{name: stands.row[name] for name in _UPDATED}} for stands in cases]
    changed = [(_UPDATE, rows), (audit.APPEND, entries)]
    if owes:
        write_set(tx, [*changed, (obligations.PUT, owes)], _RECORD_AND_OWE_SET)
    else:
        write_set(tx, changed, _RECORD_SET)


def event_of_kind(desk: Desk, caller: access.Caller, case_id: str, kind: str) -> str:
    """The name that the case's programme gives to a kind of event. Raises NotFound outside the caller's scope."""
    statement = select(_CASES.c.programme, _CASES.c.programme_version)
    row = desk.tx.execute(statement.where(_CASES.c.id == case_id, access.cases_seen(caller))).one_or_none()
    event = desk.lifecycle(row.programme, row.programme_version).programme.event_of_kind(kind) if row else None
    if event is None:
        raise NotFound
    return event.name


def due(now: datetime) -> ColumnElement[bool]:
    """The condition under which the scheduler has something to do with a row of `cases` at the aware instant `now`."""
    objected = select(_OBJECTIONS.c.id).where(_OBJECTIONS.c.case_id == _CASES.c.id, _OBJECTIONS.c.state == "open")
    # Whoever has left the notice, or begun anew, lapses on the plan's day, whatever is still to be decided.
    published = select(_ENTRIES.c.notice).where(_ENTRIES.c.case_id == _CASES.c.id, _ENTRIES.c.left_as.is_(None))
    waits = objected.exists() & published.exists()
    condition: ColumnElement[bool] = (_CASES.c.due_at <= now) & ~waits
    return condition
