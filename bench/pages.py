"""Pages of 50 audit entries: what they cost in a large audit, beside the same in a small one."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import psycopg

from bench import place
from bench.load import Measured, Same, drive, request
from bench.place import serving
from service.api import paging
from service.casework.audit import Query
from service.running import open_running
from service.settings import Settings
from tests.postgres import Server

SMALL = 10_000
_BEGINS = datetime(2024, 6, 1, tzinfo=UTC)
_ACTORS, _VERSIONS = 500, 20
_FILL = """
INSERT INTO audit (at, actor_id, actor_name, actor_role, unit, action, subject_type, subject_id, version, reason, data,
    changes, prev, hash, request_id)
SELECT %(begins)s::timestamptz + n * interval '1 second', 'actor-' || n %% %(actors)s, 'officer ' || n %% %(actors)s,
    'unit', (ARRAY['410100','410200','410300','410400','410500','410600','410700','410800','410900','411000','411100',
    '411200','411300','411400','411500','411600','411700','419001','410173'])[n %% 19 + 1],
    (ARRAY['report_progress','amend_plan','pre_assess','file_plan','accept'])[n %% 5 + 1], 'case',
    'case-' || n %% %(cases)s, n / %(cases)s + 1, NULL, '{"month":"2024-07","done":[1,2],"conclusion":"按计划推进"}',
    '{"last_event":{"actor":"officer","at":"2024-07-01T00:00:00Z","event":"report_progress","kind":"report_progress"}}',
    md5(n::text) || md5(n::text), md5((n + 1)::text) || md5((n + 1)::text), md5('r' || n)
FROM generate_series(0, %(entries)s - 1) AS n
"""


def fill(server: Server, database: str, entries: int) -> tuple[str, str]:
    """Make a database with so many entries in its audit; its address, and the province's token."""
    url = server.create(database)
    token = place.fill(Settings(database_url=url), 4).tokens["province"]
    with psycopg.connect(server.url(database, driver="postgresql"), autocommit=True) as connection:
        with _without_indexes(connection):
            given = {"begins": _BEGINS, "actors": _ACTORS, "cases": max(1, entries // _VERSIONS), "entries": entries}
            connection.execute(_FILL, given)
        connection.execute("VACUUM ANALYZE audit")
    return url, token


@contextmanager
def _without_indexes(connection: psycopg.Connection) -> Iterator[None]:
    """Fill first and index then, which is several times as fast."""
    indexes = connection.execute(
        "SELECT indexname, indexdef FROM pg_indexes WHERE tablename = 'audit' AND indexname LIKE 'audit_by_%'"
    ).fetchall()
    constraints = connection.execute(
        "SELECT conname, pg_get_constraintdef(oid) FROM pg_constraint WHERE conrelid = 'audit'::regclass AND contype = 'u'"
    ).fetchall()
    for name, _ in constraints:
        connection.execute(f'ALTER TABLE audit DROP CONSTRAINT "{name}"')
    for name, _ in indexes:
        connection.execute(f'DROP INDEX "{name}"')
    yield
    for name, definition in constraints:
        connection.execute(f'ALTER TABLE audit ADD CONSTRAINT "{name}" {definition}')
    for _, definition in indexes:
        connection.execute(definition)


def _questions(url: str, entries: int) -> dict[str, str]:
    """What is asked, by name."""
    middle = entries // 2
    at = _BEGINS + timedelta(seconds=middle)
    filters = {name: getattr(Query(), name) for name in Query.__slots__}
    process = open_running(Settings(database_url=url))
    process.db.close()
    deep = paging.cursor(process.cursor_secret, "audit", filters, [at.isoformat(), middle])
    return {
        "newest": "",
        "of a unit": "&unit=410300",
        "of an actor": "&actor=actor-7",
        "of an actor by name": "&actor=officer%207",
        "of one action": "&action=accept",
        "of one case": "&subject=case-7",
        "deep in the middle": f"&cursor={deep}",
    }


def measure(
    server: Server, entries: int, seconds: float, rounds: Callable[..., dict[str, Measured]]
) -> dict[str, tuple[Measured, Measured]]:
    """For each question, its page in the small audit and in the large one."""
    small_url, small_token = fill(server, "audit_small", SMALL)
    large_url, large_token = fill(server, "audit_large", entries)
    with serving(small_url, 1) as small, serving(large_url, 1) as large:
        measurements = {}
        for port, token, url, count, size in (
            (small.port, small_token, small_url, SMALL, "small"),
            (large.port, large_token, large_url, entries, "large"),
        ):
            for name, more in _questions(url, count).items():
                asked = Same([request("GET", f"/api/v1/audit?limit=50{more}", token, headers="\r\n")])

                def one(port: int = port, asked: Same = asked) -> Measured:
                    return drive(port, asked, connections=1, seconds=seconds, warm_up=0.3)

                measurements[f"{name}, {size}"] = one
        ordered = dict(sorted(measurements.items()))  # so that small and large are measured one after the other
        found = rounds(ordered)
    return {name: (found[f"{name}, small"], found[f"{name}, large"]) for name in _questions(small_url, SMALL)}
