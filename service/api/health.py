"""Whether the process lives and is ready, and what it counts; at the root, without a token."""

from fastapi import APIRouter, Request
from prometheus_client import CONTENT_TYPE_LATEST, Gauge, generate_latest
from pydantic_core import to_json
from starlette.responses import PlainTextResponse, Response

from notifications import outbox
from notifications.outbox import Status
from service import clock
from service.api.door import running
from service.api.shapes import LiveGot, ReadyGot
from service.errors import ServiceError
from service.running import Running
from service.storage import migrations

router = APIRouter(tags=["health"])
_UNSENT = (Status.PENDING, Status.SENDING, Status.FAILED)  # of what was sent there are ever more
_SILENT_INTERVALS = 3
_TICK_AGE = Gauge("jinji_last_tick_age_seconds", "Seconds since this process ticked last.")


@router.get("/health/live", response_model=LiveGot)
async def live() -> Response:
    """The process answers."""
    return Response(b'{"status":"ok"}', media_type="application/json")


@router.get(
    "/health/ready",
    response_model=ReadyGot,
    responses={503: {"model": ReadyGot, "description": "Not ready; the checks say why."}},
)
def ready(request: Request) -> Response:
    """Database, migrations, the age of the last tick, and how long the oldest message has been waiting."""
    process = running(request)
    checks = {"database": _database(process), "ticker": _ticker(process)}
    if checks["database"]["ok"]:
        checks["outbox"] = _outbox(process)
    ok = all(check["ok"] for check in checks.values())
    content = {"status": "ok" if ok else "not ready", "checks": checks}
    return Response(to_json(content), 200 if ok else 503, media_type="application/json")


def _database(process: Running) -> dict[str, object]:
    try:
        with process.db.reading() as tx:
            found, wanted = migrations.revision(tx), migrations.newest()
    except ServiceError as error:
        return {"ok": False, "why": error.code}
    # One that is read but takes no writes, its disk full, shows only in what it refused.
    refused = process.ticks.refused
    was_refused = (
        refused is not None and clock.monotonic() - refused < _SILENT_INTERVALS * process.settings.tick_seconds
    )
    return {"ok": found == wanted and not was_refused, "revision": found, "wanted": wanted, "refused": was_refused}


def _ticker(process: Running) -> dict[str, object]:
    age = clock.monotonic() - (process.ticks.last or process.ticks.begun)
    allowed = _SILENT_INTERVALS * process.settings.tick_seconds
    failed = bool(process.ticks.failed)  # a database that is read but takes no writes, its disk full, shows here
    return {
        "ok": age <= allowed and not failed, "seconds_since_last_tick": round(age, 1), "allowed": allowed,
        "failed": failed,
    }  # fmt: skip


def _outbox(process: Running) -> dict[str, object]:
    """What waits in the outbox. It never makes the process unready: the mail server is another one's."""
    with process.db.reading() as tx:
        oldest, now = outbox.oldest_pending_at(tx), process.clock.now(tx)
        counted = outbox.count_by_status(tx, _UNSENT)
    return {
        "ok": True,
        "seconds_oldest_pending": None if oldest is None else (now - oldest).total_seconds(),
        **{str(status): counted[status] for status in _UNSENT},
    }


@router.get("/metrics", response_class=PlainTextResponse)
def metrics(request: Request) -> Response:
    """Counters of this process in the form of Prometheus."""
    ticks = running(request).ticks
    _TICK_AGE.set(clock.monotonic() - (ticks.last or ticks.begun))
    return Response(generate_latest(), headers={"Content-Type": CONTENT_TYPE_LATEST})
