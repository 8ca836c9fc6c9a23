"""The OpenAPI document: what operations declare of the errors and headers of their answers, and what all share.

The framework writes what stands in the signatures; `complete` adds headers, examples and the problems, said once.
"""

from typing import Any

from pydantic_core import from_json

from service import errors
from service.api.errors import PROBLEM, problem
from service.api.examples import GOT, SENT
from service.api.schemas import EventSent
from service.api.shapes import Problem
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
from workflows.faults import fault
from workflows.text import Reason, Text

Responses = dict[int | str, dict[str, Any]]
Document = dict[str, Any]

_REASON = Reason(
    "measures_not_done",
    Text(
        "还有 1 项措施未完成：1. 更换除尘器（期限 2024-09-30）。完成后请在月度跟踪评估中登记",
        "1 measure is not done: 1. 更换除尘器 (by 2024-09-30). Report it done in the month's assessment",
    ),
    "P4",
    "measures",
    "unit",
)
_FAULT = fault(
    "not_a_day", "applied_on", "日期应写成 YYYY-MM-DD，且确有其日", "a date is written YYYY-MM-DD and must exist"
)

# status → (what it means, the refusals that are answered so, the first being the example)
_PROBLEMS: dict[int, tuple[str, tuple[ServiceError, ...]]] = {
    401: ("No token, or one that is unknown, expired or revoked.", (errors.Unauthenticated(),)),
    403: ("Seen, but not for this role.", (errors.NotYourRole(),)),
    404: ("Unknown, or outside the caller's scope.", (errors.NotFound(),)),
    408: ("The request was not complete in time; the connection is closed.", (errors.TooSlow(),)),
    409: (
        "Not possible now; every unmet condition stands in `errors`.",
        (
            errors.EventRefused(None, (_REASON,)),
            errors.CaseExists(case="0191f0c0-9a41-7c3e-b1d5-6f2f0a4c8e11"),
            errors.EnterpriseExists(),
            TargetFixed(),
            NoticeOver(),
            ObjectionDecided(),
            MessageSent(),
            RequestAnswered(),
            NotNil(rows=31),
            FilingNotSubmitted(),
            FilingClosed(),
            FilingFrozen(),
            PeriodNotBegun(period="2024-11"),
            ReportsOwed(cases=["0191f0c0-9a41-7c3e-b1d5-6f2f0a4c8e11"]),
            PlansOwed(cases=["0191f0c0-9a41-7c3e-b1d5-6f2f0a4c8e11"]),
            TooManyWebhooks(most=20),
            TooManyCodes(),
            errors.ClockRefused(),
            errors.ClockTooFar(),
        ),
    ),
    412: ("Changed since it was read.", (errors.VersionStale(version=4),)),
    413: ("The body is too large.", (errors.TooLarge(),)),
    415: ("The body is not JSON.", (errors.WrongMediaType(),)),
    422: (
        "Malformed; each fault stands in `errors`. Also an `Idempotency-Key` that came with another request.",
        (errors.Malformed(_FAULT), errors.KeyReused(), errors.CursorRefused()),
    ),
    428: ("If-Match is missing.", (errors.VersionMissing(),)),
    429: ("Too many requests from callers without a token.", (errors.TooManyRequests(retry_after=60),)),
    503: ("The database is away or busy; nothing was changed.", (errors.DatabaseAway(), errors.DatabaseBusy())),
}


def problems(*status: int) -> Responses:
    """The error answers of an operation; any may find the database away."""
    return {each: {"description": _PROBLEMS[each][0]} for each in (*status, 503)}


LISTS = problems(401, 403, 422)
READS = problems(401, 403, 404, 422)
CREATES = problems(401, 403, 404, 408, 409, 413, 415, 422)
BATCHES = problems(401, 403, 408, 413, 415, 422)
PUBLISHES = problems(401, 403, 404, 408, 409, 412, 413, 415, 422)
CHANGES = problems(401, 403, 404, 408, 409, 412, 413, 415, 422, 428)
REMOVES = problems(401, 403, 404, 412, 422)
PUBLIC_LISTS = problems(422, 429)
PUBLIC = problems(404, 422, 429)
PUBLIC_CREATES = problems(404, 408, 409, 413, 415, 422, 429)

TAGGED: Responses = {200: {"headers": {"ETag": {"$ref": "#/components/headers/ETag"}}}}


def made(model: Any, *, tagged: bool = True) -> Responses:
    """The answer to something made, which says where it stands."""
    headers = {"Location": {"$ref": "#/components/headers/Location"}}
    if tagged:
        headers["ETag"] = {"$ref": "#/components/headers/ETag"}
    return {201: {"model": model, "headers": headers}}


# --- what all share ---------------------------------------------------------------------------------------------------

_TEXT = {"type": "string"}
_HEADERS: Document = {
    "X-Request-Id": {
        "description": "The id of the request: also in the audit and the log.",
        "required": True,
        "schema": {"type": "string", "pattern": "^[A-Za-z0-9._-]{8,64}$"},
        "example": "b7c1d2e3f4a5968778695a4b3c2d1e0f",
    },
    "ETag": {
        "description": "The version of the thing, quoted: what If-Match of a change wants.",
        "required": True,
        "schema": {"type": "string", "pattern": '^"[0-9]+"$'},
        "example": '"4"',
    },
    "Location": {
        "description": "Where the new thing stands.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
        "example": "/api/v1/cases/0191f0c0-9a41-7c3e-b1d5-6f2f0a4c8e11",
    },
    "Retry-After": {
        "description": "Seconds to wait.",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
        "example": 5,
    },
    "WWW-Authenticate": {"description": "RFC 6750.", "required": True, "schema": _TEXT, "example": "Bearer"},
    "Content-Language": {
        "description": "The language of `title` and `detail`.",
        "required": True,
        "schema": {"type": "string", "enum": ["zh-CN", "en"]},
        "example": "zh-CN",
    },
    "Idempotent-Replayed": {
        "description": "Stands only on the kept answer to a repeated Idempotency-Key.",
        "required": False,
        "schema": {"type": "string", "enum": ["true"]},
        "example": "true",
    },
}
_PARAMETERS: Document = {
    "AcceptLanguage": {
        "name": "Accept-Language",
        "in": "header",
        "description": "The language of names and sentences: Chinese unless English is preferred.",
        "schema": _TEXT,
        "example": "en",
    },
    "RequestId": {
        "name": "X-Request-Id",
        "in": "header",
        "description": "An id of the caller's own, 8 to 64 letters, digits, `.`, `_`, `-`; anything else is replaced.",
        "schema": _TEXT,
        "example": "b7c1d2e3f4a5968778695a4b3c2d1e0f",
    },
    "IfMatch": {
        "name": "If-Match",
        "in": "header",
        "required": True,
        "description": "The ETag of the thing as last read.",
        "schema": _TEXT,
        "example": '"1"',
    },
    "IdempotencyKey": {
        "name": "Idempotency-Key",
        "in": "header",
        "description": "Makes a repetition safe: same key and same request, the kept answer (48 hours).",
        "schema": {"type": "string", "minLength": 1, "maxLength": 200},
        "example": "9b2f3c1e-5a47-4d0c-8a63-0d6d4c1b7e22",
    },
}
_TAGS = {
    "programmes": "The programme as data: units, industries, grades, states, events, dates, forms.",
    "calendar": "The Chinese working calendar, with the paper behind each arranged day.",
    "enterprises": "The ledger of sites.",
    "cases": "Cases on their way: list, read, amend, move by events.",
    "requests": "What enterprises need, and the answer within 5 working days.",
    "contacts": "The officers to whom mail goes.",
    "notices": "Publication of results and the decision of objections.",
    "filings": "What units hand the province: forms for periods, frozen when handed in.",
    "messages": "Mails and webhooks: to whom, what, when, and another try.",
    "obligations": "Who owes what by when, how it stands, and why it is due then.",
    "board": "How far the province and each unit are, and who is behind.",
    "public": "What needs no token.",
    "feeds": "Dates for calendar programs.",
    "webhooks": "Events for other programs, signed as Standard Webhooks says.",
    "audit": "Who did what, when, why; and whether the record is whole.",
    "clock": "The clock of the service.",
    "health": "Whether the process lives and is ready.",
}


def _ref(kind: str, name: str) -> Document:
    return {"$ref": f"#/components/{kind}/{name}"}


def _problem(status: int) -> Document:
    said, refusals = _PROBLEMS[status]
    headers = ["X-Request-Id", "Content-Language"]
    headers += {401: ["WWW-Authenticate"], 429: ["Retry-After"], 503: ["Retry-After"]}.get(status, [])
    if status in (409, 422):  # refusals by the rules are kept under the key, too
        headers.append("Idempotent-Replayed")
    examples = {
        refusal.code: {
            "summary": refusal.detail.en,
            "value": from_json(problem(refusal, language="zh", instance="/api/v1/cases").body),
        }
        for refusal in refusals
    }
    return {
        "description": said,
        "headers": {name: _ref("headers", name) for name in headers},
        "content": {PROBLEM: {"schema": _ref("schemas", "Problem"), "examples": examples}},
    }


def complete(document: Document) -> Document:
    """The framework's document with everything that operations share: headers, problems, examples."""
    components = document["components"]
    schemas = components["schemas"]
    for model in (Problem, EventSent):
        own = model.model_json_schema(ref_template="#/components/schemas/{model}")
        schemas.update(own.pop("$defs", {}))
        schemas[model.__name__] = own
    for leftover in ("HTTPValidationError", "ValidationError"):
        schemas.pop(leftover, None)
    components["headers"] = _HEADERS
    components["parameters"] = _PARAMETERS
    components["responses"] = {f"Problem{status}": _problem(status) for status in _PROBLEMS}
    document["tags"] = [{"name": name, "description": said} for name, said in _TAGS.items()]
    document["servers"] = [{"url": "/", "description": "This process."}]
    for path in document["paths"].values():
        for method, operation in path.items():
            _complete_operation(method, operation)
    return document


def _complete_operation(method: str, operation: Document) -> None:
    name, responses = operation["operationId"], operation["responses"]
    first, _, rest = operation["description"].partition("\n")
    operation["summary"] = first.rstrip(".")
    operation["description"] = rest.strip() or first
    parameters = [_without_null(parameter) for parameter in operation.get("parameters", [])]
    parameters += [_ref("parameters", "AcceptLanguage"), _ref("parameters", "RequestId")]
    if "428" in responses:
        parameters.append(_ref("parameters", "IfMatch"))
    if method == "post":
        parameters.append(_ref("parameters", "IdempotencyKey"))
    operation["parameters"] = parameters
    for status, response in responses.items():
        if status.startswith("2"):
            _complete_answer(method, response, GOT.get(name))
        elif "content" in response:
            response["headers"] = {"X-Request-Id": _ref("headers", "X-Request-Id")}
        else:
            responses[status] = _ref("responses", f"Problem{status}")
    if name in SENT:
        content = operation["requestBody"]["content"]["application/json"]
        content["examples"] = {key: {"summary": said, "value": value} for key, (said, value) in SENT[name].items()}


def _without_null(parameter: Document) -> Document:
    """The framework writes an optional parameter as one that may be null, which no address can be."""
    schema = dict(parameter["schema"])
    for branch in schema.pop("anyOf", []):
        if branch != {"type": "null"}:
            schema |= branch
    return {**parameter, "schema": schema}


def _complete_answer(method: str, response: Document, example: Any) -> None:
    headers = response.setdefault("headers", {})
    headers["X-Request-Id"] = _ref("headers", "X-Request-Id")
    if method == "post":
        headers["Idempotent-Replayed"] = _ref("headers", "Idempotent-Replayed")
    if response["description"] == "Successful Response":
        response["description"] = "As it stands."
    if example is not None:
        next(iter(response["content"].values()))["example"] = example
