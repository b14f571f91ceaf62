"""Descriptors inherited by systemd's socket activation (sd_listen_fds(3)): names to numbers.

Must never close or change a descriptor: the engine listens on it.
"""

import os
from collections.abc import Mapping

_FIRST = 3
"""SD_LISTEN_FDS_START."""


def inherited(environment: Mapping[str, str] | None = None, pid: int | None = None) -> dict[str, tuple[int, ...]]:
    """Return every name with its descriptors; empty when none were passed to this process.

    Several descriptors may share a name. One without a name is called ``unknown``, as systemd has it.
    """
    environment = os.environ if environment is None else environment
    count = environment.get("LISTEN_FDS", "")
    if environment.get("LISTEN_PID") != str(os.getpid() if pid is None else pid) or not count.isdigit():
        return {}
    names = environment.get("LISTEN_FDNAMES", "").split(":")
    found: dict[str, tuple[int, ...]] = {}
    for index in range(int(count)):
        name = names[index] if index < len(names) and names[index] else "unknown"
        found[name] = (*found.get(name, ()), _FIRST + index)
    return found
