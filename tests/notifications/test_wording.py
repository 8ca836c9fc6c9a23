"""Days, terms and clean text, as tables."""

from datetime import date

import pytest

from notifications import wording


@pytest.mark.parametrize(
    "due_on, told_on, count, zh, en",
    [
        ("2024-06-15", "2024-06-12", 2, "还有 2 个工作日", "2 working days left"),
        ("2024-06-14", "2024-06-13", 1, "还有 1 个工作日", "1 working day left"),
        ("2024-06-15", "2024-06-14", 0, "此前已无其他工作日", "no other working day before it"),  # a Saturday
        ("2024-06-12", "2024-06-12", 0, "今日到期", "due today"),
        ("2024-06-14", "2024-06-15", 0, "已逾期", "overdue"),  # over since Friday, and Saturday is no working day
        ("2024-06-14", "2024-06-17", 1, "已逾期 1 个工作日", "overdue by 1 working day"),
    ],
)
def test_a_term_is_told_by_what_is_left_of_it(due_on: str, told_on: str, count: int, zh: str, en: str) -> None:
    days = date.fromisoformat(due_on), date.fromisoformat(told_on)
    assert (wording.term(*days, count, "zh"), wording.term(*days, count, "en")) == (zh, en)


@pytest.mark.parametrize(
    "on, zh, en",
    [
        ("2024-06-15", "2024年6月15日（星期六）", "Saturday, 15 June 2024"),
        ("2024-12-01", "2024年12月1日（星期日）", "Sunday, 1 December 2024"),
        ("2025-02-03", "2025年2月3日（星期一）", "Monday, 3 February 2025"),
    ],
)
def test_a_day_is_named_with_its_weekday(on: str, zh: str, en: str) -> None:
    assert (wording.day(date.fromisoformat(on), "zh"), wording.day(date.fromisoformat(on), "en")) == (zh, en)


def test_what_no_mail_takes_is_left_out_of_a_text() -> None:
    assert wording.clean("a\x00b\r\nc\u2028d\u202e\ud800e\tf") == "ab\nc\nde\tf"
    assert wording.one_line(" 郑州\r\n恒远\t铸造 ") == "郑州 恒远 铸造"


@pytest.mark.parametrize("value", [None, True, ["a"], {"zh": None, "en": None}])
def test_what_is_no_text_is_not_said(value: object) -> None:
    with pytest.raises(TypeError):
        wording.said(value, "zh")
