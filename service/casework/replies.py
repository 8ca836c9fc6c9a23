"""Replies: telling the enterprise what its request was answered, in the transaction of the answer."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from notifications import outbox
from notifications.outbox import NewMessage
from service.casework import addressees, obligations
from service.casework.desk import Desk
from service.casework.letters import Letters

_RUNG = "answered"


def tell(desk: Desk, row: Mapping[str, Any], at: datetime) -> None:
    """Write to whoever asked, where the site has an address, by the `row` of the obligation that the answer ends.

    It claims a rung of its own, so that it is found and redirected with what else was told of the request.
    """
    links = desk.books.links
    for to in addressees.sites(desk.tx, {row["enterprise"]}).get(row["enterprise"], ()):
        template, context = Letters(desk, links, at, [row], {}).answered(row)
        message = NewMessage(
            id=desk.chance.id(at), key=f"{row['id']}:{_RUNG}:{to.id}", template=template, recipient=to.email,
            recipient_name=to.name, created_at=at, context=context, language=to.language, unit=row["area"],
        )  # fmt: skip
        outbox.enqueue(desk.tx, [message], domain=links.domain)
        claim = {"obligation": row["id"], "rung": _RUNG, "recipient": to.id, "message": message.id, "at": at}
        obligations.claim(desk.tx, [claim])
