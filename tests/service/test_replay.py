"""The invariants of DESIGN.md under any course of events: replay, scope of effects, whole audit, no event after a refusal."""

from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from tempfile import TemporaryDirectory
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule, run_state_machine_as_test
from pydantic_core import from_json
from sqlalchemy import select

from service.access import SYSTEM, Caller
from service.casework import audit, cases, verification
from service.settings import Settings
from service.storage.tables import CaseRow, table
from tests.service.world import BEGINS, ZHENGZHOU, World, open_world
from tests.workflows.cases import EXAMPLES, henan
from workflows.case import load
from workflows.lifecycle import replay
from workflows.programme import Role

_CASES = table(CaseRow)
OFFICERS = (f"officer {ZHENGZHOU}", f"second officer {ZHENGZHOU}")
PROVINCE = ("province", "second of the province")
EVENTS = sorted(set(henan().programme.event_by_name) - {"list", "recognise", "lapse", "uphold_objection"})
# All that the rules below can change is this unit's. Tokens and calendars are not: they are looked at once, at the end.
UNIT = Caller("officer", "officer", Role.UNIT, unit=ZHENGZHOU)
DAYS = ("2024-06-03", "2024-07-18", "2024-08-06", "2024-09-03", "2024-09-12", "2024-11-20", "2024-12-18", "2025-01-10")


class Season(RuleBasedStateMachine):
    """Two cases, two officers, two inspectors of the province and the public, doing anything in any order."""

    fresh: Callable[[], AbstractContextManager[str]]

    def __init__(self) -> None:
        super().__init__()
        self.open = ExitStack()
        self.world: World = open_world(
            Settings(
                database_url=self.open.enter_context(type(self).fresh()),
                clock=f"virtual:{BEGINS}",
                mail=f"file:{self.open.enter_context(TemporaryDirectory())}",
                public_per_minute=100_000,
                objections_per_hour=100_000,
            )
        )
        self.open.enter_context(self.world.client)
        self.cases: list[str] = []
        self.day = 0

    def teardown(self) -> None:
        """Find the whole audit whole, and close what was opened."""
        with self.world.running.db.reading() as tx:
            _, broken = verification.verify(tx, SYSTEM)
        self.open.close()
        assert broken == []

    @initialize()
    def list_two(self) -> None:
        """Begin with two listed cases."""
        self.cases = [self.world.listed(), self.world.listed(industry="steel", current_grade="B", target_grade="A")]

    @rule(case=st.integers(0, 1), event=st.sampled_from(EVENTS), second=st.booleans(), reason=st.booleans())
    def send(self, case: int, event: str, second: bool, reason: bool) -> None:
        """Send an event with data made for today; what is refused changes nothing and stays refused under its key."""
        here = self.cases[case]
        before = self.world.case(here)
        roles = henan().programme.event_by_name[event].roles
        who = (PROVINCE if "unit" not in roles else OFFICERS)[second]
        key = f"{here}{event}{before['version']}{self.day}{second}{reason}"
        sent = {"data": self._today(event, before), "reason": "测试" if reason else None}
        answer = self.world.event(who, here, event, **sent, key=key, version=before["version"])
        assert answer.status_code in (200, 409, 422), answer.text
        after = self.world.case(here)
        assert (after["version"] == before["version"] + 1) == (answer.status_code == 200)
        again = self.world.event(who, here, event, **sent, key=key, version=before["version"])
        assert self.world.case(here)["version"] == after["version"]
        assert again.status_code == (
            412 if answer.status_code == 422 and after["version"] != before["version"] else answer.status_code
        )

    @rule(days=st.integers(1, 3))
    def pass_time(self, days: int) -> None:
        """Go to a later day of the season."""
        self.day = min(self.day + days, len(DAYS) - 1)
        if f"{self.world.now():%Y-%m-%d}" < DAYS[self.day]:
            self.world.at(DAYS[self.day])

    @rule(case=st.integers(0, 1), upheld=st.none() | st.booleans())
    def object(self, case: int, upheld: bool | None) -> None:
        """Object to a published case, and decide it or leave it open."""
        notice = self.world.case(self.cases[case])["notice"]
        if notice is None:
            return
        body = {"case": self.cases[case], "reasons": "夜间冒烟"}
        self.world.call(None, "POST", f"/public/notices/{notice['id']}/objections", body)
        found = self.world.call("province", "GET", "/objections?state=open").json()["items"]
        if upheld is not None and found:
            path = f"/objections/{found[0]['id']}/decide"
            self.world.call("second of the province", "POST", path, {"upheld": upheld, "finding": "查实"}, version=1)

    def _today(self, event: str, case: dict[str, Any]) -> Any:
        today = f"{self.world.now():%Y-%m-%d}"
        sent = {name: today if name.endswith("ed_on") else value for name, value in EXAMPLES.get(event, {}).items()}
        if event == "report_progress":
            sent["month"] = today[:7]
            sent["done"] = [measure["number"] for measure in case["measures"]]
            sent["progress"] = {measure["kind"]: 100 for measure in case["measures"]}
        if event == "resubmit":
            sent["answers"] = [{"finding": finding["number"], "answer": "已整改"} for finding in case["findings"]]
        return sent

    @invariant()
    def state_is_the_replay_of_history_and_the_audit_is_whole(self) -> None:
        """After every step."""
        with self.world.running.db.reading() as tx:
            for case in self.cases:
                row = tx.execute(select(_CASES).where(_CASES.c.id == case)).one()
                history = audit.history(tx, "case", case)
                assert load(from_json(row.facts)) == replay(audit.changes_of(history))
                assert (row.version, row.head) == (history[-1]["version"], history[-1]["hash"])
            entries, broken = verification.verify(tx, UNIT)
        assert entries >= 2 * len(self.cases)
        assert broken == []

    @invariant()
    def a_publicised_case_stands_in_its_notice_and_in_no_other(self) -> None:
        """Notices and cases say the same."""
        notices = self.world.call(None, "GET", "/public/notices").json()["items"]
        shown = {
            (entry["case"], notice["id"]) for notice in notices for entry in notice["entries"] if not entry["left_as"]
        }
        with self.world.running.db.reading() as tx:
            stand = {case: cases.read(tx, SYSTEM, case).case.notice for case in self.cases}
        for case, notice in stand.items():
            assert {where for which, where in shown if which == case} == ({notice.id} if notice else set())


def test_any_course_of_events_keeps_the_invariants(fresh_database: Callable[[], AbstractContextManager[str]]) -> None:
    Season.fresh = staticmethod(fresh_database)
    run_state_machine_as_test(
        Season,
        settings=settings(
            max_examples=15,
            stateful_step_count=25,
            deadline=None,
            suppress_health_check=list(HealthCheck),
            derandomize=True,
        ),
    )
