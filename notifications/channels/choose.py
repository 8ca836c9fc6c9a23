"""From a setting to the channel that it means: `file:DIR`, `smtp://…`, `smtps://…`."""

from email.headerregistry import Address
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qsl, unquote, urlsplit

from notifications.channels.file import FileChannel
from notifications.channels.mail import address
from notifications.channels.outgoing import Channel
from notifications.channels.smtp import Security, Server, SmtpChannel
from notifications.errors import ChannelRefused

_FORMS = "file:DIR, smtp://user:password@host:587?starttls=1&from=jinji@host, or smtps://user:password@host:465"
_OPTIONS = ("starttls", "from", "name", "timeout", "ca")
_PORTS = {Security.NONE: 25, Security.STARTTLS: 587, Security.TLS: 465}


def choose(setting: str, *, sender: str = "jinji@localhost", sender_name: str = "jinji") -> Channel:
    """The channel for mail. `sender` and `sender_name` are the From of every mail, unless the setting says another.

    Options of smtp:// and smtps://: `from` and `name` (of the sender), `starttls` (1 or 0; unless given, 1 where there
    is a login and the server is another machine), `timeout` (seconds), `ca` (a PEM file). Raises ChannelRefused, whose
    message does not repeat the setting, as it may hold a password.
    """
    if setting.startswith("file:"):
        folder = setting.removeprefix("file:").removeprefix("//")
        if not folder:
            raise ChannelRefused(f"the setting of mail names no folder; it must be like {_FORMS}")
        return FileChannel(Path(folder), _sender(sender_name, sender))
    try:
        parts = urlsplit(setting)
        host, port = parts.hostname, parts.port
        options = dict(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query)))
    except ValueError:
        raise ChannelRefused(f"the setting of mail cannot be read; it must be like {_FORMS}") from None
    if parts.scheme not in ("smtp", "smtps") or not host or parts.path not in ("", "/") or parts.fragment:
        raise ChannelRefused(f"the setting of mail must be like {_FORMS}")
    unknown = sorted(set(options) - set(_OPTIONS))
    if unknown:
        raise ChannelRefused(f"the setting of mail has no option {', '.join(unknown)}; known: {', '.join(_OPTIONS)}")
    user = unquote(parts.username) if parts.username else None
    security = _security(parts.scheme, options.get("starttls"), has_login=user is not None, host=host)
    server = Server(
        host=host,
        port=port or _PORTS[security],
        security=security,
        user=user,
        password=unquote(parts.password) if parts.password else None,
        timeout=_seconds(options.get("timeout", "30")),
        authorities=options.get("ca"),
    )
    return SmtpChannel(server, _sender(options.get("name", sender_name), options.get("from", sender)))


def _security(scheme: str, starttls: str | None, *, has_login: bool, host: str) -> Security:
    if scheme == "smtps":
        if starttls is not None:
            raise ChannelRefused("the setting of mail: smtps:// is TLS from the start, starttls has no place there")
        return Security.TLS
    if starttls not in (None, "0", "1"):
        raise ChannelRefused("the setting of mail: starttls must be 1 or 0")
    # A password does not cross a network in the clear unless somebody says so.
    wanted = starttls == "1" or (starttls is None and has_login and not _is_this_machine(host))
    return Security.STARTTLS if wanted else Security.NONE


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _seconds(value: str) -> float:
    try:
        seconds = float(value)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds <= 300:
        raise ChannelRefused("the setting of mail: timeout must be a number of seconds, above 0 and up to 300")
    return seconds


def _sender(name: str, addr_spec: str) -> Address:
    try:
        return address(name, addr_spec)
    except ValueError as error:
        raise ChannelRefused(f"the sender of mails: {error}") from error
