"""Requests of enterprises: opened, given to somebody, answered, counted (二（五）)."""

from dataclasses import asdict
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from sqlalchemy import Connection
from starlette.responses import Response

from service.access import Act, Caller
from service.api import openapi, paging
from service.api.cases import Cursor, Filter, Limit
from service.api.door import Change, Reading, Route, answer, answered, changing, reading, running
from service.api.request_shapes import (
    AssignmentSent,
    RequestAnswerSent,
    RequestKind,
    RequestPage,
    RequestSent,
    RequestState,
    RequestWhole,
    StatisticsGot,
)
from service.api.shown import instant
from service.casework import request_statistics, requests
from service.casework.answers import Answer
from service.casework.desk import Desk
from service.casework.request_statistics import Figures, Wanted
from service.casework.requests import NewRequest, Search
from service.errors import Malformed
from workflows.faults import fault
from workflows.values import Day

router = APIRouter(prefix="/requests", tags=["requests"], route_class=Route)

RequestId = Annotated[str, Path(max_length=64, description="The id of a request.")]


def version_of(tx: Connection, caller: Caller, path: dict[str, Any]) -> int:
    """The version of the request that a path names. Raises NotFound."""
    version: int = requests.read(tx, caller, path["request_id"])["version"]
    return version


def _shown(row: dict[str, Any], now: datetime) -> dict[str, Any]:
    return {
        "id": row["id"],
        "programme": row["programme"],
        "programme_version": row["programme_version"],
        "unit": row["unit"],
        "case": row["case_id"],
        "enterprise": row["enterprise"],
        "kind": row["kind"],
        "text": row["text"],
        "state": requests.state_of(row, now),
        "handler": row["handler"],
        "received_at": instant(row["received_at"]),
        "opened_at": instant(row["opened_at"]),
        "due_on": row["due_on"],
        "due_at": instant(row["due_at"]),
        "provisional": row["provisional"],
        "breached_at": instant(row["breached_at"]),
        "answered_at": instant(row["answered_at"]),
        "answer": row["answer"],
        "late": row["late"],
        "version": row["version"],
    }


def _whole(desk: Desk, row: dict[str, Any], now: datetime) -> dict[str, Any]:
    walk = [
        {"date": day.on, "kind": day.kind, "counted": day.counted, "number": day.number}
        for day in requests.walk(desk, row)
    ]
    rungs = [
        {
            "rung": rung["rung"],
            "at": instant(rung["at"]),
            "sent": [{**sent, "sent_at": instant(sent["sent_at"])} for sent in rung["sent"]],
        }
        for rung in requests.rungs(desk, row)
    ]
    return {**_shown(row, now), "walk": walk, "rungs": rungs}


@router.post("", status_code=201, responses={**openapi.made(RequestWhole), **openapi.CREATES})
def open_request(change: Annotated[Change, changing("requests.open")], sent: RequestSent) -> Response:
    """Open a request of a case or of a site, whichever is named."""
    wanted = NewRequest(**sent.model_dump())
    if (wanted.case is None) == (wanted.enterprise is None):
        raise Malformed(
            fault(
                "one_of_both",
                "case",
                "case 与 enterprise 须且只须填一项",
                "name either the case or the enterprise, and not both",
            )
        )

    def do(desk: Desk, act: Act) -> Answer:
        row = requests.enter(desk, act, wanted)
        return answer(_whole(desk, row, act.at), 201, version=1, location=f"/api/v1/requests/{row['id']}")

    return change.make(do)


@router.get("", response_model=RequestPage, responses=openapi.LISTS)
def search_requests(
    request: Request,
    caller: Annotated[Caller, reading("requests.read")],
    state: Annotated[RequestState | None, Query()] = None,
    unit: Filter = None,
    kind: Annotated[RequestKind | None, Query()] = None,
    case: Filter = None,
    enterprise: Filter = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Requests in scope, in the order of entry. Overdue is one whose term is over and that is not answered."""
    process = running(request)
    filters = {"state": state, "unit": unit, "kind": kind, "case": case, "enterprise": enterprise}
    after = paging.position(process.cursor_secret, "requests", filters, cursor)
    with process.db.reading() as tx:
        now = Reading(process, tx, caller, request).now
        rows = requests.search(tx, caller, Search(**filters), now, limit + 1, after[0] if after else None)
    return answered(
        request,
        paging.page(
            rows,
            limit,
            lambda row: _shown(row, now),
            lambda row: paging.cursor(process.cursor_secret, "requests", filters, [row["id"]]),
        ),
    )


@router.get("/statistics", response_model=StatisticsGot, responses=openapi.LISTS)
def count_requests(
    request: Request,
    caller: Annotated[Caller, reading("requests.read")],
    unit: Filter = None,
    kind: Annotated[RequestKind | None, Query()] = None,
    from_: Annotated[Day | None, Query(alias="from", description="The first day of receipt.")] = None,
    to: Annotated[Day | None, Query(description="The last day of receipt.")] = None,
) -> Response:
    """How requests in scope were answered, by unit and kind."""
    process = running(request)
    wanted = Wanted(unit, kind, _countable(from_, "from"), _countable(to, "to"))
    with process.db.reading() as tx:
        here = Reading(process, tx, caller, request)
        figures, total = request_statistics.by_unit_and_kind(here.desk, caller, wanted, here.now)
    items = [{"unit": unit, "kind": kind, **_figures(each)} for (unit, kind), each in figures.items()]
    return answered(request, {"items": items, "total": _figures(total)})


def _countable(day: date | None, name: str) -> date | None:
    if day is not None and not 1950 <= day.year <= 2199:
        raise Malformed(fault("out_of_range", name, "日期应在 1950 至 2199 年之间", "a date of 1950 to 2199 is needed"))
    return day


def _figures(figures: Figures) -> dict[str, Any]:
    return {**asdict(figures), "share_in_time": figures.share_in_time}


@router.get("/{request_id}", response_model=RequestWhole, responses={**openapi.READS, **openapi.TAGGED})
def read_request(
    request: Request, caller: Annotated[Caller, reading("requests.read")], request_id: RequestId
) -> Response:
    """One request, with the walk of its days and what was sent at each rung."""
    process = running(request)
    with process.db.reading() as tx:
        here = Reading(process, tx, caller, request)
        row = requests.read(tx, caller, request_id)
        content = _whole(here.desk, row, here.now)
    return answered(request, content, version=row["version"])


@router.post("/{request_id}/assign", response_model=RequestWhole, responses={**openapi.CHANGES, **openapi.TAGGED})
def assign_request(
    change: Annotated[Change, changing("requests.assign", version_of)], request_id: RequestId, sent: AssignmentSent
) -> Response:
    """Give a request to a contact of its unit."""

    def do(desk: Desk, act: Act) -> Answer:
        row = requests.assign(desk, act, request_id, change.version, sent.handler)
        return answer(_whole(desk, row, act.at), version=row["version"])

    return change.make(do)


@router.post("/{request_id}/answer", response_model=RequestWhole, responses={**openapi.CHANGES, **openapi.TAGGED})
def answer_request(
    change: Annotated[Change, changing("requests.answer", version_of)], request_id: RequestId, sent: RequestAnswerSent
) -> Response:
    """Answer a request; once, and late is late."""

    def do(desk: Desk, act: Act) -> Answer:
        row = requests.answer(desk, act, request_id, change.version, sent.text)
        return answer(_whole(desk, row, act.at), version=row["version"])

    return change.make(do)
