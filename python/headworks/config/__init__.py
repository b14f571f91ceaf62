"""Configuration: typed models, TOML in and out, and every problem with its line.

| file | owns |
|---|---|
| config.py | Config: the whole, load, parse, to_toml, spec |
| models.py, values.py | one model a table, one field a key; durations, sizes, modes |
| document.py | TOML as written, with positions |
| check.py, problems.py | every problem in one run, one line each |
| spec.py, write.py | the ways out: to the engine, to TOML |
"""

from headworks.config.config import Config
from headworks.config.models import (
    Backend,
    Ejection,
    Health,
    Listener,
    LogSettings,
    ProxySettings,
    Server,
    Table,
    Timeouts,
)
from headworks.config.problems import ConfigError, Problem

__all__ = [
    "Backend",
    "Config",
    "ConfigError",
    "Ejection",
    "Health",
    "Listener",
    "LogSettings",
    "Problem",
    "ProxySettings",
    "Server",
    "Table",
    "Timeouts",
]
