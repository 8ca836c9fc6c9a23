"""The working calendar as clients ask for it, and a year that is loaded while the service runs."""

from typing import Any

import pytest

from service.access import SYSTEM, Act
from service.casework import calendars
from tests.service.world import World
from workflows.working_days import read_year


def ask(world: World, path: str) -> dict[str, Any]:
    """What the calendar answers."""
    answer = world.call("auditor", "GET", f"/calendar/{path}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


@pytest.mark.parametrize(
    ("start", "due_on", "due_at", "provisional"),
    [
        ("2024-09-27", "2024-10-10", "2024-10-11T00:00:00+08:00", False),
        ("2024-09-30", "2024-10-12", "2024-10-13T00:00:00+08:00", False),
        ("2024-12-27", "2025-01-06", "2025-01-07T00:00:00+08:00", False),
        ("2026-12-18", "2026-12-25", "2026-12-26T00:00:00+08:00", True),
        ("2026-12-30", "2027-01-06", "2027-01-07T00:00:00+08:00", True),
    ],
)
def test_w5_five_working_days_end_at_24_00_of_the_fifth(
    world: World, start: str, due_on: str, due_at: str, provisional: bool
) -> None:
    due = ask(world, f"due?start={start}&working_days=5")
    assert (due["due_on"], due["due_at"], due["provisional"]) == (due_on, due_at, provisional)
    assert [day["number"] for day in due["days"] if day["counted"]] == [1, 2, 3, 4, 5]
    assert due["days"][-1]["date"] == due_on


def test_a_day_tells_its_kind_and_the_paper_that_arranged_it(world: World) -> None:
    off, make_up = ask(world, "days/2024-10-01"), ask(world, "days/2024-10-12")
    assert (off["working"], off["kind"], off["provisional"]) == (False, "off", False)
    assert (make_up["working"], make_up["kind"]) == (True, "make_up")
    assert off["name"]
    assert off["paper"]
    assert ask(world, "days/2027-06-01") == {
        "date": "2027-06-01", "working": True, "kind": "unknown", "provisional": True, "name": None, "paper": None,
    }  # fmt: skip


def test_a_year_that_is_loaded_is_seen_at_once_and_makes_firm_what_was_provisional(world: World) -> None:
    assert ask(world, "due?start=2026-12-30&working_days=5")["provisional"]
    document = {
        "year": 2027,
        "papers": ["https://example.org/2027"],
        "days": [{"name": "元旦", "date": "2027-01-01", "isOffDay": True}],
    }
    with world.running.db.transaction() as tx:
        calendars.load_year(tx, Act(SYSTEM, world.running.clock.now(tx)), read_year(document), "通知已发")
    due = ask(world, "due?start=2026-12-30&working_days=5")
    assert (due["due_on"], due["provisional"]) == ("2027-01-07", False)
    (entry, *_) = world.call("auditor", "GET", "/audit?subject_type=calendar&subject=2027").json()["items"]
    assert (entry["action"], entry["reason"]) == ("import", "通知已发")


class PowerCut(Exception):
    """Something that ends a transaction half-way."""


def load_and_fail(world: World) -> None:
    """Load a year, use it, and fail before it is committed."""
    year = read_year(
        {"year": 2027, "papers": ["x"], "days": [{"name": "元旦", "date": "2027-01-01", "isOffDay": True}]}
    )
    with world.running.db.transaction() as tx:
        calendars.load_year(tx, Act(SYSTEM, world.running.clock.now(tx)), year)
        assert world.running.books.calendars.get(tx).day(year.days[0].on).kind == "off"
        raise PowerCut


def test_a_year_whose_loading_fails_leaves_the_calendar_as_it_was(world: World) -> None:
    with pytest.raises(PowerCut):
        load_and_fail(world)
    assert ask(world, "days/2027-01-01")["kind"] == "unknown"


@pytest.mark.parametrize(
    "path",
    ["days/2024-13-01", "days/today", "due?start=2024-09-27&working_days=0", "due?start=2024-09-27&working_days=251",
     "due?start=2024-09-27", "due?working_days=5", "due?start=1900-01-01&working_days=5"],
)  # fmt: skip
def test_what_is_no_day_or_no_span_is_malformed(world: World, path: str) -> None:
    answer = world.call("auditor", "GET", f"/calendar/{path}")
    assert (answer.status_code, answer.json()["code"]) == (422, "malformed")
