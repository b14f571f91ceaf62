"""Certificates renewed while the proxy runs: by watching, by HUP, by symbolic links, under load; bad ones are not."""

import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from headworks import ConfigError, Proxy
from rig.clients import Target
from rig.http_clients import get
from rig.http_origins import HttpOrigin
from rig.process import running, write
from rig.tls_clients import TlsClient, s_client
from rig.tls_configs import Config, https, secured
from rig.tls_files import Pki, replace
from rig.waiting import until

MakeHttp = Callable[..., HttpOrigin]
Watched = Callable[[Config], Proxy]


def serial(target: Target, pki: Pki) -> int:
    """The serial number of the certificate that is shown to a new client."""
    with TlsClient(target, pki.client()) as client:
        return int(str((client.secure.getpeercert() or {})["serialNumber"]), 16)


class Renewed:
    """A file with a certificate for a.test that can be renewed."""

    def __init__(self, pki: Pki, file: Path) -> None:
        self.pki = pki
        self.file = file
        self.serial = self.renew()

    def renew(self) -> int:
        """Put a new certificate there; its serial number."""
        leaf = self.pki.intermediate.leaf("a.test")
        replace(self.file, leaf.chain_pem + leaf.key_pem)
        self.serial = leaf.certificate.serial_number
        return self.serial


@pytest.fixture
def renewed(pki: Pki, tmp_path: Path) -> Renewed:
    """A file to be renewed."""
    return Renewed(pki, tmp_path / "a.pem")


@pytest.fixture
def watched(stack: ExitStack) -> Iterator[Watched]:
    """Start a proxy that looks often."""

    def make(config: Config) -> Proxy:
        config |= {"proxy": {"workers": 2}, "logs": {"access": "off"}}
        return stack.enter_context(Proxy(config, watch_interval=0.02))

    yield make
    stack.close()


def notice(proxy: Proxy, kind: str) -> dict[str, object]:
    """Wait for a notice of that kind."""
    for one in proxy.notices():
        if one.kind == kind:
            return dict(one.facts)
    raise AssertionError(f"no notice {kind}")


def test_new_connections_see_the_new_one_and_old_ones_go_on(
    watched: Watched, http_origin: MakeHttp, pki: Pki, renewed: Renewed
) -> None:
    proxy = watched(https(http_origin().address, tls=secured(renewed.file)))
    target, before = proxy.address("web"), renewed.serial
    with TlsClient(target, pki.client()) as client:
        assert client.ask(get()).status == 200
        renewed.renew()
        until(lambda: serial(target, pki) == renewed.serial)
        assert client.ask(get()).status == 200
    told = notice(proxy, "certificate_renewed")
    assert (told["file"], told["names"]) == (str(renewed.file), "a.test")
    assert before != renewed.serial
    assert proxy.stats().listeners["web"].certificate_expires


def test_a_bad_file_changes_nothing_and_is_reported(
    watched: Watched, http_origin: MakeHttp, pki: Pki, renewed: Renewed
) -> None:
    proxy = watched(https(http_origin().address, tls=secured(renewed.file)))
    target = proxy.address("web")
    other = pki.issue("b.test")
    for bad in ("rubbish", pki.issue("a.test").chain_pem, pki.issue("a.test").chain_pem + other.key_pem, ""):
        replace(renewed.file, bad)
        told = notice(proxy, "certificate_refused")
        assert str(renewed.file) in f"{told['file']} {told['reason']}"
        assert serial(target, pki) == renewed.serial
    renewed.file.unlink()
    assert notice(proxy, "certificate_refused")
    assert serial(target, pki) == renewed.serial
    renewed.renew()
    until(lambda: serial(target, pki) == renewed.serial)


def test_links_as_certbot_and_kubernetes_make_them(
    watched: Watched, http_origin: MakeHttp, pki: Pki, tmp_path: Path
) -> None:
    """A link to a directory is led elsewhere: certificate and key change in one step."""
    made = []
    for version in ("1", "2"):
        (tmp_path / version).mkdir()
        leaf = pki.intermediate.leaf("a.test")
        (tmp_path / version / "tls.crt").write_text(leaf.chain_pem)
        (tmp_path / version / "tls.key").write_text(leaf.key_pem)
        made.append(leaf.certificate.serial_number)
    live = tmp_path / "live"
    live.symlink_to("1")
    place = {"certificate": str(live / "tls.crt"), "key": str(live / "tls.key")}
    target = watched(https(http_origin().address, tls=secured([place]))).address("web")
    assert serial(target, pki) == made[0]
    fresh = tmp_path / "fresh"
    fresh.symlink_to("2")
    fresh.replace(live)
    until(lambda: serial(target, pki) == made[1])


def test_certificate_and_key_written_one_after_the_other(
    watched: Watched, http_origin: MakeHttp, pki: Pki, tmp_path: Path
) -> None:
    """In between they do not belong together: the old pair serves until the new one is whole."""
    old, new = pki.intermediate.leaf("a.test"), pki.intermediate.leaf("a.test")
    certificate, key = tmp_path / "a.crt", tmp_path / "a.key"
    replace(certificate, old.chain_pem)
    replace(key, old.key_pem)
    place = {"certificate": str(certificate), "key": str(key)}
    proxy = watched(https(http_origin().address, tls=secured([place])))
    target = proxy.address("web")
    replace(certificate, new.chain_pem)
    assert notice(proxy, "certificate_refused")
    assert serial(target, pki) == old.certificate.serial_number
    replace(key, new.key_pem)
    until(lambda: serial(target, pki) == new.certificate.serial_number)


def test_a_directory_gets_one_more(watched: Watched, http_origin: MakeHttp, pki: Pki, tmp_path: Path) -> None:
    directory = tmp_path / "certificates"
    directory.mkdir()
    leaf, more = pki.issue("a.test"), pki.issue("b.test")
    replace(directory / "a.pem", leaf.chain_pem + leaf.key_pem)
    target = watched(https(http_origin().address, tls=secured(directory))).address("web")
    tls = pki.client()
    tls.check_hostname = False

    def names() -> list[str]:
        with TlsClient(target, tls, "b.test") as client:
            return client.names()

    assert names() == ["a.test"]
    replace(directory / "b.pem", more.chain_pem + more.key_pem)
    until(lambda: names() == ["b.test"])


def test_a_staple_is_renewed(watched: Watched, http_origin: MakeHttp, pki: Pki, tmp_path: Path) -> None:
    staple = replace(tmp_path / "a.ocsp", pki.intermediate.ocsp(pki.issue("a.test"), (-2, 3)))
    place = {"certificate": pki.pem("a.test"), "ocsp": str(staple)}
    target = watched(https(http_origin().address, tls=secured([place]))).address("web")

    def stapled() -> str:
        said = s_client(target, "-servername", "a.test", "-status")
        return next(line for line in said.splitlines() if "This Update" in line)

    before = stapled()
    replace(staple, pki.intermediate.ocsp(pki.issue("a.test"), (-1, 7)))
    until(lambda: stapled() != before)


def test_thirty_renewals_under_load(watched: Watched, http_origin: MakeHttp, pki: Pki, renewed: Renewed) -> None:
    """Not one request or handshake fails; every certificate is seen in its turn."""
    proxy = watched(https(http_origin().address, tls=secured(renewed.file)))
    target = proxy.address("web")
    stopping, failed, served = threading.Event(), [], [0, 0]

    def load(place: int) -> None:
        tls = pki.client(version=("1.2", "1.3")[place])
        session: ssl.SSLSession | None = None
        while not stopping.is_set():
            try:
                with TlsClient(target, tls, session=session) as client:
                    for _ in range(3):
                        assert client.ask(get()).status == 200
                        served[place] += 1
                    session = client.secure.session
            except (OSError, AssertionError) as error:
                failed.append(repr(error))

    threads = [threading.Thread(target=load, args=(place,)) for place in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(30):
            renewed.renew()
            until(lambda: serial(target, pki) == renewed.serial)
            reached = list(served)
            until(lambda before=reached: all(now > then for now, then in zip(served, before, strict=True)))  # type: ignore[misc]
    finally:
        stopping.set()
        for thread in threads:
            thread.join()
    assert failed == []
    assert not any(proxy.stats().listeners["web"].handshakes_failed.values())


def test_reload_reads_files_again(http_origin: MakeHttp, pki: Pki, renewed: Renewed, tmp_path: Path) -> None:
    config = https(http_origin().address, tls=secured(renewed.file))
    config |= {"proxy": {"workers": 2, "watch_certificates": False}, "logs": {"access": "off"}}
    with Proxy(write(tmp_path / "headworks.toml", config), watch_interval=0.02) as proxy:
        target, before = proxy.address("web"), renewed.serial
        renewed.renew()
        assert serial(target, pki) == before
        proxy.reload()
        assert serial(target, pki) == renewed.serial
        replace(renewed.file, "rubbish")
        with pytest.raises(ConfigError):
            proxy.reload()
        assert serial(target, pki) == renewed.serial


def test_hup(pki: Pki, http_origin: MakeHttp, renewed: Renewed, tmp_path: Path) -> None:
    """The command: a bad certificate is refused and said, a good one is taken at once."""
    config = https(http_origin().address, tls=secured(renewed.file))
    file = write(tmp_path / "headworks.toml", config | {"proxy": {"watch_certificates": False}})
    with running(file) as proxy:
        target, before = proxy.address("web"), renewed.serial
        replace(renewed.file, "rubbish")
        said = proxy.reload()
        assert "not reloaded" in said
        assert str(renewed.file) in said
        assert serial(target, pki) == before
        renewed.renew()
        assert "not" not in proxy.reload()
        assert serial(target, pki) == renewed.serial


def test_the_log_says_what_was_renewed_and_what_was_not(
    pki: Pki, http_origin: MakeHttp, renewed: Renewed, tmp_path: Path
) -> None:
    file = write(tmp_path / "headworks.toml", https(http_origin().address, tls=secured(renewed.file)))
    with running(file) as proxy:
        replace(renewed.file, "rubbish")
        assert " error certificate_refused " in proxy.line("certificate_refused", str(renewed.file))
        renewed.renew()
        said = proxy.line("certificate_renewed", "names=a.test")
        assert " info " in said
        assert serial(proxy.address("web"), pki) == renewed.serial
