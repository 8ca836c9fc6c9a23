"""Guards on who may act: nobody judges twice, and what one person recorded another corrects (廉洁评级, 四（四）)."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from workflows.facts import Ask
from workflows.guards.kind import Guard
from workflows.persons import folded, in_both
from workflows.programme import FORBID, Role
from workflows.text import Reason, Text, quoted
from workflows.working_days import legal_day


@dataclass(frozen=True, slots=True)
class Apart:
    """Which named people may not be among those who did something before; on one route only, if said."""

    __pydantic_config__: ClassVar[Any] = FORBID
    people: Literal["reviewers", "inspectors", "assessors"]
    did: Literal["assessed_by", "reviewed_by", "inspected_by"]
    route: Literal["normal", "fast_track"] | None = None


_DID = {
    "assessed_by": ("参加过预评估", "took part in the pre-assessment"),
    "reviewed_by": ("参加过市级评审验收", "took part in the city's review"),
    "inspected_by": ("参加过省级复核", "took part in the province's check"),
}


def _apart(ask: Ask, given: Apart, clause: str) -> Iterator[Reason]:
    if ask.data is None or given.route not in (None, ask.case.route):
        return
    for name in in_both(getattr(ask.data, given.people), getattr(ask.case, given.did)):
        zh, en = _DID[given.did]
        yield ask.reason(
            "same_person",
            f"{name}{zh}，按廉洁评级要求须回避，请换人",
            f"{name} {en} and must not take part here: name somebody else",
            clause, field=f"data.{given.people}",
        )  # fmt: skip


# --- correction -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Correctable:
    """Which kinds of event cannot be corrected."""

    __pydantic_config__: ClassVar[Any] = FORBID
    never: tuple[str, ...]


def _correctable(ask: Ask, given: Correctable, clause: str) -> Iterator[Reason]:
    last = ask.case.to_correct
    event = ask.programme.event_by_name.get(last.event) if last else None
    title = quoted(event.title if event else "—")
    if last is None or event is None or last.kind in given.never or last.role == Role.SYSTEM:
        said = Text(f"最近一次事件{title.zh}不能更正", f"the last event, {title.en}, cannot be corrected")
        yield Reason("not_correctable", said, clause)
        return
    if ask.facts.before is not None and ask.facts.before.state not in ask.programme.state_by_id:
        said = Text("更正后的状态在现行方案版本中已不存在", "this version of the plan has no state to go back to")
        yield Reason("not_correctable", said, clause)
    role = ask.facts.actor.role
    due = ask.facts.calendar.add(legal_day(last.at), ask.programme.spans.correction.working_days)
    if role not in event.roles or (last.role == Role.PROVINCE) != (role == Role.PROVINCE):
        yield ask.reason(
            "not_your_event",
            f"最近一次事件{title.zh}须由作出它的一方更正",
            f"the last event, {title.en}, is corrected by the side that made it",
            clause, who=last.role, until=due.due_at,
        )  # fmt: skip
    if folded(ask.facts.actor.name) == folded(last.actor):
        yield ask.reason(
            "same_person",
            f"更正须由另一人作出（原操作人：{last.actor}）",
            f"a correction needs another person than {last.actor}, who made the event",
            clause, who=last.role, until=due.due_at,
        )  # fmt: skip
    if ask.facts.now >= due.due_at:
        yield ask.reason(
            "too_late",
            f"更正期限为 {due.working_days} 个工作日，已于 {due.due_on} 24:00 届满",
            f"a correction is possible within {due.working_days} working days, until 24:00 of {due.due_on}",
            clause, until=due.due_at,
        )  # fmt: skip
    if ask.facts.rested_on:
        said = Text(
            f"已有后续事项以此为依据（{ask.facts.rested_on.zh}），不能更正",
            f"something rests on it already ({ask.facts.rested_on.en})",
        )
        yield Reason("rested_on", said, clause)


GUARDS: Mapping[str, Guard] = {
    "apart": Guard(_apart, Apart),
    "correctable": Guard(_correctable, Correctable, needs=frozenset({"rested_on"})),
}
