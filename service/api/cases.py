"""Cases: list them, read them, amend their facts, and move them by events."""

from dataclasses import replace
from typing import Annotated, Any

from fastapi import APIRouter, Path, Query, Request
from pydantic import Field, TypeAdapter, ValidationError
from pydantic_core import from_json
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from service import access
from service.access import Act, Caller
from service.api import door, openapi, paging, shown
from service.api.door import Calling, Change, Reading, Route, answer, answered, changing, reading, running
from service.api.errors import language_of, problem, reasons_told, told
from service.api.schemas import CasePatch, CaseSent, EventBatch, EventSent, Instant, Sent, SiteSent, Sought
from service.api.shapes import CaseGot, CasePage, EntryPage, MovedGot, OfferList, ResultsGot
from service.casework import audit, cases, listing, moves
from service.casework.answers import Answer
from service.casework.cases import Search
from service.casework.desk import Desk
from service.casework.listing import NewCase, NewSite
from service.casework.moves import Applied, Command
from service.casework.standing import Standing
from service.errors import Malformed, NotFound, ServiceError, WrongMediaType
from service.writer import Wanted
from workflows.faults import from_findings, from_validation

router = APIRouter(prefix="/cases", tags=["cases"], route_class=Route)

CaseId = Annotated[str, Path(max_length=64, description="The id of a case.")]
Limit = Annotated[int, Query(ge=1, le=200)]
Cursor = Annotated[str | None, Query(max_length=400)]
Filter = Annotated[Sought | None, Query()]
_EVENT = TypeAdapter(EventSent)


class CaseBatch(Sent):
    """Up to 1,000 lines, each succeeding or failing alone; with `dry_run` nothing is kept."""

    items: Annotated[list[CaseSent], Field(min_length=1, max_length=1000)]
    dry_run: Annotated[bool, Field(strict=True)] = False


def shown_case(desk: Desk, stands: Standing) -> dict[str, Any]:
    """A case as REST clients see it."""
    return shown.case(stands, desk.lifecycle(stands.case.programme, stands.case.programme_version).programme)


def version_of(tx: Connection, caller: Caller, path: dict[str, Any]) -> int:
    """The version of the case that a path names. Raises NotFound."""
    return cases.read(tx, caller, path["case_id"]).version


def _new_case(sent: CaseSent) -> NewCase:
    facts = sent.model_dump(mode="json", exclude_none=True)
    site: str | NewSite
    if isinstance(sent.enterprise, SiteSent):
        site = NewSite(
            sent.enterprise.name,
            sent.enterprise.credit_code,
            sent.enterprise.permit_no,
            sent.enterprise.county,
            sent.enterprise.contact.model_dump(mode="json", exclude_none=True),
        )
    else:
        site = sent.enterprise
    for name in ("programme", "unit", "enterprise", "ultra_low", "reason"):
        facts.pop(name, None)
    ultra_low = sent.ultra_low.model_dump(exclude_none=True) if sent.ultra_low else None
    return NewCase(sent.programme, sent.unit, site, facts, ultra_low, sent.reason)


@router.post("", status_code=201, responses={**openapi.made(CaseGot), **openapi.CREATES})
def list_case(change: Annotated[Change, changing("cases.list", kind="list")], sent: CaseSent) -> Response:
    """List a voluntary enterprise (附件1, 二（二）)."""

    def do(desk: Desk, act: Act) -> Answer:
        (outcome,) = listing.list_cases(desk, act, [_new_case(sent)])
        if isinstance(outcome, ServiceError):
            raise outcome
        stands = outcome.standing
        return answer(shown_case(desk, stands), 201, version=1, location=f"/api/v1/cases/{stands.case.id}")

    return change.make(do)


@router.post("/batch", response_model=ResultsGot, responses=openapi.BATCHES)
def list_many(change: Annotated[Change, changing("cases.list", kind="list")], sent: CaseBatch) -> Response:
    """List up to 1,000 enterprises, each succeeding or failing alone."""

    def do(desk: Desk, act: Act) -> Answer:
        items = [_new_case(item) for item in sent.items]
        outcomes = listing.list_cases(desk, act, items, dry_run=sent.dry_run)
        return answer(_results(outcomes, change.language, dry_run=sent.dry_run))

    return change.make(do)


def _results(outcomes: list[Applied | ServiceError], language: str, *, dry_run: bool = False) -> dict[str, Any]:
    results: list[dict[str, Any]] = []
    for index, outcome in enumerate(outcomes):
        if isinstance(outcome, ServiceError):
            results.append(
                {"index": index, "ok": False, "errors": reasons_told(outcome, language), "code": outcome.code}
            )
        elif dry_run:
            results.append({"index": index, "ok": True})
        else:
            entry = {"id": outcome.entry_id, "hash": outcome.entry_hash}
            stands = outcome.standing
            results.append(
                {
                    "index": index, "ok": True, "id": stands.case.id, "version": stands.version, "entry": entry,
                    "state": stands.case.state,
                }
            )  # fmt: skip
    return {"results": results}


@router.get("", response_model=CasePage, responses=openapi.LISTS)
def search_cases(
    request: Request,
    caller: Annotated[Caller, reading("cases.read")],
    programme: Filter = None,
    unit: Filter = None,
    state: Filter = None,
    industry: Filter = None,
    target_grade: Filter = None,
    current_grade: Filter = None,
    enterprise: Filter = None,
    overdue: bool | None = None,
    q: Filter = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Cases in scope, in the order of listing."""
    process = running(request)
    wanted = Search(programme, unit, state, industry, target_grade, current_grade, enterprise, overdue, q)
    filters = {name: getattr(wanted, name) for name in Search.__slots__}
    after = paging.position(process.cursor_secret, "cases", filters, cursor)
    with process.db.reading() as tx:
        here = Reading(process, tx, caller, request)
        desk = here.desk
        rows = cases.search(tx, caller, wanted, here.now, limit + 1, after[0] if after else None)
        return answered(
            request,
            paging.page(
                rows,
                limit,
                lambda stands: shown_case(desk, stands),
                lambda stands: paging.cursor(process.cursor_secret, "cases", filters, [stands.case.id]),
            ),
        )


@router.post("/events", response_model=ResultsGot, responses=openapi.BATCHES)
def move_many(
    change: Annotated[Change, changing("cases.move")],
    sent: EventBatch,
    dry_run: Annotated[bool, Query(description="Decide, change nothing.")] = False,
) -> Response:
    """Up to 1,000 events in order; each carries the version of its case."""

    def do(desk: Desk, act: Act) -> Answer:
        commands = [
            Command(act, item.case, item.event, item.data, frozenset({item.version}), item.reason)
            for item in sent.items
        ]
        outcomes = moves.apply_events(desk, commands, all_or_nothing=sent.all_or_nothing, dry_run=dry_run)
        if sent.all_or_nothing and any(isinstance(outcome, ServiceError) for outcome in outcomes):
            outcomes = [outcome if isinstance(outcome, ServiceError) else moves.NotApplied() for outcome in outcomes]
        return answer(_results(outcomes, change.language, dry_run=dry_run))

    return change.make(do)


@router.get("/{case_id}", response_model=CaseGot, responses={**openapi.READS, **openapi.TAGGED})
def read_case(
    request: Request,
    caller: Annotated[Caller, reading("cases.read")],
    case_id: CaseId,
    as_of: Annotated[Instant | None, Query(description="As it was at this instant.")] = None,
) -> Response:
    """One case, as it is or was."""
    process = running(request)
    with process.db.reading() as tx:
        desk = Desk(tx, process.books)
        stands = cases.read(tx, caller, case_id) if as_of is None else cases.read_as_of(tx, caller, case_id, as_of)
        return answered(request, shown_case(desk, stands), version=stands.version)


async def as_it_is(request: Request, caller: Caller, case_id: str) -> Response:
    """One case, as it is."""
    access.require(caller, "cases.read")
    stands = await request.app.state.looks.case(case_id)
    if stands is None or not caller.sees(unit=stands.case.unit, case=case_id, enterprise=stands.case.enterprise):
        raise NotFound
    books = running(request).books
    programme = books.programmes.known(stands.case.programme, stands.case.programme_version).programme
    return answered(request, shown.case(stands, programme), version=stands.version)


@router.patch("/{case_id}", response_model=CaseGot, responses={**openapi.CHANGES, **openapi.TAGGED})
def amend_case(
    change: Annotated[Change, changing("cases.amend", version_of)], case_id: CaseId, sent: CasePatch
) -> Response:
    """Amend facts of a case; its state stays."""
    patch = sent.model_dump(exclude_unset=True)
    reason = patch.pop("reason", None)

    def do(desk: Desk, act: Act) -> Answer:
        stands = cases.amend(desk, act, case_id, change.version, patch, reason)
        return answer(shown_case(desk, stands), version=stands.version)

    return change.make(do)


@router.get("/{case_id}/offers", response_model=OfferList, responses={**openapi.READS, **openapi.TAGGED})
def read_offers(request: Request, caller: Annotated[Caller, reading("cases.read")], case_id: CaseId) -> Response:
    """Every event that leads on from the case's state, with every reason against it."""
    process = running(request)
    with process.db.reading() as tx:
        here = Reading(process, tx, caller, request)
        stands = cases.read(tx, caller, case_id)
        offers = moves.offers(here.desk, Act(caller, here.now), stands)
        language = here.language
    items = [
        {
            "event": offer.event.name,
            "title": offer.event.title.get(language),
            "allowed": offer.allowed,
            "needs_reason": offer.needs_reason,
            "flag": offer.flag,
            "reasons": [told(reason, language) for reason in offer.reasons],
        }
        for offer in offers
    ]
    return answered(request, {"items": items}, version=stands.version)


@router.get("/{case_id}/history", response_model=EntryPage, responses={**openapi.READS, **openapi.TAGGED})
def read_history(request: Request, caller: Annotated[Caller, reading("cases.read")], case_id: CaseId) -> Response:
    """The audit entries of a case, oldest first."""
    process = running(request)
    with process.db.reading() as tx:
        stands = cases.read(tx, caller, case_id)
        rows = audit.history(tx, "case", case_id)
    return answered(request, {"items": shown.history(rows), "next": None}, version=stands.version)


@router.post(
    "/{case_id}/events",
    response_model=MovedGot,
    responses={**openapi.CHANGES, **openapi.TAGGED},
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/EventSent"}}},
        },
    },
)
async def move_case(
    request: Request,
    caller: Calling,
    case_id: CaseId,
    dry_run: Annotated[bool, Query(description="Decide, change nothing.")] = False,
) -> Response:
    """Move a case by one event. Waiting events are applied together, each in its own right."""
    if not dry_run:
        return await moved(request, caller, case_id)
    wanted = _wanted(request, caller, case_id, await request.body())
    tried = await run_in_threadpool(_tried, request, wanted)
    if (would_be := tried.headers.get("ETag")) is not None:
        # Nothing was changed: what a client sends back is the version that stands, not the one that would be.
        tried = replace(tried, headers={**tried.headers, "ETag": f'"{int(would_be.strip(chr(34))) - 1}"'})
    return _response(tried)


async def moved(request: Request, caller: Caller, case_id: str) -> Response:
    """Hand the event to the writer, and what it says to the client."""
    wanted = _wanted(request, caller, case_id, await request.body())
    return _response(await request.app.state.writer.submit(wanted))


def _response(reply: Answer) -> Response:
    return Response(reply.body, reply.status, dict(reply.headers))


def _wanted(request: Request, caller: Caller, case_id: str, body: bytes) -> Wanted:
    sent, malformed = _event_of(request, body)
    versions = door.wanted_versions(request.headers.get("if-match"))
    language = language_of(request.headers.get("accept-language"))
    books = running(request).books

    def render(outcome: Applied | ServiceError) -> Answer:
        if isinstance(outcome, ServiceError):
            return problem(outcome, language=language, instance=request.url.path)
        case = outcome.standing.case
        programme = books.programmes.known(case.programme, case.programme_version).programme
        content = {
            "case": shown.case(outcome.standing, programme),
            "entry": {"id": outcome.entry_id, "hash": outcome.entry_hash},
        }
        return answer(content, version=outcome.standing.version)

    return Wanted(
        caller=caller,
        arrived=request.scope.get("jinji_arrived"),
        request_id=request.scope.get("jinji_request_id", ""),
        case=case_id,
        event=sent.event if sent else None,
        data=sent.data if sent else None,
        reason=sent.reason if sent else None,
        versions=versions,
        malformed=malformed,
        key=door.idempotency_key(request, caller.id, body),
        render=render,
    )


def _event_of(request: Request, body: bytes) -> tuple[EventSent | None, ServiceError | None]:
    if unknown := door.unknown_query(request):
        return None, unknown
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        return None, WrongMediaType()
    try:
        return _EVENT.validate_python(from_json(body, allow_inf_nan=False)), None
    except ValidationError as error:
        return None, Malformed(*from_validation(error))
    except ValueError:
        return None, Malformed(*from_findings([{"type": "json_invalid", "loc": (), "msg": ""}]))


def _tried(request: Request, wanted: Wanted) -> Answer:
    process = running(request)
    with process.db.reading() as tx:
        now = process.clock.now(tx, wanted.arrived)
        command = wanted.command(now, None)
        (outcome,) = moves.apply_events(Desk(tx, process.books), [command], dry_run=True)
    return wanted.render(outcome)
