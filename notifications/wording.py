"""Words that are put together rather than looked up: days with their weekday, what is left of a term, clean text."""

import re
import unicodedata
from collections.abc import Mapping
from datetime import date
from typing import Any

LANGUAGES = ("zh", "en")

_WEEKDAYS_ZH = "一二三四五六日"
_WEEKDAYS_EN = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS_EN = (
    "January", "February", "March", "April", "May", "June",
    "July", "August", "September", "October", "November", "December",
)  # fmt: skip

# What may not stand in a text that leaves the house: controls (PostgreSQL stores no NUL, a mail's head breaks at a
# newline), halves of characters, and the marks that turn the direction of writing and so disguise what follows.
_BANNED = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\u202a-\u202e\u2066-\u2069]")
_LINE_ENDS = re.compile("\r\n?|[\u2028\u2029\x85]")


def clean(text: str) -> str:
    """The text with its lines ended by newlines, and without what no mail and no database takes."""
    return _BANNED.sub("", _LINE_ENDS.sub("\n", text))


def one_line(text: str) -> str:
    """The text on one line: every run of blanks, tabs and newlines becomes one blank."""
    # What is printable throughout holds nothing of what has to be cleaned away.
    return " ".join((text if text.isprintable() else clean(text)).split())


def storable(text: str) -> str:
    """The text as it is, but for what PostgreSQL refuses (NUL, halves of characters), which is shown as U+FFFD."""
    return re.sub("[\x00\ud800-\udfff]", "\ufffd", text)


def is_unprintable(text: str) -> bool:
    """Whether it holds a character that cannot be seen: a control, a line end, a mark of direction."""
    return any(unicodedata.category(character) in ("Cc", "Cf", "Cs", "Zl", "Zp") for character in text)


def said(value: Any, language: str) -> str:
    """A value of a context on one line: a text as it is, of a text in both languages the one, a number in digits.

    Raises TypeError for what is none of these.
    """
    if isinstance(value, Mapping):
        value = value[language]
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        raise TypeError(f"{value!r} is neither a text, a text in both languages nor a number")
    return one_line(str(value))


def day(on: date, language: str) -> str:
    """A day with its weekday: 2024年6月15日（星期六）, Saturday, 15 June 2024."""
    if language == "en":
        return f"{_WEEKDAYS_EN[on.weekday()]}, {on.day} {_MONTHS_EN[on.month - 1]} {on.year}"
    return f"{on.year}年{on.month}月{on.day}日（星期{_WEEKDAYS_ZH[on.weekday()]}）"


def working_days(count: int, language: str) -> str:
    """A number of working days. Raises ValueError for what is none."""
    if type(count) is not int or count < 0:
        raise ValueError(f"{count!r} is no number of working days")
    if language == "en":
        return f"{count} working day" if count == 1 else f"{count} working days"
    return f"{count} 个工作日"


def term(due_on: date, told_on: date, count: int, language: str) -> str:
    """How a term stands on the day `told_on`.

    `count` is how many working days lie after that day up to the due one, or, once it is over, after the due day up
    to that one.
    """
    zh = language == "zh"
    if due_on < told_on:
        if not count:
            return "已逾期" if zh else "overdue"
        return f"已逾期 {working_days(count, language)}" if zh else f"overdue by {working_days(count, language)}"
    if due_on == told_on:
        return "今日到期" if zh else "due today"
    if not count:
        return "此前已无其他工作日" if zh else "no other working day before it"
    return f"还有 {working_days(count, language)}" if zh else f"{working_days(count, language)} left"
