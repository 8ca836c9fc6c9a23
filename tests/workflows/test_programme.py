"""The packaged programmes say what the plan says, and a wrong programme file is refused with every problem at once."""

from datetime import date
from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import pytest

from workflows.errors import ProgrammeRefused
from workflows.events import KINDS
from workflows.lifecycle import Lifecycle
from workflows.programme import Programme, packaged_sources
from workflows.programme_checks import load, packaged
from workflows.working_days import Calendar, DayKind, packaged_years

HENAN = packaged_sources()["henan-2024"]
SECOND = (Path(__file__).parent / "data" / "second.toml").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def henan() -> Programme:
    return load(HENAN)


@pytest.fixture(scope="module")
def second() -> Programme:
    return load(SECOND)


def changed(*changes: tuple[str, str]) -> str:
    """Henan's file with each first text replaced by the second, which must be found."""
    source = HENAN
    for old, new in changes:
        assert old in source, old
        source = source.replace(old, new, 1)
    return source


def within(event: str, old: str, new: str) -> tuple[str, str]:
    """A change in the block of one event."""
    begin = HENAN.index(f'[[events]]\nname = "{event}"')
    end = HENAN.find("\n[[events]]", begin)
    block = HENAN[begin : end if end > 0 else HENAN.index("# --- the forms")]
    assert old in block, old
    return block, block.replace(old, new, 1)


def problems_of(source: str) -> tuple[str, ...]:
    with pytest.raises(ProgrammeRefused) as refused:
        load(source)
    return refused.value.problems


# --- what is packaged -------------------------------------------------------------------------------------------------


def test_every_packaged_programme_loads_and_makes_a_machine() -> None:
    assert [programme.id for programme in packaged()] == list(packaged_sources())
    for programme in packaged():
        assert "stateDiagram" in Lifecycle(programme).diagram("en")


def test_a_different_programme_loads_without_problems_and_makes_a_machine(second: Programme) -> None:
    assert "stateDiagram" in Lifecycle(second).diagram()
    assert {"plan_filed", "resubmitted"}.isdisjoint(second.state_by_id)
    assert (second.spans.notice.working_days, second.spans.answer.working_days) == (7, 3)
    assert second.is_above("A+", "A")
    approve = second.event_of_kind("accept")
    assert approve is not None
    assert (approve.name, approve.roles) == ("approve", ("province",))
    assert second.event_of_kind("fast_track") is None


@pytest.mark.parametrize(
    ("code", "sites"),
    [
        ("410000", 600),
        *((code, 60) for code in ("410100", "410300", "410500", "410600", "410700")),
        *((code, 35) for code in ("410800", "410900", "411000", "411400")),
        *((c, 20) for c in ("410200", "410400", "411100", "411200", "411300", "411500", "411600", "411700", "419001")),
        ("410173", 10),
    ],
)
def test_each_area_has_the_target_of_the_plan_T2_T3(henan: Programme, code: str, sites: int) -> None:
    target = henan.target_by_area[code]
    counted = ("A", "B", "leading") if code == "410000" else ("A", "B", "B-", "leading")
    assert (target.sites, target.counted, target.by) == (sites, counted, date(2024, 12, 31))


def test_the_targets_of_the_19_units_sum_to_630_T3(henan: Programme) -> None:
    assert len(henan.units) == 19
    assert sum(henan.target_by_area[unit.code].sites for unit in henan.units) == 630


def test_there_are_twelve_industries_and_other_and_three_need_the_ultra_low_retrofit_T1_W1(henan: Programme) -> None:
    ids = "steel cement coking foundry refractory glass lime_kiln secondary_metal chemical industrial_coating"
    assert [industry.id for industry in henan.industries] == [*ids.split(), "packaging_printing", "abrasives", "other"]
    assert [industry.id for industry in henan.industries if industry.ultra_low] == ["steel", "cement", "coking"]
    assert [industry.id for industry in henan.industries if industry.needs_detail] == ["other"]


def test_grades_stand_on_two_ladders_and_ungraded_is_below_everything(henan: Programme) -> None:
    ladder = ["A", "B", "B-", "C", "D"]
    assert all(henan.is_above(one, other) for one, other in pairwise(ladder))
    assert henan.is_above("leading", "non_leading")
    assert all(henan.is_above(grade.id, "ungraded") for grade in henan.grades if grade.id != "ungraded")
    assert not henan.is_above("ungraded", "D")
    assert [grade.id for grade in henan.grades if grade.target] == ["A", "B", "B-", "leading"]


def test_the_positive_list_is_for_A_and_leading_W7(henan: Programme) -> None:
    assert [grade.id for grade in henan.grades if grade.entitlement] == ["A", "leading"]


@pytest.mark.parametrize(
    ("event", "from_", "to", "late_after", "hard_after"),
    [
        ("list", None, (5, 31), None, (1, 31)),
        ("pre_assess", (6, 1), (11, 15), None, None),
        ("file_plan", (6, 1), (11, 15), (6, 15), None),
        ("start_upgrade", (6, 1), (11, 15), None, None),
        ("amend_plan", (6, 1), (11, 15), None, None),
        ("report_progress", (6, 15), (11, 30), None, None),
        ("accept", (7, 15), (11, 30), None, (12, 20)),
        ("fail_acceptance", (7, 15), (11, 30), None, None),
        ("fast_track", (7, 15), (11, 30), None, (12, 20)),
        ("spot_check", (8, 1), (12, 15), None, None),
        ("reject", (8, 1), (12, 15), None, None),
        ("publish", (9, 1), (12, 31), None, None),
        ("resubmit", None, None, None, (12, 20)),
        ("relist", None, None, None, (1, 31)),
        *(
            (event, None, None, None, None)
            for event in (
                "return_plan", "order_rectification", "uphold_objection", "recognise", "lapse", "withdraw",
                "disqualify", "correct",
            )
        ),
    ],
)  # fmt: skip
def test_each_event_has_the_window_of_its_phase(
    henan: Programme,
    event: str,
    from_: tuple[int, int] | None,
    to: tuple[int, int] | None,
    late_after: tuple[int, int] | None,
    hard_after: tuple[int, int] | None,
) -> None:
    window = henan.event_by_name[event].window
    days = tuple(
        day and (day.month, day.day) for day in (window.from_, window.to, window.late_after, window.hard_after)
    )
    assert days == (from_, to, late_after, hard_after)


def test_the_events_are_the_kinds_in_their_order_under_their_own_names(henan: Programme) -> None:
    assert [(event.name, event.kind) for event in henan.events] == [(kind, kind) for kind in KINDS]


def test_these_events_need_a_reason(henan: Programme) -> None:
    needing = {event.name for event in henan.events if event.needs_reason}
    assert needing == {"return_plan", "amend_plan", "reject", "withdraw", "relist", "correct"}


@pytest.mark.parametrize(
    ("form", "due"),
    [
        ("list", [(5, 31)]),
        ("plan", [(6, 15)]),
        ("equipment", [(10, 31)]),
        ("tracking", [(6, 30), (7, 31), (8, 31), (9, 30), (10, 31), (11, 30)]),
        ("accepted", [(7, 31), (10, 31), (11, 30)]),
        ("emergency_list", [(9, 10)]),
    ],
    ids=["P1", "P2-plan", "P2-equipment", "P3", "P4", "P6"],
)
def test_each_form_is_due_on_the_days_of_the_plan(henan: Programme, form: str, due: list[tuple[int, int]]) -> None:
    days = [henan.date_by_id[filing.due].due_on for filing in henan.filings if filing.form == form]
    assert [(day.month, day.day) for day in days] == due
    assert {filing.signed for filing in henan.filings if filing.form == form} == {form == "accepted"}


def test_the_only_hard_date_is_the_last_day_of_resubmission_P6(henan: Programme) -> None:
    assert [(rule.id, rule.due_on) for rule in henan.dates if rule.hard] == [("resubmission", date(2024, 12, 20))]


def test_five_days_of_the_plan_fall_on_days_off_and_none_rolls(henan: Programme) -> None:
    calendar = Calendar(packaged_years())
    off = {rule.due_on for rule in henan.dates if calendar.day(rule.due_on).kind == DayKind.WEEKEND}
    assert off == {date(2024, *day) for day in [(6, 15), (6, 30), (8, 31), (11, 30), (12, 15)]}
    assert not any(rule.rolls for rule in henan.dates)


@pytest.mark.parametrize(
    ("span", "working_days", "clause"),
    [("notice", 5, "P6"), ("answer", 5, "W5"), ("objection", 10, "P6"), ("correction", 5, "R4")],
)
def test_each_span_has_its_working_days(henan: Programme, span: str, working_days: int, clause: str) -> None:
    found = getattr(henan.spans, span)
    assert (found.working_days, found.clause) == (working_days, clause)


def test_the_clauses_are_those_of_the_plan(henan: Programme) -> None:
    ids = [*(f"T{n}" for n in range(1, 4)), *(f"W{n}" for n in range(1, 8)), *(f"P{n}" for n in range(1, 7))]
    assert [clause.id for clause in henan.clauses] == [*ids, "R1", "R2", "R3", "R4"]


@pytest.mark.parametrize(
    ("form", "heads"),
    [
        (
            "list",
            (
                "排污许可证编号或登记编号 所属重点行业 行业细分 现绩效等级 拟提升等级 超低排放改造完成日期 超低排放公示日期 "
                "企业自愿申请日期 计划完成时间 责任人 企业联系人 联系电话 电子邮箱"
            ),
        ),
        (
            "plan",
            (
                "行业 现等级 目标等级 预评估日期 预评估专家 装备水平差距 污染治理技术差距 排放限值差距 无组织排放差距 监测监控差距 "
                "环境管理差距 运输方式差距 提升措施 计划投资（万元） 开工时间 计划完成时限 包联责任人"
            ),
        ),
        (
            "equipment",
            "行业 更新类别 更新前设备 更新后设备 投资额（万元） 资金来源 开工时间 完成时间 进度（%）",
        ),
        (
            "tracking",
            (
                "月份 评估日期 评估人员 措施总数 已完成措施序号 设备更新进度 技术改造进度 治理升级进度 能力建设进度 存在问题 "
                "企业需求及答复情况 是否滞后 下月计划 结论"
            ),
        ),
        (
            "accepted",
            "行业 原等级 验收等级 评审日期 评审专家 超低排放完成日期 超低排放公示日期 验收批次 验收意见",
        ),
        ("emergency_list", "行业 原等级 现等级 认定日期 变更情况"),
    ],
)
def test_each_form_has_its_columns_in_their_order(henan: Programme, form: str, heads: str) -> None:
    assert [column.head for column in henan.form_by_id[form].columns] == heads.split()


def test_every_form_begins_with_who_it_is_about_and_ends_with_a_remark(henan: Programme) -> None:
    first = [column.head for column in henan.form_edges.first]
    assert first == ["序号", "省辖市", "县（市、区）", "企业名称", "统一社会信用代码"]
    assert [column.head for column in henan.form_edges.last] == ["备注"]


def test_the_cells_of_a_column_come_from_a_list_of_the_programme_or_stand_with_it(henan: Programme) -> None:
    columns = {column.id: column for column in henan.form_by_id["accepted"].columns}
    assert [choice.cell for choice in henan.choices_of(columns["batch"])] == ["第一批", "第二批", "补充批"]
    assert [choice.id for choice in henan.choices_of(columns["grade_reached"])] == list(henan.grade_by_id)
    target = next(column for column in henan.form_by_id["list"].columns if column.id == "target_grade")
    assert [choice.cell for choice in henan.choices_of(target)] == ["A", "B", "B-", "绩效引领性"]


# --- what is refused, one sort of problem each ------------------------------------------------------------------------

NO_TIME_LEFT = within("lapse", "day = 2025-01-31", "day = 2025-02-01")


WRONG = (
    pytest.param(
        within("accept", 'to = "accepted"', 'to = "acepted"'),
        "events.accept.moves[0].to: unknown state 'acepted'",
        id="a move to an unknown state",
    ),
    pytest.param(
        within("accept", 'from = ["upgrading"]', 'from = ["upgradng"]'),
        "events.accept.moves[0].from[0]: unknown state 'upgradng'",
        id="a move from an unknown state",
    ),
    pytest.param(
        within("accept", 'to = "accepted"', 'to = "back"'),
        "events.accept.moves[0].to: 'back' is for an event of kind 'correct'",
        id="going back without correcting",
    ),
    pytest.param(
        within("accept", 'from = ["upgrading"]', "from = []"),
        "events.accept.moves[0].from: is empty for an event of kind 'list', and for no other",
        id="a move from nowhere",
    ),
    pytest.param(
        within("fail_acceptance", 'kind = "fail_acceptance"', 'kind = "fail"'),
        "events.fail_acceptance.kind: unknown kind of event 'fail'",
        id="an unknown kind of event",
    ),
    pytest.param(
        within("relist", 'kind = "relist"', 'kind = "reject"'),
        "events: the kind 'reject' is used by 2 events: reject, relist",
        id="a kind used by two events",
    ),
    pytest.param(
        within("list", 'kind = "list"', 'kind = "publish"'),
        "events: none is of kind 'list', so no case can begin",
        id="no way to begin",
    ),
    pytest.param(
        within("accept", 'guard = "measures_done"', 'guard = "measures_don"'),
        "events.accept.guards[0].guard: unknown guard 'measures_don'",
        id="an unknown guard",
    ),
    pytest.param(
        within("accept", 'people = "reviewers"', 'people = "reviewer"'),
        "events.accept.guards[3].given.people: Input should be 'reviewers', 'inspectors' or 'assessors'",
        id="a guard told something wrong",
    ),
    pytest.param(
        within("accept", 'did = "assessed_by"', 'did = "assessed_by", wrote = 1'),
        "events.accept.guards[3].given.wrote: Unexpected keyword argument",
        id="a guard told something it does not know",
    ),
    pytest.param(
        within("publish", 'given = { result = "passed" }', "given = {}"),
        "events.publish.moves[0].guards[0].given.result: Field required",
        id="a guard not told what it needs",
    ),
    pytest.param(
        within("accept", 'people = "reviewers"', 'people = "inspectors"'),
        "events.accept.guards[3].guard: 'apart' looks at inspectors, which the data of kind 'accept' do not have",
        id="a guard that looks at people whom the event does not name",
    ),
    pytest.param(
        within("reject", 'guard = "check_resulted", clause = "P5", given = { result = "failed", or_rectify_after = 2024-12-20 }',
               'guard = "findings_answered", clause = "P5"'),
        "events.reject.guards[0].guard: 'findings_answered' looks at answers",
        id="a guard that looks at data which the event does not have",
    ),
    pytest.param(
        within("fast_track", 'day = "declared_on"', 'day = "reviewed_on"'),
        "events.fast_track.guards[3].guard: 'done_since_order' looks at reviewed_on",
        id="a guard that looks at a day which the event does not have",
    ),
    pytest.param(
        within("reject", "or_rectify_after = 2024-12-20", "or_rectify_after = 2024-12-21"),
        "events.reject.guards[0].given.or_rectify_after: 2024-12-21 is not the last day of ordering (2024-12-20)",
        id="a day on which nothing can be ordered and nothing rejected",
    ),
    pytest.param(
        within("accept", 'grades = ["A"]', 'grades = ["AA"]'),
        "events.accept.guards[4].given.grades[0]: unknown grade 'AA'",
        id="a guard told an unknown grade",
    ),
    pytest.param(
        within("correct", '"uphold_objection"', '"uphold"'),
        "events.correct.guards[0].given.never[2]: unknown kind of event 'uphold'",
        id="a guard told an unknown kind",
    ),
    pytest.param(
        within("spot_check", "until = 2024-12-20", 'until = "2024-12-20"'),
        "events.spot_check.guards[2].given.until: write the date 2024-12-20 without quotes",
        id="a quoted date told to a guard",
    ),
    pytest.param(
        within("report_progress", "first = 2024-06-01", "first = 2024-12-01"),
        "events.report_progress.guards[2].given: first 2024-12-01 is after last 2024-11-30",
        id="months that run backwards",
    ),
    pytest.param(
        within("accept", 'roles = ["unit"]', 'roles = ["city"]'),
        "events.accept.roles[0]: unknown role 'city'",
        id="an unknown role",
    ),
    pytest.param(
        within("accept", 'roles = ["unit"]', 'roles = ["unit", "auditor"]'),
        "events.accept.roles[1]: the role 'auditor' may not move a case",
        id="a role that changes nothing",
    ),
    pytest.param(
        within("lapse", 'from = ["listed",', 'from = ["rejected",'),
        "events.lapse.moves: 2 moves start from 'rejected', so which one is meant?",
        id="two moves of one event from one state",
    ),
    pytest.param(
        within("accept", "to = 2024-11-30", "to = 2024-07-14"),
        "events.accept.window: from 2024-07-15 is after to 2024-07-14",
        id="a window that runs backwards",
    ),
    pytest.param(
        within("accept", "hard_after = 2024-12-20", "hard_after = 2024-11-20"),
        "events.accept.window: to 2024-11-30 is after hard_after 2024-11-20",
        id="a hard end inside the window",
    ),
    pytest.param(
        ("from = 2024-09-01, to = 2024-12-31 }", "from = 2024-09-01, to = 2024-08-31 }"),
        "phases.recognise: from 2024-09-01 is after to 2024-08-31",
        id="a phase that runs backwards",
    ),
    pytest.param(
        ("opens = 08:30:00", "opens = 18:30:00"),
        "office_hours: closes is not after opens",
        id="office hours that run backwards",
    ),
    pytest.param(
        ("due_on = 2024-05-31", "due_on = 2023-12-31"),
        "dates.list.due_on: 2023-12-31 is outside 2024-01-01 to 2025-01-31 (closes_on)",
        id="a date before the year",
    ),
    pytest.param(
        ('clause = "P1", to = 2024-05-31', 'clause = "P1", to = 2025-05-31'),
        "phases.plan_and_deploy.to: 2025-05-31 is outside",
        id="a phase past the close",
    ),
    pytest.param(
        within("publish", "to = 2024-12-31", "to = 2025-12-31"),
        "events.publish.window.to: 2025-12-31 is outside",
        id="a window past the close",
    ),
    pytest.param(
        NO_TIME_LEFT,
        "events.lapse.moves[1].guards[0].given.day: 2025-02-01 is outside",
        id="a guard told a date past the close",
    ),
    pytest.param(
        ('owed_in = ["rejected"]', 'owed_in = ["rejekted"]'),
        "dates.resubmission.owed_in[0]: unknown state 'rejekted'",
        id="a date owed in an unknown state",
    ),
    pytest.param(
        ('period = "2024", due = "plans"', 'period = "2024", due = "plan"'),
        "filings[1].due: unknown date 'plan'",
        id="a filing due on an unknown date",
    ),
    pytest.param(
        ('form = "plan", period', 'form = "plans", period'),
        "filings[1].form: unknown form 'plans'",
        id="a filing of an unknown form",
    ),
    pytest.param(
        ('due = "accepted_first", signed = true', 'due = "accepted_first"'),
        "filings[9].signed: differs from that of the form 'accepted'",
        id="a filing unsigned although its form is signed",
    ),
    pytest.param(
        ('period = "2024-07", due = "tracking_july"', 'period = "2024-06", due = "tracking_july"'),
        "filings: form and period 'tracking 2024-06' stands 2 times",
        id="a filing twice",
    ),
    pytest.param(
        ('ladder = "stage", clause = "P5"', 'ladder = "stages", clause = "P5"'),
        "dates.check.ladder: unknown ladder 'stages'",
        id="an unknown ladder",
    ),
    pytest.param(
        ('id = "measure"\ntitle', 'id = "measures"\ntitle'),
        "ladders: none is called 'measure'; each kind of obligation needs one",
        id="an obligation without ladder",
    ),
    pytest.param(
        ('late = "plan_stage_late" }', 'late = "plan_late" }'),
        "dates.plan_stage.late: unknown date 'plan_late'",
        id="an unknown later date",
    ),
    pytest.param(
        ('clause = "P2", late = "acceptance" }', 'clause = "P2", late = "plan_stage" }'),
        "dates.plan_stage_late.late: 'plan_stage' (2024-06-15) is not after 2024-11-15",
        id="two dates that are late for one another",
    ),
    pytest.param(
        ('ladder = "stage", clause = "P4" }', 'ladder = "stage", clause = "P4", late = "acceptance_late" }'),
        "dates.acceptance_late.late: 'acceptance_late' (2024-12-20) is not after 2024-12-20",
        id="a date that is late for itself",
    ),
    pytest.param(
        ('when = "check_not_passed", late = "close" }', 'when = "check_not_passed", late = "check" }'),
        "dates.conclusion.late: 'check' (2024-12-15) is not after 2024-12-15",
        id="a later date of the same day",
    ),
    pytest.param(
        ('"working-day-4", to', '"day-4", to'),
        "ladders.answer.rungs[2]: unknown rung 'day-4'",
        id="an unknown rung",
    ),
    pytest.param(
        ('{ id = "cement", name', '{ id = "steel", name'),
        "industries: the id 'steel' stands 2 times",
        id="an industry twice",
    ),
    pytest.param(
        ('{ id = "B", name', '{ id = "A", name'),
        "grades: the id 'A' stands 2 times",
        id="a grade twice",
    ),
    pytest.param(
        ('{ id = "B-", name = { zh = "B-", en = "B-" }, ladder = "main", rank = 3',
         '{ id = "B-", name = { zh = "B-", en = "B-" }, ladder = "main", rank = 4'),
        "grades: ladder and rank 'main 4' stands 2 times",
        id="two grades of one rank",
    ),
    pytest.param(
        ("rank = 0 }", "rank = 0, target = true }"),
        "grades.ungraded.target: a target grade needs a ladder",
        id="a target without ladder",
    ),
    pytest.param(
        ('cell = "技术改造"', 'cell = "设备更新"'),
        "measure_kinds: the cell '设备更新' stands 2 times",
        id="two choices that look the same",
    ),
    pytest.param(
        ('also = ["开封"]', 'also = ["郑州"]'),
        "units: the name '郑州' stands 2 times",
        id="two units of one name",
    ),
    pytest.param(
        ('areas = ["410173"]', 'areas = ["410174"]'),
        "targets[4].areas[0]: unknown area '410174'",
        id="a target for an unknown area",
    ),
    pytest.param(
        ('areas = ["410173"]', 'areas = ["410100"]'),
        "targets: the area '410173' has no target",
        id="an area without target",
    ),
    pytest.param(
        ('areas = ["410173"]', 'areas = ["410173", "410100"]'),
        "targets: the area '410100' stands 2 times",
        id="two targets for one area",
    ),
    pytest.param(
        ('counted = ["A", "B", "leading"]', 'counted = ["A", "B", "lead"]'),
        "targets[0].counted[2]: unknown grade 'lead'",
        id="a target in an unknown grade",
    ),
    pytest.param(
        within("relist", 'clause = "W2"', 'clause = "W9"'),
        "events.relist.clause: unknown clause 'W9'",
        id="an unknown clause",
    ),
    pytest.param(
        ('[[readings]]\nclause = "R3"', '[[readings]]\nclause = "R2"'),
        "clauses.R3: no event, guard, date, phase, target, span, form or reading cites this clause",
        id="a clause that nothing carries out",
    ),
    pytest.param(
        within("relist", 'zh = "重新列入"', 'zh = " "'),
        "events.relist.title.zh: is empty",
        id="an empty text",
    ),
    pytest.param(
        within("resubmit", 'to = "resubmitted"', 'to = "accepted"'),
        "states.resubmitted: unreachable",
        id="an unreachable state",
    ),
    pytest.param(
        ("[[events]]\nname = \"list\"",
         '[[states]]\nid = "stuck"\nname = { zh = "卡", en = "stuck" }\n\n[[events]]\nname = "list"'),
        "states.stuck: a dead end: no chain of events leads from here to a final state",
        id="a dead end",
    ),
    pytest.param(
        ('id = "withdrawn"\nname', 'id = "stays"\nname'),
        "states.stays.id: 'stays' has a meaning of its own",
        id="a state called like a movement",
    ),
    pytest.param(
        ('id = "withdrawn"\nname', 'id = "退出"\nname'),
        "states.退出.id: must be of a-z, 0-9 and _",
        id="a state that the diagram cannot draw",
    ),
    pytest.param(
        ('id = "gap_treatment"', 'id = "unit"'),
        "forms.plan.columns.unit: every form has a column of this id already (form_edges)",
        id="a column that every form has",
    ),
    pytest.param(
        ('head = "污染治理技术差距"', 'head = "装备水平差距"'),
        "forms.plan.columns: the head '装备水平差距' stands 2 times",
        id="two columns of one head",
    ),
    pytest.param(
        ('choices = "target_grades", help', 'choices = "targets", help'),
        "forms.list.columns.target_grade.choices: unknown list 'targets'",
        id="an unknown list of choices",
    ),
    pytest.param(
        ('type = "choice", choices = "fundings"', 'type = "text", choices = "fundings"'),
        "forms.equipment.columns.funding: a column of type 'choice' has choices, and no other has",
        id="choices of a column that is free",
    ),
    pytest.param(
        ('required_when = { industry = ["other"] }', 'required_when = { sector = ["other"] }'),
        "forms.list.columns.industry_detail.required_when: unknown column 'sector'",
        id="needed where an unknown column is filled",
    ),
    pytest.param(
        ('required_when = { industry = ["other"] }', 'required_when = { industry = ["others"] }'),
        "forms.list.columns.industry_detail.required_when.industry: unknown value 'others'",
        id="needed where a column holds an unknown value",
    ),
)  # fmt: skip


@lru_cache
def problems_of_all() -> dict[tuple[str, str], tuple[str, ...]]:
    """The problems of the file in which each wrong change stands.

    To read a file takes longer than all else here, and every problem is told at once: so the changes share as few files
    as can hold them. One whose text another change has taken stands in the next.
    """
    found: dict[tuple[str, str], tuple[str, ...]] = {}
    left = [row.values[0] for row in WRONG]
    while left:
        source, here = HENAN, []
        for old, new in left:
            if old in source:
                source = source.replace(old, new, 1)
                here.append((old, new))
        found |= dict.fromkeys(here, problems_of(source))
        left = [change for change in left if change not in found]
    return found


@pytest.mark.parametrize(("change", "problem"), WRONG)
def test_a_programme_is_refused_for(change: tuple[str, str], problem: str) -> None:
    problems = problems_of_all()[change]
    assert any(found.startswith(problem) for found in problems), problems


def test_a_programme_closes_in_its_year_or_in_the_next() -> None:
    problems = problems_of(changed(("closes_on = 2025-01-31", "closes_on = 2026-01-31")))
    assert problems[0].startswith("closes_on: 2026-01-31 is neither in 2024 nor in 2025")


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("version = 1", "version = 0"), "version: Input should be greater than or equal to 1"),
        (("version = 1", 'version = 1\nmotto = "上"'), "motto: Unexpected keyword argument"),
        (("draft = false", ""), "draft: Field required"),
        (("due_on = 2024-05-31", 'due_on = "2024-05-31"'), "dates.list.due_on: Input should be a valid date"),
        (("due_on = 2024-05-31", "due_on = 2024-05-31T00:00:00"), "dates.list.due_on: Input should be a valid date"),
        (within("accept", 'kind = "accept"', "kind = 5"), "events.accept.kind: Input should be a valid string"),
        (("notice = { working_days = 5", "notice = { working_days = 0"), "spans.notice.working_days: Input should be"),
    ],
)
def test_a_part_of_the_wrong_type_is_named_by_its_key(change: tuple[str, str], problem: str) -> None:
    (found,) = problems_of(changed(change))
    assert found.startswith(problem)


def test_a_file_that_is_no_toml_is_refused_with_its_line() -> None:
    (problem,) = problems_of(changed(("version = 1", "version = ")))
    assert problem.startswith("not TOML: ")
    assert f"line {HENAN[: HENAN.index('version = 1')].count(chr(10)) + 1}" in problem


def test_an_empty_file_is_refused_for_everything_that_it_lacks() -> None:
    problems = problems_of("")
    assert len(problems) > 20
    assert "events: Field required" in problems


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (within("accept", 'to = "accepted"', 'to = "acepted"'), 'name = "accept"'),
        (('areas = ["410173"]', 'areas = ["410174"]'), '  { areas = ["410174"]'),
        (('[[readings]]\nclause = "R3"', '[[readings]]\nclause = "R9"'), '[[readings]]\nclause = "R9"'),
        (('late = "acceptance_late" }', 'late = "list" }'), '{ id = "acceptance",'),
        (("closes_on = 2025-01-31", "closes_on = 2026-01-31"), "closes_on"),
        (("notice = { working_days = 5", "notice = { working_days = 0"), "notice = { working_days = 0"),
    ],
)
def test_a_problem_carries_the_line_near_which_it_stands(change: tuple[str, str], text: str) -> None:
    source = changed(change)
    line = source[: source.index(text)].count("\n") + 1
    assert problems_of(source)[0].endswith(f" (near line {line})")


def test_all_problems_of_all_sorts_are_listed_at_once() -> None:
    source = changed(
        within("accept", 'to = "accepted"', 'to = "acepted"'),
        within("relist", 'clause = "W2"', 'clause = "W9"'),
        within("fail_acceptance", 'kind = "fail_acceptance"', 'kind = "fail"'),
        within("start_upgrade", 'roles = ["unit"]', 'roles = ["city"]'),
        within("publish", 'guard = "never_checked"', 'guard = "never"'),
        within("spot_check", 'result = "rectify"', 'result = "perhaps"'),
        within("reject", "from = 2024-08-01", "from = 2024-12-16"),
        ("due_on = 2024-09-10", "due_on = 2026-09-10"),
        ('owed_in = ["rejected"]', 'owed_in = ["never"]'),
        ('ladder = "stage", clause = "P5"', 'ladder = "stages", clause = "P5"'),
        ('{ id = "cement", name', '{ id = "steel", name'),
        ('areas = ["410173"]', 'areas = ["410174"]'),
        ('[[readings]]\nclause = "R3"', '[[readings]]\nclause = "R2"'),
        ('form = "plan", period', 'form = "plans", period'),
        ('choices = "target_grades", help', 'choices = "targets", help'),
    )
    problems = problems_of(source)
    for expected in (
        "events.accept.moves[0].to: unknown state 'acepted'",
        "events.relist.clause: unknown clause 'W9'",
        "events.fail_acceptance.kind: unknown kind of event 'fail'",
        "events.start_upgrade.roles[0]: unknown role 'city'",
        "events.publish.moves[1].guards[0].guard: unknown guard 'never'",
        "events.spot_check.guards[2].given.result: ",
        "events.reject.window: from 2024-12-16 is after to 2024-12-15",
        "dates.emergency_list.due_on: 2026-09-10 is outside",
        "dates.resubmission.owed_in[0]: unknown state 'never'",
        "dates.check.ladder: unknown ladder 'stages'",
        "industries: the id 'steel' stands 2 times",
        "targets[4].areas[0]: unknown area '410174'",
        "targets: the area '410173' has no target",
        "clauses.R3: no event",
        "filings[1].form: unknown form 'plans'",
        "forms.list.columns.target_grade.choices: unknown list 'targets'",
    ):
        assert any(problem.startswith(expected) for problem in problems), expected
    assert len(set(problems)) == len(problems)


def test_parts_walk_through_everything_under_the_keys_of_the_file(henan: Programme) -> None:
    keys = dict(henan.parts)
    assert keys["events.accept.window.from"] == date(2024, 7, 15)
    assert keys["events.publish.moves[1].guards[2].clause"] == "P5"
    assert keys["targets[0].areas"] == ("410000",)
    assert keys["spans.notice.working_days"] == 5
