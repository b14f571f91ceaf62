"""Scene: what all parts of a translation of nginx share."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from headworks.importing.draft import Draft, Path
from headworks.importing.flaws import Flaws
from headworks.importing.ledger import Ledger
from headworks.importing.nginx.reader import Statement
from headworks.importing.nginx.values import SettingError, duration, milliseconds
from headworks.importing.rulefile import RuleFile

HOUR = 3_600_000

_SYSTEM = "it is for the process or the kernel, which need no such word"
_BODIES = "bodies are streamed both ways"
_FILES = "no files are served"
_LOGS = "records have a form of their own: see [logs]"
_TLS = "it is how TLS is spoken here anyway, or cannot be chosen: see tls.profile"

NEEDLESS = {
    **dict.fromkeys(
        [
            "daemon",
            "master_process",
            "worker_cpu_affinity",
            "worker_priority",
            "worker_rlimit_nofile",
            "worker_rlimit_core",
            "working_directory",
            "pid",
            "lock_file",
            "load_module",
            "pcre_jit",
            "thread_pool",
            "timer_resolution",
            "env",
            "events",
            "worker_connections",
            "use",
            "multi_accept",
            "accept_mutex",
            "accept_mutex_delay",
            "debug_connection",
            "sendfile",
            "sendfile_max_chunk",
            "tcp_nopush",
            "tcp_nodelay",
            "aio",
            "directio",
            "output_buffers",
            "postpone_output",
            "server_names_hash_bucket_size",
            "server_names_hash_max_size",
            "types_hash_max_size",
            "types_hash_bucket_size",
            "variables_hash_max_size",
            "variables_hash_bucket_size",
            "map_hash_bucket_size",
            "map_hash_max_size",
            "reset_timedout_connection",
            "connection_pool_size",
            "request_pool_size",
            "worker_shutdown_timeout",
            "resolver_timeout",
            "preread_buffer_size",
            "preread_timeout",
            "proxy_socket_keepalive",
            "proxy_upload_rate",
            "proxy_headers_hash_max_size",
            "proxy_headers_hash_bucket_size",
            "http2_max_concurrent_streams",
        ],
        _SYSTEM,
    ),
    **dict.fromkeys(
        [
            "proxy_buffering",
            "proxy_buffers",
            "proxy_buffer_size",
            "proxy_busy_buffers_size",
            "proxy_request_buffering",
            "proxy_max_temp_file_size",
            "proxy_temp_path",
            "proxy_temp_file_write_size",
            "client_body_buffer_size",
            "client_body_temp_path",
            "client_body_in_file_only",
            "client_header_buffer_size",
            "proxy_send_lowat",
        ],
        _BODIES,
    ),
    **dict.fromkeys(
        [
            "types",
            "default_type",
            "charset",
            "charset_types",
            "index",
            "autoindex",
            "etag",
            "if_modified_since",
            "expires",
            "open_file_cache",
            "open_file_cache_valid",
            "open_file_cache_min_uses",
            "open_file_cache_errors",
            "log_not_found",
            "disable_symlinks",
        ],
        _FILES,
    ),
    **dict.fromkeys(["error_log", "log_format", "log_subrequest", "rewrite_log", "uninitialized_variable_warn"], _LOGS),
    **dict.fromkeys(
        [
            "ssl_ciphers",
            "ssl_prefer_server_ciphers",
            "ssl_session_cache",
            "ssl_session_timeout",
            "ssl_dhparam",
            "ssl_ecdh_curve",
            "ssl_stapling",
            "ssl_stapling_verify",
            "ssl_trusted_certificate",
            "ssl_buffer_size",
            "ssl_conf_command",
            "ssl",
            "ssl_engine",
            "proxy_ssl_protocols",
            "proxy_ssl_ciphers",
            "proxy_ssl_session_reuse",
            "ssl_handshake_timeout",
            "proxy_ssl_verify_depth",
            "ssl_verify_depth",
        ],
        _TLS,
    ),
    "server_tokens": "no name of ours is told",
    "proxy_http_version": "servers are spoken to by HTTP/1.1 always",
    "proxy_redirect": "places that servers redirect to are passed on as they are",
    "proxy_pass_header": "fields of servers are passed on",
    "proxy_pass_request_headers": "requests are passed on with their fields",
    "proxy_pass_request_body": "requests are passed on with their bodies",
    "proxy_send_timeout": "bytes that rest are bounded by timeouts.idle",
    "proxy_next_upstream": "another server is tried where that is safe",
    "proxy_next_upstream_tries": "another server is tried where that is safe: see retries",
    "proxy_next_upstream_timeout": "another server is tried where that is safe: see retries",
    "proxy_cache_bypass": "nothing is cached",
    "proxy_no_cache": "nothing is cached",
    "proxy_cache": "nothing is cached",
    "proxy_cache_valid": "nothing is cached",
    "proxy_cache_key": "nothing is cached",
    "proxy_cache_path": "nothing is cached",
    "proxy_cache_use_stale": "nothing is cached",
    "proxy_cache_lock": "nothing is cached",
    "proxy_store": "nothing is stored",
    "send_timeout": "bytes that rest are bounded by timeouts.idle",
    "keepalive_disable": "no client is that old",
    "lingering_close": "clients may read what they were told: see timeouts.linger",
    "lingering_timeout": "clients may read what they were told: see timeouts.linger",
    "port_in_redirect": "places are written in full",
    "server_name_in_redirect": "places are written in full",
    "absolute_redirect": "places are written in full",
    "merge_slashes": "paths are looked up as the most eager server would read them, and passed on as they are",
    "underscores_in_headers": "fields are passed on as they are spelled",
    "ignore_invalid_headers": "what can be read in two ways is refused",
    "chunked_transfer_encoding": "it is on",
    "http2": "protocols are agreed on by themselves",
    "real_ip_header": "X-Forwarded-For and Forwarded are read of who is trusted",
    "real_ip_recursive": "of several addresses the last that is not trusted counts",
    "gzip_vary": "Vary is said always",
    "gzip_proxied": "responses of servers are compressed",
    "gzip_comp_level": "the level is chosen for you",
    "gzip_buffers": "the buffers are chosen for you",
    "gzip_http_version": "there is no older client",
    "gzip_disable": "there is no such client",
    "gzip_static": _FILES,
    "zone": "workers share what they know",
    "hash_bucket_size": _SYSTEM,
    "limit_req_status": "it is 429",
    "limit_req_log_level": _LOGS,
    "limit_conn_status": "it is 429",
    "limit_conn_log_level": _LOGS,
    "satisfy": "each of them has to be met",
    "include": "what it names stands in its place",
    "keepalive_requests": "connections to servers are kept for any number of requests",
    "tcp_nodelay_stream": _SYSTEM,
}
"""Directives that need nothing, and why."""

LOST = {
    **dict.fromkeys(
        [
            "root",
            "alias",
            "try_files",
            "fastcgi_pass",
            "uwsgi_pass",
            "scgi_pass",
            "memcached_pass",
            "fastcgi_param",
            "uwsgi_param",
            "autoindex_format",
            "fastcgi_index",
            "fastcgi_split_path_info",
            "empty_gif",
            "dav_methods",
            "flv",
            "mp4",
            "random_index",
        ],
        "no files are served and no other gateway is spoken: let a server of its own do that",
    ),
    "grpc_pass": "gRPC needs HTTP/2 to servers",
    "auth_basic": "there is no basic authentication: write an analyzer; what it refuses is let through",
    "auth_basic_user_file": "there is no basic authentication: write an analyzer",
    "auth_request": "write an analyzer that asks; what it refuses is let through",
    "auth_request_set": "write an analyzer that asks",
    "error_page": "name files of ours in error_pages",
    "proxy_intercept_errors": "answers of servers are never replaced",
    "sub_filter": "bodies are passed on as they are: write an analyzer",
    "sub_filter_once": "bodies are passed on as they are",
    "mirror": "no request is sent twice",
    "proxy_cookie_path": "cookies of servers are passed on as they are",
    "proxy_cookie_domain": "cookies of servers are passed on as they are",
    "proxy_cookie_flags": "cookies of servers are passed on as they are",
    "proxy_method": "methods are passed on as they are",
    "proxy_set_body": "bodies are passed on as they are",
    "split_clients": "headworks.sample of a rule does that",
    "geo": "headworks.networks of a rule does that",
    "lua_package_path": "there are rules and analyzers in Python instead of Lua",
    "limit_rate": "bytes are not slowed down",
    "limit_rate_after": "bytes are not slowed down",
    "perl": "there are rules and analyzers in Python instead",
    "js_import": "there are rules and analyzers in Python instead",
    "internal": "nothing leads here from inside; clients are not kept out",
    "stub_status": "a running headworks is asked by Proxy.stats()",
    "mail": "mail is passed on as bytes: see protocol = tcp",
}
"""Directives that cannot be told in ours, and what to do."""


@dataclass(slots=True)
class Scene:
    """One translation."""

    flaws: Flaws
    draft: Draft
    ledger: Ledger
    rules: RuleFile
    upstreams: dict[str, Statement] = field(default_factory=dict)
    maps: dict[str, Statement] = field(default_factory=dict)
    """Maps by the variable that they set."""

    def tried(self, statement: Statement, section: Path, does: Callable[[], None]) -> None:
        """Do something for a statement; what has no equal is not supported."""
        try:
            does()
        except SettingError as error:
            self.ledger.unsupported(statement, str(error), section)

    def settled(self, statement: Statement, section: Path = ()) -> bool:
        """Settle what needs nothing or is lost wherever it stands. Return whether it is."""
        if statement.name in NEEDLESS:
            self.ledger.nothing(statement, NEEDLESS[statement.name], section)
        elif statement.name in LOST:
            self.ledger.unsupported(statement, LOST[statement.name], section)
        else:
            return False
        return True

    def time(self, statement: Statement, into: dict[str, Any], path: Path, most: int = HOUR) -> None:
        """Set the last key of a path to the time that a statement says."""

        def put() -> None:
            into[path[-1]] = duration(milliseconds(statement.first) or most, most)
            self.ledger.converted(statement, path)

        self.tried(statement, path[:2], put)


def holding(name: str, *levels: Sequence[Statement]) -> list[Statement]:
    """Return the directives with a name that hold: those of the innermost level that has any. Outermost comes first."""
    for level in reversed(levels):
        if found := [one for one in level if one.name == name]:
            return found
    return []


def shown(statement: Statement) -> str:
    """Return a statement in one line, its block left out."""
    words = " ".join(_quoted(word) for word in (statement.name, *statement.arguments))
    return words if statement.file is None else f"{words} ({statement.file})"


def _quoted(text: str) -> str:
    text = "".join(one if one.isprintable() else "?" for one in text)
    return f'"{text}"' if not text or any(one in text for one in ' ;{}#"') else text
