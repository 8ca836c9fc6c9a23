"""What each kind of event changes in a case: pure functions from the question to the changed parts.

Common to all events, and therefore in `lifecycle`: the state, when it was entered, the flags, and the last event.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import date
from typing import Any

from workflows.case import (
    Acceptance,
    Disqualification,
    Equipment,
    FailedReview,
    Finding,
    Measure,
    NoticeEntry,
    Plan,
    PreAssessment,
    Report,
    SpotCheck,
)
from workflows.events import (
    Accepting,
    Amending,
    Checking,
    Disqualifying,
    EquipmentData,
    FailingAcceptance,
    FastTracking,
    MeasureData,
    Planning,
    PreAssessing,
    Rectifying,
    Reporting,
    Resubmitting,
    Starting,
    Upholding,
    choice_id,
)
from workflows.facts import Ask
from workflows.persons import joined
from workflows.programme import Programme

Changes = dict[str, Any]

# What was amended beside the events does not go back when one is corrected: by hand (PATCH), or to a newer version.
_AMENDED_BY_HAND = ("finish_by", "officer", "experts", "remark", "target_grade", "programme_version")
_OF_ONE_ATTEMPT: Changes = {
    "route": "normal", "pre_assessment": None, "plan": None, "started_on": None, "measures": (), "last_measure": 0, "reports": (),
    "failed_review": None, "acceptance": None, "grade_reached": None, "draw": None, "check": None, "findings": (), "review_on": None,
    "resubmissions": 0, "notice": None,
}  # fmt: skip


def _nothing(ask: Ask) -> Changes:
    return {}


def _equipment(data: EquipmentData | None, programme: Programme) -> Equipment | None:
    if data is None:
        return None
    return Equipment(
        category=choice_id(programme.equipment_categories, data.category),
        before=data.before,
        after=data.after,
        investment_10k_cny=data.investment_10k_cny,
        funding=choice_id(programme.fundings, data.funding),
        started_on=data.started_on,
        finished_on=data.finished_on,
    )


def _numbered(
    measures: tuple[MeasureData, ...], last: int, programme: Programme, *, ordered: bool = False
) -> tuple[Measure, ...]:
    """The measures with the numbers after `last`."""
    return tuple(
        Measure(
            number=number,
            title=measure.title,
            kind=choice_id(programme.measure_kinds, measure.kind),
            due_on=measure.due_on,
            equipment=_equipment(measure.equipment, programme),
            ordered=ordered,
        )
        for number, measure in enumerate(measures, last + 1)
    )


def _findings(texts: tuple[str, ...]) -> tuple[Finding, ...]:
    return tuple(Finding(number, text) for number, text in enumerate(texts, 1))


def _pre_assess(ask: Ask) -> Changes:
    data: PreAssessing = ask.data
    return {
        "pre_assessment": PreAssessment(
            data.assessed_on,
            data.assessors,
            {choice_id(ask.programme.indicators, category): gap for category, gap in data.gaps.items()},
        ),
        "assessed_by": joined(ask.case.assessed_by, data.assessors),
    }


def _file_plan(ask: Ask) -> Changes:
    data: Planning = ask.data
    return {
        "plan": Plan(data.investment_10k_cny, data.start_on, data.finish_on),
        "measures": _numbered(data.measures, 0, ask.programme),
        "last_measure": len(data.measures),
    }


def _start_upgrade(ask: Ask) -> Changes:
    data: Starting = ask.data
    return {"started_on": data.started_on}


def _amend_plan(ask: Ask) -> Changes:
    data: Amending = ask.data
    changes = {change.number: change for change in data.change}
    measures = []
    for measure in ask.case.measures:
        if measure.number in data.drop:
            continue
        change = changes.get(measure.number)
        if change is not None:
            equipment = _equipment(change.equipment, ask.programme)
            measure = replace(
                measure,
                title=change.title or measure.title,
                kind=choice_id(ask.programme.measure_kinds, change.kind) if change.kind else measure.kind,
                due_on=change.due_on or measure.due_on,
                equipment=equipment or measure.equipment,
            )
        measures.append(measure)
    return {
        "measures": (*measures, *_numbered(data.add, ask.case.last_measure, ask.programme)),
        "last_measure": ask.case.last_measure + len(data.add),
    }


def _report_progress(ask: Ask) -> Changes:
    data: Reporting = ask.data
    report = Report(
        month=data.month,
        assessed_on=data.assessed_on,
        assessors=data.assessors,
        done=data.done,
        progress={choice_id(ask.programme.measure_kinds, kind): done for kind, done in data.progress.items()},
        delayed=data.delayed,
        conclusion=data.conclusion,
        problems=data.problems,
        next=data.next,
    )
    others = (other for other in ask.case.reports if other.month != data.month)
    return {
        "reports": tuple(sorted((*others, report), key=lambda each: each.month)),
        "measures": tuple(
            replace(measure, done_on=data.assessed_on)
            if measure.number in data.done and measure.done_on is None
            else measure
            for measure in ask.case.measures
        ),
    }


def _reviewed(ask: Ask, reviewed_on: date, people: tuple[str, ...], conclusion: str, results: Any) -> Changes:
    indicators = {choice_id(ask.programme.indicators, name): result for name, result in (results or {}).items()}
    return {
        "acceptance": Acceptance(ask.facts.now, reviewed_on, people, indicators, conclusion),
        "reviewed_by": joined(ask.case.reviewed_by, people),
        "failed_review": None,
        "draw": None,
    }


def _accept(ask: Ask) -> Changes:
    data: Accepting = ask.data
    return {
        **_reviewed(ask, data.reviewed_on, data.reviewers, data.conclusion, data.indicators),
        "grade_reached": data.grade or ask.case.target_grade,
        "route": "normal",
        "review_on": None,
    }


def _fail_acceptance(ask: Ask) -> Changes:
    data: FailingAcceptance = ask.data
    return {
        "failed_review": FailedReview(data.reviewed_on, data.reviewers, data.findings),
        "reviewed_by": joined(ask.case.reviewed_by, data.reviewers),
    }


def _fast_track(ask: Ask) -> Changes:
    data: FastTracking = ask.data
    return {
        **_reviewed(ask, data.declared_on, (), data.declaration, data.indicators),
        "grade_reached": data.grade or ask.case.target_grade,
        "route": "fast_track",
        "review_on": None,
    }


def _spot_check(ask: Ask) -> Changes:
    data: Checking = ask.data
    return {
        "check": SpotCheck(data.result, data.checked_on, data.inspectors),
        "checks": ask.case.checks + 1,
        "inspected_by": joined(ask.case.inspected_by, data.inspectors),
        "findings": _findings(data.findings) or ask.case.findings,
    }


def _order_rectification(ask: Ask) -> Changes:
    data: Rectifying = ask.data
    return {
        "measures": (
            *ask.case.measures,
            *_numbered(data.measures, ask.case.last_measure, ask.programme, ordered=True),
        ),
        "last_measure": ask.case.last_measure + len(data.measures),
        "review_on": data.review_on,
        "acceptance": None,
        "grade_reached": None,
    }


def _publish(ask: Ask) -> Changes:
    assert ask.facts.notice_id is not None
    due = ask.facts.calendar.add(ask.facts.today, ask.programme.spans.notice.working_days)
    return {"notice": NoticeEntry(ask.facts.notice_id, ask.facts.today, due.due_on, due.provisional)}


def _uphold_objection(ask: Ask) -> Changes:
    data: Upholding = ask.data
    return {"findings": _findings(data.findings), "notice": None}


def _resubmit(ask: Ask) -> Changes:
    data: Resubmitting = ask.data
    answers = {answer.finding: answer.answer for answer in data.answers}
    return {
        **_reviewed(ask, data.reviewed_on, data.reviewers, data.conclusion, None),
        "findings": tuple(replace(finding, answer=answers.get(finding.number)) for finding in ask.case.findings),
        "resubmissions": ask.case.resubmissions + 1,
    }


def _recognise(ask: Ask) -> Changes:
    return {"recognised_at": ask.facts.takes_effect_at}


def _leave(ask: Ask) -> Changes:
    return {"notice": None}


def _relist(ask: Ask) -> Changes:
    return {**_OF_ONE_ATTEMPT, "listed_at": ask.facts.now}


def _lapse(ask: Ask) -> Changes:
    return {"lapsed_after": ask.case.last_event}


def _disqualify(ask: Ask) -> Changes:
    data: Disqualifying = ask.data
    return {"disqualification": Disqualification(data.violation, data.decided_on, data.document), "notice": None}


def _correct(ask: Ask) -> Changes:
    before = ask.facts.before
    assert before is not None
    changed = {
        name: getattr(before, name)
        for name in before.__slots__
        if name not in _AMENDED_BY_HAND and getattr(before, name) != getattr(ask.case, name)
    }
    if before.plan is not None:
        changed["target_grade"] = before.target_grade  # it was fixed by the plan that stands again
    return {**changed, "entered_at": before.entered_at}  # also where both events came at one instant


EFFECTS: Mapping[str, Callable[[Ask], Changes]] = {
    "list": _nothing,
    "pre_assess": _pre_assess,
    "file_plan": _file_plan,
    "return_plan": _nothing,
    "start_upgrade": _start_upgrade,
    "amend_plan": _amend_plan,
    "report_progress": _report_progress,
    "accept": _accept,
    "fail_acceptance": _fail_acceptance,
    "fast_track": _fast_track,
    "spot_check": _spot_check,
    "order_rectification": _order_rectification,
    "publish": _publish,
    "reject": _nothing,
    "uphold_objection": _uphold_objection,
    "recognise": _recognise,
    "resubmit": _resubmit,
    "lapse": _lapse,
    "withdraw": _leave,
    "relist": _relist,
    "disqualify": _disqualify,
    "correct": _correct,
}
