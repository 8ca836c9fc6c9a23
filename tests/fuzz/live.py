"""A service that listens on a free port, with a sample in every state, so that what nobody thought of meets something."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from itertools import cycle

import uvicorn

from service import sample
from service.api.examples import EVENTS
from service.app import build
from service.running import open_running
from service.settings import Settings
from tests.service.world import ZHENGZHOU, World, open_world
from workflows.programme import Role

OFFICER = f"officer {ZHENGZHOU}"
NOW = datetime.fromisoformat("2024-09-03T09:00:00+08:00")  # where `prepare` ends


@dataclass
class Live:
    """Where the service listens, who may call it, and what stands in it."""

    url: str
    tokens: dict[str, str]
    ids: dict[str, Iterator[str]] = field(default_factory=dict)


def settings_for(database_url: str) -> Settings:
    """The limits of the public raised: they have tests of their own."""
    return Settings(
        database_url=database_url,
        clock="virtual:2024-05-20T09:00:00+08:00",
        public_per_minute=1_000_000,
        objections_per_hour=1_000_000,
        max_body_bytes=200_000,
    )


def prepare(settings: Settings) -> Live:
    """Fill the database: the sample, and cases on every stretch of the way. Ends in September."""
    world = open_world(settings)
    with world.client:
        sample.seed(world.running, settings)
        cases = _on_their_way(world)
        first = world.case(cases[0])
        world.token("expert", Role.EXPERT, cases=tuple(cases))
        world.token("enterprise", Role.ENTERPRISE, enterprises=(first["enterprise"]["id"],))
        notices = world.call(None, "GET", "/public/notices").json()["items"]
        receipts = []
        for notice in notices:
            body = {"case": notice["entries"][0]["case"], "reasons": "夜间治理设施停运"}
            receipts.append(
                world.call(None, "POST", f"/public/notices/{notice['id']}/objections", body).json()["receipt"]
            )
        objections = world.call("province", "GET", "/objections").json()["items"]
        contacts = world.call(OFFICER, "GET", "/contacts").json()["items"]
        requests = []
        for case in cases:
            body = {"case": case, "kind": "technical", "text": "请指导改造的技术路线"}
            requests.append(world.call(OFFICER, "POST", "/requests", body).json()["id"])
        filings = world.call(OFFICER, "GET", "/filings").json()["items"]
        messages = world.call("province", "GET", "/messages").json()["items"]
        owed = world.call(OFFICER, "GET", "/obligations?limit=200").json()["items"]
        assert world.now() == NOW
        ids: dict[str, Iterator[str]] = {
            "case_id": cycle(cases),
            "site_id": cycle([world.case(case)["enterprise"]["id"] for case in cases]),
            "notice_id": cycle([notice["id"] for notice in notices]),
            "objection_id": cycle([objection["id"] for objection in objections]),
            "request_id": cycle(requests),
            "contact_id": cycle([contact["id"] for contact in contacts]),
            "filing_id": cycle([filing["id"] for filing in filings]),
            "obligation_id": cycle([obligation["id"] for obligation in owed]),
            "message_id": cycle([message["id"] for message in messages]),
            "receipt": cycle(receipts),
            "programme_id": cycle(["henan-2024"]),
            "published": cycle([notice["entries"][0]["case"] for notice in notices]),
            "event": cycle(EVENTS),
        }
    return Live("", dict(world.secrets), ids)


def _on_their_way(world: World) -> list[str]:
    """One case at each stretch of the way; those that go far go first, as the clock moves with them."""
    listed = [world.listed() for _ in range(10)]
    world.planned(listed[2])
    world.upgraded(listed[3])
    world.accepted(listed[4])
    world.checked(listed[5], "passed")
    world.checked(listed[6], "rectify")
    world.rejected(listed[7])
    world.published(listed[8])
    world.published(listed[9])
    world.moved(OFFICER, listed[1], "withdraw", reason="停产")
    return listed


@contextmanager
def serving(live: Live, settings: Settings) -> Iterator[Live]:
    """The service as `jinji serve` runs it, on a free port of this machine, until the block ends."""
    process = open_running(settings)
    listening = socket.socket(socket.AF_INET)
    listening.bind(("127.0.0.1", 0))
    listening.listen(64)  # who comes before the server has begun waits
    config = uvicorn.Config(
        build(process, ticking=False), log_config=None, access_log=False, loop="uvloop", http="httptools",
        server_header=False, proxy_headers=False, timeout_graceful_shutdown=5,
    )  # fmt: skip
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]}, daemon=True)
    thread.start()
    try:
        live.url = "http://{}:{}".format(*listening.getsockname())
        yield live
    finally:
        server.should_exit = True
        thread.join(timeout=30)
        listening.close()
