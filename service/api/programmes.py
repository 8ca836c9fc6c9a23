"""The programmes and the working calendar, as data."""

from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from starlette.responses import PlainTextResponse, Response

from service.access import Caller
from service.api import openapi
from service.api.door import Reading, Route, answered, reading, running
from service.api.programme_shapes import DayGot, DueGot, ProgrammeGot, ProgrammeList
from service.api.shown import instant
from service.casework.desk import Desk
from service.errors import Malformed
from workflows.events import KINDS
from workflows.faults import fault
from workflows.programme import Area, Event, Form, Programme
from workflows.values import Day

router = APIRouter(route_class=Route)

ProgrammeId = Annotated[str, Path(max_length=64)]


@router.get("/programmes", tags=["programmes"], response_model=ProgrammeList, responses=openapi.problems(401, 422))
def list_programmes(request: Request, caller: Annotated[Caller, reading("programmes.read")]) -> Response:
    """The newest version of every programme, in short."""
    process = running(request)
    with process.db.reading() as tx:
        here = Reading(process, tx, caller, request)
        programmes = [lifecycle.programme for lifecycle in process.books.programmes.newest(tx)]
    items = [
        {
            "id": programme.id,
            "version": programme.version,
            "title": programme.title.get(here.language),
            "closes_on": programme.closes_on,
        }
        for programme in programmes
    ]
    return answered(request, {"items": items, "next": None})


@router.get(
    "/programmes/{programme_id}",
    tags=["programmes"],
    response_model=ProgrammeGot,
    responses={**openapi.problems(401, 404, 422), **openapi.TAGGED},
)
def read_programme(
    request: Request,
    caller: Annotated[Caller, reading("programmes.read")],
    programme_id: ProgrammeId,
    version: Annotated[int | None, Query(ge=1, le=2**31 - 1, description="The newest unless said.")] = None,
) -> Response:
    """One programme, whole."""
    process = running(request)
    with process.db.reading() as tx:
        here = Reading(process, tx, caller, request)
        programme = here.desk.lifecycle(programme_id, version).programme
    return answered(request, _shown(programme, here.language), version=programme.version)


@router.get(
    "/programmes/{programme_id}/diagram",
    tags=["programmes"],
    response_class=PlainTextResponse,
    responses=openapi.problems(401, 404, 422),
)
def read_diagram(
    request: Request, caller: Annotated[Caller, reading("programmes.read")], programme_id: ProgrammeId
) -> Response:
    """The machine as Mermaid text, drawn from the machine itself."""
    process = running(request)
    with process.db.reading() as tx:
        here = Reading(process, tx, caller, request)
        return PlainTextResponse(here.desk.lifecycle(programme_id).diagram(here.language))


def _shown(programme: Programme, language: str) -> dict[str, Any]:
    rungs = {ladder.id: [rung.id for rung in ladder.rungs] for ladder in programme.ladders}

    def area(one: Area) -> dict[str, Any]:
        target = programme.target_by_area[one.code]
        return {
            "code": one.code, "name": one.name.get(language), "target": target.sites, "counted": target.counted,
            "clause": target.clause,
        }  # fmt: skip

    return {
        "id": programme.id,
        "version": programme.version,
        "title": programme.title.get(language),
        "source": programme.source,
        "year": programme.year,
        "timezone": programme.timezone,
        "closes_on": programme.closes_on,
        "draft": programme.draft,
        "phases": [
            {"id": p.id, "title": p.title.get(language), "from": p.from_, "to": p.to, "clause": p.clause}
            for p in programme.phases
        ],
        "units": [area(unit) for unit in programme.units],
        "province": area(programme.province),
        "industries": [
            {"id": i.id, "name": i.name.get(language), "ultra_low": i.ultra_low, "needs_detail": i.needs_detail}
            for i in programme.industries
        ],
        "indicators": [{"id": choice.id, "name": choice.cell} for choice in programme.indicators],
        "measure_kinds": [{"id": choice.id, "name": choice.cell} for choice in programme.measure_kinds],
        "equipment_categories": [{"id": choice.id, "name": choice.cell} for choice in programme.equipment_categories],
        "fundings": [{"id": choice.id, "name": choice.cell} for choice in programme.fundings],
        "grades": [
            {
                "id": g.id, "name": g.name.get(language), "ladder": g.ladder, "rank": g.rank, "target": g.target,
                "entitlement": g.entitlement.get(language) if g.entitlement else None,
            }
            for g in programme.grades
        ],
        "states": [{"id": s.id, "name": s.name.get(language), "final": s.final} for s in programme.states],
        "events": [_event(event, language) for event in programme.events],
        "spans": {
            name: {"working_days": span.working_days, "clause": span.clause}
            for name in ("notice", "answer", "objection", "correction", "refiling")
            for span in (getattr(programme.spans, name),)
        },
        "dates": [
            {
                "id": d.id, "title": d.title.get(language), "owner": d.owner, "due_on": d.due_on, "hard": d.hard,
                "ladder": rungs[d.ladder], "clause": d.clause,
            }
            for d in programme.dates
        ],
        "filings": [
            {"form": f.form, "period": f.period, "date": f.due, "signed": f.signed} for f in programme.filings
        ],
        "forms": [_form(form, programme, language) for form in programme.forms],
        "clauses": [{"id": c.id, "where": c.where, "says": c.says.get(language)} for c in programme.clauses],
        "readings": [{"clause": r.clause, "text": r.text.get(language)} for r in programme.readings],
    }  # fmt: skip


def _event(event: Event, language: str) -> dict[str, Any]:
    window: dict[str, Any] = {"from": event.window.from_, "to": event.window.to}
    if event.window.hard_after is not None:
        window["hard_after"] = event.window.hard_after
    if event.window.late_after is not None:
        window["late_after"] = event.window.late_after
    return {
        "id": event.name,
        "name": event.name,
        "kind": event.kind,
        "title": event.title.get(language),
        "from": event.sources,
        "to": event.target,
        "roles": event.roles,
        "window": window,
        "needs_reason": event.needs_reason,
        "clause": event.clause,
        "guards": [{"guard": use.guard, "clause": use.clause} for use in event.guards],
        "data_schema": KINDS[event.kind].adapter.json_schema(),
    }


def _form(form: Form, programme: Programme, language: str) -> dict[str, Any]:
    columns = (*programme.form_edges.first, *form.columns, *programme.form_edges.last)
    return {
        "id": form.id,
        "number": form.number,
        "title": form.title.get(language),
        "clause": form.clause,
        "signed": form.signed,
        "columns": [
            {"id": c.id, "head": c.head, "type": c.type, "required": c.required, "required_when": c.required_when}
            for c in columns
        ],
    }


@router.get("/calendar/days/{day}", tags=["calendar"], response_model=DayGot, responses=openapi.problems(401, 404, 422))
def read_day(request: Request, caller: Annotated[Caller, reading("calendar.read")], day: Day) -> Response:
    """One day of the working calendar, and the notice that arranged it."""
    process = running(request)
    with process.db.reading() as tx:
        found = Desk(tx, process.books).calendar.day(day)
    content = {
        "date": found.on,
        "working": found.working,
        "kind": found.kind,
        "provisional": found.provisional,
        "name": found.name,
        "paper": found.paper,
    }
    return answered(request, content)


@router.get("/calendar/due", tags=["calendar"], response_model=DueGot, responses=openapi.problems(401, 422))
def read_due(
    request: Request,
    caller: Annotated[Caller, reading("calendar.read")],
    start: Annotated[Day, Query(description="The day that is not counted (民法典 201).")],
    working_days: Annotated[int, Query(ge=1, le=250)],
) -> Response:
    """The end of so many working days after `start`, with the walk day by day."""
    process = running(request)
    with process.db.reading() as tx:
        due = Desk(tx, process.books).calendar.explain(_countable(start), working_days)
    days = [{"date": d.on, "kind": d.kind, "counted": d.counted, "number": d.number} for d in due.days]
    content = {
        "start": due.start,
        "working_days": due.working_days,
        "due_on": due.due_on,
        "due_at": instant(due.due_at),
        "provisional": due.provisional,
        "days": days,
    }
    return answered(request, content)


def _countable(start: date) -> date:
    if not 1950 <= start.year <= 2199:
        raise Malformed(
            fault("out_of_range", "start", "日期应在 1950 至 2199 年之间", "a date of 1950 to 2199 is needed")
        )
    return start
