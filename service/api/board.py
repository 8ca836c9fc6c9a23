"""The board: open to everybody within the administration, as the ranking is (四（二）)."""

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from service.access import Caller
from service.api import openapi
from service.api.door import Reading, Route, answered, reading, running
from service.api.owed import BoardGot
from service.api.schemas import Sought
from service.api.shown import instant
from service.casework import board

router = APIRouter(prefix="/board", tags=["board"], route_class=Route)


@router.get("", response_model=BoardGot, responses=openapi.READS)
def read_board(
    request: Request,
    caller: Annotated[Caller, reading("board.read")],
    programme: Annotated[Sought, Query(description="The id of a programme.")],
) -> Response:
    """How far the province and each unit are, what they owe, and their rank."""
    process = running(request)
    with process.db.reading() as tx:
        here = Reading(process, tx, caller, request)
        desk, now = here.desk, here.now
        province, units = board.draw_up(desk, desk.lifecycle(programme).programme, now)
    content = {
        "programme": programme,
        "at": instant(now),
        "province": _shown(province, here.language),
        "units": [_shown(unit, here.language) for unit in units],
    }
    return answered(request, content)


def _shown(standing: board.Standing, language: str) -> dict[str, Any]:
    return {
        "code": standing.area.code,
        "name": standing.area.name.get(language),
        "target": standing.target,
        "counted": standing.counted,
        "counted_after": standing.counted_after,
        "share": round(float(standing.reached), 4),
        "in_time": round(float(standing.in_time), 4),
        "by_state": standing.by_state,
        "obligations": standing.obligations,
        "requests": standing.requests,
        "own_obligations": standing.own_obligations,
        "rank": standing.rank,
    }
