"""The writer by itself: batches that form from what waits, in which each event succeeds or fails alone."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from service import writer
from service.access import Caller
from service.casework.answers import Answer
from service.casework.moves import Applied
from service.errors import ServiceError
from service.writer import Wanted, Writer
from tests.service.world import ZHENGZHOU, World
from workflows.programme import Role

OFFICER = Caller("officer", "刘科", Role.UNIT, ZHENGZHOU)
ASSESSED = {"assessed_on": "2024-06-03", "assessors": ["周教授"], "gaps": {"fugitive": "料场未封闭"}}

Render = Callable[[Applied | ServiceError], Answer]


def _told(outcome: Applied | ServiceError) -> Answer:
    assert isinstance(outcome, Applied), outcome
    return Answer(200, {}, outcome.standing.case.state.encode())


def _never_told(outcome: Applied | ServiceError) -> Answer:
    raise RuntimeError("no words for it")


def _pre_assess(case: str, render: Render = _told) -> Wanted:
    return Wanted(
        caller=OFFICER, arrived=None, request_id=f"of-{case[:8]}", case=case, event="pre_assess", data=ASSESSED,
        reason=None, versions=frozenset({1}), malformed=None, key=None, render=render,
    )  # fmt: skip


def _written(world: World, wanted: list[Wanted]) -> list[Any]:
    """What becomes of events that all wait already when a writer starts, and is told to stop at once."""

    async def run() -> list[Any]:
        mine = Writer(world.running)
        waiting = [asyncio.create_task(mine.submit(each)) for each in wanted]
        await asyncio.sleep(0)
        mine.start()
        mine.stop()
        async with asyncio.timeout(10):
            return await asyncio.gather(*waiting, return_exceptions=True)

    return asyncio.run(run())


@pytest.fixture
def cases(world: World) -> list[str]:
    """Five cases that can be pre-assessed today."""
    found = [world.listed() for _ in range(5)]
    world.at("2024-06-03")
    return found


def test_one_faulty_event_of_a_batch_fails_alone(world: World, cases: list[str]) -> None:
    wanted = [_pre_assess(case, _never_told if case == cases[2] else _told) for case in cases]
    told = _written(world, wanted)
    assert isinstance(told[2], RuntimeError)
    assert [each.body for each in told if each is not told[2]] == [b"pre_assessed"] * 4
    found = [(each["state"], each["version"]) for each in map(world.case, cases)]
    assert found == [("listed", 1) if case == cases[2] else ("pre_assessed", 2) for case in cases]
    assert world.call("auditor", "GET", "/audit/verify").json()["ok"] is True


def test_a_writer_that_stops_applies_what_waits(
    world: World, cases: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writer, "MOST_AT_ONCE", 2)
    told = _written(world, [_pre_assess(case) for case in cases])
    assert [each.body for each in told] == [b"pre_assessed"] * 5
    assert {world.case(case)["version"] for case in cases} == {2}
