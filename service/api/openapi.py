"""What every operation declares besides its own: the errors it may answer, and headers that answers carry."""

from typing import Any

from service.api.errors import PROBLEM
from service.api.schemas import Problem

_SAID = {
    401: "No token, or one that is unknown, expired or revoked.",
    403: "Seen, but not for this role.",
    404: "Unknown, or outside the caller's scope.",
    409: "Not possible now; every unmet condition stands in `errors`.",
    412: "Changed since it was read.",
    413: "The body is too large.",
    415: "The body is not JSON.",
    422: "Malformed; each fault stands in `errors`.",
    428: "If-Match is missing.",
    429: "Too many requests from callers without a token.",
    503: "The database is away; nothing was changed.",
}
_REASON = {
    "code": "measures_not_done",
    "detail": "还有 1 项措施未完成：1. 更换除尘器（期限 2024-09-30）。完成后请在月度跟踪评估中登记",
    "clause": "P4",
    "field": "measures",
    "who": "unit",
    "until": "2024-12-21T00:00:00+08:00",
}
_TAG = {"schema": {"type": "string"}, "description": "The version of the thing, quoted."}
HEADERS: dict[str, Any] = {"X-Request-Id": {"schema": {"type": "string"}, "description": "Also in audit and log."}}
TAGGED: dict[str, Any] = {**HEADERS, "ETag": _TAG}


def problems(*status: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of an operation."""
    return {each: _problem(each) for each in (*status, 503)}


def _problem(status: int) -> dict[str, Any]:
    code = "event_refused" if status == 409 else "malformed" if status == 422 else "problem"
    example = {
        "type": f"urn:jinji:problem:{code}", "title": "…", "status": status, "detail": _SAID[status], "code": code,
        "instance": "/api/v1/cases", "errors": [_REASON] if status == 409 else [],
    }  # fmt: skip
    return {
        "description": _SAID[status],
        "content": {PROBLEM: {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}},
        "headers": HEADERS,
    }


READS = problems(401, 403, 404, 422)
CREATES = problems(401, 403, 404, 409, 413, 415, 422)
CHANGES = problems(401, 403, 404, 409, 412, 413, 415, 422, 428)
PUBLIC = problems(404, 422, 429)
PUBLIC_CREATES = problems(404, 409, 413, 415, 422, 429)
ALL_SCHEMAS = (Problem,)


def made(model: Any, example: Any = None) -> dict[int | str, dict[str, Any]]:
    """The answer to something made."""
    answer: dict[str, Any] = {"model": model, "headers": {**TAGGED, "Location": {"schema": {"type": "string"}}}}
    if example is not None:
        answer["content"] = {"application/json": {"example": example}}
    return {201: answer}
