"""The rows of the forms, from cases as they stand (三, 附件 1–5, 应急减排清单)."""

from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from tests.workflows.cases import MEASURE, PLAN, REPORT, REVIEW, STATES, SYSTEM, Walk, henan, instant
from workflows import forms
from workflows.case import Case
from workflows.forms import Need, SiteFacts
from workflows.programme import Filing, Programme
from workflows.programme_checks import load

HENAN = henan().programme
SITE = SiteFacts(
    "郑州示例铸造有限公司", "91410100MA0090001K", "91410100MA0090001K001P", "中牟县",
    {"name": "王联系", "phone": "0371-60001234", "email": "wang@example.org"}, date(2024, 3, 1), date(2024, 4, 1),
)  # fmt: skip
EQUIPMENT = {
    **MEASURE,
    "equipment": {
        "category": "治理设备", "before": "旋风除尘", "after": "覆膜布袋除尘", "investment_10k_cny": 85, "funding": "自筹",
        "started_on": "2024-06-08",
    },
}  # fmt: skip
RENEWAL = {**PLAN, "measures": [EQUIPMENT, {**MEASURE, "title": "料场封闭", "kind": "treatment_upgrade"}]}


def _filing(form: str, period: str = "2024", programme: Programme = HENAN) -> Filing:
    return next(each for each in programme.filings if (each.form, each.period) == (form, period))


def _rows(form: str, *cases: Case, period: str = "2024", site: SiteFacts = SITE) -> list[dict[str, Any]]:
    """The rows, without the case that each is of."""
    drawn = forms.rows(HENAN, _filing(form, period), [(case, site) for case in cases])
    assert {row["case"] for row in drawn} <= {case.id for case in cases}
    return [{name: value for name, value in row.items() if name != "case"} for row in drawn]


def _row(form: str, case: Case, period: str = "2024") -> dict[str, Any]:
    (row,) = _rows(form, case, period=period)
    return row


def _renewing() -> Walk:
    """A case on its way with a plan that renews equipment."""
    walk = Walk().to("pre_assessed")
    walk.go("file_plan", RENEWAL, at="2024-06-10")
    walk.go("start_upgrade", {"started_on": "2024-06-12"}, at="2024-06-12")
    return walk


def test_p1_the_list_tells_of_each_listed_case_who_it_is_and_what_it_aims_at() -> None:
    case = Walk(officer="李包联", finish_by=date(2024, 9, 30), remark="重点企业").to("listed").case
    assert _row("list", case) == {
        "number": 1, "unit": "郑州市", "county": "中牟县", "name": SITE.name, "credit_code": SITE.credit_code,
        "permit_no": SITE.permit_no, "industry": "铸造", "industry_detail": None, "current_grade": "C",
        "target_grade": "B", "ultra_low_completed_on": "2024-03-01", "ultra_low_publicised_on": "2024-04-01",
        "applied_on": "2024-05-06", "finish_by": "2024-09-30", "officer": "李包联", "contact_name": "王联系",
        "contact_phone": "0371-60001234", "contact_email": "wang@example.org", "remark": "重点企业",
    }  # fmt: skip


def test_rows_have_every_column_of_their_form_in_its_order_and_are_numbered_from_1() -> None:
    cases = [Walk().to("listed").case, Walk().to("upgrading").case]
    rows = _rows("list", *cases)
    form = HENAN.form_by_id["list"]
    assert [row["number"] for row in rows] == [1, 2]
    assert {tuple(row) for row in rows} == {tuple(column.id for column in forms.columns_of(HENAN, form))}


@pytest.mark.parametrize("state", STATES)
def test_w2_whoever_has_left_stands_in_no_form_and_everybody_else_in_the_list(state: str) -> None:
    case = Walk().to(state).case
    assert len(_rows("list", case)) == (0 if state in ("withdrawn", "disqualified") else 1)


def test_a_site_without_a_contact_leaves_its_cells_empty() -> None:
    (row,) = _rows("list", Walk().to("listed").case, site=replace(SITE, contact=None))
    assert {row[name] for name in forms.PERSONAL} == {None}


def test_p2_the_plan_tells_the_gaps_and_one_measure_a_line() -> None:
    row = _row("plan", _renewing().case)
    assert (row["assessed_on"], row["assessors"], row["gap_fugitive"], row["gap_transport"]) == (
        "2024-06-03", "周教授", "料场未封闭", None,
    )  # fmt: skip
    assert row["measures"] == "设备更新｜更换除尘器｜2024-09-30\n治理升级｜料场封闭｜2024-09-30"
    assert (row["investment_10k_cny"], row["start_on"], row["finish_on"]) == (120, "2024-06-10", "2024-09-30")


def test_p2_only_a_plan_that_stands_is_filed_not_one_that_was_sent_back() -> None:
    assert _rows("plan", Walk().to("pre_assessed").case) == []
    walk = Walk().to("plan_filed")
    assert len(_rows("plan", walk.case)) == 1
    walk.go("return_plan", at="2024-06-11", reason="投资额有误")
    assert _rows("plan", walk.case) == []
    walk.go("file_plan", PLAN, at="2024-06-12")
    assert len(_rows("plan", walk.case)) == 1


def test_p2_the_equipment_form_has_a_row_for_each_measure_that_renews_equipment() -> None:
    walk = _renewing()
    row = _row("equipment", walk.case)
    assert (row["category"], row["before"], row["after"], row["investment_10k_cny"], row["funding"]) == (
        "治理设备", "旋风除尘", "覆膜布袋除尘", 85, "自筹",
    )  # fmt: skip
    assert (row["started_on"], row["finished_on"], row["progress"]) == ("2024-06-08", None, 0)
    half = {**REPORT, "month": "2024-06", "assessed_on": "2024-06-20", "done": []}
    walk.go("report_progress", {**half, "progress": {"equipment_renewal": 40, "treatment_upgrade": 0}}, at="2024-06-20")
    assert _row("equipment", walk.case)["progress"] == 40
    walk.go(
        "report_progress", {**REPORT, "progress": {"equipment_renewal": 90, "treatment_upgrade": 5}}, at="2024-07-18"
    )
    row = _row("equipment", walk.case)
    assert (row["progress"], row["finished_on"]) == (100, "2024-07-18")


def test_p3_tracking_has_the_report_of_its_month_and_no_other() -> None:
    case = Walk().to("accepted").case
    assert _rows("tracking", case, period="2024-06") == []
    row = _row("tracking", case, period="2024-07")
    assert (row["month"], row["assessed_on"], row["assessors"], row["measures_total"], row["done"]) == (
        "2024-07", "2024-07-18", "吴工", 1, "1",
    )  # fmt: skip
    assert (row["progress_equipment_renewal"], row["progress_capacity_building"], row["delayed"]) == (100, None, "否")
    assert (row["needs"], row["conclusion"]) == (None, "已完成")


def test_p3_what_the_enterprise_asked_for_in_the_month_stands_in_form_4_with_its_answer() -> None:
    case = Walk().to("accepted").case
    asked = [
        Need("上月已复", instant("2024-06-03"), date(2024, 6, 11), "好", instant("2024-06-30 23:59")),
        Need("上月的", instant("2024-06-20"), date(2024, 6, 27), "好", instant("2024-07-02")),
        Need(
            "需要技术\n指导", instant("2024-07-01 00:00"), date(2024, 7, 8), "已安排\n专家", instant("2024-07-08 23:59")
        ),
        Need("融资", instant("2024-07-31 23:59"), date(2024, 8, 7)),
        Need("下月的", instant("2024-08-01 00:00"), date(2024, 8, 8)),
    ]
    (row,) = forms.rows(HENAN, _filing("tracking", "2024-07"), [(case, SITE)], needs={case.id: asked})
    assert row["needs"].splitlines() == [
        "2024-06-20 上月的；答复（2024-07-02，逾期）：好",
        "2024-07-01 需要技术 指导；答复（2024-07-08）：已安排 专家",
        "2024-07-31 融资；尚未答复（期限 2024-08-07）",
    ]


@pytest.mark.parametrize(
    ("accepted", "period"),
    [
        ("2024-07-31 23:59", "2024-07"),
        ("2024-08-01 00:00", "2024-10"),  # the day named is included, the next is not
        ("2024-10-31 23:59", "2024-10"),
        ("2024-11-01 00:00", "2024-11"),
        ("2024-12-05 09:00", "2024-11"),  # no later list could take it
    ],
)
def test_p4_who_is_accepted_stands_in_the_batch_of_that_day(accepted: str, period: str) -> None:
    walk = Walk().to("upgrading")
    walk.go("report_progress", REPORT, at="2024-07-18")
    walk.go("accept", {**REVIEW, "reviewers": ["钱工", "郑工"]}, at=accepted, reason="逾期验收")
    found = {each for each in ("2024-07", "2024-10", "2024-11") if _rows("accepted", walk.case, period=each)}
    assert found == {period}
    row = _row("accepted", walk.case, period)
    assert (row["grade_reached"], row["reviewed_on"], row["reviewers"]) == ("B", "2024-07-20", "钱工、郑工")
    assert row["batch"] == {"2024-07": "第一批", "2024-10": "第二批", "2024-11": "补充批"}[period]


@pytest.mark.parametrize(
    ("handed_in", "found"),
    [
        (set(), {"2024-10"}),
        ({"2024-07"}, {"2024-10"}),
        ({"2024-10"}, {"2024-10", "2024-11"}),  # whether or not the first, which cannot have it, is in
        ({"2024-07", "2024-10"}, {"2024-10", "2024-11"}),
    ],
)
def test_p4_who_was_left_out_of_the_batch_of_that_day_stands_in_the_next(handed_in: set[str], found: set[str]) -> None:
    walk = Walk().to("upgrading")
    walk.go("report_progress", REPORT, at="2024-07-18")
    case = walk.go("accept", REVIEW, at="2024-10-08")
    periods = ("2024-07", "2024-10", "2024-11")
    others = {each: forms.Others(handed_in=frozenset(handed_in - {each})) for each in periods}
    drawn = {each: forms.rows(HENAN, _filing("accepted", each), [(case, SITE)], others[each]) for each in periods}
    assert {each for each in periods if drawn[each]} == found


def test_w6_on_the_fast_track_nobody_reviewed_and_the_cell_says_so() -> None:
    walk = Walk().to("pre_assessed")
    walk.go("fast_track", {"declared_on": "2024-07-20", "declaration": "已达到 B 级指标"}, at="2024-07-20")
    row = _row("accepted", walk.case, "2024-07")
    assert (row["reviewers"], row["conclusion"]) == ("快速通道", "已达到 B 级指标")


def test_p6_the_emergency_list_has_whose_grade_was_recognised() -> None:
    walk = Walk().to("published")
    assert _rows("emergency_list", walk.case) == []
    walk.go("recognise", at="2024-09-11 00:00", by=SYSTEM)
    row = _row("emergency_list", walk.case)
    assert (row["former_grade"], row["grade"], row["recognised_on"], row["change"]) == (
        "C", "B", "2024-09-11", "由 C 升为 B",
    )  # fmt: skip


def test_a_column_that_nothing_is_known_of_stays_empty() -> None:
    other = load((Path(__file__).parent / "data" / "second.toml").read_text(encoding="utf-8"))
    case = replace(
        Walk().to("accepted").case, programme=other.id, unit=other.units[0].code, industry=other.industries[0].id
    )
    (row,) = forms.rows(other, _filing("accepted", "2025-09", other), [(case, SITE)])
    assert (row["name"], row["how"], row["visited_on"]) == (SITE.name, None, None)


def test_the_legal_day_of_recognition_is_that_of_shanghai() -> None:
    case = replace(Walk().to("recognised").case, recognised_at=instant("2024-09-12 00:30"))
    assert _row("emergency_list", case)["recognised_on"] == "2024-09-12"
