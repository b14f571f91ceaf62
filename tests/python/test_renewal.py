"""Certificates that change while a proxy runs: what is seen, what is applied, what is reported."""

import os
import socket
import ssl
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from cryptography import x509

import headworks
from headworks.certificates import Files, Store, Watch
from headworks.certificates.names import names as names_in
from headworks.renewal import Renewal
from headworks.stats import Notice
from rig.certificates import Issued, root

ROOT = root()
OLD, NEW, OTHER = ROOT.leaf("old.test"), ROOT.leaf("new.test"), ROOT.leaf("other.test")


def whole(leaf: Issued) -> str:
    return leaf.chain_pem + leaf.key_pem


def replaced(file: Path, text: str) -> None:
    """Write beside and move over, as careful programs do."""
    beside = file.with_suffix(".new")
    beside.write_text(text)
    beside.replace(file)


def watch(*places: Files) -> Watch:
    store = Store()
    for place in places:
        assert store.take(place).errors == ()
    return Watch(store)


def settled(watched: Watch) -> list:
    """Look until what has changed has settled."""
    return [change for _ in range(2) for change in watched.look()]


def names(watched: Watch, place: Files) -> list[str]:
    return [name for one in watched.store.take(place).certificates for name in one.names]


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


def test_a_file_that_is_written_anew(tmp_path):
    file = tmp_path / "a.pem"
    file.write_text(whole(OLD))
    watched = watch(place := Files(path=str(file)))
    assert settled(watched) == []
    replaced(file, whole(NEW))
    assert watched.look() == []
    (change,) = watched.look()
    assert [one.names for one in change.content.certificates] == [("new.test",)]
    assert names(watched, place) == ["new.test"]
    assert settled(watched) == []


def test_what_is_still_being_written_is_left_alone(tmp_path):
    file = tmp_path / "a.pem"
    file.write_text(whole(OLD))
    watched = watch(place := Files(path=str(file)))
    text = whole(NEW)
    for end in (100, 500, len(text)):
        file.write_text(text[:end])
        assert watched.look() == []
    assert len(watched.look()) == 1
    assert names(watched, place) == ["new.test"]


def test_a_bad_file_leaves_what_was_there_and_is_reported_once(tmp_path):
    file = tmp_path / "a.pem"
    file.write_text(whole(OLD))
    watched = watch(place := Files(path=str(file)))
    replaced(file, NEW.pem + OTHER.key_pem)
    (change,) = settled(watched)
    assert "belongs to another certificate" in change.content.errors[0].reason
    assert names(watched, place) == ["old.test"]
    assert settled(watched) == []
    file.unlink()
    (change,) = settled(watched)
    assert change.content.errors[0].reason.endswith("No such file or directory")
    assert names(watched, place) == ["old.test"]
    replaced(file, whole(NEW))
    assert len(settled(watched)) == 1
    assert names(watched, place) == ["new.test"]


def test_a_file_that_is_only_touched_is_no_change(tmp_path):
    file = tmp_path / "a.pem"
    file.write_text(whole(OLD))
    watched = watch(Files(path=str(file)))
    os.utime(file, ns=(1, 1))
    assert settled(watched) == []


def test_a_certificate_and_its_key_change_together(tmp_path):
    certificate, key = tmp_path / "c.pem", tmp_path / "k.pem"
    certificate.write_text(OLD.chain_pem)
    key.write_text(OLD.key_pem)
    watched = watch(place := Files(path=str(certificate), key=str(key)))
    replaced(certificate, NEW.chain_pem)
    assert watched.look() == []
    replaced(key, NEW.key_pem)
    (change,) = settled(watched)
    assert change.content.errors == ()
    assert names(watched, place) == ["new.test"]


def test_links_that_lead_elsewhere(tmp_path):
    """As certbot does it (a link a file) and Kubernetes (a link to the directory)."""
    for version, leaf in (("1", OLD), ("2", NEW)):
        (tmp_path / version).mkdir()
        (tmp_path / version / "tls.crt").write_text(leaf.chain_pem)
        (tmp_path / version / "tls.key").write_text(leaf.key_pem)
    mount = tmp_path / "mount"
    mount.mkdir()
    (mount / "..data").symlink_to(tmp_path / "1")
    for name in ("tls.crt", "tls.key"):
        (mount / name).symlink_to(Path("..data") / name)
    by_directory, by_file = Files(path=str(mount)), Files(path=str(mount / "tls.crt"), key=str(mount / "tls.key"))
    watched = watch(by_directory, by_file)
    assert names(watched, by_directory) == names(watched, by_file) == ["old.test"]
    (mount / "..next").symlink_to(tmp_path / "2")
    (mount / "..next").replace(mount / "..data")
    assert len(settled(watched)) == 2
    assert names(watched, by_directory) == names(watched, by_file) == ["new.test"]


def test_files_come_to_a_directory_and_go(tmp_path):
    (tmp_path / "old.pem").write_text(whole(OLD))
    watched = watch(place := Files(path=str(tmp_path)))
    (tmp_path / "new.pem").write_text(whole(NEW))
    settled(watched)
    assert names(watched, place) == ["new.test", "old.test"]
    (tmp_path / "old.pem").unlink()
    settled(watched)
    assert names(watched, place) == ["new.test"]


def test_authorities_and_lists_are_watched(tmp_path):
    ca, crl = tmp_path / "ca.pem", tmp_path / "crl.pem"
    ca.write_text(ROOT.pem)
    crl.write_text(ROOT.crl())
    places = [Files(kind="authorities", path=str(ca)), Files(kind="revocations", path=str(crl))]
    watched = watch(*places)
    replaced(crl, ROOT.crl(OLD))
    replaced(ca, root("Another").pem)
    assert [change.place for change in settled(watched)] == places


@pytest.fixture
def renewal(tmp_path) -> tuple[Renewal, Path, list[Notice], list[Exception | None]]:
    """Give a renewal of one file that is looked at by hand, what it reports, and how applying goes (last item)."""
    file = tmp_path / "a.pem"
    file.write_text(whole(OLD))
    store = Store()
    store.take(Files(path=str(file)))
    notices: list[Notice] = []
    failure: list[Exception | None] = [None]

    def apply(applied: Store) -> None:
        assert applied is store
        if failure[-1] is not None:
            raise failure[-1]

    return Renewal(store, apply, notices.append), file, notices, failure


def test_what_is_renewed_is_told_with_its_expiry(renewal):
    renewing, file, notices, _ = renewal
    replaced(file, whole(NEW))
    renewing.look()
    renewing.look()
    expires = f"{NEW.certificate.not_valid_after_utc:%Y-%m-%dT%H:%M:%SZ}"
    facts = {"file": str(file), "names": "new.test", "expires": expires}
    assert notices == [Notice(kind="certificate_renewed", facts=facts)]
    assert notices[0].level == "info"


def test_what_is_refused_and_what_is_doubtful_is_told(renewal):
    renewing, file, notices, _ = renewal
    replaced(file, "nothing")
    renewing.look()
    renewing.look()
    renewing.look()
    assert [(one.kind, one.level) for one in notices] == [("certificate_refused", "error")]
    assert notices[0].facts == {"file": str(file), "reason": f'"{file}" has no PEM in it'}
    notices.clear()
    replaced(file, whole(ROOT.leaf("late.test", days=(-90, 3.5))))
    renewing.look()
    renewing.look()
    assert [(one.kind, one.level) for one in notices] == [
        ("certificate_renewed", "info"),
        ("certificate_doubtful", "warning"),
    ]


def test_what_does_not_go_is_tried_again_and_told_once(renewal):
    renewing, file, notices, failure = renewal
    failure.append(OSError("no room"))
    replaced(file, whole(NEW))
    for _ in range(4):
        renewing.look()
    assert [(one.kind, one.facts["reason"]) for one in notices] == [("certificate_refused", "no room")]
    failure.append(None)
    renewing.look()
    assert [one.kind for one in notices] == ["certificate_refused", "certificate_renewed"]


def mapping(file: Path, **proxy: object) -> dict:
    return {
        "proxy": {"workers": 1, **proxy},
        "logs": {"access": "off"},
        "listeners": {
            "web": {
                "bind": "127.0.0.1:0",
                "protocol": "https",
                "respond": {"status": 200},
                "tls": {"certificates": str(file)},
            }
        },
    }


def test_a_running_proxy_applies_what_changes(tmp_path):
    file = tmp_path / "a.pem"
    file.write_text(whole(OLD))
    with headworks.Proxy(mapping(file), watch_interval=0.01) as proxy:
        notices = proxy.notices()
        replaced(file, whole(NEW))
        renewed = next(notice for notice in notices if notice.kind == "certificate_renewed")
        assert renewed.facts["names"] == "new.test"
        replaced(file, "nothing")
        refused = next(notice for notice in notices if notice.kind == "certificate_refused")
        assert refused.facts["file"] == str(file)
        with pytest.raises(headworks.ConfigError, match="has no PEM in it"):
            proxy.reload(mapping(file))
        assert proxy.config.listeners["web"].tls is not None


def connected(proxy: headworks.Proxy, trusted: str, name: str | None = None) -> ssl.SSLSocket:
    """Open a connection that believes ``trusted``; names are not checked, so that it may find out what it gets."""
    trusting = ssl.create_default_context(cadata=trusted)
    trusting.check_hostname = False
    return trusting.wrap_socket(socket.create_connection(proxy.address("web")), server_hostname=name)


def presented(client: ssl.SSLSocket) -> set[str]:
    der = client.getpeercert(binary_form=True)
    assert der
    return set(names_in(x509.load_der_x509_certificate(der)))


def asked(client: ssl.SSLSocket, host: str) -> bytes:
    client.sendall(f"GET / HTTP/1.1\r\nHost: {host}\r\n\r\n".encode())
    return client.recv(1000)


def test_clients_get_what_is_new_and_keep_what_they_have(tmp_path):
    file = tmp_path / "a.pem"
    file.write_text(whole(OLD))
    with (
        headworks.Proxy(mapping(file), watch_interval=0.01) as proxy,
        connected(proxy, ROOT.pem, "old.test") as before,
    ):
        assert presented(before) == {"old.test"}
        replaced(file, whole(NEW))
        assert any(notice.kind == "certificate_renewed" for notice in proxy.notices())
        with connected(proxy, ROOT.pem) as after:
            assert presented(after) == {"new.test"}
            assert asked(after, "new.test").startswith(b"HTTP/1.1 200 ")
        assert asked(before, "old.test").startswith(b"HTTP/1.1 200 ")
        stats = proxy.stats().listeners["web"]
        assert stats.handshakes == 2
        assert stats.certificate_expires == int(NEW.certificate.not_valid_after_utc.timestamp())


def test_who_trusts_the_throwaway_authority_believes_the_listener(tmp_path):
    wanted = mapping(tmp_path)
    wanted["listeners"]["web"]["tls"] = {"self_signed": ["app.test"]}
    with headworks.Proxy(wanted) as proxy:
        trusting = ssl.create_default_context(cadata=proxy.authority("web"))
        for name in ("app.test", "localhost", "127.0.0.1"):
            opened = socket.create_connection(proxy.address("web"))
            with trusting.wrap_socket(opened, server_hostname=name) as client:
                assert asked(client, name).startswith(b"HTTP/1.1 200 ")
        before = proxy.authority("web")
        proxy.reload(wanted)
        assert proxy.authority("web") == before
        with connected(proxy, before, "app.test") as client:
            assert "app.test" in presented(client)


def test_nothing_is_watched_that_is_not_to_be(tmp_path):
    file = tmp_path / "a.pem"
    file.write_text(whole(OLD))
    with headworks.Proxy(mapping(file, watch_certificates=False), watch_interval=0.01) as proxy:
        assert proxy._renewal is None
        proxy.reload(mapping(file))
        assert proxy._renewal is not None
    assert proxy._renewal is None


def test_a_reload_watches_what_it_names(tmp_path):
    one, two = tmp_path / "1.pem", tmp_path / "2.pem"
    one.write_text(whole(OLD))
    two.write_text(whole(OTHER))
    with headworks.Proxy(mapping(one), watch_interval=0.01) as proxy:
        proxy.reload(mapping(two))
        replaced(two, whole(NEW))
        notice = next(notice for notice in proxy.notices() if notice.kind == "certificate_renewed")
        assert notice.facts["file"] == str(two)


def test_the_throwaway_authority_is_kept_and_written(tmp_path):
    ca = tmp_path / "ca.pem"
    wanted = mapping(tmp_path)
    wanted["listeners"]["web"]["tls"] = {"self_signed": ["app.test"], "self_signed_ca": str(ca)}
    wanted["listeners"]["plain"] = {"bind": "127.0.0.1:0", "protocol": "http", "respond": {"status": 200}}
    with headworks.Proxy(wanted) as proxy:
        authority = proxy.authority("web")
        assert ca.read_text() == authority
        wanted["listeners"]["web"]["tls"]["self_signed"] = ["app.test", "other.test"]
        proxy.reload(wanted)
        assert proxy.authority("web") == authority
        with pytest.raises(ValueError, match='listener "plain" has no throwaway certificates'):
            proxy.authority("plain")
        with pytest.raises(KeyError):
            proxy.authority("absent")
    wanted["listeners"]["web"]["tls"]["self_signed_ca"] = str(tmp_path / "absent" / "ca.pem")
    with pytest.raises(headworks.ConfigError, match="cannot be written: No such file"):
        headworks.Proxy(wanted).start()


def test_what_is_doubtful_about_a_proxy_is_known(tmp_path):
    file = tmp_path / "a.pem"
    file.write_text(whole(ROOT.leaf("old.test", days=(-90, -2))))
    (warning,) = headworks.Proxy(mapping(file)).warnings
    assert warning.key == "listeners.web.tls.certificates"
    assert warning.is_warning
