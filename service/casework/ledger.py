"""The ledger of sites (信息台账, 二（二）): entered, amended, found by their code, with the grade they hold."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import Connection, or_, select

from service import access
from service.access import Act, Caller
from service.casework import audit, breaches, correspondence, obligations, private
from service.casework.desk import Desk
from service.casework.obligations import Whose
from service.errors import EnterpriseExists, Malformed, NotFound, VersionStale
from service.storage.tables import Enterprise, table
from workflows import obligations as rules
from workflows.case import Case
from workflows.faults import fault
from workflows.identity import is_credit_code, is_permit_number, site_key
from workflows.obligations import Outcome, Owed
from workflows.programme import Cites, Programme
from workflows.text import Reason
from workflows.working_days import legal_day

_SITES = table(Enterprise)


@dataclass(frozen=True, slots=True)
class UltraLow:
    """The dates of the ultra-low-emission retrofit of a site (二（一）): owed by, completed, publicised."""

    due_on: date | None = None
    completed_on: date | None = None
    publicised_on: date | None = None


@dataclass(frozen=True, slots=True)
class SiteFacts:
    """What is said of a site. `contact` is personal: name, phone, e-mail."""

    unit: str
    name: str
    credit_code: str
    industry: str
    grade: str
    permit_no: str | None = None
    county: str | None = None
    contact: Mapping[str, Any] | None = None
    ultra_low: UltraLow = field(default_factory=UltraLow)

    @property
    def key(self) -> str:
        """What names the site."""
        return site_key(self.credit_code, self.permit_no)


def code_faults(credit_code: str, permit_no: str | None, cites: Cites, at: str = "") -> Iterable[Reason]:
    """What is wrong with the codes by themselves (GB 32100-2015)."""
    if not is_credit_code(credit_code):
        yield fault(
            "wrong_credit_code", f"{at}credit_code",
            "统一社会信用代码有误：应为 18 位（字母大写）且校验位正确（GB 32100-2015），请对照营业执照",
            "not a unified social credit code: 18 characters, letters in upper case, with a right check digit "
            "(GB 32100-2015)", cites.ledger,
        )  # fmt: skip
    if permit_no is not None and not (is_permit_number(permit_no) and permit_no.startswith(credit_code)):
        yield fault(
            "wrong_permit_number", f"{at}permit_no",
            "排污许可证编号或登记编号有误：应为本企业 18 位信用代码加三位数字加一位数字或字母",
            "not a permit or registration number: this enterprise's credit code, three digits, one letter or digit", cites.ledger,
        )  # fmt: skip


def ultra_low_faults(ultra_low: UltraLow, today: date, cites: Cites, at: str = "ultra_low") -> Iterable[Reason]:
    """What is wrong with the dates of the retrofit by themselves."""
    for name in ("completed_on", "publicised_on"):
        value = getattr(ultra_low, name)
        if value is not None and value > today:
            yield fault(
                "in_the_future",
                f"{at}.{name}",
                f"{value} 晚于今天（{today}）",
                f"{value} is later than today ({today})",
                cites.retrofit,
            )
    completed_on, publicised_on = ultra_low.completed_on, ultra_low.publicised_on
    if completed_on is not None and publicised_on is not None and publicised_on < completed_on:
        yield fault(
            "publicised_before_completed",
            f"{at}.publicised_on",
            f"公示日期（{publicised_on}）早于改造完成日期（{completed_on}）",
            f"it was publicised ({publicised_on}) before it was completed ({completed_on})",
            cites.retrofit,
        )


def site_faults(facts: SiteFacts, programmes: Sequence[Programme], today: date) -> list[Reason]:
    """Everything wrong with a site's facts by themselves: codes, and a unit, industry or grade no programme knows."""
    cites = programmes[0].cites
    faults = [*code_faults(facts.credit_code, facts.permit_no, cites), *ultra_low_faults(facts.ultra_low, today, cites)]
    if not any(facts.unit in programme.unit_by_code for programme in programmes):
        faults.append(
            fault("unknown_unit", "unit", f"没有填报单位“{facts.unit}”", f"no unit '{facts.unit}'", cites.units)
        )
    if not any(facts.industry in programme.industry_by_id for programme in programmes):
        faults.append(
            fault(
                "unknown_industry",
                "industry",
                f"没有行业“{facts.industry}”",
                f"no industry '{facts.industry}'",
                cites.industries,
            )
        )
    if not any(facts.grade in programme.grade_by_id for programme in programmes):
        faults.append(
            fault("unknown_grade", "grade", f"没有等级“{facts.grade}”", f"no grade '{facts.grade}'", cites.grades)
        )
    return faults


def entering(desk: Desk, act: Act, facts: SiteFacts) -> tuple[dict[str, Any], dict[str, Any], dict[str, str] | None]:
    """The rows that enter a site: its own, its audit entry's, and the one that keeps its contact, if any."""
    kept, commitment = private.prepared(desk.chance, facts.contact, act.at) if facts.contact else (None, None)
    site_id = desk.chance.id(act.at)
    public = _public(facts)
    entry = audit.row_of(
        audit.Entry(
            act, "enterprise", site_id, 1, "enter", None, facts.unit,
            data={"contact_commitment": commitment} if commitment else {}, changes=public,
        )
    )  # fmt: skip
    row = {
        **_columns(facts), "id": site_id, "contact": kept["id"] if kept else None, "version": 1, "head": entry["hash"],
    }  # fmt: skip
    return row, entry, kept


def enter(desk: Desk, act: Act, facts: SiteFacts) -> dict[str, Any]:
    """Enter a site. Raises EnterpriseExists for one whose key stands already, NotFound for another unit's."""
    programmes = [lifecycle.programme for lifecycle in desk.books.programmes.newest(desk.tx)]
    if faults := site_faults(facts, programmes, legal_day(act.at)):
        raise Malformed(*faults)
    access.require_seen(act.caller, unit=facts.unit)
    if find(desk.tx, [facts.key]):
        raise EnterpriseExists
    row, entry, kept = entering(desk, act, facts)
    if kept:
        private.insert(desk.tx, [kept])
    desk.tx.execute(_SITES.insert().values(**row))
    audit.insert(desk.tx, [entry])
    obligations.put(desk.tx, retrofit(desk, None, row, act.at))
    return row


def amend(desk: Desk, act: Act, site: Mapping[str, Any], facts: SiteFacts, reason: str | None = None) -> dict[str, Any]:
    """Make a locked site's facts be `facts`; the row as it is then (unchanged where nothing changes)."""
    before = facts_of(site, private.read(desk.tx, {site["contact"]}).get(site["contact"]) if site["contact"] else None)
    was, is_ = _public(before), _public(facts)
    changes = {name: value for name, value in is_.items() if was[name] != value}
    data = {}
    contact = site["contact"]
    if facts.contact != before.contact:
        contact, commitment = private.keep(desk.tx, desk.chance, facts.contact, act.at)
        data = {"contact_commitment": commitment}
    if not changes and not data:
        return dict(site)
    if facts.key != before.key and find(desk.tx, [facts.key]):
        raise EnterpriseExists
    entry = audit.Entry(
        act, "enterprise", site["id"], site["version"] + 1, "amend", site["head"], facts.unit, reason, data, changes
    )
    (head,) = audit.append(desk.tx, [entry])
    row = {**_columns(facts), "contact": contact, "version": site["version"] + 1, "head": head}
    desk.tx.execute(_SITES.update().where(_SITES.c.id == site["id"]).values(**row))
    after = {**site, **row}
    _owe(desk, retrofit(desk, site, after, act.at), act.at)
    if facts.contact != before.contact:
        to = facts.contact or {"name": ""}
        correspondence.redirect(desk.tx, f"site:{site['id']}", to.get("email"), to["name"])
    return after


def retrofit(
    desk: Desk, before: Mapping[str, Any] | None, after: Mapping[str, Any], at: datetime
) -> list[dict[str, Any]]:
    """The row of the ultra-low-emission retrofit that changes when a site goes from `before` (None: it was not there)
    to `after` at the instant `at` (二（一）): owed by a site in a grade that demands it until it is completed."""
    known = _knowing(desk, before, after)
    was, is_ = (_retrofit_owed(known, site, at) for site in (before, after))
    whose = Whose(after["unit"], enterprise=after["id"])
    if is_ is not None:
        programme, owed = is_
        return [] if is_ == was else [obligations.opened(programme, desk.calendar, owed, whose, at)]
    if was is None:
        return []
    programme, owed = was
    outcome = Outcome.CLOSED if after["ultra_low_completed_on"] is None else Outcome.MET
    return [obligations.closed(programme, owed, whose, outcome, at)]


def _knowing(desk: Desk, *sites: Mapping[str, Any] | None) -> Sequence[Programme]:
    """The programmes of which one may ask for the retrofit, newest first; none where no site has a day for it."""
    if not any(site is not None and site["ultra_low_due_on"] is not None for site in sites):
        return ()
    programmes = (lifecycle.programme for lifecycle in desk.books.programmes.newest(desk.tx))
    return sorted(programmes, key=lambda programme: programme.year, reverse=True)


def _retrofit_owed(
    known: Sequence[Programme], site: Mapping[str, Any] | None, at: datetime
) -> tuple[Programme, Owed] | None:
    if site is None or site["ultra_low_completed_on"] is not None:
        return None
    programme = next((each for each in known if site["industry"] in each.industry_by_id), None)
    if programme is None:
        return None
    owed = rules.ultra_low(
        programme, site["id"], site["unit"], site["industry"], site["grade"], site["ultra_low_due_on"], at
    )
    return None if owed is None else (programme, owed)


def amend_by_id(
    desk: Desk, act: Act, site_id: str, version: int, change: Mapping[str, Any], reason: str | None = None
) -> dict[str, Any]:
    """Change some facts of a site (PATCH). Raises NotFound, VersionStale, Malformed, EnterpriseExists."""
    site = locked(desk.tx, act.caller, site_id)
    if site["version"] != version:
        raise VersionStale(version=site["version"])
    contact = private.read(desk.tx, {site["contact"]}).get(site["contact"]) if site["contact"] else None
    facts = changed(facts_of(site, contact), change)
    programmes = [lifecycle.programme for lifecycle in desk.books.programmes.newest(desk.tx)]
    if faults := site_faults(facts, programmes, legal_day(act.at)):
        raise Malformed(*faults)
    access.require_seen(act.caller, unit=facts.unit)
    return amend(desk, act, site, facts, reason)


def changed(facts: SiteFacts, change: Mapping[str, Any]) -> SiteFacts:
    """`facts` with some of them replaced; the parts of `ultra_low` one by one."""
    change = dict(change)
    ultra_low = change.pop("ultra_low", None)
    if ultra_low is not None:
        change["ultra_low"] = replace(facts.ultra_low, **ultra_low)
    return replace(facts, **change)


def locked(tx: Connection, caller: Caller, site_id: str) -> dict[str, Any]:
    """A site's row, locked for change. Raises NotFound outside the caller's scope."""
    statement = (
        select(_SITES).where(_SITES.c.id == site_id, access.enterprises_seen(caller)).with_for_update(key_share=True)
    )
    row = tx.execute(statement).mappings().one_or_none()
    if row is None:
        raise NotFound
    return dict(row)


def record_grade(desk: Desk, act: Act, before: Case, after: Case, *, recognised: bool) -> None:
    """Write into the ledger the grade that a recognition gives, or that its loss leaves (动态调整, 二（五）).

    The ledger holds the grade of a site's own industry: a case of another industry does not touch it.
    """
    statement = select(_SITES).where(_SITES.c.id == after.enterprise).with_for_update(key_share=True)
    site = dict(desk.tx.execute(statement).mappings().one())
    grade = after.grade_reached if recognised else before.current_grade
    if site["industry"] != after.industry or grade is None or site["grade"] == grade:
        return
    if not recognised and site["grade"] != before.grade_reached:
        return  # it holds another since, which this case did not give it
    entry = audit.Entry(
        act, "enterprise", site["id"], site["version"] + 1, "grade", site["head"], site["unit"],
        data={"case": after.id}, changes={"grade": grade},
    )  # fmt: skip
    (head,) = audit.append(desk.tx, [entry])
    change = {"grade": grade, "version": site["version"] + 1, "head": head}
    desk.tx.execute(_SITES.update().where(_SITES.c.id == site["id"]).values(**change))
    _owe(desk, retrofit(desk, site, {**site, **change}, act.at), act.at)


def _owe(desk: Desk, owes: list[dict[str, Any]], at: datetime) -> None:
    breaches.settle(desk, owes, at)
    obligations.put(desk.tx, owes)


def find(tx: Connection, keys: Iterable[str]) -> dict[str, dict[str, Any]]:
    """The sites that these keys name, by key, whoever's they are."""
    rows = tx.execute(select(_SITES).where(_SITES.c.site_key.in_(set(keys)))).mappings()
    return {row["site_key"]: dict(row) for row in rows}


def read(tx: Connection, caller: Caller, site_id: str) -> dict[str, Any]:
    """One site with its contact. Raises NotFound."""
    row = (
        tx.execute(select(_SITES).where(_SITES.c.id == site_id, access.enterprises_seen(caller)))
        .mappings()
        .one_or_none()
    )
    if row is None:
        raise NotFound
    return with_contacts(tx, [dict(row)])[0]


def search(
    tx: Connection,
    caller: Caller,
    *,
    unit: str | None,
    grade: str | None,
    q: str | None,
    limit: int,
    after: str | None,
) -> list[dict[str, Any]]:
    """Up to `limit` sites in scope beyond the id `after`, in the order of entry."""
    statement = select(_SITES).where(access.enterprises_seen(caller)).order_by(_SITES.c.id).limit(limit)
    if unit is not None:
        statement = statement.where(_SITES.c.unit == unit)
    if grade is not None:
        statement = statement.where(_SITES.c.grade == grade)
    if q is not None:
        statement = statement.where(named_like(q))
    if after is not None:
        statement = statement.where(_SITES.c.id > after)
    return with_contacts(tx, [dict(row) for row in tx.execute(statement).mappings()])


def named_like(q: str) -> Any:
    """The condition that a site's name or codes contain the text."""
    return or_(
        _SITES.c.name.contains(q, autoescape=True),
        _SITES.c.credit_code.contains(q, autoescape=True),
        _SITES.c.permit_no.contains(q, autoescape=True),
    )


def with_contacts(tx: Connection, rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows with the text of their contacts in place of its id."""
    contacts = private.read(tx, {row["contact"] for row in rows if row["contact"]})
    return [{**row, "contact": contacts.get(row["contact"])} for row in rows]


def facts_of(site: Mapping[str, Any], contact: Mapping[str, Any] | None) -> SiteFacts:
    """What a row says of a site."""
    ultra_low = UltraLow(site["ultra_low_due_on"], site["ultra_low_completed_on"], site["ultra_low_publicised_on"])
    return SiteFacts(
        site["unit"], site["name"], site["credit_code"], site["industry"], site["grade"], site["permit_no"],
        site["county"], contact, ultra_low,
    )  # fmt: skip


def _columns(facts: SiteFacts) -> dict[str, Any]:
    return {
        "site_key": facts.key,
        "unit": facts.unit,
        "name": facts.name,
        "credit_code": facts.credit_code,
        "permit_no": facts.permit_no,
        "county": facts.county,
        "industry": facts.industry,
        "grade": facts.grade,
        "ultra_low_due_on": facts.ultra_low.due_on,
        "ultra_low_completed_on": facts.ultra_low.completed_on,
        "ultra_low_publicised_on": facts.ultra_low.publicised_on,
    }


def told_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """What the history of a site tells of a row: all but its contact."""
    return _public(facts_of(row, None))


def _public(facts: SiteFacts) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, date) else value for name, value in _columns(facts).items()}
