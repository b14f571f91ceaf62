"""Written: what each key may be given as, for those who check programs without running them.

A model keeps less than it takes: a duration is given as ``"30s"`` and kept as a timedelta, a list may be given as its
one item. Models are made of these keys, and mappings that are given to a Proxy or to ``Config.parse`` have them. Must
never be imported by a model while it runs.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from os import PathLike
from typing import Any, Literal, Required, TypedDict

from headworks.analyzers.base import Analyzer
from headworks.config import models
from headworks.config.models.analyzers import Hook
from headworks.config.models.literals import BalanceName, CheckKind, ProtocolName
from headworks.providers.base import Provider
from headworks.rules.function import RuleFunction

FilePath = str | PathLike[str]
"""A file, relative to the configuration file or to where the program runs."""
AnyRule = str | RuleFunction
"""A rule: ``module:function``, or the function itself."""
AnyAnalyzer = str | type[Analyzer] | Analyzer
"""An analyzer: ``module:Class``, the class, or an object of one."""
AnyProvider = str | type[Provider] | Provider
"""A provider: ``module:Class``, the class, or an object of one."""

# Everything below is written by tools/written_types.py from the models: make docs.


class ResourcesDict(TypedDict, total=False):
    """Keys of a Resources, as they may be given."""

    reserved_descriptors: int
    accept_pause: str | timedelta
    max_pipes: int
    pipe_size: str | int
    max_hops: int


class ProxySettingsDict(TypedDict, total=False):
    """Keys of a ProxySettings, as they may be given."""

    workers: int | None
    drain: str | timedelta
    watch_certificates: bool
    user: str | None
    group: str | None
    switch_interval: str | timedelta
    resources: models.Resources | ResourcesDict


class SyslogSettingsDict(TypedDict, total=False):
    """Keys of a SyslogSettings, as they may be given."""

    facility: str
    program_facility: str | None
    tag: str
    form: Literal["rfc5424", "rfc3164"]


class LogSettingsDict(TypedDict, total=False):
    """Keys of a LogSettings, as they may be given."""

    access: str
    program: str
    syslog: models.SyslogSettings | SyslogSettingsDict
    format: Literal["text", "json"]
    level: Literal["debug", "info", "warning", "error"]


class ResolverDict(TypedDict, total=False):
    """Keys of a Resolver, as they may be given."""

    nameservers: str | Sequence[str]
    timeout: str | timedelta | None
    attempts: int | None
    families: Literal["both", "ipv4", "ipv6", "ipv4_first", "ipv6_first"]
    min_ttl: str | timedelta
    max_ttl: str | timedelta
    stale: str | timedelta
    hosts: FilePath
    resolv_conf: FilePath


class KindDict(TypedDict, total=False):
    """Keys of a Kind, as they may be given."""

    backend: str | None
    table: str | None
    fallback: str | None


AnyKind = str | models.Kind | KindDict


class FirstBytesDict(TypedDict, total=False):
    """Keys of a FirstBytes, as they may be given."""

    tls: AnyKind | None
    http: AnyKind | None
    ssh: AnyKind | None
    postgres: AnyKind | None
    prefixes: Mapping[str, str]
    silent: str | None
    silent_after: str | timedelta


class RedirectDict(TypedDict, total=False):
    """Keys of a Redirect, as they may be given."""

    to: Required[str]
    code: Literal[301, 302, 303, 307, 308]


class RespondDict(TypedDict, total=False):
    """Keys of a Respond, as they may be given."""

    status: int
    body: str
    headers: Mapping[str, str]


class ConnectionRateDict(TypedDict, total=False):
    """Keys of a ConnectionRate, as they may be given."""

    connections: Required[int]
    per: str | timedelta
    burst: int | None
    ipv4_prefix: int
    ipv6_prefix: int
    exempt: str | Sequence[str]
    keys: int


class RatesDict(TypedDict, total=False):
    """Keys of a Rates, as they may be given."""

    upload: str | int | None
    download: str | int | None


AnyRates = str | models.Rates | RatesDict


class BandwidthDict(TypedDict, total=False):
    """Keys of a Bandwidth, as they may be given."""

    per_connection: AnyRates | None
    listener: AnyRates | None


class AcceptDict(TypedDict, total=False):
    """Keys of a Accept, as they may be given."""

    interface: str | None
    mark: int | None
    user_timeout: str | timedelta | None
    congestion: str | None
    receive_buffer: str | int | None
    send_buffer: str | int | None
    max_segment: int | None
    keepalive_idle: str | timedelta | None
    keepalive_interval: str | timedelta | None
    keepalive_probes: int | None
    transparent: bool
    original_destination: bool
    fast_open_queue: int
    defer_accept: str | timedelta | None


class CertificateFilesDict(TypedDict, total=False):
    """Keys of a CertificateFiles, as they may be given."""

    certificate: Required[FilePath]
    key: FilePath | None
    ocsp: FilePath | None


AnyCertificateFiles = FilePath | models.CertificateFiles | CertificateFilesDict


class HstsDict(TypedDict, total=False):
    """Keys of a Hsts, as they may be given."""

    max_age: str | timedelta
    include_subdomains: bool
    preload: bool


class ClientCertificatesDict(TypedDict, total=False):
    """Keys of a ClientCertificates, as they may be given."""

    verify: Literal["required", "optional"]
    ca: Required[FilePath | Sequence[FilePath]]
    crl: FilePath | Sequence[FilePath]
    headers: Mapping[str, str]


class ListenerTlsDict(TypedDict, total=False):
    """Keys of a ListenerTls, as they may be given."""

    certificates: AnyCertificateFiles | Sequence[AnyCertificateFiles]
    self_signed: bool | str | Sequence[str]
    self_signed_ca: FilePath | None
    strict_sni: bool
    min_version: Literal["1.2", "1.3"]
    profile: Literal["intermediate", "modern"]
    post_quantum: bool
    alpn: str | Sequence[str] | None
    tickets: bool
    ticket_rotation: str | timedelta
    early_data: str | int
    handshake_timeout: str | timedelta
    check_host: bool
    hsts: models.Hsts | HstsDict | None
    passthrough: str | None
    client_certificates: models.ClientCertificates | ClientCertificatesDict | None


class TimeoutsDict(TypedDict, total=False):
    """Keys of a Timeouts, as they may be given."""

    first_bytes: str | timedelta
    idle: str | timedelta
    half_close: str | timedelta
    keep_alive: str | timedelta
    body: str | timedelta
    tunnel: str | timedelta
    linger: str | timedelta


class HttpSettingsDict(TypedDict, total=False):
    """Keys of a HttpSettings, as they may be given."""

    head_limit: str | int
    rewrite_reserve: str | int
    fields_limit: int
    line_limit: str | int
    body_limit: str | int | None
    min_body_rate: str | int
    connect: bool
    forwarded: Literal["x_forwarded", "forwarded"] | Sequence[Literal["x_forwarded", "forwarded"]]
    trusted: str | Sequence[str]
    via: str | None
    request_id: str | None
    requests_per_connection: int
    abort_on_close: bool
    max_requests_per_client: int | None


class HeadersDict(TypedDict, total=False):
    """Keys of a Headers, as they may be given."""

    set: Mapping[str, str]
    add: Mapping[str, str]
    remove: str | Sequence[str]


class RateLimitDict(TypedDict, total=False):
    """Keys of a RateLimit, as they may be given."""

    requests: Required[int]
    per: str | timedelta
    burst: int | None
    header: str | None
    keys: int


class CompressionDict(TypedDict, total=False):
    """Keys of a Compression, as they may be given."""

    algorithms: Literal["zstd", "br", "gzip"] | Sequence[Literal["zstd", "br", "gzip"]]
    types: str | Sequence[str]
    min_size: str | int


class ListenerDict(TypedDict, total=False):
    """Keys of a Listener, as they may be given."""

    bind: Required[str | Sequence[str]]
    protocol: Required[ProtocolName]
    table: str | None
    backend: str | None
    first_bytes: models.FirstBytes | FirstBytesDict | None
    redirect: models.Redirect | RedirectDict | None
    respond: models.Respond | RespondDict | None
    fallback: str | None
    rules: AnyRule | Sequence[AnyRule]
    analyzers: str | Sequence[str]
    allow: str | Sequence[str]
    deny: str | Sequence[str]
    max_connections: int | None
    max_connections_per_client: int | None
    connection_rate: models.ConnectionRate | ConnectionRateDict | None
    bandwidth: models.Bandwidth | BandwidthDict | None
    accept_proxy_from: str | Sequence[str]
    ipv6_only: bool
    backlog: int
    keepalive: bool
    accept: models.Accept | AcceptDict
    unix_mode: str | int
    first_bytes_limit: str | int
    tls: models.ListenerTls | ListenerTlsDict | None
    timeouts: models.Timeouts | TimeoutsDict
    http: models.HttpSettings | HttpSettingsDict
    request_headers: models.Headers | HeadersDict
    response_headers: models.Headers | HeadersDict
    rate_limit: models.RateLimit | RateLimitDict | None
    compression: models.Compression | CompressionDict | None
    error_pages: Mapping[str | int, FilePath]


class TargetDict(TypedDict, total=False):
    """Keys of a Target, as they may be given."""

    backend: str | None
    redirect: models.Redirect | RedirectDict | None
    respond: models.Respond | RespondDict | None
    alpn: Mapping[str, str] | None
    analyzers: str | Sequence[str]


AnyTarget = str | models.Target | TargetDict


class ServerDict(TypedDict, total=False):
    """Keys of a Server, as they may be given."""

    address: Required[str]
    weight: int
    backup: bool
    max_connections: int | None


AnyServer = str | models.Server | ServerDict


class ConnectDict(TypedDict, total=False):
    """Keys of a Connect, as they may be given."""

    interface: str | None
    mark: int | None
    user_timeout: str | timedelta | None
    congestion: str | None
    receive_buffer: str | int | None
    send_buffer: str | int | None
    max_segment: int | None
    keepalive_idle: str | timedelta | None
    keepalive_interval: str | timedelta | None
    keepalive_probes: int | None
    fast_open: bool


class PoolDict(TypedDict, total=False):
    """Keys of a Pool, as they may be given."""

    size: int
    timeout: str | timedelta


class AffinityDict(TypedDict, total=False):
    """Keys of a Affinity, as they may be given."""

    cookie: Required[str]
    secret: str | None
    max_age: str | timedelta | None


class BackendTlsDict(TypedDict, total=False):
    """Keys of a BackendTls, as they may be given."""

    verify: bool
    ca: FilePath | Sequence[FilePath]
    server_name: str | None
    min_version: Literal["1.2", "1.3"]
    alpn: str | Sequence[str] | None
    certificate: FilePath | None
    key: FilePath | None


class HealthDict(TypedDict, total=False):
    """Keys of a Health, as they may be given."""

    kind: CheckKind
    method: str
    path: str
    host: str | None
    expect: str
    body: str | None
    interval: str | timedelta
    timeout: str | timedelta
    rise: int
    fall: int


class EjectionDict(TypedDict, total=False):
    """Keys of a Ejection, as they may be given."""

    failures: int
    responses: int
    duration: str | timedelta


class BackendDict(TypedDict, total=False):
    """Keys of a Backend, as they may be given."""

    servers: Required[AnyServer | Sequence[AnyServer]]
    allow_destinations: str | Sequence[str]
    deny_destinations: str | Sequence[str]
    balance: BalanceName
    connect_timeout: str | timedelta
    retries: int
    proxy_protocol: Literal["v1", "v2"] | None
    source: str | None
    keepalive: bool
    connect: models.Connect | ConnectDict
    slow_start: str | timedelta
    host: str | None
    strip_prefix: str | None
    add_prefix: str | None
    request_headers: models.Headers | HeadersDict
    response_headers: models.Headers | HeadersDict
    rules: AnyRule | Sequence[AnyRule]
    analyzers: str | Sequence[str]
    response_timeout: str | timedelta
    interim_timeout: str | timedelta
    interim_limit: int
    queue_timeout: str | timedelta
    queue_limit: int
    hash_header: str | None
    maintenance: bool
    pool: models.Pool | PoolDict
    affinity: models.Affinity | AffinityDict | None
    error_pages: Mapping[str | int, FilePath]
    tls: models.BackendTls | BackendTlsDict | None
    health: models.Health | HealthDict | None
    ejection: models.Ejection | EjectionDict


class AnalyzerSettingsDict(TypedDict, total=False):
    """Keys of a AnalyzerSettings, as they may be given."""

    python: Required[AnyAnalyzer]
    arguments: Mapping[str, Any]
    deadline: str | timedelta
    on_failure: Literal["pass", "reject"]
    waiting: int
    concurrency: int
    hooks: Hook | Sequence[Hook] | None


class ProviderSettingsDict(TypedDict, total=False):
    """Keys of a ProviderSettings, as they may be given."""

    source: str | None
    python: AnyProvider | None
    arguments: Mapping[str, Any]
    interval: str | timedelta | None
    timeout: str | timedelta
    min_servers: int
    stale_after: str | timedelta | None
    token: FilePath | None
    ca: FilePath | None
    socket: FilePath
    network: str | None
    address: str
    datacenter: str | None
    tags: str | Sequence[str]
    passing: bool
    stale: bool


class AdminTlsDict(TypedDict, total=False):
    """Keys of a AdminTls, as they may be given."""

    certificate: Required[FilePath]
    key: FilePath | None


class AdminSettingsDict(TypedDict, total=False):
    """Keys of a AdminSettings, as they may be given."""

    bind: str | Sequence[str]
    mode: str | int
    group: str | None
    tokens: FilePath | None
    hosts: str | Sequence[str]
    tls: models.AdminTls | AdminTlsDict | None
    state: FilePath | None


class ConfigDict(TypedDict, total=False):
    """Keys of a Config, as they may be given."""

    proxy: models.ProxySettings | ProxySettingsDict
    logs: models.LogSettings | LogSettingsDict
    resolver: models.Resolver | ResolverDict
    listeners: Required[Mapping[str, models.Listener | ListenerDict]]
    tables: Mapping[str, Mapping[str, AnyTarget]]
    backends: Mapping[str, models.Backend | BackendDict]
    analyzers: Mapping[str, models.AnalyzerSettings | AnalyzerSettingsDict]
    providers: Mapping[str, models.ProviderSettings | ProviderSettingsDict]
    admin: models.AdminSettings | AdminSettingsDict | None
