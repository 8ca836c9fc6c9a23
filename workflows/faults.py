"""What is wrong with what was sent, said in both languages: the parser's findings in the words of a person."""

import re
from collections.abc import Iterable
from typing import Any

from pydantic import ValidationError

from workflows.text import Reason, Text, listed

# Of so many findings each is told; beyond so many nobody looks at any.
_TOLD, _COUNTED = 100, 1000
# type of the parser's finding → (our code, Chinese, English); {…} are taken from the finding's context
_SAID: dict[str, tuple[str, str, str]] = {
    "missing": ("missing", "缺少必填项", "this field is required"),
    "extra_forbidden": ("unknown_field", "没有这个字段", "there is no such field"),
    "unexpected_keyword_argument": ("unknown_field", "没有这个字段", "there is no such field"),
    "missing_argument": ("missing", "缺少必填项", "this field is required"),
    "string_type": ("wrong_type", "应为文本", "a text is needed"),
    "string_too_short": ("too_short", "不能为空，至少 {min_length} 个字符", "at least {min_length} character(s) are needed"),
    "string_too_long": ("too_long", "过长，最多 {max_length} 个字符", "at most {max_length} characters are allowed"),
    "string_pattern_mismatch": ("wrong_form", "格式不符", "this has not the form that is needed"),
    "not_a_phone": (
        "wrong_form", "电话应为 5 至 31 位：以数字或 + 开头，其后为数字、空格、括号、连字符",
        "a telephone number is needed: 5 to 31 digits, blanks, brackets and hyphens, a digit or + first",
    ),
    "not_an_email": (
        "wrong_form", "应为一个电子邮箱地址，如 name@example.com", "one e-mail address is needed, as in name@example.com"
    ),
    "not_an_objection_state": (
        "wrong_form", "可选值：open（未处理）、upheld（成立）、dismissed（不成立）", "must be one of: open, upheld and dismissed"
    ),
    "string_unicode": ("not_unicode", "含有无效字符", "not valid Unicode text"),
    "unprintable_text": ("unprintable_text", "含有不可见的字符（控制符、零宽字符等），请删除后重新输入", "characters that are not shown are not allowed"),
    "one_person_each": (
        "one_person_each", "每项填一人姓名，不用顿号、逗号、斜线连写，也不加括号、职务或单位",
        "the name of one person in each item: no separators, no brackets with a title or unit",
    ),
    "mixed_alphabets": (
        "mixed_alphabets", "一个姓名中混用了形近的不同字母（如拉丁字母与西里尔字母），请统一书写",
        "letters of several alphabets that look alike stand in one name: write it in one",
    ),
    "not_a_day": ("not_a_day", "日期应写成 YYYY-MM-DD，且确有其日", "a date is written YYYY-MM-DD and must exist"),
    "day_out_of_range": ("out_of_range", "日期应在 1900 年至 2199 年之间", "a day of the years 1900 to 2199 is needed"),
    "not_a_month": ("not_a_month", "月份应写成 YYYY-MM", "a month is written YYYY-MM"),
    "not_an_instant": (
        "not_an_instant", "时间应带时区，如 2024-06-03T09:00:00+08:00",
        "an instant needs its offset, as in 2024-06-03T09:00:00+08:00",
    ),
    "not_a_number": ("wrong_type", "应为数字", "a number is needed"),
    "int_type": ("wrong_type", "应为整数", "a whole number is needed"),
    "int_parsing": ("wrong_type", "应为整数", "a whole number is needed"),
    "int_from_float": ("wrong_type", "应为整数", "a whole number is needed"),
    "float_type": ("wrong_type", "应为数字", "a number is needed"),
    "bool_type": ("wrong_type", "应为 true 或 false", "true or false is needed"),
    "bool_parsing": ("wrong_type", "应为 true 或 false", "true or false is needed"),
    "finite_number": ("wrong_type", "应为有限的数字", "a finite number is needed"),
    "literal_error": ("unknown_value", "可选值：{expected}", "must be one of: {expected}"),
    "enum": ("unknown_value", "可选值：{expected}", "must be one of: {expected}"),
    "too_short": ("too_few", "至少 {min_length} 项", "at least {min_length} item(s) are needed"),
    "too_long": ("too_many", "最多 {max_length} 项", "at most {max_length} items are allowed"),
    "greater_than_equal": ("too_small", "不得小于 {ge}", "must be at least {ge}"),
    "less_than_equal": ("too_large", "不得大于 {le}", "must be at most {le}"),
    "tuple_type": ("wrong_type", "应为列表", "a list is needed"),
    "list_type": ("wrong_type", "应为列表", "a list is needed"),
    "dict_type": ("wrong_type", "应为对象", "an object is needed"),
    "mapping_type": ("wrong_type", "应为对象", "an object is needed"),
    "dataclass_type": ("wrong_type", "应为对象", "an object is needed"),
    "model_type": ("wrong_type", "应为对象", "an object is needed"),
    "model_attributes_type": ("wrong_type", "应为对象", "an object is needed"),
    "json_invalid": ("malformed_json", "不是有效的 JSON", "this is not valid JSON"),
}  # fmt: skip


def fault(code: str, field: str, zh: str, en: str, clause: str | None = None) -> Reason:
    """One thing that is wrong with what was sent."""
    return Reason(code, Text(zh, en), clause, field)


def from_validation(error: ValidationError, at: str = "") -> tuple[Reason, ...]:
    """Every finding of the parser, its place below the field `at`; of very many only how many they are."""
    if error.error_count() > _COUNTED:
        return (_too_many(error.error_count(), at),)
    return from_findings(error.errors(include_url=False, include_input=False), at)


def from_findings(findings: Iterable[Any], at: str = "") -> tuple[Reason, ...]:
    """Every finding (in the parser's form: type, loc, msg, ctx) as a fault; the first of very many, and how many there are."""
    faults = []
    findings = list(findings)
    count = len(findings)
    findings = findings[:_TOLD]
    for finding in findings:
        if finding["type"] == "too_short" and any(_is_below(other["loc"], finding["loc"]) for other in findings):
            continue  # too few only because some of them could not be read
        code, zh, en = _SAID.get(finding["type"], ("malformed", "格式不符：{msg}", "{msg}"))
        told = {**(finding.get("ctx") or {}), "msg": finding["msg"]}
        expected = listed(_values(told.get("expected", "")))
        faults.append(
            fault(
                code,
                _field(at, finding["loc"]),
                zh.format_map({**told, "expected": expected.zh}),
                en.format_map({**told, "expected": expected.en}),
            )
        )
    return (*faults, _too_many(count, at)) if count > _TOLD else tuple(faults)


def _too_many(count: int, at: str) -> Reason:
    return fault(
        "too_many_faults", at or "body", f"共有 {count} 处错误，未全部列出：请核对内容是否属于此请求",
        f"{count} things are wrong, and not all are listed: look whether this is the right content",
    )  # fmt: skip


def _values(expected: str) -> list[str]:
    """The values in the parser's own words: "'passed', 'failed' or 'rectify'"."""
    return [value.strip("'") for value in re.split(r", | or ", expected)]


def _is_below(location: tuple[int | str, ...], above: tuple[int | str, ...]) -> bool:
    return len(location) > len(above) and location[: len(above)] == above


def _field(at: str, location: tuple[int | str, ...]) -> str:
    place = at
    for part in location:
        if isinstance(part, int):
            place += f"[{part}]"
        elif part != "[key]" and not part.startswith("·"):  # a dot marks a branch of a union, not a field
            place += f".{part}" if place else part
    return place or "body"
