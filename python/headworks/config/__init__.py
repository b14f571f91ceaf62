"""Configuration: typed models, TOML in and out, and every problem with its line.

| file | owns |
|---|---|
| config.py, loaded.py | Config: load, parse, to_toml, spec; Loaded: one with its certificates, ready to run |
| written.py | what each key may be given as, for type checkers |
| models/, values.py | one model a table, one field a key, models/whole.py the file; durations, sizes, modes |
| document.py | TOML as written, with positions |
| syntax.py | text that is not TOML |
| check.py, repair.py, problems.py | every problem in one run, one line each |
| advice.py, doubts.py | what was probably meant; what may be said and is hardly meant |
| spec.py, pages.py, redirects.py | the way to the engine, with the text of error pages and the ports of redirects |
| write.py | the way to TOML |
"""

from typing import TYPE_CHECKING

from headworks.config.config import Config
from headworks.config.models import (
    Accept,
    AdminSettings,
    AdminTls,
    Affinity,
    AnalyzerSettings,
    Backend,
    BackendTls,
    Bandwidth,
    CertificateFiles,
    ClientCertificates,
    Compression,
    Connect,
    ConnectionRate,
    Ejection,
    FirstBytes,
    Headers,
    Health,
    Hsts,
    HttpSettings,
    Kind,
    Listener,
    ListenerTls,
    LogSettings,
    Pool,
    ProviderSettings,
    ProxySettings,
    RateLimit,
    Rates,
    Redirect,
    Resolver,
    Resources,
    Respond,
    Server,
    SyslogSettings,
    Table,
    Target,
    Timeouts,
)
from headworks.config.problems import ConfigError, Problem

if TYPE_CHECKING:
    from headworks.config.written import (
        AcceptDict,
        AdminSettingsDict,
        AdminTlsDict,
        AffinityDict,
        AnalyzerSettingsDict,
        BackendDict,
        BackendTlsDict,
        BandwidthDict,
        CertificateFilesDict,
        ClientCertificatesDict,
        CompressionDict,
        ConfigDict,
        ConnectDict,
        ConnectionRateDict,
        EjectionDict,
        HeadersDict,
        HealthDict,
        HstsDict,
        HttpSettingsDict,
        ListenerDict,
        ListenerTlsDict,
        LogSettingsDict,
        PoolDict,
        ProviderSettingsDict,
        ProxySettingsDict,
        RateLimitDict,
        RatesDict,
        RedirectDict,
        ResolverDict,
        ResourcesDict,
        RespondDict,
        ServerDict,
        SyslogSettingsDict,
        TargetDict,
        TimeoutsDict,
    )

__all__ = [
    "Accept",
    "AcceptDict",
    "AdminSettings",
    "AdminSettingsDict",
    "AdminTls",
    "AdminTlsDict",
    "Affinity",
    "AffinityDict",
    "AnalyzerSettings",
    "AnalyzerSettingsDict",
    "Backend",
    "BackendDict",
    "BackendTls",
    "BackendTlsDict",
    "Bandwidth",
    "BandwidthDict",
    "CertificateFiles",
    "CertificateFilesDict",
    "ClientCertificates",
    "ClientCertificatesDict",
    "Compression",
    "CompressionDict",
    "Config",
    "ConfigDict",
    "ConfigError",
    "Connect",
    "ConnectDict",
    "ConnectionRate",
    "ConnectionRateDict",
    "Ejection",
    "EjectionDict",
    "FirstBytes",
    "Headers",
    "HeadersDict",
    "Health",
    "HealthDict",
    "Hsts",
    "HstsDict",
    "HttpSettings",
    "HttpSettingsDict",
    "Kind",
    "Listener",
    "ListenerDict",
    "ListenerTls",
    "ListenerTlsDict",
    "LogSettings",
    "LogSettingsDict",
    "Pool",
    "PoolDict",
    "Problem",
    "ProviderSettings",
    "ProviderSettingsDict",
    "ProxySettings",
    "ProxySettingsDict",
    "RateLimit",
    "RateLimitDict",
    "Rates",
    "RatesDict",
    "Redirect",
    "RedirectDict",
    "Resolver",
    "ResolverDict",
    "Resources",
    "ResourcesDict",
    "Respond",
    "RespondDict",
    "Server",
    "ServerDict",
    "SyslogSettings",
    "SyslogSettingsDict",
    "Table",
    "Target",
    "TargetDict",
    "Timeouts",
    "TimeoutsDict",
]


def __getattr__(name: str) -> object:
    """Import the types of keys when they are asked for (PEP 562): nothing that runs needs them."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from headworks.config import written

    return getattr(written, name)
