"""Guards on the province's check, on what comes again after it, and on the notice at the end."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any, ClassVar, Literal

from workflows.case import Case
from workflows.facts import Ask
from workflows.guards.kind import Guard, Untold
from workflows.programme import FORBID, Programme, Role
from workflows.text import Reason, Text, quoted
from workflows.working_days import end_of_day, legal_day

# --- the province's check, re-submission ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Result:
    """The result that the newest check must have.

    After the end of the day `or_rectify_after` nothing can be ordered to be put right any more: then 'rectify' counts too.
    """

    __pydantic_config__: ClassVar[Any] = FORBID
    result: Literal["passed", "failed", "rectify"]
    or_rectify_after: date | None = None


_RESULTS = {
    "passed": quoted(Text("通过", "passed")),
    "failed": quoted(Text("未通过", "not passed")),
    "rectify": quoted(Text("须整改", "to be put right")),
    None: quoted(Text("尚未复核", "not checked yet")),
}


def _check_resulted(ask: Ask, given: Result, clause: str) -> Iterator[Reason]:
    result = ask.case.check.result if ask.case.check else None
    last = given.or_rectify_after if result == "rectify" else None
    ends_at = end_of_day(last) if last else None
    if result == given.result or (ends_at is not None and ask.facts.now >= ends_at):
        return
    wanted, found, first = _RESULTS[given.result], _RESULTS[result], _to_be_ordered_first(ask, last)
    yield ask.reason(
        "check_result",
        f"省级复核结果须为{wanted.zh}，现为{found.zh}{first.zh}",
        f"the result of the province's check must be {wanted.en}; it is {found.en}{first.en}",
        clause, field="check", who=Role.PROVINCE, until=ends_at,
    )  # fmt: skip


def _to_be_ordered_first(ask: Ask, last: date | None) -> Text:
    """What to do with what is to be put right: nothing to say where the event never takes it."""
    if last is None:
        return Text("", "")
    event = quoted(ask.event.title)
    return Text(
        f"；请在 {last} 24:00 前责令整改，届时仍未责令的，此后可办理{event.zh}",
        f": order rectification until 24:00 of {last}; where none was ordered, {event.en} is possible after it",
    )


@dataclass(frozen=True, slots=True)
class ResultUntil:
    """A result that can be given only until the end of a day."""

    __pydantic_config__: ClassVar[Any] = FORBID
    result: Literal["passed", "failed", "rectify"]
    until: date


def _result_until(ask: Ask, given: ResultUntil, clause: str) -> Iterator[Reason]:
    if ask.data is not None and ask.data.result == given.result and ask.facts.now >= end_of_day(given.until):
        yield ask.reason(
            "too_late",
            f"{_RESULTS[given.result].zh}这一结果只能在 {given.until} 24:00 前作出",
            f"the result {_RESULTS[given.result].en} was possible only until 24:00 of {given.until}",
            clause, field="data.result", until=end_of_day(given.until),
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class ReviewUntil:
    """The last day on which the case can be accepted anew: what is ordered has to be done and reviewed by then."""

    __pydantic_config__: ClassVar[Any] = FORBID
    until: date


def _review_until(ask: Ask, given: ReviewUntil, clause: str) -> Iterator[Reason]:
    ends_at = end_of_day(given.until)
    if ask.facts.now >= ends_at:
        yield ask.reason(
            "too_late",
            f"重新验收已于 {given.until} 24:00 截止，不能再责令整改",
            f"acceptance anew has been closed since 24:00 of {given.until}: nothing can be ordered any more",
            clause, until=ends_at,
        )  # fmt: skip
        return
    if ask.data is None:
        return
    days = {"data.review_on": ask.data.review_on}
    days |= {f"data.measures[{index}].due_on": each.due_on for index, each in enumerate(ask.data.measures)}
    for name, on in days.items():
        if on > given.until:
            yield ask.reason(
                "after_acceptance",
                f"{on} 晚于 {given.until}，届时重新验收已截止",
                f"{on} is after {given.until}, when acceptance anew is closed",
                clause, field=name, who=Role.PROVINCE, until=ends_at,
            )  # fmt: skip


def _never_checked(ask: Ask, given: Untold, clause: str) -> Iterator[Reason]:
    if ask.case.checks:
        yield ask.reason(
            "checked_before",
            "该企业曾被省级复核，须再次复核通过后才能公示",
            "the province has checked this case before: it must pass a check again before publication",
            clause, field="check", who=Role.PROVINCE,
        )  # fmt: skip


def _not_fast_tracked(ask: Ask, given: Untold, clause: str) -> Iterator[Reason]:
    if ask.case.route == "fast_track":
        yield ask.reason(
            "fast_tracked",
            "快速通道企业不得免于省级复核，复核通过后才能公示",
            "a fast-tracked case cannot skip the province's check: it must pass one before publication",
            clause, field="check", who=Role.PROVINCE,
        )  # fmt: skip


def _passed_over_by_draw(ask: Ask, given: Untold, clause: str) -> Iterator[Reason]:
    if ask.case.checks or ask.case.route == "fast_track":
        return  # no draw can free it: the guards of these say so
    if ask.case.draw is None:
        yield ask.reason(
            "not_drawn_over",
            "验收后尚无已备案的抽签，不能免复核公示；请待省级抽签，或待复核通过",
            "no recorded draw has passed this case over since its acceptance: await the province's draw or check",
            clause, field="draw", who=Role.PROVINCE,
        )  # fmt: skip
    elif ask.case.draw.drawn:
        yield ask.reason(
            "drawn",
            "该企业已被抽中，省级复核通过后才能公示",
            "this case was drawn: the province's check must pass before publication",
            clause, field="draw", who=Role.PROVINCE,
        )  # fmt: skip


def _findings_answered(ask: Ask, given: Untold, clause: str) -> Iterator[Reason]:
    if ask.data is None:
        return
    numbers = {finding.number: finding for finding in ask.case.findings}
    answered = {answer.finding for answer in ask.data.answers}
    for number in sorted(set(numbers) - answered):
        yield ask.reason(
            "finding_unanswered",
            f"第 {number} 条问题未答复：{numbers[number].text}",
            f"finding {number} is not answered: {numbers[number].text}",
            clause, field="data.answers",
        )  # fmt: skip
    for number in sorted(answered - set(numbers)):
        yield ask.reason(
            "unknown_finding", f"没有第 {number} 条问题", f"there is no finding {number}", clause, field="data.answers"
        )


def _reviewed_anew(ask: Ask, given: Untold, clause: str) -> Iterator[Reason]:
    refused_on = legal_day(ask.case.entered_at)
    if ask.data is not None and ask.data.reviewed_on < refused_on:
        yield ask.reason(
            "review_too_old",
            f"再次报送须有新的市级评审，评审日期不得早于未通过之日（{refused_on}）",
            f"a re-submission needs a new review, not one from before the refusal ({refused_on})",
            clause, field="data.reviewed_on",
        )  # fmt: skip


def _done_since_start(ask: Ask, given: Untold, clause: str) -> Iterator[Reason]:
    started_on = ask.case.started_on
    if ask.data is not None and started_on is not None and ask.data.reviewed_on < started_on:
        yield ask.reason(
            "review_too_old",
            f"验收评审日期（{ask.data.reviewed_on}）不得早于开工日期（{started_on}）",
            f"what is accepted began on {started_on}: a review of {ask.data.reviewed_on} is from before it",
            clause, field="data.reviewed_on",
        )  # fmt: skip


def _done_since_measures(ask: Ask, given: Untold, clause: str) -> Iterator[Reason]:
    done_on = max((each.done_on for each in ask.case.measures if each.done_on is not None), default=None)
    if ask.data is not None and done_on is not None and ask.data.reviewed_on < done_on:
        yield ask.reason(
            "review_too_old",
            f"验收须在提升措施完成之后：最后一项措施的完成日期为 {done_on}，评审日期为 {ask.data.reviewed_on}",
            f"what is accepted was finished on {done_on}: a review of {ask.data.reviewed_on} is from before it",
            clause, field="data.reviewed_on",
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Dated:
    """Which day of what is sent says when it was done."""

    __pydantic_config__: ClassVar[Any] = FORBID
    day: Literal["reviewed_on", "declared_on"]


def _done_since_order(ask: Ask, given: Dated, clause: str) -> Iterator[Reason]:
    if ask.data is None or ask.case.review_on is None:
        return
    done_on, ordered_on = getattr(ask.data, given.day), legal_day(ask.case.entered_at)
    if done_on < ordered_on:
        yield ask.reason(
            "review_too_old",
            f"责令整改后须重新验收，日期（{done_on}）不得早于责令之日（{ordered_on}）",
            f"after rectification was ordered ({ordered_on}) the case is reviewed anew: {done_on} is before it",
            clause, field=f"data.{given.day}",
        )  # fmt: skip


def _checked_anew(ask: Ask, given: Untold, clause: str) -> Iterator[Reason]:
    if ask.data is None or ask.case.acceptance is None:
        return
    accepted_on = legal_day(ask.case.acceptance.accepted_at)
    if ask.data.checked_on < accepted_on:
        yield ask.reason(
            "check_too_old",
            f"复核须在本次验收或再次报送（{accepted_on}）之后进行，不能用此前的复核",
            f"a check is made after what it checks was accepted or submitted again ({accepted_on}), not before",
            clause, field="data.checked_on",
        )  # fmt: skip


# --- notice, recognition, lapse ---------------------------------------------------------------------------------------


def _notice_end(programme: Programme, case: Case, given: Any) -> datetime | None:
    return end_of_day(case.notice.ends_on) if case.notice else None


def _notice_over(ask: Ask, given: Untold, clause: str) -> Iterator[Reason]:
    ends_at = _notice_end(ask.programme, ask.case, given)
    if ends_at is None or ask.facts.now < ends_at:
        until = ask.case.notice.ends_on if ask.case.notice else "—"
        yield ask.reason(
            "notice_running",
            f"公示期未满（至 {until} 24:00）",
            f"the notice has not run its days (until 24:00 of {until})",
            clause, field="notice", who=Role.SYSTEM,
        )  # fmt: skip


def _no_open_objection(ask: Ask, given: Untold, clause: str) -> Iterator[Reason]:
    if ask.facts.open_objections:
        yield ask.reason(
            "objection_open",
            f"有 {ask.facts.open_objections} 件公示异议尚未处理",
            f"{ask.facts.open_objections} objection(s) are not decided yet",
            clause, field="objections", who=Role.UNIT,
        )  # fmt: skip


@dataclass(frozen=True, slots=True)
class After:
    """The day after whose end the event may happen, and how many minutes it waits beyond."""

    __pydantic_config__: ClassVar[Any] = FORBID
    day: date
    grace_minutes: int = 0


def _opens_after(programme: Programme, case: Case, given: After) -> datetime | None:
    return end_of_day(given.day) + timedelta(minutes=given.grace_minutes)


def _after(ask: Ask, given: After, clause: str) -> Iterator[Reason]:
    opens_at = end_of_day(given.day) + timedelta(minutes=given.grace_minutes)
    if ask.facts.now < opens_at:
        yield ask.reason(
            "too_early",
            f"{given.day} 24:00 之前不会失效",
            f"not before 24:00 of {given.day}",
            clause, who=Role.SYSTEM, until=opens_at,
        )  # fmt: skip


GUARDS: Mapping[str, Guard] = {
    "check_resulted": Guard(_check_resulted, Result),
    "result_until": Guard(_result_until, ResultUntil),
    "review_until": Guard(_review_until, ReviewUntil),
    "never_checked": Guard(_never_checked),
    "not_fast_tracked": Guard(_not_fast_tracked),
    "passed_over_by_draw": Guard(_passed_over_by_draw),
    "findings_answered": Guard(_findings_answered),
    "done_since_order": Guard(_done_since_order, Dated),
    "done_since_start": Guard(_done_since_start),
    "done_since_measures": Guard(_done_since_measures),
    "checked_anew": Guard(_checked_anew),
    "reviewed_anew": Guard(_reviewed_anew),
    "notice_over": Guard(_notice_over, opens=_notice_end),
    "no_open_objection": Guard(_no_open_objection, needs=frozenset({"open_objections"})),
    "after": Guard(_after, After, opens=_opens_after),
}
