"""The kinds of value that come from outside, each strict: a text is a text, a date is YYYY-MM-DD and nothing else."""

import re
import unicodedata
from datetime import date
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)
_MONTH = re.compile(r"\d{4}-(0[1-9]|1[0-2])", re.ASCII)
# Characters that change how their neighbours are shown: a name could read as another one.
_DIRECTION = frozenset("\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def _is_shown(character: str, *, lines: bool) -> bool:
    if character in "\n\t":
        return lines
    return unicodedata.category(character) not in {"Cc", "Cs", "Zl", "Zp"} and character not in _DIRECTION


# The same for those who read a JSON schema: nothing that is not shown, and something besides blanks.
_UNSHOWN = r"\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069"
_BLANK = r"\x20\xa0\u1680\u2000-\u200a\u202f\u205f\u3000"
SHOWN = rf"^[^\x00-\x1f{_UNSHOWN}]*$"
LINE = rf"^[^\x00-\x1f{_UNSHOWN}]*[^\x00-\x1f{_UNSHOWN}{_BLANK}][^\x00-\x1f{_UNSHOWN}]*$"
_LINES = rf"^[^\x00-\x08\x0b-\x1f{_UNSHOWN}]*[^\x00-\x1f{_UNSHOWN}{_BLANK}][^\x00-\x08\x0b-\x1f{_UNSHOWN}]*$"


def clean_line(text: str) -> str:
    """The text, if it is one line of characters that are shown. Raises what a validator raises."""
    if text.isascii() and text.isprintable():
        return text
    if not all(_is_shown(character, lines=False) for character in text):
        raise PydanticCustomError("unprintable_text", "control characters are not allowed")
    return text


def _clean_lines(text: str) -> str:
    if not all(_is_shown(character, lines=True) for character in text):
        raise PydanticCustomError("unprintable_text", "control characters are not allowed")
    return text


def _day(value: Any) -> Any:
    if isinstance(value, str):
        if not _DAY.fullmatch(value):
            raise PydanticCustomError("not_a_day", "a date is written YYYY-MM-DD")
        try:
            return date.fromisoformat(value)
        except ValueError:
            raise PydanticCustomError("not_a_day", "no such day in the calendar") from None
    if type(value) is date:
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
Persons = Annotated[tuple[Line, ...], Field(min_length=1, max_length=30)]
Number = Annotated[int, Field(strict=True, ge=1, le=10_000)]
Percent = Annotated[int, Field(strict=True, ge=0, le=100)]
# Upper bound: a thousand billion CNY; two decimals are 100 CNY.
Money = Annotated[float, BeforeValidator(_not_bool), Field(ge=0, le=100_000_000, allow_inf_nan=False)]
Claim = Annotated[bool, Field(strict=True)]
