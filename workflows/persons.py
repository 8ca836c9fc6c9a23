"""When two names mean one person: the ground of every two-person rule (四（四） 廉洁评级).

Names are compared by what a reader tells apart: blanks, dots, marks, width and case are not. Where in doubt, two
names are one person: to name somebody else costs little, to let one person judge twice breaks the rule. The limits: a
name in traditional characters and the same in simplified ones are two (there is no table of variants here), and so are
a name and its pinyin, and characters that merely look alike within one script.
"""

import re
import unicodedata
from collections.abc import Iterable

_IN_BRACKETS = re.compile(
    r"\([^()]*\)|\[[^\[\]]*\]|【[^【】]*】|〔[^〔〕]*〕|〈[^〈〉]*〉|《[^《》]*》|「[^「」]*」|<[^<>]*>"
)
# Signs that stand within one person's name: between its parts, for what is left out, to join.
_IN_NAMES = frozenset("·•‧∙⋅・･﹒．.'’‘`-‐‑‒–—_")
_ALPHABETS = frozenset({"LATIN", "CYRILLIC", "GREEK", "ARMENIAN", "CHEROKEE", "COPTIC"})
_FILLERS = frozenset("\u115f\u1160")  # letters by their category, shown as nothing


def folded(name: str) -> str:
    """The form in which names are compared: the letters and digits of `name`, in one width and case, without marks.

    What stands in brackets (周教授（专家）) is a remark and left out. A name without any letter is compared as it is.
    """
    plain = unicodedata.normalize("NFKC", name).casefold()
    return _letters(_IN_BRACKETS.sub("", plain)) or _letters(plain) or plain


def _letters(text: str) -> str:
    """The letters and digits; a modifier letter (ʹ, ـ) is a mark by another name."""
    parted = unicodedata.normalize("NFKD", text)
    kept = (character for character in parted if character not in _FILLERS and _is_letter(character))
    return unicodedata.normalize("NFC", "".join(kept))


def _is_letter(character: str) -> bool:
    category = unicodedata.category(character)
    return category[0] in "LN" and category != "Lm"


def names_one(name: str) -> bool:
    """Whether `name` can be one person's: letters with what stands within a name, no separator, no remark."""
    fits = (
        unicodedata.category(character)[0] in "LMN" or character.isspace() or character in _IN_NAMES
        for character in name
    )
    return all(fits) and bool(_letters(unicodedata.normalize("NFKC", name).casefold()))


def mixes_alphabets(name: str) -> bool:
    """Whether letters of several alphabets stand in `name` that can be taken for one another (Latin, Cyrillic, …)."""
    if name.isascii():
        return False
    plain = unicodedata.normalize("NFKC", name)
    found = {unicodedata.name(character, "").partition(" ")[0] for character in plain if character.isalpha()}
    return len(found & _ALPHABETS) > 1


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
