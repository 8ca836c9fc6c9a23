"""The OpenAPI document: complete, true to the service, and with examples that are good."""

from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest
from fastapi.routing import APIRoute

from service.api import health
from service.api.errors import PROBLEM
from service.api.examples import EVENTS, GOT, LINE, SENT
from service.app import PREFIX, ROUTERS, build
from service.casework.calendars import Calendars
from service.casework.desk import Books
from service.casework.programmes import Programmes
from service.chance import Chance
from service.clock import RealClock
from service.post import open_post
from service.running import Running
from service.settings import Settings
from service.storage.db import Database
from tests.service.world import ZHENGZHOU, World
from workflows.events import KINDS

OFFICER = f"officer {ZHENGZHOU}"
# What needs no token: the public's pages, and what tells whether the process is well.
OPEN = ("/api/v1/public/", "/api/v1/calendar.ics", "/health/", "/metrics")


def _document() -> dict[str, Any]:
    """The document of an application that is never started: no database is asked."""
    settings = Settings(database_url="sqlite:///none.db")
    db, books = Database(settings.database_url), Books(Programmes(), Calendars(), Chance())
    process = Running(settings, db, RealClock(), books, b"", open_post(settings, db, "nobody"))
    return build(process, ticking=False).openapi()


DOCUMENT = _document()
OPERATIONS = {
    operation["operationId"]: (method, path, operation)
    for path, methods in DOCUMENT["paths"].items()
    for method, operation in methods.items()
}
every_operation = pytest.mark.parametrize("name", sorted(OPERATIONS))


def _resolved(part: dict[str, Any]) -> dict[str, Any]:
    """A part of the document, or what it refers to."""
    found = part
    while "$ref" in found:
        found = DOCUMENT
        for step in part["$ref"].removeprefix("#/").split("/"):
            found = found[step]
        part = found
    return found


def _validator(schema: dict[str, Any]) -> Any:
    return jsonschema_rs.Draft202012Validator({**schema, "components": DOCUMENT["components"]}, validate_formats=True)


def _examples(content: dict[str, Any]) -> Iterator[Any]:
    if "example" in content:
        yield content["example"]
    for example in content.get("examples", {}).values():
        yield example["value"]


def _names(name: str, where: str) -> set[str]:
    _, _, operation = OPERATIONS[name]
    return {found["name"] for found in map(_resolved, operation["parameters"]) if found["in"] == where}


def test_the_document_is_openapi_3_1_and_says_who_it_is() -> None:
    assert DOCUMENT["openapi"].startswith("3.1.")
    assert {"title", "version", "summary", "description"} <= DOCUMENT["info"].keys()
    scheme = DOCUMENT["components"]["securitySchemes"]["HTTPBearer"]
    assert (scheme["type"], scheme["scheme"]) == ("http", "bearer")
    assert {tag["name"] for tag in DOCUMENT["tags"]} == {
        tag for _, _, operation in OPERATIONS.values() for tag in operation["tags"]
    }


@every_operation
def test_an_operation_says_what_it_does_and_who_may_call_it(name: str) -> None:
    _, path, operation = OPERATIONS[name]
    assert operation["summary"]
    assert operation["description"]
    assert operation.get("security", []) == ([] if path.startswith(OPEN) else [{"HTTPBearer": []}])


@every_operation
def test_an_operation_declares_every_error_that_can_come(name: str) -> None:
    _, path, operation = OPERATIONS[name]
    declared = set(operation["responses"])
    wanted = set()
    if not path.startswith(("/health", "/metrics")):
        wanted.add("503")
    if "security" in operation:
        wanted.add("401")
    if path.startswith("/api/v1/"):
        wanted.add("422")  # at least a parameter that there is not
    if path.startswith("/api/v1/public/"):
        wanted.add("429")
    if "requestBody" in operation:
        wanted |= {"408", "413", "415"}
    if "{" in path:
        wanted.add("404")
    if "If-Match" in _names(name, "header"):
        wanted |= {"404", "409", "412", "428"}
    assert wanted <= declared
    assert "500" not in declared


@every_operation
def test_every_answer_of_an_operation_has_a_schema_an_example_that_fits_it_and_its_headers(name: str) -> None:
    _, _, operation = OPERATIONS[name]
    for status, declared in operation["responses"].items():
        response = _resolved(declared)
        assert response["description"], status
        assert "X-Request-Id" in response["headers"], status
        for media_type, content in response["content"].items():
            assert content["schema"], (status, media_type)
        media_type, content = next(iter(response["content"].items()))
        if status >= "400" and name != "ready":
            assert media_type == PROBLEM
            assert content["schema"] == {"$ref": "#/components/schemas/Problem"}
        examples = list(_examples(content))
        if name != "ready" or status == "200":
            assert examples, status
        for example in examples:
            _validator(content["schema"]).validate(example)
        for header in map(_resolved, response["headers"].values()):
            _validator(header["schema"]).validate(header["example"])


@pytest.mark.parametrize("name", [name for name, (_, _, operation) in OPERATIONS.items() if "requestBody" in operation])
def test_every_body_that_is_sent_has_examples_that_fit_its_schema(name: str) -> None:
    _, _, operation = OPERATIONS[name]
    assert operation["requestBody"]["required"]
    content = operation["requestBody"]["content"]["application/json"]
    examples = list(_examples(content))
    assert examples
    for example in examples:
        _validator(content["schema"]).validate(example)


def test_examples_belong_to_operations() -> None:
    assert GOT.keys() == OPERATIONS.keys()
    assert SENT.keys() == {name for name, (_, _, operation) in OPERATIONS.items() if "requestBody" in operation}


def test_every_post_takes_an_idempotency_key_and_every_change_of_a_thing_if_match() -> None:
    for name, (method, path, _) in OPERATIONS.items():
        headers = _names(name, "header")
        assert {"Accept-Language", "X-Request-Id"} <= headers
        assert ("Idempotency-Key" in headers) == (method == "post"), name
        on_a_thing = method == "patch" or (method == "post" and "{" in path and "/public/" not in path)
        assert ("If-Match" in headers) == on_a_thing, name


def test_no_optional_parameter_is_declared_as_null() -> None:
    for _, _, operation in OPERATIONS.values():
        for parameter in map(_resolved, operation["parameters"]):
            assert "anyOf" not in parameter["schema"], parameter


def test_every_route_stands_in_the_document() -> None:
    routes = [(PREFIX, router) for router in ROUTERS] + [("", health.router)]
    served = {
        (method.lower(), prefix + route.path)
        for prefix, router in routes
        for route in router.routes
        if isinstance(route, APIRoute)
        for method in route.methods
    }
    assert served == {(method, path) for method, path, _ in OPERATIONS.values()}


def test_the_example_of_every_event_is_what_its_kind_wants() -> None:
    for name, (_, sent) in EVENTS.items():
        assert sent["event"] == name
        KINDS[name].adapter.validate_python(sent["data"])
    callers_never_send = {"list", "recognise", "lapse", "uphold_objection"}
    assert EVENTS.keys() == KINDS.keys() - callers_never_send


def test_the_examples_walk_a_case_from_the_list_to_its_plan(world: World) -> None:
    listed = world.call(OFFICER, "POST", "/cases", LINE)
    assert listed.status_code == 201, listed.text
    case = listed.json()["id"]
    world.at("2024-06-12")
    for name in ("pre_assess", "file_plan", "start_upgrade"):
        answer = world.call(
            OFFICER, "POST", f"/cases/{case}/events", EVENTS[name][1], version=world.case(case)["version"]
        )
        assert answer.status_code == 200, answer.text
    site = world.call(OFFICER, "POST", "/enterprises", SENT["enter_site"]["site"][1])
    assert site.status_code == 201, site.text
