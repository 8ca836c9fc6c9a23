"""What a kind of guard is.

A guard must be total: it is asked in every state, and without data (`ask.data is None`) when events are offered. What
depends on the data alone comes on top then, with a `field` under `data`.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

from pydantic import TypeAdapter

from workflows.case import Case
from workflows.facts import Ask
from workflows.programme import FORBID, Programme
from workflows.text import Reason

Judge = Callable[[Ask, Any, str], Iterator[Reason]]
Opens = Callable[[Programme, Case, Any], datetime | None]


@dataclass(frozen=True, slots=True)
class Untold:
    """The guard is told nothing."""

    __pydantic_config__: ClassVar[Any] = FORBID


@dataclass(frozen=True)
class Guard:
    """One kind of guard: what it is told, how it judges, and for those that wait, when they open.

    `needs` names the facts it looks at that lie outside the case, its site and who asks: what fills them costs a query.
    """

    judge: Judge
    given: type = Untold
    opens: Opens | None = None
    needs: frozenset[str] = frozenset()
    adapter: TypeAdapter[Any] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "adapter", TypeAdapter(self.given))
