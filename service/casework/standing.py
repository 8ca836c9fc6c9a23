"""A case as it stands in a transaction: its row, its facts, and what the ledger says of its site."""

from dataclasses import dataclass, field
from typing import Any

from pydantic_core import from_json
from sqlalchemy import select

from service.storage.tables import CaseRow, Enterprise, table
from workflows.case import Case, load
from workflows.facts import Site

_CASES, _SITES = table(CaseRow), table(Enterprise)

_SITE_COLUMNS = (
    _SITES.c.name.label("site_name"),
    _SITES.c.credit_code.label("site_credit_code"),
    _SITES.c.permit_no.label("site_permit_no"),
    _SITES.c.county.label("site_county"),
    _SITES.c.ultra_low_completed_on.label("site_completed_on"),
    _SITES.c.ultra_low_publicised_on.label("site_publicised_on"),
)
WITH_SITE = select(_CASES, *_SITE_COLUMNS).join(_SITES, _SITES.c.id == _CASES.c.enterprise)


@dataclass(slots=True)
class Standing:
    """A case as it stands."""

    row: dict[str, Any]
    case: Case
    document: dict[str, Any]
    owes: list[dict[str, Any]] = field(default_factory=list)  # rows of obligations that its newest change brought
    entries: list[dict[str, Any]] = field(
        default_factory=list
    )  # of its history, decided in this batch and not written yet

    @property
    def version(self) -> int:
        """The number of entries in the case's history."""
        version: int = self.row["version"]
        return version

    @property
    def site(self) -> Site:
        """What the rules may know of the site."""
        return Site(self.row["site_completed_on"], self.row["site_publicised_on"])


def standing(row: Any) -> Standing:
    """A row of WITH_SITE, read."""
    document = from_json(row["facts"])
    return Standing(dict(row), load(document), document)
