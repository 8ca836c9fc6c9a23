"""The one table from errors to status, and how a refusal is put into words (RFC 9457)."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match

from service import clock, errors
from service.api.shown import instant
from service.casework.answers import Answer
from service.casework.cases import TargetFixed
from service.casework.contacts import TooManyCodes
from service.casework.filings import (
    FilingClosed,
    FilingFrozen,
    FilingNotSubmitted,
    NotNil,
    PeriodNotBegun,
    PlansOwed,
    ReportsOwed,
)
from service.casework.messages import MessageSent
from service.casework.objections import NoticeOver, ObjectionDecided
from service.casework.requests import RequestAnswered
from service.casework.webhooks import TooManyWebhooks
from service.errors import ServiceError
from service.writer import Replayed
from workflows.faults import from_findings
from workflows.text import Reason, Text

PROBLEM = "application/problem+json"
MALFORMED_JSON = "jinji_malformed_json"  # in the scope of a request whose body is not JSON, until that has its turn

STATUS: Mapping[type[ServiceError], int] = {
    errors.Unauthenticated: 401,
    errors.NotFound: 404,
    errors.NotYourRole: 403,
    errors.KeyReused: 422,
    errors.VersionMissing: 428,
    errors.VersionStale: 412,
    errors.Malformed: 422,
    errors.CursorRefused: 422,
    errors.Conflict: 409,
    errors.EventRefused: 409,
    errors.EnterpriseExists: 409,
    errors.CaseExists: 409,
    errors.ClockRefused: 409,
    errors.ClockTooFar: 409,
    TargetFixed: 409,
    NoticeOver: 409,
    ObjectionDecided: 409,
    MessageSent: 409,
    RequestAnswered: 409,
    NotNil: 409,
    FilingNotSubmitted: 409,
    FilingClosed: 409,
    FilingFrozen: 409,
    PeriodNotBegun: 409,
    PlansOwed: 409,
    ReportsOwed: 409,
    TooManyWebhooks: 409,
    TooManyCodes: 409,
    errors.TooLarge: 413,
    errors.TooSlow: 408,
    errors.WrongMediaType: 415,
    errors.TooManyRequests: 429,
    errors.DatabaseAway: 503,
    errors.DatabaseBusy: 503,
}

_TITLES = {
    400: Text("请求有误", "Bad request"),
    401: Text("未认证", "Not authenticated"),
    403: Text("无权限", "Not for your role"),
    404: Text("不存在", "Not found"),
    405: Text("不支持此方法", "Method not allowed"),
    408: Text("请求超时", "Too slow"),
    409: Text("当前不可行", "Not possible now"),
    412: Text("版本已变", "Stale version"),
    413: Text("内容过大", "Too large"),
    415: Text("内容类型不支持", "Unsupported media type"),
    422: Text("内容有误", "Malformed"),
    428: Text("缺少 If-Match", "If-Match required"),
    429: Text("请求过于频繁", "Too many requests"),
    500: Text("服务内部错误", "Internal error"),
    503: Text("暂不可用", "Unavailable"),
}
_RETRY_AFTER = {503: "5"}
_log = structlog.get_logger(__name__)


def language_of(header: str | None) -> str:
    """ "en" where Accept-Language prefers English to Chinese, else "zh"."""
    best, language = 0.0, "zh"
    for part in (header or "").split(","):
        tag, _, weight = part.replace(" ", "").partition(";q=")  # blanks may stand around both signs (RFC 9110 12.4.2)
        try:
            quality = float(weight) if weight else 1.0
        except ValueError:
            continue
        said = tag.split("-")[0].lower()
        if said in ("en", "zh") and quality > best:
            best, language = quality, said
    return language


def told(reason: Reason, language: str) -> dict[str, Any]:
    """One reason as it stands in `errors`."""
    return {
        "code": reason.code,
        "detail": reason.detail.get(language),
        "clause": reason.clause,
        "field": reason.field,
        "who": reason.who,
        "until": instant(reason.until),
    }


def reasons_told(error: ServiceError, language: str) -> list[dict[str, Any]]:
    """Every reason of a refusal; the refusal itself where it has none."""
    if error.reasons:
        return [told(reason, language) for reason in error.reasons]
    return [told(Reason(error.code, error.detail), language)]


def status_of(error: ServiceError) -> int:
    """The status of an error, by its class."""
    return STATUS[type(error)]


def problem(error: ServiceError, *, language: str, instance: str) -> Answer:
    """The answer that tells of a refusal."""
    status = status_of(error)
    document = {
        "type": f"urn:jinji:problem:{error.code}",
        "title": _TITLES[status].get(language),
        "status": status,
        "detail": error.detail.get(language),
        "code": error.code,
        "instance": instance,
        "errors": [told(reason, language) for reason in error.reasons],
        **error.more,
    }
    headers = {"Content-Type": PROBLEM, "Content-Language": "en" if language == "en" else "zh-CN"}
    if status in _RETRY_AFTER:
        headers["Retry-After"] = _RETRY_AFTER[status]
    if status == 429:
        headers["Retry-After"] = str(error.more.get("retry_after", 60))
    if status == 408:
        headers["Connection"] = "close"  # what is still to come of the body must not be read as the next request
    if status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return Answer(status, headers, to_json(document))


def problem_response(request: Request, error: ServiceError) -> Response:
    """A refusal as the response to `request`."""
    language = language_of(request.headers.get("accept-language"))
    answer = problem(error, language=language, instance=request.url.path)
    return Response(answer.body, answer.status, dict(answer.headers))


def _plain_problem(request: Request, status: int, code: str, detail: Text, headers: Mapping[str, str]) -> Response:
    language = language_of(request.headers.get("accept-language"))
    document = {
        "type": f"urn:jinji:problem:{code}",
        "title": _TITLES.get(status, Text("请求未能完成", "Request failed")).get(language),
        "status": status,
        "detail": detail.get(language),
        "code": code,
        "instance": request.url.path,
        "errors": [],
    }
    said = "en" if language == "en" else "zh-CN"
    return Response(to_json(document), status, {**headers, "Content-Type": PROBLEM, "Content-Language": said})


_METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")


def _methods_of(request: Request) -> list[str]:
    """Every method that the path takes; the framework tells those of the first route alone (RFC 9110 10.2.1)."""
    declared: Mapping[str, Mapping[str, Any]] = request.app.openapi()["paths"]
    if request.scope["path"] in declared:  # a word of its own, as in /cases/batch, is not somebody's id
        return [method for method in _METHODS if method.lower() in declared[request.scope["path"]]]
    return [
        method
        for method in _METHODS
        if any(route.matches({**request.scope, "method": method})[0] is Match.FULL for route in request.app.routes)
    ]


_NO_SUCH_ADDRESS = Text("没有这个地址，可用的地址见 /docs", "there is no such address; /docs lists those that are")


def malformed(findings: Any, body: Any, *, not_json: bool = False) -> ServiceError:
    """The parser's findings about a request, as a refusal."""
    if not_json:
        return errors.Malformed(*from_findings([{"type": "json_invalid", "loc": (), "msg": ""}]))
    if isinstance(body, bytes):
        return errors.WrongMediaType()
    stripped = [{**finding, "loc": _below(finding["loc"])} for finding in findings]
    return errors.Malformed(*from_findings(stripped))


def _below(location: tuple[int | str, ...]) -> tuple[int | str, ...]:
    return location[1:] if location and location[0] in ("body", "query", "path", "header") else location


def install(app: FastAPI) -> None:
    """Have every error answered as a problem."""

    @app.exception_handler(ServiceError)
    def refused(request: Request, error: ServiceError) -> Response:
        if isinstance(error, Replayed):
            headers = {**error.answer.headers, "Idempotent-Replayed": "true"}
            return Response(error.answer.body, error.answer.status, headers)
        if isinstance(error, errors.DatabaseAway):
            if not isinstance(error, errors.DatabaseBusy):  # that many come at once is no reason to send nobody
                request.app.state.running.ticks.refused = clock.monotonic()
            _log.error("database refused", code=error.code, path=request.url.path, why=str(error.__cause__ or ""))
        return problem_response(request, error)

    @app.exception_handler(RequestValidationError)
    def misread(request: Request, error: RequestValidationError) -> Response:
        return problem_response(
            request, malformed(error.errors(), error.body, not_json=MALFORMED_JSON in request.scope)
        )

    @app.exception_handler(HTTPException)
    def by_the_framework(request: Request, error: HTTPException) -> Response:
        if isinstance(error.__cause__, ServiceError):  # raised while the framework read the body: it was too large
            return problem_response(request, error.__cause__)
        if error.status_code == HTTPStatus.NOT_FOUND:
            return problem_response(request, errors.NotFound(_NO_SUCH_ADDRESS))
        code = "method_not_allowed" if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED else "bad_request"
        detail = _TITLES.get(error.status_code, Text("请求未能完成", "the request failed"))
        headers = dict(error.headers or {})
        if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
            headers["Allow"] = ", ".join(_methods_of(request))
        return _plain_problem(request, error.status_code, code, detail, headers)

    @app.exception_handler(ClientDisconnect)
    def hung_up(request: Request, error: ClientDisconnect) -> Response:
        return _plain_problem(request, 400, "bad_request", _TITLES[400], {})  # nobody reads it: no fault of ours

    @app.exception_handler(Exception)
    def unforeseen(request: Request, error: Exception) -> Response:
        request_id = request.scope.get("jinji_request_id", "")
        _log.error("unforeseen", request_id=request_id, path=request.url.path, exc_info=error)
        detail = Text(
            f"服务内部错误，未作任何更改；请将编号 {request_id} 告知管理员",
            f"internal error, nothing was changed; tell the administrator the id {request_id}",
        )
        return _plain_problem(request, 500, "internal_error", detail, {"X-Request-Id": request_id})
