"""Letters as they are built, written into a folder, and sent to a real SMTP server."""

import re
import smtplib
import socket
import ssl
from contextlib import closing
from datetime import timedelta
from email import message_from_bytes
from email.header import decode_header, make_header
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import default
from pathlib import Path

import pytest
import trustme
from hypothesis import example as for_example
from hypothesis import given, settings
from hypothesis import strategies as st

from notifications.channels.choose import choose
from notifications.channels.file import FileChannel
from notifications.channels.mail import address, compose
from notifications.channels.outgoing import Outgoing
from notifications.channels.smtp import Security, SmtpChannel
from notifications.errors import Away, Broken, ChannelRefused, Permanent, SendFailed, Temporary
from notifications.rendering import Rendered, example, render
from notifications.wording import one_line
from tests.notifications.conftest import NOW
from tests.notifications.sink import Sink

SENDER = Address("河南省绩效分级工作专班", "jinji", "jinji.example")
AUTHORITY = trustme.CA()


def letter(
    name: str = "李明", recipient: str = "li@zhengzhou.example", rendered: Rendered | None = None, number: int = 1
) -> Outgoing:
    rendered = rendered or render("reminder", "zh", example("reminder"))
    return Outgoing(f"0190-{number}", f"<0190-{number}@jinji.example>", recipient, name, "zh", rendered)


def parsed(octets: bytes) -> EmailMessage:
    return message_from_bytes(octets, policy=default)  # type: ignore[return-value]


def own_tls() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    AUTHORITY.issue_cert("127.0.0.1", "localhost", "hooks.example").configure_cert(context)
    return context


def test_a_letter_holds_text_html_and_dates() -> None:
    message = letter()
    made = parsed(compose(message, SENDER, NOW).as_bytes())
    assert made.get_content_type() == "multipart/mixed"
    body, html = made.get_body(("plain",)), made.get_body(("html",))
    assert body is not None
    assert html is not None
    assert body.get_content().replace("\r\n", "\n") == message.rendered.text
    assert html.get_content().replace("\r\n", "\n") == message.rendered.html
    (attached,) = made.iter_attachments()
    assert (attached.get_content_type(), attached.get_filename()) == ("text/calendar", "dates.ics")
    assert (attached.get_param("method"), attached.get_content_charset()) == ("PUBLISH", "utf-8")
    assert attached.get_payload(decode=True) == message.rendered.attachments[0].content
    assert made["Subject"] == message.rendered.subject
    assert made["Message-ID"] == message.message_id
    assert made["Date"].datetime == NOW
    assert made["From"].addresses[0].display_name == "河南省绩效分级工作专班"
    assert (made["To"].addresses[0].display_name, made["To"].addresses[0].addr_spec) == ("李明", message.recipient)
    assert made["Auto-Submitted"] == "auto-generated"


def test_a_repeat_is_the_same_but_for_its_date() -> None:
    first, again = (compose(letter(), SENDER, NOW + timedelta(hours=n)).as_bytes() for n in (0, 1))
    assert first != again
    assert re.sub(rb"Date: .*", b"", first) == re.sub(rb"Date: .*", b"", again)


def test_a_letter_is_ascii_with_short_lines() -> None:
    long = Rendered("很长的主题" * 30, "很长的一行" * 500 + "\n", "<p>" + "很长" * 900 + "</p>\n")
    for eight_bit in (False, True):
        octets = compose(letter(rendered=long), SENDER, NOW, eight_bit=eight_bit).as_bytes()
        assert octets.isascii()
        assert max(map(len, octets.split(b"\r\n"))) <= 998
        body = parsed(octets).get_body(("plain",))
        assert body is not None
        assert body.get_content().replace("\r\n", "\n") == long.text
        assert parsed(octets)["Subject"] == long.subject


NAMES = st.text(st.characters(exclude_categories=["Cs"]), max_size=80)


@settings(deadline=None)
@given(NAMES, NAMES)
@for_example("李明\r\nBcc: everybody@x.example", "到期\r\nBcc: everybody@x.example\r\n\r\nbody")
@for_example("\u2028李\x0b明\x85", "\x1c")
@for_example('"李, 明" <x@y.example>', "=?utf-8?b?DQpCY2M6IHg=?=")
@for_example("李明" * 40, "郑州恒远铸造有限公司、" * 20)
def test_no_name_and_no_subject_adds_a_header(name: str, subject: str) -> None:
    message = letter(name, rendered=Rendered(subject, "正文\n", "<p>正文</p>\n"))
    octets = compose(message, SENDER, NOW).as_bytes()
    head = octets.split(b"\r\n\r\n")[0].decode("ascii")
    fields = re.findall(r"^([A-Za-z-]+):", head, re.MULTILINE)
    known = ["Date", "From", "To", "Subject", "Message-ID", "Auto-Submitted", "Content-Language", "MIME-Version"]
    assert sorted(fields) == sorted([*known, "Content-Type"])
    assert "\n" not in head.replace("\r\n", "")
    made = parsed(octets)
    assert [each.addr_spec for each in made["To"].addresses] == [message.recipient]
    assert len(made["From"].addresses) == 1


@settings(deadline=None)
@given(st.text(st.sampled_from("郑州恒远铸造有限公司李明王芳赵强 ()（）·-abc'"), min_size=1, max_size=60))
def test_a_chinese_name_comes_back_whole(name: str) -> None:
    octets = compose(letter(name), SENDER, NOW).as_bytes()
    (field,) = re.findall(r"^To: (.*?)<li@zhengzhou\.example>\r\n", octets.decode(), re.MULTILINE | re.DOTALL)
    # Read word by word: the newer parser puts a blank between two encoded words of a name, which RFC 2047 forbids.
    read = str(make_header(decode_header(field.strip())))
    shown = one_line(name)
    assert read == (f'"{shown}"' if shown and shown.isascii() else shown)
    assert max(map(len, octets.split(b"\r\n"))) <= 78


@pytest.mark.parametrize(
    "recipient",
    [
        "", "nobody", "@x.example", "a@", "a@b.example, c@d.example", "a@b.example;c@d.example", "a@b.example\nBcc: x@y",
        "a@b.example\r", "a@b@c.example", "<a@b.example>", "a b@c.example", "a@b..example", "\x00a@b.example",
        ", ".join(f"r{number}@x.example" for number in range(500)), '"a b"@c.example', "a@b.example\u2028",
    ],
)  # fmt: skip
def test_what_is_no_single_address_is_refused_for_good(recipient: str) -> None:
    with pytest.raises(Permanent, match="recipient refused"):
        compose(letter(recipient=recipient), SENDER, NOW)


def test_a_chinese_domain_is_written_in_ascii() -> None:
    ascii_form = "环境".encode("idna").decode()
    assert ascii_form.startswith("xn--")
    assert address("李明", "li@环境.example").addr_spec == f"li@{ascii_form}.example"


def test_in_a_folder_a_mail_is_one_readable_file(tmp_path: Path) -> None:
    channel = FileChannel(tmp_path / "a" / "mail", SENDER)
    channel.send(letter(), NOW)
    channel.send(letter(), NOW + timedelta(hours=1))
    (file,) = (tmp_path / "a" / "mail").iterdir()
    assert file.name == "0190-1.eml"
    assert "还有 2 个工作日" in file.read_text(encoding="utf-8")
    assert parsed(file.read_bytes())["Date"].datetime == NOW + timedelta(hours=1)


def test_an_id_never_leaves_the_folder(tmp_path: Path) -> None:
    message = letter()
    strange = Outgoing("../../x", message.message_id, message.recipient, "", "zh", message.rendered)
    FileChannel(tmp_path / "mail", SENDER).send(strange, NOW)
    assert [file.name for file in (tmp_path / "mail").iterdir()] == [".._.._x.eml"]


def test_a_folder_that_cannot_be_written_is_away(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("a file")
    with pytest.raises(Away):
        FileChannel(tmp_path / "mail", SENDER).send(letter(), NOW)


def test_a_real_server_gets_the_letter_with_one_connection_for_many() -> None:
    with Sink() as sink:
        channel = choose(f"smtp://127.0.0.1:{sink.port}", sender="jinji@jinji.example", sender_name="工作专班")
        for number in range(3):
            channel.send(letter(number=number), NOW)
        channel.close()
    assert sink.envelopes == [("jinji@jinji.example", ["li@zhengzhou.example"])] * 3
    assert len(sink.sessions) == 1
    assert [mail["To"].addresses[0].display_name for mail in sink.mails()] == ["李明"] * 3
    body = sink.mails()[0].get_body(("plain",))
    assert body is not None
    assert body.get_content().replace("\r\n", "\n") == letter().rendered.text


@pytest.mark.parametrize(
    "step, reply, kind",
    [
        ("RCPT", "550 no such user", Permanent),
        ("RCPT", "450 greylisted", Temporary),
        ("RCPT", "421 closing", Away),
        ("DATA", "554 looks like spam", Permanent),
        ("DATA", "451 try later", Temporary),
        ("MAIL", "550 you may not send as that", Away),
        ("MAIL", "552 too large", Permanent),
        ("MAIL", "451 later", Temporary),
        ("DATA", "hang up", Broken),
    ],
)
def test_a_refusal_is_sorted_by_its_code_and_its_step(step: str, reply: str, kind: type[SendFailed]) -> None:
    with Sink(replies={step: reply}) as sink:
        channel = choose(f"smtp://127.0.0.1:{sink.port}?timeout=5")
        with pytest.raises(SendFailed) as failed:
            channel.send(letter(), NOW)
        assert type(failed.value) is kind
        if reply != "hang up":
            assert reply in str(failed.value)
        assert getattr(failed.value, "unsure", False) is (reply == "hang up")
        sink.replies = {}
        channel.send(letter(), NOW)  # the next one goes through
        channel.close()
    assert len(sink.letters) == 1


def test_one_refused_recipient_does_not_end_the_connection() -> None:
    with Sink(replies={"b@x.example": "550 unknown"}) as sink:
        channel = choose(f"smtp://127.0.0.1:{sink.port}")
        channel.send(letter(recipient="a@x.example"), NOW)
        with pytest.raises(Permanent, match=r"recipient b@x\.example refused: 550 unknown"):
            channel.send(letter(recipient="b@x.example"), NOW)
        channel.send(letter(recipient="c@x.example"), NOW)
        channel.close()
    assert [to for _, (to,) in sink.envelopes] == ["a@x.example", "c@x.example"]
    assert len(sink.sessions) == 1


def test_a_connection_that_the_server_ended_is_opened_anew() -> None:
    with Sink() as first:
        port = first.port
        channel = choose(f"smtp://127.0.0.1:{port}")
        channel.send(letter(), NOW)
    with Sink(port=port) as second:
        channel.send(letter(), NOW)
        channel.close()
    assert (len(first.letters), len(second.letters)) == (1, 1)


def test_a_server_that_is_not_there_is_away() -> None:
    with Sink() as sink:
        port = sink.port
    with pytest.raises(Away):
        choose(f"smtp://127.0.0.1:{port}").send(letter(), NOW)


def test_a_server_that_says_nothing_is_away() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        port = silent.getsockname()[1]
        with pytest.raises(Away):
            choose(f"smtp://127.0.0.1:{port}?timeout=0.2").send(letter(), NOW)


def test_a_login_is_made() -> None:
    with Sink(login=("jinji@x", "se:cret/")) as sink:
        channel = choose(f"smtp://jinji%40x:se%3Acret%2F@127.0.0.1:{sink.port}")
        channel.send(letter(), NOW)
        channel.close()
    assert sink.logins == [b"jinji@x"]
    assert len(sink.letters) == 1


@pytest.mark.parametrize("password", ["other-word", "%E5%8F%A6"])  # smtplib speaks ASCII only at the login
def test_a_refused_login_makes_everything_wait_and_is_told_without_the_password(password: str) -> None:
    with Sink(login=("jinji", "secret")) as sink, pytest.raises(Away) as failed:
        choose(f"smtp://jinji:{password}@127.0.0.1:{sink.port}?timeout=5").send(letter(), NOW)
    assert "other-word" not in str(failed.value)
    assert sink.letters == []


@pytest.mark.parametrize("way", ["starttls", "tls"])
def test_tls_protects_login_and_letter(tmp_path: Path, way: str) -> None:
    with Sink(login=("jinji", "secret"), **{way: own_tls()}) as sink:  # type: ignore[arg-type]
        scheme, starttls = ("smtps", "") if way == "tls" else ("smtp", "starttls=1&")
        address = f"{scheme}://jinji:secret@127.0.0.1:{sink.port}?{starttls}"
        AUTHORITY.cert_pem.write_to_path(str(tmp_path / "authority.pem"))
        trusting = choose(f"{address}ca={tmp_path / 'authority.pem'}")
        trusting.send(letter(), NOW)
        trusting.close()
        with pytest.raises(Away, match="CERTIFICATE_VERIFY_FAILED"):
            choose(f"{address}timeout=5").send(letter(), NOW)
    assert sink.secured == [True]


def test_starttls_never_falls_back_to_plain() -> None:
    with Sink() as sink, pytest.raises(Away, match="STARTTLS"):
        choose(f"smtp://127.0.0.1:{sink.port}?starttls=1").send(letter(), NOW)
    assert sink.letters == []


def test_a_chinese_local_part_goes_where_it_is_understood() -> None:
    message = letter(recipient="李明@zhengzhou.example")
    with Sink(smtputf8=True) as sink:
        channel = choose(f"smtp://127.0.0.1:{sink.port}")
        channel.send(message, NOW)
        channel.close()
    assert sink.envelopes[0][1] == ["李明@zhengzhou.example"]
    with (
        Sink() as plain,
        closing(choose(f"smtp://127.0.0.1:{plain.port}")) as channel,
        pytest.raises(Permanent, match="SMTPUTF8"),
    ):
        channel.send(message, NOW)


def test_what_goes_wrong_at_the_farewell_concerns_no_message(monkeypatch: pytest.MonkeyPatch) -> None:
    def lost(self: smtplib.SMTP) -> None:
        raise ConnectionResetError

    with Sink() as sink:
        channel = choose(f"smtp://127.0.0.1:{sink.port}")
        channel.send(letter(), NOW)
        monkeypatch.setattr(smtplib.SMTP, "quit", lost)
        channel.close()
    assert len(sink.letters) == 1


@pytest.mark.parametrize(
    "setting, expected",
    [
        ("smtp://mail.example", ("mail.example", 25, Security.NONE, None, None)),
        ("smtp://mail.example?starttls=1", ("mail.example", 587, Security.STARTTLS, None, None)),
        ("smtp://u:p@mail.example", ("mail.example", 587, Security.STARTTLS, "u", "p")),
        ("smtp://u:p@mail.example?starttls=0", ("mail.example", 25, Security.NONE, "u", "p")),
        ("smtp://u:p@localhost:2525", ("localhost", 2525, Security.NONE, "u", "p")),
        ("smtp://u:p@[::1]:2525", ("::1", 2525, Security.NONE, "u", "p")),
        ("smtps://u%40x:p%2Fq@mail.example", ("mail.example", 465, Security.TLS, "u@x", "p/q")),
    ],
)
def test_a_setting_names_the_server(setting: str, expected: tuple[object, ...]) -> None:
    channel = choose(setting)
    assert isinstance(channel, SmtpChannel)
    server = channel.server
    assert (server.host, server.port, server.security, server.user, server.password) == expected


def test_a_setting_may_name_the_sender() -> None:
    channel = choose("smtp://mail.example?from=jinji%40hn.example&name=%E4%B8%93%E7%8F%AD")
    assert isinstance(channel, SmtpChannel)
    assert channel.sender == Address("专班", "jinji", "hn.example")


@pytest.mark.parametrize("setting", ["file:var/mail", "file:/srv/mail", "file:///srv/mail"])
def test_a_setting_names_the_folder(setting: str) -> None:
    channel = choose(setting)
    assert isinstance(channel, FileChannel)
    assert channel.folder == Path(setting.removeprefix("file:").replace("///", "/"))


@pytest.mark.parametrize(
    "setting",
    [
        "", "file:", "mail.example", "http://mail.example", "smtp://", "smtp://:secret@", "smtp://u:secret@h:port",
        "smtp://u:secret@h/path", "smtp://h?starttls=yes", "smtps://h?starttls=1", "smtp://h?timeout=0",
        "smtp://h?timeout=soon", "smtp://h?secret=1", "smtp://h?from=nobody", "smtp://u:secret@h:99999", "smtp://[h",
    ],
)  # fmt: skip
def test_a_setting_that_means_no_channel_is_refused_without_repeating_it(setting: str) -> None:
    with pytest.raises(ChannelRefused) as refused:
        choose(setting)
    assert "secret" not in str(refused.value).replace("no option secret", "")
