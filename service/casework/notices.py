"""Notices: the publication of results, what the public is shown of them, and who was recognised (三（六）)."""

from datetime import datetime
from typing import Any

from pydantic_core import from_json
from sqlalchemy import Connection, select

from service.casework.moves import WITH_SITE, Standing, standing
from service.errors import NotFound
from service.storage.tables import CaseRow, Notice, NoticeEntryRow, table
from workflows.working_days import end_of_day

_NOTICES, _ENTRIES, _CASES = table(Notice), table(NoticeEntryRow), table(CaseRow)


def read(tx: Connection, notice_id: str) -> dict[str, Any]:
    """One notice with its entries, as the public may see it. Raises NotFound."""
    row = tx.execute(select(_NOTICES).where(_NOTICES.c.id == notice_id)).mappings().one_or_none()
    if row is None:
        raise NotFound
    return _with_entries(tx, [dict(row)])[0]


def search(tx: Connection, unit: str | None, limit: int, after: str | None) -> list[dict[str, Any]]:
    """Up to `limit` notices, newest first, beyond the id `after`."""
    statement = select(_NOTICES).order_by(_NOTICES.c.id.desc()).limit(limit)
    if unit is not None:
        statement = statement.where(_NOTICES.c.unit == unit)
    if after is not None:
        statement = statement.where(_NOTICES.c.id < after)
    return _with_entries(tx, [dict(row) for row in tx.execute(statement).mappings()])


def _with_entries(tx: Connection, notices: list[dict[str, Any]]) -> list[dict[str, Any]]:
    entries: dict[str, list[dict[str, Any]]] = {notice["id"]: [] for notice in notices}
    rows = tx.execute(
        select(_ENTRIES).where(_ENTRIES.c.notice.in_(entries)).order_by(_ENTRIES.c.notice, _ENTRIES.c.case_id)
    ).mappings()
    for row in rows:
        entries[row["notice"]].append({"case": row["case_id"], **from_json(row["shown"]), "left_as": row["left_as"]})
    return [{**notice, "entries": entries[notice["id"]]} for notice in notices]


def runs(notice: Any, now: datetime) -> bool:
    """Whether the notice still runs at `now`: until 24:00 of its last day."""
    return now < end_of_day(notice["ends_on"])


def recognised(
    tx: Connection, *, programme: str | None, unit: str | None, grade: str | None, limit: int, after: str | None
) -> list[Standing]:
    """Up to `limit` recognised cases beyond the id `after`, in the order of listing."""
    statement = WITH_SITE.where(_CASES.c.recognised_grade.is_not(None)).order_by(_CASES.c.id).limit(limit)
    for column, value in (
        (_CASES.c.programme, programme),
        (_CASES.c.unit, unit),
        (_CASES.c.recognised_grade, grade),
    ):
        if value is not None:
            statement = statement.where(column == value)
    if after is not None:
        statement = statement.where(_CASES.c.id > after)
    return [standing(row) for row in tx.execute(statement).mappings()]
