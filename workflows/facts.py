"""What the rules may know when they judge: the case, its site, who asks, the instant, and what other things say."""

from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from workflows.case import Case
from workflows.programme import Event, Programme
from workflows.text import Reason, Text
from workflows.working_days import Calendar, end_of_day, legal_day


@dataclass(frozen=True, slots=True)
class Site:
    """What the ledger says of the case's site; days in Asia/Shanghai."""

    ultra_low_completed_on: date | None = None
    ultra_low_publicised_on: date | None = None


@dataclass(frozen=True, slots=True)
class Actor:
    """Who acts: the name under which it stands in the audit, and the role."""

    name: str
    role: str


@dataclass(frozen=True, slots=True)
class Facts:
    """Everything a decision may depend on besides what is sent.

    `now` is the aware instant of receipt, `open_objections` those against the case's entry, `notice_id` the notice
    that a publication would open, `before` the case as it stood before its last event (only a correction asks),
    `rested_on` what has been built on the last event since (a draw, a filing), `since` the instant at which an event of
    the scheduler's became due, where nobody was up to see it then.
    """

    case: Case
    actor: Actor
    now: datetime
    calendar: Calendar
    site: Site = Site()
    open_objections: int = 0
    notice_id: str | None = None
    before: Case | None = None
    rested_on: Text | None = None
    since: datetime | None = None

    @property
    def takes_effect_at(self) -> datetime:
        """Since when the case stands in the state that it comes to."""
        return self.since or self.now

    @property
    def today(self) -> date:
        """The legal day of `now` in Asia/Shanghai."""
        return legal_day(self.now)


@dataclass(frozen=True, slots=True)
class Ask:
    """One question to the guards: may `event` happen, with `data`, or at all (data None: an offer)?"""

    programme: Programme
    event: Event
    facts: Facts
    data: Any = None

    @property
    def case(self) -> Case:
        """The case that is asked about."""
        return self.facts.case

    def reason(
        self,
        code: str,
        zh: str,
        en: str,
        clause: str | None = None,
        *,
        field: str | None = None,
        who: str | None = None,
        until: datetime | None = None,
    ) -> Reason:
        """A reason whose `who` and `until` are the event's own unless said."""
        if until is None:
            last = self.event.window.hard_after or self.event.window.to or self.programme.closes_on
            # A soft day that has passed closes nothing: what is missing can be supplied until the programme closes.
            passed = self.event.window.hard_after is None and self.facts.now >= end_of_day(last)
            until = end_of_day(self.programme.closes_on if passed else last)
        return Reason(code, Text(zh, en), clause or self.event.clause, field, who or self.event.roles[0], until)
