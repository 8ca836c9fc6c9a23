"""A case as the rules see it: one (programme, site, industry) on its way, a frozen value that events replace.

It holds what the case's history says and nothing about other things; `dump` and `load` give its stored form.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal

from pydantic import TypeAdapter

Route = Literal["normal", "fast_track"]
Flag = Literal["early", "late"]
CheckResult = Literal["passed", "failed", "rectify"]


@dataclass(frozen=True, slots=True)
class Equipment:
    """The renewal of one piece of equipment (附件3); investment in 10,000 CNY."""

    category: str
    before: str
    after: str
    investment_10k_cny: float
    funding: str
    started_on: date | None = None
    finished_on: date | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """One measure of the plan, numbered from 1; a number is never given twice. `ordered`: by the province (整改)."""

    number: int
    title: str
    kind: str
    due_on: date
    done_on: date | None = None
    equipment: Equipment | None = None
    ordered: bool = False


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check, or an upheld objection, found wanting; answered at re-submission."""

    number: int
    text: str
    answer: str | None = None


@dataclass(frozen=True, slots=True)
class PreAssessment:
    """What the pre-assessment found: the gap in each indicator category."""

    assessed_on: date
    assessors: tuple[str, ...]
    gaps: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Plan:
    """The plan's frame (一企一策); its measures stand on the case. Investment in 10,000 CNY."""

    investment_10k_cny: float
    start_on: date
    finish_on: date


@dataclass(frozen=True, slots=True)
class Report:
    """The progress of one month; a later report for the same month replaces it."""

    month: str
    assessed_on: date
    assessors: tuple[str, ...]
    done: tuple[int, ...]
    progress: Mapping[str, int]
    delayed: bool
    conclusion: str
    problems: str | None = None
    next: str | None = None


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The city's newest review: acceptance, fast track (no reviewers) or re-submission."""

    accepted_at: datetime
    reviewed_on: date
    reviewers: tuple[str, ...]
    indicators: Mapping[str, str]
    conclusion: str


@dataclass(frozen=True, slots=True)
class FailedReview:
    """The city's newest review that was not passed, and what it found wanting."""

    reviewed_on: date
    reviewers: tuple[str, ...]
    findings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SpotCheck:
    """The province's newest check."""

    result: CheckResult
    checked_on: date
    inspectors: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class NoticeEntry:
    """Where and until when the case is publicised; both days in Asia/Shanghai."""

    id: str
    opened_on: date
    ends_on: date
    provisional: bool = False


@dataclass(frozen=True, slots=True)
class Drawn:
    """What the newest recorded draw since acceptance did with the case."""

    id: str
    drawn: bool


@dataclass(frozen=True, slots=True)
class Disqualification:
    """The decision by which the case lost its eligibility."""

    violation: str
    decided_on: date
    document: str


@dataclass(frozen=True, slots=True)
class LastEvent:
    """The newest event, by whom and when, and how it marked the case: what a correction would undo."""

    event: str
    kind: str
    actor: str
    role: str
    at: datetime
    flag: Flag | None = None


@dataclass(frozen=True, slots=True)
class Case:
    """All that the history of a case says. `*_by` are everybody who ever did it, for the two-person rules.

    `listed_at`: since when it has been on the list, which it may leave and enter again (二（二）, 有进有出).
    """

    id: str
    programme: str
    programme_version: int
    unit: str
    enterprise: str
    industry: str
    current_grade: str
    target_grade: str
    applied_on: date
    listed_at: datetime
    entered_at: datetime
    state: str
    industry_detail: str | None = None
    finish_by: date | None = None
    officer: str | None = None
    experts: tuple[str, ...] = ()
    remark: str | None = None
    flags: tuple[str, ...] = ()
    route: Route = "normal"
    pre_assessment: PreAssessment | None = None
    plan: Plan | None = None
    started_on: date | None = None
    measures: tuple[Measure, ...] = ()
    last_measure: int = 0
    reports: tuple[Report, ...] = ()
    failed_review: FailedReview | None = None
    acceptance: Acceptance | None = None
    grade_reached: str | None = None
    draw: Drawn | None = None
    check: SpotCheck | None = None
    checks: int = 0
    findings: tuple[Finding, ...] = ()
    review_on: date | None = None
    resubmissions: int = 0
    notice: NoticeEntry | None = None
    recognised_at: datetime | None = None
    disqualification: Disqualification | None = None
    assessed_by: tuple[str, ...] = ()
    reviewed_by: tuple[str, ...] = ()
    inspected_by: tuple[str, ...] = ()
    last_event: LastEvent | None = None
    lapsed_after: LastEvent | None = None

    @property
    def to_correct(self) -> LastEvent | None:
        """The event that a correction would undo: the last; of a lapse, the refusal upon which it came and with which it falls."""
        last, before = self.last_event, self.lapsed_after
        is_of_refusal = last is not None and last.kind == "lapse" and before is not None and before.kind == "reject"
        return before if is_of_refusal else last

    @property
    def people(self) -> tuple[str, ...]:
        """Everybody named in the case who took part in it."""
        officer = (self.officer,) if self.officer else ()
        return (*officer, *self.experts, *self.assessed_by, *self.reviewed_by, *self.inspected_by)


_CASE = TypeAdapter(Case)


def dump(case: Case) -> dict[str, Any]:
    """The case as JSON values: instants RFC 3339 in UTC, dates YYYY-MM-DD."""
    document: dict[str, Any] = _CASE.dump_python(case, mode="json")
    return document


def load(document: Mapping[str, Any]) -> Case:
    """The case that `dump` wrote."""
    return _CASE.validate_python(document)
