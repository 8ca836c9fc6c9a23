"""Every field of every example, replaced in turn by what it should not be: refused or taken, never broken."""

import json
from collections.abc import Iterator
from itertools import cycle, islice
from typing import Any

import pytest

from service.api.examples import EVENTS, SENT
from tests.fuzz.live import settings_for
from tests.service.world import ZHENGZHOU, World, open_world

OFFICER = f"officer {ZHENGZHOU}"
WRONG = [
    "a\x00b", "  ", "\u202e", "\U0010ffff", "x" * 5000, 10**400, 1.5, True, None, [], {}, [[]], "9999-12-31", "0001-01-01",
]  # fmt: skip
# Written as they stand: no encoder of ours would write them.
WRITTEN = ["NaN", "-Infinity", "1e999", '"\\ud800"', "[" * 300 + "]" * 300, "01", "'a'", ""]
_MARK = "\x7fhere\x7f"
_EACH = 3  # no divisor of how many there are, so that each meets many places


def _places(value: Any) -> Iterator[Any]:
    """The value with a mark in place of each of its parts, one at a time."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, part in parts:
        for changed in (_MARK, *_places(part)):
            copy = dict(value) if isinstance(value, dict) else list(value)
            copy[key] = changed
            yield copy


def bodies(example: Any) -> Iterator[bytes]:
    """The example with each part replaced, by some of the wrong values in turn, and with its names standing twice."""
    mark, wrong = json.dumps(_MARK), cycle([*map(json.dumps, WRONG), *WRITTEN])
    for marked in _places(example):
        for replacing in islice(wrong, _EACH):
            yield json.dumps(marked).replace(mark, replacing).encode()
    whole = json.dumps(example)
    yield (whole[:-1] + ", " + whole[1:]).encode()


def _send(world: World, who: str, method: str, path: str, body: bytes, version: int) -> tuple[int, str]:
    headers = {
        "Authorization": f"Bearer {world.secrets[who]}", "Content-Type": "application/json",
        "If-Match": f'"{version}"',
    }  # fmt: skip
    answer = world.client.request(method, f"/api/v1{path}", content=body, headers=headers)
    return answer.status_code, answer.text


@pytest.mark.fuzz
def test_no_field_of_any_body_can_be_such_that_the_service_breaks(database_url: str) -> None:
    world = open_world(settings_for(database_url))
    with world.client:
        case = world.listed()
        site = world.case(case)["enterprise"]["id"]
        paths = {
            "enter_site": ("POST", "/enterprises"), "amend_site": ("PATCH", f"/enterprises/{site}"),
            "list_case": ("POST", "/cases"), "list_many": ("POST", "/cases/batch"),
            "amend_case": ("PATCH", f"/cases/{case}"), "move_many": ("POST", "/cases/events"),
            "open_notice": ("POST", "/notices"),
        }  # fmt: skip
        broken = []
        world.at("2024-06-03")
        for operation, (method, path) in paths.items():
            for _, example in SENT[operation].values():
                for body in bodies(example):
                    version = world.case(case)["version"] if method == "PATCH" and "cases" in path else 1
                    status, text = _send(world, OFFICER, method, path, body, version)
                    if status >= 500:
                        broken.append((operation, body[:300], text[:300]))
        for event, (_, example) in EVENTS.items():
            for who in (OFFICER, "province"):
                for body in bodies(example):
                    version = world.case(case)["version"]
                    status, text = _send(world, who, "POST", f"/cases/{case}/events", body, version)
                    if status >= 500:
                        broken.append((event, body[:300], text[:300]))
        assert not broken, broken[:5]
        assert world.call("auditor", "GET", "/audit/verify").json()["ok"]
