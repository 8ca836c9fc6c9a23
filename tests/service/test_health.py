"""Whether the service lives, is ready and counts; and its documentation page, which needs no other network."""

import re
from pathlib import Path

import pytest
import structlog
from prometheus_client import REGISTRY
from structlog.testing import capture_logs

from service import clock, scheduler
from service.api import edge
from service.casework import digests, sweep
from service.clock import VirtualClock
from service.errors import DatabaseAway
from service.storage.db import Database
from tests.service.world import ZHENGZHOU, World

OFFICER = f"officer {ZHENGZHOU}"


def test_live_and_ready_need_no_token_and_stand_at_the_root(shared_world: World) -> None:
    live = shared_world.client.get("/health/live")
    assert (live.status_code, live.json()["status"]) == (200, "ok")
    ready = shared_world.client.get("/health/ready")
    assert (ready.status_code, ready.json()["status"]) == (200, "ok")
    checks = ready.json()["checks"]
    assert checks["database"]["revision"] == checks["database"]["wanted"]
    assert checks["ticker"]["seconds_since_last_tick"] >= 0
    assert ready.headers["x-request-id"]


def test_it_is_not_ready_while_its_database_is_away_but_lives(world: World, tmp_path: Path) -> None:
    mine = world.running.db
    away = "postgresql+psycopg://nobody@127.0.0.1:1/nothing" if not mine.is_sqlite else f"sqlite:///{tmp_path}/no/db"
    world.running.db = Database(away)
    try:
        ready = world.client.get("/health/ready")
        assert (ready.status_code, ready.json()["checks"]["database"]["why"]) == (503, "database_away")
        assert world.client.get("/health/live").status_code == 200
    finally:
        world.running.db = mine
    assert world.client.get("/health/ready").status_code == 200


def test_it_is_not_ready_when_the_ticker_has_been_silent(world: World) -> None:
    world.running.ticks.last = clock.monotonic() - 3 * world.settings.tick_seconds - 1
    ready = world.client.get("/health/ready")
    assert (ready.status_code, ready.json()["checks"]["ticker"]["ok"]) == (503, False)
    world.at("2024-05-21")
    assert world.client.get("/health/ready").status_code == 200


def test_it_is_not_ready_when_its_last_tick_failed(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise DatabaseAway

    with monkeypatch.context() as patched:
        patched.setattr(sweep, "run", full)
        scheduler._safely(world.running, scheduler.tick)
    ready = world.client.get("/health/ready")
    assert (ready.status_code, ready.json()["checks"]["ticker"]["failed"]) == (503, True)
    scheduler._safely(world.running, scheduler.tick)
    assert world.client.get("/health/ready").status_code == 200


def test_it_is_not_ready_before_it_is_migrated(world: World) -> None:
    with world.running.db.transaction() as tx:
        tx.exec_driver_sql("UPDATE alembic_version SET version_num = 'older'")
    ready = world.client.get("/health/ready")
    assert (ready.status_code, ready.json()["checks"]["database"]["revision"]) == (503, "older")


def test_metrics_count_requests_by_method_and_status(shared_world: World) -> None:
    def counted() -> float:
        text = shared_world.client.get("/metrics").text
        found = re.search(r'^jinji_requests_total\{method="GET",status="401"\} (\S+)$', text, re.MULTILINE)
        return float(found.group(1)) if found else 0.0

    before = counted()
    assert shared_world.call(None, "GET", "/cases").status_code == 401
    assert counted() == before + 1
    assert "jinji_request_seconds_bucket" in shared_world.client.get("/metrics").text


def test_what_nobody_foresaw_is_counted_and_logged_as_500(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def counted() -> float:
        return REGISTRY.get_sample_value("jinji_requests_total", {"method": "GET", "status": "500"}) or 0.0

    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    before = counted()
    monkeypatch.setattr(VirtualClock, "now", broken)
    monkeypatch.setattr(edge, "_log", structlog.get_logger("edge"))  # one that was used before would not be heard
    with capture_logs() as logs:
        answer = world.call("province", "GET", "/clock", headers={"X-Request-Id": "broken-one-1"})
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert answer.headers["x-request-id"] == "broken-one-1"
    assert counted() == before + 1
    (line,) = [each for each in logs if each["event"] == "request"]
    assert (line["status"], line["path"], line["request_id"]) == (500, "/api/v1/clock", "broken-one-1")


def test_the_documentation_page_loads_nothing_from_elsewhere(shared_world: World) -> None:
    page = shared_world.client.get("/docs")
    assert page.status_code == 200
    addresses = re.findall(
        r"""(?:src|href)=["']([^"']+)["']|url\(["']?([^"')]+)|["'](/[^"']+|https?:[^"']+)["']""", page.text
    )
    named = {address for found in addresses for address in found if address}
    assert "/api/v1/openapi.json" in named
    assert not [address for address in named if address.startswith(("http", "//"))]
    for address in named:
        assert shared_world.client.get(address).status_code == 200, address
    assert shared_world.client.get("/", follow_redirects=False).headers["location"] == "/docs"


def test_a_job_that_fails_stays_failed_until_it_succeeds_itself(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("broken")

    with monkeypatch.context() as patch:
        patch.setattr(digests, "freshen", broken)
        scheduler._safely(world.running, scheduler.deliver_mails)
    scheduler._safely(world.running, scheduler.tick)
    assert world.client.get("/health/ready").json()["checks"]["ticker"]["failed"] is True
    scheduler._safely(world.running, scheduler.deliver_mails)
    assert world.client.get("/health/ready").json()["checks"]["ticker"]["failed"] is False
