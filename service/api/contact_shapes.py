"""What REST clients send and get of contacts."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from service.api.schemas import Code, Email, Sent
from service.api.shapes import Got, Page
from workflows.obligations import KINDS
from workflows.values import Line, Lines

Duty = Literal["officer", "supervisor", "handler"]
Language = Literal["zh", "en"]


def _kind(value: str) -> str:
    if value not in KINDS:
        raise PydanticCustomError("literal_error", "must be one of {expected}", {"expected": ", ".join(KINDS)})
    return value


ObligationKind = Annotated[str, AfterValidator(_kind), WithJsonSchema({"type": "string", "enum": list(KINDS)})]
Muted = Annotated[list[ObligationKind], Field(max_length=50)]
Digest = Annotated[bool, Field(strict=True)]


class ConfirmationSent(Sent):
    """The code that was mailed to a contact; without it, one is mailed."""

    code: Annotated[str, StringConstraints(strict=True, pattern=r"^[0-9]{10}$")] | None = None


class UnitContactSent(Sent):
    """An officer to whom mail goes: of a unit, or with the code of the province of its own."""

    unit: Code
    duty: Duty
    name: Line
    email: Email
    language: Language = "zh"
    digest: Digest = Field(default=True, description="The reminders of a day in one mail.")
    muted: Muted = Field(default=[], description="Kinds of obligation of which only what is required is wanted.")


class UnitContactPatch(Sent):
    """Facts of a contact that change. `unit` may be sent as it is."""

    unit: Code = Field(default=None)  # type: ignore[assignment]
    duty: Duty = Field(default=None)  # type: ignore[arg-type]
    name: Line = Field(default=None)  # type: ignore[assignment]
    email: Email = Field(default=None)  # type: ignore[assignment]
    language: Language = Field(default=None)  # type: ignore[arg-type]
    digest: Digest = Field(default=None)  # type: ignore[assignment]
    muted: Muted = Field(default=None)  # type: ignore[arg-type]
    reason: Lines | None = None


class UnitContactGot(Got):
    """A contact."""

    id: str
    unit: str
    duty: Duty
    name: str
    email: str
    language: Language
    digest: bool
    muted: list[str]
    confirmed_at: datetime | None = Field(description="When somebody at the address said that it is theirs.")
    version: int


class UnitContactPage(Page):
    """A page of contacts."""

    items: list[UnitContactGot]
