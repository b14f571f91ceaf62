"""What an https listener agrees to, asked as scanners do: one version, one cipher suite, one group after the other."""

import subprocess
from collections.abc import Callable

import pytest

from headworks import Proxy
from rig.clients import connect, to_end
from rig.hello import SSLV2
from rig.http_origins import HttpOrigin
from rig.tls_clients import needs, s_client
from rig.tls_configs import Config, https, secured
from rig.tls_files import Pki
from rig.tls_hello import X25519, X25519MLKEM768, Offer, Reply, offer
from rig.waiting import until

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]

TLS13 = {0x1301, 0x1302, 0x1303}
ECDSA = {0xC02B, 0xC02C, 0xCCA9}
"""ECDHE-ECDSA with AES-128-GCM, AES-256-GCM and ChaCha20."""
RSA = {0xC02F, 0xC030, 0xCCA8}
"""The same with RSA."""
REGISTERED = [*range(0x0001, 0x00C8), *range(0xC001, 0xC0B8), *range(0xCCA8, 0xCCAF), *range(0xD001, 0xD006)]
"""Every suite before TLS 1.3 in the registry: NULL, EXPORT, RC4, 3DES, CBC, RSA and anonymous key exchange, all."""

PROTOCOL_VERSION, HANDSHAKE_FAILURE, UNRECOGNIZED_NAME = 70, 40, 112


@pytest.fixture
def both(start: Start, pki: Pki) -> Proxy:
    """A listener with certificates of both kinds, ECDSA first."""
    certificates = [pki.pem("a.test"), pki.pem("a.test", rsa=True)]
    return start(https("127.0.0.1:1", tls=secured(certificates)))


def modern(start: Start, pki: Pki) -> Proxy:
    """A listener of TLS 1.3 alone."""
    return start(https("127.0.0.1:1", tls=secured(pki.pem("a.test"), profile="modern")))


def ask(proxy: Proxy, **offered: object) -> Reply:
    """Offer that."""
    return offer(proxy.address("web"), Offer(**offered))  # type: ignore[arg-type]


def failures(proxy: Proxy) -> dict[str, int]:
    """What is counted of failed handshakes."""
    return {reason: count for reason, count in proxy.stats().listeners["web"].handshakes_failed.items() if count}


@pytest.mark.parametrize("version", [0x0300, 0x0301, 0x0302])
def test_old_versions_are_refused(both: Proxy, version: int) -> None:
    suites = [*TLS13, *ECDSA, *RSA, 0x002F, 0xC009, 0xC013]
    assert ask(both, version=version, suites=suites).alert == PROTOCOL_VERSION
    assert ask(both, versions=[version], suites=suites).alert == PROTOCOL_VERSION
    until(lambda: failures(both) == {"no_version": 2})


def test_versions_that_are_not_there_yet_are_passed_over(both: Proxy) -> None:
    assert ask(both, version=0x0305, suites=sorted(ECDSA)).version == 0x0303
    # GREASE (RFC 8701) and a draft before what is known.
    reply = ask(both, versions=[0x7A7A, 0x7F1C, 0x0304], suites=[0x1301], shares=[X25519])
    assert (reply.version, reply.suite) == (0x0304, 0x1301)


def test_tls_1_3_is_taken_by_whoever_has_both(both: Proxy) -> None:
    suites = [*sorted(ECDSA), *sorted(TLS13)]
    reply = ask(both, versions=[0x0303, 0x0304], suites=suites, shares=[X25519])
    assert reply.version == 0x0304
    # Who speaks both and is made to speak the older one can tell (RFC 8446 section 4.1.3).
    with connect(both.address("web")) as client:
        client.sendall(Offer(suites=sorted(ECDSA)).message())
        assert b"DOWNGRD\x01" in client.recv(1 << 16)


def test_sslv2_hellos_are_refused(both: Proxy) -> None:
    with connect(both.address("web")) as client:
        client.sendall(SSLV2)
        assert to_end(client)[-1] == PROTOCOL_VERSION


def test_every_suite_of_the_registry_one_by_one(both: Proxy) -> None:
    taken = {suite for suite in REGISTERED if ask(both, suites=[suite]).alert is None}
    assert taken == ECDSA | RSA
    # The client does not go on where a suite was taken.
    assert failures(both) == {"no_cipher": len(REGISTERED) - 6, "left": 6}


def test_every_suite_of_tls_1_3_one_by_one(both: Proxy) -> None:
    taken = set()
    for suite in range(0x1301, 0x1308):
        reply = ask(both, versions=[0x0304], suites=[suite], shares=[X25519])
        if reply.alert is None:
            taken.add(reply.suite)
    assert taken == TLS13


def test_every_suite_that_openssl_knows_one_by_one(both: Proxy) -> None:
    """By OpenSSL's own hellos: with all that it would ever say at its lowest level of security."""
    openssl = needs("openssl")
    command = [openssl, "ciphers", "-s", "-tls1_2", "ALL:COMPLEMENTOFALL:@SECLEVEL=0"]
    names = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip().split(":")
    strong = {name for name in names if name.startswith("ECDHE-") and ("GCM" in name or "CHACHA20" in name)}
    weak = [name for name in names if name not in strong and "PSK" not in name and "SRP" not in name]
    assert len(strong) >= 6
    assert len(weak) > 20
    target = both.address("web")
    # All the weak ones at once, then the strong ones one by one: what is refused together is refused alone.
    said = s_client(target, "-tls1_2", "-cipher", ":".join([*weak, "@SECLEVEL=0"]), "-servername", "a.test")
    assert "handshake failure" in said
    for name in strong:
        said = s_client(target, "-tls1_2", "-cipher", f"{name}:@SECLEVEL=0", "-servername", "a.test")
        agreed = f"Cipher is {name}" in said
        assert agreed == ("CCM" not in name and "ARIA" not in name and "CAMELLIA" not in name), said


@pytest.mark.parametrize("flag", ["-tls1", "-tls1_1"])
def test_openssl_gets_no_old_version(both: Proxy, flag: str) -> None:
    said = s_client(both.address("web"), flag, "-cipher", "ALL:@SECLEVEL=0", "-servername", "a.test")
    assert "alert protocol version" in said
    assert "Cipher is (NONE)" in said


def test_nothing_is_compressed(both: Proxy) -> None:
    assert ask(both, suites=sorted(ECDSA), compression=b"\1\0").compression == 0
    assert ask(both, suites=sorted(ECDSA), compression=b"\1").alert is not None


def test_renegotiation_is_said_to_be_secure(both: Proxy) -> None:
    """And not there at all: test_https_openssl.py tries it."""
    assert ask(both, suites=sorted(ECDSA)).extensions.get(0xFF01) == b"\0"
    # By the suite that stands for the extension (RFC 5746 section 3.6).
    assert ask(both, suites=[*sorted(ECDSA), 0x00FF], renegotiation=False).extensions.get(0xFF01) == b"\0"


def test_a_downgrade_is_noticed(both: Proxy) -> None:
    """TLS_FALLBACK_SCSV (RFC 7507) says that more could be spoken than is offered."""
    assert ask(both, suites=[*sorted(ECDSA), 0x5600]).alert in (86, None)


def test_the_order_of_suites_is_ours(both: Proxy) -> None:
    assert ask(both, suites=sorted(ECDSA, reverse=True)).suite == 0xC02B
    assert ask(both, versions=[0x0304], suites=[0x1303, 0x1302, 0x1301], shares=[X25519]).suite == 0x1301


def test_the_post_quantum_group_is_preferred(start: Start, pki: Pki, both: Proxy) -> None:
    offered = {"versions": [0x0304], "suites": [0x1301], "shares": [X25519, X25519MLKEM768]}
    assert ask(both, groups=[X25519MLKEM768, X25519], **offered).group == X25519MLKEM768
    assert ask(both, groups=[X25519], versions=[0x0304], suites=[0x1301], shares=[X25519]).group == X25519
    without = start(https("127.0.0.1:1", tls=secured(pki.pem("a.test"), post_quantum=False)))
    assert ask(without, groups=[X25519MLKEM768, X25519], **offered).group == X25519


@pytest.mark.parametrize("group", [0x0001, 0x0013, 0x0016, 0x0019, 0x001A, 0x0100, 0x0101])
def test_weak_and_strange_groups_are_not_taken(both: Proxy, group: int) -> None:
    assert ask(both, suites=sorted(ECDSA | RSA), groups=[group]).alert == HANDSHAKE_FAILURE


def test_signatures_with_sha_1_are_not_made(both: Proxy) -> None:
    assert ask(both, suites=sorted(ECDSA | RSA), schemes=[0x0201, 0x0203]).alert == HANDSHAKE_FAILURE


def test_modern_is_tls_1_3_alone(start: Start, pki: Pki) -> None:
    proxy = modern(start, pki)
    assert ask(proxy, suites=sorted(ECDSA | RSA)).alert == PROTOCOL_VERSION
    assert ask(proxy, versions=[0x0304, 0x0303], suites=[0x1301], shares=[X25519]).version == 0x0304
    least = start(https("127.0.0.1:1", tls=secured(pki.pem("a.test"), min_version="1.3")))
    assert ask(least, suites=sorted(ECDSA | RSA)).alert == PROTOCOL_VERSION


def test_unknown_names_are_refused_when_that_is_wanted(start: Start, pki: Pki) -> None:
    proxy = start(https("127.0.0.1:1", tls=secured(pki.pem("a.test", "*.b.test"), strict_sni=True)))
    for name, alert in (
        ("a.test", None),
        ("A.TEST", None),
        ("x.b.test", None),
        ("b.test", UNRECOGNIZED_NAME),
        ("x.y.b.test", UNRECOGNIZED_NAME),
        ("c.test", UNRECOGNIZED_NAME),
        (None, UNRECOGNIZED_NAME),
    ):
        assert ask(proxy, suites=sorted(ECDSA), name=name).alert == alert, name
    until(lambda: failures(proxy).get("unknown_name") == 4)
