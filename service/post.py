"""The post: hands the outbox to its channels, in office hours of working days; a breach and a webhook at any hour."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection

from notifications import outbox
from notifications.channels.choose import choose
from notifications.channels.outgoing import Channel
from notifications.channels.webhook import WebhookChannel, networks
from notifications.delivery import STALE_AFTER, Delivered, Hours, deliver
from notifications.outbox import Claimed
from service.casework.desk import Books
from service.casework.links import Links, links_of
from service.casework.webhooks import secrets_of
from service.clock import Clock
from service.settings import Settings
from service.storage.db import Database


@dataclass(frozen=True, slots=True)
class Post:
    """The channels of one process, and the name under which it claims messages. One run at a time uses each of them: two
    would close each other's connections, and release each other's claims (`Ticks.turns` keeps them apart).
    """

    name: str
    channels: Mapping[str, Channel]
    links: Links


def open_post(settings: Settings, db: Database, name: str) -> Post:
    """The channels that the settings say. Raises ChannelRefused."""
    channels: dict[str, Channel] = {
        str(outbox.Channel.EMAIL): choose(settings.mail, sender=settings.mail_from),
        str(outbox.Channel.WEBHOOK): WebhookChannel(secrets_of(db), allowed=networks(settings.webhook_networks)),
    }
    return Post(name, channels, links_of(settings.base_url))


def run(
    post: Post, channel: outbox.Channel, db: Database, clock: Clock, books: Books, due_at: datetime | None = None
) -> Delivered:
    """Send what is due by a channel, now or as it was at `due_at`; what failed for now is tried again later."""
    with db.reading() as tx:
        at = outbox.next_due_at(tx, STALE_AFTER, channel)
        if at is None or at > (due_at or clock.now(tx)):
            return Delivered()
        hours = _office_hours(books, tx)
    return deliver(
        db.transaction, post.channels, clock.now, by=post.name, jitter=lambda: books.chance.fraction() * 2 - 1,
        only=channel, hours=hours, due_at=due_at,
    )  # fmt: skip


def _office_hours(books: Books, tx: Connection) -> Hours:
    """When a message may leave: in hours in which somebody's office is open. Each plan's own hours set when it is due."""
    calendar = books.calendars.get(tx)
    offices = [each.programme.office_hours for each in books.programmes.newest(tx)]

    def opens(message: Claimed, at: datetime) -> datetime:
        if message.channel != outbox.Channel.EMAIL or message.context.get("urgent"):
            return at
        return min(office.open_from(calendar, at) for office in offices)

    return opens
