"""STUB."""

from dataclasses import dataclass

from pydantic_core import from_json
from sqlalchemy import select

from service.casework import private
from service.storage.tables import Contact, table

_C = table(Contact)


@dataclass(frozen=True, slots=True)
class ContactInfo:
    id: str
    unit: str
    duty: str
    name: str
    email: str
    language: str
    digest: bool
    muted: frozenset[str]


def directory(tx, units):
    rows = list(tx.execute(select(_C).where(_C.c.unit.in_(units), _C.c.removed_at.is_(None)).order_by(_C.c.id)))
    people = private.read(tx, {r.person for r in rows})
    out = {}
    for r in rows:
        out.setdefault(r.unit, []).append(
            ContactInfo(
                r.id,
                r.unit,
                r.duty,
                people[r.person]["name"],
                people[r.person]["email"],
                r.language,
                r.digest,
                frozenset(from_json(r.muted)),
            )
        )
    return out
