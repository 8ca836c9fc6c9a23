"""Every template from its example, in both languages, and what happens with contexts that are not as they should be."""

import copy
import json
import re
from collections.abc import Iterator
from datetime import date, datetime
from html.parser import HTMLParser
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from notifications import rendering, wording
from notifications.errors import RenderingFailed

EVERY = [(name, language) for name in rendering.names() for language in wording.LANGUAGES]
# Facts of an example that are not for the reader's eye: ids, ranks, what decides of words and what the calendar holds.
UNSEEN = {"id", "stage", "outcome", "calendar", "provisional", "hard", "breached", "working_days"}


class Seen(HTMLParser):
    """What a reader sees of a page, and what it would load or link to."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.words: list[str] = []
        self.links: list[str] = []
        self.tags: set[str] = set()
        self._in_head = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self._in_head = tag == "head" or (self._in_head and tag != "body")
        self.links += [value or "" for name, value in attrs if name in ("href", "src", "background")]

    def handle_data(self, data: str) -> None:
        if not self._in_head:
            self.words.append(data)

    @property
    def text(self) -> str:
        return wording.one_line(" ".join(self.words))


def leaves(value: Any, language: str) -> Iterator[str]:
    """Every fact of a context as a mail in that language shows it."""
    if isinstance(value, dict) and set(value) == {"zh", "en"}:
        yield value[language]
    elif isinstance(value, dict):
        for name, each in value.items():
            if name not in UNSEEN:
                yield from leaves(each, language)
    elif isinstance(value, list):
        for each in value:
            yield from leaves(each, language)
    elif isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value):
        yield wording.day(date.fromisoformat(value), language)
    elif isinstance(value, str):
        yield from value.split("\n")
    elif value is not None:
        yield str(value)


def test_the_templates_of_the_service_are_there() -> None:
    of_requests = {"request_received", "request_answered", "breach"}
    wanted = {"reminder", "digest", "correction", "result", "confirm_address"} | of_requests
    assert set(rendering.names()) == wanted


@pytest.mark.parametrize("name, language", EVERY)
def test_text_and_html_say_every_fact_of_the_example(name: str, language: str) -> None:
    example = rendering.example(name)
    made = rendering.render(name, language, example)
    assert made.html is not None
    seen, text = Seen(made.html), wording.one_line(made.text)
    for fact in leaves({part: said for part, said in example.items() if part != "tag"}, language):  # of the subject
        assert fact in text, fact
        assert fact in seen.text, fact
    numbers = [sorted(re.findall(r"\d+", words)) for words in (text, seen.text)]
    assert numbers[0] == numbers[1]


@pytest.mark.parametrize("name, language", EVERY)
def test_html_loads_nothing_from_elsewhere_and_links_where_the_text_does(name: str, language: str) -> None:
    made = rendering.render(name, language, rendering.example(name))
    seen = Seen(made.html or "")
    assert seen.tags <= {"html", "head", "meta", "title", "body", "table", "tr", "td", "p", "a", "br"}
    assert "url(" not in (made.html or "")
    assert seen.links == re.findall(r"https?://\S+", made.text.partition("In English")[0])


@pytest.mark.parametrize("name, language", EVERY)
def test_a_mail_is_in_the_language_of_its_reader_and_a_chinese_one_has_one_line_in_english(
    name: str, language: str
) -> None:
    made = rendering.render(name, language, rendering.example(name))
    english = [line for line in made.text.splitlines() if line.startswith("In English: ")]
    assert len(english) == (1 if language == "zh" else 0)
    assert re.search(r"[\u4e00-\u9fff]", english[0] if english else "") is None
    words = "截止|链接|星期" if language == "en" else r"\bLink\b|\bWhy\b|\bNext: "
    without = "\n".join(line for line in made.text.splitlines() if line not in english)
    assert re.search(words, made.subject + without) is None
    assert not any(ord(character) > 0xFFFF for character in made.subject + made.text)  # no emoji


@pytest.mark.parametrize("name, language", EVERY)
def test_a_template_needs_everything_that_its_example_declares(name: str, language: str) -> None:
    example = rendering.example(name)
    for key in set(example) - {"calendar"}:
        lacking = {other: value for other, value in example.items() if other != key}
        with pytest.raises(RenderingFailed) as refused:
            rendering.render(name, language, lacking)
        assert refused.value.template == name


@pytest.mark.parametrize("name", rendering.names())
def test_null_where_a_fact_belongs_fails_and_is_never_printed(name: str) -> None:
    for key in set(rendering.example(name)) - {"calendar", "until", "more", "findings", "reason", "mistake"}:
        with pytest.raises(RenderingFailed):
            rendering.render(name, "zh", {**rendering.example(name), key: None})


@pytest.mark.parametrize("stage", ["ahead", "due", "overdue", "escalated"])
@pytest.mark.parametrize("language", wording.LANGUAGES)
def test_a_reminder_is_worded_for_every_stage(stage: str, language: str) -> None:
    context = rendering.example("reminder")
    context["item"]["stage"] = stage
    made = rendering.render("reminder", language, context)
    for other in {"ahead", "due", "overdue", "escalated"} - {stage}:
        context["item"]["stage"] = other
        assert rendering.render("reminder", language, context).text != made.text


def test_a_stage_that_nobody_knows_fails() -> None:
    context = rendering.example("reminder")
    context["item"]["stage"] = "soon"
    with pytest.raises(RenderingFailed):
        rendering.render("reminder", "zh", context)


def test_a_result_without_findings_and_without_a_term_asks_for_nothing() -> None:
    said = {"zh": "贵单位已通过验收。", "en": "Your site has passed its acceptance."}
    context = rendering.example("result") | {"headline": said, "findings": [], "until": None, "calendar": None}
    for language in wording.LANGUAGES:
        made = rendering.render("result", language, context)
        assert made.attachments == ()
        assert not re.search("问题|截止|Finding|24:00", made.text)


@pytest.mark.parametrize("name, language", [("nothing", "zh"), ("../reminder", "zh"), ("reminder", "fr")])
def test_what_does_not_exist_is_refused_by_name(name: str, language: str) -> None:
    with pytest.raises(RenderingFailed) as refused:
        rendering.render(name, language, {})
    assert (refused.value.template, refused.value.language) == (name, language)


@pytest.mark.parametrize(
    "change",
    [
        {"due_on": "soon"},
        {"due_on": 5},
        {"link": "javascript:alert(1)"},
        {"link": "https://a.example/\nBcc: x"},
        {"working_days": "many"},
        {"working_days": -1},
        {"clause": "P2"},
        {"title": {"zh": "只有中文"}},
    ],
    ids=str,
)
def test_a_context_that_is_not_as_it_should_be_fails_with_the_name_of_the_template(change: dict[str, Any]) -> None:
    context = rendering.example("reminder")
    context["item"] |= change
    with pytest.raises(RenderingFailed, match="reminder"):
        rendering.render("reminder", "en", context)


@settings(deadline=None)
@given(st.text(), st.sampled_from(wording.LANGUAGES))
def test_no_name_breaks_a_subject_or_becomes_markup(name: str, language: str) -> None:
    context = copy.deepcopy(rendering.example("request_received"))
    context["recipient_name"] = name
    context["request"]["enterprise"] = name + "<b>\n郑州"
    context["request"]["text"] = name + "<script>"
    made = rendering.render("request_received", language, context)
    assert made.subject.isprintable() or not re.search(r"[\x00-\x1f\x7f-\x9f\u2028\u2029]", made.subject)
    assert "\n" not in made.subject
    assert len(made.subject) <= 180
    assert made.html is not None
    assert "<b>" not in made.html
    assert "<script>" not in made.html
    for part in (made.subject, made.text, made.html):
        part.encode()
        assert "\x00" not in part


def test_what_a_person_wrote_cannot_pass_for_words_of_the_mail() -> None:
    context = rendering.example("request_received")
    context["request"]["text"] = "谢谢\r\n\r\n链接：https://evil.example"
    lines = rendering.render("request_received", "zh", context).text.splitlines()
    assert "> 链接：https://evil.example" in lines
    assert "链接：https://evil.example" not in lines


def test_the_body_of_a_webhook_is_the_event_with_its_context() -> None:
    at = datetime.fromisoformat("2024-06-12T01:00:00+00:00")
    made = rendering.event_body("case.accept", "0190", at, {"enterprise": "郑州"})
    assert json.loads(made.text) == {
        "type": "case.accept",
        "id": "0190",
        "timestamp": "2024-06-12T01:00:00+00:00",
        "data": {"enterprise": "郑州"},
    }
    assert made.html is None
