"""Contacts: the officers to whom mail goes, by unit (the province has its code too) and duty.

Name and address are personal: the audit holds a commitment to them, and what is not personal.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from pydantic_core import from_json
from sqlalchemy import Connection, select

from notifications import outbox, unsent
from notifications.outbox import MESSAGES, NewMessage
from service import access
from service.access import Act, Caller, hashed
from service.casework import audit, correspondence, private
from service.casework.desk import Desk
from service.casework.links import Links
from service.errors import Conflict, Malformed, NotFound, NotYourRole, VersionStale
from service.storage import locks
from service.storage.tables import Contact, table
from workflows.faults import fault
from workflows.programme import Role
from workflows.text import Text
from workflows.working_days import end_of_day, legal_day

_CONTACTS = table(Contact)
_CODE_DIGITS = 10  # too many to try
_CODES_A_DAY = 5  # so that nobody floods an address of somebody else's
_CODE = "confirm_address"
_CODE_KEY = "confirm:"
_THERE = _CONTACTS.c.removed_at.is_(None)
_TOLD = ("unit", "duty", "language", "digest", "muted")


class TooManyCodes(Conflict):
    """An address gets only so many codes a day."""

    code = "too_many_codes"
    said = Text(
        f"该邮箱今日已发送 {_CODES_A_DAY} 次验证码，请核对邮箱地址，明日再试",
        f"{_CODES_A_DAY} codes were sent to this address today: look whether it is right, and try again tomorrow",
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactFacts:
    """What is said of a contact. `digest`: the day's reminders in one mail; `muted`: kinds of obligation not wanted."""

    unit: str
    duty: str
    name: str
    email: str
    language: str = "zh"
    digest: bool = True
    muted: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ContactInfo(ContactFacts):
    """A contact that stands."""

    id: str


def require_keeper(desk: Desk, caller: Caller, unit: str) -> None:
    """Raises NotYourRole unless the caller keeps the contacts of `unit`: its own, the province its own, admin all."""
    if caller.role == Role.ADMIN or (caller.role == Role.UNIT and unit == caller.unit):
        return
    provinces = {lifecycle.programme.province.code for lifecycle in desk.books.programmes.newest(desk.tx)}
    if caller.role != Role.PROVINCE or unit not in provinces:
        raise NotYourRole.but(caller.role, Role.ADMIN, Role.PROVINCE if unit in provinces else Role.UNIT)


def enter(desk: Desk, act: Act, facts: ContactFacts, *, confirmed_at: datetime | None = None) -> dict[str, Any]:
    """Enter a contact; its row. Raises Malformed for a unit that no programme knows, NotFound, NotYourRole."""
    programmes = [lifecycle.programme for lifecycle in desk.books.programmes.newest(desk.tx)]
    if not any(facts.unit in (*programme.unit_by_code, programme.province.code) for programme in programmes):
        raise Malformed(fault("unknown_unit", "unit", f"没有填报单位“{facts.unit}”", f"no unit '{facts.unit}'"))
    access.require_seen(act.caller, unit=facts.unit)
    require_keeper(desk, act.caller, facts.unit)
    facts = replace(facts, muted=_in_order(facts.muted))
    kept, commitment = private.keep(desk.tx, desk.chance, _person(facts), act.at)
    contact_id = desk.chance.id(act.at)
    told = _public(facts)
    entry = audit.Entry(
        act, "contact", contact_id, 1, "enter", None, facts.unit, data={"contact_commitment": commitment}, changes=told
    )
    (head,) = audit.append(desk.tx, [entry])
    row = {
        **told, "muted": audit.canonical(told["muted"]), "id": contact_id, "person": kept, "confirmation_hash": None,
        "confirmed_at": confirmed_at, "removed_at": None, "version": 1, "head": head,
    }  # fmt: skip
    desk.tx.execute(_CONTACTS.insert().values(**row))
    return row


def amend(
    desk: Desk, act: Act, contact_id: str, version: int, change: Mapping[str, Any], reason: str | None = None
) -> dict[str, Any]:
    """Change some facts of a contact (PATCH); its row, unchanged where nothing changes.

    Another address has to be confirmed anew. Raises NotFound, NotYourRole, VersionStale, Malformed for another unit.
    """
    row = _locked(desk, act.caller, contact_id)
    if row["version"] != version:
        raise VersionStale(version=row["version"])
    before = _facts(row, private.read(desk.tx, {row["person"]})[row["person"]])
    facts = replace(before, **change)
    facts = replace(facts, muted=_in_order(facts.muted))
    if facts.unit != before.unit:
        raise Malformed(
            fault(
                "unit_fixed", "unit", "联系人不能改到另一单位：请删除后在该单位重新登记",
                "a contact stays with its unit: remove it and enter it in the other",
            )
        )  # fmt: skip
    was, is_ = _public(before), _public(facts)
    changes = {name: value for name, value in is_.items() if was[name] != value}
    data, columns = {}, {name: value for name, value in changes.items() if name != "muted"}
    if "muted" in changes:
        columns["muted"] = audit.canonical(changes["muted"])
    if _person(facts) != _person(before):
        columns["person"], data["contact_commitment"] = private.keep(desk.tx, desk.chance, _person(facts), act.at)
    if facts.email != before.email:
        columns |= {"confirmation_hash": None, "confirmed_at": None}
        _take_back_codes(desk.tx, contact_id)
        correspondence.redirect(desk.tx, f"contact:{contact_id}", facts.email, facts.name)
    if not columns:
        return row
    return _changed(desk, act, row, "amend", columns, data, changes, reason)


def remove(desk: Desk, act: Act, contact_id: str, versions: frozenset[int] | None) -> dict[str, Any]:
    """Take a contact away, in one of these versions if any are said; its row. Who is concerned in its place is told of what
    it was to be reminded of. Raises NotFound, NotYourRole, VersionStale."""
    row = _locked(desk, act.caller, contact_id)
    if versions is not None and row["version"] not in versions:
        raise VersionStale.unless_quoted(versions, row["version"])
    correspondence.stop_reminding(desk.tx, f"contact:{contact_id}", act.at)
    _take_back_codes(desk.tx, contact_id)
    return _changed(desk, act, row, "remove", {"removed_at": act.at}, {}, {"removed": True})


def _take_back_codes(tx: Connection, contact_id: str) -> None:
    """A code confirms the address to which it was sent: to one that is no longer his none leaves."""
    unsent.cancel(tx, select(MESSAGES.c.id).where(MESSAGES.c.key.startswith(f"{_CODE_KEY}{contact_id}:")))


def send_code(desk: Desk, act: Act, contact_id: str, version: int, links: Links) -> dict[str, Any]:
    """Mail the contact a code, by which its address is confirmed; its row. An earlier code is good no more.

    Raises NotFound, NotYourRole, VersionStale, TooManyCodes.
    """
    row = _locked(desk, act.caller, contact_id)
    if row["version"] != version:
        raise VersionStale(version=row["version"])
    person = private.read(desk.tx, {row["person"]})[row["person"]]
    begins_at = end_of_day(legal_day(act.at) - timedelta(days=1))
    locks.take(desk.tx, f"codes:{person['email'].lower()}")  # who asks at once is counted one after another
    if outbox.count_since(desk.tx, _CODE, person["email"], begins_at) >= _CODES_A_DAY:
        raise TooManyCodes
    code = f"{int(desk.chance.hex(64), 16) % 10**_CODE_DIGITS:0{_CODE_DIGITS}}"
    row = _changed(desk, act, row, "send_code", {"confirmation_hash": hashed(f"{contact_id}:{code}")}, {}, {})
    programmes = [each.programme for each in desk.books.programmes.newest(desk.tx)]
    programme = max(programmes, key=lambda each: each.year)
    unit = next(
        (each.unit_by_code[row["unit"]] for each in programmes if row["unit"] in each.unit_by_code), programme.province
    )
    context = {
        "programme": {"zh": programme.title.zh, "en": programme.title.en},
        "sender": {"zh": programme.province.name.zh, "en": programme.province.name.en},
        "unit": {"zh": unit.name.zh, "en": unit.name.en}, "code": code, "link": links.to("contacts", contact_id),
    }  # fmt: skip
    message = NewMessage(
        id=desk.chance.id(act.at), key=f"{_CODE_KEY}{contact_id}:{row['version']}", template=_CODE,
        recipient=person["email"], recipient_name=person["name"], created_at=act.at, context=context,
        language=row["language"], unit=row["unit"],
    )  # fmt: skip
    outbox.enqueue(desk.tx, [message], domain=links.domain)
    return row


def confirm(desk: Desk, act: Act, contact_id: str, version: int, code: str) -> dict[str, Any]:
    """Confirm the address by the code that was mailed there; its row. Raises as `send_code`, and Malformed."""
    row = _locked(desk, act.caller, contact_id)
    if row["version"] != version:
        raise VersionStale(version=row["version"])
    if row["confirmation_hash"] is None or hashed(f"{contact_id}:{code}") != row["confirmation_hash"]:
        raise Malformed(
            fault("wrong_code", "code", "验证码不对，请核对最近一封邮件", "not the code of the newest mail")
        )
    columns = {"confirmation_hash": None, "confirmed_at": act.at}
    return _changed(desk, act, row, "confirm", columns, {}, {"confirmed": True})


def _locked(desk: Desk, caller: Caller, contact_id: str) -> dict[str, Any]:
    statement = select(_CONTACTS).where(_CONTACTS.c.id == contact_id, access.contacts_seen(caller), _THERE)
    row = desk.tx.execute(statement.with_for_update()).mappings().one_or_none()
    if row is None:
        raise NotFound
    require_keeper(desk, caller, row["unit"])
    return dict(row)


def _changed(
    desk: Desk,
    act: Act,
    row: dict[str, Any],
    action: str,
    columns: dict[str, Any],
    data: dict[str, Any],
    changes: dict[str, Any],
    reason: str | None = None,
) -> dict[str, Any]:
    version = row["version"] + 1
    entry = audit.Entry(act, "contact", row["id"], version, action, row["head"], row["unit"], reason, data, changes)
    (head,) = audit.append(desk.tx, [entry])
    columns = {**columns, "version": version, "head": head}
    desk.tx.execute(_CONTACTS.update().where(_CONTACTS.c.id == row["id"]).values(**columns))
    return {**row, **columns}


# --- reading ----------------------------------------------------------------------------------------------------------


def read(tx: Connection, caller: Caller, contact_id: str) -> dict[str, Any]:
    """One contact's row in scope, without its person. Raises NotFound, also for one that was removed."""
    statement = select(_CONTACTS).where(_CONTACTS.c.id == contact_id, access.contacts_seen(caller), _THERE)
    row = tx.execute(statement).mappings().one_or_none()
    if row is None:
        raise NotFound
    return dict(row)


def search(
    tx: Connection, caller: Caller, *, unit: str | None, duty: str | None, limit: int, after: str | None
) -> list[dict[str, Any]]:
    """Up to `limit` contacts' rows in scope beyond the id `after`, in the order of entry, without their persons."""
    statement = select(_CONTACTS).where(access.contacts_seen(caller), _THERE).order_by(_CONTACTS.c.id).limit(limit)
    for column, value in ((_CONTACTS.c.unit, unit), (_CONTACTS.c.duty, duty)):
        if value is not None:
            statement = statement.where(column == value)
    if after is not None:
        statement = statement.where(_CONTACTS.c.id > after)
    return [dict(row) for row in tx.execute(statement).mappings()]


def known(tx: Connection, rows: Iterable[Any]) -> list[ContactInfo]:
    """The rows with their persons, in order; one whose person was erased is left out."""
    rows = list(rows)
    people = private.read(tx, {row["person"] for row in rows})
    return [ContactInfo(id=row["id"], **_said(row, people[row["person"]])) for row in rows if row["person"] in people]


def directory(tx: Connection, units: Collection[str]) -> dict[str, list[ContactInfo]]:
    """Who stands at each of these units, in the order of entry; those who were removed are left out."""
    statement = select(_CONTACTS).where(_CONTACTS.c.unit.in_(list(units)), _THERE).order_by(_CONTACTS.c.id)
    found: dict[str, list[ContactInfo]] = {unit: [] for unit in units}
    for contact in known(tx, tx.execute(statement).mappings()):
        found[contact.unit].append(contact)
    return found


def first_with(tx: Connection, unit: str, duty: str) -> str | None:
    """The id of the unit's contact that was the first to be given a duty; None where nobody has it."""
    statement = select(_CONTACTS.c.id).where(_CONTACTS.c.unit == unit, _CONTACTS.c.duty == duty, _THERE)
    found: str | None = tx.execute(statement.order_by(_CONTACTS.c.id).limit(1)).scalar()
    return found


def stands_in(tx: Connection, unit: str, contact_id: str) -> bool:
    """Whether this is a contact of the unit."""
    statement = select(_CONTACTS.c.id).where(_CONTACTS.c.id == contact_id, _CONTACTS.c.unit == unit, _THERE)
    return tx.execute(statement).first() is not None


def _person(facts: ContactFacts) -> dict[str, str]:
    return {"name": facts.name, "email": facts.email}


def _in_order(muted: Collection[str]) -> tuple[str, ...]:
    return tuple(sorted(set(muted)))


def _said(row: Mapping[str, Any], person: Mapping[str, str]) -> dict[str, Any]:
    return {**{name: row[name] for name in _TOLD}, **person, "muted": _muted(row["muted"])}


def _muted(text: str) -> tuple[str, ...]:
    """The kinds of obligation that somebody does not want; what cannot be read mutes nothing and stops nobody's mail."""
    try:
        return tuple(from_json(text))
    except ValueError:
        return ()


def _facts(row: Mapping[str, Any], person: Mapping[str, str]) -> ContactFacts:
    return ContactFacts(**_said(row, person))


def _public(facts: ContactFacts) -> dict[str, Any]:
    return {name: list(facts.muted) if name == "muted" else getattr(facts, name) for name in _TOLD}


def told_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """What the history of a contact tells of a row: all but its person."""
    told = {name: row[name] for name in _TOLD}
    return {**told, "muted": from_json(row["muted"]), "removed": row["removed_at"] is not None or None}
