"""The kinds of value that come from outside, each strict: a text is a text, a date is YYYY-MM-DD and nothing else."""

import re
import unicodedata
from datetime import date
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

from workflows.persons import mixes_alphabets, names_one

_YEARS = range(1900, 2200)
_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII)
# Shown as nothing or as a blank though they are letters, marks or signs: two fillers of Hangul and their two
# compatibility forms, the grapheme joiner, the Braille blank, the object replacement character.
_BLANKS_IN_DISGUISE = frozenset("\u034f\u115f\u1160\u3164\uffa0\u2800\ufffc")
# Cc Cf Co Cs Cn: control, format (direction, zero width, tags), private use, surrogates, unassigned. Zl Zp: separators.
_UNSHOWN_CATEGORIES = frozenset({"Cc", "Cf", "Co", "Cs", "Cn", "Zl", "Zp"})


def _is_variant(character: str) -> bool:
    return character in "\u180b\u180c\u180d\u180f" or "\ufe00" <= character <= "\ufe0f" or (
        "\U000e0100" <= character <= "\U000e01ef"
    )  # fmt: skip


def is_shown(character: str, *, lines: bool = False) -> bool:
    """Whether a character is one that a reader sees; in `lines`, line breaks and variation selectors pass too.

    A name must look different where it is different. Free text is compared with nothing, and there a selector says how
    the ideograph before it is written (or that a sign is drawn in colour): pasted text may keep it.
    """
    if character in "\n\t" or _is_variant(character):
        return lines
    return unicodedata.category(character) not in _UNSHOWN_CATEGORIES and character not in _BLANKS_IN_DISGUISE


# The same for those who read a JSON schema: nothing that is not shown, and something besides blanks. What is not
# assigned, or lies above U+FFFF, is left to the service: it differs from one reader of patterns to the next.
_UNSHOWN = (
    r"\x7f-\x9f\xad\u034f\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u115f\u1160\u180e\u200b-\u200f\u2028-\u202e"
    r"\u2060-\u206f\u2800\u3164\ue000-\uf8ff\ufeff\uffa0\ufff0-\ufffc\ufffe\uffff"
)
_VARIANTS = r"\u180b-\u180d\u180f\ufe00-\ufe0f"
_BLANK = r"\x20\xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
_NO_LINE = rf"\x00-\x1f{_UNSHOWN}{_VARIANTS}"
_NO_LINES = rf"\x00-\x08\x0b-\x1f{_UNSHOWN}"
SHOWN = rf"^[^{_NO_LINE}]*$"
LINE = rf"^[^{_NO_LINE}]*[^{_NO_LINE}{_BLANK}][^{_NO_LINE}]*$"
_LINES = rf"^[^{_NO_LINES}]*[^{_NO_LINES}{_BLANK}][^{_NO_LINES}]*$"


def clean_line(text: str) -> str:
    """The text, if it is one line of characters that are shown. Raises what a validator raises."""
    if text.isascii() and text.isprintable():
        return text
    if not all(is_shown(character) for character in text):
        raise PydanticCustomError("unprintable_text", "control characters are not allowed")
    return text


def _clean_lines(text: str) -> str:
    if not all(is_shown(character, lines=True) for character in text):
        raise PydanticCustomError("unprintable_text", "control characters are not allowed")
    if not any(unicodedata.category(character)[0] in "LNPS" and is_shown(character) for character in text):
        raise PydanticCustomError("unprintable_text", "nothing is shown")
    return text


def _person(name: str) -> str:
    if not names_one(name):
        raise PydanticCustomError("one_person_each", "the name of one person, without title, unit or remark")
    if mixes_alphabets(name):
        raise PydanticCustomError("mixed_alphabets", "letters of several alphabets that look alike stand in one name")
    return name


def _day(value: Any) -> Any:
    if isinstance(value, str):
        if not _DAY.fullmatch(value):
            raise PydanticCustomError("not_a_day", "a date is written YYYY-MM-DD")
        try:
            value = date.fromisoformat(value)
        except ValueError:
            raise PydanticCustomError("not_a_day", "no such day in the calendar") from None
    if type(value) is date:
        if value.year not in _YEARS:  # further off nobody does anything, and arithmetic with days has its ends
            raise PydanticCustomError("day_out_of_range", "a day of the years 1900 to 2199 is needed")
        return value
    raise PydanticCustomError("not_a_day", "a date is written YYYY-MM-DD")


def _month(value: str) -> str:
    if not _MONTH.fullmatch(value):
        raise PydanticCustomError("not_a_month", "a month is written YYYY-MM")
    return value


def _not_bool(value: Any) -> Any:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise PydanticCustomError("not_a_number", "a number is needed")
    return value


Day = Annotated[date, BeforeValidator(_day), WithJsonSchema({"type": "string", "format": "date"})]
Month = Annotated[
    str,
    Field(strict=True),
    AfterValidator(_month),
    WithJsonSchema({"type": "string", "pattern": r"^\d{4}-(0[1-9]|1[0-2])$", "examples": ["2024-07"]}),
]
Line = Annotated[
    str,
    StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=200),
    AfterValidator(clean_line),
    Field(json_schema_extra={"pattern": LINE}),
]
Lines = Annotated[
    str,
    StringConstraints(strict=True, strip_whitespace=True, min_length=1, max_length=4000),
    AfterValidator(_clean_lines),
    Field(json_schema_extra={"pattern": _LINES}),
]
Person = Annotated[Line, AfterValidator(_person)]
Persons = Annotated[tuple[Person, ...], Field(min_length=1, max_length=30)]
Number = Annotated[int, Field(strict=True, ge=1, le=10_000)]
Percent = Annotated[int, Field(strict=True, ge=0, le=100)]
# Upper bound: a thousand billion CNY; two decimals are 100 CNY.
Money = Annotated[
    float,
    BeforeValidator(_not_bool),
    Field(ge=0, le=100_000_000, allow_inf_nan=False),
    WithJsonSchema({"type": "number", "minimum": 0, "maximum": 100_000_000}),
]
Claim = Annotated[bool, Field(strict=True)]
