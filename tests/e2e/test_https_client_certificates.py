"""Clients that are asked who they are: required, optional, revoked; and headers that nobody else can write."""

import base64
import hashlib
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from headworks import Proxy
from rig.certificates import Issued, root
from rig.http_clients import get
from rig.http_origins import HttpOrigin
from rig.messages import Request
from rig.tls_clients import TlsClient, ask_tls, curl, s_client
from rig.tls_configs import Config, https, secured
from rig.tls_files import Pki, replace
from rig.waiting import until

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]
Serve = Callable[..., tuple[Proxy, HttpOrigin]]

HEADERS = {
    "X-Client-Subject": "{tls.client.subject}",
    "X-Client-Name": "{tls.client.common_name}",
    "X-Client-Issuer": "{tls.client.issuer}",
    "X-Client-Serial": "{tls.client.serial}",
    "X-Client-Fingerprint": "{tls.client.fingerprint}",
    "X-Client-Certificate": "{tls.client.certificate}",
}
LAST = b"GET / HTTP/1.1\r\nHost: a.test\r\nConnection: close\r\n\r\n"


class Members:
    """An authority of clients, what it signed, and files of that."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.root = root("Members")
        self.ca = replace(directory / "members.pem", self.root.pem)
        self.ann, self.bob = self.root.leaf("ann"), self.root.leaf("bob")
        self.crl = replace(directory / "members.crl", self.root.crl(self.bob))

    def pem(self, issued: Issued) -> Path:
        """A file with chain and key."""
        file = self.directory / f"{issued.certificate.serial_number:x}.pem"
        return replace(file, issued.chain_pem + issued.key_pem)


@pytest.fixture
def members(tmp_path: Path) -> Members:
    """Who may come in."""
    return Members(tmp_path)


@pytest.fixture
def serve(start: Start, http_origin: MakeHttp, pki: Pki, members: Members) -> Serve:
    """Start a listener that asks for members' certificates."""

    def make(verify: str, **others: object) -> tuple[Proxy, HttpOrigin]:
        app = http_origin()
        clients = {"verify": verify, "ca": [str(members.ca)], "headers": HEADERS} | others
        return start(https(app.address, tls=secured(pki.pem("a.test"), client_certificates=clients))), app

    return make


def told(request: Request) -> dict[str, str | None]:
    """What the server is told of the client."""
    return {name: request.get(name) for name in HEADERS}


def failures(proxy: Proxy) -> dict[str, int]:
    """What is counted of failed handshakes."""
    return {reason: count for reason, count in proxy.stats().listeners["web"].handshakes_failed.items() if count}


@pytest.mark.parametrize("version", ["1.2", "1.3"])
@pytest.mark.parametrize("verify", ["required", "optional"])
def test_a_member(serve: Serve, pki: Pki, members: Members, verify: str, version: str) -> None:
    proxy, app = serve(verify)
    tls = pki.client(version=version, certificate=members.pem(members.ann))
    with TlsClient(proxy.address("web"), tls) as client:
        assert client.ask(get()).status == 200
        session = client.secure.session
    certificate = members.ann.certificate
    said = told(app.requests[-1])
    assert said["X-Client-Subject"] == "CN=ann"
    assert said["X-Client-Name"] == "ann"
    assert said["X-Client-Issuer"] == "CN=Members"
    assert str(said["X-Client-Serial"]).lstrip("0") == f"{certificate.serial_number:x}"
    with TlsClient(proxy.address("web"), tls, session=session) as client:
        assert client.secure.session_reused
        client.ask(get())
    assert told(app.requests[-1]) == said, "who resumes is who it was"


def test_what_is_told_is_the_certificate(serve: Serve, pki: Pki, members: Members) -> None:
    proxy, app = serve("required")
    tls = pki.client(certificate=members.pem(members.ann))
    ask_tls(proxy.address("web"), tls)
    said = told(app.requests[-1])
    der = ssl.PEM_cert_to_DER_cert(members.ann.pem)
    assert base64.b64decode(str(said["X-Client-Certificate"])) == der
    assert said["X-Client-Fingerprint"] == hashlib.sha256(der).hexdigest()


def test_nobody_forges_who_they_are(serve: Serve, pki: Pki, members: Members) -> None:
    proxy, app = serve("optional")
    forged = ["X-Client-Subject: CN=root", "x_client_subject: CN=root", "X-CLIENT-NAME: root", "X-Client_Name: root"]
    ask_tls(proxy.address("web"), pki.client(), get("/", *forged))
    assert told(app.requests[-1]) == dict.fromkeys(HEADERS)
    assert "root" not in repr(app.requests[-1].raw)
    ask_tls(proxy.address("web"), pki.client(certificate=members.pem(members.ann)), get("/", *forged))
    assert told(app.requests[-1])["X-Client-Name"] == "ann"
    assert "root" not in repr(app.requests[-1].raw)


@pytest.mark.parametrize("version", ["-tls1_2", "-tls1_3"])
def test_who_has_none_is_refused_where_one_is_required(serve: Serve, version: str) -> None:
    proxy, app = serve("required")
    said = s_client(proxy.address("web"), version, "-servername", "a.test", sends=LAST)
    assert "Members" in said, "it is said whose certificates are wanted"
    assert "alert certificate required" in said or "alert handshake failure" in said
    until(lambda: failures(proxy) == {"no_client_certificate": 1})
    assert app.accepted == 0


@pytest.mark.parametrize("verify", ["required", "optional"])
def test_bad_certificates_are_refused(serve: Serve, members: Members, verify: str) -> None:
    """Also where none is required: who shows one means it."""
    proxy, app = serve(verify, crl=[str(members.crl)])
    bad = {
        "revoked": members.bob,
        "expired": members.root.leaf("old", days=(-30, -1)),
        "early": members.root.leaf("young", days=(1, 30)),
        "stranger": root("Strangers").leaf("ann"),
        "namesake": root("Members").leaf("ann"),
    }
    for number, (kind, issued) in enumerate(bad.items(), 1):
        file = members.pem(issued)
        said = s_client(proxy.address("web"), "-servername", "a.test", "-cert", file, "-key", file, sends=LAST)
        assert "alert" in said, kind
        assert "app GET" not in said, kind
        until(lambda wanted=number: failures(proxy) == {"bad_client_certificate": wanted})  # type: ignore[misc]
    file = members.pem(members.ann)
    assert "app GET /" in s_client(
        proxy.address("web"), "-servername", "a.test", "-cert", file, "-key", file, sends=LAST
    )
    assert len(app.requests) == 1


def test_curl_with_a_certificate(serve: Serve, pki: Pki, members: Members) -> None:
    proxy, app = serve("required")
    file = members.pem(members.ann)
    done = curl(proxy.address("web"), pki.ca, "--fail", "--cert", file, "--key", file, "https://a.test/x")
    assert done.stdout == b"app GET /x\n", done.stderr
    assert told(app.requests[-1])["X-Client-Name"] == "ann"
    assert curl(proxy.address("web"), pki.ca, "https://a.test/x").returncode in (35, 56)


def test_an_intermediate_signs_for_clients(serve: Serve, pki: Pki, members: Members) -> None:
    proxy, app = serve("required")
    cleo = members.root.intermediate("Sections").leaf("cleo")
    ask_tls(proxy.address("web"), pki.client(certificate=members.pem(cleo)))
    assert told(app.requests[-1])["X-Client-Issuer"] == "CN=Sections"


def test_a_new_revocation_list_is_read_on_reload(
    start: Start, http_origin: MakeHttp, pki: Pki, members: Members
) -> None:
    """And a session that was begun before it is no way around it."""
    clients = {"ca": [str(members.ca)], "crl": [str(members.crl)]}
    config = https(http_origin().address, tls=secured(pki.pem("a.test"), client_certificates=clients))
    proxy = start(config)
    tls = pki.client(certificate=members.pem(members.ann))
    with TlsClient(proxy.address("web"), tls) as client:
        assert client.ask(get()).status == 200
        session = client.secure.session
        replace(members.crl, members.root.crl(members.bob, members.ann))
        proxy.reload(config)
        assert client.ask(get()).status == 200, "a connection goes on as it began"
    for tried in (None, session):
        with (
            pytest.raises((ssl.SSLError, ConnectionError)),
            TlsClient(proxy.address("web"), tls, session=tried) as client,
        ):
            client.ask(get())


def test_a_listener_without_it_does_not_ask(start: Start, http_origin: MakeHttp, pki: Pki, members: Members) -> None:
    app = http_origin()
    proxy = start(https(app.address, tls=secured(pki.pem("a.test"))))
    file = members.pem(members.ann)
    said = s_client(proxy.address("web"), "-servername", "a.test", "-cert", file, "-key", file, sends=LAST)
    assert "No client certificate CA names sent" in said
    assert "app GET /" in said
