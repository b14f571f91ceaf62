"""Flame graphs: what `perf script` prints is folded into stacks, and stacks are drawn as one SVG without scripts.

Pure: text in, text out. A frame is as wide as its share of the samples and stands on the frame that called it; the
title of a frame (shown where the pointer rests) has its whole name, its samples and its share.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from html import escape

WIDTH = 1400.0
ROW = 17
NARROWEST = 0.4
"""Frames that would be narrower, in pixels, are left out: nobody can see them."""
LETTER = 6.6
"""Width of a letter in pixels, about."""

Stack = tuple[str, ...]

_FRAME = re.compile(r"^\s+[0-9a-f]+ (?P<symbol>.+?)(?:\+0x[0-9a-f]+)? \((?P<object>[^()]*)\)$")
_KERNEL = re.compile(r"\[(kernel|guest\.kernel)|\.ko\b|^\[[a-z_0-9]+\]$")
_HASH = re.compile(r"::h[0-9a-f]{16}$")


@dataclass(kw_only=True)
class Node:
    """A frame with all that it called."""

    samples: int = 0
    children: dict[str, Node] = field(default_factory=dict)

    def depth(self) -> int:
        """How many frames stand on one another here."""
        return 1 + max((child.depth() for child in self.children.values()), default=0)


def fold(script: str) -> Counter[Stack]:
    """Count equal stacks, outermost frame first. A frame of the kernel is marked with `_[k]`."""
    stacks: Counter[Stack] = Counter()
    for block in script.split("\n\n"):
        frames = [frame for line in block.splitlines() if (frame := _frame(line))]
        if frames:
            stacks[tuple(reversed(frames))] += 1
    return stacks


def tree(stacks: Mapping[Stack, int]) -> Node:
    """Join stacks that begin alike."""
    root = Node()
    for stack, samples in stacks.items():
        root.samples += samples
        node = root
        for frame in stack:
            node = node.children.setdefault(frame, Node())
            node.samples += samples
    return root


def leaves(stacks: Mapping[Stack, int]) -> list[tuple[str, float]]:
    """Return where samples were taken, with their shares, most first."""
    own: Counter[str] = Counter()
    for stack, samples in stacks.items():
        own[stack[-1]] += samples
    total = max(sum(own.values()), 1)
    return [(name.replace("_[k]", "  (kernel)"), samples / total) for name, samples in own.most_common()]


def svg(stacks: Mapping[Stack, int], title: str) -> str:
    """Draw. The widest frames of a level are not moved: children stand in the order of their names."""
    root = tree(stacks)
    height = (root.depth() + 2) * ROW
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH:.0f} {height}" font-family="monospace" font-size="11">',
        f'<rect width="{WIDTH:.0f}" height="{height}" fill="#ffffff"/>',
        f'<text x="4" y="13">{escape(title)}</text>',
    ]
    if root.samples:
        lines += Picture(scale=WIDTH / root.samples, total=root.samples).boxes(root, "all", 0.0, height - ROW)
    return "\n".join([*lines, "</svg>"]) + "\n"


@dataclass(frozen=True, kw_only=True)
class Picture:
    """What all boxes have in common: pixels per sample, and all samples."""

    scale: float
    total: int

    def boxes(self, node: Node, name: str, left: float, top: int) -> Iterator[str]:
        """Draw a frame and, above it, all that it called."""
        width = node.samples * self.scale
        if width < NARROWEST:
            return
        says = escape(f"{name.removesuffix('_[k]')}: {node.samples} samples, {node.samples / self.total:.1%}")
        box = f'<rect x="{left:.1f}" y="{top}" width="{width:.1f}" height="{ROW - 1}" fill="{_colour(name)}"/>'
        yield f"<g><title>{says}</title>{box}"
        room = int((width - 4) / LETTER)
        if room >= 3:
            shown = name.removesuffix("_[k]")
            shown = shown if len(shown) <= room else shown[: room - 2] + ".."
            yield f'<text x="{left + 2:.1f}" y="{top + 12}">{escape(shown)}</text>'
        yield "</g>"
        for child in sorted(node.children):
            yield from self.boxes(node.children[child], child, left, top - ROW)
            left += node.children[child].samples * self.scale


def _colour(name: str) -> str:
    """Ours is green, the kernel orange, everything else (the C library, the interpreter) yellow."""
    if name.endswith("_[k]"):
        return "#f0a868"
    return "#8fca8f" if "headworks" in name else "#f2e08a"


def _frame(line: str) -> str | None:
    found = _FRAME.match(line)
    if found is None:
        return None
    symbol = _HASH.sub("", found["symbol"])
    return symbol + "_[k]" if _KERNEL.search(found["object"]) else symbol
