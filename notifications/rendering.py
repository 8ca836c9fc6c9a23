"""From a template and a context to a mail: subject, text, HTML and attachments, in the language of the recipient.

A mail in Chinese carries one line in English for whoever cannot read it; a mail in English is English throughout.
Values of a context are JSON. A text that exists in both languages is `{"zh": …, "en": …}`; days are `YYYY-MM-DD`;
counts of working days come with the context, as the calendar is not known here. What one template wants stands
in its `example.json`.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import lru_cache, partial
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined, TemplateError, pass_context, select_autoescape
from jinja2.runtime import Context

from notifications import ics, wording
from notifications.errors import RenderingFailed

_FOLDER = Path(__file__).with_name("templates")
_LONGEST_SUBJECT = 180


@dataclass(frozen=True, slots=True)
class Attachment:
    """A file that goes with a mail. `parameters` belong to its media type."""

    name: str
    media_type: str
    content: bytes
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Rendered:
    """A message as it is sent. `html` is None where there is none, as in a webhook, whose text is its body."""

    subject: str
    text: str
    html: str | None = None
    attachments: tuple[Attachment, ...] = ()


def render(template: str, language: str, context: Mapping[str, Any]) -> Rendered:
    """The mail. Of `context["calendar"]`, where there is one, comes the attachment `dates.ics`.

    Raises RenderingFailed for a template or language that does not exist and for whatever goes wrong within one.
    """
    if language not in wording.LANGUAGES:
        raise RenderingFailed(template, language, "there is no such language")
    if template not in names():
        raise RenderingFailed(template, language, "there is no such template")
    given = {**context, "language": language}
    try:
        subject, text, html = (
            _environment(language).get_template(f"{template}/{part}").render(given)
            for part in ("subject.txt", "body.txt", "body.html")
        )
        attachments = (_dates(context["calendar"], language),) if context.get("calendar") else ()
    except (TemplateError, LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
        # Whatever a template does with a context that is not as it should be; the kind says more than the words.
        raise RenderingFailed(template, language, f"{type(error).__name__}: {error}") from error
    return Rendered(_shortened(wording.one_line(subject)), _tidy(text), wording.clean(html).strip() + "\n", attachments)


def event_body(template: str, id: str, at: datetime, context: Mapping[str, Any]) -> Rendered:  # noqa: A002 as in the tables
    """The body of a webhook: what happened, when, and the context as it is. The same however often it is sent."""
    document = {"type": template, "id": id, "timestamp": at.isoformat(), "data": context}
    return Rendered(template, json.dumps(document, ensure_ascii=True, separators=(",", ":")))


@lru_cache
def names() -> tuple[str, ...]:
    """The templates there are."""
    return tuple(sorted(folder.name for folder in _FOLDER.iterdir() if (folder / "subject.txt").exists()))


def example(template: str) -> dict[str, Any]:
    """The example of a template: a complete context, and the declaration of what it wants."""
    read: dict[str, Any] = json.loads((_FOLDER / template / "example.json").read_text(encoding="utf-8"))
    return read


def _shortened(subject: str) -> str:
    return subject if len(subject) <= _LONGEST_SUBJECT else subject[: _LONGEST_SUBJECT - 1] + "…"


def _tidy(text: str) -> str:
    """Without blanks at line ends, with at most one empty line in a row."""
    lines = "\n".join(line.rstrip() for line in wording.clean(text).split("\n"))
    return re.sub(r"\n{3,}", "\n\n", lines).strip() + "\n"


def _dates(calendar: Mapping[str, Any], language: str) -> Attachment:
    revised_at = datetime.fromisoformat(calendar["revised_at"])
    entries = [
        ics.Entry(
            uid=entry["uid"],
            sequence=int(entry["sequence"]),
            on=date.fromisoformat(entry["on"]),
            title=wording.said(entry["title"], language),
            revised_at=revised_at,
            note=wording.said(entry["note"], language),
            url=_url(entry["url"]),
            cancelled=bool(entry.get("cancelled", False)),
        )
        for entry in calendar["entries"]
    ]
    parameters = {"charset": "utf-8", "method": "PUBLISH"}
    return Attachment("dates.ics", ics.MEDIA_TYPE, ics.calendar(entries), parameters)


@lru_cache
def _environment(language: str) -> Environment:
    """The templates as they speak one language: what every word asks for need not be looked up with every word."""
    environment = Environment(
        loader=FileSystemLoader(_FOLDER),
        undefined=StrictUndefined,
        autoescape=select_autoescape(("html",), default=False),
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
        auto_reload=False,
        finalize=_present,
    )
    environment.filters |= {"url": _url, "quoted": _quoted, "lines": _lines}
    environment.filters |= {"said": partial(_said, language), "day": partial(_day, language)}
    environment.globals |= {"t": partial(_t, language), "days": partial(_days, language)}
    environment.globals |= {"by": pass_context(partial(_by, language)), "term": pass_context(partial(_term, language))}
    return environment


def _present(value: Any) -> Any:
    """Nothing is written where a value is null: a template says `if` where it may be."""
    if value is None:
        raise ValueError("a value that must be there is null")
    return value


# `other` is another language than the mail's, where a template asks for one.


def _t(language: str, zh: str, en: str) -> str:
    """Of two words of a template the one in the mail's language."""
    return en if language == "en" else zh


def _said(language: str, value: Any, other: str | None = None) -> str:
    return wording.said(value, other or language)


def _day(language: str, on: str, other: str | None = None) -> str:
    return wording.day(date.fromisoformat(on), other or language)


def _days(language: str, count: int, other: str | None = None) -> str:
    return wording.working_days(count, other or language)


def _term(language: str, context: Context, item: Mapping[str, Any], other: str | None = None) -> str:
    """How the term of an item stands on the day that the mail tells of, as in: 还有 3 个工作日."""
    due_on, told_on = date.fromisoformat(item["due_on"]), date.fromisoformat(context["told_on"])
    return wording.term(due_on, told_on, item["working_days"], other or language)


def _by(language: str, context: Context, item: Mapping[str, Any], other: str | None = None) -> str:
    """By when an item is due and how that stands, as in: 2024年6月15日（星期六）24:00 前，还有 3 个工作日."""
    language = other or language
    day, term = _day(language, item["due_on"]), _term(language, context, item)
    told = f"{day}24:00 前，{term}" if language == "zh" else f"{day}, 24:00; {term}"
    if item["provisional"]:
        told += (
            "（暂定：跨及尚未公布放假安排的年份）" if language == "zh" else " (provisional: not all days off are known)"
        )
    return told


def _url(value: str) -> str:
    """A link as it is. Raises ValueError unless it leads to the web: in a mail `javascript:` has no place."""
    if not re.fullmatch(r"https?://[^\s\"'<>\\]+", value):
        raise ValueError(f"{value!r} is no link")
    return value


def _lines(value: str) -> list[str]:
    """What a person wrote, line by line."""
    return wording.clean(value).strip().split("\n")


def _quoted(value: str) -> str:
    """What a person wrote, each line marked, so that nobody takes it for words of the mail itself."""
    return "\n".join(f"> {line}" for line in _lines(value))
