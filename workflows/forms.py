"""The rows of a unit's forms, drawn up from its cases as they stand by the declaration of each form.

A column is known by its id, and what it holds goes into the cell by its type. A case has a place in a form once it has
the parts that the form's columns tell of: a plan that stands, an acceptance of the batch. What has no source here (a
column of another programme) stays empty.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from workflows.case import Case, Measure, Report
from workflows.programme import Choice, Column, Filing, Form, Programme
from workflows.working_days import SHANGHAI, end_of_day, legal_day

# Personal data of somebody at the enterprise: kept apart wherever rows are kept.
PERSONAL = frozenset({"contact_name", "contact_phone", "contact_email"})
_JOINED = frozenset({"persons", "measure_numbers"})
_NUMBER = "number"
_GAP, _PROGRESS = "gap_", "progress_"
# A form of cases with one of these columns tells of plans, of acceptances.
_OF_PLANS = frozenset({"measures", "investment_10k_cny", "start_on", "finish_on"})
_OF_ACCEPTANCES = frozenset({"grade_reached", "reviewed_on", "reviewers"})

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """What the ledger says of the site of a case; `contact` (name, phone, email) is personal."""

    name: str
    credit_code: str
    permit_no: str | None = None
    county: str | None = None
    contact: Mapping[str, Any] | None = None
    ultra_low_completed_on: date | None = None
    ultra_low_publicised_on: date | None = None


@dataclass(frozen=True, slots=True)
class Need:
    """What an enterprise asked for, by when it was to be answered, and the answer; the instants are aware."""

    text: str
    received_at: datetime
    due_on: date
    answer: str | None = None
    answered_at: datetime | None = None

    @property
    def lasted_to(self) -> str | None:
        """The month of the answer, `2024-07`; None while there is none."""
        return None if self.answered_at is None else f"{legal_day(self.answered_at):%Y-%m}"


@dataclass(frozen=True, slots=True)
class Others:
    """The unit's other filings of the same form, where it has several batches (P4).

    `reported`: the acceptances in those handed in, each by `case` and `accepted_at` as its row has them. `handed_in`: the
    periods of these; what one of them left out has to stand in the next.
    """

    reported: frozenset[tuple[str, str]] = frozenset()
    handed_in: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class _Line:
    """What one row is read from."""

    programme: Programme
    filing: Filing
    others: Others
    case: Case
    site: SiteFacts
    needs: Sequence[Need] = ()
    measure: Measure | None = None
    report: Report | None = None


_NO_OTHERS = Others()
Read = Callable[[_Line], Any]


def columns_of(programme: Programme, form: Form) -> tuple[Column, ...]:
    """All columns of a form, in the order to print them."""
    return (*programme.form_edges.first, *form.columns, *programme.form_edges.last)


def rows(
    programme: Programme,
    filing: Filing,
    cases: Iterable[tuple[Case, SiteFacts]],
    others: Others = _NO_OTHERS,
    needs: Mapping[str, Sequence[Need]] | None = None,
) -> list[Row]:
    """The rows of a filing: of each, the JSON value of every column by its id, and the `case` it is of; in the order given.

    `needs` by case, in the order of receipt.
    Where the form tells of acceptances, also `accepted_at`: a case may be accepted anew. Those who have left (withdrawn,
    disqualified) are left out.
    """
    form = programme.form_by_id[filing.form]
    reads = [(column, _read_of(form, column)) for column in columns_of(programme, form)]
    lines = (
        line
        for case, site in cases
        if not _has_left(programme, case)
        for line in _LINES[form.row](form, _Line(programme, filing, others, case, site, (needs or {}).get(case.id, ())))
    )
    return [
        {
            "case": line.case.id,
            **({"accepted_at": _accepted_at(line.case)} if tells_of_acceptances(form) else {}),
            **{
                column.id: number if column.id == _NUMBER else _cell(programme, column, read(line))
                for column, read in reads
            },
        }
        for number, line in enumerate(lines, 1)
    ]


def _has_left(programme: Programme, case: Case) -> bool:
    events = (programme.event_of_kind(kind) for kind in ("withdraw", "disqualify"))
    return case.state in {event.target for event in events if event is not None}


# --- which lines a case has in a form ---------------------------------------------------------------------------------


def _of_case(form: Form, line: _Line) -> Iterator[_Line]:
    if tells_of_plans(form) and not _plan_stands(line):
        return
    if tells_of_acceptances(form) and not _is_of_the_batch(line):
        return
    yield line


def _has_one_of(form: Form, columns: frozenset[str]) -> bool:
    return any(column.id in columns for column in form.columns)


def tells_of_plans(form: Form) -> bool:
    """Whether a form has rows of plans, one for each case that has one."""
    return _has_one_of(form, _OF_PLANS)


def tells_of_needs(form: Form) -> bool:
    """Whether a form has a column of what the enterprises asked for, and of the answers."""
    return form.row == "case_month" and _has_one_of(form, frozenset({"needs"}))


def tells_of_acceptances(form: Form) -> bool:
    """Whether a form has rows of acceptances, each of which stands in one batch of it."""
    return form.row == "case" and _has_one_of(form, _OF_ACCEPTANCES)


def _accepted_at(case: Case) -> str | None:
    """The instant of the acceptance that stands, RFC 3339: what tells it from one before it."""
    return case.acceptance.accepted_at.astimezone(SHANGHAI).isoformat() if case.acceptance else None


def _plan_stands(line: _Line) -> bool:
    """Whether the case has a plan, and not one that was sent back and has to be filed anew."""
    filing = line.programme.event_of_kind("file_plan")
    return line.case.plan is not None and (filing is None or filing.move_from(line.case.state) is None)


def _is_of_the_batch(line: _Line) -> bool:
    """Whether the case was accepted up to the day of this filing, and no earlier one that is still to come will have it.

    A supplementary one takes also what comes after its day: there is no later one.
    """
    acceptance = line.case.acceptance
    if acceptance is None or (line.case.id, _accepted_at(line.case)) in line.others.reported:
        return False
    filing, at = line.filing, acceptance.accepted_at
    ends = {each.period: _ends_at(line.programme, each) for each in line.programme.filings if each.form == filing.form}
    here = ends[filing.period]
    earlier = (end for period, end in ends.items() if end < here and period not in line.others.handed_in)
    return (filing.supplementary or at < here) and all(at >= end for end in earlier)


def _ends_at(programme: Programme, filing: Filing) -> datetime:
    return end_of_day(programme.date_by_id[filing.due].due_on)


def _of_measures(form: Form, line: _Line) -> Iterator[_Line]:
    if _plan_stands(line):
        for measure in line.case.measures:
            if measure.equipment is not None:
                yield replace(line, measure=measure)


def _of_month(form: Form, line: _Line) -> Iterator[_Line]:
    for report in line.case.reports:
        if report.month == line.filing.period:
            yield replace(line, report=report)


def _of_site(form: Form, line: _Line) -> Iterator[_Line]:
    event = line.programme.event_of_kind("recognise")
    if event is not None and line.case.state == event.target:
        yield line


_LINES: Mapping[str, Callable[[Form, _Line], Iterator[_Line]]] = {
    "case": _of_case,
    "measure": _of_measures,
    "case_month": _of_month,
    "site": _of_site,
}


# --- what a column holds ----------------------------------------------------------------------------------------------


def _read_of(form: Form, column: Column) -> Read:
    """How a column of a form is read from a line."""
    known = _READS[form.row].get(column.id)
    if known is not None:
        return known
    if form.row == "case" and column.id.startswith(_GAP):
        return _under("case.pre_assessment.gaps", column.id.removeprefix(_GAP))
    if form.row == "case_month" and column.id.startswith(_PROGRESS):
        return _under("report.progress", column.id.removeprefix(_PROGRESS))
    return lambda line: None


def _at(path: str) -> Read:
    """What stands at the end of a path of names; nothing where a part of it is not there."""

    def read(line: _Line) -> Any:
        value: Any = line
        for name in path.split("."):
            value = None if value is None else getattr(value, name)
        return value

    return read


def _under(path: str, key: str) -> Read:
    """What a mapping at the end of a path holds under a key."""
    found = _at(path)
    return lambda line: (found(line) or {}).get(key)


def _measures(line: _Line) -> str:
    kinds = line.programme.measure_kinds
    return "\n".join(f"{_cell_of(kinds, each.kind)}｜{each.title}｜{each.due_on}" for each in line.case.measures)


def _needs(line: _Line) -> str | None:
    """What was received or answered in the month, or waited all through it, one on a line."""
    month = line.filing.period
    of_month = (
        each
        for each in line.needs
        if f"{legal_day(each.received_at):%Y-%m}" <= month and (each.lasted_to is None or each.lasted_to >= month)
    )
    return "\n".join(_need(each) for each in of_month) or None


def _need(need: Need) -> str:
    asked = f"{legal_day(need.received_at)} {_flat(need.text)}"
    if need.answered_at is None:
        return f"{asked}；尚未答复（期限 {need.due_on}）"
    late = "，逾期" if need.answered_at >= end_of_day(need.due_on) else ""
    return f"{asked}；答复（{legal_day(need.answered_at)}{late}）：{_flat(need.answer or '')}"


def _flat(text: str) -> str:
    return " ".join(text.split())


def _reviewers(line: _Line) -> Any:
    """Who reviewed; on the fast track nobody did, and the cell says so."""
    event = line.programme.event_of_kind("fast_track")
    reviewers = line.case.acceptance.reviewers if line.case.acceptance else ()
    return reviewers or ((event.title.zh,) if event is not None else ())


def _progress(line: _Line) -> int:
    """How far a measure is: done, or as the newest report says of its kind."""
    assert line.measure is not None
    if line.measure.done_on is not None:
        return 100
    said = [report.progress[line.measure.kind] for report in line.case.reports if line.measure.kind in report.progress]
    return said[-1] if said else 0


def _finished_on(line: _Line) -> date | None:
    assert line.measure is not None
    assert line.measure.equipment is not None
    return line.measure.equipment.finished_on or line.measure.done_on


def _recognised_on(line: _Line) -> date | None:
    return legal_day(line.case.recognised_at) if line.case.recognised_at is not None else None


def _change(line: _Line) -> str:
    grades = line.programme.choice_lists["grades"]
    return f"由 {_cell_of(grades, line.case.current_grade)} 升为 {_cell_of(grades, line.case.grade_reached or '')}"


_EVERYWHERE: Mapping[str, Read] = {
    **{name: _at(f"site.{name}") for name in (
        "name", "credit_code", "permit_no", "county", "ultra_low_completed_on", "ultra_low_publicised_on",
    )},
    **{name: _at(f"case.{name}") for name in (
        "unit", "industry", "industry_detail", "current_grade", "target_grade", "grade_reached", "applied_on",
        "finish_by", "officer", "remark",
    )},
    **{f"contact_{name}": _under("site.contact", name) for name in ("name", "phone", "email")},
}  # fmt: skip
_READS: Mapping[str, Mapping[str, Read]] = {
    "case": {
        **_EVERYWHERE,
        **{name: _at(f"case.pre_assessment.{name}") for name in ("assessed_on", "assessors")},
        **{name: _at(f"case.plan.{name}") for name in ("investment_10k_cny", "start_on", "finish_on")},
        **{name: _at(f"case.acceptance.{name}") for name in ("reviewed_on", "conclusion")},
        "measures": _measures,
        "reviewers": _reviewers,
        "batch": _at("filing.due"),
    },
    "measure": {
        **_EVERYWHERE,
        **{name: _at(f"measure.equipment.{name}") for name in (
            "category", "before", "after", "investment_10k_cny", "funding", "started_on",
        )},
        "finished_on": _finished_on,
        "progress": _progress,
    },
    "case_month": {
        **_EVERYWHERE,
        **{name: _at(f"report.{name}") for name in (
            "month", "assessed_on", "assessors", "done", "problems", "delayed", "next", "conclusion",
        )},
        "needs": _needs,
        "measures_total": lambda line: len(line.case.measures),
    },
    "site": {
        **_EVERYWHERE,
        "former_grade": _at("case.current_grade"),
        "grade": _at("case.grade_reached"),
        "recognised_on": _recognised_on,
        "change": _change,
    },
}  # fmt: skip


def _cell(programme: Programme, column: Column, value: Any) -> Any:
    """A value as it stands in the cells of a column: JSON, nothing where there is nothing."""
    if value is None or value == ():
        return None
    if column.type == "choice":
        return _cell_of(programme.choices_of(column), value)
    if column.type == "unit":
        return programme.unit_by_code[value].name.zh
    if column.type == "yes_no":
        return "是" if value else "否"
    if column.type in _JOINED:
        return "、".join(map(str, value))
    return value.isoformat() if isinstance(value, date) else value


def _cell_of(choices: Iterable[Choice], id_: str) -> str:
    return next((choice.cell for choice in choices if choice.id == id_), id_)
