"""What REST clients send and get, as declared in the OpenAPI document. What is sent is strict: no unknown field."""

import re
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    StringConstraints,
    Tag,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from workflows.values import LINE, SHOWN, Day, Line, Lines, Person, clean_line

_RFC_3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)", re.ASCII)


def _instant(value: Any) -> Any:
    if isinstance(value, str):
        value = value.replace(" ", "+")  # a plus sign in a query arrives as a blank
        try:
            value = datetime.fromisoformat(value.upper()) if _RFC_3339.fullmatch(value) else None
        except ValueError:
            value = None
    if not isinstance(value, datetime) or value.tzinfo is None or not 1900 < value.year < 9000:
        raise PydanticCustomError("not_an_instant", "an instant needs its offset")
    return value


Instant = Annotated[datetime, BeforeValidator(_instant), WithJsonSchema({"type": "string", "format": "date-time"})]
# A NUL, which PostgreSQL keeps in no text, would otherwise go as far as the database.
_clean, _shown = AfterValidator(clean_line), Field(json_schema_extra={"pattern": SHOWN})
Code = Annotated[
    str,
    StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=64),
    _clean,
    Field(json_schema_extra={"pattern": LINE}),
]
Id = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=64), _clean, _shown]
Sought = Annotated[str, StringConstraints(max_length=100), _clean, _shown]
_OF_EMAIL = r"[^@\s,;<>\"\x00-\x1f\x7f-\x9f]"


def _formed(pattern: str, otherwise: str) -> AfterValidator:
    """Takes a text of one form; what people are told else are the words under `otherwise`, not the pattern."""

    def formed(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise PydanticCustomError(otherwise, "not of the form that is needed")
        return text

    return AfterValidator(formed)


def _shown_form(pattern: str) -> Any:
    return Field(json_schema_extra={"pattern": f"^{pattern}$"})


_PHONE = r"\+?[0-9][0-9 ()-]{4,30}"
_EMAIL = rf"{_OF_EMAIL}+@{_OF_EMAIL}+\.{_OF_EMAIL}+"
_OBJECTION_STATE = "(open|upheld|dismissed)"
Phone = Annotated[str, StringConstraints(strict=True), _formed(_PHONE, "not_a_phone"), _shown_form(_PHONE)]
Email = Annotated[
    str, StringConstraints(strict=True, max_length=254), _formed(_EMAIL, "not_an_email"), _shown_form(_EMAIL)
]
ObjectionState = Annotated[str, _formed(_OBJECTION_STATE, "not_an_objection_state"), _shown_form(_OBJECTION_STATE)]


class Sent(BaseModel):
    """What a client sends: nothing that is not declared."""

    model_config = ConfigDict(extra="forbid")


class Got(BaseModel):
    """What a client gets."""

    model_config = ConfigDict(extra="allow")


class ContactSent(Sent):
    """A person to reach: personal data, kept apart from the audit."""

    name: Line
    phone: Phone
    email: Email | None = None


class UltraLowSent(Sent):
    """Dates of the ultra-low-emission retrofit of a site (W1)."""

    due_on: Day | None = None
    completed_on: Day | None = None
    publicised_on: Day | None = None


class CaseUltraLowSent(Sent):
    """Dates of the retrofit, as a case may bring them; they are kept at the site."""

    completed_on: Day | None = None
    publicised_on: Day | None = None


class EnterpriseSent(Sent):
    """A site of the ledger."""

    unit: Code
    name: Line
    credit_code: Code
    permit_no: Code | None = None
    county: Line | None = None
    industry: Code
    grade: Code
    contact: ContactSent
    ultra_low: UltraLowSent | None = None


class EnterprisePatch(Sent):
    """Facts of a site that change; null takes an optional one away."""

    name: Line = Field(default=None)  # type: ignore[assignment]
    credit_code: Code = Field(default=None)  # type: ignore[assignment]
    permit_no: Code | None = None
    county: Line | None = None
    industry: Code = Field(default=None)  # type: ignore[assignment]
    grade: Code = Field(default=None)  # type: ignore[assignment]
    contact: ContactSent = Field(default=None)  # type: ignore[assignment]
    ultra_low: UltraLowSent = Field(default=None)  # type: ignore[assignment]
    reason: Lines | None = None


class CaseSitePatch(Sent):
    """Facts of the site that may be amended through its case."""

    name: Line = Field(default=None)  # type: ignore[assignment]
    permit_no: Code | None = None
    county: Line | None = None
    contact: ContactSent = Field(default=None)  # type: ignore[assignment]


class SiteSent(Sent):
    """A site sent whole with its case."""

    name: Line
    credit_code: Code
    permit_no: Code | None = None
    county: Line | None = None
    contact: ContactSent


def _by_shape(value: Any) -> str:
    return "·id" if isinstance(value, str) else "·site"


class CaseSent(Sent):
    """A voluntary enterprise for the list (附件1)."""

    programme: Code
    unit: Code
    enterprise: Annotated[Annotated[Id, Tag("·id")] | Annotated[SiteSent, Tag("·site")], Discriminator(_by_shape)]
    industry: Code
    industry_detail: Line | None = None
    current_grade: Code
    target_grade: Code
    applied_on: Day
    finish_by: Day | None = None
    officer: Person | None = None
    experts: Annotated[list[Person], Field(max_length=30)] | None = None
    ultra_low: CaseUltraLowSent | None = None
    remark: Lines | None = None
    reason: Lines | None = None


class CasePatch(Sent):
    """Facts of a case that change; null takes an optional one away."""

    enterprise: CaseSitePatch = Field(default=None)  # type: ignore[assignment]
    ultra_low: CaseUltraLowSent = Field(default=None)  # type: ignore[assignment]
    finish_by: Day | None = None
    officer: Person | None = None
    experts: Annotated[tuple[Person, ...], Field(max_length=30)] = ()
    remark: Lines | None = None
    target_grade: Code = Field(default=None)  # type: ignore[assignment]
    reason: Lines | None = None


class EventSent(Sent):
    """One event; `data` by event, as `data_schema` of the programme says."""

    event: Code
    data: dict[str, Any] = Field(default_factory=dict)
    reason: Lines | None = None


class EventItem(Sent):
    """One event of a batch, with the version of its case as read before."""

    case: Id
    version: Annotated[int, Field(strict=True, ge=1)]
    event: Code
    data: dict[str, Any] = Field(default_factory=dict)
    reason: Lines | None = None


class EventBatch(Sent):
    """Up to 1,000 events, each succeeding or failing alone unless all or nothing is asked."""

    items: Annotated[list[EventItem], Field(min_length=1, max_length=1000)]
    all_or_nothing: Annotated[bool, Field(strict=True)] = False


class NoticeCase(Sent):
    """A case to publish, with its version as read before."""

    case: Id
    version: Annotated[int, Field(strict=True, ge=1)]


class NoticeSent(Sent):
    """Cases of one unit to publish in one notice."""

    cases: Annotated[list[NoticeCase], Field(min_length=1, max_length=1000)]
    reason: Lines | None = None


class ObjectionSent(Sent):
    """What the public says against one entry of a notice."""

    case: Id
    reasons: Lines
    contact: ContactSent | None = None


class DecisionSent(Sent):
    """The decision of an objection, with its finding."""

    upheld: Annotated[bool, Field(strict=True)]
    finding: Lines


class ClockSent(Sent):
    """Where the virtual clock is to go."""

    to: Instant


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
