"""Secrets that are told once: they follow from the id of what they open, so that no kept answer has to hold one."""

import hmac
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from fastapi import Depends, Request
from pydantic_core import from_json, to_json
from starlette.responses import Response

from service.access import Act
from service.api.door import Calling, Change, changing, running
from service.casework.answers import Answer
from service.casework.desk import Desk
from service.running import Running
from service.writer import Replayed

# From the process, the body of a request and the answer that is kept: what is told besides and not kept with it.
Told = Callable[[Running, bytes, Mapping[str, Any]], Mapping[str, Any]]
# The same from the answer alone.
_More = Callable[[Mapping[str, Any]], Mapping[str, Any]]


def octets(process: Running, what: str, id_: str) -> bytes:
    """32 octets that nobody can guess who does not hold the database; the same for the same thing."""
    return hmac.new(process.cursor_secret, f"{what}\n{id_}".encode(), "sha256").digest()


def _with(kept: Answer, more: _More) -> Answer:
    told = from_json(kept.body)
    return Answer(kept.status, kept.headers, to_json({**told, **more(told)}))


@contextmanager
def _again(more: _More) -> Iterator[None]:
    try:
        yield
    except Replayed as kept:
        if kept.answer.status != HTTPStatus.CREATED:
            raise
        raise Replayed(_with(kept.answer, more)) from None


def changing_once(act: str, told: Told) -> Any:
    """The dependency `changing(act)` of a route whose kept answer lacks what `told` adds when it is asked for again."""
    inner = changing(act).dependency

    async def come_in(request: Request, calling: Calling) -> Change:
        body = await request.body()
        with _again(lambda kept: told(running(request), body, kept)):
            change: Change = await inner(request, calling)
        return change

    come_in.act = act  # type: ignore[attr-defined]
    return Depends(come_in)


def make_once(change: Change, do: Callable[[Desk, Act], Answer], more: _More) -> Response:
    """Make the change and answer with `more` than is kept."""
    with _again(more):
        made = change.make(do)
    if made.status_code != HTTPStatus.CREATED:
        return made
    headers = {name: value for name, value in made.headers.items() if name != "content-length"}
    answer = _with(Answer(made.status_code, headers, bytes(made.body)), more)
    return Response(answer.body, answer.status, dict(answer.headers))
