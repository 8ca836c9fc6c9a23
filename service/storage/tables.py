"""The rows: SQLModel tables without rules. Instants are UTC, JSON is canonical text."""

from datetime import date, datetime
from typing import Any

from sqlalchemy import BigInteger, Column, Identity, Index, Integer, Text, UniqueConstraint
from sqlmodel import Field, SQLModel

from notifications.instants import UTCDateTime as UTCDateTime  # the migrations know it by its place here


class Stamp(SQLModel, table=True):
    """What the database says of itself: the kind of clock, the virtual time, the secret of cursors, revisions."""

    __tablename__ = "stamps"
    name: str = Field(primary_key=True)
    value: str = Field(sa_type=Text)


class ProgrammeVersion(SQLModel, table=True):
    """One published version of a programme: its file as loaded, never edited. `entry` counts the programme's history."""

    __tablename__ = "programme_versions"
    programme: str = Field(primary_key=True)
    version: int = Field(primary_key=True)
    sha256: str
    source: str = Field(sa_type=Text)
    loaded_at: datetime = Field(sa_type=UTCDateTime)
    entry: int
    head: str


class CalendarYearRow(SQLModel, table=True):
    """One year of the working calendar, as its notice arranged it."""

    __tablename__ = "calendar_years"
    year: int = Field(primary_key=True)
    document: str = Field(sa_type=Text)
    loaded_at: datetime = Field(sa_type=UTCDateTime)
    version: int
    head: str


class Token(SQLModel, table=True):
    """A bearer token: only the hash of its secret is kept."""

    __tablename__ = "tokens"
    id: str = Field(primary_key=True)
    secret_hash: str = Field(unique=True)
    name: str
    role: str
    unit: str | None = None
    cases: str = Field(sa_type=Text, default="[]")
    enterprises: str = Field(sa_type=Text, default="[]")
    created_at: datetime = Field(sa_type=UTCDateTime)
    expires_at: datetime | None = Field(sa_type=UTCDateTime, default=None)
    revoked_at: datetime | None = Field(sa_type=UTCDateTime, default=None)
    version: int
    head: str


class PrivateText(SQLModel, table=True):
    """The text behind a salted commitment in the audit: erased, the commitment stays and says nothing."""

    __tablename__ = "private_texts"
    id: str = Field(primary_key=True)
    salt: str
    text: str = Field(sa_type=Text)


class Enterprise(SQLModel, table=True):
    """A site of the ledger."""

    __tablename__ = "enterprises"
    __table_args__ = (Index("enterprises_by_unit", "unit", "id"), Index("enterprises_by_code", "credit_code"))
    id: str = Field(primary_key=True)
    site_key: str = Field(unique=True)
    unit: str
    name: str
    credit_code: str
    permit_no: str | None = None
    county: str | None = None
    industry: str
    grade: str
    contact: str | None = Field(default=None, foreign_key="private_texts.id")
    ultra_low_due_on: date | None = None
    ultra_low_completed_on: date | None = None
    ultra_low_publicised_on: date | None = None
    version: int
    head: str


class CaseRow(SQLModel, table=True):
    """A case: what is searched and locked as columns, the rest of its facts as canonical JSON."""

    __tablename__ = "cases"
    __table_args__ = (
        UniqueConstraint("programme", "enterprise", "industry", name="one_case_per_site_and_industry"),
        Index("cases_by_unit", "unit", "id"),
        Index("cases_by_state", "state", "id"),
        Index("cases_by_enterprise", "enterprise"),
        Index("cases_by_due", "due_at"),
        Index("cases_by_owed", "owed_at"),
        Index("cases_by_recognised_grade", "recognised_grade", "id"),
    )
    id: str = Field(primary_key=True)
    programme: str
    programme_version: int
    enterprise: str = Field(foreign_key="enterprises.id")
    unit: str
    industry: str
    current_grade: str
    target_grade: str
    state: str
    version: int
    head: str
    listed_at: datetime = Field(sa_type=UTCDateTime)
    entered_at: datetime = Field(sa_type=UTCDateTime)
    due_at: datetime | None = Field(sa_type=UTCDateTime, default=None)
    owed_at: datetime | None = Field(sa_type=UTCDateTime, default=None)
    recognised_grade: str | None = None
    stalled: str | None = Field(sa_type=Text, default=None)
    facts: str = Field(sa_type=Text)


class AuditEntry(SQLModel, table=True):
    """One entry of one thing's chain. Triggers refuse UPDATE and DELETE."""

    __tablename__ = "audit"
    __table_args__ = (
        UniqueConstraint("subject_id", "subject_type", "version", name="one_entry_per_version"),
        Index("audit_by_time", "at", "seq"),
        Index("audit_by_actor", "actor_id", "at", "seq"),
        Index("audit_by_actor_name", "actor_name", "at", "seq"),
        Index("audit_by_unit", "unit", "at", "seq"),
        Index("audit_by_action", "action", "at", "seq"),
        Index("audit_by_request", "request_id"),
    )
    seq: int | None = Field(
        default=None,
        sa_column=Column(BigInteger().with_variant(Integer, "sqlite"), Identity(always=False), primary_key=True),
    )
    at: datetime = Field(sa_type=UTCDateTime)
    actor_id: str
    actor_name: str
    actor_role: str
    unit: str | None = None
    action: str
    subject_type: str
    subject_id: str
    version: int
    reason: str | None = Field(sa_type=Text, default=None)
    data: str = Field(sa_type=Text)
    changes: str = Field(sa_type=Text)
    prev: str | None = None
    hash: str
    request_id: str | None = None


class Notice(SQLModel, table=True):
    """One publication of results by a unit."""

    __tablename__ = "notices"
    id: str = Field(primary_key=True)
    programme: str
    unit: str
    opened_at: datetime = Field(sa_type=UTCDateTime)
    opened_on: date
    ends_on: date
    provisional: bool
    version: int
    head: str


class NoticeEntryRow(SQLModel, table=True):
    """One case in a notice, as the public was shown it; `left_as` says why it is no longer in it."""

    __tablename__ = "notice_entries"
    __table_args__ = (Index("notice_entries_by_case", "case_id"),)
    notice: str = Field(primary_key=True, foreign_key="notices.id")
    case_id: str = Field(primary_key=True, foreign_key="cases.id")
    shown: str = Field(sa_type=Text)
    left_as: str | None = None


class Objection(SQLModel, table=True):
    """What the public says against one entry of a notice."""

    __tablename__ = "objections"
    __table_args__ = (Index("objections_by_case", "case_id", "state"), Index("objections_by_unit", "unit", "id"))
    id: str = Field(primary_key=True)
    receipt_hash: str = Field(unique=True)
    notice: str = Field(foreign_key="notices.id")
    case_id: str = Field(foreign_key="cases.id")
    unit: str
    reasons: str = Field(sa_type=Text)
    contact: str | None = Field(default=None, foreign_key="private_texts.id")
    state: str
    lodged_at: datetime = Field(sa_type=UTCDateTime)
    due_on: date
    provisional: bool
    decided_at: datetime | None = Field(sa_type=UTCDateTime, default=None)
    finding: str | None = Field(sa_type=Text, default=None)
    version: int
    head: str


class Obligation(SQLModel, table=True):
    """Something that a unit (the province has its code too) owes, as `workflows.obligations` derives it.

    `unit` owes it, `area` is the unit whose thing it is about. `status` is open until it is met or closed; overdue is not
    stored, it is open past `due_at`. `next_at`: when somebody has to be told next, or the term ends. `rung`: the newest
    that was reached. `breached_at`: when the term ended unmet, which nothing takes back. `sequence` counts how often the
    day has moved. `trouble`: why its turn failed. `version` and `head` are of its chain in the audit: breaches and moves.
    """

    __tablename__ = "obligations"
    __table_args__ = (
        Index("obligations_by_next", "next_at"),
        Index("obligations_by_due", "due_at", "id"),
        Index("obligations_by_status", "status", "due_at", "id"),
        Index("obligations_by_unit", "unit", "due_at", "id"),
        Index("obligations_by_area", "area", "due_at", "id"),
        Index("obligations_by_subject", "subject"),
    )
    id: str = Field(primary_key=True)
    programme: str
    programme_version: int
    kind: str
    title: str = Field(sa_type=Text)
    clause: str
    unit: str
    area: str
    subject_type: str
    subject: str
    case_id: str | None = None
    enterprise: str | None = None
    officer: str | None = None
    handler: str | None = None
    since: datetime = Field(sa_type=UTCDateTime)
    due_on: date
    due_at: datetime = Field(sa_type=UTCDateTime)
    hard: bool
    provisional: bool
    status: str
    ended_at: datetime | None = Field(sa_type=UTCDateTime, default=None)
    next_at: datetime | None = Field(sa_type=UTCDateTime, default=None)
    rung: str | None = None
    breached_at: datetime | None = Field(sa_type=UTCDateTime, default=None)
    sequence: int = 0
    trouble: str | None = Field(sa_type=Text, default=None)
    version: int = 0
    head: str | None = None


class RungRow(SQLModel, table=True):
    """One rung told to one recipient (`contact:<id>` or `site:<id>`), and the message that tells it: never a second one."""

    __tablename__ = "rungs"
    __table_args__ = (Index("rungs_by_message", "message"), Index("rungs_by_recipient", "recipient"))
    obligation: str = Field(primary_key=True, foreign_key="obligations.id")
    rung: str = Field(primary_key=True)
    recipient: str = Field(primary_key=True)
    message: str = Field(foreign_key="messages.id")
    at: datetime = Field(sa_type=UTCDateTime)


class ResultRow(SQLModel, table=True):
    """A decision on a case, by its version, and the message that tells it to one recipient (`contact:<id>` or `site:<id>`).

    `taken_back_by`: the version by which it holds no more, or has to be acted on no more.
    """

    __tablename__ = "results"
    __table_args__ = (Index("results_by_case", "case_id"), Index("results_by_recipient", "recipient"))
    message: str = Field(primary_key=True, foreign_key="messages.id")
    case_id: str = Field(foreign_key="cases.id")
    version: int
    kind: str
    recipient: str
    taken_back_by: int | None = None


class Request(SQLModel, table=True):
    """What an enterprise needs, to be answered within the programme's working days (二（五）)."""

    __tablename__ = "requests"
    __table_args__ = (
        Index("requests_by_unit", "unit", "id"),
        Index("requests_by_case", "case_id"),
        Index("requests_by_enterprise", "enterprise"),
        Index("requests_by_due", "state", "due_at"),
    )
    id: str = Field(primary_key=True)
    programme: str
    programme_version: int
    unit: str
    case_id: str | None = Field(default=None, foreign_key="cases.id")
    enterprise: str = Field(foreign_key="enterprises.id")
    kind: str
    text: str = Field(sa_type=Text)
    state: str
    handler: str | None = None
    received_at: datetime = Field(sa_type=UTCDateTime)
    opened_at: datetime = Field(sa_type=UTCDateTime)
    due_on: date
    due_at: datetime = Field(sa_type=UTCDateTime)
    provisional: bool
    breached_at: datetime | None = Field(sa_type=UTCDateTime, default=None)
    answered_at: datetime | None = Field(sa_type=UTCDateTime, default=None)
    answer: str | None = Field(sa_type=Text, default=None)
    late: bool | None = None
    version: int
    head: str


class Contact(SQLModel, table=True):
    """An officer to whom mail goes. Name and address are personal: they stand in `private_texts`, not here or in the audit.

    `muted`: kinds of obligation of which nothing is wanted but what the programme requires. `digest`: the day's reminders
    in one mail. `confirmed_at`: when somebody at the address said that it is theirs.
    """

    __tablename__ = "contacts"
    __table_args__ = (Index("contacts_by_unit", "unit", "id"),)
    id: str = Field(primary_key=True)
    unit: str
    duty: str
    person: str = Field(foreign_key="private_texts.id")
    language: str
    digest: bool = True
    muted: str = Field(sa_type=Text, default="[]")
    confirmation_hash: str | None = None
    confirmed_at: datetime | None = Field(sa_type=UTCDateTime, default=None)
    removed_at: datetime | None = Field(sa_type=UTCDateTime, default=None)
    version: int
    head: str


class FilingRow(SQLModel, table=True):
    """One filing of a unit: a form for a period. `rows` are those of the newest submission, frozen as they stood.

    Whom to reach at the enterprises is personal and stands in `private_texts`, not in the rows. Until it is first handed
    in its history is empty: version 0.
    """

    __tablename__ = "filings"
    __table_args__ = (Index("filings_by_unit", "unit", "due_at", "id"), Index("filings_by_due", "due_at", "id"))
    id: str = Field(primary_key=True)
    programme: str
    programme_version: int
    unit: str
    form: str
    period: str
    due_on: date
    due_at: datetime = Field(sa_type=UTCDateTime)
    status: str
    first_submitted_at: datetime | None = Field(sa_type=UTCDateTime, default=None)
    submitted_at: datetime | None = Field(sa_type=UTCDateTime, default=None)
    submitted_by: str | None = None
    return_reason: str | None = Field(sa_type=Text, default=None)
    rows: str = Field(sa_type=Text, default="[]")
    rows_hash: str | None = None
    contact: str | None = Field(default=None, foreign_key="private_texts.id")
    documents: str = Field(sa_type=Text, default="[]")
    version: int = 0
    head: str | None = None


class Feed(SQLModel, table=True):
    """A token that opens the dates of one unit and nothing else; only its hash is kept."""

    __tablename__ = "feeds"
    id: str = Field(primary_key=True)
    token_hash: str = Field(unique=True)
    unit: str
    created_at: datetime = Field(sa_type=UTCDateTime)
    created_by: str
    removed_at: datetime | None = Field(sa_type=UTCDateTime, default=None)
    version: int
    head: str


class Webhook(SQLModel, table=True):
    """Another program that is told of events. Its secret is kept while it stands, as it signs with it."""

    __tablename__ = "webhooks"
    __table_args__ = (Index("webhooks_by_unit", "unit", "id"),)
    id: str = Field(primary_key=True)
    unit: str | None = None
    url: str = Field(sa_type=Text)
    secret: str
    events: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=UTCDateTime)
    removed_at: datetime | None = Field(sa_type=UTCDateTime, default=None)
    version: int
    head: str


class StoredAnswer(SQLModel, table=True):
    """The answer to a POST that carried an Idempotency-Key."""

    __tablename__ = "stored_answers"
    __table_args__ = (Index("stored_answers_by_time", "stored_at"),)
    scope: str = Field(primary_key=True)
    key: str = Field(primary_key=True)
    fingerprint: str
    status: int
    headers: str = Field(sa_type=Text)
    body: str = Field(sa_type=Text)
    stored_at: datetime = Field(sa_type=UTCDateTime)


def table(model: type[SQLModel]) -> Any:
    """The Core table of a row class."""
    return model.__table__  # type: ignore[attr-defined]
