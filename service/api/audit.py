"""The audit: asked by thing, actor, unit, action, time; as pages, NDJSON or CSV; and verified."""

import csv
import io
import unicodedata
from collections.abc import Iterator
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from pydantic_core import to_json
from starlette.responses import Response, StreamingResponse

from service.access import Caller
from service.api import openapi, paging, shown
from service.api.cases import Cursor, Filter, Limit
from service.api.door import Route, answered, reading, running
from service.api.schemas import Instant, Sought
from service.api.shapes import EntryPage, VerifiedGot
from service.casework import audit, verification
from service.casework.audit import Query as AuditQuery
from service.running import Running
from workflows.values import is_shown

router = APIRouter(prefix="/audit", tags=["audit"], route_class=Route)

NDJSON, CSV = "application/x-ndjson", "text/csv"
_HEAD = (
    "id", "at", "actor_id", "actor_name", "actor_role", "unit", "action", "subject_type", "subject_id", "version",
    "reason", "data", "changes", "prev", "hash", "request_id",
)  # fmt: skip


@router.get(
    "",
    response_model=EntryPage,
    responses={
        200: {
            "description": "A page; or, by Accept, the whole answer to the query as a stream.",
            "content": {NDJSON: {"schema": {"type": "string"}}, CSV: {"schema": {"type": "string"}}},
        },
        **openapi.LISTS,
    },
)
def search_audit(
    request: Request,
    caller: Annotated[Caller, reading("audit.read")],
    subject_type: Filter = None,
    subject: Filter = None,
    actor: Filter = None,
    unit: Filter = None,
    action: Filter = None,
    from_: Annotated[Instant | None, Query(alias="from")] = None,
    to: Instant | None = None,
    request_id: Filter = None,
    q: Filter = None,
    about: Annotated[
        Sought | None,
        Query(
            description="The id of a thing: its entries, and those of what hangs on it: cases of a site; requests, "
            "objections and notices of a case or site; objections of a notice; what is owed for any of them."
        ),
    ] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Entries in scope, newest first."""
    process = running(request)
    query = AuditQuery(subject_type, subject, actor, unit, action, from_, to, request_id, q, about)
    wanted = request.headers.get("accept", "")
    if NDJSON in wanted:
        return StreamingResponse(_ndjson(process, caller, query), media_type=NDJSON)
    if CSV in wanted:
        return StreamingResponse(_csv(process, caller, query), media_type=f"{CSV}; charset=utf-8")
    filters = {name: getattr(query, name) for name in AuditQuery.__slots__}
    after = paging.position(process.cursor_secret, "audit", filters, cursor)
    with process.db.reading() as tx:
        rows = audit.page(tx, caller, query, limit + 1, audit.place(after) if after else None)
    return answered(
        request,
        paging.page(
            rows,
            limit,
            shown.entry,
            lambda row: paging.cursor(process.cursor_secret, "audit", filters, [row["at"].isoformat(), row["seq"]]),
        ),
    )


def _ndjson(process: Running, caller: Caller, query: AuditQuery) -> Iterator[bytes]:
    for row in audit.stream(process.db.reading, caller, query):
        yield to_json(shown.entry(row)) + b"\n"


def _csv(process: Running, caller: Caller, query: AuditQuery) -> Iterator[str]:
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL)  # else a blank before a sign lets some spreadsheets in
    buffer.write("\ufeff")  # so that Excel reads it as UTF-8
    writer.writerow(_HEAD)
    for row in audit.stream(process.db.reading, caller, query):
        values: dict[str, Any] = {**row, "id": audit.entry_id(row), "at": shown.instant(row["at"])}
        writer.writerow([_cell(values[name]) for name in _HEAD])
        yield buffer.getvalue()
        buffer.seek(0)
        buffer.truncate()
    yield buffer.getvalue()


def _cell(value: Any) -> Any:
    """A cell that no spreadsheet takes for a formula, however wide its first sign is and whatever unseen is before it."""
    if not isinstance(value, str):
        return value
    seen = "".join(filter(is_shown, unicodedata.normalize("NFKC", value))).lstrip()
    return f"'{value}" if seen.startswith(("=", "+", "-", "@")) or value[:1] in ("\t", "\r", "\n") else value


@router.get("/verify", response_model=VerifiedGot, responses=openapi.LISTS)
def verify_audit(
    request: Request, caller: Annotated[Caller, reading("audit.verify")], subject: Filter = None
) -> Response:
    """Check every chain in scope, or one thing's: each hash, each link, no gap, and the head at its end."""
    process = running(request)
    with process.verifying(), process.db.reading() as tx:
        entries, broken = verification.verify(tx, caller, subject)
    found = [
        {"subject": {"type": each.subject_type, "id": each.subject_id}, "version": each.version, "what": each.what}
        for each in broken
    ]
    return answered(request, {"ok": not found, "entries": entries, "broken": found})
