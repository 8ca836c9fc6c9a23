"""The limit: what PostgreSQL itself does of the same work, asked by its own pgbench with 8 clients.

Each script locks a random case with its site, updates the row, appends the audit entry, and commits; with a key it also
looks for a kept answer and keeps one. The texts have the size of the service's own.
"""

import re
import subprocess
import tempfile
from pathlib import Path

import psycopg

from bench.load import Measured
from tests.postgres import Server

CLIENTS = 8
_PREFIX = "018f0000-0000-7000-8000-"
_CASE = f"'{_PREFIX}' || :n"
_FIRST = 100_000_000_000
_UPDATED = (
    "state = CASE state WHEN 'listed' THEN 'withdrawn' WHEN 'withdrawn' THEN 'listed' ELSE state END, "
    "target_grade = target_grade, version = version + 1, head = md5(head) || md5(head), entered_at = now(), "
    "due_at = due_at, owed_at = owed_at, recognised_grade = NULL, stalled = NULL, facts = facts || ''"
)
_AUDITED = (
    "INSERT INTO audit (at, actor_id, actor_name, actor_role, unit, action, subject_type, subject_id, version, reason, "
    "data, changes, prev, hash, request_id)"
)


def version(server: Server) -> str:
    """The server's own."""
    with psycopg.connect(server.url(driver="postgresql")) as connection:
        return str(connection.info.parameter_status("server_version")).split(" ")[0]


def prepare(server: Server, database: str) -> int:
    """Give the cases of a copied database ids that pgbench can draw; how many there are."""
    with psycopg.connect(server.url(database, driver="postgresql"), autocommit=True) as connection:
        numbered = "SELECT id, row_number() OVER (ORDER BY id) - 1 AS number FROM cases"
        connection.execute(
            f"UPDATE cases SET id = '{_PREFIX}' || ({_FIRST} + number) FROM ({numbered}) AS n WHERE n.id = cases.id"
        )
        connection.execute("VACUUM ANALYZE")
        row = connection.execute("SELECT count(*) FROM cases").fetchone()
        assert row is not None
        return int(row[0])


def _texts(server: Server, database: str) -> dict[str, str]:
    """A typical audit entry of this database."""
    with psycopg.connect(server.url(database, driver="postgresql")) as connection:
        row = connection.execute(
            "SELECT data, changes, unit, reason FROM audit WHERE action = 'start_upgrade' ORDER BY seq DESC LIMIT 1"
        ).fetchone()
    assert row is not None
    # pgbench reads a colon before a name as a variable: none stands in what it sends.
    return {
        name: str(text).replace(":", ".").replace("'", "")
        for name, text in zip(("data", "changes", "unit", "reason"), row, strict=True)
    }


def scripts(server: Server, database: str, cases: int) -> dict[str, str]:
    """The scripts by name: as a transaction and as one statement, without and with an Idempotency-Key."""
    text = _texts(server, database)
    draw = f"\\set n random({_FIRST}, {_FIRST + cases - 1})\n"
    draw_key = "\\set k random(1, 9000000000000000000)\n"
    select = (
        "SELECT cases.*, enterprises.name, enterprises.credit_code, enterprises.permit_no, enterprises.county, "
        "enterprises.ultra_low_completed_on, enterprises.ultra_low_publicised_on "
        f"FROM cases JOIN enterprises ON enterprises.id = cases.enterprise WHERE cases.id = {_CASE} FOR UPDATE OF cases"
    )
    find = "SELECT * FROM stored_answers WHERE (scope, key) IN (('bench', 'key-' || :k))"
    answer = "x" * 2000
    keep = f"INSERT INTO stored_answers VALUES ('bench', 'key-' || :k, '{'f' * 64}', 200, '{{}}', '{answer}', now())"

    def values(case: str, version: str) -> str:
        return (
            f"now(), 'bench', 'officer', 'unit', '{text['unit']}', 'amend_plan', 'case', {case}, {version}, "
            f"'{text['reason']}', '{text['data']}', '{text['changes']}', '{'0' * 64}', '{'1' * 64}', '{'2' * 32}'"
        )

    update = f"UPDATE cases SET {_UPDATED} WHERE id = {_CASE} RETURNING version \\gset\n"
    insert = f"{_AUDITED} VALUES ({values(_CASE, ':version')});\n"
    plain = f"{select};\n{update}{insert}"
    one = (
        f"WITH locked AS ({select}), moved AS (UPDATE cases SET {_UPDATED} FROM (SELECT id AS wanted FROM locked) AS l "
        f"WHERE cases.id = l.wanted RETURNING cases.id, cases.version), told AS ({_AUDITED} "
        f"SELECT {values('moved.id', 'moved.version')} FROM moved)"
    ).replace("SET state = CASE state", "SET state = CASE cases.state")
    return {
        "transaction": f"{draw}BEGIN;\n{plain}COMMIT;\n",
        "transaction, key": f"{draw}{draw_key}BEGIN;\n{find};\n{plain}{keep};\nCOMMIT;\n",
        "one statement": f"{draw}{one} SELECT locked.* FROM locked, moved;\n",
    }


def run(server: Server, database: str, script: str, seconds: float) -> Measured:
    """Run a script with 8 clients. Latencies are all transactions', from pgbench's own log."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "script.sql"
        file.write_text(script)
        command = [
            str(server.bin / "pgbench"), "--no-vacuum", "--protocol=prepared", f"--client={CLIENTS}", "--jobs=2",
            f"--time={int(seconds)}", "--random-seed=rand", f"--file={file}", "--log",
            server.url(database, driver="postgresql"),
        ]  # fmt: skip
        ended = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        found = re.search(r"tps = ([0-9.]+)", ended.stdout)
        if ended.returncode or found is None:
            raise RuntimeError(f"pgbench failed: {ended.stdout[-1000:]}{ended.stderr[-2000:]}")
        latencies = sorted(
            int(line.split()[2]) / 1e6 for log in Path(folder).glob("pgbench_log*") for line in log.open()
        )
    return Measured(len(latencies) / float(found[1]), len(latencies), latencies)
