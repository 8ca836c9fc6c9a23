"""Schemathesis over the whole OpenAPI document, against a listening service on either engine: no failure, no 500."""

import os
from collections import Counter
from pathlib import Path

import httpx2
import pytest
import schemathesis
from schemathesis.config import SchemathesisConfig
from schemathesis.engine import events, from_schema

from service import logs
from tests.fuzz import guide
from tests.fuzz.live import Live, prepare, serving, settings_for

# Of the time given, each engine gets its part; the rest goes into the preparation and the checks afterwards.
SECONDS = int(os.environ.get("FUZZ_SECONDS", "120")) * 3 // 10
SEED = int(os.environ.get("FUZZ_SEED", "20240520"))  # another one asks other questions

# The reasons for which what fits the document may still be malformed: rules that no schema says.
SEMANTIC = {
    "unknown_programme", "unknown_unit", "unknown_industry", "unknown_grade", "unknown_enterprise", "unknown_event",
    "unknown_value", "wrong_credit_code", "wrong_permit_number", "not_a_target", "target_not_above", "detail_missing",
    "in_the_future", "not_in_notice", "repeated_case", "repeated_number", "reason_required", "out_of_range",
    "finish_before_start", "nothing_amended", "findings_missing", "findings_unexpected", "review_in_the_past",
    "unknown_handler", "unit_fixed", "cursor_refused", "idempotency_key_reused", "one_person_each", "mixed_alphabets",
    "unit_missing", "wrong_address", "private_address", "wrong_secret", "unknown_document", "wrong_code",
    "publicised_before_completed", "before_programme", "received_earlier", "grade_differs",
    # Characters of the higher planes that are assigned to nothing: no pattern lists them.
    "unprintable_text",
}  # fmt: skip
# To the document the `data` of an event are any object: their schema stands in the programme, by event.
FREE = {"/api/v1/cases/{case_id}/events"}

CONFIG = {
    "seed": SEED,
    "continue-on-failure": True,
    "request-timeout": 20,
    "generation": {"max-examples": 30, "deterministic": True, "database": "none"},
    "checks": {
        # What fits the document may be stale (412), too long (413), or against a rule (422, see SEMANTIC).
        "positive_data_acceptance": {"expected-statuses": ["2xx", "401", "403", "404", "409", "412", "413", "422"]},
        # What does not fit may be refused sooner than for what is wrong with it: see the order in API.md.
        "negative_data_rejection": {
            "expected-statuses": ["401", "403", "404", "405", "409", "412", "413", "415", "422", "428"]
        },
        # An Idempotency-Key that is known is told before an If-Match that is missing.
        "missing_required_header": {"expected-statuses": ["401", "403", "404", "409", "422", "428"]},
        # Whatever two tokens may see of each other is a table of its own (role × scope × route); nothing here tells
        # schemathesis which thing belongs to whom.
        "object_level_authorization": {"enabled": False},
        # Things are never deleted, and what one role has made another may be forbidden to see.
        "use_after_free": {"enabled": False},
        "ensure_resource_availability": {"enabled": False},
    },
}


@schemathesis.check
def refused_for_a_reason(
    ctx: schemathesis.CheckContext, response: schemathesis.Response, case: schemathesis.Case
) -> None:
    """What fits the document is malformed only by rules that no schema can say."""
    fits = case.meta is not None and case.meta.generation.mode.is_positive
    if not fits or response.status_code != 422 or case.operation.path in FREE:
        return
    problem = response.json()
    codes = {error["code"] for error in problem["errors"]} or {problem["code"]}
    assert codes <= SEMANTIC, f"fits the document, but: {response.text}"


class Told:
    """What a run found."""

    def __init__(self, labels: set[str]) -> None:
        self.untested = labels
        self.failures: dict[str, str] = {}
        self.calls: Counter[tuple[str, int]] = Counter()

    def take(self, finished: events.ScenarioFinished) -> None:
        """Count the answers of a scenario, and keep the first failure of each sort."""
        recorder = finished.recorder
        for case_id, interaction in recorder.interactions.items():
            label = recorder.cases[case_id].value.operation.label
            self.untested.discard(label)
            if interaction.response is not None:
                self.calls[label, interaction.response.status_code] += 1
        for case_id, checks in recorder.checks.items():
            for check in checks:
                if check.failure_info is not None:
                    self._fail(recorder.cases[case_id].value.operation.label, check, recorder.interactions[case_id])

    def _fail(self, label: str, check: object, interaction: object) -> None:
        failure, response = check.failure_info.failure, interaction.response  # type: ignore[attr-defined]
        answer = f"{response.status_code} {response.text[:600]}" if response is not None else "no answer"
        self.failures.setdefault(
            f"{label}: {check.name}: {failure.title}",  # type: ignore[attr-defined]
            f"{failure.message[:900]}\n{check.failure_info.code_sample[:1200]}\n{answer}",  # type: ignore[attr-defined]
        )

    def summary(self) -> str:
        """Operations, requests, statuses."""
        statuses: Counter[int] = Counter()
        for (_, status), times in self.calls.items():
            statuses[status] += times
        operations = len({label for label, _ in self.calls})
        moved = self.calls["POST /api/v1/cases/{case_id}/events", 200]
        return f"{operations} operations, {statuses.total()} requests, {moved} events: {dict(sorted(statuses.items()))}"


def _run(live: Live, seconds: int) -> Told:
    with httpx2.Client(timeout=20) as client:
        guide.install(live, client)
        config = SchemathesisConfig.from_dict({**CONFIG, "max-time": seconds})
        schema = schemathesis.openapi.from_url(f"{live.url}/api/v1/openapi.json", config=config)
        told = Told({found.ok().label for found in schema.get_all_operations()})
        for event in from_schema(schema).execute():
            if isinstance(event, events.NonFatalError | events.FatalError):
                told.failures[type(event).__name__] = str(getattr(event, "value", event))
            if isinstance(event, events.ScenarioFinished):
                told.take(event)
    return told


@pytest.mark.fuzz
def test_nothing_that_the_document_allows_or_forbids_breaks_the_service(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)  # the sample writes its tokens beside the database, or into var/
    logs.begin("error")
    settings = settings_for(database_url)
    live = prepare(settings)
    with serving(live, settings):
        told = _run(live, SECONDS)
        verified = httpx2.get(
            f"{live.url}/api/v1/audit/verify", headers={"Authorization": f"Bearer {live.tokens['auditor']}"}, timeout=60
        ).json()
    print(told.summary())  # noqa: T201 shown with -s, and where it failed
    assert not told.failures, "\n\n".join(f"{name}\n{said}" for name, said in told.failures.items())
    assert not told.untested
    assert verified["ok"], verified
