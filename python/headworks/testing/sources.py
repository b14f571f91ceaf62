"""Sources: configurations as tests have them: a path, TOML text, a Config or a mapping of the file's shape.

Must never run anything, nor keep an address that two tests could not have at once.
"""

from pathlib import Path

from headworks.config import Config
from headworks.config.check import check
from headworks.config.document import Document, plain
from headworks.config.loaded import Source

_ANYWHERE = "127.0.0.1:0"


def read(source: Source) -> Config:
    """Read a configuration. Text with a line break or ``=`` is TOML. Raises ConfigError with every problem, OSError."""
    if isinstance(source, str) and not is_path(source):
        return Config.of(check(Document.parse(source)))
    if isinstance(source, str | Path):
        return Config.load(source)
    return source if isinstance(source, Config) else Config.parse(source)


def on_free_ports(source: Source) -> Config:
    """Read a configuration from a path, TOML text, a Config or a mapping, and bind its listeners to free ports.

    One worker, unless it says how many, no access log and no ``[admin]``. Addresses with port 0 and unix sockets stay
    as they are.
    Raises ConfigError with every problem, OSError.
    """
    free = plain(read(source))
    for listener in free["listeners"].values():
        listener["bind"] = list(dict.fromkeys(map(_free, listener["bind"])))
    free.setdefault("proxy", {}).setdefault("workers", 1)
    # Operators come by the address of the real site; a test has headworks.admin.app.
    free.pop("admin", None)
    # Tests read records; a log of the real site is not theirs to write.
    free.setdefault("logs", {})["access"] = "off"
    return Config.parse(free)


def _free(address: str) -> str:
    """Keep what binds nothing that is fixed."""
    return address if address.startswith("unix:") or address.rpartition(":")[2] == "0" else _ANYWHERE


def is_path(source: Source) -> bool:
    """Whether it is the path of a file, and not TOML text."""
    if isinstance(source, str):
        return "\n" not in source and ("=" not in source or Path(source).is_file())
    return isinstance(source, Path)
