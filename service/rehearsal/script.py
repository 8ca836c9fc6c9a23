"""What each player does next: the next event of a case by the kinds that its programme has, or the day to look again."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from service.chance import Chance
from service.rehearsal.players import Enterprise
from workflows.case import Case
from workflows.programme import Event, Programme
from workflows.working_days import Calendar, legal_day

# What is tried again after a refusal, and how often before it is given up.
MOST_TRIES = 3


@dataclass(frozen=True, slots=True)
class Step:
    """One event that somebody is to send: `second` where it takes another person than the usual one."""

    event: Event
    data: Mapping[str, Any]
    reason: str | None = None
    second: bool = False


Turn = Step | date | None


class Script:
    """The script of one programme and seed: pure, so that it can be asked again."""

    def __init__(self, programme: Programme, calendar: Calendar, seed: int) -> None:
        self.programme, self.calendar, self.seed = programme, calendar, seed
        self._leading: dict[str, dict[str, Event]] = {
            state.id: {event.kind: event for event in programme.events if event.move_from(state.id) is not None}
            for state in programme.states
        }
        self._ends = {event.target for event in programme.events if event.kind == "lapse"}
        self._months = _months(programme)

    def turn(self, who: Enterprise, case: Case, version: int, tries: int, today: date) -> Turn:
        """What happens to a case today: a step, nothing before a day, or nothing any more."""
        can = self._leading[case.state]
        if who.banned_on is not None and today >= who.banned_on and "disqualify" in can:
            return self._step(can["disqualify"], {
                "violation": "自动监测数据弄虚作假", "decided_on": str(today), "document": f"环罚决字〔{today.year}〕{who.number}号",
            }, today)  # fmt: skip
        turn = self._once(who, case, version, tries, today, can) or self._onwards(who, case, tries, today, can)
        return who.banned_on if turn is None and who.banned_on is not None and who.banned_on > today else turn

    def _once(
        self, who: Enterprise, case: Case, version: int, tries: int, today: date, can: Mapping[str, Event]
    ) -> Turn:
        """What happens once to some, at a certain version."""
        if tries:
            return None
        if version == who.leaves_at and "withdraw" in can:
            return self._step(can["withdraw"], {}, today, "企业自愿退出")
        if version == (who.leaves_at or 0) + 1 and "relist" in can and who.comes_back:
            return self._after(case, 10, today) or self._step(can["relist"], {}, today, "企业重新申请")
        if version == who.corrected_at and "correct" in can:
            return Step(can["correct"], {}, "录入有误", second=True)
        if version == 3 and who.plan_returned and "return_plan" in can:
            return self._step(can["return_plan"], {}, today, "请补充措施完成时间")
        if version == 5 and who.plan_amended and "amend_plan" in can:
            added = self._measure(today, 1, "增设在线监测")
            return self._step(can["amend_plan"], {"add": [added]}, today, "企业要求增加措施")
        if case.state in self._ends and who.resubmits == "late" and case.check is not None and case.findings:
            return self._resubmission(who, case, today)
        return None

    def _onwards(self, who: Enterprise, case: Case, tries: int, today: date, can: Mapping[str, Event]) -> Turn:
        if who.goes_fast and "fast_track" in can and not case.measures:
            declared = {"declared_on": str(today), "declaration": "已达到目标等级全部指标"}
            return self._in_window(can["fast_track"], who, today) or self._step(can["fast_track"], declared, today)
        for kind, data in (
            ("pre_assess", self._assessed),
            ("file_plan", self._planned),
            ("start_upgrade", self._started),
        ):
            if kind in can:
                waits = self._after(case, who.pace, today) or self._in_window(can[kind], who, today)
                return waits or self._step(can[kind], data(who, today), today)
        if "accept" in can:
            return self._upgrading(who, case, tries, today, can)
        if "spot_check" in can:
            event = can["spot_check"]
            waits = self._after(case, who.checked_after, today) or self._in_window(event, who, today)
            return waits or self._step(event, self._checked(who, case, tries, today), today)
        if case.check is not None and "publish" in can:
            return self._decided(who, case, today, can)
        if "resubmit" in can:
            return self._rejected(who, case, today, can)
        return None

    def _decided(self, who: Enterprise, case: Case, today: date, can: Mapping[str, Event]) -> Turn:
        assert case.check is not None
        if case.check.result == "failed" and "reject" in can:
            return self._step(can["reject"], {}, today, "复核未通过")
        if case.check.result == "rectify" and "order_rectification" in can:
            accepting = self.programme.event_of_kind("accept")
            last = accepting.window.hard_after if accepting is not None and accepting.window is not None else None
            days = 25 if last is None else min(25, (last - today).days)
            if days < 1:
                return None  # nothing can be accepted anew any more
            ordered = {
                "review_on": str(today + timedelta(days=days)),
                "measures": [self._measure(today, min(20, days), "补齐台账并校准在线监测")],
            }
            return self._step(can["order_rectification"], ordered, today)
        if waits := self._in_window(can["publish"], who, today):
            return waits
        # A unit publishes on one day of the week, so that a notice holds several.
        publishing = today + timedelta(days=(int(case.unit) - today.weekday()) % 5)
        return self._step(can["publish"], {}, today) if publishing == today else publishing

    def _rejected(self, who: Enterprise, case: Case, today: date, can: Mapping[str, Event]) -> Turn:
        report = self._report(who, case, today, can)
        if isinstance(report, Step) or who.resubmits != "soon":
            return report
        waits = self._after(case, 5 + who.pace, today)
        return min(waits, report or waits) if waits else self._resubmission(who, case, today)

    def _resubmission(self, who: Enterprise, case: Case, today: date) -> Turn:
        event = self.programme.event_of_kind("resubmit")
        answers = [{"finding": finding.number, "answer": "已整改到位，附照片"} for finding in case.findings]
        return None if event is None else self._step(event, {
            "answers": answers, "reviewed_on": str(today), "reviewers": list(who.reviewers), "conclusion": "整改到位",
        }, today)  # fmt: skip

    def _upgrading(self, who: Enterprise, case: Case, tries: int, today: date, can: Mapping[str, Event]) -> Turn:
        left = [measure for measure in case.measures if measure.done_on is None]
        report = self._report(who, case, today, can)
        if left or isinstance(report, Step):
            return report
        accept, fail = can["accept"], can.get("fail_acceptance")
        if waits := self._in_window(accept, who, today):
            return min(waits, report or waits)
        review: dict[str, Any] = {"reviewed_on": str(today), "reviewers": list(who.reviewers)}
        if fail and who.fails_first and case.acceptance is None and case.failed_review is None:
            return self._step(fail, review | {"findings": ["无组织排放管控不到位"]}, today)
        if who.is_careless and not tries:
            review["reviewers"] = [who.assessor]
        return self._step(accept, review | {"conclusion": "同意通过验收"}, today)

    # --- the month's report --------------------------------------------------------------------------------------

    def _report(self, who: Enterprise, case: Case, today: date, can: Mapping[str, Event]) -> Turn:
        """The report of this month or the one before, where it is time for it; else the day to look again."""
        event = can.get("report_progress")
        if event is None or not case.measures:
            return None
        entered = f"{legal_day(case.entered_at):%Y-%m}"
        reported = {report.month for report in case.reports}
        this = f"{today:%Y-%m}"
        for month in (_shifted(this, -1), this, _shifted(this, 1), _shifted(this, 2)):
            on = self._report_on(who, month)
            if month in reported or on is None or month < entered or not self._months[0] <= month <= self._months[1]:
                continue
            if on > today:
                return on
            done = [
                each.number
                for each in case.measures
                if each.done_on is None and each.due_on + timedelta(days=who.lag) <= today
            ]
            kinds = sorted({measure.kind for measure in case.measures})
            return self._step(event, {
                "month": month, "assessed_on": str(today), "assessors": [who.assessor], "done": done,
                "progress": dict.fromkeys(kinds, 100 if done else 40), "delayed": who.lag > 10,
                "conclusion": "按计划推进",
            }, today)  # fmt: skip
        return None

    def _report_on(self, who: Enterprise, month: str) -> date | None:
        """When a month is reported: near its end, some in the next one, some never."""
        own = Chance.seeded(f"{self.seed}:report:{who.number}:{month}")
        lot, first = own.fraction(), date.fromisoformat(f"{month}-01")
        if lot < 0.05:
            return None
        return first + timedelta(days=32 + own.below(5) if lot < 0.12 else 15 + own.below(12))

    # --- what is sent ----------------------------------------------------------------------------------------------

    def _assessed(self, who: Enterprise, today: date) -> dict[str, Any]:
        gaps = {self.programme.indicators[who.number % len(self.programme.indicators)].id: "未完全达到目标等级要求"}
        return {"assessed_on": str(today), "assessors": [who.assessor], "gaps": gaps}

    def _planned(self, who: Enterprise, today: date) -> dict[str, Any]:
        measures = [
            self._measure(today, 25 + 20 * place + who.number % 13, f"第{place + 1}项提升改造", who.number + place)
            for place in range(who.measures)
        ]
        finish = max(measure["due_on"] for measure in measures)
        return {
            "measures": measures,
            "investment_10k_cny": 50 + who.number % 400,
            "start_on": str(today),
            "finish_on": finish,
        }

    def _measure(self, today: date, days: int, title: str, place: int = 0) -> dict[str, Any]:
        kinds = self.programme.measure_kinds
        measure: dict[str, Any] = {
            "title": title, "kind": kinds[place % len(kinds)].id, "due_on": str(today + timedelta(days=days)),
        }  # fmt: skip
        if place % 3 == 1 and self.programme.equipment_categories and self.programme.fundings:
            measure["equipment"] = {
                "category": self.programme.equipment_categories[place % len(self.programme.equipment_categories)].id,
                "before": "老旧设备", "after": "新型设备", "investment_10k_cny": 20 + place % 50,
                "funding": self.programme.fundings[place % len(self.programme.fundings)].id,
            }  # fmt: skip
        return measure

    def _started(self, who: Enterprise, today: date) -> dict[str, Any]:
        return {"started_on": str(today)}

    def _checked(self, who: Enterprise, case: Case, tries: int, today: date) -> dict[str, Any]:
        result = "passed" if tries or case.checks >= len(who.results) else who.results[case.checks]
        findings = [] if result == "passed" else ["台账不全", "在线监测数据缺失"]
        inspectors = [who.reviewers[0] if who.is_careless and not tries else who.inspector]
        return {"checked_on": str(today), "inspectors": inspectors, "result": result, "findings": findings}

    def _step(self, event: Event, data: Mapping[str, Any], today: date, reason: str | None = None) -> Step:
        """The step, with a reason where today is outside its window or the event needs one."""
        window = event.window
        outside = (window.from_ is not None and today < window.from_) or (window.to is not None and today > window.to)
        return Step(event, data, reason or ("进度有变，说明如上" if outside or event.needs_reason else None))

    # --- when ------------------------------------------------------------------------------------------------------

    def _after(self, case: Case, working_days: int, today: date) -> date | None:
        """The day so many working days after the case came to its state; None where that has passed."""
        due = self.calendar.add(legal_day(case.entered_at), working_days).due_on
        return due if due > today else None

    def _in_window(self, event: Event, who: Enterprise, today: date) -> date | None:
        """The first day of an event's window, for those who await it; None where it has come."""
        opens = event.window.from_
        if opens is None or today >= opens or (who.is_hasty and (opens - today).days < 10):
            return None
        return opens - timedelta(days=5) if who.is_hasty and (opens - today).days > 10 else opens


def _months(programme: Programme) -> tuple[str, str]:
    """The first and the last month for which there are reports."""
    event = programme.event_of_kind("report_progress")
    given = next((use.given for use in event.guards if use.guard == "month_within"), None) if event else None
    return (f"{given['first']:%Y-%m}", f"{given['last']:%Y-%m}") if given else ("0000-00", "9999-99")


def _shifted(month: str, months: int) -> str:
    year, number = int(month[:4]), int(month[5:]) - 1 + months
    return f"{year + number // 12:04d}-{number % 12 + 1:02d}"
