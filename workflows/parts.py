"""Walks through a programme, or what is to become one, and calls each part as it would be called in the file."""

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from functools import lru_cache
from types import NoneType
from typing import Any

_WITHOUT_PARTS = frozenset({str, int, bool, date, NoneType})


def parts(value: Any, key: str = "") -> list[tuple[str, Any]]:
    """`value` and everything within it, each with its key as it would be written in the file."""
    found: list[tuple[str, Any]] = []
    _walk(value, key, found)
    return found


def _walk(value: Any, key: str, found: list[tuple[str, Any]]) -> None:
    found.append((key, value))
    class_: Any = type(value)
    if class_ in _WITHOUT_PARTS:
        return
    if class_ is tuple:
        for index, item in enumerate(value):
            name = None if type(item) is str else name_of(item)
            _walk(item, f"{key}[{index}]" if name is None else f"{key}.{name}", found)
    elif named := _fields_of(class_):
        for name, as_written in named:
            _walk(getattr(value, name), f"{key}.{as_written}" if key else as_written, found)
    elif isinstance(value, Mapping):
        for name, item in value.items():
            _walk(item, f"{key}.{name}", found)


@lru_cache
def _fields_of(class_: Any) -> tuple[tuple[str, str], ...]:
    """The fields of a part and what they are called in the file; none where the value is no part of ours."""
    if not is_dataclass(class_):
        return ()
    return tuple((part.name, part.name.removesuffix("_")) for part in fields(class_))


def name_of(item: Any) -> str | None:
    """What an entry of a list is called in messages: by its id, code or name."""
    get = item.get if isinstance(item, Mapping) else lambda name: getattr(item, name, None)
    return next((name for name in map(get, ("id", "code", "name")) if isinstance(name, str)), None)
