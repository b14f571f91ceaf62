"""Options of sockets, rates and bandwidth as they are written: what is refused, and what is written again."""

import tomllib

import pytest

from headworks import Config, ConfigError

LISTENER = {"bind": "127.0.0.1:0", "protocol": "tcp", "backend": "app"}
BACKEND = {"servers": ["127.0.0.1:9"]}


def parsed(listener=None, backend=None):
    return Config.parse({"listeners": {"raw": LISTENER | (listener or {})}, "backends": {"app": backend or BACKEND}})


def problems(listener=None, backend=None):
    with pytest.raises(ConfigError) as raised:
        parsed(listener, backend).check()
    return [str(problem) for problem in raised.value.problems]


def test_every_key_is_written_again():
    accept = {
        "transparent": True,
        "original_destination": True,
        "interface": "eth0",
        "mark": 0xFFFFFFFF,
        "fast_open_queue": 9,
        "defer_accept": "5s",
        "user_timeout": "30s",
        "congestion": "bbr",
        "receive_buffer": "64KiB",
        "send_buffer": "1MiB",
        "max_segment": 1400,
        "keepalive_idle": "1m",
        "keepalive_interval": "10s",
        "keepalive_probes": 6,
    }
    rate = {"connections": 3, "per": "1m", "burst": 9, "ipv4_prefix": 24, "ipv6_prefix": 48, "exempt": "::1", "keys": 7}
    bandwidth = {"per_connection": "1MiB/s", "listener": {"download": 1500}}
    config = parsed({"accept": accept, "connection_rate": rate, "bandwidth": bandwidth})
    config.check()
    again = Config.parse(tomllib.loads(config.to_toml()))
    assert again == config
    limits = again.listeners["raw"].bandwidth
    assert (limits.per_connection.upload, limits.per_connection.download) == (1 << 20, 1 << 20)
    assert (limits.listener.upload, limits.listener.download) == (None, 1500)


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("interface", "a/b", "is not the name of an interface"),
        ("interface", "x" * 16, "is not the name of an interface"),
        ("mark", -1, "at least 0"),
        ("max_segment", 40, "88"),
        ("defer_accept", "500ms", "not a multiple of 1s"),
        ("congestion", "no such", "is not the name of a congestion control"),
        ("fast_open", True, "unknown key"),
    ],
)
def test_options_that_no_socket_has(key, value, said):
    assert said in problems({"accept": {key: value}})[0]


@pytest.mark.parametrize(
    ("value", "said"),
    [("1MiB", 'is not a rate such as "1MiB/s"'), ("1B/s", "not between"), ("fast/s", "is not a size"), (True, "")],
)
def test_rates_that_are_none(value, said):
    assert said in problems({"bandwidth": {"listener": value}})[0]


def test_where_clients_wanted_to_go_must_be_known():
    backend = {"servers": "original", "allow_destinations": ["10.0.0.0/24"]}
    assert "which nobody tells" in problems(None, backend)[0]
    parsed({"accept": {"original_destination": True}}, backend).check()
    parsed({"accept_proxy_from": ["127.0.0.1"]}, backend).check()
    assert (
        "needs allow_destinations, networks" in problems({"accept": {"transparent": True}}, {"servers": "original"})[0]
    )
    named = {"servers": "original", "allow_destinations": ["example.com"]}
    assert "has no name" in problems({"accept": {"transparent": True}}, named)[0]
    two = {"servers": ["original", "127.0.0.1:9"], "allow_destinations": ["10.0.0.0/24"]}
    assert "it stands alone" in problems({"accept": {"transparent": True}}, two)[0]
