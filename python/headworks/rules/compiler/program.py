"""Program: what is compiled, under construction: constants, slots for names, registers for matches, and bounds.

Owns the numbers that core gives: 32 slots, 16 registers, 100,000 keys a table. What a rule that was called needs is
given back behind it. Must never know Python's syntax.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

Code = Any
"""A piece of a program as JSON has it."""

MOST_SLOTS = 32
MOST_REGISTERS = 16
MOST_KEYS = 100_000
MOST_CODE = 20_000
MOST_NESTED = 100


class Full(Exception):  # noqa: N818  (it never leaves the compiler)
    """No place is left, with the reason and what to write instead."""


@dataclass
class Program:
    """The parts of a program that its expressions refer to."""

    constants: list[Code] = field(default_factory=list)
    slots: int = 0
    """Slots that are needed at most."""
    registers: int = 0
    used_slots: int = 0
    used_registers: int = 0
    known: dict[object, int] = field(default_factory=dict)

    def constant(self, key: object, value: Code) -> int:
        """Return the index of a constant; ``key`` is the same for what is the same."""
        if key not in self.known:
            self.known[key] = len(self.constants)
            self.constants.append(value)
        return self.known[key]

    def slot(self) -> int:
        """Take a slot. Raises Full."""
        if self.used_slots == MOST_SLOTS:
            raise Full(f"more than {MOST_SLOTS} names have values at once", "use expressions where they are needed")
        self.used_slots += 1
        self.slots = max(self.slots, self.used_slots)
        return self.used_slots - 1

    def register(self) -> int:
        """Take a register for a match. Raises Full."""
        if self.used_registers == MOST_REGISTERS:
            raise Full(f"more than {MOST_REGISTERS} matches of patterns are kept", "put patterns together with |")
        self.used_registers += 1
        self.registers = max(self.registers, self.used_registers)
        return self.used_registers - 1

    @contextmanager
    def inlined(self) -> Iterator[None]:
        """Give back behind it what a rule that is called takes."""
        slots, registers = self.used_slots, self.used_registers
        yield
        self.used_slots, self.used_registers = slots, registers


def measured(code: Code) -> tuple[int, int]:
    """Return nodes and levels of a program, pieces that are shared counted as often as they will be written."""
    known: dict[int, tuple[int, int]] = {}

    def measure(piece: Code) -> tuple[int, int]:
        if not isinstance(piece, (dict, list)):
            return 1, 0
        if id(piece) not in known:
            below = [measure(one) for one in (piece.values() if isinstance(piece, dict) else piece)]
            known[id(piece)] = 1 + sum(size for size, _ in below), 1 + max((depth for _, depth in below), default=0)
        return known[id(piece)]

    return measure(code)
