"""The audit: a chain for each thing that nobody changes unseen, asked as pages and streams, without personal data."""

import csv
import importlib
import io
import json
import subprocess
import sys
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest
import rfc8785
import structlog
from sqlalchemy import Connection, event, select, text
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from service.access import SYSTEM, Caller
from service.api.audit import _cell
from service.casework import audit, private, verification
from service.storage.tables import Enterprise, Notice, NoticeEntryRow, PrivateText, table
from tests.service.world import KAIFENG, ZHENGZHOU, World
from workflows.programme import Role

OFFICER = f"officer {ZHENGZHOU}"
VERIFY = Path(__file__).resolve().parents[2] / "examples" / "verify.py"
CONTACT = {"name": "欧阳举报", "phone": "0371-69998877", "email": "ouyang@example.com"}


def _entries(world: World, query: str = "", who: str = "auditor") -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = world.call(who, "GET", f"/audit?limit=200{query}{cursor}").json()
        found += page["items"]
        if page["next"] is None:
            return found
        cursor = f"&cursor={page['next']}"


def _verified(world: World, subject: str | None = None) -> dict[str, Any]:
    answer = world.call("auditor", "GET", f"/audit/verify{f'?subject={subject}' if subject else ''}")
    assert answer.status_code == 200
    found: dict[str, Any] = answer.json()
    return found


def _hash(entry: dict[str, Any]) -> str:
    """The hash of an entry as somebody outside recomputes it from what the API shows."""
    names = ("action", "actor", "changes", "data", "prev", "reason", "request_id", "subject", "unit", "version")
    at = audit.instant_text(datetime.fromisoformat(entry["at"]))
    return sha256(rfc8785.dumps({**{name: entry[name] for name in names}, "at": at})).hexdigest()


def test_every_chain_is_whole_and_can_be_recomputed_from_outside(world: World) -> None:
    case = world.listed()
    world.published(case)
    world.at("2024-09-11")
    world.call(OFFICER, "PATCH", f"/cases/{case}", {"remark": "附文号"}, version=world.case(case)["version"])
    verified = _verified(world)
    entries = _entries(world)
    assert verified == {"ok": True, "entries": len(entries), "broken": []}
    chains: dict[tuple[str, str], list[dict[str, Any]]] = {}
    for entry in reversed(entries):
        assert entry["hash"] == _hash(entry)
        assert entry["id"] == f"{entry['subject']['id']}.{entry['version']}"
        chains.setdefault((entry["subject"]["type"], entry["subject"]["id"]), []).append(entry)
    for chain in chains.values():
        assert [entry["version"] for entry in chain] == list(range(1, len(chain) + 1))
        assert [entry["prev"] for entry in chain] == [None, *(entry["hash"] for entry in chain[:-1])]
    assert world.case(case)["head"] == chains["case", case][-1]["hash"]
    assert {kind for kind, _ in chains} == {
        "case", "enterprise", "notice", "token", "calendar", "programme", "clock", "obligation",
    }  # fmt: skip
    assert _verified(world, case) == {"ok": True, "entries": len(chains["case", case]), "broken": []}
    assert _verified(world, "nothing") == {"ok": True, "entries": 0, "broken": []}


@pytest.mark.parametrize("statement", [
    "UPDATE audit SET reason = 'other' WHERE version = 1",
    "UPDATE audit SET seq = seq + 1000000",
    "DELETE FROM audit",
    "DELETE FROM audit WHERE version = 1",
    "sqlite: INSERT OR REPLACE INTO audit SELECT * FROM audit WHERE subject_type = 'case'",
    ("sqlite: REPLACE INTO audit (at, actor_id, actor_name, actor_role, action, subject_type, subject_id, version, data, "
    "changes, hash) SELECT at, actor_id, actor_name, actor_role, action, subject_type, subject_id, version, '{}', "
    "'{}', hash FROM audit WHERE subject_type = 'case'"),
    "postgresql: TRUNCATE audit",
    ("postgresql: INSERT INTO audit SELECT * FROM audit WHERE subject_type = 'case' ON CONFLICT (seq) DO UPDATE "
    "SET data = '{}'"),
])  # fmt: skip
def test_the_database_itself_refuses_to_change_an_entry(shared_world: World, statement: str) -> None:
    engine, _, only = statement.rpartition(": ")
    world = shared_world
    if not _entries(world, "&subject_type=case"):
        world.listed()
    before = _entries(world)
    if engine in ("", world.running.db.engine.dialect.name):
        with pytest.raises(DBAPIError, match="append"), world.running.db.transaction() as tx:
            tx.execute(text(only))
    assert _entries(world) == before
    assert _verified(world)["ok"] is True


def _unlocked(tx: Connection) -> None:
    names = {"sqlite": ("audit_no_update", "audit_no_delete"), "postgresql": ("audit_append_only",)}[tx.dialect.name]
    for name in names:
        tx.execute(text(f"DROP TRIGGER {name}" + (" ON audit" if tx.dialect.name == "postgresql" else "")))


TAMPERINGS = {
    "changed data": ("UPDATE audit SET data = '{}' WHERE {case} AND version = 2", {(2, "hash")}),
    "changed actor": ("UPDATE audit SET actor_name = 'x' WHERE {case} AND version = 1", {(1, "hash")}),
    "changed time": ("UPDATE audit SET at = '2024-05-01 00:00:00+00:00' WHERE {case} AND version = 3", {(3, "hash")}),
    "data not canonical": (
        "UPDATE audit SET data = ' ' || data WHERE {case} AND version = 2", {(2, "hash"), (2, "not canonical")},
    ),
    "data not JSON": ("UPDATE audit SET data = '{' WHERE {case} AND version = 2", {(2, "hash"), (2, "not JSON")}),
    "changed hash": ("UPDATE audit SET hash = 'x' WHERE {case} AND version = 2", {(2, "hash"), (3, "link")}),
    "removed first": ("DELETE FROM audit WHERE {case} AND version = 1", {(2, "beginning missing")}),
    "removed middle": ("DELETE FROM audit WHERE {case} AND version = 2", {(3, "link"), (3, "gap")}),
    "removed last": ("DELETE FROM audit WHERE {case} AND version = 3", {(2, "head")}),
    "removed all": ("DELETE FROM audit WHERE {case}", {(3, "history missing")}),
    "changed head": ("UPDATE cases SET head = 'x'", {(3, "head")}),
    "changed version": ("UPDATE cases SET version = 7", {(3, "head")}),
}  # fmt: skip


def test_tampering_behind_a_dropped_trigger_is_found(world: World) -> None:
    case = world.listed()
    world.at("2024-06-03")
    data = {"assessed_on": "2024-06-03", "assessors": ["周教授"], "gaps": {"fugitive": "料场未封闭"}}
    world.moved(OFFICER, case, "pre_assess", data)
    world.call(OFFICER, "PATCH", f"/cases/{case}", {"remark": "x"}, version=2)
    with world.running.db.reading() as tx:
        _unlocked(tx)  # within a transaction that is never committed, as every tampering below
        for name, (statement, wanted) in TAMPERINGS.items():
            tampering = tx.begin_nested()
            tx.exec_driver_sql(statement.replace("{case}", f"subject_type = 'case' AND subject_id = '{case}'"))
            _, broken = verification.verify(tx, SYSTEM)
            tampering.rollback()
            found = {(each.version, each.what) for each in broken if each.subject_id == case}
            assert found >= wanted, (name, broken)
            assert len(broken) == len(found), (name, broken)
        tx.exec_driver_sql("UPDATE stamps SET value = '9:x' WHERE name = 'clock_chain'")
        _, broken = verification.verify(tx, SYSTEM)
        assert [(each.subject_type, each.what) for each in broken] == [("clock", "head")]
    assert _verified(world)["ok"] is True


THINGS = {
    "a case's state": "UPDATE cases SET state = 'recognised' WHERE id = '{case}'",
    "a case's facts": "UPDATE cases SET facts = REPLACE(facts, '\"C\"', '\"D\"') WHERE id = '{case}'",
    "a case's facts, unreadable": "UPDATE cases SET facts = '[' WHERE id = '{case}'",
    "a site's grade": "UPDATE enterprises SET grade = 'A'",
    "a site's retrofit": "UPDATE enterprises SET ultra_low_completed_on = '2024-01-01'",
    "a contact": "UPDATE private_texts SET text = REPLACE(text, '王', '李')",
    "a token's role": "UPDATE tokens SET role = 'admin' WHERE name = 'auditor'",
    "a token's secret": "UPDATE tokens SET secret_hash = 'x' WHERE name = 'auditor'",
    "a token's end": "UPDATE tokens SET expires_at = '2034-01-01 00:00:00+00:00' WHERE name = 'auditor'",
    "a programme": "UPDATE programme_versions SET source = REPLACE(source, '2024-12-20', '2024-12-30')",
    "a calendar": "UPDATE calendar_years SET document = REPLACE(document, '元旦', '新年') WHERE year = 2024",
    "a notice's end": "UPDATE notices SET ends_on = '2024-09-04'",
    "an objector's contact": "UPDATE private_texts SET text = REPLACE(text, '诸葛', '司马')",
    "an objection's reasons": "UPDATE objections SET reasons = 'x'",
    "an objection's state": "UPDATE objections SET state = 'dismissed'",
    "what was found of an objection": "UPDATE objections SET finding = 'x'",
    "a case's place in its state": "UPDATE cases SET entered_at = '2024-05-01 00:00:00+00:00'",
    "a case's result": "UPDATE cases SET recognised_grade = 'A'",
    "the end by which a request is judged": "UPDATE requests SET due_at = '2030-01-01 00:00:00+00:00'",
    "a breach": "UPDATE obligations SET breached_at = NULL WHERE breached_at IS NOT NULL",
    "what was broken": "DELETE FROM obligations WHERE breached_at IS NOT NULL AND kind <> 'answer'",
    "a token of nobody's": (
        "INSERT INTO tokens (id, name, role, cases, enterprises, secret_hash, created_at, version, head) "
        "VALUES ('x', 'x', 'admin', '[]', '[]', 'x', '2024-05-20 00:00:00+00:00', 0, '')"
    ),
    "a breach that nobody saw": (
        "UPDATE obligations SET breached_at = due_at WHERE id = 'filing.henan-2024.410200.accepted.2024-10'"
    ),
    "a filing that nobody handed in": "UPDATE filings SET status = 'nil' WHERE form = 'list' AND unit = '410200'",
}


def test_a_thing_that_is_not_what_its_history_says_is_found(world: World) -> None:
    case = world.listed()
    notice = world.published(case)["notice"]["id"]
    objection = {"case": case, "reasons": "夜间冒烟", "contact": {"name": "诸葛证人", "phone": "0371-64445566"}}
    assert world.call(None, "POST", f"/public/notices/{notice}/objections", objection).status_code == 201
    world.call(OFFICER, "POST", "/requests", {"case": case, "kind": "funding", "text": "融资"})
    assert _verified(world)["ok"] is True
    with world.running.db.reading() as tx:  # a transaction that is never committed
        for name, statement in THINGS.items():
            tampering = tx.begin_nested()
            assert tx.exec_driver_sql(statement.replace("{case}", case)).rowcount >= 1, name
            _, broken = verification.verify(tx, SYSTEM)
            tampering.rollback()
            assert {each.what for each in broken} <= {
                "not what its history says", "cannot be read", "history missing", "the thing is gone",
            }, (name, broken)  # fmt: skip
            assert broken, name
            assert len(broken) == 1 or "broken" in name or "breach" in name, (name, broken)


def test_many_chains_are_verified_in_parts_with_few_statements(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    cases = [world.listed() for _ in range(12)]
    asked: list[str] = []

    def verified(tx: Connection) -> tuple[int, list[verification.Break]]:
        asked.clear()
        return verification.verify(tx, SYSTEM)

    with world.running.db.reading() as tx:  # a transaction that is never committed
        event.listen(tx, "before_cursor_execute", lambda *given: asked.append(given[2]))
        tx.execute(text("UPDATE cases SET state = 'recognised'"))
        tx.execute(text("UPDATE enterprises SET head = 'x'"))
        at_once = verified(tx)
        assert len(asked) < 20
        monkeypatch.setattr(verification, "_CHAINS_AT_ONCE", 5)
        assert verified(tx) == at_once
    entries, broken = at_once
    assert entries == len(_entries(world))
    assert [each.what for each in broken] == ["not what its history says"] * 12 + ["head"] * 12
    assert [each.subject_id for each in broken[:12]] == sorted(cases)


def test_what_was_tampered_with_is_told_by_rest(world: World) -> None:
    case = world.listed()
    with world.running.db.transaction() as tx:
        _unlocked(tx)
        tx.execute(text("UPDATE audit SET reason = 'smuggled in' WHERE subject_id = :case"), {"case": case})
    told = _verified(world)
    assert told["ok"] is False
    assert told["broken"] == [{"subject": {"type": "case", "id": case}, "version": 1, "what": "hash"}]
    assert _verified(world, world.case(case)["enterprise"]["id"])["ok"] is True


# --- asking -----------------------------------------------------------------------------------------------------------


def test_streams_hold_what_the_pages_hold(world: World) -> None:
    case = world.listed()
    world.listed(reason="=HYPERLINK(1)")
    world.planned(case)
    for query in ("", f"&subject={case}", "&action=list", "&action=nothing"):
        pages = _entries(world, query)
        path = f"/audit?{query.removeprefix('&')}"
        lines = world.call("auditor", "GET", path, headers={"Accept": "application/x-ndjson"})
        assert lines.headers["content-type"] == "application/x-ndjson"
        assert [json.loads(line) for line in lines.text.splitlines()] == pages
        sheet = world.call("auditor", "GET", path, headers={"Accept": "text/csv"})
        assert sheet.headers["content-type"].startswith("text/csv")
        assert sheet.text.startswith("\ufeff")
        rows = list(csv.DictReader(io.StringIO(sheet.text.removeprefix("\ufeff"))))
        assert [row["id"] for row in rows] == [entry["id"] for entry in pages]
        for row, entry in zip(rows, pages, strict=True):
            assert (row["actor_name"], row["hash"], row["at"]) == (entry["actor"]["name"], entry["hash"], entry["at"])
            assert json.loads(row["data"]) == entry["data"]
            assert not any(cell.startswith(("=", "+", "@")) for cell in row.values())


def test_the_audit_is_asked_by_thing_actor_unit_action_time_request_and_text(world: World) -> None:
    case = world.listed()
    theirs = world.listed(KAIFENG)
    world.at("2024-06-03")
    data = {"assessed_on": "2024-06-03", "assessors": ["欧阳专家"], "gaps": {"fugitive": "料场未封闭"}}
    moved = world.event(OFFICER, case, "pre_assess", data)

    def ids(query: str) -> list[str]:
        return [entry["id"] for entry in _entries(world, f"&{query}") if entry["subject"]["type"] != "token"]

    actor = _entries(world, f"&subject={case}")[0]["actor"]["id"]
    assert ids(f"subject={case}") == [f"{case}.2", f"{case}.1"]
    assert ids("subject_type=case") == [f"{case}.2", f"{theirs}.1", f"{case}.1"]
    assert ids(f"subject_type=case&unit={KAIFENG}") == [f"{theirs}.1"]
    assert ids("action=pre_assess") == [f"{case}.2"]
    assert ids(f"subject_type=case&actor={actor}") == [f"{case}.2", f"{case}.1"]
    assert ids(f"subject_type=case&actor=officer {KAIFENG}") == [f"{theirs}.1"]
    assert ids(f"request_id={moved.headers['x-request-id']}") == [f"{case}.2"]
    assert ids("q=欧阳专家") == [f"{case}.2"]
    assert ids("q=%25") == []
    assert ids("subject_type=case&from=2024-06-03T00:00:00%2B08:00") == [f"{case}.2"]
    assert ids("subject_type=case&from=2024-06-03T01:00:00Z") == [f"{case}.2"]
    assert ids("subject_type=case&to=2024-06-03T01:00:00Z") == [f"{theirs}.1", f"{case}.1"]


# --- personal data ----------------------------------------------------------------------------------------------------


def _tell_secrets(world: World) -> tuple[str, str, list[str]]:
    """Give personal data to every resource that takes them; a case, its site, and what must stand nowhere."""
    line = world.line()
    line["enterprise"]["contact"] = {"name": "上官联系", "phone": "0371-61112233"}
    made = world.call(OFFICER, "POST", "/cases", line).json()
    site = made["enterprise"]["id"]
    assert world.call(OFFICER, "PATCH", f"/enterprises/{site}", {"contact": CONTACT}, version=1).status_code == 200
    notice = world.published(made["id"])["notice"]["id"]
    objection = {"case": made["id"], "reasons": "台账不实", "contact": {"name": "诸葛证人", "phone": "0371-64445566"}}
    lodged = world.call(None, "POST", f"/public/notices/{notice}/objections", objection)
    assert lodged.status_code == 201
    receipt = lodged.json()["receipt"]
    assert world.call(None, "GET", f"/public/objections/{receipt}").status_code == 200
    world.call(OFFICER, "PATCH", f"/enterprises/{site}", {"contact": {"name": "司马", "phone": "no phone"}}, version=2)
    secrets = ["上官联系", "0371-61112233", *CONTACT.values(), "诸葛证人", "0371-64445566", "司马", receipt]
    return made["id"], site, [*secrets, *world.secrets.values()]


def test_contacts_stand_in_the_audit_only_as_commitments(world: World) -> None:
    _, site, secrets = _tell_secrets(world)
    for kind in ("application/json", "application/x-ndjson", "text/csv"):
        told = world.call("auditor", "GET", "/audit?limit=200", headers={"Accept": kind}).text
        assert not [secret for secret in secrets if secret in told]
    amended = _entries(world, f"&subject={site}")[0]
    with world.running.db.reading() as tx:
        kept = tx.execute(select(table(Enterprise).c.contact).where(table(Enterprise).c.id == site)).scalar_one()
        row = tx.execute(select(table(PrivateText)).where(table(PrivateText).c.id == kept)).one()
    said = sha256((row.salt + row.text).encode()).hexdigest()
    assert amended["data"] == {"contact_commitment": said}
    assert private.commitment(row.salt, CONTACT) == said
    assert len(row.salt) >= 32


def test_erasing_a_contact_breaks_no_chain(world: World) -> None:
    case, site, secrets = _tell_secrets(world)
    with world.running.db.transaction() as tx:
        for name in ("enterprises", "objections"):
            tx.execute(text(f"UPDATE {name} SET contact = NULL"))
        tx.execute(text("DELETE FROM private_texts"))
    assert _verified(world)["ok"] is True
    assert world.call(OFFICER, "GET", f"/enterprises/{site}").json()["contact"] is None
    assert world.call(OFFICER, "GET", "/objections").json()["items"][0]["contact"] is None
    assert world.case(case)["state"] == "published"
    assert not [secret for secret in secrets if secret in world.call("auditor", "GET", "/audit?limit=200").text]


def test_the_stream_of_entries_is_checked_without_any_of_our_code(world: World, tmp_path: Path) -> None:
    case = world.listed()
    world.moved(OFFICER, case, "withdraw", reason="放弃")
    told = world.call("auditor", "GET", "/audit", headers={"Accept": "application/x-ndjson"}).text
    for text_, code in ((told, 0), (told.replace("放弃", "未放弃"), 1), ("", 1)):
        (tmp_path / "audit.ndjson").write_text(text_, encoding="utf-8")
        ran = subprocess.run(
            [sys.executable, str(VERIFY), str(tmp_path / "audit.ndjson")], check=False, capture_output=True
        )
        assert ran.returncode == code, ran.stderr
        assert (b" entries of " in ran.stdout) is (code == 0)


def test_what_hangs_on_a_case_is_found_with_it(world: World) -> None:
    case, other = world.listed(), world.listed()
    asked = world.call(OFFICER, "POST", "/requests", {"case": case, "kind": "policy", "text": "请指导"}).json()["id"]
    world.at("2024-06-17")
    found = {
        (each["subject"]["type"], each["subject"]["id"], each["action"]) for each in _entries(world, f"&about={case}")
    }
    assert found == {
        ("case", case, "list"),
        ("request", asked, "open"),
        ("request", asked, "breach"),
        ("obligation", f"stage.{case}.plan_stage", "breach"),
    }
    assert len(_entries(world, f"&about={case}&action=breach")) == 2
    assert len(_entries(world, f"&about={other}")) == 2
    filing = f"henan-2024.{ZHENGZHOU}.list.2024"
    assert [each["action"] for each in _entries(world, f"&about={filing}")] == ["breach"]
    assert _entries(world, f"&about={case}", f"officer {KAIFENG}") == []


def test_what_hangs_on_a_site_and_on_a_notice_is_found_with_them(world: World) -> None:
    line, stranger = world.line(), world.listed()
    published, listed = (
        world.call(OFFICER, "POST", "/cases", {**line, "industry": industry}).json()
        for industry in ("foundry", "glass")
    )
    case, other, site = published["id"], listed["id"], published["enterprise"]["id"]
    need = {"kind": "policy", "text": "请指导"}
    asked = [
        world.call(OFFICER, "POST", "/requests", {**need, **of}).json()["id"]
        for of in ({"case": case}, {"enterprise": site})
    ]
    for each in (case, stranger):
        world.checked(each)
    world.at("2024-09-03")
    items = [{"case": each, "version": world.case(each)["version"]} for each in (case, stranger)]
    notice = world.call(OFFICER, "POST", "/notices", {"cases": items}).json()["id"]
    for each in (case, stranger):
        body = {"case": each, "reasons": "台账不实"}
        assert world.call(None, "POST", f"/public/notices/{notice}/objections", body).status_code == 201
    told = world.call("province", "GET", "/objections").json()["items"]
    objection, another = (next(row["id"] for row in told if row["case"] == each) for each in (case, stranger))
    world.at("2024-10-08")
    everything = _entries(world)

    def hanging(*things: str) -> list[str]:
        owed = [f".{thing}" for thing in things]
        return [
            entry["id"]
            for entry in everything
            if entry["subject"]["id"] in things or any(of in entry["subject"]["id"] for of in owed)
        ]

    def about(thing: str) -> list[str]:
        return [entry["id"] for entry in _entries(world, f"&about={thing}")]

    assert about(site) == hanging(site, case, other, *asked, objection, notice)
    assert about(case) == hanging(case, asked[0], objection, notice)
    assert about(notice) == hanging(notice, objection, another)
    assert {f"objection.{objection}.1", f"objection.{another}.1"} <= set(about(notice))
    assert f"stage.{other}.plan_stage.1" in about(site)
    with world.running.db.transaction() as tx:  # another notice of the case, to which nobody has objected
        for model, named in ((Notice, "id"), (NoticeEntryRow, "notice")):
            rows = table(model)
            copied = tx.execute(select(rows).where(rows.c[named] == notice)).mappings().first()
            assert copied is not None
            tx.execute(rows.insert().values({**copied, named: "another notice"}))
    assert about("another notice") == []


def test_a_page_about_a_thing_is_one_statement_and_walks_only_what_hangs_on_it(world: World) -> None:
    case, caller = world.listed(), Caller("u", "u", Role.UNIT, ZHENGZHOU)
    told: list[tuple[str, Any]] = []
    event.listen(world.running.db.engine, "before_cursor_execute", lambda *said: told.append(said[2:4]))
    with world.running.db.reading() as tx:
        assert len(audit.page(tx, caller, audit.Query(about=case, action="list"), 50)) == 1
        ((statement, values),) = (one for one in told if not one[0].startswith("BEGIN"))
        if not world.running.db.is_sqlite:
            tx.exec_driver_sql("SET LOCAL enable_seqscan = off")  # there are so few rows
        explain = "EXPLAIN QUERY PLAN " if world.running.db.is_sqlite else "EXPLAIN "
        plan = str(tx.exec_driver_sql(explain + statement, values).all())
    assert not [scan for scan in ("audit_by_", "SCAN audit", "SCAN objections", "Seq Scan") if scan in plan]
    for index in (
        "sqlite_autoindex_audit_1" if world.running.db.is_sqlite else "one_entry_per_version",
        "cases_by_enterprise", "requests_by_case", "requests_by_enterprise", "objections_by_case",
        "notice_entries_by_case", "obligations_by_subject",
    ):  # fmt: skip
        assert index in plan


def test_an_entry_of_somebody_whose_name_is_his_id_is_found_once(world: World) -> None:
    world.at("2024-06-17")
    found = [entry["id"] for entry in _entries(world, "&actor=system")]
    assert len(found) == len(set(found)) > 1


def test_neither_personal_data_nor_secrets_stand_in_the_log(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    rooms = ("api.edge", "api.errors", "writer", "scheduler", "casework.sweep")
    for room in rooms:  # a logger that was used before this test would not be heard
        monkeypatch.setattr(importlib.import_module(f"service.{room}"), "_log", structlog.get_logger(room))
    with capture_logs() as logs:
        _, _, secrets = _tell_secrets(world)
        answer = world.call(OFFICER, "GET", f"/cases?q={CONTACT['phone']}", headers={"X-Request-Id": "look-for-me-1"})
    assert answer.status_code == 200
    written = json.dumps(logs, ensure_ascii=False, default=str)
    assert "look-for-me-1" in written
    assert not [secret for secret in secrets if secret in written]


def test_a_database_error_does_not_tell_its_parameters(world: World) -> None:
    with pytest.raises(DBAPIError) as caught, world.running.db.transaction() as tx:
        tx.execute(table(PrivateText).insert(), [{"id": "same", "salt": "s", "text": CONTACT["phone"]}] * 2)
    assert CONTACT["phone"] not in str(caught.value).partition("\n")[2]
    assert "parameters hidden" in str(caught.value)


@pytest.mark.parametrize(
    "text", ["=1+1", "＝1+1", "\u200b=1", " =1", "\t=1", "＠SUM(A1)", "-1", "＋1", "\ufeff\u200b－1", "\r=1"]
)
def test_no_cell_of_the_sheet_is_a_formula(text: str) -> None:
    assert _cell(text) == f"'{text}"


def test_other_cells_stand_as_they_are() -> None:
    assert [_cell(value) for value in ("放弃", "a=b", None, 3)] == ["放弃", "a=b", None, 3]


def test_only_so_many_read_the_whole_audit_at_once(world: World) -> None:
    with world.running.verifying(), world.running.verifying():
        busy = world.call("auditor", "GET", "/audit/verify")
        assert (busy.status_code, busy.json()["code"]) == (503, "database_busy")
    assert _verified(world)["ok"] is True


@pytest.mark.parametrize("lost", [True, False])
def test_a_result_that_is_hidden_or_shown_against_the_history_is_found(world: World, *, lost: bool) -> None:
    case = world.listed()
    world.published(case)
    world.at("2024-09-12")
    if lost:
        data = {"violation": "弄虚作假", "decided_on": "2024-09-12", "document": "豫环〔2024〕1号"}
        world.moved("province", case, "disqualify", data)
    assert _verified(world)["ok"] is True
    with world.running.db.reading() as tx:  # a transaction that is never committed
        tx.execute(text("UPDATE cases SET recognised_grade = :grade"), {"grade": "B" if lost else None})
        _, broken = verification.verify(tx, SYSTEM)
    assert [(each.subject_id, each.what) for each in broken] == [(case, "not what its history says")]
