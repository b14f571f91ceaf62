"""A module of rules, written for what a table cannot say: conditions of another proxy as Python.

Owns how functions, verdicts and constants are written. Must never say anything but what it is given.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field

Branch = tuple[str | None, str]
"""A condition in Python, None where there is none, and a verdict in Python."""


@dataclass(slots=True)
class RuleFile:
    """Rules that are written one after another."""

    module: str
    """Name of the module: that of the file without ``.py``."""
    program: str
    _functions: list[str] = field(default_factory=list)
    _networks: dict[tuple[str, ...], str] = field(default_factory=dict)
    _names: set[str] = field(default_factory=set)

    @property
    def is_empty(self) -> bool:
        """Whether there is no rule."""
        return not self._functions

    def networks(self, values: Sequence[str]) -> str:
        """Return the name of a constant with these networks."""
        return self._networks.setdefault(tuple(values), f"NETWORKS_{len(self._networks) + 1}")

    def add(self, name: str, subject: str, branches: Sequence[Branch], says: str) -> str:
        """Write a rule; return what a configuration names it by. ``subject`` is ``Request`` or ``Hello``."""
        name = self._free(name)
        argument = subject.lower()
        lines = [
            "@headworks.rule",
            f"def {name}({argument}: headworks.{subject}) -> headworks.Verdict | None:",
            f'    """{_plain(says)}"""',
        ]
        for condition, verdict in branches:
            if condition is None:
                lines.append(f"    return {verdict}")
                break
            lines += [f"    if {condition}:", f"        return {verdict}"]
        else:
            lines.append("    return None")
        self._functions.append("\n".join(lines) + "\n")
        return f"{self.module}:{name}"

    def text(self) -> str:
        """Return the module."""
        written = "\n\n".join(self._functions)
        head = [f'"""Rules that were made of a configuration of {self.program}, for what a table cannot say."""', ""]
        head += ["import re", ""] if "re." in written else []
        head += ["import headworks", ""]
        for values, name in self._networks.items():
            head.append(f"{name} = headworks.networks({', '.join(map(quoted, values))})")
        return "\n".join([*head, *([""] if self._networks else []), "", written])

    def _free(self, name: str) -> str:
        bare = "".join(one if one.isascii() and (one.isalnum() or one == "_") else "_" for one in name.lower())
        bare = bare if bare[:1].isalpha() else f"rule_{bare}"
        found = next(
            one for one in (bare, *(f"{bare}_{n}" for n in range(2, len(self._names) + 3))) if one not in self._names
        )
        self._names.add(found)
        return found


def quoted(text: str) -> str:
    """Return a text as Python has it."""
    return json.dumps(text)


def raw(pattern: str) -> str:
    """Return an expression as Python has it."""
    return f'r"{pattern}"' if '"' not in pattern and not pattern.endswith("\\") else repr(pattern)


def _plain(text: str) -> str:
    return "".join(one if one.isprintable() and one not in '"\\' else "?" for one in text)
