"""Cases and facts for tests of the rules: made by walking the machine, not by hand."""

from dataclasses import replace
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any

from workflows.case import Case
from workflows.events import Data, read_data
from workflows.facts import Actor, Facts, Site
from workflows.lifecycle import Decision, Lifecycle, Refused
from workflows.programme import UNLISTED, Role, packaged_sources
from workflows.programme_checks import load
from workflows.text import Reason
from workflows.working_days import SHANGHAI, Calendar, packaged_years

DONE = Site(date(2024, 3, 1), date(2024, 4, 1))
OFFICER = Actor("李工", Role.UNIT)
PROVINCE = Actor("王处", Role.PROVINCE)
SYSTEM = Actor("system", Role.SYSTEM)


@lru_cache
def calendar() -> Calendar:
    """The packaged calendar."""
    return Calendar(packaged_years())


@lru_cache
def henan() -> Lifecycle:
    """The machine of henan-2024."""
    return Lifecycle(load(packaged_sources()["henan-2024"]))


def instant(text: str) -> datetime:
    """An instant of Shanghai: `2024-06-03` is 09:00, `2024-06-03 23:59` as it says."""
    day = datetime.fromisoformat(text if " " in text else f"{text} 09:00")
    return day.replace(tzinfo=SHANGHAI).astimezone(UTC)


def new_case(**changes: Any) -> Case:
    """A case that is about to be listed."""
    at = instant("2024-05-20")
    case = Case(
        id="c1", programme="henan-2024", programme_version=1, unit="410100", enterprise="e1", industry="foundry",
        current_grade="C", target_grade="B", applied_on=date(2024, 5, 6), listed_at=at, entered_at=at, state=UNLISTED,
    )  # fmt: skip
    return replace(case, **changes)


class Walk:
    """One case led through a machine, event by event."""

    def __init__(self, machine: Lifecycle | None = None, site: Site = DONE, **changes: Any) -> None:
        self.machine = machine or henan()
        self.site = site
        self.case = new_case(**changes)
        self.history: list[tuple[str, Case]] = []
        self.notice = 0

    def facts(self, at: str, actor: Actor, **more: Any) -> Facts:
        """What the rules know at an instant."""
        self.notice += 1
        return Facts(
            case=self.case, actor=actor, now=instant(at), calendar=calendar(), site=self.site,
            notice_id=f"n{self.notice}", before=self.before(), **more,
        )  # fmt: skip

    def before(self) -> Case | None:
        """The case before its last event."""
        return self.history[-1][1] if self.history else None

    def data(self, event: str, sent: Any, at: str) -> Data | tuple[Reason, ...]:
        """What is sent with an event, read."""
        kind = self.machine.programme.event_by_name[event].kind
        if kind == "list":
            sent = {
                "industry": self.case.industry, "current_grade": self.case.current_grade,
                "target_grade": self.case.target_grade, "applied_on": str(self.case.applied_on), **(sent or {}),
            }  # fmt: skip
        return read_data(kind, sent or {}, self.machine.programme, instant(at).astimezone(SHANGHAI).date())

    def ask(
        self, event: str, sent: Any = None, *, at: str, by: Actor = OFFICER, reason: str | None = None, **more: Any
    ) -> Decision | Refused:
        """Decide without moving the case."""
        data = self.data(event, sent, at)
        assert not isinstance(data, tuple), data
        return self.machine.decide(self.facts(at, by, **more), event, data, reason)

    def go(self, event: str, sent: Any = None, **more: Any) -> Case:
        """Move the case by an event that must be allowed."""
        decided = self.ask(event, sent, **more)
        assert isinstance(decided, Decision), decided
        self.history.append((event, self.case))
        self.case = decided.after
        return self.case

    def refusal(self, event: str, sent: Any = None, **more: Any) -> dict[str, Reason]:
        """The reasons, by code, for which an event is refused."""
        decided = self.ask(event, sent, **more)
        assert isinstance(decided, Refused), f"{event} was allowed"
        return {reason.code: reason for reason in decided.reasons}

    def to(self, state: str) -> "Walk":
        """Lead the case to a state of the usual way; where nothing is unusual about it, from memory."""
        if (self.machine, self.site, self.case) == (henan(), DONE, new_case()):
            led = _led(state)
            self.case, self.history, self.notice = led.case, list(led.history), led.notice
            return self
        return self._lead(state)

    def _lead(self, state: str) -> "Walk":
        for name, step in _WAY[state]:
            self.go(name, **step)
        assert self.case.state == state
        return self


@lru_cache
def _led(state: str) -> Walk:
    return Walk()._lead(state)


MEASURE = {"title": "更换除尘器", "kind": "equipment_renewal", "due_on": "2024-09-30"}
PLAN = {"measures": [MEASURE], "investment_10k_cny": 120, "start_on": "2024-06-10", "finish_on": "2024-09-30"}
PRE_ASSESSMENT = {"assessed_on": "2024-06-03", "assessors": ["周教授"], "gaps": {"fugitive": "料场未封闭"}}
REVIEW = {"reviewed_on": "2024-07-20", "reviewers": ["钱工"], "conclusion": "同意"}
REPORT = {
    "month": "2024-07", "assessed_on": "2024-07-18", "assessors": ["吴工"], "done": [1],
    "progress": {"equipment_renewal": 100}, "delayed": False, "conclusion": "已完成",
}  # fmt: skip
DECLARATION = {"declared_on": "2024-07-20", "declaration": "已达到 B 级指标"}


def check(result: str = "passed", day: str = "2024-08-06") -> dict[str, Any]:
    """What the province's check says."""
    findings = [] if result == "passed" else ["台账不全", "监测缺失"]
    return {"checked_on": day, "inspectors": ["孙处"], "result": result, "findings": findings}


def answers(day: str = "2024-12-18") -> dict[str, Any]:
    """A re-submission that answers both findings."""
    said = [{"finding": number, "answer": "已整改"} for number in (1, 2)]
    return {"answers": said, "reviewed_on": day, "reviewers": ["钱工"], "conclusion": "整改到位"}


_LISTED = [("list", {"at": "2024-05-20"})]
_PRE_ASSESSED = [*_LISTED, ("pre_assess", {"sent": PRE_ASSESSMENT, "at": "2024-06-03"})]
_PLAN_FILED = [*_PRE_ASSESSED, ("file_plan", {"sent": PLAN, "at": "2024-06-10"})]
_UPGRADING = [*_PLAN_FILED, ("start_upgrade", {"sent": {"started_on": "2024-06-12"}, "at": "2024-06-12"})]
_ACCEPTED = [
    *_UPGRADING,
    ("report_progress", {"sent": REPORT, "at": "2024-07-18"}),
    ("accept", {"sent": REVIEW, "at": "2024-07-20"}),
]
_CHECKED = [*_ACCEPTED, ("spot_check", {"sent": check(), "at": "2024-08-06", "by": PROVINCE})]
_FAILED = [*_ACCEPTED, ("spot_check", {"sent": check("failed"), "at": "2024-08-06", "by": PROVINCE})]
_REJECTED = [*_FAILED, ("reject", {"at": "2024-08-07", "by": PROVINCE, "reason": "未通过"})]
_RESUBMITTED = [*_REJECTED, ("resubmit", {"sent": answers(), "at": "2024-12-18"})]
_PUBLISHED = [*_CHECKED, ("publish", {"at": "2024-09-03"})]
_WAY: dict[str, list[tuple[str, dict[str, Any]]]] = {
    "listed": _LISTED,
    "pre_assessed": _PRE_ASSESSED,
    "plan_filed": _PLAN_FILED,
    "upgrading": _UPGRADING,
    "accepted": _ACCEPTED,
    "spot_checked": _CHECKED,
    "rejected": _REJECTED,
    "resubmitted": _RESUBMITTED,
    "published": _PUBLISHED,
    "recognised": [*_PUBLISHED, ("recognise", {"at": "2024-09-11 00:00", "by": SYSTEM})],
    "withdrawn": [*_UPGRADING, ("withdraw", {"at": "2024-06-20", "reason": "企业申请退出"})],
    "lapsed": [*_REJECTED, ("lapse", {"at": "2024-12-21 00:05", "by": SYSTEM})],
    "disqualified": [
        *_UPGRADING,
        (
            "disqualify",
            {
                "sent": {"violation": "超标排放", "decided_on": "2024-06-20", "document": "豫环罚〔2024〕1号"},
                "at": "2024-06-21",
            },
        ),
    ],
}
STATES = tuple(_WAY)

EXAMPLES: dict[str, Any] = {
    "list": {},
    "pre_assess": PRE_ASSESSMENT,
    "file_plan": PLAN,
    "start_upgrade": {"started_on": "2024-06-12"},
    "amend_plan": {"add": [MEASURE]},
    "report_progress": REPORT,
    "accept": REVIEW,
    "fail_acceptance": {"reviewed_on": "2024-07-20", "reviewers": ["钱工"], "findings": ["除尘器未调试"]},
    "fast_track": DECLARATION,
    "spot_check": check(),
    "order_rectification": {"review_on": "2025-03-01", "measures": [MEASURE]},
    "uphold_objection": {"findings": ["夜间冒烟"]},
    "resubmit": answers(),
    "disqualify": {"violation": "超标排放", "decided_on": "2024-06-20", "document": "豫环罚〔2024〕1号"},
}
