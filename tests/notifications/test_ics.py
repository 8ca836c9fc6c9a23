"""Calendars against RFC 5545."""

from datetime import date, datetime

from hypothesis import given, settings
from hypothesis import strategies as st

from notifications.ics import Entry, calendar
from notifications.rendering import example, render

AT = datetime.fromisoformat("2024-06-12T09:00:00+08:00")


def entry(**told: object) -> Entry:
    known = {
        "uid": "filing-1@jinji.example",
        "sequence": 0,
        "on": date(2024, 6, 15),
        "title": "附件2",
        "revised_at": AT,
    }
    return Entry(**known | told)  # type: ignore[arg-type]


def unfolded(made: bytes) -> list[str]:
    return made.decode().replace("\r\n ", "").split("\r\n")


def value(made: bytes, name: str) -> str:
    """The value of a property, unescaped."""
    (line,) = (line for line in unfolded(made) if line.split(":")[0].split(";")[0] == name)
    text, result, escaped = line.partition(":")[2], "", False
    for character in text:
        if escaped:
            result += "\n" if character in "nN" else character
            escaped = False
        elif character == "\\":
            escaped = True
        else:
            result += character
    return result


def test_a_due_date_is_an_all_day_event() -> None:
    assert unfolded(calendar([entry(note="核对后提交", url="https://jinji.example/filings/1", sequence=2)])) == [
        "BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:-//jinji//dates//ZH", "CALSCALE:GREGORIAN", "METHOD:PUBLISH",
        "BEGIN:VEVENT", "UID:filing-1@jinji.example", "SEQUENCE:2", "DTSTAMP:20240612T010000Z",
        "LAST-MODIFIED:20240612T010000Z", "DTSTART;VALUE=DATE:20240615", "DTEND;VALUE=DATE:20240616", "SUMMARY:附件2",
        "DESCRIPTION:核对后提交", "URL:https://jinji.example/filings/1", "STATUS:CONFIRMED", "TRANSP:TRANSPARENT",
        "END:VEVENT", "END:VCALENDAR", "",
    ]  # fmt: skip


def test_a_date_that_is_gone_is_cancelled_under_the_same_uid() -> None:
    made = calendar([entry(cancelled=True, sequence=3)])
    assert value(made, "STATUS") == "CANCELLED"
    assert value(made, "UID") == value(calendar([entry()]), "UID")


def test_text_is_escaped() -> None:
    assert "SUMMARY:a\\, b\\; c\\\\ d\\ne" in unfolded(calendar([entry(title="a, b; c\\ d\r\ne")]))


@settings(deadline=None)
@given(st.text(alphabet=st.characters(exclude_categories=["Cc", "Cs"]), max_size=200))
def test_any_title_comes_back_whole_and_no_line_is_longer_than_75_octets(title: str) -> None:
    made = calendar([entry(title=title + "郑", note=title * 3 + "州")], name=title + "历")
    for line in made.split(b"\r\n"):
        assert len(line) <= 75
        line.decode()  # never cut within a character
    banned = dict.fromkeys([*range(0x202A, 0x202F), *range(0x2066, 0x206A)])
    shown = title.translate(banned).replace("\u2028", "\n").replace("\u2029", "\n")
    assert value(made, "SUMMARY") == shown + "郑"
    assert value(made, "DESCRIPTION") == shown * 3 + "州"


def test_a_mail_brings_its_dates_along() -> None:
    (attached,) = render("correction", "en", example("correction")).attachments
    assert (attached.name, attached.media_type) == ("dates.ics", "text/calendar")
    lines = unfolded(attached.content)
    assert [line for line in lines if line.startswith(("UID", "SEQUENCE", "DTSTART", "SUMMARY"))] == [
        "UID:request-031@jinji.example.org", "SEQUENCE:1", "DTSTART;VALUE=DATE:20250106", "SUMMARY:Answer a request",
        "UID:request-029@jinji.example.org", "SEQUENCE:2", "DTSTART;VALUE=DATE:20250103", "SUMMARY:Answer a request",
    ]  # fmt: skip
