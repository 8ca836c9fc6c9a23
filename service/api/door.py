"""The way in: who is calling, and the one order in which a change is looked at before it is made (API.md, Manners).

401, 404, 403, a repeated key, 428, 412 are looked at here, before the body is validated by the framework; the change
itself is then made in one transaction that looks at key and version again, so that races are decided by the database.
"""

from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Annotated, Any

from fastapi import Depends, Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from pydantic_core import from_json, to_json
from sqlalchemy import Connection
from sqlalchemy.exc import IntegrityError
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from service import access, clock
from service.access import Act, Caller
from service.api.errors import MALFORMED_JSON, language_of, problem
from service.casework import answers
from service.casework.answers import Answer, Key
from service.casework.desk import Desk
from service.errors import (
    Conflict,
    DatabaseBusy,
    KeyReused,
    Malformed,
    NotYourRole,
    Unauthenticated,
    VersionMissing,
    VersionStale,
)
from service.running import Running
from service.writer import Replayed
from workflows.faults import fault

# A token that was revoked, or has expired, is refused by every process at the latest after this many seconds.
TRUSTED_SECONDS = 5.0
_TRIES = 6
_PAUSE_SECONDS = 0.02  # at most 0.04 before the second try, 0.64 before the sixth
_LONGEST_TAG = 24  # beyond the versions that any thing can have, and far below what int() refuses
_LONGEST_KEY = 200
_bearer = HTTPBearer(auto_error=False, description="A token made by `jinji token create`.")


class _Request(Request):
    """A request whose malformed JSON is found out in its turn, not before anything else."""

    async def json(self) -> Any:
        """The body; one that is not JSON as its bytes, which no declared body is, and a mark that says why."""
        body = await self.body()
        try:
            return from_json(body, allow_inf_nan=False)
        except ValueError:
            self.scope[MALFORMED_JSON] = True
            return body


class Route(APIRoute):
    """A route that keeps the order of errors."""

    def get_route_handler(self) -> Callable[[Request], Awaitable[Response]]:  # type: ignore[override]
        """The framework's handler, on a request that tells malformed JSON late."""
        inner = super().get_route_handler()
        known = frozenset(_query_names(self.dependant))

        async def handle(request: Request) -> Response:
            request.scope["jinji_query"] = known
            return await inner(_Request(request.scope, request.receive))

        return handle


def _query_names(dependant: Dependant) -> Iterator[str]:
    yield from (param.alias for param in dependant.query_params)
    for below in dependant.dependencies:
        yield from _query_names(below)


def unknown_query(request: Request) -> Malformed | None:
    """What is wrong with a query parameter that the route does not have: a filter misspelt would show everything."""
    unknown = sorted(set(request.query_params) - request.scope["jinji_query"])
    if not unknown:
        return None
    return Malformed(
        *(fault("unknown_field", name, "没有这个查询参数", "there is no such parameter") for name in unknown)
    )


def require_known_query(request: Request) -> None:
    """Raises Malformed for a query parameter that the route does not have."""
    if unknown := unknown_query(request):
        raise unknown


def running(request: Request) -> Running:
    """The process that serves the request."""
    found: Running = request.app.state.running
    return found


class Trusted:
    """The callers of this process's last seconds, by the hash of their token."""

    def __init__(self) -> None:
        self._until: dict[str, tuple[float, Caller]] = {}

    def get(self, hashed: str) -> Caller | None:
        """The caller, if looked up within the last seconds."""
        found = self._until.get(hashed)
        return found[1] if found is not None and clock.monotonic() < found[0] else None

    def put(self, hashed: str, caller: Caller) -> None:
        """Trust for some seconds."""
        if len(self._until) > 10_000:
            self._until.clear()
        self._until[hashed] = (clock.monotonic() + TRUSTED_SECONDS, caller)

    def forget(self) -> None:
        """Look everybody up again: the clock has moved."""
        self._until.clear()


async def caller(
    request: Request, credentials: Annotated[HTTPAuthorizationCredentials | None, Depends(_bearer)]
) -> Caller:
    """Who is calling. Raises Unauthenticated."""
    return await _known(request, credentials.credentials if credentials is not None else "")


async def caller_of(request: Request) -> Caller:
    """Who is calling, from the header itself. Raises Unauthenticated."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    return await _known(request, secret.strip() if scheme.lower() == "bearer" else "")


async def _known(request: Request, secret: str) -> Caller:
    if not secret or not secret.isascii():
        raise Unauthenticated
    trusted: Trusted = request.app.state.trusted
    hashed = access.hashed(secret)
    found = trusted.get(hashed)
    if found is None:
        found = await run_in_threadpool(_look_up, running(request), secret)
        trusted.put(hashed, found)
    request.scope["jinji_caller"] = found.id
    return found


def _look_up(process: Running, secret: str) -> Caller:
    with process.db.reading() as tx:
        return access.caller_of(tx, secret, process.clock.now(tx))


Calling = Annotated[Caller, Depends(caller)]


@dataclass(frozen=True, slots=True)
class Reading:
    """One state of the database for one caller."""

    process: Running
    tx: Connection
    caller: Caller
    request: Request

    @property
    def desk(self) -> Desk:
        """The desk of this reading."""
        return Desk(self.tx, self.process.books)

    @property
    def now(self) -> datetime:
        """The instant of arrival."""
        return self.process.clock.now(self.tx, self.request.scope.get("jinji_arrived"))

    @property
    def language(self) -> str:
        """The language of names and sentences in the answer."""
        return language_of(self.request.headers.get("accept-language"))


def answered(request: Request, content: Any, *, version: int | None = None, status: int = 200) -> Response:
    """JSON, with the version as ETag: what a change of the thing needs, not what a cache may rest on."""
    headers = {"Content-Type": "application/json"}
    if version is not None:
        headers["ETag"] = f'"{version}"'
    return Response(to_json(content), status, headers)


def answer(content: Any, status: int = 200, *, version: int | None = None, location: str | None = None) -> Answer:
    """What a change answers."""
    headers = {"Content-Type": "application/json"}
    if version is not None:
        headers["ETag"] = f'"{version}"'
    if location is not None:
        headers["Location"] = location
    return Answer(status, headers, to_json(content))


def wanted_versions(header: str | None) -> frozenset[int] | None:
    """The versions of an If-Match header (RFC 9110 13.1.1); None without one, empty where none could match."""
    if header is None:
        return None
    tags = (tag.strip() for tag in header.split(","))
    return frozenset(
        int(tag[1:-1]) for tag in tags if tag[:1] == tag[-1:] == '"' and tag[1:-1].isascii() and tag[1:-1].isdecimal()
        and len(tag) < _LONGEST_TAG
    )  # fmt: skip


def idempotency_key(request: Request, scope: str, body: bytes) -> Key | None:
    """The key of a POST, with what its repetition must equal. Raises Malformed for one that is empty or over 200 characters."""
    said = request.headers.get("idempotency-key")
    if said is None or request.method != "POST":
        return None
    if not 1 <= len(said) <= _LONGEST_KEY:
        raise Malformed(
            fault(
                "wrong_length", "Idempotency-Key", f"应为 1 至 {_LONGEST_KEY} 个字符",
                f"1 to {_LONGEST_KEY} characters are needed",
            )
        )  # fmt: skip
    target = f"{request.method} {request.url.path}?{request.url.query}\n".encode()
    return Key(scope, said, sha256(target + body).hexdigest())


@dataclass(frozen=True, slots=True)
class Change:
    """A change that has come through the door: caller, version and key are in order; the body is being looked at."""

    process: Running
    caller: Caller
    request: Request
    version: int
    key: Key | None
    language: str

    def act(self, tx: Connection) -> Act:
        """Who acts, at the instant of arrival."""
        at = self.process.clock.now(tx, self.request.scope.get("jinji_arrived"))
        return Act(self.caller, at, self.request.scope.get("jinji_request_id"))

    def make(self, do: Callable[[Desk, Act], Answer]) -> Response:
        """Do it in one transaction and keep the answer under its key; lost races are tried again.

        A refusal by the rules (409) is kept too, so that the same request never succeeds after it was refused.
        """
        with self.process.db.place():
            return self._tried(do)

    def _tried(self, do: Callable[[Desk, Act], Answer]) -> Response:
        for attempt in range(_TRIES):
            if attempt:  # who lost together must not come again together
                clock.pause(_PAUSE_SECONDS * 2**attempt * self.process.books.chance.fraction())
            try:
                try:
                    return self._made(do)
                except Conflict as refusal:
                    return self._refused(refusal)
            except (IntegrityError, DatabaseBusy):
                if attempt == _TRIES - 1:
                    raise DatabaseBusy from None
        raise AssertionError

    def _made(self, do: Callable[[Desk, Act], Answer]) -> Response:
        with self.process.db.transaction() as tx:
            if self.key is not None:
                require_unanswered(self.key, tx)
            act = self.act(tx)
            made = do(Desk(tx, self.process.books), act)
            if self.key is not None and answers.is_kept(made):
                answers.keep(tx, [(self.key, made)], act.at)
        return Response(made.body, made.status, dict(made.headers))

    def _refused(self, refusal: Conflict) -> Response:
        told = problem(refusal, language=self.language, instance=self.request.url.path)
        if self.key is not None:
            with self.process.db.transaction() as tx:
                require_unanswered(self.key, tx)
                answers.keep(tx, [(self.key, told)], self.act(tx).at)
        return Response(told.body, told.status, dict(told.headers))


def require_unanswered(key: Key, tx: Connection) -> None:
    """Raises Replayed with the kept answer, or KeyReused for another request under the same key."""
    found = answers.find(tx, [key]).get((key.scope, key.key))
    if found is not None:
        fingerprint, kept = found
        raise Replayed(kept) if fingerprint == key.fingerprint else KeyReused()


Find = Callable[[Connection, Caller, dict[str, Any]], int]


def changing(act: str, find: Find | None = None, *, kind: str | None = None) -> Any:
    """The dependency of a route that changes something: everything that comes before the body in the order of errors.

    `act` is a row of access.MAY; `find` gives the version of the existing thing that the path names, or raises
    NotFound: such a route needs If-Match, but for DELETE, which heeds one that is sent. `kind` is the kind of event that the route makes: only for roles to which
    some programme gives it.
    """

    async def come_in(request: Request, calling: Calling) -> Change:
        process = running(request)
        body = await request.body()
        return await run_in_threadpool(_come_in, process, request, calling, body, act, find, kind)

    come_in.act = act  # type: ignore[attr-defined]
    return Depends(come_in)


def _come_in(
    process: Running, request: Request, calling: Caller, body: bytes, act: str, find: Find | None, kind: str | None
) -> Change:
    key = idempotency_key(request, calling.id, body)
    version = 0
    with process.db.reading() as tx:
        if find is not None:
            version = find(tx, calling, request.path_params)
        access.require(calling, act)
        if kind is not None and calling.role not in process.books.programmes.roles_of(tx, kind):
            raise NotYourRole.but(calling.role, *process.books.programmes.roles_of(tx, kind))
        if key is not None:
            require_unanswered(key, tx)
        if find is not None:
            versions = wanted_versions(request.headers.get("if-match"))
            if versions is None and request.method != "DELETE":  # what was removed is gone in whatever version
                raise VersionMissing
            if versions is not None and version not in versions:
                raise VersionStale.unless_quoted(versions, version)
    require_known_query(request)
    return Change(process, calling, request, version, key, language_of(request.headers.get("accept-language")))


def reading(act: str) -> Any:
    """The dependency of a route that reads: the caller, whose role may `act`."""

    async def come_in(request: Request, calling: Calling) -> Caller:
        access.require(calling, act)
        require_known_query(request)
        return calling

    come_in.act = act  # type: ignore[attr-defined]
    return Depends(come_in)
