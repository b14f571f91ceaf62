"""Configuration: typed models, TOML in and out, and every problem with its line.

| file | owns |
|---|---|
| config.py, loaded.py | Config: load, parse, to_toml, spec; Loaded: one with its certificates, ready to run |
| models/, values.py | one model a table, one field a key, models/whole.py the file; durations, sizes, modes |
| document.py | TOML as written, with positions |
| syntax.py | text that is not TOML |
| check.py, repair.py, problems.py | every problem in one run, one line each |
| advice.py, doubts.py | what was probably meant; what may be said and is hardly meant |
| spec.py, pages.py, redirects.py | the way to the engine, with the text of error pages and the ports of redirects |
| write.py | the way to TOML |
"""

from headworks.config.config import Config
from headworks.config.models import (
    Affinity,
    Backend,
    BackendTls,
    CertificateFiles,
    ClientCertificates,
    Compression,
    Ejection,
    Headers,
    Health,
    Hsts,
    HttpSettings,
    Listener,
    ListenerTls,
    LogSettings,
    Pool,
    ProxySettings,
    RateLimit,
    Redirect,
    Resources,
    Respond,
    Server,
    Table,
    Target,
    Timeouts,
)
from headworks.config.problems import ConfigError, Problem

__all__ = [
    "Affinity",
    "Backend",
    "BackendTls",
    "CertificateFiles",
    "ClientCertificates",
    "Compression",
    "Config",
    "ConfigError",
    "Ejection",
    "Headers",
    "Health",
    "Hsts",
    "HttpSettings",
    "Listener",
    "ListenerTls",
    "LogSettings",
    "Pool",
    "Problem",
    "ProxySettings",
    "RateLimit",
    "Redirect",
    "Resources",
    "Respond",
    "Server",
    "Table",
    "Target",
    "Timeouts",
]
