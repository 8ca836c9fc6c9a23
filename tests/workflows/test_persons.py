"""When two names mean one person (四（四）), and which names and texts are taken at all."""

import re
import unicodedata

import pytest
from pydantic import TypeAdapter, ValidationError

from workflows.persons import folded, in_both, joined, mixes_alphabets
from workflows.values import LINE, SHOWN, Line, Lines, Persons, is_shown

# What is shown as nothing, or as a blank, or changes the character before it.
UNSEEN = (
    "\u00ad", "\u034f", "\u061c", "\u115f", "\u1160", "\u180b", "\u180e", "\u200b", "\u200d", "\u2060", "\u2800", "\u3164",
    "\ue000", "\ufe0f", "\ufeff", "\uffa0", "\ufffc", "\u0378", "\U000e0041", "\U000e0100", "\U000f0000",
)  # fmt: skip


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("周教授", "周 教授"),
        ("周教授", " 周教授 "),
        ("Ｗａｎｇ　Ｗｅｉ", "wang wei"),
        ("WANG WEI", "WangWei"),
        ("周　教授", "周教授"),
        ("阿不都·买买提", "阿不都买买提"),
        ("阿不都·买买提", "阿不都•买买提"),
        ("阿不都・买买提", "阿不都．买买提"),
        ("José", "Jose\u0301"),
        ("O'Brien", "O’Brien"),
        ("周-教授", "周ـ教授"),
        ("周教授（专家）", "周教授"),
        ("周教授[省]", "周教授【市】"),
        *((f"周{unseen}教授", "周教授") for unseen in UNSEEN),
    ],
)
def test_names_that_differ_in_what_no_reader_tells_apart_are_one_person(one: str, other: str) -> None:
    assert folded(one) == folded(other)


def test_different_names_are_different_persons() -> None:
    assert folded("周教授") != folded("周教受")


def test_who_stands_in_both_is_told_as_written_in_the_first() -> None:
    assert in_both(("周 教授", "钱工"), ("周教授",)) == ("周 教授",)


def test_joining_names_keeps_each_person_once() -> None:
    assert joined(("周教授",), ("周 教授", "钱工")) == ("周教授", "钱工")


def test_names_without_letters_are_compared_as_they_are() -> None:
    assert folded("——") != folded("（）") != ""


@pytest.mark.parametrize("unseen", UNSEEN)
def test_no_line_holds_what_is_not_shown(unseen: str) -> None:
    with pytest.raises(ValidationError, match="unprintable_text"):
        TypeAdapter(Line).validate_python(f"周{unseen}教授")


def test_free_text_keeps_how_an_ideograph_is_drawn_and_nothing_else_that_is_not_shown() -> None:
    for unseen in UNSEEN:
        text = f"葛{unseen}城"
        if unseen in "\u180b\ufe0f\U000e0100":
            assert TypeAdapter(Lines).validate_python(text) == text
        else:
            with pytest.raises(ValidationError, match="unprintable_text"):
                TypeAdapter(Lines).validate_python(text)


def test_the_pattern_in_the_document_takes_of_what_is_assigned_just_what_the_service_takes() -> None:
    shown, line = (re.compile(pattern.removesuffix("$") + r"\Z") for pattern in (SHOWN, LINE))
    for code in (*range(0xD800), *range(0xE000, 0x10000)):
        character = chr(code)
        if unicodedata.category(character) != "Cn":
            assert bool(shown.match(character)) == is_shown(character), hex(code)
            assert bool(line.match(f"a{character}")) == is_shown(character), hex(code)


@pytest.mark.parametrize(
    "name",
    [
        "周教授、钱工", "周教授，钱工", "Zhou, Qian", "周教授;钱工", "周教授；钱工", "周教授/钱工", "周教授／钱工", "周教授|钱工",
        "周教授&钱工", "周教授\n钱工", "周教授（专家）", "周教授(省)", "【周教授】", "周教授:组长", "——", "。",
    ],
)  # fmt: skip
def test_each_item_names_one_person_without_a_remark(name: str) -> None:
    with pytest.raises(ValidationError, match=r"one_person_each|unprintable_text"):
        TypeAdapter(Persons).validate_python([name])


@pytest.mark.parametrize(
    "name", ["周教授", "阿不都·买买提", "José Ma. O'Brien-Lee", "王 wei", "Иван", "Νίκος", "佐々木", "周教授2"]
)
def test_names_as_people_have_them_are_taken(name: str) -> None:
    assert TypeAdapter(Persons).validate_python([name]) == (name,)


@pytest.mark.parametrize("name", ["Wаng Wei", "Аnna", "Νick Lee"])  # Cyrillic а, Cyrillic А, Greek Ν
def test_a_name_in_two_alphabets_that_look_alike_is_refused(name: str) -> None:
    assert mixes_alphabets(name)
    with pytest.raises(ValidationError, match="mixed_alphabets"):
        TypeAdapter(Persons).validate_python([name])
