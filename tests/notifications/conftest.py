"""Outboxes on both engines, and the messages that tests put into them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import datetime
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from notifications.outbox import MESSAGES, NewMessage
from notifications.rendering import example
from service.storage.db import Database

NOW = datetime.fromisoformat("2024-06-12T09:00:00+08:00")


@pytest.fixture(params=["sqlite", "postgres"])
def db(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """A database with an empty outbox, on either engine."""
    if request.param == "sqlite":
        database = Database(f"sqlite:///{tmp_path / 'outbox.db'}")
        MESSAGES.create(database.engine)
        yield database
        database.close()
        return
    server = request.getfixturevalue("postgres_server")
    name = f"m_{abs(hash(str(tmp_path))):x}"
    database = Database(server.create(name))
    MESSAGES.create(database.engine)
    yield database
    database.close()
    server.drop(name)


Make = Callable[..., NewMessage]


@pytest.fixture
def message() -> Make:
    """Makes messages, each unlike the others, from what the test cares about."""
    numbers = count(1)

    def make(**told: Any) -> NewMessage:
        number = next(numbers)
        made = NewMessage(
            id=f"0190-{number:06}",
            key=f"reminder:{number}",
            template="reminder",
            recipient=f"officer{number}@zhengzhou.example",
            recipient_name="李明",
            created_at=NOW,
            context=example("reminder"),
            unit="410100",
        )
        return replace(made, **told)

    return make
