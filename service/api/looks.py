"""Looks at single cases: those that wait become one statement, as the events do that wait for the writer.

A lonely look waits for nobody.
"""

import asyncio

from starlette.concurrency import run_in_threadpool

from service.casework import moves
from service.casework.desk import Desk
from service.casework.standing import Standing
from service.running import Running

_Found = dict[str, Standing]


class Looks:
    """The looks of one process, all on its one event loop: one is under way, the next gathers what is wanted."""

    def __init__(self, running: Running) -> None:
        self._running = running
        self._under_way: asyncio.Task[_Found] | None = None
        self._next: tuple[set[str], asyncio.Task[_Found]] | None = None

    async def case(self, case_id: str) -> Standing | None:
        """The case, read after this call, whoever may see it; its programme is known then. Raises DatabaseAway."""
        if self._next is None:
            wanted: set[str] = set()
            self._next = wanted, asyncio.create_task(self._look(wanted, self._under_way))
        wanted, look = self._next
        wanted.add(case_id)
        return (await asyncio.shield(look)).get(case_id)

    async def _look(self, wanted: set[str], before: asyncio.Task[_Found] | None) -> _Found:
        if before is not None and not before.done():
            await asyncio.wait([before])
        self._under_way, self._next = asyncio.current_task(), None
        return await run_in_threadpool(self._read, wanted)

    def _read(self, wanted: set[str]) -> _Found:
        with self._running.db.glancing() as tx:
            found = moves.read_many(tx, wanted)
            desk = Desk(tx, self._running.books)
            for stands in found.values():
                desk.lifecycle(stands.case.programme, stands.case.programme_version)
        return found
