"""What a reminder says: from rows to the context that a template of `notifications` is filled with."""

from collections.abc import Iterable, Mapping, Sequence
from copy import copy
from datetime import date, datetime
from typing import Any

from pydantic_core import from_json
from sqlalchemy import select

from notifications.wording import one_line
from service.casework.desk import Desk
from service.casework.links import Links
from service.storage.tables import CaseRow, Enterprise, FilingRow, Objection, Request, table
from workflows.ladders import is_rung
from workflows.obligations import stage_at
from workflows.programme import Area, Programme
from workflows.text import Text
from workflows.working_days import legal_day

_CASES, _SITES, _REQUESTS, _OBJECTIONS = table(CaseRow), table(Enterprise), table(Request), table(Objection)
_FILINGS = table(FilingRow)
# A mail lists so many things, more than anybody has in a season; what were beyond is counted.
_MOST = 500
_STAGES = ("escalated", "overdue", "due", "ahead")
# Among other things a request is quoted by so many characters; by itself whole.
_LONGEST_QUOTE = 120

REQUEST_KINDS: Mapping[str, Text] = {
    "project": Text("项目", "project"),
    "approval": Text("审批", "approval"),
    "funding": Text("资金", "funding"),
    "technical": Text("技术", "technical"),
    "policy": Text("政策", "policy"),
    "other": Text("其他", "other"),
}


class Letters:
    """The words for a set of obligations: what they are about is looked up once for all of them."""

    def __init__(
        self, desk: Desk, links: Links, now: datetime, rows: Sequence[Mapping[str, Any]], handlers: Mapping[str, str]
    ) -> None:
        """`handlers` are the names of contacts by id."""
        self._desk, self._links, self._now, self._handlers = desk, links, now, handlers
        self._today = legal_day(now)
        self._objected = self._cases_of_objections(rows)
        self._returned = self._reasons_of_returns(rows)
        self._about = self._things(rows)
        self._requests = self._requests_of(rows)
        self._reader: str | None = None

    def to(self, unit: str) -> "Letters":
        """The same for a reader of this unit, who is told of what others owe who has to do it."""
        letters = copy(self)
        letters._reader = unit
        return letters

    def reminder(self, row: Mapping[str, Any], rung: str) -> tuple[str, dict[str, Any]]:
        """Template and context of the mail that tells of one rung of one obligation alone."""
        item = self._item(row, rung) | self._quoted(row)
        context = {**self._frame(self._programme(row)), "item": item, "calendar": self._dates([row])}
        if row["kind"] != "answer" or rung not in ("handed", "breach"):
            return "reminder", context
        context["request"] = self._request(row, rung)
        return ("request_received" if rung == "handed" else "breach"), context

    def digest(self, items: Sequence[tuple[Mapping[str, Any], str]]) -> tuple[str, dict[str, Any]]:
        """Template and context of one mail that tells of several rungs, the worst first."""
        told: dict[str, list[dict[str, Any]]] = {stage: [] for stage in _STAGES}
        for row, rung in sorted(items, key=lambda each: (each[0]["due_at"], each[0]["id"])):
            item = self._item(row, rung) | self._quoted(row, _LONGEST_QUOTE)
            told[item["stage"]].append(item)
        room = _MOST
        groups = []
        for stage, entries in told.items():
            if entries[:room]:
                groups.append({"stage": stage, "entries": entries[:room]})
            room = max(0, room - len(entries))
        rows = [row for row, _ in items]
        return "digest", {
            **self._frame(self._programme(rows[0])),
            "groups": groups,
            "more": max(0, len(items) - _MOST),
            "link": f"{self._links.base}/api/v1/obligations",
            "calendar": self._dates(rows[:_MOST]),
        }

    def answered(self, row: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
        """Template and context of the mail by which an enterprise reads the answer; that it was late is not said to it."""
        programme, request = self._programme(row), self._requests[row["subject"]]
        said = {
            "enterprise": self._about_of(row),
            **self._asked(row),
            "answer": request["answer"],
            "unit": both(programme.unit_by_code[row["area"]].name),
            "answered_on": legal_day(request["answered_at"]),
            "link": self._links.to(*_place(row)),
        }
        return "request_answered", {**self._frame(programme), "sender": said["unit"], "request": said}

    def correction(self, rows: Sequence[Mapping[str, Any]], why: Text, paper: str) -> tuple[str, dict[str, Any]]:
        """Template and context of the mail that says which days have moved; a row carries its old day as `was_on`."""
        moved = [
            {**self._item(row, ""), "was_on": row["was_on"], "breached": row["breached_at"] is not None} for row in rows
        ]
        return "correction", {
            **self._frame(self._programme(rows[0])),
            "reason": both(why),
            "paper": paper,
            "moved": moved[:_MOST],
            "more": max(0, len(moved) - _MOST),
            "calendar": self._dates(rows[:_MOST]),
        }

    def _programme(self, row: Mapping[str, Any]) -> Programme:
        return self._desk.lifecycle(row["programme"], row["programme_version"]).programme

    def _frame(self, programme: Programme) -> dict[str, Any]:
        return {
            "told_on": self._today,
            "programme": both(programme.title),
            "sender": both(programme.province.name),
        }

    def _item(self, row: Mapping[str, Any], rung: str) -> dict[str, Any]:
        programme = self._programme(row)
        return {
            "stage": stage_at(row["due_on"], self._now, escalated=is_rung(rung, "escalated")),
            "title": from_json(row["title"]),
            "about": self._about_of(row),
            "owner": self._owner(programme, row),
            "due_on": row["due_on"],
            "working_days": self._working_days(row["due_on"]),
            "provisional": row["provisional"],
            "hard": row["hard"],
            "clause": clause_said(programme, row["clause"]),
            "next": self._next(programme, row),
            "link": self._links.to(*_place(row)),
        }

    def _quoted(self, row: Mapping[str, Any], longest: int | None = None) -> dict[str, Any]:
        """What was asked, where that is owed an answer; shortened to one line of so many characters, if said."""
        if row["kind"] != "answer":
            return {}
        asked = self._asked(row)
        return {"request": asked if longest is None else {**asked, "text": _shortened(asked["text"], longest)}}

    def _next(self, programme: Programme, row: Mapping[str, Any]) -> dict[str, str]:
        said = programme.ladder_by_id[row["kind"]].next
        reason = self._returned.get(row["subject"]) if row["id"] != f"filing.{row['subject']}" else None
        if row["kind"] == "filing" and reason is not None:
            said = Text(
                f"按退回意见补正后重新提交：{reason}",
                f"correct it and submit it again; it was sent back for: {reason}",
            )
        if self._reader not in (None, row["unit"]):
            owner = _owing(programme, row).name
            said = Text(f"由{owner.zh}负责：{said.zh}", f"to be done by {owner.en}: {said.en}")
        return both(said)

    def _working_days(self, due_on: date) -> int:
        first, last = sorted((self._today, due_on))
        return self._desk.calendar.between(first, last)

    def _owner(self, programme: Programme, row: Mapping[str, Any]) -> dict[str, str]:
        area = _owing(programme, row)
        officer = self._handlers.get(row["handler"] or "") or row["officer"]
        return {
            "zh": f"{area.name.zh}，{officer}" if officer else area.name.zh,
            "en": f"{area.name.en}, {officer}" if officer else area.name.en,
        }

    def _asked(self, row: Mapping[str, Any]) -> dict[str, Any]:
        asked = self._requests[row["subject"]]
        return {"kind": both(REQUEST_KINDS[asked["kind"]]), "text": asked["text"]}

    def _request(self, row: Mapping[str, Any], rung: str) -> dict[str, Any]:
        programme = self._programme(row)
        unit = programme.unit_by_code[row["area"]]
        said = {
            "enterprise": self._about[row["case_id"] or row["enterprise"]],
            **self._asked(row),
            "unit": both(unit.name),
            "received_on": legal_day(self._requests[row["subject"]]["received_at"]),
            "due_on": row["due_on"],
            "working_days": self._working_days(row["due_on"]),
            "provisional": row["provisional"],
            "clause": clause_said(programme, row["clause"]),
            "link": self._links.to("requests", row["subject"]),
            "next": self._next(programme, row),
        }
        if rung == "breach":
            nobody = {"zh": "未指定", "en": "nobody yet"}
            said["handler"] = self._handlers.get(row["handler"] or "", nobody)
        return said

    def _dates(self, rows: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
        entries = [
            {
                "uid": f"{row['id']}@{self._links.domain}",
                "sequence": row["sequence"],
                "on": row["due_on"],
                "title": _named(from_json(row["title"]), self._about_of(row)),
                "note": self._next(self._programme(row), row),
                "url": self._links.to(*_place(row)),
            }
            for row in rows
            if row["due_at"] > self._now
        ]
        return {"revised_at": self._now, "entries": entries} if entries else {}

    def _about_of(self, row: Mapping[str, Any]) -> dict[str, str] | None:
        return self._about.get(self._objected.get(row["subject"]) or row["case_id"] or row["enterprise"] or "")

    def _things(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, str]]:
        """What obligations are about, by the id of the case or site: its name and industry."""
        cases = {row["case_id"] for row in rows if row["case_id"]} | set(self._objected.values())
        sites = {row["enterprise"] for row in rows if row["enterprise"] and not row["case_id"]}
        found: dict[str, dict[str, str]] = {}
        of_case = (_CASES.c.id, _CASES.c.programme, _CASES.c.programme_version, _CASES.c.industry)
        listed = select(*of_case, _SITES.c.name)
        for row in self._desk.tx.execute(
            listed.join(_SITES, _SITES.c.id == _CASES.c.enterprise).where(_CASES.c.id.in_(cases))
        ):
            programme = self._desk.lifecycle(row.programme, row.programme_version).programme
            industry = programme.industry_by_id[row.industry].name
            found[row.id] = {"zh": f"{row.name}（{industry.zh}）", "en": f"{row.name} ({industry.en})"}
        for row in self._desk.tx.execute(select(_SITES.c.id, _SITES.c.name).where(_SITES.c.id.in_(sites))):
            found[row.id] = {"zh": row.name, "en": row.name}
        return found

    def _cases_of_objections(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """The case that each objection is to: those who decide are told, who else may see the row is not."""
        ids = {row["subject"] for row in rows if row["kind"] == "objection"}
        found = self._desk.tx.execute(select(_OBJECTIONS.c.id, _OBJECTIONS.c.case_id).where(_OBJECTIONS.c.id.in_(ids)))
        return {row.id: row.case_id for row in found} if ids else {}

    def _reasons_of_returns(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, str]:
        """Why each filing that stands as sent back was."""
        ids = {row["subject"] for row in rows if row["kind"] == "filing"}
        statement = select(_FILINGS.c.id, _FILINGS.c.return_reason).where(_FILINGS.c.id.in_(ids))
        found = self._desk.tx.execute(statement.where(_FILINGS.c.return_reason.is_not(None))) if ids else ()
        return {row.id: row.return_reason for row in found}

    def _requests_of(self, rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        ids = {row["subject"] for row in rows if row["kind"] == "answer"}
        found = self._desk.tx.execute(select(_REQUESTS).where(_REQUESTS.c.id.in_(ids))).mappings()
        return {row["id"]: row for row in found}


def _owing(programme: Programme, row: Mapping[str, Any]) -> Area:
    return programme.unit_by_code.get(row["unit"], programme.province)


def _place(row: Mapping[str, Any]) -> tuple[str, str]:
    nouns = {"case": "cases", "request": "requests", "objection": "objections", "filing": "filings"}
    return nouns.get(row["subject_type"], "enterprises"), row["subject"]


def _named(title: Mapping[str, str], about: Mapping[str, str] | None) -> dict[str, str]:
    """A title as it stands among others in a calendar: what is owed, and whom it concerns."""
    return {language: f"{said} · {about[language]}" if about else said for language, said in title.items()}


def _shortened(text: str, longest: int) -> str:
    text = one_line(text)
    return text if len(text) <= longest else text[: longest - 1] + "…"


def both(text: Text) -> dict[str, str]:
    """A text as templates take it."""
    return {"zh": text.zh, "en": text.en}


def clause_said(programme: Programme, clause: str) -> dict[str, Any]:
    """A clause as templates take it: its id, where it stands in the plan, and what it says."""
    said = next(each for each in programme.clauses if each.id == clause)
    return {"id": said.id, "where": said.where, "text": both(said.says)}
