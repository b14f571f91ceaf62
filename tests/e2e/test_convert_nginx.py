"""nginx and what its configuration is converted to answer the same, request by request."""

import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from rig.clients import served_by
from rig.hello import client_hello
from rig.origins import Origin
from rig.programs import free_port
from rig.proving import ask, other, ours, tells

pytestmark = [
    pytest.mark.skipif(shutil.which("nginx") is None, reason="nginx is not installed"),
]
MODULE = Path("/usr/lib/nginx/modules/ngx_stream_module.so")

MakeOrigin = Callable[..., Origin]

HEAD = """
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ }}
http {{
    access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy; fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi; scgi_temp_path {folder}/scgi;
    proxy_set_header Host $host;
"""
HOSTS = (
    *("one.example.com", "a.b.example.com", "example.org", "www.example.org"),
    *("user-7.example.net", "other.test", "x.test"),
)
PATHS = (
    *("/", "/api/x?y=1", "/apis/x", "/static/a.png", "/b.png", "/exact", "/exact/"),
    *("/old/z", "/deep/er/x", "/deep/z", "/blog/x/y"),
)

FILES = {
    "names": """
    server {{ listen 127.0.0.1:{front} default_server; server_name ""; location / {{ return 403; }} }}
    server {{ listen 127.0.0.1:{front}; server_name one.example.com; location / {{ proxy_pass http://{a}; }} }}
    server {{ listen 127.0.0.1:{front}; server_name *.example.com; location / {{ proxy_pass http://{b}; }} }}
    server {{ listen 127.0.0.1:{front}; server_name .example.org; location / {{ proxy_pass http://{c}; }} }}
    server {{ listen 127.0.0.1:{front}; server_name "~^user-(?<id>[0-9]+)\\.example\\.net$";
        location / {{ proxy_pass http://{d}; }} }}
    server {{ listen 127.0.0.1:{front}; server_name other.*; return 302 https://www.example.com$request_uri; }}
""",
    "locations": """
    server {{
        listen 127.0.0.1:{front};
        location = /exact {{ return 200 "exact\\n"; }}
        location ^~ /static/ {{ proxy_pass http://{a}; }}
        location ~* \\.(png|gif)$ {{ proxy_pass http://{b}; }}
        location /api/ {{ proxy_pass http://{c}/v2/; }}
        location /old/ {{ return 301 /new; }}
        location /deep/ {{ deny all; }}
        location /deep/er/ {{ proxy_pass http://{d}; }}
        location /blog/ {{ rewrite ^/blog/(.*)$ /$1 break; proxy_pass http://{d}; }}
        location / {{ proxy_pass http://{a}; }}
    }}
""",
    "conditions": """
    server {{
        listen 127.0.0.1:{front};
        server_name one.example.com example.org;
        if ($host = example.org) {{ return 301 https://$host$request_uri; }}
        location / {{ proxy_pass http://{a}; }}
        location ~ ^/static/(.*)$ {{ return 410; }}
        if ($uri ~ ^/old) {{ return 404; }}
    }}
    server {{
        listen 127.0.0.1:{front};
        server_name ~^x\\. www.example.org;
        location ~ \\.png$ {{ proxy_pass http://{c}; }}
        location / {{ proxy_pass http://{b}; }}
        location = / {{ return 204; }}
    }}
""",
    "everything is redirected": """
    server {{ listen 127.0.0.1:{front}; server_name _; return 301 https://$host$request_uri; }}
""",
}


@pytest.mark.parametrize("text", FILES.values(), ids=list(FILES))
def test_every_request_is_answered_as_nginx_does(text: str, tmp_path: Path, origin: MakeOrigin) -> None:
    pytest.importorskip("crossplane")
    port = free_port()
    addresses = {name: origin(tells, name=name).address for name in "abcd"}
    file = tmp_path / "nginx.conf"
    file.write_text((HEAD + text + "}}").format(front=port, folder=tmp_path, **addresses))
    asked = list(product(HOSTS, PATHS))
    with other("nginx", "-c", str(file), "-p", str(tmp_path), port=port) as theirs:
        expected = {one: ask(theirs, *one) for one in asked}
    with ours(file, port) as address:
        found = {one: ask(address, *one) for one in asked}
    # nginx writes places of its own in full.
    prefix = f"http://{{}}:{port}"
    own = {one: (status, said.replace(prefix.format(one[0]), "")) for one, (status, said) in expected.items()}
    assert found == own
    assert "return 301" in text or len(set(expected.values())) > 2


@pytest.mark.skipif(not MODULE.exists(), reason="nginx's stream module is not installed")
def test_every_name_is_passed_on_as_nginx_does(tmp_path: Path, origin: MakeOrigin) -> None:
    pytest.importorskip("crossplane")
    port = free_port()
    addresses = {name: origin(name=name).address for name in "abcd"}
    file = tmp_path / "nginx.conf"
    text = """
load_module {module};
daemon off; master_process off; pid {folder}/pid; error_log {folder}/error.log;
events {{ }}
stream {{
    map $ssl_preread_server_name $to {{
        hostnames;
        one.example.com {a};
        *.example.com {b};
        .example.org {c};
        ~^x[0-9]\\. {b};
        default {d};
    }}
    server {{ listen 127.0.0.1:{front}; ssl_preread on; proxy_pass $to; }}
}}
"""
    file.write_text(text.format(front=port, folder=tmp_path, module=MODULE, **addresses))
    names = [*HOSTS, "x1.test", "example.com"]
    with other("nginx", "-c", str(file), "-p", str(tmp_path), port=port) as theirs:
        expected = {name: served_by(theirs, client_hello(name)) for name in names}
    with ours(file, port) as address:
        assert {name: served_by(address, client_hello(name)) for name in names} == expected
    assert set(expected.values()) == set("abcd")
