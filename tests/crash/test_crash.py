"""A season in which the service is killed again and again leaves what it leaves when nobody is killed (SIGKILL, real processes)."""

import os
import sys
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import pytest

from service.running import open_running
from service.settings import Settings
from service.setup import migrate
from tests import postgres
from tests.crash.killed import Deaths, Killed
from tests.crash.season import Season, mails, told, untold
from tests.notifications.sink import Sink
from tests.postgres import free_port
from tests.service.world import BEGINS, World, with_people

pytestmark = pytest.mark.crash

_SECONDS = float(os.environ.get("CRASH_SECONDS", "420"))
_SEED = 7


@dataclass(frozen=True, slots=True)
class Played:
    """What a season left behind, and how the service fared meanwhile."""

    told: dict[str, Any]
    mails: dict[str, str]
    letters: Counter[str]
    untold: list[str]
    service: Killed


def _play(url: str, folder: Path, until: str, deaths: Deaths, deadline: float) -> Played:
    with Sink() as sink:
        settings = Settings(
            database_url=url, clock=f"virtual:{BEGINS}", mail=f"smtp://127.0.0.1:{sink.port}", port=free_port(),
            tick_seconds=1, public_per_minute=10_000, objections_per_hour=1000,
        )  # fmt: skip
        running = open_running(settings)
        try:
            with Killed(settings, folder, sink, deaths, deadline) as service:
                world = World(settings, running, service)  # type: ignore[arg-type]
                with_people(world)
                Season(world).play(until)
                service.spare()
                world.at(f"{until}T18:00:00+08:00")  # what the last deaths left is released and sent
            return Played(told(running), mails(running), Counter(sink.message_ids()), untold(running), service)
        finally:
            running.db.close()


def _compare(fresh: Callable[[str], str], folder: Path, until: str, count: int, bound: float) -> None:
    began = time.monotonic()
    calm = _play(fresh("calm"), folder, until, Deaths(), 0)
    deaths = Deaths.plan(calm.service.steps[:-1], count, Random(_SEED))
    struck = _play(fresh("struck"), folder, until, deaths, began + bound)
    service = struck.service
    seen = Counter(service.kills)
    twice = {id_: copies for id_, copies in struck.letters.items() if copies > 1}
    sys.stdout.write(
        f"\n{len(service.kills)} kills ({dict(seen)}), {len(service.steps)} steps, {service.asked_again} asked again, "
        f"{sum(struck.letters.values())} letters of {len(struck.mails)} mails, {len(twice)} sent twice; "
        f"{calm.service.took:.0f} s calm, {service.took:.0f} s killed\n"
    )
    sys.stdout.flush()
    assert len(service.kills) >= count or time.monotonic() - began > bound
    assert calm.told["broken"] == struck.told["broken"] == []
    assert calm.letters.keys() == calm.mails.keys()
    assert set(calm.letters.values()) == {1}
    for what, was in calm.told.items():
        assert struck.told[what] == was, what
    assert calm.untold == struck.untold == []
    # No mail is lost, and none comes again but where a death fell between sending and recording:
    # once for each death that found it so, hence twice unless several did.
    assert set(struck.mails.values()) <= {"sent", "cancelled"}
    sent = {id_ for id_, status in struck.mails.items() if status == "sent"}
    fell_between = Counter(id_ for found in service.in_flight for id_ in found)
    assert sent <= struck.letters.keys()
    # What a death may have let through is taken back where it is true no more; never what it cannot have.
    assert struck.letters.keys() - sent <= fell_between.keys()
    assert {id_: copies for id_, copies in twice.items() if copies > 1 + fell_between[id_]} == {}


def test_a_season_on_sqlite_in_which_the_service_is_killed_200_times_ends_like_one_in_which_it_is_not(
    tmp_path: Path,
) -> None:
    def fresh(name: str) -> str:
        url = f"sqlite:///{tmp_path / name}.db"
        migrate(Settings(database_url=url, clock=f"virtual:{BEGINS}"))
        return url

    _compare(fresh, tmp_path, "2025-01-20", 205, _SECONDS * 0.6)


def test_a_season_on_postgresql_in_which_the_service_is_killed_ends_like_one_in_which_it_is_not(
    tmp_path: Path, postgres_server: postgres.Server
) -> None:
    def fresh(name: str) -> str:
        url = postgres_server.create(f"crash_{name}")
        migrate(Settings(database_url=url, clock=f"virtual:{BEGINS}"))
        return url

    _compare(fresh, tmp_path, "2025-01-20", 60, _SECONDS * 0.4)
