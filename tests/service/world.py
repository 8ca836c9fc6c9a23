"""A running service on a virtual clock for tests, and the short words in which tests speak to it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from itertools import count
from typing import Any

from fastapi.testclient import TestClient
from httpx2 import Response

from service.access import SYSTEM, Act
from service.app import build
from service.casework import tokens
from service.casework.desk import Desk
from service.clock import VirtualClock
from service.running import Running, open_running
from service.sample import credit_code
from service.settings import Settings
from workflows.programme import Role

BEGINS = "2024-05-20T09:00:00+08:00"
ZHENGZHOU, KAIFENG = "410100", "410200"


@dataclass
class World:
    """One service over one database."""

    settings: Settings
    running: Running
    client: TestClient
    secrets: dict[str, str] = field(default_factory=dict)
    numbers: Any = field(default_factory=lambda: count(1))

    def token(self, name: str, role: Role, **scope: Any) -> str:
        """A token by the name of its holder, made once."""
        if name not in self.secrets:
            with self.running.db.transaction() as tx:
                desk = Desk(tx, self.running.books)
                act = Act(SYSTEM, self.running.clock.now(tx))
                self.secrets[name] = tokens.create(desk, act, name=name, role=role, **scope)
        return self.secrets[name]

    def call(
        self,
        who: str | None,
        method: str,
        path: str,
        body: Any = None,
        *,
        version: int | None = None,
        key: str | None = None,
        language: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Response:
        """One request under /api/v1 in the name of a token's holder; `version` becomes If-Match."""
        sent = dict(headers or {})
        if who is not None:
            sent["Authorization"] = f"Bearer {self.secrets[who]}"
        if version is not None:
            sent["If-Match"] = f'"{version}"'
        if key is not None:
            sent["Idempotency-Key"] = key
        if language is not None:
            sent["Accept-Language"] = language
        more = {"json": body} if body is not None else {}
        return self.client.request(method, f"/api/v1{path}", headers=sent, **more)

    def at(self, instant: str) -> dict[str, Any]:
        """Move the clock, to an instant or to 09:00 of a day in Asia/Shanghai."""
        to = instant if "T" in instant else f"{instant}T09:00:00+08:00"
        answer = self.call("admin", "POST", "/clock", {"to": to})
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    def passes_unseen(self, instant: str) -> None:
        """The clock goes on while no process is up, so that nothing ticks."""
        clock = self.running.clock
        assert isinstance(clock, VirtualClock)
        with self.running.db.transaction() as tx:
            clock.move(tx, datetime.fromisoformat(instant))

    def now(self) -> datetime:
        """The virtual instant."""
        with self.running.db.reading() as tx:
            return self.running.clock.now(tx)

    def line(self, unit: str = ZHENGZHOU, **changes: Any) -> dict[str, Any]:
        """The body of a POST /cases that is right, with changes."""
        number = next(self.numbers)
        code = credit_code(unit, 50_000 + number)
        return {
            "programme": "henan-2024",
            "unit": unit,
            "enterprise": {
                "name": f"测试企业{number}",
                "credit_code": code,
                "permit_no": f"{code}001P",
                "contact": {"name": "王联系", "phone": "0371-60001234"},
            },
            "industry": "foundry",
            "current_grade": "C",
            "target_grade": "B",
            "applied_on": "2024-05-06",
            **changes,
        }

    def listed(self, unit: str = ZHENGZHOU, **changes: Any) -> str:
        """The id of a newly listed case."""
        answer = self.call(f"officer {unit}", "POST", "/cases", self.line(unit, **changes))
        assert answer.status_code == 201, answer.text
        case: str = answer.json()["id"]
        return case

    def case(self, case: str, who: str = "province") -> dict[str, Any]:
        """A case as somebody sees it."""
        answer = self.call(who, "GET", f"/cases/{case}")
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def event(
        self, who: str, case: str, event: str, data: Any = None, *, reason: str | None = None, **more: Any
    ) -> Response:
        """Send an event with the version as it is now."""
        body: dict[str, Any] = {"event": event, "data": data or {}}
        if reason is not None:
            body["reason"] = reason
        if "version" not in more:
            more["version"] = self.case(case)["version"]
        return self.call(who, "POST", f"/cases/{case}/events", body, **more)

    def moved(self, who: str, case: str, event: str, data: Any = None, *, reason: str | None = None) -> dict[str, Any]:
        """The case after an event that must succeed."""
        answer = self.event(who, case, event, data, reason=reason)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()["case"]
        return found

    def refused(self, who: str, case: str, event: str, data: Any = None, *, reason: str | None = None) -> set[str]:
        """The codes of the reasons for which an event is refused (409)."""
        answer = self.event(who, case, event, data, reason=reason)
        assert answer.status_code == 409, answer.text
        assert answer.json()["code"] == "event_refused"
        return {each["code"] for each in answer.json()["errors"]}

    # --- the way of a case, in steps that succeed; each moves the clock where it must be -------------------------

    def planned(self, case: str, officer: str = f"officer {ZHENGZHOU}") -> dict[str, Any]:
        """Pre-assessed, with a plan of one measure that is filed; in June."""
        self._not_before("2024-06-03")
        today = f"{self.now():%Y-%m-%d}"
        self.moved(
            officer, case, "pre_assess",
            {"assessed_on": today, "assessors": ["周教授"], "gaps": {"fugitive": "料场未封闭"}},
        )  # fmt: skip
        measure = {"title": "更换除尘器", "kind": "equipment_renewal", "due_on": "2024-09-30"}
        plan = {"measures": [measure], "investment_10k_cny": 120, "start_on": "2024-06-10", "finish_on": "2024-09-30"}
        return self.moved(officer, case, "file_plan", plan)

    def upgraded(self, case: str, officer: str = f"officer {ZHENGZHOU}") -> dict[str, Any]:
        """Upgrading, with its measure done; in July."""
        self.planned(case, officer)
        self.moved(officer, case, "start_upgrade", {"started_on": f"{self.now():%Y-%m-%d}"})
        self._not_before("2024-07-16")
        report = {
            "month": f"{self.now():%Y-%m}", "assessed_on": f"{self.now():%Y-%m-%d}", "assessors": ["吴工"], "done": [1],
            "progress": {"equipment_renewal": 100}, "delayed": False, "conclusion": "已完成",
        }  # fmt: skip
        return self.moved(officer, case, "report_progress", report)

    def accepted(self, case: str, officer: str = f"officer {ZHENGZHOU}", **more: Any) -> dict[str, Any]:
        """Accepted by the city; in July."""
        self.upgraded(case, officer)
        review = {
            "reviewed_on": f"{self.now():%Y-%m-%d}",
            "reviewers": ["钱工", "郑工"],
            "conclusion": "同意通过",
            **more,
        }
        return self.moved(officer, case, "accept", review)

    def checked(self, case: str, result: str = "passed", officer: str = f"officer {ZHENGZHOU}") -> dict[str, Any]:
        """Checked by the province; in August."""
        self.accepted(case, officer)
        self._not_before("2024-08-05")
        return self.check(case, result)

    def check(self, case: str, result: str = "passed") -> dict[str, Any]:
        """One check of the province today."""
        findings = [] if result == "passed" else ["台账不全", "在线监测数据缺失"]
        data = {
            "checked_on": f"{self.now():%Y-%m-%d}", "inspectors": ["孙处"], "result": result, "findings": findings,
        }  # fmt: skip
        return self.moved("province", case, "spot_check", data)

    def published(self, case: str, officer: str = f"officer {ZHENGZHOU}") -> dict[str, Any]:
        """In a notice; in September."""
        self.checked(case, "passed", officer)
        self._not_before("2024-09-03")
        return self.moved(officer, case, "publish")

    def rejected(self, case: str, officer: str = f"officer {ZHENGZHOU}") -> dict[str, Any]:
        """Refused after a failed check; in August."""
        self.checked(case, "failed", officer)
        return self.moved("province", case, "reject", reason="复核未通过")

    def resubmission(self, case: str) -> dict[str, Any]:
        """The data of a re-submission that answers every finding, reviewed today."""
        findings = self.case(case)["findings"]
        return {
            "answers": [{"finding": finding["number"], "answer": "已整改"} for finding in findings],
            "reviewed_on": f"{self.now():%Y-%m-%d}",
            "reviewers": ["钱工"],
            "conclusion": "整改到位",
        }

    def _not_before(self, day: str) -> None:
        if f"{self.now():%Y-%m-%d}" < day:
            self.at(day)


def open_world(settings: Settings) -> World:
    """A service over a migrated database, with the usual people. Used as a context through its client."""
    process = open_running(settings)
    world = World(settings, process, TestClient(build(process, ticking=False), raise_server_exceptions=False))
    with_people(world)
    return world


def with_people(world: World) -> None:
    """Make the tokens of the usual people."""
    world.token("admin", Role.ADMIN)
    world.token("province", Role.PROVINCE)
    world.token("second of the province", Role.PROVINCE)
    world.token("auditor", Role.AUDITOR)
    for unit in (ZHENGZHOU, KAIFENG):
        world.token(f"officer {unit}", Role.UNIT, unit=unit)
        world.token(f"second officer {unit}", Role.UNIT, unit=unit)
