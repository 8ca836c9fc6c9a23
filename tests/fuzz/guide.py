"""Leads what schemathesis makes up towards what stands in the service, so that it does not end at 404 and 412.

Only what fits the document is led; what was made wrong on purpose goes out as it is.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from itertools import count, cycle
from typing import Any

import httpx2
import schemathesis
from hypothesis import strategies as st

from service.api.examples import EVENTS, LINE
from service.sample import credit_code
from tests.fuzz.live import NOW, OFFICER, Live
from workflows.events import KINDS

_SCHEMAS = "#/components/schemas/{model}"
_KINDS = ["equipment_renewal", "technical_upgrade", "treatment_upgrade", "capacity_building"]
_INDICATORS = ["equipment", "treatment", "emission_limits", "fugitive", "monitoring", "management", "transport"]
_THINGS = {
    "case_id": "cases", "site_id": "enterprises", "objection_id": "objections", "request_id": "requests",
    "contact_id": "contacts", "filing_id": "filings", "message_id": "messages",
}  # fmt: skip
_IN_IDS = str.maketrans("", "", "-._")


class Roles:
    """A token for each request: mostly of those who change things, now and then of everybody else."""

    def __init__(self, tokens: dict[str, str]) -> None:
        self._tokens = tokens
        self._turn = cycle(
            [OFFICER, "province", OFFICER, "admin", OFFICER, "auditor", OFFICER, "expert", OFFICER, "enterprise"]
        )

    def get(self, case: schemathesis.Case, context: Any) -> str:
        """Whose turn it is."""
        only = {
            "/api/v1/clock": "admin",
            "/api/v1/objections/{objection_id}/decide": "province",
            "/api/v1/filings/{filing_id}/return": "province",
        }
        return self._tokens[only.get(case.operation.path) or next(self._turn)]

    def set(self, case: schemathesis.Case, data: str, context: Any) -> None:
        """As a client would send it."""
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"


@dataclass
class Guide:
    """What is known of the service that is met."""

    live: Live
    client: httpx2.Client
    numbers: Iterator[int] = field(default_factory=lambda: count(1))
    turn: Iterator[int] = field(default_factory=lambda: cycle(range(10)))

    def lead(self, case: schemathesis.Case) -> None:
        """Have a request that fits the document name what exists, in the version that it has."""
        for name in case.path_parameters or {}:
            if name in self.live.ids and next(self.turn) < 8:
                case.path_parameters[name] = next(self.live.ids[name])
        if "If-Match" in (case.headers or {}) and next(self.turn) < 8:
            case.headers["If-Match"] = self._version(case)
        if isinstance(case.body, dict):
            case.body = self._body(case.operation.path, case.body)
        if case.operation.path == "/api/v1/cases/{case_id}/events" and next(self.turn) < 4:
            self._move_on(case)

    def _move_on(self, case: schemathesis.Case) -> None:
        """An event that is offered, with data that are good, by somebody whose it is."""
        who = (OFFICER, "province")[next(self.numbers) % 2]
        if "Authorization" not in (case.headers or {}):
            return
        offers = self.client.get(
            f"{self.live.url}/api/v1/cases/{case.path_parameters['case_id']}/offers",
            headers={"Authorization": f"Bearer {self.live.tokens[who]}"},
        ).json()
        allowed = [offer["event"] for offer in offers.get("items", []) if offer["allowed"]]
        if allowed:
            sent = EVENTS[allowed[next(self.numbers) % len(allowed)]][1]
            case.body = {**sent, "reason": "按实际情况"}
            case.headers["Authorization"] = f"Bearer {self.live.tokens[who]}"

    def _version(self, case: schemathesis.Case) -> str:
        ((name, thing),) = (case.path_parameters or {}).items()
        if (
            name not in _THINGS
            or not isinstance(thing, str)
            or not thing.translate(_IN_IDS).isalnum()
            or not thing.isascii()
        ):
            return '"1"'
        answer = self.client.get(
            f"{self.live.url}/api/v1/{_THINGS[name]}/{thing}",
            headers={"Authorization": f"Bearer {self.live.tokens['province']}"},
        )
        return answer.headers.get("etag", '"1"')

    def _body(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        body = _whole(body)
        if path == "/api/v1/clock":  # never out of the days of the notices: the far ones have tests of their own
            return {**body, "to": (NOW + timedelta(seconds=next(self.numbers))).isoformat()}
        if path == "/api/v1/cases" and next(self.turn) < 7:
            return self._line(body)
        if path == "/api/v1/cases/batch" and next(self.turn) < 7:
            # Few enough for the limit of a body.
            return {
                **body,
                "items": [self._line(item) for item in body["items"][:20] if isinstance(item, dict)] or [LINE],
            }
        if path == "/api/v1/enterprises" and next(self.turn) < 7:
            code = self._code()
            return {
                **body,
                "unit": "410100",
                "credit_code": code,
                "permit_no": f"{code}001P",
                "industry": "glass",
                "grade": "B",
            }
        if path == "/api/v1/requests" and next(self.turn) < 8:
            name = "case" if "case" in body else "enterprise"
            received = {"received_at": NOW.isoformat()} if "received_at" in body else {}
            return {**body, **received, name: next(self.live.ids["case_id" if name == "case" else "site_id"])}
        if path == "/api/v1/contacts" and next(self.turn) < 7:
            return {**body, "unit": "410100"}
        if path.endswith("/assign") and next(self.turn) < 5:
            return {**body, "handler": next(self.live.ids["contact_id"])}
        if path in ("/api/v1/notices", "/api/v1/cases/events") and next(self.turn) < 7:
            name = "cases" if path.endswith("notices") else "items"
            return {**body, name: [{**item, "case": next(self.live.ids["case_id"])} for item in body[name]]}
        if path.endswith("/objections") and next(self.turn) < 8:
            return {**body, "case": next(self.live.ids["published"])}
        if path.endswith("/submit") and next(self.turn) < 8:  # no document exists yet
            return {**body, "documents": []}
        if path.endswith("/events") and next(self.turn) < 3:
            return EVENTS[next(self.live.ids["event"])][1]
        return body

    def _line(self, item: dict[str, Any]) -> dict[str, Any]:
        """A line of the list with valid codes, and what was made up in all that is free."""
        code = self._code()
        site = {**LINE["enterprise"], "credit_code": code, "permit_no": f"{code}001P"}
        free = {name: item[name] for name in ("officer", "experts", "remark", "finish_by", "reason") if name in item}
        return {**LINE, **free, "enterprise": site, "reason": item.get("reason") or "补报"}

    def _code(self) -> str:
        return credit_code("410100", 60_000 + next(self.numbers))


def _whole(value: Any) -> Any:
    """1.0 is a whole number to a JSON schema; the service wants it written as one."""
    if isinstance(value, dict):
        return {name: _whole(part) for name, part in value.items()}
    if isinstance(value, list):
        return [_whole(part) for part in value]
    return int(value) if isinstance(value, float) and value.is_integer() else value


def install(live: Live, client: httpx2.Client) -> None:
    """Register tokens, ids, versions, formats and the data of events for the next run."""
    schemathesis.hooks.unregister_all()
    schemathesis.auths.unregister()
    guide = Guide(live, client)

    @schemathesis.auth(refresh_interval=None)
    class Known(Roles):
        """The roles with the tokens of this service."""

        def __init__(self) -> None:
            super().__init__(live.tokens)

    days = st.dates(date(2024, 4, 1), NOW.date()) | st.dates()
    schemathesis.openapi.format("date", days.map(str))
    # Instants that the service can hold; those beyond have tests of their own.
    first, last = datetime(1901, 1, 2), datetime(8999, 12, 30)  # noqa: DTZ001 the offset follows
    begins, closes = NOW.replace(tzinfo=None, month=5), NOW.replace(tzinfo=None, month=12)
    instants = st.datetimes(first, last) | st.datetimes(begins, closes)
    schemathesis.openapi.format("date-time", instants.map(lambda at: f"{at.isoformat()}+08:00"))

    @schemathesis.hook
    def before_call(context: Any, case: schemathesis.Case, kwargs: dict[str, Any]) -> None:
        if case.meta is None or case.meta.generation.mode.is_positive:
            guide.lead(case)

    @schemathesis.hook
    def before_load_schema(context: Any, raw_schema: dict[str, Any]) -> None:
        tell_events(raw_schema)


def tell_events(document: dict[str, Any]) -> None:
    """Write into the document what the programme says of `data`: to clients it is any object, by event."""
    schemas = document["components"]["schemas"]
    branches = [schemas["EventSent"]]
    for name in EVENTS:
        data = KINDS[name].adapter.json_schema(ref_template=_SCHEMAS)
        for model, schema in data.pop("$defs", {}).items():
            schemas[model] = _with_choices(schema)
        properties = {**schemas["EventSent"]["properties"], "event": {"const": name}, "data": _with_choices(data)}
        branches.append({**schemas["EventSent"], "properties": properties, "required": ["event", "data"]})
    schemas["EventSent"] = {"anyOf": branches}


def _with_choices(schema: dict[str, Any]) -> dict[str, Any]:
    """The programme's own values in place of any text."""
    properties = schema.get("properties", {})
    choices = {"kind": _KINDS, "category": ["治理设备"], "funding": ["自筹"], "grade": ["B"]}
    for name, values in choices.items():
        if name in properties:
            properties[name] = {"enum": values}
    for name, values in {"gaps": _INDICATORS, "progress": _KINDS, "indicators": _INDICATORS}.items():
        if name in properties:
            properties[name] = {"type": "object", "minProperties": 1, "additionalProperties": False} | {
                "properties": dict.fromkeys(values, _values_of(properties[name]))
            }
    return schema


def _values_of(mapping: dict[str, Any]) -> Any:
    for branch in (mapping, *mapping.get("anyOf", [])):
        for of_keys in branch.get("patternProperties", {}).values():
            return of_keys
        if "additionalProperties" in branch:
            return branch["additionalProperties"]
    raise AssertionError(mapping)
