"""Entering enterprises into the list (附件1, 二（二）): one or a thousand, set-wise, each failing alone."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pydantic_core import to_json
from sqlalchemy import select

from service.access import Act
from service.casework import audit, ledger, obligations, private
from service.casework.desk import Desk
from service.casework.ledger import SiteFacts, UltraLow
from service.casework.moves import Applied, columns
from service.casework.standing import Standing
from service.errors import CaseExists, EnterpriseExists, EventRefused, Malformed, NotFound, NotYourRole, ServiceError
from service.storage.tables import CaseRow, Enterprise, table
from workflows.case import Case, dump
from workflows.events import Listing, read_data
from workflows.facts import Actor, Facts, Site
from workflows.faults import fault
from workflows.lifecycle import Lifecycle, Refused
from workflows.programme import UNLISTED, Programme
from workflows.text import Reason, Text, quoted
from workflows.working_days import legal_day

_CASES, _SITES = table(CaseRow), table(Enterprise)


@dataclass(frozen=True, slots=True)
class NewSite:
    """A site that is sent whole with its case: found by its code, or entered."""

    name: str
    credit_code: str
    permit_no: str | None = None
    county: str | None = None
    contact: Mapping[str, Any] | None = None

    @property
    def key(self) -> str:
        """What names the site."""
        return self.permit_no or self.credit_code


@dataclass(frozen=True, slots=True)
class NewCase:
    """One line of the list: the site (by id or whole), the data of the event, and what the ledger is to keep."""

    programme: str
    unit: str
    enterprise: str | NewSite
    data: Mapping[str, Any]
    ultra_low: Mapping[str, Any] | None = None
    reason: str | None = None


def list_cases(
    desk: Desk, act: Act, items: Sequence[NewCase], *, dry_run: bool = False
) -> list[Applied | ServiceError]:
    """Decide and write every line; for each, the case that was listed, or why not."""
    round_ = _Round(desk, act, items)
    outcomes: list[Applied | ServiceError] = []
    for item in items:
        try:
            outcomes.append(round_.take(item))
        except ServiceError as error:
            outcomes.append(error)
    if not dry_run:
        round_.write()
    return outcomes


class _Round:
    """One call's lines: what they name is looked up once, what they make is written once."""

    def __init__(self, desk: Desk, act: Act, items: Sequence[NewCase]) -> None:
        self.desk, self.act = desk, act
        new = [item.enterprise for item in items if isinstance(item.enterprise, NewSite)]
        self.by_key = ledger.find(desk.tx, [site.key for site in new])
        ids = {item.enterprise for item in items if isinstance(item.enterprise, str)}
        found = desk.tx.execute(select(_SITES).where(_SITES.c.id.in_(ids))).mappings()
        self.by_id = {row["id"]: dict(row) for row in found}
        self.by_id |= {row["id"]: row for row in self.by_key.values()}
        taken = select(_CASES.c.programme, _CASES.c.enterprise, _CASES.c.industry, _CASES.c.id)
        taken = taken.where(_CASES.c.enterprise.in_(self.by_id))
        self.taken = {(row.programme, row.enterprise, row.industry): row.id for row in desk.tx.execute(taken)}
        self.sites: list[dict[str, Any]] = []
        self.contacts: list[dict[str, str]] = []
        self.entries: list[dict[str, Any]] = []
        self.cases: list[dict[str, Any]] = []
        self.owes: list[dict[str, Any]] = []
        self.amended: dict[str, Mapping[str, Any]] = {}

    def take(self, item: NewCase) -> Applied:
        """Decide one line. Raises what is wrong with it; nothing of it is kept then."""
        lifecycle, data, ultra_low = self._read(item)
        if not self.act.caller.sees(unit=item.unit):
            raise NotFound(
                Text(f"单位 {item.unit} 不在您的权限范围内", f"unit {item.unit} is not within your scope"),
                (fault("not_found", "unit", "不在您的权限范围内", "not within your scope"),),
            )
        site = self._known_site(item)
        if site is not None and (held := _held(lifecycle.programme, data, site)):
            raise Malformed(held)
        if site is not None and (taken := self.taken.get((item.programme, site["id"], data.industry))):
            raise CaseExists(case=taken)
        case = self._decide(item, lifecycle, data, ultra_low, site)
        site = self._enter(item, data, ultra_low) if site is None else self._amend(site, item)
        return self._record(item, lifecycle, case, site)

    def _read(self, item: NewCase) -> tuple[Lifecycle, Listing, UltraLow]:
        try:
            lifecycle = self.desk.lifecycle(item.programme)
        except NotFound:
            raise Malformed(
                fault(
                    "unknown_programme",
                    "programme",
                    f"没有行动方案“{item.programme}”",
                    f"no programme '{item.programme}'",
                )
            ) from None
        programme = lifecycle.programme
        faults: list[Reason] = []
        if item.unit not in programme.unit_by_code:
            known = "、".join(programme.unit_by_code)
            faults.append(
                fault(
                    "unknown_unit",
                    "unit",
                    f"没有填报单位“{item.unit}”；可选：{known}",
                    f"no unit '{item.unit}'; there are {', '.join(programme.unit_by_code)}",
                    programme.cites.units,
                )
            )
        event = programme.event_of_kind("list")
        if event is None:
            raise Malformed(fault("not_listing", "programme", "该方案不设培育清单", "this programme does not list"))
        if self.act.caller.role not in event.roles:
            raise NotYourRole.but(self.act.caller.role, *event.roles)
        today = legal_day(self.act.at)
        data = read_data(event.kind, item.data, programme, today, at="")
        if isinstance(data, tuple):
            faults.extend(data)
        if isinstance(item.enterprise, NewSite):
            faults.extend(
                ledger.code_faults(
                    item.enterprise.credit_code, item.enterprise.permit_no, programme.cites, "enterprise."
                )
            )
        elif item.enterprise not in self.by_id or not self.act.caller.sees(unit=self.by_id[item.enterprise]["unit"]):
            faults.append(
                fault(
                    "unknown_enterprise",
                    "enterprise",
                    "企业台账中没有这一厂区",
                    "no such site in the ledger",
                    programme.cites.ledger,
                )
            )
        ultra_low = UltraLow(**(item.ultra_low or {}))
        faults.extend(ledger.ultra_low_faults(self._as_they_will_stand(item, ultra_low), today, programme.cites))
        if isinstance(data, tuple) or faults:
            raise Malformed(*faults)
        assert isinstance(data, Listing)
        return lifecycle, data, ultra_low

    def _as_they_will_stand(self, item: NewCase, told: UltraLow) -> UltraLow:
        """The dates of the retrofit that the line leaves at its site; of a site out of scope only what was sent."""
        here = item.enterprise
        site = self.by_id.get(here) if isinstance(here, str) else self.by_key.get(here.key)
        if site is None or site["unit"] != item.unit or not self.act.caller.sees(unit=item.unit):
            return told
        return replace(ledger.facts_of(site, None).ultra_low, **self._dates_told(site["id"], item))

    def _dates_told(self, site_id: str, item: NewCase) -> dict[str, Any]:
        """What this line and those before it tell of a site's dates."""
        told = {name: value for name, value in (item.ultra_low or {}).items() if value is not None}
        return {**self.amended.get(site_id, {}).get("ultra_low", {}), **told}

    def _known_site(self, item: NewCase) -> dict[str, Any] | None:
        if isinstance(item.enterprise, str):
            site = self.by_id[item.enterprise]
        else:
            found = self.by_key.get(item.enterprise.key)
            if found is None:
                return None
            site = found
        if site["unit"] != item.unit:
            raise EnterpriseExists
        return site

    def _decide(
        self, item: NewCase, lifecycle: Lifecycle, data: Listing, ultra_low: UltraLow, site: Mapping[str, Any] | None
    ) -> Case:
        act = self.act
        case = Case(
            id=self.desk.chance.id(act.at),
            programme=item.programme,
            programme_version=lifecycle.programme.version,
            unit=item.unit,
            enterprise="",
            listed_at=act.at,
            entered_at=act.at,
            state=UNLISTED,
            industry=data.industry,
            industry_detail=data.industry_detail,
            current_grade=data.current_grade,
            target_grade=data.target_grade,
            applied_on=data.applied_on,
            finish_by=data.finish_by,
            officer=data.officer,
            experts=data.experts,
            remark=data.remark,
        )
        event = lifecycle.programme.event_of_kind("list")
        assert event is not None
        facts = Facts(
            case=case,
            actor=Actor(act.caller.name, act.caller.role),
            now=act.at,
            calendar=self.desk.calendar,
            site=Site(
                ultra_low.completed_on or (site["ultra_low_completed_on"] if site else None),
                ultra_low.publicised_on or (site["ultra_low_publicised_on"] if site else None),
            ),
        )
        decided = lifecycle.decide(facts, event.name, data, item.reason)
        if isinstance(decided, Refused):
            raise EventRefused(None, decided.reasons)
        return decided.after

    def _enter(self, item: NewCase, data: Listing, ultra_low: UltraLow) -> dict[str, Any]:
        new = item.enterprise
        assert isinstance(new, NewSite)
        facts = SiteFacts(
            item.unit, new.name, new.credit_code, data.industry, data.current_grade, new.permit_no, new.county,
            new.contact, ultra_low,
        )  # fmt: skip
        row, entry, kept = ledger.entering(self.desk, self.act, facts)
        self.sites.append(row)
        self.entries.append(entry)
        if kept:
            self.contacts.append(kept)
        self.by_key[facts.key] = self.by_id[row["id"]] = row
        return row

    def _amend(self, site: dict[str, Any], item: NewCase) -> dict[str, Any]:
        """What the line adds to a known site: dates of the retrofit, and a contact where there is none."""
        change: dict[str, Any] = {}
        told = self._dates_told(site["id"], item)
        if any(site[f"ultra_low_{name}"] != value for name, value in told.items()):
            change["ultra_low"] = told
        if isinstance(item.enterprise, NewSite) and item.enterprise.contact and not site["contact"]:
            change["contact"] = item.enterprise.contact
        if change:
            self.amended[site["id"]] = {**self.amended.get(site["id"], {}), **change}
        return {**site, **{f"ultra_low_{name}": value for name, value in told.items()}}

    def _record(self, item: NewCase, lifecycle: Lifecycle, case: Case, site: Mapping[str, Any]) -> Applied:
        case = replace(case, enterprise=site["id"])  # a new site has its id only once it is entered
        document = dump(case)
        event = lifecycle.programme.event_of_kind("list")
        assert event is not None
        entry = audit.row_of(
            audit.Entry(
                self.act, "case", case.id, 1, event.name, None, case.unit, item.reason, _plain(item.data), document
            )
        )
        row = {
            "id": case.id,
            "programme": case.programme,
            "programme_version": case.programme_version,
            "enterprise": case.enterprise,
            "unit": case.unit,
            "industry": case.industry,
            "current_grade": case.current_grade,
            "listed_at": case.listed_at,
            "version": 1,
            "head": entry["hash"],
            "stalled": None,
            "facts": to_json(document).decode(),
            **columns(self.desk, case, lifecycle),
        }
        self.cases.append(row)
        self.owes += obligations.between(lifecycle.programme, self.desk.calendar, None, case, self.act.at)
        self.entries.append(entry)
        self.taken[case.programme, case.enterprise, case.industry] = case.id
        shown = {
            **row,
            "site_name": site["name"],
            "site_credit_code": site["credit_code"],
            "site_permit_no": site["permit_no"],
            "site_county": site["county"],
            "site_completed_on": site["ultra_low_completed_on"],
            "site_publicised_on": site["ultra_low_publicised_on"],
        }
        return Applied(Standing(shown, case, document), audit.entry_id(entry), entry["hash"])

    def write(self) -> None:
        """Write what the lines made, in the order of what rests on what."""
        tx = self.desk.tx
        # Locked before the inserts and in order, and in the mode that a case's reference to its site does not wait for:
        # otherwise two who list for one site hold what the other wants.
        locked = {site_id: ledger.locked(tx, self.act.caller, site_id) for site_id in sorted(self.amended)}
        if self.contacts:
            private.insert(tx, self.contacts)
        if self.sites:
            tx.execute(_SITES.insert(), sorted(self.sites, key=lambda row: row["site_key"]))
        if self.cases:
            tx.execute(_CASES.insert(), sorted(self.cases, key=lambda row: (row["enterprise"], row["industry"])))
        audit.insert(tx, self.entries)
        obligations.put(tx, self.owes)
        for site_id, change in self.amended.items():
            site = locked[site_id]
            contact = private.read(tx, {site["contact"]}).get(site["contact"]) if site["contact"] else None
            ledger.amend(self.desk, self.act, site, ledger.changed(ledger.facts_of(site, contact), change))


def _plain(data: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in data.items() if value is not None}


def _held(programme: Programme, data: Listing, site: Mapping[str, Any]) -> Reason | None:
    """The fault of a line that says another present grade than the ledger has for that industry of the site (一, 新增)."""
    known = programme.grade_by_id.get(site["grade"])
    if known is None or site["industry"] != data.industry or known.id == data.current_grade:
        return None
    return fault(
        "grade_differs",
        "current_grade",
        f"企业台账所载现等级为{quoted(known.name).zh}：请照此填写；台账有误的，先更正台账",
        f"the ledger has this site at {quoted(known.name).en}: say so here, or correct the ledger first if that is wrong",
        programme.cites.grades,
    )
