"""Who an enterprise and its site are: the credit code (GB 32100-2015) and the permit number (排污许可证编号, 登记编号)."""

import re

_ALPHABET = "0123456789ABCDEFGHJKLMNPQRTUWXY"
_VALUES = {character: value for value, character in enumerate(_ALPHABET)}
_WEIGHTS = tuple(pow(3, position, 31) for position in range(17))
_SHAPE = re.compile(r"[0-9A-HJ-NPQRTUWXY]{2}[0-9]{6}[0-9A-HJ-NPQRTUWXY]{10}", re.ASCII)
_PERMIT_TAIL = re.compile(r"[0-9]{3}[0-9A-Z]", re.ASCII)


def check_digit(first_seventeen: str) -> str:
    """The 18th character of a credit code (GB 32100-2015: weights 3^i mod 31).

    Raises ValueError for a character outside the alphabet or another length.
    """
    if len(first_seventeen) != 17 or any(character not in _VALUES for character in first_seventeen):
        raise ValueError("a credit code begins with 17 characters of 0-9 and A-Y without I, O, S, V, Z")
    total = sum(_VALUES[character] * weight for character, weight in zip(first_seventeen, _WEIGHTS, strict=True))
    return _ALPHABET[(31 - total % 31) % 31]


def is_credit_code(code: str) -> bool:
    """Whether `code` is an 18-character 统一社会信用代码 with a right check digit."""
    return _SHAPE.fullmatch(code) is not None and check_digit(code[:17]) == code[17]


def is_permit_number(number: str) -> bool:
    """Whether `number` is a permit or registration number: a credit code, three digits, one letter or digit."""
    return len(number) == 22 and is_credit_code(number[:18]) and _PERMIT_TAIL.fullmatch(number[18:]) is not None


def site_key(credit_code: str, permit_number: str | None) -> str:
    """What names a site: its permit number, else its credit code."""
    return permit_number or credit_code
