"""Whole: the file as one model, a field for each of its top-level tables.

Owns names and documentation of those tables. Must never know how a configuration is read, checked or handed on: that
is config.py, above.
"""

from typing import TYPE_CHECKING, Annotated, Unpack

from pydantic import BeforeValidator, Field

from headworks.config.models.admin import AdminSettings
from headworks.config.models.analyzers import AnalyzerSettings
from headworks.config.models.backend import Backend
from headworks.config.models.base import Model, Name, table
from headworks.config.models.listener import Listener
from headworks.config.models.process import LogSettings, ProxySettings
from headworks.config.models.providers import ProviderSettings
from headworks.config.models.resolver import Resolver
from headworks.config.models.table import Table

if TYPE_CHECKING:
    from headworks.config.written import ConfigDict


class Whole(Model):
    """The values of a whole configuration."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[ConfigDict]) -> None: ...

    proxy: Annotated[ProxySettings, Field(description="The process.", examples=[{"workers": 2}])] = (
        ProxySettings.model_construct()
    )
    logs: Annotated[LogSettings, Field(description="What is written where.", examples=[{"access": "off"}])] = (
        LogSettings.model_construct()
    )
    resolver: Annotated[
        Resolver, Field(description="How the names of servers are resolved.", examples=[{"nameservers": "192.0.2.53"}])
    ] = Resolver.model_construct()
    listeners: Annotated[
        dict[Name, Listener],
        BeforeValidator(table),
        Field(
            min_length=1,
            description="Listeners by name.",
            examples=[{"secure": {"bind": "0.0.0.0:443", "protocol": "tls", "table": "sites"}}],
        ),
    ]
    tables: Annotated[
        dict[Name, Table],
        BeforeValidator(table),
        Field(
            description="Tables by name: pattern -> target. Patterns: example.com, *.example.org (any depth), "
            "~REGEX, * (anything else); with a path for http listeners: example.com/api, */health.",
            examples=[{"sites": {"example.com": "app", "*": "legacy"}}],
        ),
    ] = {}  # noqa: RUF012  (pydantic copies defaults)
    backends: Annotated[
        dict[Name, Backend],
        BeforeValidator(table),
        Field(description="Backends by name.", examples=[{"app": {"servers": ["127.0.0.1:8001"]}}]),
    ] = {}  # noqa: RUF012  (pydantic copies defaults)
    analyzers: Annotated[
        dict[Name, AnalyzerSettings],
        BeforeValidator(table),
        Field(
            description="Python objects that are consulted, by name.",
            examples=[{"tenants": {"python": "site:Tenants", "deadline": "50ms"}}],
        ),
    ] = {}  # noqa: RUF012  (pydantic copies defaults)
    providers: Annotated[
        dict[Name, ProviderSettings],
        BeforeValidator(table),
        Field(
            description="Sources of servers that are found while the proxy runs, by name, and settings of kinds.",
            examples=[{"inventory": {"source": "consul:app", "min_servers": 2}}],
        ),
    ] = {}  # noqa: RUF012  (pydantic copies defaults)
    admin: Annotated[
        AdminSettings | None,
        Field(
            description="The door for operators.",
            examples=[{"bind": "unix:/run/headworks/admin.sock"}],
            json_schema_extra={"unset": "there is none"},
        ),
    ] = None
