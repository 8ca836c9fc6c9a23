"""What every way out is handed, and what it can do."""

from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from notifications.rendering import Rendered


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One message to one recipient, ready to leave."""

    id: str
    message_id: str
    recipient: str
    recipient_name: str
    language: str
    rendered: Rendered


class Channel(Protocol):
    """A way out. It is used by one thread at a time and may keep a connection between two messages."""

    def side(self, recipient: str) -> str:
        """Who is at the other end: two recipients behind one server are away together."""

    def send(self, message: Outgoing, now: datetime) -> None:
        """Hand the message over; on return it is the other side's. Raises Permanent, or Temporary and its kinds."""

    def close(self) -> None:
        """Let go of what was kept. It may be used again afterwards."""
