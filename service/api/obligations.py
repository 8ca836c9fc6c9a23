"""Obligations: who owes what by when, and why it is due then and who was told."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic_core import from_json
from starlette.responses import Response

from service.access import Caller
from service.api import openapi, paging
from service.api.cases import Cursor, Filter, Limit
from service.api.door import Reading, Route, answered, reading, running
from service.api.owed import ExplainedGot, ObligationGot, ObligationPage
from service.api.shown import instant
from service.casework import obligations
from service.casework.desk import Desk
from service.casework.obligations import Search
from workflows import obligations as rules
from workflows.ladders import Reached
from workflows.text import Text
from workflows.values import Day
from workflows.working_days import legal_day

router = APIRouter(prefix="/obligations", tags=["obligations"], route_class=Route)

ObligationId = Annotated[str, Path(max_length=200, description="The id of an obligation.")]
Status = Literal["open", "met", "met_late", "nil", "overdue", "closed"]
Kind = Literal[
    "filing", "report", "answer", "stage", "measure", "re_review", "objection", "notice", "resubmission", "ultra_low"
]


def _shown(desk: Desk, row: Any, now: datetime, language: str) -> dict[str, Any]:
    programme = desk.lifecycle(row["programme"], row["programme_version"]).programme
    return {
        "id": row["id"],
        "programme": row["programme"],
        "kind": row["kind"],
        "title": Text(**from_json(row["title"])).get(language),
        "next": programme.ladder_by_id[row["kind"]].next.get(language),
        "clause": row["clause"],
        "owner": {"unit": row["unit"], "handler": row["handler"] or row["officer"]},
        "subject": {"type": row["subject_type"], "id": row["subject"]},
        "since": instant(row["since"]),
        "due_on": row["due_on"],
        "due_at": instant(row["due_at"]),
        "hard": row["hard"],
        "status": obligations.status_of(row, programme, now),
        "ended_at": instant(row["ended_at"]),
        "rung": row["rung"],
        "trouble": row["trouble"],
        "breached_at": instant(row["breached_at"]),
        "provisional": row["provisional"],
    }


@router.get("", response_model=ObligationPage, responses=openapi.LISTS)
def search_obligations(
    request: Request,
    caller: Annotated[Caller, reading("obligations.read")],
    programme: Filter = None,
    unit: Filter = None,
    kind: Annotated[Kind | None, Query()] = None,
    status: Annotated[Status | None, Query()] = None,
    subject: Filter = None,
    due_from: Annotated[Day | None, Query()] = None,
    due_to: Annotated[Day | None, Query()] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Obligations in scope that have begun, due first; `unit` is the one that owes."""
    process = running(request)
    wanted = Search(programme, unit, kind, status, subject, due_from, due_to)
    filters = {name: getattr(wanted, name) for name in Search.__slots__}
    after = paging.position(process.cursor_secret, "obligations", filters, cursor)
    with process.db.reading() as tx:
        here = Reading(process, tx, caller, request)
        desk, now = here.desk, here.now
        known = [lifecycle.programme for lifecycle in process.books.programmes.newest(tx)]
        position = obligations.place(after) if after else None
        rows = obligations.search(tx, caller, wanted, now, known, limit + 1, position)
        return answered(
            request,
            paging.page(
                rows,
                limit,
                lambda row: _shown(desk, row, now, here.language),
                lambda row: paging.cursor(
                    process.cursor_secret, "obligations", filters, [row["due_at"].isoformat(), row["id"]]
                ),
            ),
        )


@router.get("/{obligation_id}", response_model=ObligationGot, responses={**openapi.READS, **openapi.TAGGED})
def read_obligation(
    request: Request, caller: Annotated[Caller, reading("obligations.read")], obligation_id: ObligationId
) -> Response:
    """One obligation."""
    process = running(request)
    with process.db.reading() as tx:
        here = Reading(process, tx, caller, request)
        now = here.now
        row = obligations.read(tx, caller, obligation_id, now)
        return answered(request, _shown(here.desk, row, now, here.language), version=row["version"])


@router.get("/{obligation_id}/explain", response_model=ExplainedGot, responses=openapi.READS)
def explain_obligation(
    request: Request, caller: Annotated[Caller, reading("obligations.read")], obligation_id: ObligationId
) -> Response:
    """Why an obligation is due when it is: the walk of days, the rungs of its reminders, and what was sent."""
    process = running(request)
    with process.db.reading() as tx:
        here = Reading(process, tx, caller, request)
        desk, now = here.desk, here.now
        row = obligations.read(tx, caller, obligation_id, now)
        programme = desk.lifecycle(row["programme"], row["programme_version"]).programme
        reached = obligations.ladder_of(row, programme, desk.calendar, now)
        told = obligations.told_of(tx, obligation_id)
        span = rules.span_of(programme, row["kind"], row["id"], row["subject"])
        counted_to = desk.calendar.add(legal_day(row["since"]), span.working_days).due_on if span else None
        walked = desk.calendar.explain(legal_day(row["since"]), span.working_days).days if span else ()
        content = {
            "obligation": _shown(desk, row, now, here.language),
            "working_days": span.working_days if span else None,
            "days": [
                {"date": day.on, "kind": day.kind, "counted": day.counted, "number": day.number} for day in walked
            ],
            "why": rules.why(span, desk.calendar, row["due_on"], counted_to).get(here.language),
            "readings": [each.text.get(here.language) for each in programme.readings if each.clause == row["clause"]],
            "rungs": _rungs(row, reached, told),
        }
    return answered(request, content)


def _rungs(row: dict[str, Any], reached: Sequence[Reached], told: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Every rung with what was sent for it; one that was sent stands there also if its day has moved since."""
    rungs: dict[str, dict[str, Any]] = {
        name: {"rung": name, "at": each.at, "to": list(each.rung.to), "sent": []}
        for each in reached
        for name in (obligations.rung_of(row, each),)
    }
    for one in told:
        rung = rungs.setdefault(one["rung"], {"rung": one["rung"], "at": one["at"], "to": [], "sent": []})
        said = {name: one[name] for name in ("recipient", "message", "template", "status")}
        rung["sent"].append({**said, "sent_at": instant(one["sent_at"])})
    return [{**rung, "at": instant(rung["at"])} for rung in sorted(rungs.values(), key=lambda each: each["at"])]
