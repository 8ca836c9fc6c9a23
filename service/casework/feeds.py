"""Feeds: tokens that open the dates of one unit to its calendar programs, and what they find there."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from pydantic_core import from_json
from sqlalchemy import Connection, case, select

from notifications import ics
from service.access import Act, Caller, feeds_seen, hashed
from service.casework import audit
from service.casework.desk import Desk
from service.casework.obligations import ROWS, begun, status_of
from service.errors import Malformed, NotFound
from service.storage.tables import Enterprise, Feed, table
from workflows.faults import fault
from workflows.obligations import Outcome
from workflows.programme import Programme, Role
from workflows.text import Text
from workflows.working_days import legal_day

_FEEDS, _SITES = table(Feed), table(Enterprise)
_SHOWN_SINCE = timedelta(days=60)
_MOST = 500
_STATUS = {
    "open": Text("未完成", "open"),
    "overdue": Text("已逾期", "overdue"),
    "met": Text("已完成", "met"),
    "met_late": Text("逾期完成", "met late"),
    "nil": Text("零报告", "nil"),
    "closed": Text("无须办理", "closed"),
}


def make(desk: Desk, act: Act, unit: str | None, token_of: Callable[[str], str]) -> dict[str, Any]:
    """Make a feed of a unit's dates, its own unless said; its row. Only the hash of the token that `token_of` makes of its id is kept.

    Raises NotFound for another unit than one's own, Malformed for one that there is not.
    """
    unit = act.caller.unit if unit is None else unit
    if act.caller.role == Role.UNIT and unit != act.caller.unit:
        raise NotFound
    _require_known(desk, unit)
    feed_id = desk.chance.id(act.at)
    kept = hashed(token_of(feed_id))
    entry = audit.Entry(
        act, "feed", feed_id, 1, "create", None, unit, changes={"unit": unit, "token_hash": kept, "removed": False}
    )
    (head,) = audit.append(desk.tx, [entry])
    row = {
        "id": feed_id, "token_hash": kept, "unit": unit, "created_at": act.at, "created_by": act.caller.name,
        "removed_at": None, "version": 1, "head": head,
    }  # fmt: skip
    desk.tx.execute(_FEEDS.insert().values(**row))
    return row


def _require_known(desk: Desk, unit: str | None) -> None:
    if unit is None:
        raise Malformed(fault("unit_missing", "unit", "须写明填报单位的代码", "say which unit's dates are wanted"))
    programmes = [lifecycle.programme for lifecycle in desk.books.programmes.newest(desk.tx)]
    if not any(unit in each.unit_by_code or unit == each.province.code for each in programmes):
        raise Malformed(fault("unknown_unit", "unit", f"没有填报单位“{unit}”", f"no unit '{unit}'"))


def search(tx: Connection, caller: Caller, limit: int, after: str | None) -> list[dict[str, Any]]:
    """Up to `limit` feeds in scope that stand, in the order of making, beyond the id `after`."""
    statement = select(_FEEDS).where(feeds_seen(caller), _FEEDS.c.removed_at.is_(None)).order_by(_FEEDS.c.id)
    if after is not None:
        statement = statement.where(_FEEDS.c.id > after)
    return [dict(row) for row in tx.execute(statement.limit(limit)).mappings()]


def read(tx: Connection, caller: Caller, feed_id: str) -> dict[str, Any]:
    """One feed in scope that stands. Raises NotFound."""
    return _standing(tx, caller, select(_FEEDS).where(_FEEDS.c.id == feed_id))


def _standing(tx: Connection, caller: Caller, statement: Any) -> dict[str, Any]:
    statement = statement.where(feeds_seen(caller), _FEEDS.c.removed_at.is_(None))
    row = tx.execute(statement).mappings().one_or_none()
    if row is None:
        raise NotFound
    return dict(row)


def remove(desk: Desk, act: Act, feed_id: str) -> dict[str, Any]:
    """End a feed now; its row. Raises NotFound for one that is ended already."""
    row = _standing(desk.tx, act.caller, select(_FEEDS).where(_FEEDS.c.id == feed_id).with_for_update())
    entry = audit.Entry(
        act, "feed", feed_id, row["version"] + 1, "remove", row["head"], row["unit"], changes={"removed": True}
    )
    (head,) = audit.append(desk.tx, [entry])
    change = {"removed_at": act.at, "version": row["version"] + 1, "head": head}
    desk.tx.execute(_FEEDS.update().where(_FEEDS.c.id == feed_id).values(**change))
    return {**row, **change}


# --- what a feed shows ------------------------------------------------------------------------------------------------


def calendar(desk: Desk, token: str, now: datetime, language: str, host: str) -> bytes:
    """The dates of the unit whose token this is, as a calendar file. Raises NotFound for a token that opens none.

    What it owes and owed, due from 60 days ago on, one entry each. `host` makes their names unlike those of any other
    service.
    """
    wanted = (_FEEDS.c.token_hash == hashed(token)) & _FEEDS.c.removed_at.is_(None)
    unit = desk.tx.execute(select(_FEEDS.c.unit).where(wanted)).scalar()
    if unit is None:
        raise NotFound
    entries = [
        _entry(row, desk.lifecycle(row["programme"], row["programme_version"]).programme, now, language, host)
        for row in _dates(desk.tx, unit, now)
    ]
    return ics.calendar(entries, name=Text(f"晋级 {unit}", f"jinji {unit}").get(language))


def _dates(tx: Connection, unit: str, now: datetime) -> list[dict[str, Any]]:
    """Where there are too many, what is still to be done goes before what is over."""
    is_over = case((ROWS.c.status == str(Outcome.OPEN), 0), else_=1)
    statement = (
        select(ROWS, _SITES.c.name.label("site_name"))
        .outerjoin(_SITES, _SITES.c.id == ROWS.c.enterprise)
        .where(ROWS.c.unit == unit, ROWS.c.due_on >= legal_day(now) - _SHOWN_SINCE, begun(now))
        .order_by(is_over, ROWS.c.due_at, ROWS.c.id)
        .limit(_MOST)
    )
    rows = [dict(row) for row in tx.execute(statement).mappings()]
    return sorted(rows, key=lambda row: (row["due_at"], row["id"]))


def _entry(row: Mapping[str, Any], programme: Programme, now: datetime, language: str, host: str) -> ics.Entry:
    title = Text(**from_json(row["title"])).get(language)
    status = _STATUS[status_of(row, programme, now)].get(language)
    where = next((each.where for each in programme.clauses if each.id == row["clause"]), row["clause"])
    return ics.Entry(
        uid=f"{row['id']}@{host}",
        sequence=row["sequence"],
        on=row["due_on"],
        title=title if row["site_name"] is None else f"{title} · {row['site_name']}",
        revised_at=row["ended_at"] or row["since"],
        note=Text(f"条款 {where}；{status}", f"clause {where}; {status}").get(language),
        cancelled=row["status"] == Outcome.CLOSED,
    )
