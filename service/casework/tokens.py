"""Bearer tokens: made by the command, shown once, kept as a hash; with role, unit, cases or enterprises."""

from datetime import datetime
from typing import Any

from sqlalchemy import select

from service.access import Act, hashed
from service.casework import audit
from service.casework.desk import Desk
from service.errors import NotFound
from service.storage.tables import CaseRow, Enterprise, Token, table
from workflows.persons import mixes_alphabets
from workflows.programme import Role
from workflows.values import is_shown

_TOKENS, _CASES, _SITES = table(Token), table(CaseRow), table(Enterprise)


def create(
    desk: Desk,
    act: Act,
    *,
    name: str,
    role: Role,
    unit: str | None = None,
    cases: tuple[str, ...] = (),
    enterprises: tuple[str, ...] = (),
    expires_at: datetime | None = None,
) -> str:
    """Make a token; its secret, which is not kept. Raises ValueError where role and scope do not fit."""
    _check(desk, role, unit, cases, enterprises)
    # The name is compared with those of a case: one that reads like another must be the other.
    if not name or not all(map(is_shown, name)) or mixes_alphabets(name):
        raise ValueError("--name must be written in characters that are shown, of one alphabet")
    secret = f"jinji_{desk.chance.hex(256)}"
    token_id = desk.chance.id(act.at)
    facts: dict[str, Any] = {
        "name": name,
        "role": str(role),
        "unit": unit,
        "cases": list(cases),
        "enterprises": list(enterprises),
        "expires_at": expires_at.isoformat() if expires_at else None,
    }
    facts["secret_hash"] = hashed(secret)
    entry = audit.Entry(act, "token", token_id, 1, "create", None, unit, changes=facts)
    (head,) = audit.append(desk.tx, [entry])
    desk.tx.execute(
        _TOKENS.insert().values(
            id=token_id, secret_hash=hashed(secret), name=name, role=str(role), unit=unit,
            cases=audit.canonical(list(cases)), enterprises=audit.canonical(list(enterprises)),
            created_at=act.at, expires_at=expires_at, version=1, head=head,
        )
    )  # fmt: skip
    return secret


def _check(desk: Desk, role: Role, unit: str | None, cases: tuple[str, ...], enterprises: tuple[str, ...]) -> None:
    if role == Role.SYSTEM:
        raise ValueError("the scheduler has no token")
    if (role == Role.UNIT) != (unit is not None):
        raise ValueError("a token of role unit, and no other, has --unit")
    if unit is not None and not any(
        unit in lifecycle.programme.unit_by_code for lifecycle in desk.books.programmes.newest(desk.tx)
    ):
        raise ValueError(f"no unit {unit} in any programme")
    if role not in (Role.EXPERT, Role.ENTERPRISE) and cases:
        raise ValueError("only experts and enterprises are given cases")
    if role != Role.ENTERPRISE and enterprises:
        raise ValueError("only a token of role enterprise has --enterprise")
    for rows, ids in ((_CASES, cases), (_SITES, enterprises)):
        known = set(desk.tx.execute(select(rows.c.id).where(rows.c.id.in_(ids))).scalars())
        if unknown := sorted(set(ids) - known):
            raise ValueError(f"no {'case' if rows is _CASES else 'site'} {', '.join(unknown)}")


def revoke(desk: Desk, act: Act, token_id: str, reason: str | None = None) -> None:
    """End a token now. Raises NotFound for one that is unknown; revoking twice changes nothing."""
    row = desk.tx.execute(select(_TOKENS).where(_TOKENS.c.id == token_id).with_for_update()).one_or_none()
    if row is None:
        raise NotFound
    if row.revoked_at is not None:
        return
    entry = audit.Entry(
        act, "token", token_id, row.version + 1, "revoke", row.head, row.unit, reason, {}, {"revoked": True}
    )
    (head,) = audit.append(desk.tx, [entry])
    change = {"revoked_at": act.at, "version": row.version + 1, "head": head}
    desk.tx.execute(_TOKENS.update().where(_TOKENS.c.id == token_id).values(**change))


def everyone(desk: Desk) -> list[Any]:
    """Every token, oldest first, without its secret."""
    return list(desk.tx.execute(select(_TOKENS).order_by(_TOKENS.c.id)))
