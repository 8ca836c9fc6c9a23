"""Codes of enterprises and sites (GB 32100-2015, 排污许可)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from workflows.identity import check_digit, is_credit_code, is_permit_number, site_key

ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"


@pytest.mark.parametrize("code", ["91130200699229617X", "91330421739237858X", "11370800004234373R"])
def test_a_real_code_passes(code: str) -> None:
    assert is_credit_code(code)


@pytest.mark.parametrize(
    "code",
    [
        "91350100M000100Y4Z",  # the failing one of CLAUSES.md
        "91130200699229617Y",  # another check digit
        "9113020069922961X",  # 17 characters
        "91130200699229617XX",  # 19
        "91130200699229617x",  # lower case
        "９１１３０２００６９９２２９６１７Ｘ",  # full width
        "9113020069922961IX",  # a letter that the alphabet leaves out
        "91A30200699229617X",  # a letter in the region
        "",
        "91130200699229617X ",
    ],
)
def test_a_wrong_code_fails(code: str) -> None:
    assert not is_credit_code(code)


@given(st.text(ALPHABET, min_size=17, max_size=17), st.integers(0, 16), st.sampled_from(ALPHABET))
def test_one_changed_character_changes_the_check_digit(body: str, place: int, other: str) -> None:
    changed = body[:place] + other + body[place + 1 :]
    assert (check_digit(changed) == check_digit(body)) == (changed == body)


@pytest.mark.parametrize("body", ["short", "I" * 17])
def test_a_check_digit_is_asked_only_of_what_can_have_one(body: str) -> None:
    with pytest.raises(ValueError, match="17 characters"):
        check_digit(body)


@pytest.mark.parametrize(
    ("number", "right"),
    [
        ("91130200699229617X001P", True),
        ("91130200699229617X0019", True),
        ("91130200699229617X01P", False),
        ("91130200699229617X00AP", False),
        ("91130200699229617Y001P", False),
        ("91130200699229617X001p", False),
    ],
)
def test_a_permit_number_is_a_code_three_digits_and_a_character(number: str, right: bool) -> None:
    assert is_permit_number(number) is right


def test_a_site_is_its_permit_number_or_else_its_code() -> None:
    assert site_key("91130200699229617X", "91130200699229617X001P") == "91130200699229617X001P"
    assert site_key("91130200699229617X", None) == "91130200699229617X"
