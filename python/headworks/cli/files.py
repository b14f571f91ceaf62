"""Files: where a configuration is when nobody names one."""

from pathlib import Path

DEFAULT_FILES = (Path("headworks.toml"), Path("/etc/headworks/headworks.toml"))
