"""Contacts of units and of the province: listed, entered, amended, removed by those whose they are."""

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request
from sqlalchemy import Connection
from starlette.responses import Response

from service.access import Act, Caller
from service.api import openapi, paging
from service.api.cases import Cursor, Filter, Limit
from service.api.contact_shapes import (
    ConfirmationSent,
    Duty,
    UnitContactGot,
    UnitContactPage,
    UnitContactPatch,
    UnitContactSent,
)
from service.api.door import (
    Calling,
    Change,
    Route,
    answer,
    answered,
    changing,
    reading,
    running,
    wanted_versions,
)
from service.api.shown import instant
from service.casework import contacts
from service.casework.answers import Answer
from service.casework.contacts import ContactFacts
from service.casework.desk import Desk

router = APIRouter(prefix="/contacts", tags=["contacts"], route_class=Route)

ContactId = Annotated[str, Path(max_length=64, description="The id of a contact.")]


def version_of(tx: Connection, caller: Caller, path: dict[str, Any]) -> int:
    """The version of the contact that a path names. Raises NotFound."""
    version: int = contacts.read(tx, caller, path["contact_id"])["version"]
    return version


def kept_by_caller(request: Request, calling: Calling, contact_id: ContactId) -> None:
    """Asked before anything else of a change: the province sees every contact, and keeps none but its own."""
    process = running(request)
    with process.db.reading() as tx:
        contacts.require_keeper(Desk(tx, process.books), calling, contacts.read(tx, calling, contact_id)["unit"])


def _shown(tx: Connection, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    people = {contact.id: contact for contact in contacts.known(tx, rows)}
    return [
        {
            "id": row["id"],
            "unit": row["unit"],
            "duty": row["duty"],
            "name": people[row["id"]].name,
            "email": people[row["id"]].email,
            "language": row["language"],
            "digest": row["digest"],
            "muted": people[row["id"]].muted,
            "confirmed_at": instant(row["confirmed_at"]),
            "version": row["version"],
        }
        for row in rows
        if row["id"] in people
    ]


@router.get("", response_model=UnitContactPage, responses=openapi.LISTS)
def search_contacts(
    request: Request,
    caller: Annotated[Caller, reading("contacts.read")],
    unit: Filter = None,
    duty: Annotated[Duty | None, Query()] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Contacts in scope, in the order of entry."""
    process = running(request)
    filters = {"unit": unit, "duty": duty}
    after = paging.position(process.cursor_secret, "contacts", filters, cursor)
    with process.db.reading() as tx:
        rows = contacts.search(tx, caller, unit=unit, duty=duty, limit=limit + 1, after=after[0] if after else None)
        shown = {each["id"]: each for each in _shown(tx, rows)}
    return answered(
        request,
        paging.page(
            rows,
            limit,
            lambda row: shown[row["id"]],
            lambda row: paging.cursor(process.cursor_secret, "contacts", filters, [row["id"]]),
        ),
    )


@router.post("", status_code=201, responses={**openapi.made(UnitContactGot), **openapi.CREATES})
def enter_contact(change: Annotated[Change, changing("contacts.keep")], sent: UnitContactSent) -> Response:
    """Enter a contact of a unit, or of the province."""
    facts = ContactFacts(**{**sent.model_dump(), "muted": tuple(sent.muted)})

    def do(desk: Desk, act: Act) -> Answer:
        row = contacts.enter(desk, act, facts)
        (shown,) = _shown(desk.tx, [row])
        return answer(shown, 201, version=1, location=f"/api/v1/contacts/{row['id']}")

    return change.make(do)


@router.get("/{contact_id}", response_model=UnitContactGot, responses={**openapi.READS, **openapi.TAGGED})
def read_contact(
    request: Request, caller: Annotated[Caller, reading("contacts.read")], contact_id: ContactId
) -> Response:
    """One contact."""
    with running(request).db.reading() as tx:
        row = contacts.read(tx, caller, contact_id)
        (shown,) = _shown(tx, [row])
    return answered(request, shown, version=row["version"])


@router.patch(
    "/{contact_id}",
    response_model=UnitContactGot,
    responses={**openapi.CHANGES, **openapi.TAGGED},
    dependencies=[Depends(kept_by_caller)],
)
def amend_contact(
    change: Annotated[Change, changing("contacts.keep", version_of)], contact_id: ContactId, sent: UnitContactPatch
) -> Response:
    """Amend a contact; another address has to be confirmed anew."""
    patch = sent.model_dump(exclude_unset=True)
    reason = patch.pop("reason", None)

    def do(desk: Desk, act: Act) -> Answer:
        row = contacts.amend(desk, act, contact_id, change.version, patch, reason)
        (shown,) = _shown(desk.tx, [row])
        return answer(shown, version=row["version"])

    return change.make(do)


@router.post(
    "/{contact_id}/confirm",
    response_model=UnitContactGot,
    responses={**openapi.CHANGES, **openapi.TAGGED},
    dependencies=[Depends(kept_by_caller)],
)
def confirm_contact(
    change: Annotated[Change, changing("contacts.keep", version_of)], contact_id: ContactId, sent: ConfirmationSent
) -> Response:
    """Without a code: mail one to the address. With that code: the address is confirmed."""
    links = change.process.post.links

    def do(desk: Desk, act: Act) -> Answer:
        if sent.code is None:
            row = contacts.send_code(desk, act, contact_id, change.version, links)
        else:
            row = contacts.confirm(desk, act, contact_id, change.version, sent.code)
        (shown,) = _shown(desk.tx, [row])
        return answer(shown, version=row["version"])

    return change.make(do)


@router.delete(
    "/{contact_id}",
    response_model=UnitContactGot,
    responses={**openapi.problems(401, 403, 404, 412, 422), **openapi.TAGGED},
    dependencies=[Depends(kept_by_caller)],
)
def remove_contact(
    request: Request, change: Annotated[Change, changing("contacts.keep")], contact_id: ContactId
) -> Response:
    """Take a contact away, as it stands or, with If-Match, in that version only; its history stays."""
    versions = wanted_versions(request.headers.get("if-match"))

    def do(desk: Desk, act: Act) -> Answer:
        row = contacts.remove(desk, act, contact_id, versions)
        (shown,) = _shown(desk.tx, [row])
        return answer(shown, version=row["version"])

    return change.make(do)
