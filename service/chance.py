"""Randomness, handed in: ids (UUID version 7, RFC 9562), salts and secrets. A rehearsal hands in a seeded source."""

import random
import secrets
import threading
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Self, TypeVar

T = TypeVar("T")


class Chance:
    """Gives ids; within one process and millisecond each is above the one before (RFC 9562 6.2, method 1)."""

    def __init__(self, random_bits: Callable[[int], int] = secrets.randbits) -> None:
        """`random_bits(n)` gives n random bits as an int."""
        self._random_bits = random_bits
        self._lock = threading.Lock()
        self._millisecond = -1
        self._counter = 0

    @classmethod
    def seeded(cls, seed: str) -> Self:
        """The same for the same seed, on every machine: for rehearsals, never for secrets."""
        return cls(random.Random(seed).getrandbits)  # noqa: S311 repeatable is what is wanted

    def id(self, at: datetime) -> str:
        """A new id for something that begins at `at`."""
        millisecond = int(at.timestamp() * 1000)
        with self._lock:
            if millisecond != self._millisecond:
                self._millisecond, self._counter = millisecond, self._random_bits(32)
            else:
                self._counter += 1
            counter = self._counter & ((1 << 42) - 1)
        value = (millisecond & ((1 << 48) - 1)) << 80 | 7 << 76 | (counter >> 30) << 64
        value |= 2 << 62 | (counter & ((1 << 30) - 1)) << 32 | self._random_bits(32)
        text = f"{value:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"

    def fraction(self) -> float:
        """From 0 up to 1, so that who waits does not wait just as long as the others."""
        return self._random_bits(32) / 2**32

    def hex(self, bits: int) -> str:
        """`bits` (a multiple of 4) random bits in hexadecimal: a salt, a receipt, the secret of a token."""
        return f"{self._random_bits(bits):0{bits // 4}x}"

    def below(self, end: int) -> int:
        """A whole number from 0 up to `end`."""
        return int(self.fraction() * end)

    def one_of(self, choices: Sequence[T]) -> T:
        """One of these."""
        return choices[self.below(len(choices))]
