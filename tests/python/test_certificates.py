"""Certificates from files: what is found, what belongs together, and what is said of what does not."""

import base64
import os
import ssl
import subprocess
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519
from cryptography.hazmat.primitives.serialization import Encoding
from hypothesis import example, given
from hypothesis import strategies as st

from headworks.certificates import Authority, Files, Store, chain, look, trust
from headworks.certificates.found import Reader
from headworks.certificates.trust import system_roots
from rig.certificates import key_pem, new_key, root, rsa_key

ROOT = root()
MIDDLE = ROOT.intermediate("Test middle")
LEAF = MIDDLE.leaf("app.example.com", "*.example.org", "192.0.2.7")
OTHER = ROOT.leaf("other.example.com")


def take(path: Path, **more):
    more = {key: str(value) if isinstance(value, Path) else value for key, value in more.items()}
    return Store().take(Files(path=str(path), **more))


def said(path: Path, **more) -> list[str]:
    """What is wrong, with warnings marked, and the files' directory left out."""
    flaws = take(path, **more).flaws
    directory = path if path.is_dir() else path.parent
    return [("warning: " if flaw.is_warning else "") + flaw.reason.replace(f"{directory}/", "") for flaw in flaws]


def file(tmp_path: Path, name: str, *parts: str | bytes) -> Path:
    path = tmp_path / name
    path.write_bytes(b"".join(part.encode() if isinstance(part, str) else part for part in parts))
    return path


@pytest.mark.parametrize(
    "parts",
    [
        (LEAF.pem, MIDDLE.pem, LEAF.key_pem),
        (LEAF.key_pem, MIDDLE.pem, LEAF.pem),
        (ROOT.pem, MIDDLE.pem, LEAF.pem, "some words\n", LEAF.key_pem, LEAF.pem),
        ("subject=...\r\n", MIDDLE.pem.replace("\n", "\r\n"), LEAF.key_pem, LEAF.pem.replace("\n", "\r\n")),
    ],
)
def test_a_file_may_have_everything_in_any_order(tmp_path, parts):
    content = take(file(tmp_path, "all.pem", *parts))
    (certificate,) = content.certificates
    assert content.flaws == ()
    assert certificate.names == ("app.example.com", "*.example.org", "192.0.2.7")
    assert certificate.chain == tuple(one.certificate.public_bytes(Encoding.DER) for one in (LEAF, MIDDLE))
    assert certificate.issuer == "Test middle"
    assert certificate.kind == "ECDSA P-256"
    assert certificate.place == str(tmp_path / "all.pem")
    assert certificate.not_after == LEAF.certificate.not_valid_after_utc


@pytest.mark.parametrize(
    ("key", "traditional", "kind"),
    [
        (rsa_key(), False, "RSA 2048"),
        (rsa_key(), True, "RSA 2048"),
        (ec.generate_private_key(ec.SECP384R1()), True, "ECDSA P-384"),
        (ed25519.Ed25519PrivateKey.generate(), False, "Ed25519"),
    ],
)
def test_kinds_and_forms_of_keys(tmp_path, key, traditional, kind):
    leaf = ROOT.leaf("a.test", key=key)
    content = take(file(tmp_path, "a.pem", leaf.pem, key_pem(key, traditional=traditional)))
    assert [(one.kind, one.names) for one in content.certificates] == [(kind, ("a.test",))]
    assert content.certificates[0].key[:1] == b"0"
    assert content.flaws == ()


def test_a_directory_of_several_certificates(tmp_path):
    file(tmp_path, "1.crt", LEAF.pem)
    file(tmp_path, "2.KEY", LEAF.key_pem, OTHER.key_pem)
    file(tmp_path, "3.cer", OTHER.pem, MIDDLE.pem)
    file(tmp_path, "README", "not looked at")
    file(tmp_path, ".hidden.pem", "not looked at")
    (tmp_path / "below.pem").mkdir()
    content = take(tmp_path)
    assert [one.names[0] for one in content.certificates] == ["app.example.com", "other.example.com"]
    assert [len(one.chain) for one in content.certificates] == [2, 1]
    assert content.flaws == ()


def test_certbots_directory(tmp_path):
    file(tmp_path, "cert.pem", LEAF.pem)
    file(tmp_path, "chain.pem", MIDDLE.pem)
    file(tmp_path, "fullchain.pem", LEAF.chain_pem)
    file(tmp_path, "privkey.pem", LEAF.key_pem)
    content = take(tmp_path)
    assert [len(one.chain) for one in content.certificates] == [2]
    assert content.flaws == ()


def test_a_certificate_and_its_key_apart(tmp_path):
    key = file(tmp_path, "k.pem", LEAF.key_pem)
    content = take(file(tmp_path, "c.pem", LEAF.chain_pem), key=key)
    assert [len(one.chain) for one in content.certificates] == [2]
    assert content.flaws == ()


def test_one_that_signed_for_itself_stands_for_itself(tmp_path):
    own = root("self.test")
    (certificate,) = take(file(tmp_path, "self.pem", own.pem, own.key_pem)).certificates
    assert certificate.names == ("self.test",)
    assert (len(certificate.chain), certificate.state) == (1, "complete")


def test_a_common_name_counts_where_there_is_no_other(tmp_path):
    named, unnamed = root("old.test"), root("Somebody's test")
    assert take(file(tmp_path, "a.pem", named.pem, named.key_pem)).certificates[0].names == ("old.test",)
    (certificate,) = take(file(tmp_path, "b.pem", unnamed.pem, unnamed.key_pem)).certificates
    assert (certificate.names, certificate.title) == ((), "(no name)")


def test_authorities_that_signed_for_each_other(tmp_path):
    """A chain that leads in circles ends somewhere."""
    one, two = root("One"), root("Two")
    one_by_two, two_by_one = two.intermediate("One", key=one.key), one.intermediate("Two", key=two.key)
    leaf = one.leaf("a.test")
    parts = (leaf.pem, leaf.key_pem, one_by_two.pem, two_by_one.pem)
    (certificate,) = take(file(tmp_path, "a.pem", *parts)).certificates
    assert len(certificate.chain) == 3


def test_the_same_key_for_several_certificates(tmp_path):
    again = ROOT.leaf("again.example.com", key=LEAF.key)
    content = take(file(tmp_path, "two.pem", LEAF.chain_pem, LEAF.key_pem, again.pem))
    assert [one.names[0] for one in content.certificates] == ["app.example.com", "again.example.com"]


WEAK = rsa_key(1024)
ED448 = ed448.Ed448PrivateKey.generate()
OLD_CURVE = ec.generate_private_key(ec.SECP256K1())


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        ([], '"a.pem" is empty'),
        (["words"], '"a.pem" has no PEM in it'),
        ([LEAF.certificate.public_bytes(Encoding.DER)], '"a.pem" is DER, not PEM: openssl x509 -inform der -in '),
        ([LEAF.pem[:300]], '"a.pem" is damaged: a block of it has no end'),
        ([LEAF.pem.replace("MII", "MI%I", 1)], '"a.pem" is damaged: what is in CERTIFICATE is not Base64'),
        ([LEAF.pem.replace("MII", "MIM", 1)], '"a.pem": a certificate is damaged'),
        ([LEAF.pem, key_pem(LEAF.key)[:60], "\n-----END PRIVATE KEY-----\n"], '"a.pem": the key is damaged'),
        ([LEAF.key_pem], '"a.pem" has no certificate but a key: write { certificate = ..., key = "a.pem" }'),
        ([LEAF.pem], 'there is no key for "app.example.com" in "a.pem"'),
        ([MIDDLE.pem], 'there is no key for "Test middle" in "a.pem"'),
        ([LEAF.pem, LEAF.key_pem, OTHER.pem], 'there is no key for "other.example.com" in "a.pem"'),
        ([LEAF.pem, OTHER.key_pem], 'the key in "a.pem" belongs to another certificate than that of "app.example.com"'),
        ([LEAF.pem, key_pem(LEAF.key, password=b"x")], '"a.pem": the key is encrypted, and nobody is here to be asked'),
        ([LEAF.pem, key_pem(LEAF.key, password=b"x", traditional=True)], '"a.pem": the key is encrypted'),
        (
            [ROOT.leaf("weak.test", key=WEAK).pem, key_pem(WEAK)],
            'the key in "a.pem" is too weak: RSA of 1024 bits; 2048 are the least',
        ),
        (
            [ROOT.leaf("k.test", key=OLD_CURVE).pem, key_pem(OLD_CURVE)],
            'the key in "a.pem" is on the curve secp256k1, which TLS does not use; known: P-256, P-384, P-521',
        ),
        (
            [ROOT.leaf("e.test", key=ED448).pem, key_pem(ED448)],
            'the key in "a.pem" is of a kind that TLS here does not use (Ed448); known: RSA, ECDSA, Ed25519',
        ),
    ],
)
def test_what_cannot_be_used(tmp_path, parts, expected):
    (line,) = said(file(tmp_path, "a.pem", *parts))
    assert line.startswith(expected)
    assert take(tmp_path / "a.pem").certificates == ()


def test_what_is_said_of_an_encrypted_key_helps(tmp_path):
    path = file(tmp_path, "a.pem", LEAF.pem, key_pem(LEAF.key, password=b"secret"))
    (flaw,) = take(path).flaws
    command = flaw.reason.partition("decrypt it: ")[2].split()
    subprocess.run([*command, "-passin", "pass:secret"], check=True, timeout=30)
    decrypted = tmp_path / "a.decrypted.key"
    assert take(file(tmp_path, "c.pem", LEAF.pem), key=decrypted).flaws == ()


def test_what_cannot_be_read(tmp_path):
    assert said(tmp_path / "absent.pem") == ['"absent.pem" cannot be read: No such file or directory']
    os.mkfifo(tmp_path / "pipe.pem")
    assert said(tmp_path / "pipe.pem") == ['"pipe.pem" is not a file']
    (tmp_path / "empty").mkdir()
    assert said(tmp_path / "empty") == [f'"{tmp_path}/empty" has no certificate']


def test_keys_that_do_not_belong(tmp_path):
    other = file(tmp_path, "other.key", OTHER.key_pem)
    certificate = file(tmp_path, "c.pem", LEAF.chain_pem)
    (flaw,) = take(certificate, key=other).flaws
    assert (flaw.part, flaw.file) == ("key", str(other))
    assert said(certificate, key=other) == [
        'the key in "other.key" belongs to another certificate than that of "app.example.com" in "c.pem"'
    ]
    assert said(certificate, key=certificate) == ['"c.pem" has no private key']
    both = file(tmp_path, "both.pem", LEAF.chain_pem, LEAF.key_pem, OTHER.key_pem)
    assert said(both) == ['warning: the key in "both.pem" belongs to no certificate here']
    assert len(take(both).certificates) == 1


@pytest.mark.parametrize("name", ["c.key", "privkey.pem", "c-key.pem"])
def test_a_key_that_lies_beside_is_pointed_at(tmp_path, name):
    path, key = file(tmp_path, "c.pem", LEAF.pem), file(tmp_path, name, LEAF.key_pem)
    (flaw,) = take(path).flaws
    assert flaw.reason.endswith(f'; is it in "{key}"? Write {{ certificate = "{path}", key = "{key}" }}')


@pytest.mark.parametrize(
    ("leaf", "expected"),
    [
        (ROOT.leaf("a.test", days=(-100, -3)), '"a.test" in "a.pem" expired on '),
        (ROOT.leaf("a.test", days=(-100, 12.5)), '"a.test" in "a.pem" expires on '),
        (ROOT.leaf("a.test", days=(2, 90)), '"a.test" in "a.pem" is not valid before '),
        (ROOT.leaf("a.test", fetch="http://ca.test/m.der"), '"a.test" in "a.pem": the chain is incomplete: the '),
    ],
)
def test_what_is_doubtful_is_served_all_the_same(tmp_path, leaf, expected):
    path = file(tmp_path, "a.pem", leaf.pem, leaf.key_pem)
    (line,) = said(path)
    assert line.startswith(f"warning: {expected}")
    assert len(take(path).certificates) == 1


def test_days_that_are_left(tmp_path):
    leaf = ROOT.leaf("a.test", days=(-100, 12.5))
    path = file(tmp_path, "a.pem", leaf.pem, leaf.key_pem)
    assert said(path)[0].endswith(", in 12 days")
    assert take(path).certificates[0].days_left == 12


def test_an_intermediate_that_expired_is_named(tmp_path):
    middle = ROOT.intermediate("Old middle", days=(-100, -1))
    leaf = middle.leaf("a.test")
    (line,) = said(file(tmp_path, "a.pem", leaf.chain_pem, leaf.key_pem))
    assert line.startswith('warning: "Old middle" in "a.pem", an intermediate of "a.test", expired on ')


# Signed by OpenSSL: the library that makes the other certificates refuses SHA-1.
def test_signatures_by_sha_1_are_warned_of(tmp_path):
    ca, ca_key, request = (tmp_path / name for name in ("ca.pem", "ca.key", "r.pem"))
    ca.write_text(ROOT.pem)
    ca_key.write_text(ROOT.key_pem)
    key = file(tmp_path, "a.key", rsa := key_pem(rsa_key()))
    commands = (
        ["req", "-new", "-key", key, "-subj", "/CN=old.test", "-out", request],
        [
            "x509",
            "-req",
            "-in",
            request,
            "-CA",
            ca,
            "-CAkey",
            ca_key,
            "-sha1",
            "-days",
            "90",
            "-out",
            tmp_path / "c.pem",
        ],
    )
    for command in commands:
        subprocess.run(["openssl", *map(str, command)], check=True, timeout=30, capture_output=True)
    path = file(tmp_path, "a.pem", (tmp_path / "c.pem").read_text(), rsa)
    assert said(path) == ['warning: "old.test" in "a.pem" is signed with SHA-1, which clients do not believe any more']


def test_a_chain_that_somebody_else_signed_is_broken(tmp_path):
    imposter = root("Test root").intermediate("Test middle")
    (line,) = said(file(tmp_path, "a.pem", LEAF.pem, LEAF.key_pem, imposter.pem))
    why = '"Test middle" in "a.pem" did not sign "app.example.com" in "a.pem", which names it'
    assert line == f'"app.example.com" in "a.pem": {why}'


def test_an_intermediate_of_somebody_else_is_warned_of(tmp_path):
    (line,) = said(file(tmp_path, "a.pem", LEAF.pem, LEAF.key_pem, ROOT.intermediate("Another").pem))
    assert line == 'warning: "app.example.com" in "a.pem": its issuer is "Test middle", but the file has "Another"'


def test_of_two_intermediates_with_one_name_the_one_that_signed_is_taken(tmp_path):
    imposter = root("Test root").intermediate("Test middle")
    (certificate,) = take(file(tmp_path, "a.pem", LEAF.pem, LEAF.key_pem, imposter.pem, MIDDLE.pem)).certificates
    assert certificate.chain[1] == MIDDLE.certificate.public_bytes(Encoding.DER)


def test_a_chain_whose_root_the_system_has_is_complete(tmp_path, monkeypatch):
    path = file(tmp_path, "a.pem", LEAF.chain_pem, LEAF.key_pem)
    assert take(path).certificates[0].state == "private"
    monkeypatch.setattr(chain, "_known_roots", lambda: {ROOT.certificate.subject.public_bytes()})
    assert take(path).certificates[0].state == "complete"


def test_the_system_trusts_somebody(tmp_path, monkeypatch):
    bundle = file(tmp_path, "bundle.pem", ROOT.pem, OTHER.pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(bundle))
    system_roots.cache_clear()
    try:
        assert ROOT.certificate.public_bytes(Encoding.DER) in system_roots()
        monkeypatch.setenv("SSL_CERT_FILE", str(tmp_path / "absent"))
        monkeypatch.setenv("SSL_CERT_DIR", str(tmp_path / "absent"))
        monkeypatch.setattr(trust, "BUNDLES", (str(tmp_path / "absent"), str(bundle)))
        system_roots.cache_clear()
        assert len(system_roots()) == 2
    finally:
        system_roots.cache_clear()


def test_ocsp_responses(tmp_path):
    path = file(tmp_path, "a.pem", LEAF.chain_pem, LEAF.key_pem)
    good = file(tmp_path, "good.ocsp", MIDDLE.ocsp(LEAF))
    assert take(path, ocsp=good).certificates[0].ocsp == good.read_bytes()
    assert take(path, ocsp=good).flaws == ()
    for response, expected in [
        (MIDDLE.ocsp(LEAF, days=(-9, -2)), "is outdated: a newer one was due on "),
        (MIDDLE.ocsp(LEAF, days=(2, 9)), "is of the future: "),
        (ROOT.ocsp(OTHER), "is about another certificate than app.example.com; it is not stapled"),
    ]:
        bad = file(tmp_path, "bad.ocsp", response)
        content = take(path, ocsp=bad)
        assert content.certificates[0].ocsp is None
        assert [(flaw.part, flaw.is_warning) for flaw in content.flaws] == [("ocsp", True)]
        assert said(path, ocsp=bad)[0].startswith(f'warning: the OCSP response in "bad.ocsp" {expected}')
    revoked = file(tmp_path, "revoked.ocsp", MIDDLE.ocsp(LEAF, revoked=True))
    assert "was revoked, says the OCSP response" in said(path, ocsp=revoked)[0]
    assert take(path, ocsp=revoked).certificates[0].ocsp is not None
    assert said(path, ocsp=path) == ['"a.pem" is no OCSP response in DER']
    assert said(path, ocsp=tmp_path / "absent") == ['"absent" cannot be read: No such file or directory']


def test_authorities_and_revocation_lists(tmp_path):
    ca = file(tmp_path, "ca.pem", ROOT.pem, MIDDLE.pem, ROOT.pem)
    content = take(ca, kind="authorities")
    assert content.ders == tuple(one.certificate.public_bytes(Encoding.DER) for one in (ROOT, MIDDLE))
    assert said(file(tmp_path, "old.pem", root("Old", days=(-9, -2)).pem), kind="authorities")[0].startswith(
        'warning: the authority "Old" in "old.pem" expired on '
    )
    assert said(file(tmp_path, "key.pem", ROOT.key_pem), kind="authorities") == [
        '"key.pem" has no certificate of an authority'
    ]
    crl = file(tmp_path, "crl.pem", ROOT.crl(LEAF))
    assert len(take(crl, kind="revocations").ders) == 1
    assert take(crl, kind="revocations").flaws == ()
    assert said(file(tmp_path, "old.crl", ROOT.crl(days=(-9, -2))), kind="revocations")[0].startswith(
        'warning: the revocation list of "Test root" in "old.crl" is outdated: a newer one was due on '
    )
    assert said(file(tmp_path, "bare.crl", ROOT.crl(number=None)), kind="revocations")[0].startswith(
        'the revocation list of "Test root" in "bare.crl" has no number (RFC 5280, section 5.2.3)'
    )
    assert said(ca, kind="revocations") == ['"ca.pem" has no revocation list (X509 CRL)']


def test_people_may_look_without_keys(tmp_path):
    path = file(tmp_path, "a.pem", LEAF.chain_pem, OTHER.pem)
    certificates, flaws = look(Reader(), str(path))
    assert [one.names[0] for one in certificates] == ["app.example.com", "other.example.com"]
    assert flaws == []
    only_ca, _ = look(Reader(), str(file(tmp_path, "ca.pem", ROOT.pem)))
    assert [one.issuer for one in only_ca] == ["Test root"]
    assert look(Reader(), str(tmp_path / "absent"))[1][0].reason.endswith("No such file or directory")


def test_a_throwaway_authority_signs_once_for_the_same_names():
    authority = Authority()
    (certificate,) = authority.certificates(["app.test", "*.App.test"])
    assert certificate.names == ("localhost", "app.test", "*.app.test", "127.0.0.1", "::1")
    assert authority.certificates(["app.test", "*.app.test"]) == (certificate,)
    assert authority.pem() == authority.pem()
    assert Authority().pem() != authority.pem()
    many = authority.certificates(f"n{number}.test" for number in range(250))
    assert sum(len(one.names) for one in many) == 253
    assert len(many) == 3


def test_openssl_believes_the_throwaway_authority(tmp_path):
    authority = Authority()
    ca = file(tmp_path, "ca.pem", authority.pem())
    der = authority.certificates(["app.test"])[0].chain[0]
    text = base64.encodebytes(der).decode()
    leaf = file(tmp_path, "leaf.pem", f"-----BEGIN CERTIFICATE-----\n{text}-----END CERTIFICATE-----\n")
    command = ["openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-verify_hostname", "app.test"]
    subprocess.run([*command, "-CAfile", str(ca), str(leaf)], check=True, timeout=30, capture_output=True)


WHOLE = (LEAF.chain_pem + LEAF.key_pem + ROOT.crl(OTHER)).encode()


@given(st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.binary(max_size=3), st.integers(0, 3)), max_size=4))
@example([(1500, b"", 0)])
def test_whatever_is_in_a_file_is_read_or_refused(tmp_path_factory, changes):
    content = WHOLE
    for at, put, dropped in changes:
        content = content[:at] + put + content[at + dropped :]
    directory = tmp_path_factory.mktemp("any")
    path = file(directory, "a.pem", content)
    (directory / "a.ocsp").write_bytes(content[:500])
    for kind in ("certificates", "authorities", "revocations"):
        found = take(path, kind=kind)
        assert found.errors or found.certificates or found.ders
    take(path, ocsp=directory / "a.ocsp")
    look(Reader(), str(path))


@given(st.integers(0, 2000), st.binary(min_size=1, max_size=2))
@example(12, b"\x01")  # where a certificate says its version
def test_whatever_is_encoded_is_read_or_refused(tmp_path_factory, at, put):
    """Damage below the PEM: what is in a certificate, a key or a list is not what it says."""
    directory = tmp_path_factory.mktemp("any")
    ders = {
        "CERTIFICATE": LEAF.certificate.public_bytes(Encoding.DER),
        "PRIVATE KEY": take(file(directory, "b.pem", LEAF.pem, LEAF.key_pem)).certificates[0].key,
        "X509 CRL": take(file(directory, "c.pem", ROOT.crl(OTHER)), kind="revocations").ders[0],
    }
    parts = []
    for label, der in ders.items():
        place = at % len(der)
        text = base64.encodebytes(der[:place] + put + der[place + len(put) :]).decode()
        parts.append(f"-----BEGIN {label}-----\n{text}-----END {label}-----\n")
    path = file(directory, "a.pem", *parts, LEAF.pem, LEAF.key_pem)
    for kind in ("certificates", "authorities", "revocations"):
        take(path, kind=kind)
    look(Reader(), str(path))
    response = MIDDLE.ocsp(LEAF)
    place = at % len(response)
    damaged = file(directory, "a.ocsp", response[:place] + put + response[place + len(put) :])
    take(file(directory, "d.pem", LEAF.pem, LEAF.key_pem), ocsp=damaged)


def test_many_certificates_of_one_directory(tmp_path):
    key = new_key()
    file(tmp_path, "shared.key", key_pem(key))
    file(tmp_path, "middle.pem", MIDDLE.pem)
    for number in range(200):
        file(tmp_path, f"{number}.crt", MIDDLE.leaf(f"n{number}.test", key=key).pem)
    content = take(tmp_path)
    assert content.flaws == ()
    assert {one.names for one in content.certificates} == {(f"n{number}.test",) for number in range(200)}
    assert {len(one.chain) for one in content.certificates} == {2}


def test_what_an_authority_issues_is_new_and_its_own(tmp_path):
    authority = Authority("Authority of this test")
    one, two = authority.issue("a.test"), authority.issue("a.test")
    assert one.names == two.names == ("a.test",)
    assert one.key != two.key
    assert one.issuer == "Authority of this test"
    (tmp_path / "a.pem").write_text(one.pem())
    presenting = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    presenting.load_cert_chain(tmp_path / "a.pem")
    (found,), flaws = look(Reader(), str(tmp_path / "a.pem"))
    assert (found.names, found.chain, flaws) == (one.names, one.chain, [])


VERSION_1 = """\
-----BEGIN CERTIFICATE-----
MIIBIzCByQIUWLzzjepTA3qwc/NP2p05SXnVOEUwCgYIKoZIzj0EAwIwFDESMBAG
A1UEAwwJbG9jYWxob3N0MB4XDTI2MTEyODAxNTYyN1oXDTI2MTIyODAxNTYyN1ow
FDESMBAGA1UEAwwJbG9jYWxob3N0MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE
jgeXurMKcOFnSFVVtUVkT4/MSX86SJRqn+KvqzKmINbgUQcvxTqeMqTkyzGo3YWD
6Wsr+WEjIbYxbpkmDgA26DAKBggqhkjOPQQDAgNJADBGAiEAv2/TmYYfEHabH98P
Ep3ggkmGwJVG4BlJe6e396ChMJACIQCQyrSrBJvJro8nYmMkPZ/AeNOip2ofU/VF
/zNpUDwLrw==
-----END CERTIFICATE-----
"""
"""Made by `openssl x509 -req -signkey`, which gives version 1 to what has no extensions."""


def test_an_authority_of_version_1_is_said_to_have_no_names(tmp_path):
    lines = said(file(tmp_path, "one.pem", VERSION_1), kind="authorities")
    (line,) = [line for line in lines if "version 1" in line]
    assert line.startswith('warning: "localhost" in "one.pem" is of version 1')
    assert len(take(file(tmp_path, "one.pem", VERSION_1), kind="authorities").ders) == 1
