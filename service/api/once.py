"""Secrets that are told once: they follow from the Idempotency-Key, so that no kept answer has to hold one."""

import hmac
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from fastapi import Depends, Request
from pydantic_core import from_json, to_json
from starlette.responses import Response

from service.access import Act
from service.api.door import Calling, Change, changing, idempotency_key, running
from service.casework.answers import Answer, Key
from service.casework.desk import Desk
from service.running import Running
from service.writer import Replayed

# From the process, the key of a request and its body: what is told in the answer and not kept with it.
Told = Callable[[Running, Key, bytes], Mapping[str, Any]]


def octets(process: Running, key: Key | None, what: str) -> bytes:
    """32 octets that nobody can guess; the same for the same key."""
    if key is None:
        return bytes.fromhex(process.books.chance.hex(256))
    said = "\n".join((what, key.scope, key.fingerprint, key.key))
    return hmac.new(process.cursor_secret, said.encode(), "sha256").digest()


def _with(kept: Answer, more: Mapping[str, Any]) -> Answer:
    return Answer(kept.status, kept.headers, to_json({**from_json(kept.body), **more}))


@contextmanager
def _again(more: Callable[[], Mapping[str, Any]]) -> Iterator[None]:
    try:
        yield
    except Replayed as kept:
        if kept.answer.status != HTTPStatus.CREATED:
            raise
        raise Replayed(_with(kept.answer, more())) from None


def changing_once(act: str, told: Told) -> Any:
    """The dependency `changing(act)` of a route whose kept answer lacks what `told` adds when it is asked for again."""
    inner = changing(act).dependency

    async def come_in(request: Request, calling: Calling) -> Change:
        body = await request.body()
        key = idempotency_key(request, calling.id, body)
        with _again(lambda: told(running(request), key, body) if key else {}):
            change: Change = await inner(request, calling)
        return change

    come_in.act = act  # type: ignore[attr-defined]
    return Depends(come_in)


def make_once(change: Change, do: Callable[[Desk, Act], Answer], more: Mapping[str, Any]) -> Response:
    """Make the change and answer with `more` than is kept."""
    with _again(lambda: more):
        made = change.make(do)
    if made.status_code != HTTPStatus.CREATED:
        return made
    headers = {name: value for name, value in made.headers.items() if name != "content-length"}
    answer = _with(Answer(made.status_code, headers, bytes(made.body)), more)
    return Response(answer.body, answer.status, dict(answer.headers))
