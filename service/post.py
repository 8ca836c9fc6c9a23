"""The post: hands the outbox to its channels, in office hours of working days; a breach and a webhook at any hour."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from threading import Lock
from urllib.parse import urlsplit

from sqlalchemy import Connection

from notifications import outbox
from notifications.channels.choose import choose
from notifications.channels.outgoing import Channel
from notifications.channels.webhook import WebhookChannel, networks
from notifications.delivery import STALE_AFTER, Delivered, Hours, deliver
from notifications.outbox import Claimed
from service.casework.desk import Books
from service.casework.letters import Links
from service.casework.webhooks import secrets_of
from service.clock import Clock
from service.settings import Settings
from service.storage.db import Database

# These go at any hour: somebody is late already.
_URGENT = frozenset({"breach"})


@dataclass(frozen=True, slots=True)
class Post:
    """The channels of one process, the name under which it claims messages, and who may use both now.

    A channel keeps a line open and is no use to two at once: the ticker, and whoever moves a virtual clock.
    """

    name: str
    channels: Mapping[str, Channel]
    links: Links
    alone: Lock = field(default_factory=Lock)


def open_post(settings: Settings, db: Database, name: str) -> Post:
    """The channels that the settings say. Raises ChannelRefused."""
    channels: dict[str, Channel] = {
        str(outbox.Channel.EMAIL): choose(settings.mail, sender=settings.mail_from),
        str(outbox.Channel.WEBHOOK): WebhookChannel(secrets_of(db), allowed=networks(settings.webhook_networks)),
    }
    host = urlsplit(settings.base_url).hostname or "localhost"
    return Post(name, channels, Links(settings.base_url.rstrip("/"), host))


def run(post: Post, db: Database, clock: Clock, books: Books) -> Delivered:
    """Send what is due now; what failed for now is tried again later."""
    with db.reading() as tx:
        at = outbox.next_due_at(tx, STALE_AFTER)
        if at is None or at > clock.now(tx):
            return Delivered()
        hours = _office_hours(books, tx)
    with post.alone:
        return deliver(
            db.transaction,
            post.channels,
            clock.now,
            by=post.name,
            jitter=lambda: books.chance.fraction() * 2 - 1,
            hours=hours,
        )


def _office_hours(books: Books, tx: Connection) -> Hours:
    """When a message may leave: the hours are those of the programme with the newest year."""
    calendar = books.calendars.get(tx)
    programme = max((each.programme for each in books.programmes.newest(tx)), key=lambda each: each.year)

    def opens(message: Claimed, at: datetime) -> datetime:
        if message.channel != outbox.Channel.EMAIL or message.template in _URGENT:
            return at
        return programme.office_hours.open_from(calendar, at)

    return opens
