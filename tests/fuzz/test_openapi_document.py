"""Schemathesis over the whole OpenAPI document, against a listening service on either engine: no failure, no 500."""

import os
from collections import Counter
from datetime import date
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx2
import pytest
import schemathesis
from hypothesis import strategies as st
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from tests.fuzz.live import OFFICER, Live, prepare, serving, settings_for

_DAYS = date(2023, 1, 1), date(2026, 12, 31)
SECONDS = int(os.environ.get("FUZZ_SECONDS", "120"))
# What is left of the time for the second engine, the preparation, and the checks after the run.
_SHARE = 0.38

# The reasons for which what fits the schema may still be malformed: rules that no schema says.
SEMANTIC = {
    "unknown_programme", "unknown_unit", "unknown_industry", "unknown_grade", "unknown_enterprise", "unknown_event",
    "unknown_value", "wrong_credit_code", "wrong_permit_number", "not_a_target", "target_not_above", "detail_missing",
    "in_the_future", "not_in_notice", "repeated_case", "repeated_number", "reason_required", "out_of_range",
}  # fmt: skip
# `data` of an event is any object to the document: its schema stands in the programme.
FREE = {"/api/v1/cases/{case_id}/events"}


class Roles:
    """A token for each request: mostly of those who change things, now and then of everybody else."""

    tokens: dict[str, str] = {}  # noqa: RUF012 set once, before the run
    turn = cycle([OFFICER, "province", OFFICER, "admin", OFFICER, "auditor", OFFICER, "expert", OFFICER, "enterprise"])

    def get(self, case: schemathesis.Case, context: Any) -> str:
        """Whose turn it is."""
        if case.operation.path == "/api/v1/clock" and case.method == "POST":
            return self.tokens["admin"]
        return self.tokens[next(self.turn)]

    def set(self, case: schemathesis.Case, data: str, context: Any) -> None:
        """As a client would send it."""
        case.headers = case.headers or {}
        case.headers["Authorization"] = f"Bearer {data}"


@schemathesis.check
def refused_for_a_reason(ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case) -> None:
    """What fits the schema is malformed only by rules that no schema can say."""
    meta = case.meta
    if response.status_code != 422 or meta is None or not meta.generation.mode.is_positive or case.operation.path in FREE:
        return
    problem = response.json()
    codes = {error["code"] for error in problem["errors"]} or {problem["code"]}
    assert codes <= SEMANTIC | {"idempotency_key_reused", "cursor_refused"}, f"fits the schema, but: {response.text}"


def _config(seconds: int) -> SchemathesisConfig:
    return SchemathesisConfig.from_dict(
        {
            "seed": 20240520,
            "max-time": seconds,
            "continue-on-failure": True,
            "request-timeout": 20,
            "generation": {"max-examples": 25, "deterministic": True, "no-shrink": False, "database": "none"},
            "checks": {
                # A wrong version is 412, a missing one 428: neither is what the check expects by itself.
                "positive_data_acceptance": {
                    "expected-statuses": ["2xx", "401", "403", "404", "409", "412", "415", "422", "503"]
                },
                "negative_data_rejection": {
                    "expected-statuses": ["400", "401", "403", "404", "405", "409", "412", "413", "415", "422", "428"]
                },
                "missing_required_header": {"expected-statuses": ["401", "403", "404", "428"]},
            },
        }
    )


def _meet_what_stands(live: Live) -> None:
    """Most paths lead to things that exist, with the version they have; the clock never leaves the programme."""
    turn = cycle(range(10))

    @schemathesis.hook
    def map_path_parameters(context: Any, path_parameters: dict[str, Any] | None) -> dict[str, Any] | None:
        if path_parameters is None or next(turn) < 3:
            return path_parameters
        return {name: next(live.ids[name]) if name in live.ids else said for name, said in path_parameters.items()}


@pytest.mark.fuzz
def test_nothing_that_the_document_allows_or_forbids_breaks_the_service(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    settings = settings_for(database_url)
    live = prepare(settings)
    with serving(live, settings):
        Roles.tokens = live.tokens
        told = _run(live, int(SECONDS * _SHARE))
        verified = httpx2.get(
            f"{live.url}/api/v1/audit/verify", headers={"Authorization": f"Bearer {live.tokens['auditor']}"}, timeout=60
        ).json()
    print(told.summary())
    assert not told.failures, "\n\n".join(told.failures)
    assert not told.untested, f"never called: {sorted(told.untested)}"
    assert verified["ok"], verified


class Told:
    """What the run found."""

    def __init__(self) -> None:
        self.failures: list[str] = []
        self.calls: Counter[tuple[str, int]] = Counter()
        self.untested: set[str] = set()

    def summary(self) -> str:
        """Operations, requests, statuses."""
        statuses: Counter[int] = Counter()
        for (_, status), times in self.calls.items():
            statuses[status] += times
        operations = {label for label, _ in self.calls}
        return f"{len(operations)} operations, {sum(statuses.values())} requests: {dict(sorted(statuses.items()))}"


def _run(live: Live, seconds: int) -> Told:
    # Instants and days of the years in which there is a calendar; the far ones have tests of their own.
    schemathesis.openapi.format(
        "date-time", st.dates(_DAYS[0], _DAYS[1]).map(lambda day: f"{day}T12:00:00+08:00")
    )
    schemathesis.auth(refresh_interval=None)(Roles)
    _meet_what_stands(live)
    schema = schemathesis.openapi.from_url(f"{live.url}/api/v1/openapi.json", config=_config(seconds))
    told = Told()
    told.untested = {result.ok().label for result in schema.get_all_operations()}
    seen: set[str] = set()
    for event in from_schema(schema).execute():
        if isinstance(event, events.NonFatalError | events.FatalError):
            told.failures.append(f"{type(event).__name__}: {getattr(event, 'value', None) or event}")
        if not isinstance(event, events.ScenarioFinished):
            continue
        recorder = event.recorder
        for case_id, interaction in recorder.interactions.items():
            label = recorder.cases[case_id].value.operation.label
            told.untested.discard(label)
            if interaction.response is not None:
                told.calls[label, interaction.response.status_code] += 1
        for case_id, checks in recorder.checks.items():
            for check in checks:
                if check.failure_info is None:
                    continue
                label = recorder.cases[case_id].value.operation.label
                mark = f"{label} {check.name} {check.failure_info.failure.title}"
                if mark not in seen:
                    seen.add(mark)
                    response = recorder.interactions[case_id].response
                    answer = f"{response.status_code} {response.text[:600]}" if response is not None else ""
                    told.failures.append(
                        f"{mark}\n{check.failure_info.failure.message[:900]}\n{check.failure_info.code_sample[:900]}\n→ {answer}"
                    )
    return told
