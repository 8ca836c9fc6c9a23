"""What REST clients get, as declared in the OpenAPI document; of the programme in `programme_shapes`."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Got(BaseModel):
    """What a client gets."""

    model_config = ConfigDict(extra="allow")


class ReasonGot(Got):
    """One line of a refusal."""

    code: str
    detail: str
    clause: str | None = None
    field: str | None = None
    who: str | None = None
    until: datetime | None = None


class Problem(Got):
    """A refusal (RFC 9457)."""

    type: str
    title: str
    status: int
    detail: str
    code: str
    instance: str
    errors: list[ReasonGot]


class ContactGot(Got):
    """A person to reach."""

    name: str
    phone: str
    email: str | None = None


class EnterpriseGot(Got):
    """A site of the ledger."""

    id: str
    unit: str
    name: str
    credit_code: str
    permit_no: str | None
    county: str | None
    industry: str
    grade: str
    contact: ContactGot | None
    ultra_low: dict[str, date | None]
    version: int


class SiteGot(Got):
    """The site of a case."""

    id: str
    name: str
    credit_code: str
    permit_no: str | None
    county: str | None


class FailedReviewGot(Got):
    """The city's newest review that was not passed: what is missing for the next."""

    reviewed_on: date
    reviewers: list[str]
    findings: list[str]


class CaseGot(Got):
    """A case with all its facts."""

    id: str
    programme: str
    programme_version: int
    unit: str
    enterprise: SiteGot
    industry: str
    industry_detail: str | None
    current_grade: str
    target_grade: str
    applied_on: date
    finish_by: date | None
    officer: str | None
    experts: list[str]
    ultra_low: dict[str, date | None]
    remark: str | None
    state: str
    version: int
    head: str
    listed_at: datetime
    entered_at: datetime
    flags: list[str]
    route: Literal["normal", "fast_track"]
    grade_reached: str | None
    resubmissions: int
    pre_assessment: dict[str, Any] | None
    plan: dict[str, Any] | None
    started_on: date | None
    measures: list[dict[str, Any]]
    reports: list[dict[str, Any]]
    failed_review: FailedReviewGot | None
    findings: list[dict[str, Any]]
    check: dict[str, Any] | None
    draw: dict[str, Any] | None
    review_on: date | None
    notice: dict[str, Any] | None
    recognised_at: datetime | None
    disqualification: dict[str, Any] | None


class EntryLink(Got):
    """The audit entry that says what was done."""

    id: str
    hash: str


class MovedGot(Got):
    """What an event made."""

    case: CaseGot
    entry: EntryLink


class ResultGot(Got):
    """What became of one item of a batch."""

    index: int
    ok: bool
    code: str | None = None
    id: str | None = None
    version: int | None = None
    entry: EntryLink | None = None
    errors: list[ReasonGot] | None = None


class ResultsGot(Got):
    """What became of each item, in order."""

    results: list[ResultGot]


class OfferGot(Got):
    """One event that leads on from the case's state."""

    event: str
    title: str
    allowed: bool
    needs_reason: bool = Field(description="A reason must be sent with it: always, or as today is outside its window.")
    flag: Literal["early", "late"] | None = Field(description="How it would mark the case if it happened today.")
    reasons: list[ReasonGot]


class ActorGot(Got):
    """Who acted."""

    id: str
    name: str
    role: str


class SubjectGot(Got):
    """The thing an entry is about."""

    type: str
    id: str


class EntryGot(Got):
    """An audit entry."""

    id: str
    at: datetime
    actor: ActorGot
    unit: str | None
    action: str
    subject: SubjectGot
    version: int
    reason: str | None
    data: dict[str, Any]
    changes: dict[str, Any]
    prev: str | None
    hash: str
    request_id: str | None


class NoticeGot(Got):
    """A notice, as the public may see it."""

    id: str
    programme: str
    unit: str
    opened_on: date
    ends_on: date
    ends_at: datetime
    provisional: bool
    running: bool
    entries: list[dict[str, Any]]
    version: int


class ObjectionGot(Got):
    """An objection."""

    id: str
    notice: str
    case: str
    unit: str
    reasons: str
    contact: ContactGot | None
    state: Literal["open", "upheld", "dismissed"]
    lodged_at: datetime
    due_on: date
    provisional: bool
    decided_at: datetime | None
    finding: str | None
    version: int


class Page(Got):
    """One page of a list; `next` is the cursor of the one after."""

    next: str | None


class CasePage(Page):
    """A page of cases."""

    items: list[CaseGot]


class EnterprisePage(Page):
    """A page of the ledger."""

    items: list[EnterpriseGot]


class EntryPage(Page):
    """A page of audit entries."""

    items: list[EntryGot]


class NoticePage(Page):
    """A page of notices."""

    items: list[NoticeGot]


class ObjectionPage(Page):
    """A page of objections."""

    items: list[ObjectionGot]


class OfferList(Got):
    """Every event that leads on from the case's state."""

    items: list[OfferGot]


class ClockGot(Got):
    """The clock of the service."""

    now: datetime
    mode: Literal["real", "virtual"]


class MovedClockGot(Got):
    """What the clock passed on its way."""

    now: datetime
    ticks: int
    messages: int


class RecognisedGot(Got):
    """Who was recognised in which grade, with the entitlement that it carries."""

    programme: str
    unit: str
    enterprise: str
    credit_code: str
    industry: str
    current_grade: str
    grade: str
    grade_name: str
    recognised_at: datetime | None
    entitlement: str | None


class RecognisedPage(Page):
    """A page of results."""

    items: list[RecognisedGot]


class ReceiptGot(Got):
    """The receipt of an objection: shown once, and all that is needed to follow it."""

    receipt: str
    due_on: date
    state: Literal["open"]


class PublicObjectionGot(Got):
    """What became of an objection."""

    state: Literal["open", "upheld", "dismissed"]
    notice: str
    case: str
    lodged_at: datetime
    due_on: date
    decided_at: datetime | None
    finding: str | None


class BreakGot(Got):
    """A place where a chain does not hold."""

    subject: SubjectGot
    version: int
    what: str


class VerifiedGot(Got):
    """Whether the audit is whole."""

    ok: bool
    entries: int
    broken: list[BreakGot]


class LiveGot(Got):
    """The process answers."""

    status: Literal["ok"]


class CheckGot(Got):
    """One thing that readiness needs."""

    ok: bool


class ReadyGot(Got):
    """Whether the process is ready, check by check."""

    status: Literal["ok", "not ready"]
    checks: dict[str, CheckGot]
