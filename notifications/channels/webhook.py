"""Webhooks, signed as the Standard Webhooks specification says, over httpx.

The address of the receiver is looked up once, judged, and connected to as it was judged, so that a name which answers
differently the second time gains nothing. Redirects are not followed.
"""

import asyncio
import hmac
import socket
import ssl
from base64 import b64decode, b64encode
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from hashlib import sha256
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from queue import Empty, SimpleQueue
from threading import Thread

import httpx

from notifications.channels.outgoing import Outgoing
from notifications.errors import Away, Broken, ChannelRefused, Permanent, SendFailed, Temporary

IpAddress = IPv4Address | IPv6Address
IpNetwork = IPv4Network | IPv6Network
Resolve = Callable[[str, int], Sequence[str]]

_PREFIX = "whsec_"
_KEY_OCTETS = range(24, 65)  # as the specification says
_COME_AGAIN = frozenset({408, 425, 429})
# What is given out of IPv6 for the open internet, and what in it carries an IPv4 address to somebody who unpacks it (6to4,
# Teredo) or is for documentation (RFC 9637).
_GIVEN_OUT = ip_network("2000::/3")
_CARRIERS = tuple(ip_network(net) for net in ("2002::/16", "2001::/32", "3fff::/20"))
_MOST_ADDRESSES = 4
# Given to protocols and not to hosts (RFC 6890), two of them as global.
_FOR_PROTOCOLS = ip_network("192.0.0.0/24")


def sign(secret: str, id: str, timestamp: int, body: bytes) -> str:  # noqa: A002 the word of the specification
    """One signature of `webhook-signature`, from a secret `whsec_` and base64. Raises ValueError for what is none."""
    if not secret.startswith(_PREFIX):
        raise ValueError("a secret of a webhook begins with whsec_")
    key = b64decode(secret.removeprefix(_PREFIX), validate=True)
    if len(key) not in _KEY_OCTETS:
        raise ValueError("a secret of a webhook holds 24 to 64 octets")
    made = hmac.new(key, f"{id}.{timestamp}.".encode() + body, sha256).digest()
    return f"v1,{b64encode(made).decode()}"


def networks(setting: str) -> tuple[IpNetwork, ...]:
    """The networks of a setting such as `10.0.0.0/8, fd00::/8`. Raises ChannelRefused."""
    try:
        return tuple(ip_network(part.strip()) for part in setting.split(",") if part.strip())
    except ValueError as error:
        raise ChannelRefused(f"the networks that webhooks may reach: {error}") from error


def is_public(address: IpAddress) -> bool:
    """Whether an address belongs to the open internet: not private, not this machine, not a link's, not a group's."""
    if isinstance(address, IPv6Address):
        if address.ipv4_mapped is not None:
            return is_public(address.ipv4_mapped)
        if address not in _GIVEN_OUT or any(address in carrier for carrier in _CARRIERS):
            return False
    return address.is_global and not address.is_multicast and address not in _FOR_PROTOCOLS


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name, each once, in the order of the resolver. Raises OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, proto=socket.IPPROTO_TCP)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


class WebhookChannel:
    """Posts the text of a message to its recipient, a URL."""

    def __init__(
        self,
        secrets_of: Callable[[Outgoing], Sequence[str]],
        *,
        allowed: Sequence[IpNetwork] = (),
        timeout: float = 10.0,
        authorities: str | None = None,
        resolve: Resolve = resolve,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        """`secrets_of` gives the secrets of a message's receiver, several while one takes the place of another.

        `allowed` are the networks that may be reached besides the open internet; only there may it be http://.
        `timeout` is in seconds, for all of one attempt. `authorities` is a PEM file, for receivers with certificates of one's own. `resolve` and `transport` are for tests.
        """
        self._secrets_of = secrets_of
        self._allowed = tuple(allowed)
        self._timeout = timeout
        self._resolve = resolve
        self._transport = transport
        self._authorities = authorities
        self._tls: ssl.SSLContext | None = None

    def side(self, recipient: str) -> str:
        """The receiver's host and port."""
        return httpx.URL(recipient).netloc.decode("ascii") if _is_url(recipient) else recipient

    def send(self, message: Outgoing, now: datetime) -> None:
        """Post it. 2xx is taken; 4xx is never (but 408, 425, 429); all else may be taken later."""
        url = _checked(message.recipient)
        body = message.rendered.text.encode()
        timestamp = int(now.timestamp())
        try:
            signatures = [sign(secret, message.id, timestamp, body) for secret in self._secrets_of(message)]
        except ValueError as error:
            raise Permanent(f"the secret cannot be used: {error}") from error
        if not signatures:
            raise Permanent("the receiver has no secret: its webhook was removed")
        headers = {
            "Host": url.netloc.decode("ascii"),
            "Content-Type": "application/json",
            "User-Agent": "jinji",
            "webhook-id": message.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": " ".join(signatures),
        }
        failure: SendFailed = Away(f"{url.host} has no address")
        for address in self._addresses(url)[:_MOST_ADDRESSES]:
            try:
                self._post(url, address, headers, body, now)
            except Away as error:  # nothing was sent yet, so the next address may be tried
                failure = error
            else:
                return
        raise failure

    def close(self) -> None:
        """No connection is kept: asked for by its address, one made for another name there would be taken again, whose
        certificate was checked against that name.
        """

    def _addresses(self, url: httpx.URL) -> list[IpAddress]:
        port = url.port or (443 if url.scheme == "https" else 80)
        try:
            found = [ip_address(text.partition("%")[0]) for text in self._resolved(url.host, port)]
        except (OSError, UnicodeError) as error:
            raise Away(f"the name {url.host} is not known: {error}") from error
        for address in found:
            allowed = any(address in network for network in self._allowed)
            if not (allowed or is_public(address)):
                raise Permanent(f"{url.host} is in a network that webhooks may not reach")
            if not allowed and url.scheme != "https":
                raise Permanent("on the open internet a webhook must be https://")
        return found

    def _resolved(self, host: str, port: int) -> Sequence[str]:
        """What the resolver says, which has no bound of its own. Raises OSError, Away."""
        said: SimpleQueue[Sequence[str] | OSError | UnicodeError] = SimpleQueue()

        def look() -> None:
            try:
                said.put(self._resolve(host, port))
            except (OSError, UnicodeError) as fault:
                said.put(fault)

        Thread(target=look, daemon=True).start()
        try:
            found = said.get(timeout=self._timeout)
        except Empty:
            raise Away(f"the name {host} was not found within {self._timeout:g} s") from None
        if isinstance(found, OSError | UnicodeError):
            raise found
        return found

    def _post(self, url: httpx.URL, address: IpAddress, headers: dict[str, str], body: bytes, now: datetime) -> None:
        """Post to one address. The certificate is checked against the name that was asked for, not the address."""
        try:
            response = asyncio.run(self._exchange(url, address, headers, body))
        except TimeoutError as error:
            raise Broken(f"{url.host} took longer than {self._timeout:g} s") from error
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise Away(f"{url.host} ({address}) cannot be reached: {error}") from error
        except (httpx.TransportError, httpx.InvalidURL) as error:
            raise Broken(f"the connection to {url.host} broke: {type(error).__name__} {error}") from error
        _judge(response, now)

    async def _exchange(
        self, url: httpx.URL, address: IpAddress, headers: dict[str, str], body: bytes
    ) -> httpx.Response:
        """The answer without its body, which nobody needs and which may have no end. Raises TimeoutError.

        A receiver that sends an octet now and then outlives any bound on a single step, hence the bound on the whole.
        """
        # trust_env: neither proxies nor certificates come from the environment, which is not ours to read.
        if self._tls is None:
            self._tls = (
                httpx.create_ssl_context(trust_env=False)
                if self._authorities is None
                else (ssl.create_default_context(cafile=self._authorities))
            )
        async with (
            asyncio.timeout(self._timeout),
            httpx.AsyncClient(
                transport=self._transport,
                verify=self._tls,
                timeout=self._timeout,
                follow_redirects=False,
                trust_env=False,
            ) as client,
        ):
            request = client.build_request(
                "POST",
                url.copy_with(host=str(address)),
                headers=headers,
                content=body,
                extensions={"sni_hostname": url.host} if url.scheme == "https" else {},
            )
            response = await client.send(request, stream=True)
            await response.aclose()
            return response


def _is_url(text: str) -> bool:
    try:
        return bool(httpx.URL(text).host)
    except (httpx.InvalidURL, TypeError):
        return False


def _checked(recipient: str) -> httpx.URL:
    if not _is_url(recipient):
        raise Permanent("the receiver's address is no URL")
    url = httpx.URL(recipient)
    if url.scheme not in ("http", "https"):
        raise Permanent("the receiver's address must be https://")
    if url.port is not None and not 0 < url.port < 65536:
        raise Permanent("the receiver's address has a port that does not exist")
    if url.userinfo:
        raise Permanent("the receiver's address must hold no user and no password")
    return url


def _judge(response: httpx.Response, now: datetime) -> None:
    status = response.status_code
    if response.is_success:
        return
    told = f"the receiver answered {status}"
    if response.is_client_error and status not in _COME_AGAIN:
        raise Permanent(told)
    raise Temporary(told, retry_after=_wish(response.headers.get("retry-after"), now))


def _wish(value: str | None, now: datetime) -> timedelta | None:
    """When a server wants us back (RFC 9110 10.2.3): seconds, or an instant."""
    if value is None:
        return None
    if value.isascii() and value.isdecimal():
        return timedelta(seconds=min(int(value), 10**6))
    try:
        at = parsedate_to_datetime(value)
    except ValueError:
        return None
    return None if at.tzinfo is None else max(at - now, timedelta(0))
