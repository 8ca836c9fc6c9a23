"""The clock of the service: read by anybody, moved by the administrator where it is virtual."""

from typing import Annotated

from fastapi import APIRouter, Depends, Request
from starlette.responses import Response

from service import scheduler
from service.access import Act, Caller
from service.api import openapi, shown
from service.api.door import Calling, Change, Route, answer, answered, changing, reading, running
from service.api.schemas import ClockSent
from service.api.shapes import ClockGot, MovedClockGot
from service.casework.answers import Answer
from service.casework.desk import Desk
from service.clock import VirtualClock
from service.errors import ClockRefused, NotFound

router = APIRouter(prefix="/clock", tags=["clock"], route_class=Route)


@router.get("", response_model=ClockGot, responses=openapi.problems(401, 422))
def read_clock(request: Request, caller: Annotated[Caller, reading("clock.read")]) -> Response:
    """What time it is for the service."""
    process = running(request)
    with process.db.reading() as tx:
        now = process.clock.now(tx)
    return answered(request, {"now": shown.instant(now), "mode": process.clock.mode})


def on_a_virtual_clock(request: Request, calling: Calling) -> None:
    """Raises NotFound on a real clock, which nobody moves, whoever asks."""
    if not isinstance(running(request).clock, VirtualClock):
        raise NotFound


@router.post("", dependencies=[Depends(on_a_virtual_clock)], response_model=MovedClockGot, responses=openapi.CREATES)
def move_clock(change: Annotated[Change, changing("clock.move")], sent: ClockSent) -> Response:
    """Move the virtual clock: it jumps from due instant to due instant and ticks at each."""
    process = change.process
    with process.db.reading() as tx:
        if sent.to < process.clock.now(tx):
            raise ClockRefused
    act = Act(change.caller, sent.to, change.request.scope.get("jinji_request_id"))
    passed = scheduler.advance(process, sent.to, act)
    change.request.app.state.trusted.forget()

    def do(desk: Desk, act: Act) -> Answer:
        return answer({"now": shown.instant(passed.now), "ticks": passed.ticks, "messages": passed.messages})

    return change.make(do)
