"""Late: what a running proxy may come to need and its start does not.

Imported once it serves, and before root is given up: later the files of the package may be out of reach, or those of
another version. Must never end a proxy that serves.
"""

from errno import EMFILE, ENFILE
from importlib import import_module

LATE = (
    "difflib",
    "headworks.certificates.matching",
    "headworks.certificates.signer",
    "headworks.certificates.soundness",
    "headworks.certificates.trust",
    "headworks.renewal",
    "headworks.stats",
)
"""Modules that the package imports where they are used, of those that a service comes by."""


def load() -> bool:
    """Import them; whether that could be done: clients may have taken every descriptor."""
    for name in LATE:
        try:
            import_module(name)
        except ImportError:
            continue
        except OSError as error:
            if error.errno in (EMFILE, ENFILE):
                return False
    return True
