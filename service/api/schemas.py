"""What REST clients send, as declared in the OpenAPI document. It is strict: no unknown field."""

import re
from datetime import datetime
from typing import Annotated, Any

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
# An address as mail servers take it everywhere (RFC 5321, RFC 1035): no comments, no quotes, no encoded words.
_OF_EMAIL = r"[A-Za-z0-9!#$%&'*+/=^_`{|}~-]+"
_OF_DOMAIN = r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,61}[A-Za-z0-9])?"


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
_EMAIL = rf"{_OF_EMAIL}(?:\.{_OF_EMAIL})*@{_OF_DOMAIN}(?:\.{_OF_DOMAIN})+"
_OBJECTION_STATE = "(open|upheld|dismissed)"
Phone = Annotated[str, StringConstraints(strict=True), _formed(_PHONE, "not_a_phone"), _shown_form(_PHONE)]
Email = Annotated[
    str, StringConstraints(strict=True, max_length=254), _formed(_EMAIL, "not_an_email"), _shown_form(_EMAIL)
]
ObjectionState = Annotated[str, _formed(_OBJECTION_STATE, "not_an_objection_state"), _shown_form(_OBJECTION_STATE)]


class Sent(BaseModel):
    """What a client sends: nothing that is not declared."""

    model_config = ConfigDict(extra="forbid")


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
