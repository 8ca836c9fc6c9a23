"""What the types of a programme cannot say: each check yields every problem it finds, behind its key.

A clause counts as carried out if anything but the list of clauses cites it: an event, a guard, a date, a phase, a
target, a span, a form, or a reading. Readings count, because some clauses ask for conduct only (training, publicity):
there the reading says what the software does, and that is all the rule there is.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import fields
from datetime import date
from functools import lru_cache
from itertools import islice, pairwise
from typing import Any

from pydantic import ValidationError

from workflows.errors import ProgrammeRefused
from workflows.events import KINDS
from workflows.guards import GUARDS
from workflows.guards.check import Dated, Result, ReviewUntil
from workflows.guards.measures import ForGrades, Months
from workflows.guards.persons import Apart, Correctable
from workflows.ladders import RUNG
from workflows.obligations import KINDS as KINDS_OWED
from workflows.obligations import WHEN
from workflows.parts import name_of, parts
from workflows.programme import (
    GOES_BACK,
    STAYS,
    UNLISTED,
    Check,
    Choice,
    Column,
    Event,
    Form,
    GuardUse,
    Programme,
    Role,
    packaged_sources,
    read,
)
from workflows.text import Text

_STATE_ID = re.compile(r"[a-z][a-z0-9_]*", re.ASCII)
_QUOTED_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
# Which fields of an event's data a guard looks at; a kind of event without them cannot have the guard.
_READS: Mapping[str, tuple[str, ...]] = {
    "grade_in_reach": ("grade",),
    "indicators_met": ("indicators",),
    "measures_left": ("add", "drop"),
    "progress_by_kind": ("progress",),
    "month_within": ("month",),
    "result_until": ("result",),
    "findings_answered": ("answers",),
    "reviewed_anew": ("reviewed_on",),
    "checked_anew": ("checked_on",),
}


# --- walking through a programme --------------------------------------------------------------------------------------


def days_of(programme: Programme) -> Iterator[tuple[str, date]]:
    """Every date that stands in the programme, with its key."""
    return ((key, value) for key, value in programme.parts if isinstance(value, date))


def _guard_uses(programme: Programme) -> Iterator[tuple[str, Event, GuardUse]]:
    for event in programme.events:
        for key, part in parts(event, f"events.{event.name}"):
            if isinstance(part, GuardUse):
                yield key, event, part


def _told(use: GuardUse) -> Any:
    """What the guard is told, typed; None where the guard is unknown or what it is told is wrong."""
    try:
        return GUARDS[use.guard].adapter.validate_python(dict(use.given))
    except (KeyError, ValidationError):
        return None


def _unknown(key: str, what: str, said: str, known: Iterable[str]) -> Iterator[str]:
    known = tuple(known)
    if said not in known:
        yield f"{key}: unknown {what} '{said}'; known: {', '.join(known) or 'none'}"


def _twice(key: str, what: str, values: Iterable[Any]) -> Iterator[str]:
    for value, times in Counter(values).items():
        if times > 1:
            yield f"{key}: {what} '{value}' stands {times} times"


# --- names ------------------------------------------------------------------------------------------------------------


def _names_are_unique(programme: Programme) -> Iterator[str]:
    for key, part in programme.parts:
        if isinstance(part, tuple):
            yield from _twice(key, "the id", (name for item in part if (name := name_of(item))))
            yield from _twice(key, "the cell", (item.cell for item in part if isinstance(item, Choice)))
    areas = (programme.province, *programme.units)
    yield from _twice("units", "the code", (area.code for area in areas if area.code == programme.province.code))
    yield from _twice("units", "the name", (name for area in areas for name in {area.name.zh, *area.also}))
    yield from _twice("grades", "the name", (grade.name.zh for grade in programme.grades))
    yield from _twice("industries", "the name", (industry.name.zh for industry in programme.industries))
    yield from _twice("filings", "form and period", (f"{filing.form} {filing.period}" for filing in programme.filings))


def _texts_say_something(programme: Programme) -> Iterator[str]:
    for key, part in programme.parts:
        if isinstance(part, Text):
            yield from (f"{key}.{name}: is empty" for name in ("zh", "en") if not part.get(name).strip())


def _clauses_are_known_and_carried_out(programme: Programme) -> Iterator[str]:
    known = [clause.id for clause in programme.clauses]
    cited = {key: part for key, part in programme.parts if key.endswith(".clause") or key.startswith("cites.")}
    for key, clause in cited.items():
        yield from _unknown(key, "clause", clause, known)
    for clause in known:
        if clause not in cited.values():
            yield f"clauses.{clause}: no event, guard, date, phase, target, span, form or reading cites this clause"


# --- grades, targets --------------------------------------------------------------------------------------------------


def _grades_can_be_compared(programme: Programme) -> Iterator[str]:
    ranks = [f"{grade.ladder} {grade.rank}" for grade in programme.grades if grade.ladder is not None]
    yield from _twice("grades", "ladder and rank", ranks)
    for grade in programme.grades:
        if grade.target and grade.ladder is None:
            yield f"grades.{grade.id}.target: a target grade needs a ladder, or nothing is above another"


def _targets_fit_the_areas(programme: Programme) -> Iterator[str]:
    areas = [programme.province.code, *(unit.code for unit in programme.units)]
    for index, target in enumerate(programme.targets):
        for at, area in enumerate(target.areas):
            yield from _unknown(f"targets[{index}].areas[{at}]", "area", area, areas)
        for at, grade in enumerate(target.counted):
            yield from _unknown(f"targets[{index}].counted[{at}]", "grade", grade, programme.grade_by_id)
    yield from _twice("targets", "the area", (area for target in programme.targets for area in target.areas))
    yield from (f"targets: the area '{area}' has no target" for area in areas if area not in programme.target_by_area)


# --- dates ------------------------------------------------------------------------------------------------------------


def _dates_lie_within_the_programme(programme: Programme) -> Iterator[str]:
    year, last = programme.year, programme.closes_on
    if last.year not in (year, year + 1):
        yield f"closes_on: {last} is neither in {year} nor in {year + 1}"
    for key, day in days_of(programme):
        if key != "closes_on" and not date(year, 1, 1) <= day <= last:
            yield f"{key}: {day} is outside {year}-01-01 to {last} (closes_on)"


def _spans_of_days_run_forwards(programme: Programme) -> Iterator[str]:
    for phase in programme.phases:
        if phase.from_ is not None and phase.from_ > phase.to:
            yield f"phases.{phase.id}: from {phase.from_} is after to {phase.to}"
    for event in programme.events:
        window, key = event.window, f"events.{event.name}.window"
        days = (window.from_, window.late_after, window.to, window.hard_after)
        named = zip(("from", "late_after", "to", "hard_after"), days, strict=True)
        known = [(name, day) for name, day in named if day is not None]
        for (one, earlier), (other, later) in pairwise(known):
            if earlier > later:
                yield f"{key}: {one} {earlier} is after {other} {later}"
    for key, _, use in _guard_uses(programme):
        told = _told(use)
        if isinstance(told, Months) and told.first > told.last:
            yield f"{key}.given: first {told.first} is after last {told.last}"
    if programme.office_hours.opens >= programme.office_hours.closes:
        yield "office_hours: closes is not after opens"


def _dates_are_known(programme: Programme) -> Iterator[str]:
    dates = programme.date_by_id
    for rule in programme.dates:
        yield from _unknown(f"dates.{rule.id}.ladder", "ladder", rule.ladder, programme.ladder_by_id)
        for index, state in enumerate(rule.owed_in):
            yield from _unknown(f"dates.{rule.id}.owed_in[{index}]", "state", state, programme.state_by_id)
        if rule.when is not None:
            yield from _unknown(f"dates.{rule.id}.when", "condition", rule.when, WHEN)
        if rule.late is not None:
            yield from _unknown(f"dates.{rule.id}.late", "date", rule.late, dates)
            if rule.late in dates and dates[rule.late].due_on <= rule.due_on:  # so none leads back to itself
                yield f"dates.{rule.id}.late: '{rule.late}' ({dates[rule.late].due_on}) is not after {rule.due_on}"
    for index, filing in enumerate(programme.filings):
        yield from _unknown(f"filings[{index}].due", "date", filing.due, dates)


def _ladders_serve_every_obligation(programme: Programme) -> Iterator[str]:
    for ladder in programme.ladders:
        for index, rung in enumerate(ladder.rungs):
            if not RUNG.fullmatch(rung.id):
                yield (
                    f"ladders.{ladder.id}.rungs[{index}]: unknown rung '{rung.id}'; known: t-N, working-day-N, handed, "
                    "due, overdue, breach, daily, escalated"
                )
            elif (rung.id == "escalated") != (rung.after is not None):
                yield f"ladders.{ladder.id}.rungs.{rung.id}.after: the working days that 'escalated' waits, and no other rung"
    for kind in KINDS_OWED:
        if kind not in programme.ladder_by_id:
            yield f"ladders: none is called '{kind}'; each kind of obligation needs one"


# --- the machine ------------------------------------------------------------------------------------------------------


def _states_have_names_the_machine_can_use(programme: Programme) -> Iterator[str]:
    for state in programme.states:
        if state.id in (STAYS, GOES_BACK, UNLISTED):
            yield f"states.{state.id}.id: '{state.id}' has a meaning of its own; call the state otherwise"
        elif not _STATE_ID.fullmatch(state.id):
            yield f"states.{state.id}.id: must be of a-z, 0-9 and _, and begin with a letter"
    if not any(state.final for state in programme.states):
        yield "states: none is final"


def _events_are_of_known_kinds(programme: Programme) -> Iterator[str]:
    for event in programme.events:
        yield from _unknown(f"events.{event.name}.kind", "kind of event", event.kind, KINDS)
    for kind, times in Counter(event.kind for event in programme.events).items():
        if times > 1:
            names = ", ".join(event.name for event in programme.events if event.kind == kind)
            yield f"events: the kind '{kind}' is used by {times} events: {names}"
    if programme.event_of_kind("list") is None:
        yield "events: none is of kind 'list', so no case can begin"


def _roles_may_move_cases(programme: Programme) -> Iterator[str]:
    # The administrator decides nothing about a case, the auditor changes nothing at all.
    allowed = [role for role in Role if role not in (Role.ADMIN, Role.AUDITOR)]
    for event in programme.events:
        for index, role in enumerate(event.roles):
            key = f"events.{event.name}.roles[{index}]"
            if role in (Role.ADMIN, Role.AUDITOR):
                yield f"{key}: the role '{role}' may not move a case; possible: {', '.join(allowed)}"
            else:
                yield from _unknown(key, "role", role, allowed)


def _moves_are_possible(programme: Programme) -> Iterator[str]:
    states = programme.state_by_id
    for event in programme.events:
        key = f"events.{event.name}.moves"
        for index, move in enumerate(event.moves):
            for at, state in enumerate(move.from_):
                yield from _unknown(f"{key}[{index}].from[{at}]", "state", state, states)
            if move.to not in (STAYS, GOES_BACK):
                yield from _unknown(f"{key}[{index}].to", "state", move.to, states)
            if (move.to == GOES_BACK) != (event.kind == "correct"):
                yield f"{key}[{index}].to: 'back' is for an event of kind 'correct', and that has no other"
            if bool(move.from_) == (event.kind == "list"):
                yield f"{key}[{index}].from: is empty for an event of kind 'list', and for no other"
        sources = Counter(state for move in event.moves for state in (move.from_ or ("nowhere",)))
        for state, times in sources.items():
            if times > 1:
                yield f"{key}: {times} moves start from '{state}', so which one is meant?"


def _every_state_is_on_a_way_to_an_end(programme: Programme) -> Iterator[str]:
    ways = [
        (source, move.to)
        for event in programme.events
        for move in event.moves
        for source in (move.from_ or (UNLISTED,))
        if move.to not in (STAYS, GOES_BACK)
    ]
    reached = _closure({UNLISTED}, ways)
    ending = _closure({state.id for state in programme.states if state.final}, [(to, source) for source, to in ways])
    for state in programme.states:
        if state.id not in reached:
            yield f"states.{state.id}: unreachable: no chain of events leads here from the listing"
        if state.id not in ending:
            yield f"states.{state.id}: a dead end: no chain of events leads from here to a final state"


def _closure(begin: set[str], ways: list[tuple[str, str]]) -> set[str]:
    found, new = set(begin), set(begin)
    while new:
        new = {to for source, to in ways if source in new} - found
        found |= new
    return found


def _guards_are_told_what_they_need(programme: Programme) -> Iterator[str]:
    for key, event, use in _guard_uses(programme):
        yield from _unknown(f"{key}.guard", "guard", use.guard, GUARDS)
        if use.guard not in GUARDS:
            continue
        for name, value in use.given.items():
            if isinstance(value, str) and _QUOTED_DATE.fullmatch(value):
                yield f"{key}.given.{name}: write the date {value} without quotes"
        try:
            told = GUARDS[use.guard].adapter.validate_python(dict(use.given))
        except ValidationError as error:
            for finding in error.errors():
                yield f"{'.'.join((key, 'given', *map(str, finding['loc'])))}: {finding['msg']}"
            continue
        if isinstance(told, ForGrades):
            for index, grade in enumerate(told.grades):
                yield from _unknown(f"{key}.given.grades[{index}]", "grade", grade, programme.grade_by_id)
        if isinstance(told, Correctable):
            for index, kind in enumerate(told.never):
                yield from _unknown(f"{key}.given.never[{index}]", "kind of event", kind, KINDS)
        yield from _guard_fits_the_event(key, event, use, told)


def _what_is_not_ordered_can_be_rejected(programme: Programme) -> Iterator[str]:
    told = [(key, _told(use)) for key, _, use in _guard_uses(programme)]
    last = [each.until for _, each in told if isinstance(each, ReviewUntil)]
    for key, each in told:
        if isinstance(each, Result) and each.or_rectify_after not in (None, *last):
            ends = ", ".join(map(str, last)) or "none"
            yield f"{key}.given.or_rectify_after: {each.or_rectify_after} is not the last day of ordering ({ends})"
        if isinstance(each, Result) and each.or_rectify_after is not None and each.result != "failed":
            yield f"{key}.given.or_rectify_after: what was to be put right may count as failed, not as {each.result}"


def _guard_fits_the_event(key: str, event: Event, use: GuardUse, told: Any) -> Iterator[str]:
    if event.kind in KINDS:
        given = {part.name for part in fields(KINDS[event.kind].data)}
        needed = _READS.get(use.guard, ())
        if isinstance(told, Apart | Dated):
            needed = (told.people if isinstance(told, Apart) else told.day,)
        if not given.issuperset(needed):
            yield (
                f"{key}.guard: '{use.guard}' looks at {' and '.join(needed)}, which the data of kind '{event.kind}' "
                "do not have"
            )


# --- forms and filings ------------------------------------------------------------------------------------------------


def _filings_fit_the_forms(programme: Programme) -> Iterator[str]:
    for each in programme.forms:
        for index, event in enumerate(each.rests_on):
            yield from _unknown(f"forms.{each.id}.rests_on[{index}]", "event", event, programme.event_by_name)
    for index, filing in enumerate(programme.filings):
        yield from _unknown(f"filings[{index}].form", "form", filing.form, programme.form_by_id)
        form = programme.form_by_id.get(filing.form)
        if form is not None and form.signed != filing.signed:
            yield f"filings[{index}].signed: differs from that of the form '{form.id}'"


def _columns_can_be_filled(programme: Programme) -> Iterator[str]:
    edges = programme.form_edges
    for key, part in programme.parts:
        if isinstance(part, Column):
            yield from _column(programme, key, part)
    for form in programme.forms:
        columns = (*edges.first, *form.columns, *edges.last)
        yield from _twice(f"forms.{form.id}.columns", "the head", (column.head for column in columns))
        first_and_last = {column.id for column in (*edges.first, *edges.last)}
        for column in form.columns:
            if column.id in first_and_last:
                yield f"forms.{form.id}.columns.{column.id}: every form has a column of this id already (form_edges)"
            yield from _required_when(programme, form, column, {each.id: each for each in columns})


def _column(programme: Programme, key: str, column: Column) -> Iterator[str]:
    if isinstance(column.choices, str):
        yield from _unknown(f"{key}.choices", "list", column.choices, programme.choice_lists)
    if (column.type == "choice") != bool(column.choices):
        yield f"{key}: a column of type 'choice' has choices, and no other has"


def _required_when(programme: Programme, form: Form, column: Column, columns: Mapping[str, Column]) -> Iterator[str]:
    key = f"forms.{form.id}.columns.{column.id}.required_when"
    for other, values in column.required_when.items():
        yield from _unknown(key, "column", other, columns)
        choices = columns[other].choices if other in columns else ()
        if not isinstance(choices, str) or choices in programme.choice_lists:
            known = [choice.id for choice in programme.choices_of(columns[other])] if other in columns else values
            for value in values:
                yield from _unknown(f"{key}.{other}", "value", value, known)


ALL: tuple[Check, ...] = (
    _names_are_unique,
    _texts_say_something,
    _clauses_are_known_and_carried_out,
    _grades_can_be_compared,
    _targets_fit_the_areas,
    _dates_lie_within_the_programme,
    _spans_of_days_run_forwards,
    _dates_are_known,
    _ladders_serve_every_obligation,
    _states_have_names_the_machine_can_use,
    _events_are_of_known_kinds,
    _roles_may_move_cases,
    _moves_are_possible,
    _every_state_is_on_a_way_to_an_end,
    _guards_are_told_what_they_need,
    _what_is_not_ordered_can_be_rejected,
    _filings_fit_the_forms,
    _columns_can_be_filled,
)


# --- loading ----------------------------------------------------------------------------------------------------------


def load(source: str) -> Programme:
    """The programme that stands in the TOML text `source`, wholly checked.

    Raises ProgrammeRefused with every problem, each behind its key and, where it is easily found, with the line at
    which the entry begins.
    """
    try:
        return read(source, checks=ALL)
    except ProgrammeRefused as refused:
        problems = tuple(problem + _near(source, problem) for problem in refused.problems)
        raise ProgrammeRefused(problems) from refused.__cause__


@lru_cache
def packaged() -> tuple[Programme, ...]:
    """The programmes that come with the package, in the order of their file names."""
    return tuple(load(source) for source in packaged_sources().values())


def _near(source: str, problem: str) -> str:
    """The line of the entry that the problem's key names, as "events.accept…" or "targets[1]…"; else nothing."""
    key = re.match(r"(\w+)(?:\.([^.:\[]+)|\[(\d+)\])?[^ ]*: ", problem)
    table = key and re.search(rf"^(\[*){key[1]}\b", source, re.MULTILINE)
    if key is None or table is None:
        return ""
    if key[2] is not None:
        named = rf'\b(?:id|code|name) = "{re.escape(key[2])}"|^{re.escape(key[2])}\b'
        entry = re.compile(named, re.MULTILINE).search(source, table.start())
    elif key[3] is not None:
        begins = re.compile(rf"^\[\[{key[1]}\]\]" if table[1] else r"^ +\{", re.MULTILINE)
        entry = next(islice(begins.finditer(source, table.start()), int(key[3]), None), None)
    else:
        entry = table
    return f" (near line {source.count(chr(10), 0, entry.start()) + 1})" if entry else ""
