"""The ledger of sites."""

from typing import Annotated, Any

from fastapi import APIRouter, Path, Request
from sqlalchemy import Connection
from starlette.responses import Response

from service.access import Act, Caller
from service.api import openapi, paging, shown
from service.api.cases import Cursor, Filter, Limit
from service.api.door import Change, Route, answer, answered, changing, reading, running
from service.api.schemas import EnterprisePatch, EnterpriseSent
from service.api.shapes import EnterpriseGot, EnterprisePage
from service.casework import ledger
from service.casework.answers import Answer
from service.casework.desk import Desk
from service.casework.ledger import SiteFacts, UltraLow

router = APIRouter(prefix="/enterprises", tags=["enterprises"], route_class=Route)

SiteId = Annotated[str, Path(max_length=64, description="The id of a site.")]


def version_of(tx: Connection, caller: Caller, path: dict[str, Any]) -> int:
    """The version of the site that a path names. Raises NotFound."""
    version: int = ledger.read(tx, caller, path["site_id"])["version"]
    return version


@router.post("", status_code=201, responses={**openapi.made(EnterpriseGot), **openapi.CREATES})
def enter_site(change: Annotated[Change, changing("enterprises.enter")], sent: EnterpriseSent) -> Response:
    """Enter a site into the ledger."""
    facts = SiteFacts(
        sent.unit,
        sent.name,
        sent.credit_code,
        sent.industry,
        sent.grade,
        sent.permit_no,
        sent.county,
        sent.contact.model_dump(mode="json", exclude_none=True),
        UltraLow(**sent.ultra_low.model_dump()) if sent.ultra_low else UltraLow(),
    )

    def do(desk: Desk, act: Act) -> Answer:
        row = ledger.with_contacts(desk.tx, [ledger.enter(desk, act, facts)])[0]
        return answer(shown.enterprise(row), 201, version=1, location=f"/api/v1/enterprises/{row['id']}")

    return change.make(do)


@router.get("", response_model=EnterprisePage, responses=openapi.LISTS)
def search_sites(
    request: Request,
    caller: Annotated[Caller, reading("enterprises.read")],
    unit: Filter = None,
    q: Filter = None,
    grade: Filter = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> Response:
    """Sites in scope, in the order of entry."""
    process = running(request)
    filters = {"unit": unit, "q": q, "grade": grade}
    after = paging.position(process.cursor_secret, "enterprises", filters, cursor)
    with process.db.reading() as tx:
        rows = ledger.search(
            tx, caller, unit=unit, grade=grade, q=q, limit=limit + 1, after=after[0] if after else None
        )
    return answered(
        request,
        paging.page(
            rows,
            limit,
            shown.enterprise,
            lambda row: paging.cursor(process.cursor_secret, "enterprises", filters, [row["id"]]),
        ),
    )


@router.get("/{site_id}", response_model=EnterpriseGot, responses={**openapi.READS, **openapi.TAGGED})
def read_site(request: Request, caller: Annotated[Caller, reading("enterprises.read")], site_id: SiteId) -> Response:
    """One site."""
    with running(request).db.reading() as tx:
        row = ledger.read(tx, caller, site_id)
    return answered(request, shown.enterprise(row), version=row["version"])


@router.patch("/{site_id}", response_model=EnterpriseGot, responses={**openapi.CHANGES, **openapi.TAGGED})
def amend_site(
    change: Annotated[Change, changing("enterprises.amend", version_of)], site_id: SiteId, sent: EnterprisePatch
) -> Response:
    """Amend facts of a site."""
    patch = sent.model_dump(exclude_unset=True)
    reason = patch.pop("reason", None)

    def do(desk: Desk, act: Act) -> Answer:
        row = ledger.amend_by_id(desk, act, site_id, change.version, patch, reason)
        row = ledger.with_contacts(desk.tx, [row])[0]
        return answer(shown.enterprise(row), version=row["version"])

    return change.make(do)
