"""When two names mean one person (四（四）)."""

import pytest

from workflows.persons import folded, in_both, joined


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("周教授", "周 教授"),
        ("周教授", " 周教授 "),
        ("Ｗａｎｇ　Ｗｅｉ", "wang wei"),
        ("WANG WEI", "WangWei"),
        ("周　教授", "周教授"),
    ],
)
def test_names_that_differ_in_blanks_width_or_case_are_one_person(one: str, other: str) -> None:
    assert folded(one) == folded(other)


def test_different_names_are_different_persons() -> None:
    assert folded("周教授") != folded("周教受")


def test_who_stands_in_both_is_told_as_written_in_the_first() -> None:
    assert in_both(("周 教授", "钱工"), ("周教授",)) == ("周 教授",)


def test_joining_names_keeps_each_person_once() -> None:
    assert joined(("周教授",), ("周 教授", "钱工")) == ("周教授", "钱工")
