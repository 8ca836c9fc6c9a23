"""Notices opened by units, the decision of objections, and what the public sees and says without a token."""

import hmac
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Request
from pydantic_core import from_json, to_json
from sqlalchemy import Connection
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from service.access import Act, Caller
from service.api import openapi, paging, shown
from service.api.cases import Cursor, Filter, Limit
from service.api.door import (
    Change,
    Reading,
    Route,
    answer,
    answered,
    changing,
    idempotency_key,
    reading,
    require_known_query,
    require_unanswered,
    running,
)
from service.api.errors import language_of
from service.api.schemas import DecisionSent, NoticeSent, ObjectionSent, ObjectionState
from service.api.shapes import (
    NoticeGot,
    NoticePage,
    ObjectionGot,
    ObjectionPage,
    PublicObjectionGot,
    ReceiptGot,
    RecognisedPage,
)
from service.casework import moves, notices, objections
from service.casework.answers import Answer, Key
from service.casework.desk import Desk
from service.casework.moves import Command
from service.casework.standing import Standing
from service.errors import EventRefused, Malformed, NotFound, NotYourRole, ServiceError, VersionStale
from service.running import Running
from service.writer import Replayed
from workflows.faults import fault

router = APIRouter(tags=["notices"], route_class=Route)
public = APIRouter(prefix="/public", tags=["public"], route_class=Route)

NoticeId = Annotated[str, Path(max_length=64)]
ObjectionId = Annotated[str, Path(max_length=64)]


@router.post("/notices", status_code=201, responses={**openapi.made(NoticeGot), **openapi.PUBLISHES})
def open_notice(change: Annotated[Change, changing("notices.open", kind="publish")], sent: NoticeSent) -> Response:
    """Publish cases of one unit in one notice: all of them, or none."""

    def do(desk: Desk, act: Act) -> Answer:
        notice_id = _publish(desk, act, sent)
        row = notices.read(desk.tx, notice_id)
        return answer(shown.notice(row, act.at), 201, version=1, location=f"/api/v1/public/notices/{notice_id}")

    return change.make(do)


def _publish(desk: Desk, act: Act, sent: NoticeSent) -> str:
    ids = [item.case for item in sent.cases]
    if len(set(ids)) < len(ids):
        raise Malformed(fault("repeated_case", "cases", "同一企业重复列出", "a case stands more than once"))
    notice_id = desk.chance.id(act.at)
    event = moves.event_of_kind(desk, act.caller, ids[0], "publish")
    commands = [Command(act, item.case, event, {}, frozenset({item.version}), sent.reason) for item in sent.cases]
    outcomes = moves.apply_events(desk, commands, all_or_nothing=True, notice=notice_id)
    failed = [(index, outcome) for index, outcome in enumerate(outcomes) if isinstance(outcome, ServiceError)]
    if not failed:
        return notice_id
    for kind in (NotFound, NotYourRole, VersionStale):  # the order of errors holds for all of them together
        for _, outcome in failed:
            if isinstance(outcome, kind):
                raise outcome
    for _, outcome in failed:
        if not isinstance(outcome, EventRefused):
            raise outcome
    reasons = tuple(
        replace(reason, field=f"cases[{index}].{reason.field or 'case'}")
        for index, outcome in failed
        for reason in outcome.reasons
    )
    raise EventRefused(None, reasons)


def version_of_objection(tx: Connection, caller: Caller, path: dict[str, Any]) -> int:
    """The version of the objection that a path names. Raises NotFound."""
    version: int = objections.read(tx, caller, path["objection_id"])["version"]
    return version


@router.get("/objections", response_model=ObjectionPage, responses=openapi.LISTS)
def search_objections(
    request: Request,
    caller: Annotated[Caller, reading("objections.read")],
    state: ObjectionState | None = None,
    unit: Filter = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Objections in scope; who objected is shown only to those who decide."""
    process = running(request)
    filters = {"state": state, "unit": unit}
    after = paging.position(process.cursor_secret, "objections", filters, cursor)
    with process.db.reading() as tx:
        rows = objections.search(tx, caller, state=state, unit=unit, limit=limit + 1, after=after[0] if after else None)
    return answered(
        request,
        paging.page(
            rows,
            limit,
            shown.objection,
            lambda row: paging.cursor(process.cursor_secret, "objections", filters, [row["id"]]),
        ),
    )


@router.get("/objections/{objection_id}", response_model=ObjectionGot, responses={**openapi.READS, **openapi.TAGGED})
def read_objection(
    request: Request, caller: Annotated[Caller, reading("objections.read")], objection_id: ObjectionId
) -> Response:
    """One objection."""
    with running(request).db.reading() as tx:
        row = objections.read(tx, caller, objection_id)
    return answered(request, shown.objection(row), version=row["version"])


@router.post(
    "/objections/{objection_id}/decide",
    response_model=ObjectionGot,
    responses={**openapi.CHANGES, **openapi.TAGGED},
)
def decide_objection(
    change: Annotated[Change, changing("objections.decide", version_of_objection)],
    objection_id: ObjectionId,
    sent: DecisionSent,
) -> Response:
    """Decide an objection; upheld, the case is rejected in the same transaction."""

    def do(desk: Desk, act: Act) -> Answer:
        row = objections.decide(desk, act, objection_id, change.version, upheld=sent.upheld, finding=sent.finding)
        return answer(shown.objection(row), version=row["version"])

    return change.make(do)


# --- without a token --------------------------------------------------------------------------------------------------


def within_limit(request: Request) -> None:
    """Raises TooManyRequests beyond the limit for callers without a token, by their address."""
    address = request.client.host if request.client else "unknown"
    request.app.state.limits.take(address, objecting=request.method == "POST")
    if request.method == "GET":
        require_known_query(request)


@public.get("/notices", response_model=NoticePage, responses=openapi.PUBLIC_LISTS, dependencies=[Depends(within_limit)])
def public_notices(request: Request, unit: Filter = None, cursor: Cursor = None, limit: Limit = 50) -> Response:
    """Notices, newest first."""
    process = running(request)
    filters = {"unit": unit}
    after = paging.position(process.cursor_secret, "notices", filters, cursor)
    with process.db.reading() as tx:
        now = process.clock.now(tx)
        rows = notices.search(tx, unit, limit + 1, after[0] if after else None)
    return answered(
        request,
        paging.page(
            rows,
            limit,
            lambda row: shown.notice(row, now),
            lambda row: paging.cursor(process.cursor_secret, "notices", filters, [row["id"]]),
        ),
    )


@public.get(
    "/notices/{notice_id}",
    response_model=NoticeGot,
    responses={**openapi.PUBLIC, **openapi.TAGGED},
    dependencies=[Depends(within_limit)],
)
def public_notice(request: Request, notice_id: NoticeId) -> Response:
    """One notice with its entries."""
    process = running(request)
    with process.db.reading() as tx:
        row = notices.read(tx, notice_id)
        return answered(request, shown.notice(row, process.clock.now(tx)), version=row["version"])


async def objecting(request: Request, notice_id: NoticeId, limit: Annotated[None, Depends(within_limit)]) -> Key | None:
    """What comes before the body in the order of errors: the limit, the notice, a repeated key."""
    scope = f"public:{notice_id}:{_whose(request)}"
    key = idempotency_key(request, scope, await request.body())
    with _receipt_told(running(request), key):
        await run_in_threadpool(_come_in, running(request), notice_id, key)
    require_known_query(request)
    return key


def _whose(request: Request) -> str:
    """Whose key it is, where nobody has a token: an address, kept only in a form that tells it to nobody."""
    address = request.client.host if request.client else ""
    return hmac.new(running(request).cursor_secret, address.encode(), "sha256").hexdigest()[:16]


def _receipt_of(process: Running, key: Key) -> str:
    """The receipt that a request with a key has whenever it comes: so it need not be kept to be told again."""
    said = "\n".join(("receipt", key.scope, key.fingerprint, key.key))
    return hmac.new(process.cursor_secret, said.encode(), "sha256").hexdigest()[:40]


def _with_receipt(kept: Answer, receipt: str) -> Answer:
    """The answer as it is kept, with the receipt that is not."""
    if kept.status != HTTPStatus.CREATED:
        return kept
    headers = {**kept.headers, "Location": f"/api/v1/public/objections/{receipt}"}
    return Answer(kept.status, headers, to_json({**from_json(kept.body), "receipt": receipt}))


@contextmanager
def _receipt_told(process: Running, key: Key | None) -> Iterator[None]:
    try:
        yield
    except Replayed as kept:
        assert key is not None
        raise Replayed(_with_receipt(kept.answer, _receipt_of(process, key))) from None


def _come_in(process: Running, notice_id: str, key: Key | None) -> None:
    with process.db.reading() as tx:
        notices.read(tx, notice_id)
        if key is not None:
            require_unanswered(key, tx)


@public.post(
    "/notices/{notice_id}/objections",
    status_code=201,
    responses={**openapi.made(ReceiptGot, tagged=False), **openapi.PUBLIC_CREATES},
)
async def lodge_objection(
    request: Request,
    notice_id: NoticeId,
    sent: ObjectionSent,
    key: Annotated[Key | None, Depends(objecting)],
) -> Response:
    """Object to one entry of a running notice; the receipt follows the objection and is shown once."""
    language = language_of(request.headers.get("accept-language"))
    change = Change(running(request), objections.PUBLIC, request, 0, key, language)

    receipt = _receipt_of(change.process, key) if key else change.process.books.chance.hex(160)

    def do(desk: Desk, act: Act) -> Answer:
        contact = sent.contact.model_dump(mode="json", exclude_none=True) if sent.contact else None
        try:  # the same request after its answer was forgotten
            row = objections.by_receipt(desk.tx, receipt)
        except NotFound:
            row = objections.lodge(
                desk, act.at, act.request_id, notice_id, sent.case, sent.reasons, contact, receipt=receipt
            )
        return answer({"receipt": None, "due_on": row["due_on"], "state": "open"}, 201)

    with _receipt_told(change.process, key):
        made = await run_in_threadpool(change.make, do)
    headers = {name: value for name, value in made.headers.items() if name != "content-length"}
    told = _with_receipt(Answer(made.status_code, headers, bytes(made.body)), receipt)
    return Response(told.body, told.status, dict(told.headers))


@public.get(
    "/objections/{receipt}",
    response_model=PublicObjectionGot,
    responses=openapi.PUBLIC,
    dependencies=[Depends(within_limit)],
)
def public_objection(request: Request, receipt: Annotated[str, Path(max_length=64)]) -> Response:
    """What became of an objection, by its receipt."""
    process = running(request)
    with process.db.reading() as tx:
        row = objections.by_receipt(tx, receipt)
    content = {
        "state": row["state"],
        "notice": row["notice"],
        "case": row["case_id"],
        "lodged_at": shown.instant(row["lodged_at"]),
        "due_on": row["due_on"],
        "decided_at": shown.instant(row["decided_at"]),
        "finding": row["finding"],
    }
    return answered(request, content)


@public.get(
    "/results", response_model=RecognisedPage, responses=openapi.PUBLIC_LISTS, dependencies=[Depends(within_limit)]
)
def public_results(
    request: Request,
    programme: Filter = None,
    grade: Filter = None,
    unit: Filter = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Who was recognised in which grade, with the entitlement that it carries (W7)."""
    process = running(request)
    filters = {"programme": programme, "grade": grade, "unit": unit}
    after = paging.position(process.cursor_secret, "results", filters, cursor)
    with process.db.reading() as tx:
        here = Reading(process, tx, objections.PUBLIC, request)
        desk, language = here.desk, here.language
        rows = notices.recognised(
            tx, programme=programme, unit=unit, grade=grade, limit=limit + 1, after=after[0] if after else None
        )

        def result(stands: Standing) -> dict[str, Any]:
            lifecycle = desk.lifecycle(stands.case.programme, stands.case.programme_version)
            reached = lifecycle.programme.grade_by_id[stands.case.grade_reached or stands.case.target_grade]
            return {
                "programme": stands.case.programme,
                "unit": stands.case.unit,
                "enterprise": stands.row["site_name"],
                "credit_code": stands.row["site_credit_code"],
                "industry": stands.case.industry,
                "current_grade": stands.case.current_grade,
                "grade": reached.id,
                "grade_name": reached.name.get(language),
                "recognised_at": shown.instant(stands.case.recognised_at),
                "entitlement": reached.entitlement.get(language) if reached.entitlement else None,
            }

        return answered(
            request,
            paging.page(
                rows,
                limit,
                result,
                lambda stands: paging.cursor(process.cursor_secret, "results", filters, [stands.case.id]),
            ),
        )
