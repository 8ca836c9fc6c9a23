"""What officers see to besides the cases: people and sites, objections, requests and filings, each by its own lot."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

from sqlalchemy import Select, select

from service.access import Act, Caller
from service.casework import contacts, filings, ledger, objections, requests
from service.casework.contacts import ContactFacts
from service.casework.desk import Desk
from service.casework.ledger import SiteFacts, UltraLow
from service.chance import Chance
from service.errors import EventRefused
from service.rehearsal.players import Office
from service.rehearsal.stage import CLOCKMAKER, Asking
from service.sample import credit_code
from service.storage.tables import FilingRow, Objection, table
from workflows.programme import Programme
from workflows.working_days import Calendar, legal_day

_FILINGS, _OBJECTIONS = table(FilingRow), table(Objection)
# Numbers of credit codes beyond those of the cases: sites that hold the best grade already.
_GRADED = 9_000_000


class OfficeWork:
    """The work of the officers of one programme, by a seed. What waits is read from the database: nothing is remembered."""

    def __init__(
        self, asking: Asking, programme: Programme, calendar: Calendar, seed: int, begins_on: date,
        offices: Mapping[str, Office], province: Office,
    ) -> None:  # fmt: skip
        self.asking, self.programme, self.calendar, self.seed = asking, programme, calendar, seed
        self.begins_on, self.offices, self.province = begins_on, offices, province
        self._completed: set[str] = set()

    def _rows(self, statement: Select[Any]) -> list[dict[str, Any]]:
        with self.asking.stage.process.db.reading() as tx:
            return [dict(row) for row in tx.execute(statement).mappings()]

    def enter_people(self) -> None:
        """The directory of contacts, and sites that hold the best grade and owe their retrofit."""
        for place, office in enumerate((self.province, *self.offices.values())):
            for duty, name in office.names:
                if office is self.province and duty == "handler":
                    continue
                facts = ContactFacts(
                    unit=office.area.code, duty=duty, name=name, email=f"{duty}.{office.area.code}@example.org",
                    language="en" if place % 7 == 3 and duty == "officer" else "zh",
                    digest=not (place % 5 == 4 and duty == "supervisor"),
                )  # fmt: skip
                self._enter_contact(facts)
        self._enter_graded()

    def _enter_contact(self, facts: ContactFacts) -> None:
        self.asking.act(
            lambda desk, now, request: contacts.enter(desk, Act(CLOCKMAKER, now, request), facts, confirmed_at=now),
            repeatable=False,
        )

    def _enter_graded(self) -> None:
        industry = next((each for each in self.programme.industries if each.ultra_low), None)
        grade = next((each.id for each in self.programme.grades if each.id in self.programme.ultra_low_grades), None)
        if industry is None or grade is None:
            return
        for number, unit in enumerate(self.offices, 1):
            site = SiteFacts(
                unit, f"{self.programme.unit_by_code[unit].name.zh}已评级企业{number}有限公司",
                credit_code(unit, _GRADED + number), industry.id, grade,
                contact={"name": f"厂长{number}", "email": f"graded{number}@example.org"},
                ultra_low=UltraLow(due_on=self.begins_on + timedelta(days=90 + 7 * number)),
            )  # fmt: skip
            self._enter_site(site)

    def _enter_site(self, facts: SiteFacts) -> None:
        officer = self.offices[facts.unit].officers[0]
        self.asking.act(lambda desk, now, request: ledger.enter(desk, Act(officer, now, request), facts))

    def complete_retrofits(self, today: date) -> None:
        """Two of three graded sites complete what they owe, some of them late."""
        for number, unit in enumerate(self.offices, 1):
            on = self.begins_on + timedelta(days=85 + 7 * number + (12 if number % 4 == 0 else 0))
            if number % 3 == 0 or unit in self._completed or today < on:
                continue
            self._completed.add(unit)
            self.retrofit(unit, credit_code(unit, _GRADED + number), today)

    def retrofit(self, unit: str, key: str, today: date) -> None:
        """Enter the retrofit of a site as done and publicised."""

        def work(desk: Desk, now: datetime, request: str) -> Any:
            act = Act(self.offices[unit].officers[0], now, request)
            site = ledger.find(desk.tx, [key])[key]
            change = {"ultra_low": {"completed_on": today - timedelta(days=9), "publicised_on": today}}
            return ledger.amend_by_id(desk, act, site["id"], site["version"], change)

        self.asking.act(work)

    def decide_objections(self, today: date) -> tuple[str, ...]:
        """Decide what is objected to; the cases of which an objection was upheld."""
        upheld = []
        is_open = _OBJECTIONS.c.state == "open"
        for row in self._rows(select(_OBJECTIONS).where(is_open).order_by(_OBJECTIONS.c.id)):
            lot = Chance.seeded(f"{self.seed}:objection:{row['id']}")
            waits, is_upheld, tries_first = 2 + lot.below(11), lot.fraction() < 0.4, lot.fraction() < 0.3
            passed = self.calendar.between(legal_day(row["lodged_at"]), today)
            office = self.offices[row["unit"]]
            if tries_first and passed == 1:
                self._decide(row, office.officers[0], is_upheld=is_upheld)  # took part: is refused
            if passed >= waits:
                decided = self._decide(row, office.apart, is_upheld=is_upheld)
                if isinstance(decided, EventRefused):  # upheld one of the same case before: the province decides
                    self._decide(row, self.province.apart, is_upheld=is_upheld)
                if is_upheld:
                    upheld.append(row["case_id"])
        return tuple(upheld)

    def _decide(self, row: dict[str, Any], caller: Caller, *, is_upheld: bool) -> Any:
        finding = "经现场核查属实，须整改" if is_upheld else "经现场核查，反映情况不属实"
        return self.asking.act(
            lambda desk, now, request: objections.decide(
                desk, Act(caller, now, request), row["id"], row["version"], upheld=is_upheld, finding=finding
            )
        )

    def answer(self, today: date) -> None:
        """Answer requests, in time or late, or never; some are given to somebody else first."""
        statement = select(requests.ROWS).where(requests.ROWS.c.state == requests.OPEN).order_by(requests.ROWS.c.id)
        for row in self._rows(statement):
            lot = Chance.seeded(f"{self.seed}:request:{row['id']}")
            how, waits, is_handed_on = lot.fraction(), lot.below(4), lot.fraction() < 0.15
            if how > 0.92:
                continue
            due = waits if how < 0.75 else 6 + waits
            passed = self.calendar.between(legal_day(row["received_at"]), today)
            if passed >= due:
                self._answer(row)
            elif is_handed_on and passed == 1:
                self._hand_on(row)

    def _answer(self, row: Mapping[str, Any]) -> None:
        officer, text = self.offices[row["unit"]].officers[0], "已联系企业并落实支持措施"
        self.asking.act(
            lambda desk, now, request: requests.answer(
                desk, Act(officer, now, request), row["id"], row["version"], text
            )
        )

    def _hand_on(self, row: Mapping[str, Any]) -> None:
        def work(desk: Desk, now: datetime, request: str) -> Any:
            act = Act(self.offices[row["unit"]].officers[0], now, request)
            handler = contacts.first_with(desk.tx, row["unit"], "officer") or ""
            return requests.assign(desk, act, row["id"], row["version"], handler)

        self.asking.act(work)

    def file(self, today: date) -> None:
        """Hand in filings, in time or late, or never; some come back and are handed in again."""
        near = _FILINGS.c.due_on.between(today - timedelta(days=25), today + timedelta(days=12))
        statement = select(
            *(_FILINGS.c[name] for name in ("id", "version", "unit", "due_on", "status", "submitted_at"))
        )
        statement = statement.where(near, _FILINGS.c.programme == self.programme.id).order_by(_FILINGS.c.id)
        for row in self._rows(statement):
            lot = Chance.seeded(f"{self.seed}:filing:{row['id']}")
            how, days, is_returned = lot.fraction(), 1 + lot.below(6), lot.fraction() < 0.07
            if how > 0.96:
                continue
            on = row["due_on"] - timedelta(days=days) if how < 0.82 else row["due_on"] + timedelta(days=days)
            if row["status"] in ("open", "returned") and today >= on:
                self._submit(row)
            elif is_returned and row["status"] == "submitted" and row["version"] == 1 and self._is_seen(row, today):
                self._send_back(row)

    def _is_seen(self, row: Mapping[str, Any], today: date) -> bool:
        return self.calendar.between(legal_day(row["submitted_at"]), today) >= 2

    def _submit(self, row: dict[str, Any]) -> None:
        caller = self.offices[row["unit"]].officers[0]
        self.asking.act(
            lambda desk, now, request: filings.submit(desk, Act(caller, now, request), row["id"], row["version"])
        )

    def _send_back(self, row: dict[str, Any]) -> None:
        caller = self.province.officers[0]
        self.asking.act(
            lambda desk, now, request: filings.return_(
                desk, Act(caller, now, request), row["id"], row["version"], "部分企业信息不完整，请补正"
            )
        )
