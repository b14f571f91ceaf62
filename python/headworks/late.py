"""Late: what a running proxy may come to need and its start does not.

Imported once it serves, and before root is given up: later the files of the package may be out of reach, or those of
another version. Must never end a proxy that serves.
"""

import contextlib
from importlib import import_module

LATE = (
    "difflib",
    "headworks.certificates.matching",
    "headworks.certificates.signer",
    "headworks.certificates.trust",
    "headworks.renewal",
    "headworks.stats",
)
"""Modules that the package imports where they are used, of those that a service comes by."""


def load() -> None:
    """Import them."""
    for name in LATE:
        with contextlib.suppress(ImportError):
            import_module(name)
