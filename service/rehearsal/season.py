"""The run of a rehearsal: day by working day each player does what the script says, and time passes in between."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from itertools import chain
from typing import Any

from service.access import Act, Caller
from service.casework import listing, moves, objections, requests
from service.casework.desk import Desk
from service.casework.listing import NewCase, NewSite
from service.casework.moves import Applied, Command
from service.casework.requests import NewRequest
from service.casework.standing import Standing
from service.errors import CaseExists, ServiceError, VersionStale
from service.rehearsal import players
from service.rehearsal.office_work import OfficeWork
from service.rehearsal.players import Enterprise, Office
from service.rehearsal.script import MOST_TRIES, Script, Step
from service.rehearsal.stage import Asking, Stage
from workflows.programme import Event, Programme, Role
from workflows.working_days import SHANGHAI, Calendar, end_of_day, legal_day

_SITTING = time(10, 0)
_KINDS = ("project", "approval", "funding", "technical", "policy", "other")


class Season:
    """One season on one stage."""

    def __init__(self, stage: Stage, programme: Programme, calendar: Calendar, *, cases: int, seed: int) -> None:
        self.stage, self.programme, self.calendar, self.seed = stage, programme, calendar, seed
        self.script = Script(programme, calendar, seed)
        self.begins_on = begins_on(programme)
        everyone = players.enterprises(programme, calendar, self.begins_on, cases, seed)
        self.offices = {unit.code: players.office(unit, Role.UNIT) for unit in programme.units}
        self.province = players.office(programme.province, Role.PROVINCE)
        self.asking = Asking(stage, seed)
        self.work = OfficeWork(
            self.asking, programme, calendar, seed, self.begins_on, self.offices, self.province
        )  # fmt: skip
        self._joins: dict[date, list[Enterprise]] = defaultdict(list)
        for each in everyone:
            self._joins[each.listed_on].append(each)
        self._playing: dict[str, Enterprise] = {}
        self._sites: dict[str, str] = {}
        self._next_on: dict[str, date] = {}
        self._tries: Counter[str] = Counter()
        self._asks: list[tuple[date, str]] = []
        self._objected: set[str] = set()
        self._objections: Counter[str] = Counter()

    def play(self) -> None:
        """Play the season, from its first working day to three days after the programme's close."""
        days = [day for day in _days(self.begins_on, self.programme.closes_on) if self.calendar.day(day).working]
        self.work.enter_people()
        for place, day in enumerate(days):
            at = datetime.combine(day, _SITTING, SHANGHAI)
            if self.stage.morning(days, place, at):
                self._sit(day)
        self.stage.advance(ends_at(self.programme))

    def _sit(self, today: date) -> None:
        joining = [on for on in self._joins if on <= today]
        for each in [each for on in sorted(joining) for each in self._joins.pop(on)]:
            self._joins[today].append(each)
        self._list(self._joins.pop(today, []))
        self._move(today)
        self._object()
        for case in self.work.decide_objections(today):
            self._next_on[case] = today + timedelta(days=1)
        self._ask(today)
        self.work.answer(today)
        self.work.file(today)
        self.work.complete_retrofits(today)

    # --- cases ---------------------------------------------------------------------------------------------------

    def _list(self, joining: Sequence[Enterprise]) -> None:
        by_unit: dict[str, list[Enterprise]] = defaultdict(list)
        for each in joining:
            by_unit[each.unit].append(each)
        listing_event = self.programme.event_of_kind("list")
        if not by_unit or listing_event is None:
            return

        def work(desk: Desk, now: datetime, request: str) -> Any:
            found: list[tuple[Enterprise, Any]] = []
            for unit, several in sorted(by_unit.items()):
                caller = self._caller(listing_event, self.offices[unit], second=False)
                lines = [self._line(each, legal_day(now), listing_event) for each in several]
                found += zip(several, listing.list_cases(desk, Act(caller, now, request), lines), strict=True)
            return found

        for each, outcome in self.asking.act(work):
            if isinstance(outcome, CaseExists):  # listed before the answer was lost
                self._take_up(each, outcome.more["case"])
            elif isinstance(outcome, Applied):
                self._take_up(each, outcome.standing.case.id)
            else:
                raise outcome

    def _line(self, who: Enterprise, today: date, event: Event) -> NewCase:
        site = NewSite(who.name, who.code, f"{who.code}001P", contact=players.contact_of(who))
        data = {
            "industry": who.industry.id, "current_grade": who.current, "target_grade": who.target,
            "applied_on": str(today - timedelta(days=1 + who.number % 12)),
            "officer": self.offices[who.unit].officers[0].name,
        }  # fmt: skip
        if who.industry.needs_detail:
            data["industry_detail"] = "人造板制造"
        done = {"completed_on": today - timedelta(days=200), "publicised_on": today - timedelta(days=150)}
        is_late = event.window.to is not None and today > event.window.to
        return NewCase(
            self.programme.id, who.unit, site, data, done if who.retrofit == "done" else None,
            reason="企业补充申请" if is_late else None,
        )  # fmt: skip

    def _take_up(self, who: Enterprise, case: str) -> None:
        self._playing[case] = who
        self._next_on[case] = who.listed_on
        self._asks += ((on, case) for on in who.asks_on)

    def _move(self, today: date) -> None:
        """Everybody's next step, in one transaction; publications in one for each unit, which is one notice."""
        due = sorted(case for case, on in self._next_on.items() if on <= today)
        if not due:
            return
        with self.stage.process.db.reading() as tx:
            stands = moves.read_many(tx, due)
        steps: dict[str, Step] = {}
        for case in due:
            each = stands[case]
            self._sites[case] = each.case.enterprise
            turn = self.script.turn(self._playing[case], each.case, each.version, self._tries[case], today)
            if isinstance(turn, Step):
                steps[case] = turn
            elif turn is None:
                del self._next_on[case]
            else:
                self._next_on[case] = max(turn, today + timedelta(days=1))
        published = {case: step for case, step in steps.items() if step.event.kind == "publish"}
        self._send({case: step for case, step in steps.items() if case not in published}, stands, today)
        for unit in self.offices:
            self._send(
                {case: step for case, step in published.items() if stands[case].case.unit == unit},
                stands, today, one_notice=True,
            )  # fmt: skip

    def _send(
        self, steps: dict[str, Step], stands: dict[str, Standing], today: date, *, one_notice: bool = False
    ) -> None:
        if not steps:
            return

        def work(desk: Desk, now: datetime, request: str) -> Any:
            commands = [
                Command(
                    Act(self._actor(step, stands[case]), now, request), case, step.event.name, step.data,
                    frozenset({stands[case].version}), step.reason,
                )
                for case, step in steps.items()
            ]  # fmt: skip
            return moves.apply_events(desk, commands, notice=desk.chance.id(now) if one_notice else None)

        for (case, step), outcome in zip(steps.items(), self.asking.act(work), strict=True):
            self._next_on[case] = today + timedelta(days=1)
            if isinstance(outcome, Applied):
                self._tries[case] = 0
                # Not a third time: by then everybody who could decide has taken part.
                if step.event.kind == "publish" and self._playing[case].objected and self._objections[case] < 2:
                    self._objected.add(case)
                    self._objections[case] += 1
            elif not isinstance(outcome, VersionStale):  # stale: it had happened, and its answer was lost
                self._refused(case, outcome, today)

    def _refused(self, case: str, error: ServiceError, today: date) -> None:
        """Try again in a few days, what was missing supplied by those who will; or give up."""
        self.asking.count(error)
        self._tries[case] += 1
        who = self._playing[case]
        if any(reason.code.startswith("ultra_low") for reason in error.reasons) and who.retrofit == "later":
            self.work.retrofit(who.unit, f"{who.code}001P", today)
        if self._tries[case] >= MOST_TRIES:
            del self._next_on[case]
        else:
            self._next_on[case] = today + timedelta(days=6)

    def _actor(self, step: Step, stands: Standing) -> Caller:
        case = stands.case
        office = self.province if Role.UNIT not in step.event.roles else self.offices[case.unit]
        if step.event.kind == "correct" and case.last_event is not None:
            office = self.province if case.last_event.role == Role.PROVINCE else self.offices[case.unit]
        return self._caller(step.event, office, second=step.second, stands=stands)

    def _caller(self, event: Event, office: Office, *, second: bool, stands: Standing | None = None) -> Caller:
        if Role.UNIT in event.roles or Role.PROVINCE in event.roles or stands is None:
            return office.officers[1 if second else 0]
        if Role.EXPERT in event.roles:
            return Caller(
                "expert", self._playing[stands.case.id].assessor, Role.EXPERT, cases=frozenset({stands.case.id})
            )
        return self._enterprise(stands.case.id)

    def _enterprise(self, case: str) -> Caller:
        site = self._sites[case]
        return Caller(site, self._playing[case].name, Role.ENTERPRISE, enterprises=frozenset({site}))

    # --- objections ----------------------------------------------------------------------------------------------

    def _object(self) -> None:
        objected = sorted(self._objected)
        self._objected.clear()
        with self.stage.process.db.reading() as tx:
            stands = moves.read_many(tx, objected) if objected else {}
        for case in objected:
            notice = stands[case].case.notice
            if notice is not None:
                self._lodge(notice.id, case)

    def _lodge(self, notice: str, case: str) -> None:
        reasons, contact = "夜间有异味，疑似治理设施未运行", {"name": "周边居民", "phone": "0371-68888888"}
        self.asking.act(
            lambda desk, now, request: objections.lodge(
                desk, now, request, notice, case, reasons, contact, receipt=desk.chance.hex(128)
            ),
            repeatable=False,
        )

    # --- requests ------------------------------------------------------------------------------------------------

    def _ask(self, today: date) -> None:
        asking = sorted(each for each in self._asks if each[0] <= today)
        self._asks = [each for each in self._asks if each[0] > today]
        for number, (_, case) in enumerate(asking):
            of_site = number % 6 == 5

            def work(desk: Desk, now: datetime, request: str, case: str = case, of_site: bool = of_site) -> Any:
                sent = NewRequest(
                    kind=_KINDS[self._playing[case].number % len(_KINDS)], text="申请提标改造资金支持与技术指导",
                    case=None if of_site else case, enterprise=self._sites[case] if of_site else None,
                    received_at=now - timedelta(hours=1) if self._playing[case].number % 3 == 0 else None,
                )  # fmt: skip
                return requests.enter(desk, Act(self._enterprise(case), now, request), sent)

            if case in self._sites:
                self.asking.act(work, repeatable=False)


def begins_on(programme: Programme) -> date:
    """The first of the month of a programme's earliest date."""
    windows = ((event.window.from_, event.window.to) for event in programme.events)
    phases = ((phase.from_, phase.to) for phase in programme.phases)
    dated = [rule.due_on for rule in programme.dates]
    earliest = min([*dated, *(day for day in chain.from_iterable((*windows, *phases)) if day is not None)])
    return earliest.replace(day=1)


def ends_at(programme: Programme) -> datetime:
    """The morning three days after a programme's close."""
    return end_of_day(programme.closes_on) + timedelta(days=2, hours=9)


def _days(first: date, last: date) -> Iterator[date]:
    return (first + timedelta(days=number) for number in range((last - first).days + 1))
