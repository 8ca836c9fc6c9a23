"""Whom a rung of a ladder means: officers by unit and duty, the handler, the enterprise, and the province where nobody else is."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select

from service.casework import contacts, private
from service.casework.desk import Desk
from service.storage.tables import Enterprise, table
from workflows.persons import folded
from workflows.programme import Programme

_SITES = table(Enterprise)


@dataclass(frozen=True, slots=True)
class Addressee:
    """Somebody to tell: `id` says who it is (`contact:<id>`, `site:<id>`), however the address changes."""

    id: str
    unit: str
    name: str
    email: str
    language: str = "zh"
    digest: bool = True
    muted: frozenset[str] = frozenset()


class Directory:
    """Who may have to be told of these obligations."""

    def __init__(self, desk: Desk, rows: Sequence[Mapping[str, Any]]) -> None:
        programmes = [desk.lifecycle(row["programme"], row["programme_version"]).programme for row in rows]
        units = {row["unit"] for row in rows} | {row["area"] for row in rows}
        units |= {programme.province.code for programme in programmes}
        found = contacts.directory(desk.tx, units)
        self._by_unit = {
            unit: [(each.duty, Addressee(
                f"contact:{each.id}", unit, each.name, each.email, each.language, each.digest, frozenset(each.muted)
            )) for each in people]
            for unit, people in found.items()
        }  # fmt: skip
        self._handlers = {to.id: to for people in self._by_unit.values() for _, to in people}
        self.names = {id_.removeprefix("contact:"): to.name for id_, to in self._handlers.items()}
        self._sites = sites(desk.tx, {row["enterprise"] for row in rows if row["enterprise"]})

    def known(self, person: str) -> Addressee | None:
        """Somebody by the `id` of an addressee; None who has been removed, or has no address any more."""
        site = self._sites.get(person.removeprefix("site:"), ())
        return self._handlers.get(person) or next(iter(site), None)

    def people(self, programme: Programme, row: Mapping[str, Any], to: Iterable[str]) -> list[Addressee]:
        """Everybody whom a rung names; the province where it names nobody that there is."""
        found: dict[str, Addressee] = {}
        for who in to:
            found |= {each.id: each for each in self._named(programme, row, who)}
        if not found:
            found = {each.id: each for each in self._province(programme)}
        return _each_once(found.values())

    def _named(self, programme: Programme, row: Mapping[str, Any], who: str) -> list[Addressee]:
        if who == "enterprise":
            return self._sites.get(row["enterprise"] or "", [])
        if who == "province":
            return self._province(programme)
        if who == "supervisor":
            return self._with_duty(row["unit"], "supervisor")
        if who == "handler" and (handler := self._handlers.get(f"contact:{row['handler']}")) is not None:
            return [handler]
        named = [to for _, to in self._by_unit.get(row["unit"], ()) if folded(to.name) == folded(row["officer"] or "")]
        return named or self._with_duty(row["unit"], who) or self._with_duty(row["unit"], "officer")

    def _province(self, programme: Programme) -> list[Addressee]:
        code = programme.province.code
        return self._with_duty(code, "officer") or [to for _, to in self._by_unit.get(code, ())]

    def _with_duty(self, unit: str, duty: str) -> list[Addressee]:
        return [to for each, to in self._by_unit.get(unit, ()) if each == duty]


def _each_once(people: Iterable[Addressee]) -> list[Addressee]:
    """Who was entered twice is told once."""
    found: dict[tuple[str, str], Addressee] = {}
    for to in people:
        found.setdefault((folded(to.name), to.email.lower()), to)
    return list(found.values())


def sites(tx: Connection, ids: set[str]) -> dict[str, list[Addressee]]:
    """The contact of each site that has an address."""
    statement = select(_SITES.c.id, _SITES.c.unit, _SITES.c.contact).where(_SITES.c.id.in_(ids))
    rows = [row for row in tx.execute(statement) if row.contact is not None]
    people = private.read(tx, {row.contact for row in rows})
    return {
        row.id: [Addressee(f"site:{row.id}", row.unit, people[row.contact]["name"], people[row.contact]["email"])]
        for row in rows
        if people.get(row.contact, {}).get("email")
    }
