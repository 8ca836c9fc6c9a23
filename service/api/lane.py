"""The short way for the two requests that come by the thousand: one event for one case, and one case as it is.

Exactly the plain form of them goes this way, to the same functions as through the framework's routes, which cost more
than the work itself; whatever else is asked of the same paths goes on to those routes.
"""

import re
from collections.abc import Awaitable, Callable

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from service.access import Caller
from service.api import cases, door
from service.api.errors import problem_response
from service.errors import ServiceError

_CASE = r"/api/v1/cases/([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"
_WAYS: tuple[tuple[str, re.Pattern[str], Callable[[Request, Caller, str], Awaitable[Response]]], ...] = (
    ("POST", re.compile(f"{_CASE}/events"), cases.moved),
    ("GET", re.compile(_CASE), cases.as_it_is),
)


class Lane:
    """Stands before the framework's router, within the edge."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http" and not scope["query_string"]:
            for method, path, answered in _WAYS:
                if scope["method"] == method and (found := path.fullmatch(scope["path"])) is not None:
                    scope["jinji_query"] = frozenset()
                    request = Request(scope, receive)
                    try:
                        response = await answered(request, await door.caller_of(request), found[1])
                    except ServiceError as error:
                        response = problem_response(request, error)
                    except ClientDisconnect:  # hung up in the middle of its body: nobody waits for an answer
                        return
                    await response(scope, receive, send)
                    return
        await self._app(scope, receive, send)
