"""The parts of `headworks run` that need no proxy: log lines, systemd's sockets and states, who to become."""

import json
import os
import pwd
import re
import socket

import pytest

from headworks.config import Config, ConfigError
from headworks.inherited import inherited
from headworks.log_lines import Log
from headworks.notify import notify
from headworks.privileges import Identity


def written(**settings: str) -> tuple[Log, int]:
    """Make a log that writes to a pipe."""
    ours, theirs = os.pipe()
    return Log(descriptor=theirs, **settings), ours


def test_a_text_line():
    log, lines = written()
    log.info("ready", ("listener", "secure"), ("address", "127.0.0.1:443"), ("odd", 'a "b"'), ("empty", ""))
    line = os.read(lines, 4096).decode()
    assert re.fullmatch(
        r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z info ready listener=secure address=127\.0\.0\.1:443 "
        r'odd="a \\"b\\"" empty=""\n',
        line,
    )


def test_a_text_line_is_one_line():
    log, lines = written()
    log.warning("a\nb", ("key", "c\nd\x1b"))
    assert os.read(lines, 4096).decode().endswith('warning a\\nb key="c\\nd\\u001b"\n')


def test_a_json_line():
    log, lines = written(form="json")
    log.error("ready", ("listener", "a"), ("listener", "b"), ("count", 1))
    record = json.loads(os.read(lines, 4096))
    assert record.pop("ts").endswith("Z")
    assert record == {"level": "error", "message": "ready", "listener": ["a", "b"], "count": 1}


def test_levels():
    log, lines = written(level="warning")
    log.info("left out")
    log.error("written")
    assert os.read(lines, 4096).decode().endswith("error written\n")


def test_a_log_that_cannot_be_written_is_no_error():
    log, lines = written()
    os.close(lines)
    log.info("lost")


def test_inherited_descriptors():
    environment = {"LISTEN_PID": "7", "LISTEN_FDS": "4", "LISTEN_FDNAMES": "web:tls:web"}
    assert inherited(environment, 7) == {"web": (3, 5), "tls": (4,), "unknown": (6,)}
    assert inherited(environment, 8) == {}
    assert inherited({}, 7) == {}


@pytest.mark.parametrize("abstract", [True, False])
def test_states_reach_systemd(tmp_path, monkeypatch, abstract):
    address = f"@headworks-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(address.replace("@", "\0"))
        monkeypatch.setenv("NOTIFY_SOCKET", address)
        notify("READY=1")
        assert systemd.recv(4096) == b"READY=1"
        notify("RELOADING=1")
        assert re.fullmatch(rb"RELOADING=1\nMONOTONIC_USEC=\d+", systemd.recv(4096))


def test_nobody_listens_for_states(monkeypatch, tmp_path):
    monkeypatch.delenv("NOTIFY_SOCKET", raising=False)
    notify("READY=1")
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "absent"))
    notify("READY=1")


def test_who_to_become(mapping):
    assert Identity.of(Config.parse(mapping)) is None
    us = pwd.getpwuid(os.getuid())
    mapping["proxy"] = {"user": us.pw_name}
    identity = Identity.of(Config.parse(mapping))
    assert (identity.user, identity.group) == (us.pw_uid, us.pw_gid)
    assert us.pw_gid in identity.groups


def test_a_user_and_a_group_that_do_not_exist(mapping):
    mapping["proxy"] = {"user": "no-such-user", "group": "no-such-group"}
    with pytest.raises(ConfigError) as caught:
        Identity.of(Config.parse(mapping))
    assert [problem.path for problem in caught.value.problems] == [("proxy", "user"), ("proxy", "group")]


@pytest.mark.skipif(os.geteuid() == 0, reason="root can")
def test_only_root_becomes_somebody_else(mapping):
    mapping["proxy"] = {"user": "root"}
    with pytest.raises(ConfigError, match="only root"):
        Identity.of(Config.parse(mapping))
