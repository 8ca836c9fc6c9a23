"""Who is calling, in which role, within which scope: asked by every edge, and the one place that says who may what."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Self

from pydantic_core import from_json
from sqlalchemy import ColumnElement, Connection, false, select, true

from service.errors import NotFound, NotYourRole, Unauthenticated
from service.storage.tables import (
    AuditEntry,
    CaseRow,
    Contact,
    Enterprise,
    Feed,
    FilingRow,
    Objection,
    Obligation,
    Request,
    Token,
    Webhook,
    table,
)
from workflows.programme import Role

_TOKENS = table(Token)
_CASES, _ENTERPRISES, _AUDIT, _OBJECTIONS = table(CaseRow), table(Enterprise), table(AuditEntry), table(Objection)
_OBLIGATIONS, _REQUESTS, _CONTACTS, _FILINGS = table(Obligation), table(Request), table(Contact), table(FilingRow)
_FEEDS, _WEBHOOKS = table(Feed), table(Webhook)

A, P, U, X, E, D = Role.ADMIN, Role.PROVINCE, Role.UNIT, Role.EXPERT, Role.ENTERPRISE, Role.AUDITOR
ANYBODY = frozenset({A, P, U, X, E, D})

# What may be done, by whom. Which events a role may make is the programme's to say; who can make any at all is here.
MAY: Mapping[str, frozenset[Role]] = {
    "programmes.read": ANYBODY,
    "calendar.read": ANYBODY,
    "enterprises.enter": frozenset({A, U}),
    "enterprises.amend": frozenset({A, U}),
    "enterprises.read": frozenset({A, P, U, E, D}),
    "cases.list": frozenset({P, U, X, E}),
    "cases.amend": frozenset({A, U}),
    "cases.read": ANYBODY,
    "cases.move": frozenset({P, U, X, E}),
    "notices.open": frozenset({P, U, X, E}),
    "objections.read": frozenset({A, P, U, D}),
    "objections.decide": frozenset({P, U}),
    "obligations.read": ANYBODY,
    "requests.open": frozenset({U, E}),
    "requests.read": ANYBODY,
    "requests.assign": frozenset({U}),
    "requests.answer": frozenset({U}),
    "contacts.keep": frozenset({A, P, U}),
    "contacts.read": frozenset({A, P, U, D}),
    "filings.read": frozenset({A, P, U, D}),
    "filings.submit": frozenset({U}),
    "filings.return": frozenset({P}),
    "board.read": frozenset({A, P, U, D}),
    "messages.read": frozenset({A, P, U, D}),
    "messages.retry": frozenset({A, P, U}),
    "feeds.make": frozenset({A, P, U}),
    "webhooks.keep": frozenset({A, P, U}),
    "audit.read": ANYBODY,
    "audit.verify": ANYBODY,
    "clock.read": ANYBODY,
    "clock.move": frozenset({A}),
}


@dataclass(frozen=True, slots=True)
class Caller:
    """Somebody with a token, or the scheduler; `unit`, `cases` and `enterprises` bound what is seen."""

    id: str
    name: str
    role: str
    unit: str | None = None
    cases: frozenset[str] = frozenset()
    enterprises: frozenset[str] = frozenset()

    @property
    def sees_all(self) -> bool:
        """Whether no scope bounds the caller."""
        return self.role in (Role.ADMIN, Role.PROVINCE, Role.AUDITOR, Role.SYSTEM)

    def sees(self, *, unit: str | None = None, case: str | None = None, enterprise: str | None = None) -> bool:
        """Whether a thing of this unit, case and enterprise is in the caller's scope."""
        if self.sees_all:
            return True
        if self.role == Role.UNIT:
            return unit == self.unit
        if self.role == Role.ENTERPRISE:
            return enterprise in self.enterprises or case in self.cases
        return case in self.cases


SYSTEM = Caller("system", "system", Role.SYSTEM)


@dataclass(frozen=True, slots=True)
class Act:
    """Who acts, the aware instant of receipt that decides, and the request in which it came."""

    caller: Caller
    at: datetime
    request_id: str | None = None

    def not_before(self, other: datetime) -> Self:
        """The same at `other`, if that is later."""
        return self if self.at >= other else replace(self, at=other)


def require(caller: Caller, act: str) -> None:
    """Raises NotYourRole unless the caller's role may do `act`."""
    if caller.role not in MAY[act]:
        raise NotYourRole.but(caller.role, *MAY[act])


def require_seen(
    caller: Caller, *, unit: str | None = None, case: str | None = None, enterprise: str | None = None
) -> None:
    """Raises NotFound unless the thing is in the caller's scope."""
    if not caller.sees(unit=unit, case=case, enterprise=enterprise):
        raise NotFound


def cases_seen(caller: Caller) -> ColumnElement[bool]:
    """The condition under which a row of `cases` is in scope."""
    if caller.sees_all:
        return true()
    if caller.role == Role.UNIT:
        return _CASES.c.unit == caller.unit  # type: ignore[no-any-return]
    if caller.role == Role.ENTERPRISE:
        return _CASES.c.enterprise.in_(caller.enterprises) | _CASES.c.id.in_(caller.cases)  # type: ignore[no-any-return]
    return _CASES.c.id.in_(caller.cases)  # type: ignore[no-any-return]


def enterprises_seen(caller: Caller) -> ColumnElement[bool]:
    """The condition under which a row of `enterprises` is in scope."""
    if caller.sees_all:
        return true()
    if caller.role == Role.UNIT:
        return _ENTERPRISES.c.unit == caller.unit  # type: ignore[no-any-return]
    if caller.role == Role.ENTERPRISE:
        return _ENTERPRISES.c.id.in_(caller.enterprises)  # type: ignore[no-any-return]
    return false()


def objections_seen(caller: Caller) -> ColumnElement[bool]:
    """The condition under which a row of `objections` is in scope."""
    if caller.sees_all:
        return true()
    return _OBJECTIONS.c.unit == caller.unit if caller.role == Role.UNIT else false()


def obligations_seen(caller: Caller) -> ColumnElement[bool]:
    """The condition under which a row of `obligations` is in scope: a unit sees what it owes, and what is about it."""
    if caller.sees_all:
        return true()
    if caller.role == Role.UNIT:
        return (_OBLIGATIONS.c.unit == caller.unit) | (_OBLIGATIONS.c.area == caller.unit)  # type: ignore[no-any-return]
    return _of_case_or_site(caller, _OBLIGATIONS)


def requests_seen(caller: Caller) -> ColumnElement[bool]:
    """The condition under which a row of `requests` is in scope."""
    if caller.sees_all:
        return true()
    if caller.role == Role.UNIT:
        return _REQUESTS.c.unit == caller.unit  # type: ignore[no-any-return]
    return _of_case_or_site(caller, _REQUESTS)


def filings_seen(caller: Caller) -> ColumnElement[bool]:
    """The condition under which a row of `filings` is in scope."""
    if caller.sees_all:
        return true()
    return _FILINGS.c.unit == caller.unit if caller.role == Role.UNIT else false()


def feeds_seen(caller: Caller) -> ColumnElement[bool]:
    """The condition under which a row of `feeds` is in scope."""
    if caller.sees_all:
        return true()
    return _FEEDS.c.unit == caller.unit if caller.role == Role.UNIT else false()


def webhooks_seen(caller: Caller) -> ColumnElement[bool]:
    """The condition under which a row of `webhooks` is in scope: those of the province belong to no unit."""
    if caller.sees_all:
        return true()
    return _WEBHOOKS.c.unit == caller.unit if caller.role == Role.UNIT else false()


def _of_case_or_site(caller: Caller, rows: Any) -> ColumnElement[bool]:
    of_case: ColumnElement[bool] = rows.c.case_id.in_(caller.cases)
    return of_case | rows.c.enterprise.in_(caller.enterprises) if caller.role == Role.ENTERPRISE else of_case


def contacts_seen(caller: Caller) -> ColumnElement[bool]:
    """The condition under which a row of `contacts` is in scope."""
    if caller.sees_all:
        return true()
    return _CONTACTS.c.unit == caller.unit if caller.role == Role.UNIT else false()


def audit_seen(caller: Caller, rows: Any = _AUDIT) -> ColumnElement[bool]:
    """The condition under which a row of `audit`, or of a part of it, is in scope."""
    if caller.sees_all:
        return true()
    if caller.role == Role.UNIT:
        return rows.c.unit == caller.unit  # type: ignore[no-any-return]
    own_cases = select(_CASES.c.id).where(cases_seen(caller))
    own_requests = select(_REQUESTS.c.id).where(requests_seen(caller))
    own = rows.c.subject_id.in_(own_cases) | rows.c.subject_id.in_(own_requests)
    return own | rows.c.subject_id.in_(caller.enterprises)  # type: ignore[no-any-return]


def hashed(secret: str) -> str:
    """What is kept of a secret of 256 random bits: its SHA-256."""
    return hashlib.sha256(secret.encode()).hexdigest()


def caller_of(tx: Connection, secret: str, now: datetime) -> Caller:
    """Who holds this token. Raises Unauthenticated for one that is unknown, expired or revoked."""
    row: Any = tx.execute(select(_TOKENS).where(_TOKENS.c.secret_hash == hashed(secret))).one_or_none()
    if row is None or row.revoked_at is not None or (row.expires_at is not None and row.expires_at <= now):
        raise Unauthenticated
    return Caller(
        row.id, row.name, row.role, row.unit, frozenset(from_json(row.cases)), frozenset(from_json(row.enterprises))
    )
