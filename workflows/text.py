"""Words for people: a sentence in Chinese and in English, and the reasons and faults built from them."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True)
class Text:
    """One sentence or name in both languages of the service."""

    __pydantic_config__: ClassVar[Any] = {"extra": "forbid"}

    zh: str
    en: str

    def get(self, language: str) -> str:
        """The text in `language` ("en", anything else is Chinese)."""
        return self.en if language == "en" else self.zh


_INNER = str.maketrans("“”", "‘’")


def quoted(text: Text | str) -> Text:
    """A name, or what somebody sent, in the quotation marks of each language; what it quotes itself in inner ones."""
    zh, en = (text, text) if isinstance(text, str) else (text.zh, text.en)
    return Text(f"“{zh.translate(_INNER)}”", f"'{en}'")


def listed(texts: Iterable[Text | str]) -> Text:
    """One or more names as one: with 、 between them in Chinese, with commas and an "and" in English."""
    each = [Text(text, text) if isinstance(text, str) else text for text in texts]
    *others, last = (text.en for text in each)
    return Text("、".join(text.zh for text in each), f"{', '.join(others)} and {last}" if others else last)


@dataclass(frozen=True, slots=True)
class Reason:
    """Why something is not possible, or what is wrong with what was sent: one line of a refusal.

    `clause` is an id of the plan, `field` where the mend goes in the request, `who` the role that can mend it,
    `until` the aware instant up to which it can be mended.
    """

    code: str
    detail: Text
    clause: str | None = None
    field: str | None = None
    who: str | None = None
    until: datetime | None = None
