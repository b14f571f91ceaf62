"""The configuration as typed values: one model for each table of the file, one field for each key.

Owns names, types, ranges, defaults and their documentation; the reference pages are made from it. What needs the whole
configuration (a name that must exist, an address that must parse) is decided by the Plan and must never be
repeated here.
"""

from headworks.config.models.admin import AdminSettings, AdminTls
from headworks.config.models.analyzers import AnalyzerSettings
from headworks.config.models.answers import Redirect, Respond
from headworks.config.models.backend import Affinity, Backend, Pool
from headworks.config.models.base import Model, Name
from headworks.config.models.certificates import CertificateFiles
from headworks.config.models.first_bytes import FirstBytes, Kind
from headworks.config.models.headers import Headers
from headworks.config.models.http import Compression, HttpSettings, RateLimit
from headworks.config.models.limits import Bandwidth, ConnectionRate, Rates
from headworks.config.models.listener import Listener
from headworks.config.models.process import LogSettings, ProxySettings, Resources, SyslogSettings
from headworks.config.models.providers import ProviderSettings
from headworks.config.models.resolver import Resolver
from headworks.config.models.server import Ejection, Health, Server
from headworks.config.models.sockets import Accept, Connect
from headworks.config.models.table import Table, Target
from headworks.config.models.timeouts import Timeouts
from headworks.config.models.tls import BackendTls, ClientCertificates, Hsts, ListenerTls
from headworks.config.models.whole import Whole

__all__ = [
    "Accept",
    "AdminSettings",
    "AdminTls",
    "Affinity",
    "AnalyzerSettings",
    "Backend",
    "BackendTls",
    "Bandwidth",
    "CertificateFiles",
    "ClientCertificates",
    "Compression",
    "Connect",
    "ConnectionRate",
    "Ejection",
    "FirstBytes",
    "Headers",
    "Health",
    "Hsts",
    "HttpSettings",
    "Kind",
    "Listener",
    "ListenerTls",
    "LogSettings",
    "Model",
    "Name",
    "Pool",
    "ProviderSettings",
    "ProxySettings",
    "RateLimit",
    "Rates",
    "Redirect",
    "Resolver",
    "Resources",
    "Respond",
    "Server",
    "SyslogSettings",
    "Table",
    "Target",
    "Timeouts",
    "Whole",
]
