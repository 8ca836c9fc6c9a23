"""When two names mean one person: the ground of every two-person rule (四（四） 廉洁评级)."""

import unicodedata
from collections.abc import Iterable


def folded(name: str) -> str:
    """`name` without blanks, in one width and one case: the form in which names are compared."""
    return "".join(unicodedata.normalize("NFKC", name).casefold().split())


def in_both(some: Iterable[str], others: Iterable[str]) -> tuple[str, ...]:
    """The names of `some`, as written there, that also stand in `others`."""
    known = {folded(name) for name in others}
    return tuple(name for name in some if folded(name) in known)


def joined(known: tuple[str, ...], more: Iterable[str]) -> tuple[str, ...]:
    """`known` and those of `more` that are not among them yet, in order."""
    seen = {folded(name) for name in known}
    result = list(known)
    for name in more:
        if folded(name) not in seen:
            seen.add(folded(name))
            result.append(name)
    return tuple(result)
