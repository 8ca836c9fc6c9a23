"""`make bench`: everything side by side and in turn, medians of the rounds, one table with ratios."""

import argparse
import os
import platform
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from bench import limit, pages, place, sweep
from bench.load import Batches, Measured, Same, Singles, drive, request
from bench.place import Filled, serving
from service.settings import Settings
from tests.postgres import Server

_CONNECTIONS = 16
_BATCH = 500
_PARTS = "postgresql,sqlite,audit,sweep"
_OPTIONS = {
    "shared_buffers": "1GB",
    "max_wal_size": "8GB",
    "checkpoint_timeout": "30min",
    "maintenance_work_mem": "1GB",
}


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("--seconds", type=float, default=5, help="each measurement (default 5)")
    parser.add_argument("--rounds", type=int, default=3, help="how often each is taken (default 3)")
    parser.add_argument("--cases", type=int, default=1000, help="cases of each of four units (default 1000)")
    parser.add_argument("--audit", type=int, default=1_000_000, help="entries of the large audit (default a million)")
    parser.add_argument("--only", help=f"parts, by comma: {_PARTS}", default=_PARTS)
    return parser.parse_args()


def _middle(rounds: list[Measured]) -> Measured:
    """The round with the median rate."""
    wanted = statistics.median_low([each.per_second for each in rounds])
    return next(each for each in rounds if each.per_second == wanted)


def _rounds(measurements: dict[str, Callable[[], Measured]], count: int) -> dict[str, Measured]:
    """Take every measurement in turn, `count` times; the middle one of each."""
    taken: dict[str, list[Measured]] = {name: [] for name in measurements}
    for number in range(count):
        for name, measure in measurements.items():
            taken[name].append(measure())
            print(f"  round {number + 1}: {name}: {taken[name][-1].per_second:,.0f}/s", flush=True)
    return {name: _middle(each) for name, each in taken.items()}


def _loads(port: int, filled: Filled, seconds: float) -> dict[str, Callable[[], Measured]]:
    """What is asked of a running service, by name."""
    reads = Same(
        [
            request("GET", f"/api/v1/cases/{item.id}", filled.tokens[item.unit], headers="\r\n")
            for item in filled.items[:2000]
        ]
    )
    live = Same([request("GET", "/health/live", headers="\r\n")])
    singles, keyed = (Singles(filled.items, filled.tokens, keyed=keyed) for keyed in (False, True))
    batches = Batches(filled.items, filled.tokens, _BATCH)

    def load(source: Same | Singles | Batches, connections: int = _CONNECTIONS) -> Callable[[], Measured]:
        return lambda: drive(port, source, connections=connections, seconds=seconds)

    return {
        "event": load(singles),
        "event, key": load(keyed),
        "one connection": load(singles, 1),
        "read": load(reads),
        "live": load(live),
        "batch": load(batches, batches.connections),
    }


def _row(name: str, measured: Measured, ratio: str = "", goal: str = "") -> str:
    p50, p99 = measured.percentile(50), measured.percentile(99)
    return f"| {name} | {measured.per_second:,.0f} | {ratio} | {p50:.1f} / {p99:.1f} | {goal} |"


def _table(found: dict[str, Measured]) -> list[str]:
    rows = ["| what | per second | ratio | p50 / p99 ms | goal |", "|---|---|---|---|---|"]
    bound, bound_key = found.get("limit"), found.get("limit, key")

    def of(name: str, other: Measured | None, what: str) -> str:
        return f"{found[name].per_second / other.per_second:.2f} of {what}" if other else ""

    names = {
        "limit": "limit: pgbench, 8 clients, BEGIN, 3 statements, COMMIT",
        "limit, key": "limit with a key: pgbench, BEGIN, 5 statements, COMMIT",
        "limit, one statement": "pgbench, 8 clients, one statement with CTEs",
        "event": f"single events, {_CONNECTIONS} connections",
        "event, key": "the same, each with an Idempotency-Key",
        "one connection": "single events, 1 connection",
        "batch": f"batches of {_BATCH} events, 4 connections",
        "read": "read one case",
        "live": "empty endpoint",
    }
    for name, said in names.items():
        if name not in found:
            continue
        ratio, goal = {
            "limit": ("1", ""),
            "limit, key": (of(name, bound, "the limit"), ""),
            "limit, one statement": (of(name, bound, "the limit"), ""),
            "event": (of(name, bound, "the limit"), "0.6; p99 < 20 ms" if bound else ""),
            "event, key": (of(name, bound_key, "the limit with a key"), "0.6" if bound else ""),
            "batch": ("", "5,000" if bound else ""),
            "read": (f"{found['live'].per_second / found['read'].per_second:.1f} × an empty one", "≤ 3 ×"),
        }.get(name, ("", ""))
        rows.append(_row(said, found[name], ratio, goal))
    return rows


def _postgresql(server: Server, options: argparse.Namespace) -> list[str]:
    url = server.create("filled")
    filled = place.fill(Settings(database_url=url), options.cases)
    server.create("limit_", template="filled")
    cases = limit.prepare(server, "limit_")
    scripts = limit.scripts(server, "limit_", cases)

    def bound(script: str) -> Callable[[], Measured]:
        return lambda: limit.run(server, "limit_", script, options.seconds)

    with serving(url, workers=2) as service:
        found = _rounds(
            {
                "limit": bound(scripts["transaction"]),
                "limit, key": bound(scripts["transaction, key"]),
                "limit, one statement": bound(scripts["one statement"]),
                **_loads(service.port, filled, options.seconds),
            },
            options.rounds,
        )
        lines = _table(found)
        memory = ", ".join(f"{each:.0f}" for each in service.resident_mb())
        lines += [
            "",
            f"Start of 2 processes: {service.start_seconds:.2f} s (goal 3). Resident: {memory} MB (goal 150).",
        ]
    version = limit.version(server)
    return ["", f"## PostgreSQL {version}, 2 processes, {cases:,} cases", "", *lines]


def _sqlite(options: argparse.Namespace) -> list[str]:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{Path(folder) / 'bench.db'}"
        filled = place.fill(Settings(database_url=url), options.cases)
        with serving(url, workers=1) as service:
            lines = _table(_rounds(_loads(service.port, filled, options.seconds), options.rounds))
            (memory,) = service.resident_mb()
            lines += ["", f"Start: {service.start_seconds:.2f} s (goal 3). Resident: {memory:.0f} MB (goal 150)."]
    return ["", "## SQLite, one process (synchronous=FULL)", "", *lines]


def _audit(server: Server, options: argparse.Namespace) -> list[str]:
    seconds = min(2.0, options.seconds)
    found = pages.measure(server, options.audit, seconds, lambda asked: _rounds(asked, options.rounds))
    rows = [
        f"| page of 50 | {pages.SMALL:,}: p50 ms | {options.audit:,}: p50 ms | ratio (goal ≤ 3) |",
        "|---|---|---|---|",
    ]
    for name, (small, large) in found.items():
        was, is_ = small.percentile(50), large.percentile(50)
        rows.append(f"| {name} | {was:.2f} | {is_:.2f} | {is_ / was:.2f} |")
    return ["", "## Audit pages, PostgreSQL, one process, one connection", "", *rows]


def main() -> None:
    """Measure and print."""
    options = _arguments()
    parts = options.only.split(",")
    lines = []
    begun = os.getloadavg()[0]
    if "postgresql" in parts:
        with Server(durable=True, options=_OPTIONS) as server:
            lines += _postgresql(server, options)
    if "audit" in parts:
        with Server(durable=True, options=_OPTIONS) as server:
            lines += _audit(server, options)
    if "sqlite" in parts:
        lines += _sqlite(options)
    if "sweep" in parts:
        with Server(durable=True, options=_OPTIONS) as server:
            lines += sweep.compare(server, options.rounds)
    machine = f"{os.cpu_count()} cores, load {begun:.1f} before and {os.getloadavg()[0]:.1f} at the end"
    print(f"\nPython {platform.python_version()}, {machine}; medians of {options.rounds}, {options.seconds:g} s each.")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
