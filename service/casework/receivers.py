"""Who is told of events by webhook: what every process knows without asking, as long as nothing has changed."""

import threading
from dataclasses import dataclass

from pydantic_core import from_json
from sqlalchemy import Connection, select

from service.storage import stamps
from service.storage.tables import Webhook, table

_WEBHOOKS = table(Webhook)
_REVISION = "webhooks_revision"
# Changes whenever a webhook is made or removed; a column, for statements that read it beside something else.
REVISION = stamps.named(_REVISION).label(_REVISION)


@dataclass(frozen=True, slots=True)
class Receiver:
    """A webhook that stands: whose (None: the province's, of all units), where, and of which events it is told."""

    id: str
    unit: str | None
    url: str
    events: frozenset[str]


class Receivers:
    """The webhooks that stand: read anew when one was made or removed, by whichever process."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._revision = ""
        self._standing: tuple[Receiver, ...] = ()

    def get(self, tx: Connection) -> tuple[Receiver, ...]:
        """Those that this transaction sees."""
        return self.of(tx, tx.execute(select(REVISION)).scalar())

    def of(self, tx: Connection, revision: str | None) -> tuple[Receiver, ...]:
        """Those of a revision that this transaction has read."""
        revision = revision or ""
        with self._lock:
            if revision != self._revision:
                rows = tx.execute(select(_WEBHOOKS).where(_WEBHOOKS.c.removed_at.is_(None)).order_by(_WEBHOOKS.c.id))
                self._standing = tuple(
                    Receiver(row.id, row.unit, row.url, frozenset(from_json(row.events))) for row in rows
                )
                self._revision = revision
            return self._standing


def changed(tx: Connection, head: str) -> None:
    """Have every process read them anew; `head` is the entry that says what has changed."""
    stamps.put(tx, _REVISION, head)
