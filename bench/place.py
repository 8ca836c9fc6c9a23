"""Where it is measured: databases filled through the service's own use-cases, and `jinji serve` as a process."""

import http.client
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from pydantic_core import to_json

from bench.load import Item
from service.access import SYSTEM, Act, Caller
from service.casework import listing, moves, programmes, tokens
from service.casework.desk import Desk
from service.casework.listing import NewCase, NewSite
from service.casework.moves import Applied, Command
from service.errors import ServiceError
from service.running import Running, open_running
from service.sample import credit_code
from service.settings import Settings
from service.setup import migrate
from tests.postgres import free_port
from workflows.derive import derive
from workflows.programme import Role, packaged_sources
from workflows.working_days import SHANGHAI, legal_day

UNITS = ("410100", "410200", "410300", "410400")
_OUTSIDE = "基准测试：不在计划时段内"


@dataclass
class Filled:
    """What was put into a database: its cases as they stand, and tokens by unit; "province" sees all."""

    items: list[Item]
    tokens: dict[str, str]


def fill(settings: Settings, per_unit: int) -> Filled:
    """Migrate, and bring `per_unit` cases of each of four units to where they can be moved without end.

    Half of them are upgrading and have their plan amended; half are withdrawn and listed again. Their plan is Henan's
    of the year after this one and they are entered as of June of that: no event is earlier than the one before it, so a
    load on the real clock goes on from there, in the midst of a season.
    """
    migrate(settings)
    process = open_running(settings)
    try:
        filled = Filled([], {})
        plan = _publish_next_year(process)
        for unit in UNITS:
            filled.items += _unit(process, plan, unit, per_unit)
            filled.tokens[unit] = _token(process, f"officer {unit}", Role.UNIT, unit=unit)
        filled.tokens["province"] = _token(process, "province", Role.PROVINCE)
        return filled
    finally:
        process.db.close()


@dataclass(frozen=True, slots=True)
class _Plan:
    """The plan that is measured by, and its year."""

    id: str
    year: int

    @property
    def june(self) -> datetime:
        """A working morning of its season."""
        return datetime(self.year, 6, 12, 9, tzinfo=SHANGHAI)

    def day(self, month_and_day: str) -> str:
        """A day of its year."""
        return f"{self.year}-{month_and_day}"


def _publish_next_year(process: Running) -> _Plan:
    with process.db.reading() as tx:
        year = legal_day(process.clock.now(tx)).year + 1
    (source,) = (text for name, text in packaged_sources().items() if name == "henan-2024")
    with process.db.transaction() as tx:
        desk = Desk(tx, process.books)
        draft = derive(source, year, desk.calendar).source
        programmes.publish(tx, Act(SYSTEM, process.clock.now(tx)), draft.replace("draft = true", "draft = false"))
    return _Plan(f"henan-{year}", year)


def _token(process: Running, name: str, role: Role, **scope: Any) -> str:
    with process.db.transaction() as tx:
        desk = Desk(tx, process.books)
        return tokens.create(desk, Act(SYSTEM, process.clock.now(tx)), name=name, role=role, **scope)


def _unit(process: Running, plan: _Plan, unit: str, count: int) -> list[Item]:
    items: list[Item] = []
    for first in range(0, count, 500):
        with process.db.transaction() as tx:
            desk = Desk(tx, process.books)
            act = Act(Caller(f"bench-{unit}", f"officer {unit}", Role.UNIT, unit), plan.june)
            ids = _listed(desk, act, plan.id, unit, range(first, min(first + 500, count)))
            upgrading = ids[: len(ids) // 2]
            versions = _upgraded(desk, act, plan, upgrading)
        items += [_amended(case, unit, plan, versions) for case in upgrading]
        items += [_withdrawn(case, unit) for case in ids[len(upgrading) :]]
    return items


def _made(outcomes: list[Applied | ServiceError]) -> list[Applied]:
    for outcome in outcomes:
        if isinstance(outcome, ServiceError):
            raise outcome
    return [outcome for outcome in outcomes if isinstance(outcome, Applied)]


def _listed(desk: Desk, act: Act, plan: str, unit: str, numbers: range) -> list[str]:
    facts = {
        "industry": "foundry", "current_grade": "C", "target_grade": "B",
        "applied_on": str(legal_day(act.at) - timedelta(days=20)), "officer": "李工", "experts": ["周教授"],
    }  # fmt: skip
    lines = []
    for number in numbers:
        code = credit_code(unit, 80_000 + number)
        contact = {"name": "王联系", "phone": "0371-60001234"}
        site = NewSite(f"基准铸造有限公司{number}", code, f"{code}001P", contact=contact)
        lines.append(NewCase(plan, unit, site, facts, reason=_OUTSIDE))
    return [made.standing.case.id for made in _made(listing.list_cases(desk, act, lines))]


def _upgraded(desk: Desk, act: Act, plan: _Plan, cases: list[str]) -> int:
    """Bring cases to `upgrading` with a plan of three measures; the version at which they all stand."""
    today = str(legal_day(act.at))
    measures = [
        {
            "title": f"第{number}项：更换布袋除尘器并加装在线监测",
            "kind": "equipment_renewal",
            "due_on": plan.day(f"0{number}-30"),
        }
        for number in (7, 8, 9)
    ]
    steps = (
        ("pre_assess", {"assessed_on": today, "assessors": ["周教授", "吴工"], "gaps": {"fugitive": "料场未封闭"}}),
        (
            "file_plan",
            {
                "measures": measures,
                "investment_10k_cny": 120,
                "start_on": plan.day("06-10"),
                "finish_on": plan.day("09-30"),
            },
        ),
        ("start_upgrade", {"started_on": today}),
    )
    for version, (event, data) in enumerate(steps, 1):
        commands = [Command(act, case, event, data, frozenset({version}), _OUTSIDE) for case in cases]
        _made(moves.apply_events(desk, commands))
    return len(steps) + 1


def _body(event: str, data: dict[str, Any], reason: str) -> bytes:
    return to_json({"event": event, "data": data, "reason": reason})


def _amended(case: str, unit: str, plan: _Plan, version: int) -> Item:
    first, second = (
        _body(
            "amend_plan", {"change": [{"number": 2, "due_on": plan.day(day)}]}, "设备供货延期，经专班同意调整完成期限"
        )
        for day in ("09-15", "09-20")
    )
    return Item(case, unit, version, (first, second))


def _withdrawn(case: str, unit: str) -> Item:
    return Item(case, unit, 1, (_body("withdraw", {}, "企业申请暂缓"), _body("relist", {}, "企业恢复申报")))


class Service:
    """`jinji serve` over a database, in a process group of its own."""

    def __init__(self, settings: Settings, workers: int) -> None:
        self.port = settings.port
        self._workers = workers
        environment = {name: value for name, value in os.environ.items() if not name.startswith("JINJI_")}
        environment |= {
            "JINJI_DATABASE_URL": settings.database_url, "JINJI_PORT": str(settings.port),
        }  # fmt: skip
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 closed by stop()
        command = [sys.executable, "-m", "service.cli", "serve", "--workers", str(workers)]
        began = time.perf_counter()
        self._process = subprocess.Popen(
            command, env=environment, stdout=self._log, stderr=self._log, start_new_session=True
        )
        try:
            self._wait()
        except BaseException:
            self.stop()
            raise
        self.start_seconds = time.perf_counter() - began

    def _wait(self) -> None:
        """Until every worker listens: then as many sockets as workers are bound to the port."""
        deadline = time.perf_counter() + 30
        while time.perf_counter() < deadline:
            if self._process.poll() is not None:
                self._log.seek(0)
                raise RuntimeError(f"jinji serve ended: {self._log.read().decode()[-2000:]}")
            if _listening(self.port) >= self._workers and self._lives():
                return
            time.sleep(0.02)
        raise RuntimeError("jinji serve did not come up within 30 s")

    def _lives(self) -> bool:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=2)
        try:
            connection.request("GET", "/health/live")
            return connection.getresponse().status == 200
        except OSError:
            return False
        finally:
            connection.close()

    def pids(self) -> list[int]:
        """The processes that serve."""
        if self._workers == 1:
            return [self._process.pid]
        children = Path(f"/proc/{self._process.pid}/task/{self._process.pid}/children").read_text().split()
        return [int(pid) for pid in children]

    def resident_mb(self) -> list[float]:
        """The resident memory of each of them, in MB."""
        return [_resident(pid) for pid in self.pids()]

    def stop(self) -> None:
        """End the group that was started here."""
        if self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGTERM)
            try:
                self._process.wait(15)
            except subprocess.TimeoutExpired:
                os.killpg(self._process.pid, signal.SIGKILL)
                self._process.wait()
        self._log.close()


def _listening(port: int) -> int:
    """How many sockets listen on a port of 127.0.0.1."""
    wanted = f"0100007F:{port:04X}"
    lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
    return sum(1 for line in lines if (parts := line.split())[1] == wanted and parts[3] == "0A")


def _resident(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS:")) / 1024


@contextmanager
def serving(database_url: str, workers: int) -> Iterator[Service]:
    """A service over a filled database, on a free port."""
    service = Service(Settings(database_url=database_url, port=free_port()), workers)
    try:
        yield service
    finally:
        service.stop()
