"""The state machine of a programme: may this event happen to this case now, and what is the case then?

`Lifecycle(programme)` is built once per version. `decide` and `offers` ask the same guards, so they agree.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, cast

from transitions import EventData, Machine
from transitions.core import State as MachineState
from transitions.extensions import GraphMachine

from workflows.case import Case, Flag, LastEvent, load
from workflows.effects import EFFECTS, Changes
from workflows.events import Data
from workflows.facts import Ask, Facts
from workflows.guards import GUARDS
from workflows.guards.kind import Opens
from workflows.programme import GOES_BACK, ROLE_NAMES, STAYS, UNLISTED, Event, GuardUse, Move, Programme, Role
from workflows.text import Reason, Text, listed, quoted
from workflows.working_days import end_of_day


@dataclass(frozen=True, slots=True)
class Decision:
    """The event may happen: the case as it was, and as it is then."""

    event: Event
    before: Case
    after: Case


@dataclass(frozen=True, slots=True)
class Refused:
    """The event may not happen now, for all these reasons."""

    event: str
    reasons: tuple[Reason, ...]


@dataclass(frozen=True, slots=True)
class Offer:
    """One event that leads on from a case's state, and why it may not happen now, if so.

    `needs_reason`: always, or because today is outside its window; `flag`: how it would mark the case (early, late).
    """

    event: Event
    reasons: tuple[Reason, ...]
    needs_reason: bool
    flag: Flag | None

    @property
    def allowed(self) -> bool:
        """Whether role and facts allow it."""
        return not self.reasons


class _Subject:
    """The throwaway model on which one decision runs: transitions moves it, nothing else hears of it."""

    __slots__ = ("ask", "moved", "reasons", "state")

    def __init__(self, state: str, ask: Ask) -> None:
        self.state = state
        self.ask = ask
        self.moved = False
        self.reasons: list[Reason] = []


def _bound(uses: Iterable[GuardUse]) -> tuple[Any, ...]:
    return tuple(
        (GUARDS[use.guard].judge, GUARDS[use.guard].adapter.validate_python(dict(use.given)), use.clause)
        for use in uses
    )


def _needed(event: Event) -> frozenset[str]:
    uses = (*event.guards, *(use for move in event.moves for use in move.guards))
    return frozenset().union(*(GUARDS[use.guard].needs for use in uses))


def _judge_all(guards: tuple[Any, ...], ask: Ask) -> Iterator[Reason]:
    for judge, given, clause in guards:
        yield from judge(ask, given, clause)


class Lifecycle:
    """The machine of one programme version. Holds no case and no state of its own: threads may share it."""

    def __init__(self, programme: Programme) -> None:
        self.programme = programme
        self._guards = {event.name: _bound(event.guards) for event in programme.events}
        self._waits = self._openings()
        self._needs = {event.name: _needed(event) for event in programme.events}
        recognising = programme.event_of_kind("recognise")
        self._recognised = recognising.target if recognising else None
        self._machine = Machine(
            model=None,
            states=[MachineState(UNLISTED), *(MachineState(state.id) for state in programme.states)],
            initial=UNLISTED,
            auto_transitions=False,
            send_event=True,
            ignore_invalid_triggers=True,
        )
        for event in programme.events:
            for move in event.moves:
                self._machine.add_transition(
                    event.name,
                    list(move.from_) or UNLISTED,
                    None if move.to in (STAYS, GOES_BACK) else move.to,
                    conditions=self._condition(event, move),
                )

    def _openings(self) -> dict[str, list[tuple[Event, list[tuple[Opens, Any]]]]]:
        """For each state, the scheduler's events that lead on from it, and what tells when they open."""
        found: dict[str, list[tuple[Event, list[tuple[Opens, Any]]]]] = {}
        for event in self.programme.events:
            for move in event.moves if Role.SYSTEM in event.roles else ():
                openings = [
                    (opens, GUARDS[use.guard].adapter.validate_python(dict(use.given)))
                    for use in (*event.guards, *move.guards)
                    if (opens := GUARDS[use.guard].opens) is not None
                ]
                for state in move.from_:
                    found.setdefault(state, []).append((event, openings))
        return found

    def _condition(self, event: Event, move: Move) -> Any:
        guards = (*self._guards[event.name], *_bound(move.guards))

        def holds(data: EventData) -> bool:
            subject = cast(_Subject, data.model)
            subject.moved = True
            subject.reasons.extend(_judge_all(guards, subject.ask))
            return not subject.reasons

        return holds

    def decide(self, facts: Facts, event_name: str, data: Data, reason: str | None = None) -> Decision | Refused:
        """Whether the event may happen with `data`, and the case after it.

        `data` come from `events.read_data`; `reason` is the caller's. A refusal holds every unmet condition.
        Raises KeyError for an event that the programme does not have.
        """
        event = self.programme.event_by_name[event_name]
        ask = Ask(self.programme, event, facts, data)
        reasons, state = self._judge(ask)
        flag, window_reasons = _judge_window(ask, reason)
        reasons += window_reasons
        if reasons:
            return Refused(event_name, tuple(reasons))
        return Decision(event, facts.case, self._after(ask, state, flag))

    def needs(self, event_name: str) -> frozenset[str]:
        """The names of the facts, besides the case, its site and who asks, that the event's guards look at."""
        return self._needs[event_name]

    def offers_need(self, state: str) -> frozenset[str]:
        """The same for all events that lead on from a state."""
        leading = (event.name for event in self.programme.events if event.move_from(state) is not None)
        return frozenset().union(*(self._needs[name] for name in leading))

    def offers(self, facts: Facts) -> tuple[Offer, ...]:
        """Every event that leads on from the case's state, with the reasons of role and facts against it."""
        found = []
        for event in self.programme.events:
            if event.move_from(facts.case.state) is None:
                continue
            ask = Ask(self.programme, event, facts)
            reasons = [] if facts.actor.role in event.roles else [_not_your_role(ask)]
            reasons += self._judge(ask)[0]
            reasons += _too_late(ask)
            flag, outside = _window_now(ask)
            found.append(Offer(event, tuple(reasons), event.needs_reason or outside, flag))
        return tuple(found)

    def _judge(self, ask: Ask) -> tuple[list[Reason], str]:
        """The reasons of state and guards, and the state in which the machine ends."""
        subject = _Subject(ask.case.state, ask)
        self._machine.events[ask.event.name].trigger(subject)
        if not subject.moved:
            subject.reasons.append(_wrong_state(ask))
            subject.reasons.extend(_judge_all(self._guards[ask.event.name], ask))
        return subject.reasons, subject.state

    def _after(self, ask: Ask, state: str, flag: Flag | None) -> Case:
        facts, event = ask.facts, ask.event
        case = ask.case
        changes: Changes = {"state": state, **EFFECTS[event.kind](ask)}
        if changes["state"] != case.state:
            changes.setdefault("entered_at", facts.takes_effect_at)
        flags = changes.get("flags", case.flags)
        if flag is not None and flag not in flags:
            changes["flags"] = (*flags, flag)
        changes["last_event"] = LastEvent(event.name, event.kind, facts.actor.name, facts.actor.role, facts.now, flag)
        return replace(case, **changes)

    def due_at(self, case: Case) -> datetime | None:
        """The instant from which an event of the scheduler may happen to the case; None where none waits."""
        return min((opens for _, opens in self._waiting(case)), default=None)

    def due_events(self, case: Case, now: datetime) -> dict[str, datetime]:
        """The scheduler's events whose time has come for the case, in the programme's order, and when it came."""
        return {event.name: opens for event, opens in self._waiting(case) if opens <= now}

    def _waiting(self, case: Case) -> Iterator[tuple[Event, datetime]]:
        for event, openings in self._waits.get(case.state, ()):
            instants = [opens(self.programme, case, given) for opens, given in openings]
            known = [instant for instant in instants if instant is not None]
            if known:
                yield event, max(known)

    def is_recognised(self, case: Case) -> bool:
        """Whether the case stands where recognition leads."""
        return self._recognised is not None and case.state == self._recognised

    def diagram(self, language: str = "zh") -> str:
        """The machine as Mermaid text, its states and events labelled in `language`."""
        shown = {
            (source, event.title.get(language), source if move.to in (STAYS, GOES_BACK) else move.to)
            for event in self.programme.events
            for move in event.moves
            for source in (move.from_ or (UNLISTED,))
            if move.to != GOES_BACK
        }
        machine: Any = _DiagramMachine(
            model=_Diagram(),
            states=[
                {"name": UNLISTED, "label": "·"},
                *({"name": state.id, "label": state.name.get(language)} for state in self.programme.states),
            ],
            initial=UNLISTED,
            auto_transitions=False,
            graph_engine="mermaid",
            title=f'title: "{self.programme.title.get(language)}"',
        )
        for index, (source, label, target) in enumerate(sorted(shown)):
            machine.add_transition(f"event_{index}", source, target, label=label)
        text: str = machine.model.get_graph().source
        return text


class _Diagram:
    """The model that transitions wants for a graph."""


class _LabelledState(MachineState):
    """A state with a name in ASCII, which Mermaid needs, and a label for people."""

    def __init__(self, *args: Any, label: str, **more: Any) -> None:
        super().__init__(*args, **more)
        self.label = label


class _DiagramMachine(GraphMachine):
    """A machine that is only drawn."""

    state_cls = _LabelledState


def replay(changes: Iterable[Mapping[str, Any]]) -> Case:
    """The case that its history makes: the recorded changes of each entry laid over one another, oldest first."""
    document: dict[str, Any] = {}
    for change in changes:
        document.update(change)
    return load(document)


# --- what every event is asked besides its guards ---------------------------------------------------------------------


_NOT_LISTED = Text("尚未列入", "not listed yet")


def _wrong_state(ask: Ask) -> Reason:
    names = {state.id: state.name for state in ask.programme.states}
    event, now = quoted(ask.event.title), quoted(names.get(ask.case.state, _NOT_LISTED))
    wanted = listed([names[state] for state in ask.event.sources] or [_NOT_LISTED])
    return ask.reason(
        "wrong_state",
        f"当前状态为{now.zh}，{event.zh}只能在以下状态进行：{wanted.zh}",
        f"the case is {now.en}; {event.en} is possible only from: {wanted.en}",
        field="state",
    )


def _not_your_role(ask: Ask) -> Reason:
    event, roles = quoted(ask.event.title), listed(ROLE_NAMES[role] for role in ask.event.roles)
    return ask.reason(
        "role_not_allowed", f"{event.zh}由{roles.zh}办理", f"{event.en} is for {roles.en}", who=ask.event.roles[0]
    )


def _too_late(ask: Ask) -> list[Reason]:
    last = ask.event.window.hard_after
    if last is None or ask.facts.now < end_of_day(last):
        return []
    event = quoted(ask.event.title)
    return [
        ask.reason(
            "too_late",
            f"{event.zh}的最后期限是 {last} 24:00，以收到时间为准，已过期限",
            f"{event.en} was possible until 24:00 of {last}, by the instant of receipt",
            until=end_of_day(last),
        )
    ]


def _window_now(ask: Ask) -> tuple[Flag | None, bool]:
    """How the event would mark the case today (early, late), and whether today is outside its window.

    After a re-submission, and for the scheduler, nothing is marked and nothing is outside.
    """
    window, today = ask.event.window, ask.facts.today
    if ask.facts.actor.role == Role.SYSTEM or ask.case.resubmissions:
        return None, False
    if window.from_ is not None and today < window.from_:
        return "early", True
    if window.to is not None and today > window.to:
        return "late", True
    return ("late" if window.late_after is not None and today > window.late_after else None), False


def _judge_window(ask: Ask, reason: str | None) -> tuple[Flag | None, list[Reason]]:
    """The flag that the event earns, and the reasons of its window against it.

    A passed soft date marks and asks for a reason; a passed hard one refuses.
    """
    if late := _too_late(ask):
        return None, late
    flag, outside = _window_now(ask)
    if not outside or reason is not None:
        return flag, []
    window, event = ask.event.window, quoted(ask.event.title)
    zh_when = f"{window.from_} 至 {window.to}" if window.from_ else f"{window.to} 以前"
    en_when = f"{window.from_} to {window.to}" if window.from_ else f"the time until {window.to}"
    return None, [
        ask.reason(
            "reason_required",
            f"{event.zh}的时段为 {zh_when}，今天（{ask.facts.today}）不在其内，须说明理由",
            f"{event.en} belongs to {en_when}; today ({ask.facts.today}) is outside, so a reason is required",
            field="reason",
        )
    ]
