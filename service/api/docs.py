"""The words and files of the API's documentation page."""

from functools import lru_cache
from importlib.resources import files
from pathlib import Path

DESCRIPTION = """
一个绩效分级行动方案（如创A晋B）的工作流服务。每个培育对象是一个状态机：`offers` 列出从当前状态能进行的事件，
被拒绝时列出**每一项**未满足的条件、条款、由谁补、到何时。

Every case is a state machine. `offers` lists the events that lead on; a refusal lists **every** unmet condition, its
clause, what to supply, who can, until when.

- `Authorization: Bearer <token>`; tokens are made by `jinji token create`.
- A change needs `If-Match` with the `ETag` of the thing as last read; every POST takes an `Idempotency-Key`.
- `Accept-Language: en` for English.
"""

# Nothing from elsewhere; the page's own start-up script stands in the page.
POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
    "frame-ancestors 'none'"
)


@lru_cache
def static_folder() -> Path:
    """Where the page's script and style stand on this machine: shipped by a package, fetched from nowhere."""
    return Path(str(files("fastapi_offline"))) / "static"
