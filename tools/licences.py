"""Check the licence of all that is shipped or used to build and test: crates in the lock files, Python packages.

Offline: what `cargo metadata` and the installed distributions say of themselves, against the list below. A crate may
offer several licences with OR; one that is allowed is enough. Exit code 1 when something is not allowed.
"""

import json
import re
import subprocess
import sys
from email.message import Message
from importlib import metadata
from pathlib import Path
from typing import cast

ROOT = Path(__file__).resolve().parent.parent

MANIFESTS = ("Cargo.toml", "fuzz/Cargo.toml", "bench/load/Cargo.toml")

ALLOWED = {
    "0BSD": "asks for nothing",
    "Apache-2.0": "our own",
    "Apache-2.0 WITH LLVM-exception": "Apache-2.0 with fewer duties for binaries",
    "BSD-2-Clause": "asks for attribution only",
    "BSD-3-Clause": "asks for attribution only",
    "BSL-1.0": "asks for attribution in source form only",
    "CC0-1.0": "public domain",
    "ISC": "asks for attribution only",
    "MIT": "asks for attribution only",
    "MIT-0": "asks for nothing",
    "MIT-CMU": "MIT with a word on advertising; Pillow, which draws the charts of the bench and is never shipped",
    "NCSA": "MIT and BSD together; LLVM's libFuzzer, which is never shipped",
    "PSF-2.0": "Python's own; asks for attribution only",
    "Unicode-3.0": "asks for attribution only; tables of Unicode",
    "Unlicense": "public domain",
    "Zlib": "asks for attribution only",
}

ALLOWED_IN_PYTHON = {
    "MPL-2.0": "used unmodified as a tool of the tests, never shipped",
}

# Distributions that say it in words, or nowhere that a program could read.
SAID_OTHERWISE = {
    "Apache 2.0": "Apache-2.0",
    "Apache License 2.0": "Apache-2.0",
    "Apache Software License": "Apache-2.0",
    "BSD": "BSD-3-Clause",
    "BSD License": "BSD-3-Clause",
    "BSD-3": "BSD-3-Clause",
    "ISC License": "ISC",
    "MIT Licence": "MIT",
    "MIT License": "MIT",
    "MIT license": "MIT",
    "Mozilla Public License 2.0 (MPL 2.0)": "MPL-2.0",
    "Python Software Foundation License": "PSF-2.0",
}

_HOLDS = "yes"
"""Stands for a part in brackets that has been found to hold."""


def main() -> int:
    """Print what is not allowed, or how much was looked at."""
    crates, distributions = _crates(), _distributions()
    wrong = [f"crate {name}: {said}" for name, said in crates.items() if not allowed(said, ALLOWED)]
    known = ALLOWED | ALLOWED_IN_PYTHON
    wrong += [f"Python package {name}: {said}" for name, said in distributions.items() if not allowed(said, known)]
    for line in wrong:
        print(f"licence not allowed: {line}", file=sys.stderr)
    print(f"{len(crates)} crates and {len(distributions)} Python packages looked at, {len(wrong)} not allowed")
    return int(bool(wrong))


def allowed(expression: str, known: dict[str, str]) -> bool:
    """Judge an SPDX expression: every AND part must hold, of an OR one is enough.

    >>> allowed("MIT OR GPL-3.0-only", {"MIT": ""}), allowed("MIT AND GPL-3.0-only", {"MIT": ""})
    (True, False)
    >>> allowed("(MIT OR GPL-3.0-only) AND ISC", {"MIT": "", "ISC": ""})
    True
    """
    expression = expression.replace("/", " OR ")
    while inner := re.search(r"\(([^()]*)\)", expression):
        expression = expression.replace(inner[0], _HOLDS if allowed(inner[1], known) else "no")
    alternatives = [part.split(" AND ") for part in expression.split(" OR ")]
    return any(all(term.strip() in known or term.strip() == _HOLDS for term in part) for part in alternatives)


def _crates() -> dict[str, str]:
    """Every crate of every lock file that is not ours, with its licence."""
    found: dict[str, str] = {}
    for manifest in MANIFESTS:
        command = ["cargo", "metadata", "--locked", "--format-version", "1", "--manifest-path", str(ROOT / manifest)]
        answer = subprocess.run(command, check=True, stdout=subprocess.PIPE)
        for crate in json.loads(answer.stdout)["packages"]:
            if crate["source"] is not None:
                found[f"{crate['name']} {crate['version']}"] = crate["license"] or "none given"
    return found


def _distributions() -> dict[str, str]:
    """Every Python distribution installed beside us, with its licence as an SPDX expression."""
    ours = {"headworks", "pip", "setuptools"}
    return {
        f"{each.name} {each.version}": _licence(cast(Message, each.metadata))
        for each in metadata.distributions()
        if each.name not in ours
    }


def _licence(about: Message) -> str:
    """Look in the newest place first: License-Expression (PEP 639), then License, then the classifiers."""
    if expression := about.get("License-Expression"):
        return str(expression)
    said = str(about.get("License") or "")
    if said and len(said) < 80:  # noqa: PLR2004  (longer is the text of the licence)
        return SAID_OTHERWISE.get(said, said)
    names = [line.rpartition(" :: ")[2] for line in about.get_all("Classifier") or () if line.startswith("License :: ")]
    return " OR ".join(SAID_OTHERWISE.get(name, name) for name in names) or "none given"


if __name__ == "__main__":
    sys.exit(main())
