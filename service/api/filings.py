"""Filings: read, handed in by the unit, sent back by the province."""

from typing import Annotated, Any, Literal

from fastapi import APIRouter, Path, Query, Request
from pydantic_core import from_json
from sqlalchemy import Connection
from starlette.responses import Response

from service.access import Act, Caller
from service.api import openapi, paging
from service.api.cases import Cursor, Filter, Limit
from service.api.door import Change, Reading, Route, answer, answered, changing, reading, running
from service.api.owed import FilingGot, FilingPage, FilingSent, ReturnSent
from service.api.shown import instant
from service.casework import filings, obligations
from service.casework.answers import Answer
from service.casework.desk import Desk

router = APIRouter(prefix="/filings", tags=["filings"], route_class=Route)

FilingId = Annotated[str, Path(max_length=200, description="The id of a filing.")]


def version_of(tx: Connection, caller: Caller, path: dict[str, Any]) -> int:
    """The version of the filing that a path names. Raises NotFound."""
    version: int = filings.read(tx, caller, path["filing_id"])["version"]
    return version


def _line(desk: Desk, row: Any, language: str) -> dict[str, Any]:
    programme, filing = filings.filing_of(desk, row)
    rule = programme.date_by_id[filing.due]
    return {
        "id": row["id"],
        "programme": row["programme"],
        "unit": row["unit"],
        "form": row["form"],
        "period": row["period"],
        "title": rule.title.get(language),
        "clause": rule.clause,
        "signed": filing.signed,
        "due_on": row["due_on"],
        "due_at": instant(row["due_at"]),
        "owed_on": filings.owed_on(desk, row),
        "status": row["status"],
        "version": row["version"],
        "submitted_at": instant(row["submitted_at"]),
        "first_submitted_at": instant(row["first_submitted_at"]),
        "submitted_by": row["submitted_by"],
        "late": filings.is_late(row),
        "return_reason": row["return_reason"],
        "documents": from_json(row["documents"]),
        "rows_hash": row["rows_hash"],
    }


def _whole(desk: Desk, row: Any, language: str, *, contacts: bool) -> dict[str, Any]:
    is_owed = row["status"] in ("open", "returned")
    return {
        **_line(desk, row, language),
        "rows": filings.rows_of(desk, row, contacts=contacts),
        "draft": len(filings.drawn_up(desk, row)) if is_owed else None,
    }


@router.get("", response_model=FilingPage, responses=openapi.LISTS)
def search_filings(
    request: Request,
    caller: Annotated[Caller, reading("filings.read")],
    programme: Filter = None,
    unit: Filter = None,
    form: Filter = None,
    status: Annotated[Literal["open", "submitted", "returned", "nil", "closed"] | None, Query()] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Filings in scope, due first, without their rows."""
    process = running(request)
    wanted = filings.Search(programme, unit, form, status)
    filters = {name: getattr(wanted, name) for name in filings.Search.__slots__}
    after = paging.position(process.cursor_secret, "filings", filters, cursor)
    with process.db.reading() as tx:
        here = Reading(process, tx, caller, request)
        desk = here.desk
        rows = filings.search(tx, caller, wanted, limit + 1, obligations.place(after) if after else None)
        return answered(
            request,
            paging.page(
                rows,
                limit,
                lambda row: _line(desk, row, here.language),
                lambda row: paging.cursor(
                    process.cursor_secret, "filings", filters, [row["due_at"].isoformat(), row["id"]]
                ),
            ),
        )


@router.get("/{filing_id}", response_model=FilingGot, responses={**openapi.READS, **openapi.TAGGED})
def read_filing(request: Request, caller: Annotated[Caller, reading("filings.read")], filing_id: FilingId) -> Response:
    """One filing with its rows as they were last handed in."""
    process = running(request)
    with process.db.reading() as tx:
        here = Reading(process, tx, caller, request)
        row = filings.read(tx, caller, filing_id)
        return answered(request, _whole(here.desk, row, here.language, contacts=True), version=row["version"])


# What is answered here is kept under its key, so it does not tell whom to reach: that is read from the filing.


@router.post("/{filing_id}/submit", response_model=FilingGot, responses={**openapi.CHANGES, **openapi.TAGGED})
def submit_filing(
    change: Annotated[Change, changing("filings.submit", version_of)], filing_id: FilingId, sent: FilingSent
) -> Response:
    """Hand in a filing: its rows are frozen as the unit's cases stand; without persons to reach in this answer."""

    def do(desk: Desk, act: Act) -> Answer:
        row = filings.submit(desk, act, filing_id, change.version, documents=sent.documents, nil=sent.nil)
        return answer(_whole(desk, row, change.language, contacts=False), version=row["version"])

    return change.make(do)


@router.post("/{filing_id}/return", response_model=FilingGot, responses={**openapi.CHANGES, **openapi.TAGGED})
def return_filing(
    change: Annotated[Change, changing("filings.return", version_of)], filing_id: FilingId, sent: ReturnSent
) -> Response:
    """Send a filing back with the reason: it is owed again."""

    def do(desk: Desk, act: Act) -> Answer:
        row = filings.return_(desk, act, filing_id, change.version, sent.reason)
        return answer(_whole(desk, row, change.language, contacts=False), version=row["version"])

    return change.make(do)
