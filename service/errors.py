"""What the service refuses, as facts.

ServiceError
├── Unauthenticated          no token, or one that is unknown, expired or revoked
├── NotFound                 unknown, or outside the caller's scope
├── NotYourRole              seen, but not for this role
├── KeyReused                an Idempotency-Key that came with another body before
├── VersionMissing           a change without If-Match
├── VersionStale             somebody changed it since
├── Malformed                what was sent is wrong by itself
│   └── CursorRefused        a cursor that was not given out for this list
├── Conflict                 not possible now
│   ├── EventRefused         the rules say no, with every reason
│   ├── EnterpriseExists     the site stands in the ledger already
│   ├── CaseExists           the site has a case for this industry already
│   ├── ClockRefused         the virtual clock does not go backwards
│   └── ClockTooFar          nor so far at once that somebody must have mistyped the year
├── TooLarge                 a body over the limit
├── TooSlow                  a body that was not complete in time
├── WrongMediaType           a body that is not JSON
├── TooManyRequests          the public limit is reached
├── DatabaseAway             the database does not answer
├── DatabaseBusy             the database is locked or out of connections for the moment
└── ClockMismatch            a database of the other kind of clock, at start
"""

from collections.abc import Mapping
from typing import Any, ClassVar, Self

from workflows.programme import ROLE_NAMES, Role
from workflows.text import Reason, Text, listed


class ServiceError(Exception):
    """A refusal: a stable code, a sentence in both languages, and what it is about."""

    code: ClassVar[str] = "error"
    said: ClassVar[Text] = Text("请求未能完成", "the request failed")

    def __init__(self, detail: Text | None = None, reasons: tuple[Reason, ...] = (), **more: Any) -> None:
        self.detail = detail or self.said
        self.reasons = reasons
        self.more: Mapping[str, Any] = more
        super().__init__(f"{self.code}: {self.detail.en}")


class Unauthenticated(ServiceError):
    """No token, or one that is unknown, expired or revoked."""

    code = "unauthenticated"
    said = Text(
        "需要有效的访问令牌：请在 Authorization 头中以 Bearer 方式提供",
        "a valid token is needed: send it as Authorization: Bearer",
    )


class NotFound(ServiceError):
    """Unknown, or outside the caller's scope: the two are not told apart."""

    code = "not_found"
    said = Text("没有这一项，或不在您的权限范围内", "there is no such thing within your scope")


class NotYourRole(ServiceError):
    """The thing is in scope, the act is not for this role."""

    code = "forbidden"
    said = Text("您的角色不能进行此项操作", "this is not for your role")

    @classmethod
    def but(cls, role: str, *allowed: str) -> Self:
        """For a caller of `role`, where only the `allowed` ones may."""
        own, others = ROLE_NAMES[role], listed(ROLE_NAMES[each] for each in Role if each in allowed)
        return cls(
            Text(
                f"您的角色（{own.zh}）不能进行此项操作，由{others.zh}办理",
                f"this is not for your role ({own.en}), but for {others.en}",
            )
        )


class KeyReused(ServiceError):
    """An Idempotency-Key that came with another request before."""

    code = "idempotency_key_reused"
    said = Text(
        "这个 Idempotency-Key 已用于另一请求，请换一个新的",
        "this Idempotency-Key was used for another request: take a new one",
    )


class VersionMissing(ServiceError):
    """A change without If-Match."""

    code = "if_match_required"
    said = Text(
        "修改须带 If-Match：先读取该项，把答复中的 ETag 原样送回",
        "a change needs If-Match: read the thing first and send its ETag back",
    )


class VersionStale(ServiceError):
    """Somebody changed the thing since the caller read it."""

    code = "stale"
    said = Text(
        "所给版本不是现行版本（读取后已有变动）：请重新读取，再作决定",
        "not the version as it stands (it has changed since it was read): read it again, then decide anew",
    )

    @classmethod
    def unless_quoted(cls, versions: frozenset[int], version: int) -> Self:
        """The refusal of `versions` where the thing has another; none at all: If-Match held no quoted version."""
        if versions:
            return cls(version=version)
        return cls(
            Text(
                f'If-Match 应为带双引号的版本号，即最近一次答复中的 ETag，如 "{version}"',
                f'If-Match must be a version in double quotes, the ETag as it was answered: "{version}", say',
            ),
            version=version,
        )


class Malformed(ServiceError):
    """What was sent is wrong by itself; each fault stands in `reasons`."""

    code = "malformed"
    said = Text("请求内容有误，详见 errors", "what was sent is wrong, see errors")

    def __init__(self, *faults: Reason, **more: Any) -> None:
        super().__init__(None, faults, **more)


class CursorRefused(Malformed):
    """A cursor that was not given out for this list."""

    code = "cursor_refused"
    said = Text(
        "分页游标无效，请从第一页重新开始", "this cursor was not given out for this list: begin at the first page"
    )


class Conflict(ServiceError):
    """Well formed, but not possible now."""

    code = "conflict"
    said = Text("当前不能进行此项操作", "not possible now")


class EventRefused(Conflict):
    """The rules say no; `reasons` holds every unmet condition."""

    code = "event_refused"
    said = Text("当前不能进行，未满足的条件详见 errors", "not possible now, every unmet condition stands in errors")


class EnterpriseExists(Conflict):
    """The site (its permit number, else its credit code) stands in the ledger already."""

    code = "enterprise_exists"
    said = Text(
        "该厂区已在企业台账中；不属本单位的，请核对编号，或请省级协调",
        "this site stands in the ledger already; if not as your unit's, check its number or turn to the province",
    )


class CaseExists(Conflict):
    """The site has a case of this programme and industry already."""

    code = "case_exists"
    said = Text("该厂区在本方案该行业已有培育对象", "this site has a case of this programme and industry already")


class ClockRefused(Conflict):
    """The virtual clock does not go backwards."""

    code = "clock_backwards"
    said = Text("虚拟时钟不能倒退", "the virtual clock does not go backwards")


class ClockTooFar(Conflict):
    """Days that have passed come back no more, so nobody moves the virtual clock by decades in passing."""

    code = "clock_too_far"
    said = Text(
        "虚拟时钟一次最多前移五年，请核对年份", "the virtual clock moves on five years at a time: look at the year"
    )


class TooLarge(ServiceError):
    """A body over the limit."""

    code = "too_large"
    said = Text("请求内容过大", "the body is too large")


class TooSlow(ServiceError):
    """A body that was not complete in time."""

    code = "request_timeout"
    said = Text("请求内容未在规定时间内传完，请重新发送", "the body was not complete in time: send the request again")


class WrongMediaType(ServiceError):
    """A body that is not what the resource takes."""

    code = "unsupported_media_type"
    said = Text("请求内容须为 application/json", "the body must be application/json")


class TooManyRequests(ServiceError):
    """The limit for callers without a token is reached."""

    code = "too_many_requests"
    said = Text("请求过于频繁，请稍后再试", "too many requests: try again later")


class DatabaseAway(ServiceError):
    """The database does not answer."""

    code = "database_away"
    said = Text(
        "数据库暂时不可用，请稍后重试；未作任何更改", "the database is away: try again later; nothing was changed"
    )


class DatabaseBusy(DatabaseAway):
    """The database is locked, or out of connections, for the moment."""

    code = "database_busy"
    said = Text("数据库繁忙，请稍后重试；未作任何更改", "the database is busy: try again later; nothing was changed")


class ClockMismatch(ServiceError):
    """The database was begun on the other kind of clock."""

    code = "clock_mismatch"
    said = Text("数据库的时钟类型与设置不符", "the database was begun on the other kind of clock")
