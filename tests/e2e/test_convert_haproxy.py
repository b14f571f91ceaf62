"""HAProxy and what its configuration is converted to answer the same, request by request."""

import shutil
from collections.abc import Callable
from itertools import product
from pathlib import Path

import pytest

from rig.origins import Origin
from rig.programs import free_port
from rig.proving import ask, other, ours, tells

pytestmark = pytest.mark.skipif(shutil.which("haproxy") is None, reason="HAProxy is not installed")

MakeOrigin = Callable[..., Origin]

HEAD = """
defaults
    mode http
    timeout connect 2s
    timeout client 5s
    timeout server 5s
"""
BACKENDS = "".join(f"backend {name}\n    server s {{{name}}}\n" for name in "abcd")
HOSTS = ("a.example.com", "b.example.com", "www.b.example.com", "other.example.net", "A.EXAMPLE.COM", "xb.example.com")
PATHS = ("/", "/api/x", "/api", "/apix", "/static/a.css", "/a.css?x=1", "/admin", "/old/y?z=1", "/index.php")

FILES = {
    "hosts": """
frontend web
    bind 127.0.0.1:{front}
    use_backend a if {{ hdr(host) -i a.example.com }}
    use_backend b if {{ hdr_end(host) -i .b.example.com }}
    default_backend c
""",
    "paths that come before hosts": """
frontend web
    bind 127.0.0.1:{front}
    acl is_css path_end .css
    acl api path_beg /api/
    acl host_a hdr(host) -i a.example.com
    use_backend d if is_css
    use_backend c if api !host_a
    use_backend a if host_a
    use_backend b if {{ hdr_reg(host) -i ^(www\\.)?b\\.example\\.com$ }} or {{ hdr_beg(host) xb }}
""",
    "answers": """
frontend web
    bind 127.0.0.1:{front}
    http-request deny deny_status 403 if {{ path_beg /admin }}
    http-request redirect location /new code 301 if {{ path_beg /old }}
    http-request redirect prefix https://www.example.org if {{ hdr(host) -i other.example.net }} {{ path /api }}
    http-request return status 200 content-type text/plain string "fine" if {{ path /index.php }}
    use_backend a if {{ path -m sub css }}
    use_backend b unless {{ hdr(host) -m found }} || {{ path_reg ^/api/?$ }}
    default_backend gone
backend gone
    http-request deny deny_status 410
""",
    "everything is redirected": """
frontend web
    bind 127.0.0.1:{front}
    http-request redirect scheme https code 301 unless {{ ssl_fc }}
    default_backend a
""",
    "order counts": """
frontend web
    bind 127.0.0.1:{front}
    use_backend c if {{ path_beg /api/ }}
    use_backend a if {{ hdr(host) -i a.example.com }}
    use_backend b if {{ hdr_dom(host) -i b.example.com }}
    http-request set-path /moved%[path] if {{ path_beg /old }}
    default_backend d
""",
}


@pytest.mark.parametrize("text", FILES.values(), ids=list(FILES))
def test_every_request_is_answered_as_haproxy_does(text: str, tmp_path: Path, origin: MakeOrigin) -> None:
    port = free_port()
    addresses = {name: origin(tells, name=name).address for name in "abcd"}
    file = tmp_path / "haproxy.cfg"
    file.write_text((HEAD + text + BACKENDS).format(front=port, **addresses))
    asked = [(host, path) for host, path in product(HOSTS, PATHS)]
    with other("haproxy", "-db", "-f", str(file), port=port) as theirs:
        expected = {one: ask(theirs, *one) for one in asked}
    with ours(file, port) as address:
        found = {one: ask(address, *one) for one in asked}
    # A host that nobody knows gets 421 instead of 503, and a path 404.
    nobody = {421: (503, ""), 404: (503, "")}
    assert {one: nobody.get(answer[0], answer) for one, answer in found.items()} == expected
    assert len(set(expected.values())) > (0 if "unless { ssl_fc }" in file.read_text() else 2)
