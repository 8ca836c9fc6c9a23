"""What can go wrong with a message, as facts.

NotificationError
├── ChannelRefused      a setting from which no channel can be made
├── RenderingFailed     a template that gives no message from its context
└── SendFailed          the channel did not take the message
    ├── Permanent       it never will: a refused recipient, an address that is none
    └── Temporary       it may take it later
        ├── Away        nothing gets through to that side, so nothing else is tried there in this run
        └── Broken      the line broke in the middle; `unsure` where the message may have arrived all the same
"""

from datetime import timedelta


class NotificationError(Exception):
    """Anything that this package refuses or that fails in it."""


class ChannelRefused(NotificationError):
    """A setting from which no channel can be made. The message never repeats a password."""


class RenderingFailed(NotificationError):
    """A template that gives no message from its context."""

    def __init__(self, template: str, language: str, what: str) -> None:
        self.template = template
        self.language = language
        self.what = what
        super().__init__(f"template {template!r} in {language!r}: {what}")


class SendFailed(NotificationError):
    """The channel did not take the message."""


class Permanent(SendFailed):
    """Trying again would fail again."""


class Temporary(SendFailed):
    """Trying again later may succeed; not before `retry_after`, where the other side asked for that."""

    unsure = False

    def __init__(self, what: str, *, retry_after: timedelta | None = None) -> None:
        self.retry_after = retry_after
        super().__init__(what)


class Away(Temporary):
    """Nothing gets through to that side: refused connection, refused login, "service not available"."""


class Broken(Temporary):
    """The line broke in the middle of a message; `unsure`: after all of it was handed over, before the answer came."""

    def __init__(self, what: str, *, unsure: bool = False) -> None:
        super().__init__(what)
        self.unsure = unsure
