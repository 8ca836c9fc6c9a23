"""The sample of `make run`: enterprises of all industries listed in every unit, their contacts, and a token for each role.

Names are invented, codes valid; everything goes through the use-cases of the service.
"""

import os
import shlex
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import select

from service.access import SYSTEM, Act, Caller, caller_of
from service.casework import contacts, listing, tokens
from service.casework.contacts import ContactFacts
from service.casework.desk import Desk
from service.casework.listing import NewCase, NewSite
from service.casework.moves import Applied
from service.errors import Unauthenticated
from service.running import Running
from service.settings import Settings
from service.storage.tables import CaseRow, table
from workflows.identity import check_digit
from workflows.programme import Area, Programme, Role
from workflows.working_days import SHANGHAI, legal_day

_CASES = table(CaseRow)
_PER_UNIT = 4
_BEGINS = "2024-05-20T09:00:00+08:00"
# Pre-assessment belongs to the days between these two.
_JUNE, _NOVEMBER = (datetime.fromisoformat(f"2024-{day}T09:00:00+08:00") for day in ("06-03", "11-15"))
_FIRST = (
    "恒远",
    "瑞丰",
    "中岳",
    "嵩阳",
    "黄河",
    "鼎盛",
    "宏达",
    "天源",
    "金谷",
    "豫北",
    "启明",
    "华泰",
    "汇鑫",
    "永昌",
    "德润",
)
_BUSINESS = {
    "steel": "钢铁", "cement": "水泥", "coking": "焦化", "foundry": "铸造", "refractory": "耐火材料", "glass": "玻璃",
    "lime_kiln": "石灰", "secondary_metal": "再生金属", "chemical": "化工", "industrial_coating": "机械涂装",
    "packaging_printing": "包装印刷", "abrasives": "磨料磨具", "other": "木业",
}  # fmt: skip
_DUTIES = ("officer", "supervisor", "handler")
_PEOPLE = ("林晓", "许文", "高峰", "梁静", "宋远", "邓航", "曹宁", "彭越", "曾悦", "田野", "董清", "袁方", "潘明")
_STEPS = (("D", "B"), ("C", "B-"), ("B", "A"), ("non_leading", "leading"), ("ungraded", "B"))


def credit_code(unit: str, number: int) -> str:
    """A valid credit code of an invented enterprise in a unit."""
    body = f"91{unit}MA{number:07d}"
    return body + check_digit(body)


def seed(process: Running, settings: Settings) -> str:
    """Fill an empty database; what the person who started it should read."""
    file = _tokens_file(settings)
    with process.db.transaction() as tx:
        desk = Desk(tx, process.books)
        now = process.clock.now(tx)
        cases = list(tx.execute(select(_CASES.c.id).order_by(_CASES.c.id).limit(_PER_UNIT)).scalars())
        is_empty = not cases
        if is_empty:
            cases = _list_everywhere(desk, now)
            _enter_contacts(desk, now)
        # A file that is gone, or holds the tokens of another database in the same folder, is written anew; but nobody
        # gets tokens for a database in earnest by starting the sample on it.
        if is_empty or (process.clock.mode == "virtual" and not _opens(desk, file, now)):
            _write_tokens(file, _tokens(desk, Act(SYSTEM, now), cases))
        unmoved = tx.execute(select(_CASES.c.id).where(_CASES.c.version == 1).order_by(_CASES.c.id).limit(1)).scalar()
    return _greeting(settings, process.clock.mode, now, file, cases[0], unmoved if unmoved in cases else None)


def _opens(desk: Desk, file: Path, now: datetime) -> bool:
    """Whether the tokens of the file are tokens of this database."""
    try:
        caller_of(desk.tx, _secrets(file)["admin"], now)
    except (KeyError, Unauthenticated):
        return False
    return True


def _secrets(file: Path) -> dict[str, str]:
    lines = file.read_text(encoding="utf-8").splitlines() if file.exists() else []
    return dict(line.split(maxsplit=1) for line in lines if " " in line)


def _tokens_file(settings: Settings) -> Path:
    """Beside an embedded database, else in var/."""
    scheme, _, path = settings.database_url.partition(":///")
    return (Path(path).parent if scheme == "sqlite" else Path("var")) / "tokens"


def _write_tokens(file: Path, secrets: dict[str, str]) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.unlink(missing_ok=True)
    with os.fdopen(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as out:
        out.writelines(f"{role} {secret}\n" for role, secret in secrets.items())


def _list_everywhere(desk: Desk, now: datetime) -> list[str]:
    """Enterprises of every industry in every unit of the newest programme; the ids of their cases."""
    programme = desk.books.programmes.newest(desk.tx)[0].programme
    listed: list[str] = []
    for row, unit in enumerate(programme.units):
        officer = Act(Caller(f"sample-{unit.code}", f"{unit.name.zh}填报员", Role.UNIT, unit.code), now)
        items = [_line(programme, unit, row * _PER_UNIT + number, number, now) for number in range(_PER_UNIT)]
        for outcome in listing.list_cases(desk, officer, items):
            if not isinstance(outcome, Applied):
                raise outcome
            listed.append(outcome.standing.case.id)
    return listed


def _line(programme: Programme, unit: Area, index: int, number: int, now: datetime) -> NewCase:
    industry = programme.industries[index % len(programme.industries)]
    current, target = ("B", "A") if industry.ultra_low else _STEPS[index % len(_STEPS)]
    code = credit_code(unit.code, index + 1)
    business = _BUSINESS.get(industry.id, industry.name.zh)
    site = NewSite(
        name=f"{unit.name.zh}{_FIRST[index % len(_FIRST)]}{business}有限公司（示例）",
        credit_code=code,
        permit_no=f"{code}001P",
        contact={
            "name": f"联系人{index + 1:02d}",
            "phone": f"0371-6000{index:04d}",
            "email": f"site{index + 1}@example.org",
        },
    )
    today = legal_day(now)
    facts = {
        "industry": industry.id,
        "current_grade": current,
        "target_grade": target,
        "applied_on": str(today - timedelta(days=1 + index % 15)),
        "officer": f"包联干部{number + 1}",
    }
    if industry.needs_detail:
        facts["industry_detail"] = "人造板制造"
    retrofitted = None
    if industry.ultra_low and number % 2 == 0:
        retrofitted = {"completed_on": today - timedelta(days=200), "publicised_on": today - timedelta(days=150)}
    return NewCase(programme.id, unit.code, site, facts, retrofitted, reason="示例数据")


def _enter_contacts(desk: Desk, now: datetime) -> None:
    """Somebody for each duty in every unit and in the province, which hands out no requests; confirmed."""
    programme = desk.books.programmes.newest(desk.tx)[0].programme
    act = Act(Caller("sample", "示例", Role.ADMIN), now)
    posts = [(unit.code, duty) for unit in programme.units for duty in _DUTIES]
    posts += [(programme.province.code, duty) for duty in _DUTIES if duty != "handler"]
    for number, (unit, duty) in enumerate(posts):
        name = _PEOPLE[number % len(_PEOPLE)]
        facts = ContactFacts(unit=unit, duty=duty, name=name, email=f"{duty}.{unit}@example.org")
        contacts.enter(desk, act, facts, confirmed_at=now)


def _tokens(desk: Desk, act: Act, cases: list[str]) -> dict[str, str]:
    """One token for each role, and a second unit's, so that scope can be seen."""
    programme = desk.books.programmes.newest(desk.tx)[0].programme
    first, second = programme.units[0], programme.units[1]
    site = desk.tx.execute(select(_CASES.c.enterprise).where(_CASES.c.id == cases[0])).scalar_one()

    def token(name: str, role: Role, **scope: Any) -> str:
        return tokens.create(desk, act, name=name, role=role, **scope)

    return {
        "admin": token("系统管理员", Role.ADMIN),
        "province": token("省厅 王处", Role.PROVINCE),
        f"unit-{first.code}": token(f"{first.name.zh} 李工", Role.UNIT, unit=first.code),
        f"unit-{first.code}-second": token(f"{first.name.zh} 赵工", Role.UNIT, unit=first.code),
        f"unit-{second.code}": token(f"{second.name.zh} 孙工", Role.UNIT, unit=second.code),
        "expert": token("专家 周教授", Role.EXPERT, cases=tuple(cases[:_PER_UNIT])),
        "enterprise": token("企业 环保科", Role.ENTERPRISE, enterprises=(site,)),
        "auditor": token("审计 陈组长", Role.AUDITOR),
    }


def _greeting(settings: Settings, mode: str, now: datetime, file: Path, first: str, unmoved: str | None) -> str:
    """What stands where, and what to do next; `unmoved` is a case of the first unit that nobody has moved yet."""
    host = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(settings.host, settings.host)  # noqa: S104 shown, not bound
    base = f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"
    still = ", virtual: it stands still until it is moved" if mode == "virtual" else ""
    secrets = "".join(f"  {name:20} {secret}\n" for name, secret in _secrets(file).items())
    lines = [
        "",
        f"jinji 晋级 at {base} (documentation: {base}/docs); Ctrl-C ends it",
        f"clock: {now.astimezone(SHANGHAI):%Y-%m-%d %H:%M} Asia/Shanghai{still}",
        "",
        f"tokens (kept in {file}):",
        secrets or "  none: jinji token create makes them\n",
    ]
    if secrets and mode == "virtual":
        lines += _to_paste(settings, base, now, file, first, unmoved)
    return "\n".join(lines)


_WORDS = """To paste into another terminal, in this folder:
  api={base}/api/v1
  token() {{ awk -v name="$1" '$1 == name {{ print $2 }}' {file}; }}
  as() {{ t=$(token "$1"); shift; curl -s -H "Authorization: Bearer $t" -H 'Content-Type: application/json' "$@" |
    python3 -m json.tool --no-ensure-ascii; }}"""
_CLOCK = """the clock to June:
  as admin $api/clock -d '{{"to": "{june}"}}'"""
_EVENT = """a case on its way:
  as {unit} $api/cases/{case}/events -H 'If-Match: "1"' -d '{{"event": "pre_assess", "data":
    {{"assessed_on": "{today}", "assessors": ["周教授"], "gaps": {{"fugitive": "料场未封闭"}}}}}}'"""
_REST = """what may happen to a case now, and what stands against it:
  as {unit} $api/cases/{case}/offers

The whole plan, walked by a script, while the clock stands in May:
  .venv/bin/python examples/walk.py --url {base} --tokens {file}
For the command jinji on this database: export {settings}
"""


def _told_otherwise(settings: Settings) -> Iterator[str]:
    """What a command beside this service has to be told so that it works on the same things."""
    usual = Settings(base_url=f"http://{settings.host}:{settings.port}")
    for name in ("database_url", "clock", "mail", "mail_from", "host", "port", "base_url"):
        told = getattr(settings, name)
        if told != getattr(usual, name):
            yield f"JINJI_{name.upper()}={shlex.quote(str(told))}"


def _to_paste(settings: Settings, base: str, now: datetime, file: Path, first: str, unmoved: str | None) -> list[str]:
    parts = [_WORDS]
    if unmoved is not None and now < _NOVEMBER:
        parts += [_CLOCK, _EVENT] if now < _JUNE else [_EVENT]
    return [
        part.format(
            base=base, file=file, june=_JUNE.isoformat(), today=legal_day(max(now, _JUNE)), case=unmoved or first,
            unit=next(name for name in _secrets(file) if name.startswith("unit-")),
            settings=" ".join(_told_otherwise(settings)),
        )
        for part in (*parts, _REST)
    ]  # fmt: skip
