"""The machine: whether it has what a configuration counts on, and whether keys sign.

For ``headworks check``: what a start would find out only once it is under way. Must never start or change anything.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from headworks.certificates import Store
from headworks.config.models.whole import Whole
from headworks.config.problems import Problem
from headworks.config.tls import unsigned
from headworks.privileges import unknown
from headworks.syslog import Place


def of_this_machine(config: Whole, store: Store) -> list[Problem]:
    """Return what is missing here, as problems without lines. ``store`` holds the certificates of ``config``."""
    return [*unknown(config), *_logs(config), *unsigned(config, store)]


def _logs(config: Whole) -> Iterator[Problem]:
    """Find an access log that cannot be opened. Whoever starts the proxy may make its folder, so this is a doubt."""
    if config.logs.access in ("-", "off") or Place.read(config.logs.access) is not None:
        return
    file = Path(config.logs.access)
    path = ("logs", "access")
    if not file.absolute().parent.is_dir():
        yield Problem(path=path, reason=f"there is no folder {file.absolute().parent}", is_warning=True)
    elif file.is_dir():
        yield Problem(path=path, reason=f"{file} is a folder, not a file")
    elif not os.access(file if file.exists() else file.absolute().parent, os.W_OK, effective_ids=True):
        yield Problem(path=path, reason=f"{file} cannot be written by who runs this check", is_warning=True)
