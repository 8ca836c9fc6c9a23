"""What a use-case works with: the transaction and the books it looks things up in."""

from dataclasses import dataclass, field
from functools import cached_property

from sqlalchemy import Connection

from service.casework.calendars import Calendars
from service.casework.links import Links, links_of
from service.casework.programmes import Programmes
from service.casework.receivers import Receiver, Receivers
from service.chance import Chance
from service.storage import locks
from workflows.lifecycle import Lifecycle
from workflows.working_days import Calendar

CALENDAR = "calendar"


@dataclass(frozen=True, slots=True)
class Books:
    """What is the same for every use-case of a process: programmes, calendars, webhooks, chance, where links lead."""

    programmes: Programmes
    calendars: Calendars
    chance: Chance
    receivers: Receivers = field(default_factory=Receivers)
    links: Links = field(default_factory=lambda: links_of("http://localhost"))


@dataclass(frozen=True)
class Desk:
    """One transaction and the books; what it has looked up once, it knows until its transaction ends."""

    tx: Connection
    books: Books
    _machines: dict[tuple[str, int | None], Lifecycle] = field(default_factory=dict)

    @property
    def chance(self) -> Chance:
        """The source of ids and salts."""
        return self.books.chance

    @cached_property
    def calendar(self) -> Calendar:
        """The working calendar as loaded now."""
        return self.books.calendars.get(self.tx)

    def know_calendar(self, revision: str | None) -> None:
        """Have the calendar of a revision that this transaction has read beside something else."""
        self.__dict__["calendar"] = self.books.calendars.of(self.tx, revision)

    def hold_calendar(self) -> None:
        """Keep the calendar as it is until this transaction ends: who counts days into a row does so before they move."""
        locks.share(self.tx, CALENDAR)
        self.__dict__.pop("calendar", None)

    def change_calendar(self) -> None:
        """Wait for all who are counting days, and let nobody begin to until this transaction ends."""
        locks.take(self.tx, CALENDAR)
        self.__dict__.pop("calendar", None)

    @cached_property
    def receivers(self) -> tuple[Receiver, ...]:
        """The webhooks that stand now."""
        return self.books.receivers.get(self.tx)

    def know_receivers(self, revision: str | None) -> None:
        """Have the webhooks of a revision that this transaction has read beside something else."""
        self.__dict__["receivers"] = self.books.receivers.of(self.tx, revision)

    def lifecycle(self, programme: str, version: int | None = None) -> Lifecycle:
        """The machine of a programme version, the newest unless said. Raises NotFound."""
        machine = self._machines.get((programme, version))
        if machine is None:
            machine = self._machines[programme, version] = self.books.programmes.get(self.tx, programme, version)
        return machine
