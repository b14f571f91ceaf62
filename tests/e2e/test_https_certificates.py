"""Which certificate a client is shown, and how whole; what `headworks run`, `check` and `certs` say of bad ones."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

from headworks import ConfigError, Proxy
from rig.clients import Target
from rig.http_origins import HttpOrigin
from rig.process import command, running, write
from rig.tls_clients import TlsClient, ask_tls, curl, s_client
from rig.tls_configs import Config, https, secured
from rig.tls_files import Pki
from rig.waiting import until

Start = Callable[[Config], Proxy]
MakeHttp = Callable[..., HttpOrigin]


def shown(target: Target, pki: Pki, name: str | None) -> list[str]:
    """The names in the certificate that a client gets who asks for ``name``."""
    tls = pki.client()
    tls.check_hostname = False
    with TlsClient(target, tls, name) as client:
        return client.names()


def test_the_certificate_that_covers_the_name_is_shown(start: Start, pki: Pki) -> None:
    certificates = [pki.pem("first.test"), pki.pem("*.wild.test"), pki.pem("x.wild.test"), pki.pem("b.test", "c.test")]
    target = start(https("127.0.0.1:1", tls=secured(certificates))).address("web")
    for name, names in (
        ("first.test", ["first.test"]),
        ("FIRST.test", ["first.test"]),
        ("x.wild.test", ["x.wild.test"]),
        ("y.wild.test", ["*.wild.test"]),
        ("c.test", ["b.test", "c.test"]),
        # A wildcard is for one label, and not for none.
        ("a.y.wild.test", ["first.test"]),
        ("wild.test", ["first.test"]),
        ("elsewhere.test", ["first.test"]),
        (None, ["first.test"]),
    ):
        assert shown(target, pki, name) == names, name


def test_ecdsa_for_whoever_can_and_rsa_for_the_others(start: Start, http_origin: MakeHttp, pki: Pki) -> None:
    certificates = [pki.pem("a.test"), pki.pem("a.test", rsa=True)]
    target = start(https(http_origin().address, tls=secured(certificates))).address("web")
    for version in ("-tls1_2", "-tls1_3"):
        for schemes, kind in (
            ("ECDSA+SHA256:RSA-PSS+SHA256", "id-ecPublicKey"),
            ("RSA-PSS+SHA256:ECDSA+SHA256", "id-ecPublicKey"),
            ("RSA-PSS+SHA256:RSA-PSS+SHA512", "rsaEncryption"),
        ):
            said = s_client(target, version, "-servername", "a.test", "-sigalgs", schemes)
            assert f"PKEY: {kind}" in said, (version, schemes)
    said = s_client(target, "-tls1_2", "-servername", "a.test", "-cipher", "ECDHE-RSA-AES128-GCM-SHA256")
    assert "PKEY: rsaEncryption" in said
    said = s_client(target, "-tls1_3", "-servername", "a.test", "-sigalgs", "ECDSA+SHA512")
    assert "alert handshake failure" in said


@pytest.mark.parametrize("layout", ["one file", "key first", "two files", "directory", "leaf last"])
def test_files_of_any_order(start: Start, http_origin: MakeHttp, pki: Pki, tmp_path: Path, layout: str) -> None:
    leaf = pki.issue("a.test")
    whole = leaf.chain_pem + leaf.key_pem
    certificate, key = tmp_path / "a.crt", tmp_path / "a.key"
    place: object = str(certificate)
    if layout == "key first":
        whole = leaf.key_pem + leaf.chain_pem
    elif layout == "leaf last":
        whole = pki.intermediate.pem + leaf.key_pem + leaf.pem
    elif layout == "two files":
        whole = leaf.chain_pem
        key.write_text(leaf.key_pem)
        place = {"certificate": str(certificate), "key": str(key)}
    elif layout == "directory":
        whole = leaf.pem
        key.write_text(leaf.key_pem)
        (tmp_path / "chain.pem").write_text(pki.intermediate.pem)
        place = str(tmp_path)
    certificate.write_text(whole)
    proxy = start(https(http_origin().address, tls=secured([place])))
    # The root alone is trusted: the intermediate comes with the leaf.
    assert ask_tls(proxy.address("web"), pki.client()).status == 200


def test_an_expired_certificate_is_shown_and_warned_of(pki: Pki, tmp_path: Path, http_origin: MakeHttp) -> None:
    expired = pki.pem("a.test", days=(-90, -2))
    file = write(tmp_path / "headworks.toml", https(http_origin().address, tls=secured(expired)))
    with running(file) as proxy:
        assert "warning" in proxy.line("expired")
        assert expired in proxy.line("expired")
        said = s_client(proxy.address("web"), "-servername", "a.test", "-CAfile", pki.ca)
        assert "certificate has expired" in said
        assert "Cipher is TLS_AES_128_GCM_SHA256" in said
    checked = command("check", file)
    assert checked.returncode == 0
    assert "expired" in checked.stdout + checked.stderr


def test_what_cannot_be_used_is_named_with_its_file(pki: Pki, tmp_path: Path) -> None:
    leaf, other = pki.issue("a.test"), pki.issue("b.test")
    files = {
        "mismatch.pem": (leaf.chain_pem + other.key_pem, "key"),
        "keyless.pem": (leaf.chain_pem, "key"),
        "rubbish.pem": ("rubbish", "certificate"),
        "cut.pem": (leaf.chain_pem[:300], "certificate"),
        "missing.pem": (None, "missing.pem"),
    }
    for name, (content, word) in files.items():
        if content is not None:
            (tmp_path / name).write_text(content)
        with pytest.raises(ConfigError) as refused:
            Proxy(https("127.0.0.1:1", tls=secured(tmp_path / name))).start()
        (found, *_) = refused.value.problems
        assert name in str(found), found
        assert "listeners.web.tls.certificates" in str(found)
        assert word in str(found), found


def test_certificates_are_listed(pki: Pki, tmp_path: Path) -> None:
    """By the command: what a configuration presents, and what is in a file; 1 when something needs to be done."""
    certificates = [pki.pem("a.test"), pki.pem("*.b.test", rsa=True)]
    file = write(tmp_path / "headworks.toml", https("127.0.0.1:1", tls=secured(certificates)))
    listed = command("certs", file)
    assert listed.returncode == 0, listed.stdout + listed.stderr
    for word in ("a.test", "*.b.test", "Test intermediate", "listeners.web", certificates[0], "ECDSA", "RSA"):
        assert word in listed.stdout, word
    (one,) = json.loads(command("certs", certificates[0], "--json").stdout)
    assert (one["names"], one["chain_length"], one["days_left"]) == (["a.test"], 2, 89)
    expired = command("certs", pki.pem("a.test", days=(-90, -2)))
    assert expired.returncode == 1
    assert "expired" in expired.stdout + expired.stderr
    file.write_text(file.read_text().replace(certificates[0], str(tmp_path / "missing.pem")))
    assert command("certs", file).returncode == 2


def test_throwaway_certificates(pki: Pki, tmp_path: Path, http_origin: MakeHttp) -> None:
    """In a file of its own: what a new user writes first."""
    (tmp_path / "headworks.toml").write_text(
        f"""
        [listeners.web]
        bind = "127.0.0.1:0"
        protocol = "https"
        table = "sites"
        tls = {{ self_signed = true, self_signed_ca = "ca.pem" }}
        [tables.sites]
        "app.test" = "app"
        "*.app.test" = "app"
        "localhost" = "app"
        [backends.app]
        servers = ["{http_origin().address}"]
        """
    )
    with running(tmp_path / "headworks.toml") as proxy:
        target, ca = proxy.address("web"), tmp_path / "ca.pem"
        for name in ("app.test", "x.app.test", "localhost"):
            done = curl(target, ca, "--fail", f"https://{name}/", name=name)
            assert done.stdout == b"app GET /\n", done.stderr
        assert curl(target, pki.ca, "https://app.test/", name="app.test").returncode == 60
        names = ca.read_bytes()
        proxy.reload()
        assert ca.read_bytes() == names, "the authority stays for as long as the process"
    assert x509.load_pem_x509_certificate(names).subject.rfc4514_string().startswith("CN=Headworks")


def test_of_many_the_right_one_is_shown(start: Start, pki: Pki, tmp_path: Path) -> None:
    """Many certificates in a directory, of one key: what is looked at is the choice."""
    key = pki.issue("a.test").key
    for number in range(300):
        leaf = pki.intermediate.leaf(f"{number}.test", f"*.{number}.test", key=key)
        (tmp_path / f"{number}.pem").write_text(leaf.chain_pem + leaf.key_pem)
    target = start(https("127.0.0.1:1", tls=secured(tmp_path))).address("web")
    for number in (0, 7, 123, 299):
        assert shown(target, pki, f"{number}.test")[0] == f"{number}.test"
        assert shown(target, pki, f"any.{number}.test")[0] == f"{number}.test"


def test_certificate_expires_is_the_first_of_all(start: Start, pki: Pki) -> None:
    soon, late = pki.issue("soon.test", days=(-1, 5)), pki.issue("late.test")
    certificates = [pki.pem("late.test"), pki.pem("soon.test", days=(-1, 5))]
    proxy = start(https("127.0.0.1:1", tls=secured(certificates)))
    expires = until(lambda: proxy.stats().listeners["web"].certificate_expires)
    assert expires == int(soon.certificate.not_valid_after_utc.timestamp())
    assert expires < late.certificate.not_valid_after_utc.timestamp()
