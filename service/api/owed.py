"""What REST clients send and get of filings, obligations and the board, as declared in the OpenAPI document."""

from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from service.api.programme_shapes import WalkedDay
from service.api.schemas import Id, Sent
from service.api.shapes import Got, Page, SubjectGot
from workflows.values import Lines


class FilingSent(Sent):
    """A filing handed in: its rows are the unit's cases as they stand. `nil` says that there are none."""

    documents: Annotated[list[Id], Field(max_length=100)] = Field(default_factory=list)
    nil: Annotated[bool, Field(strict=True)] = False


class ReturnSent(Sent):
    """Why a filing is sent back: what to correct."""

    reason: Lines


class FilingLine(Got):
    """A filing in short. `late` is null while nothing was received; what was received first decides it."""

    id: str
    programme: str
    unit: str
    form: str
    period: str
    title: str
    clause: str
    signed: bool = Field(description="Handed in with its signed and sealed scan.")
    due_on: date
    due_at: datetime
    owed_on: date | None = Field(description="By when it is owed now; sent back, it has a term of its own.")
    status: Literal["open", "submitted", "returned", "nil", "closed"]
    version: int
    submitted_at: datetime | None
    first_submitted_at: datetime | None
    submitted_by: str | None
    late: bool | None
    return_reason: str | None
    documents: list[str]
    rows_hash: str | None = Field(description="SHA-256 of the rows as canonical JSON, without persons to reach.")


class FilingGot(FilingLine):
    """A filing with its rows as they were last handed in: the id of the case and the value of each column of its form; where
    the form tells of acceptances, also `accepted_at`, by which one is told once.
    """

    rows: list[dict[str, Any]]
    draft: int | None = Field(description="While it is owed: how many rows it would have if it were handed in now.")


class FilingPage(Page):
    """A page of filings."""

    items: list[FilingLine]


class OwnerGot(Got):
    """Who owes it; `handler` is the contact who has a request, else the officer named in the case."""

    unit: str
    handler: str | None


class ObligationGot(Got):
    """Something that somebody owes by the end of a day."""

    id: str
    programme: str
    kind: Literal[
        "filing",
        "report",
        "answer",
        "stage",
        "measure",
        "re_review",
        "objection",
        "notice",
        "resubmission",
        "ultra_low",
    ]
    title: str
    next: str = Field(description="What to do.")
    clause: str
    owner: OwnerGot
    subject: SubjectGot
    since: datetime
    due_on: date
    due_at: datetime
    hard: bool
    status: Literal["open", "met", "met_late", "nil", "overdue", "closed"]
    ended_at: datetime | None
    rung: str | None = Field(description="The newest that was reached.")
    trouble: str | None = Field(description="Why its last turn came to nothing, as where there is nobody to tell.")
    breached_at: datetime | None = Field(description="When the term ended unmet: nothing takes it back.")
    provisional: bool


class ObligationPage(Page):
    """A page of obligations, due first."""

    items: list[ObligationGot]


class ToldGot(Got):
    """One recipient of a rung, and the message that told it."""

    recipient: str
    message: str
    template: str
    status: str
    sent_at: datetime | None


class ReachedGot(Got):
    """One rung of the ladder at its instant; `sent` is empty where nothing was sent, or not yet."""

    rung: str
    at: datetime
    to: list[str]
    sent: list[ToldGot]


class ExplainedGot(Got):
    """Why something is due when it is: the walk of its working days, or why its day stands; and its rungs."""

    obligation: ObligationGot
    working_days: int | None
    days: list[WalkedDay]
    why: str
    readings: list[str]
    rungs: list[ReachedGot]


class StandingGot(Got):
    """How the province or a unit stands; `rank` is a unit's, equals share one."""

    code: str
    name: str
    target: int | None
    counted: int
    counted_after: int = Field(description="Came into a counted grade after the target's day: beside, not in it.")
    share: float = Field(description="Of the target, reached.")
    in_time: float = Field(description="Share of what had to be done by now that was done in time.")
    by_state: dict[str, int]
    obligations: dict[str, int]
    requests: dict[str, int]
    own_obligations: dict[str, int] | None = Field(description="Of the province: what it owes itself, within the sum.")
    rank: int | None


class BoardGot(Got):
    """The province and each unit."""

    programme: str
    at: datetime
    province: StandingGot
    units: list[StandingGot]
