"""What REST clients send and get of requests."""

from datetime import date, datetime
from typing import Any, Literal

from pydantic import ConfigDict, Field

from service.api.programme_shapes import WalkedDay
from service.api.schemas import Id, Instant, Sent
from service.api.shapes import Got, Page
from workflows.values import Lines

RequestKind = Literal["project", "approval", "funding", "technical", "policy", "other"]
RequestState = Literal["open", "overdue", "answered"]
_ONE_OF_BOTH: dict[str, Any] = {"oneOf": [{"required": ["case"]}, {"required": ["enterprise"]}]}


class RequestSent(Sent):
    """What an enterprise needs: of one of its cases, or of a site."""

    model_config = ConfigDict(json_schema_extra=_ONE_OF_BOTH)

    case: Id = Field(default=None)  # type: ignore[assignment]
    enterprise: Id = Field(default=None)  # type: ignore[assignment]
    kind: RequestKind
    text: Lines
    received_at: Instant = Field(
        default=None, description="When it was received, where that was before now; its day is not counted."
    )  # type: ignore[assignment]


class AssignmentSent(Sent):
    """To whom a request is given: a contact of its unit."""

    handler: Id


class RequestAnswerSent(Sent):
    """What the enterprise was answered."""

    text: Lines


class RequestGot(Got):
    """A request. `case` is the one it is of; where it is a site's, null."""

    id: str
    programme: str
    programme_version: int
    unit: str
    case: str | None
    enterprise: str
    kind: RequestKind
    text: str
    state: RequestState
    handler: str | None = Field(description="The id of a contact of the unit.")
    received_at: datetime
    opened_at: datetime
    due_on: date
    due_at: datetime
    provisional: bool = Field(description="The day may still move, as a year's days off are not known.")
    breached_at: datetime | None = Field(description="When the term ended unmet; a later answer does not take it back.")
    answered_at: datetime | None
    answer: str | None
    late: bool | None
    version: int


class SentGot(Got):
    """To whom a rung was told, and how the message stands."""

    recipient: str = Field(description="`contact:<id>` or `site:<id>`.")
    message: str
    status: str
    sent_at: datetime | None


class RungGot(Got):
    """A rung of the ladder, when it is reached, and what was sent."""

    rung: str
    at: datetime
    sent: list[SentGot]


class RequestWhole(RequestGot):
    """A request with the walk of its days and its rungs."""

    walk: list[WalkedDay]
    rungs: list[RungGot]


class RequestPage(Page):
    """A page of requests."""

    items: list[RequestGot]


class FiguresGot(Got):
    """How requests were answered. Each that was received is answered, open or overdue."""

    received: int
    answered: int
    answered_late: int
    open: int
    overdue: int
    median_working_days: float | None = Field(description="From receipt, whose day is not counted, to answer.")
    share_in_time: float | None = Field(description="In time, of those answered or overdue; 0 to 1.")


class UnitFiguresGot(FiguresGot):
    """The figures of one unit and kind."""

    unit: str
    kind: RequestKind


class StatisticsGot(Got):
    """The figures of each unit and kind that has requests, and of all together."""

    items: list[UnitFiguresGot]
    total: FiguresGot
