"""A season as officers play it, step by step through the API, and what a database holds of it in words that no id is in."""

from collections import Counter
from collections.abc import Callable
from typing import Any

from sqlalchemy import Connection, select

from notifications.outbox import MESSAGES
from service.access import SYSTEM
from service.casework import contacts, verification
from service.casework.obligations import ROWS, RUNGS
from service.running import Running
from service.storage.tables import (
    AuditEntry,
    CaseRow,
    Contact,
    Enterprise,
    FilingRow,
    Notice,
    Objection,
    Request,
    table,
)
from tests.service.world import KAIFENG, ZHENGZHOU, World

_CASES, _SITES, _REQUESTS, _OBJECTIONS = table(CaseRow), table(Enterprise), table(Request), table(Objection)
_FILINGS, _AUDIT, _CONTACTS, _NOTICES = table(FilingRow), table(AuditEntry), table(Contact), table(Notice)
OFFICER, NEIGHBOUR = f"officer {ZHENGZHOU}", f"officer {KAIFENG}"


class Season:
    """Two units from May to the close: cases on their way, requests answered in time, late and never, filings likewise."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.cases: list[str] = []
        self.requests: list[str] = []

    def play(self, until: str) -> None:
        """Everything up to the day `until`."""
        self._begin()
        for day, act in self._days():
            if day > until:
                break
            self.world.at(day)
            act()
        self.world.at(until)

    def _days(self) -> list[tuple[str, Callable[[], None]]]:
        """What happens when, in order; a day on which nothing is done lets the clock stop there."""
        cases = self.cases
        found: list[tuple[str, Callable[[], None]]] = [
            ("2024-05-22", lambda: self._ask(0, "补助何时到位？")),
            ("2024-05-23", lambda: self._ask(1, "如何办理环评？")),
            ("2024-05-24T20:15:00+08:00", lambda: self._ask(2, "可有技术指导？")),
            ("2024-05-29", lambda: self._answer(0)),  # in time
            ("2024-05-30", lambda: self._file("list", "2024")),
            ("2024-06-04", lambda: self._answer(1)),  # late; the third is answered by nobody until August
            ("2024-06-05", lambda: self._each(self.world.planned, cases[3:4])),
            ("2024-06-07", self._list),
            ("2024-06-14T16:00:00+08:00", lambda: self._file("plan", "2024")),
            ("2024-06-17", lambda: self._withdraw(cases[4])),
            ("2024-07-02", lambda: self._file("tracking", "2024-06")),
            ("2024-07-16", lambda: self._each(self.world.accepted, cases[:2])),
            ("2024-07-30", lambda: self._file("accepted", "2024-07")),
            ("2024-08-05", lambda: self._each(self._check, cases[:2])),
            ("2024-08-12", lambda: self._answer(2)),
            ("2024-09-03", lambda: self._publish(cases[0])),
            ("2024-09-05T22:00:00+08:00", lambda: self._object(cases[0])),
            ("2024-09-27", lambda: self._ask(3, "国庆前能否答复？")),
            ("2024-10-15", lambda: self._send_back("list", "2024")),
            ("2024-11-04", lambda: self._file("list", "2024")),
        ]
        found += [(f"2024-{month:02}-{day:02}", lambda: None) for month in range(6, 13) for day in (11, 19, 25, 28)]
        found += [("2025-01-10", lambda: None), ("2025-01-20", lambda: None)]
        return sorted(found, key=lambda each: each[0])

    def _begin(self) -> None:
        for unit in (ZHENGZHOU, KAIFENG, "410000"):
            for duty in ("officer", "supervisor", "handler"):
                body = {"unit": unit, "duty": duty, "name": f"{duty}{unit}", "email": f"{duty}.{unit}@example.org"}
                body["digest"] = duty != "handler"
                self._made("admin", "/contacts", body)
        for unit in (ZHENGZHOU,) * 4 + (KAIFENG,) * 2:
            self.cases.append(self.world.listed(unit))

    def _made(self, who: str, path: str, body: Any, **more: Any) -> dict[str, Any]:
        answer = self.world.call(who, "POST", path, body, **more)
        assert answer.status_code in (200, 201), (path, answer.status_code, answer.text)
        made: dict[str, Any] = answer.json()
        return made

    def _version(self, path: str) -> int:
        answer = self.world.call("province", "GET", path)
        assert answer.status_code == 200, answer.text
        return int(answer.json()["version"])

    def _list(self) -> None:
        self.cases.append(self.world.listed(reason="补列"))

    def _each(self, act: Callable[[str], Any], cases: list[str]) -> None:
        for case in cases:
            act(case)

    def _check(self, case: str) -> None:
        self.world.check(case, "passed" if case == self.cases[0] else "failed")

    def _publish(self, case: str) -> None:
        self.world.moved(OFFICER, case, "publish")

    def _withdraw(self, case: str) -> None:
        self.world.moved(NEIGHBOUR, case, "withdraw", reason="企业申请退出")

    def _ask(self, case: int, text: str) -> None:
        body = {"case": self.cases[case], "kind": "funding", "text": text}
        self.requests.append(self._made(OFFICER, "/requests", body)["id"])

    def _answer(self, number: int) -> None:
        path = f"/requests/{self.requests[number]}"
        self._made(OFFICER, f"{path}/answer", {"text": "已答复"}, version=self._version(path))

    def _file(self, form: str, period: str) -> None:
        path = f"/filings/henan-2024.{ZHENGZHOU}.{form}.{period}"
        self._made(OFFICER, f"{path}/submit", {}, version=self._version(path))

    def _send_back(self, form: str, period: str) -> None:
        path = f"/filings/henan-2024.{ZHENGZHOU}.{form}.{period}"
        self._made("province", f"{path}/return", {"reason": "名称有误"}, version=self._version(path))

    def _object(self, case: str) -> None:
        notice = self.world.case(case)["notice"]["id"]
        body = {"case": case, "reasons": "夜间冒烟"}
        answer = self.world.call(None, "POST", f"/public/notices/{notice}/objections", body)
        assert answer.status_code in (200, 201, 202), answer.text


def told(running: Running) -> dict[str, Any]:
    """What a season left, in words that are the same for every run of it."""
    with running.db.reading() as tx:
        names = _names(tx)

        def named(text: str) -> str:
            for id_, name in names.items():
                text = text.replace(id_, name)
            return text

        _, broken = verification.verify(tx, SYSTEM)
        actions = tx.execute(select(_AUDIT.c.subject_type, _AUDIT.c.action).where(_AUDIT.c.subject_type != "clock"))
        return {
            "broken": broken,
            "cases": {names[row.id]: (row.state, row.version) for row in tx.execute(select(_CASES))},
            "requests": {
                names[row.id]: (row.state, row.due_on, row.breached_at, row.answered_at, row.late, row.version)
                for row in tx.execute(select(_REQUESTS))
            },
            "objections": Counter(row.state for row in tx.execute(select(_OBJECTIONS))),
            "filings": {row.id: (row.status, row.submitted_at, row.version) for row in tx.execute(select(_FILINGS))},
            "obligations": {
                named(row.id): (row.status, row.rung, row.since, row.due_on, row.ended_at, row.breached_at, row.version)
                for row in tx.execute(select(ROWS))
            },
            "rungs": {(named(row.obligation), row.rung, named(row.recipient)) for row in tx.execute(select(RUNGS))},
            "actions": Counter(tuple(row) for row in actions),
        }  # fmt: skip


def _names(tx: Connection) -> dict[str, str]:
    sites = {row.id: row.credit_code for row in tx.execute(select(_SITES))}
    names = dict(sites)
    names |= {row.id: f"case of {sites[row.enterprise]}" for row in tx.execute(select(_CASES))}
    names |= {row.id: f"request {row.text}" for row in tx.execute(select(_REQUESTS))}
    names |= {row.id: "objection" for row in tx.execute(select(_OBJECTIONS))}
    names |= {row.id: f"notice of {row.opened_on}" for row in tx.execute(select(_NOTICES))}
    units = list(tx.execute(select(_CONTACTS.c.unit)).scalars())
    return names | {each.id: each.email for found in contacts.directory(tx, units).values() for each in found}


def mails(running: Running) -> dict[str, str]:
    """How each mail stands, by its Message-ID."""
    with running.db.reading() as tx:
        return {row.message_id: row.status for row in tx.execute(select(MESSAGES.c.message_id, MESSAGES.c.status))}


def untold(running: Running) -> list[str]:
    """Obligations that are open and have a rung that points to a mail which was taken back, or to none."""
    joined = ROWS.join(RUNGS, RUNGS.c.obligation == ROWS.c.id).outerjoin(MESSAGES, MESSAGES.c.id == RUNGS.c.message)
    lost = MESSAGES.c.id.is_(None) | ((ROWS.c.status == "open") & (MESSAGES.c.status == "cancelled"))
    with running.db.reading() as tx:
        return list(tx.execute(select(ROWS.c.id).select_from(joined).where(lost)).scalars())
