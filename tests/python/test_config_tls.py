"""What is said of TLS in a configuration: good and bad values of each key, what the engine gets, warnings."""

import base64
import json
import tomllib
from datetime import timedelta
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from headworks.certificates import Store, trust
from headworks.config import BackendTls, Config, ConfigError, Hsts, Listener, ListenerTls
from headworks.config.check import examine
from headworks.config.document import Document
from rig.certificates import root

ROOT = root()
LEAF = ROOT.leaf("app.example.com")


@pytest.fixture
def https() -> dict:
    """Give a configuration that needs no file."""
    return {
        "listeners": {
            "web": {"bind": "127.0.0.1:0", "protocol": "https", "table": "sites", "tls": {"self_signed": True}}
        },
        "tables": {"sites": {"app.test": "app", "*.app.test": "app", "~^x": "app", "b.test/api": "app", "*": "app"}},
        "backends": {"app": {"servers": "127.0.0.1:8001"}},
    }


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """Write a certificate with its key, its authority, and a revocation list."""
    (tmp_path / "all.pem").write_text(LEAF.pem + LEAF.key_pem)
    (tmp_path / "c.pem").write_text(LEAF.pem)
    (tmp_path / "k.pem").write_text(LEAF.key_pem)
    (tmp_path / "c.ocsp").write_bytes(ROOT.ocsp(LEAF))
    (tmp_path / "ca.pem").write_text(ROOT.pem)
    (tmp_path / "crl.pem").write_text(ROOT.crl())
    return tmp_path


def set_at(value: dict, path: str, item: Any) -> None:
    *above, last = path.split(".")
    for key in above:
        value = value.setdefault(key, {})
    value[last] = item


def problems(mapping: dict) -> list[str]:
    with pytest.raises(ConfigError) as caught:
        Config.parse(mapping)
    return [str(problem) for problem in caught.value.problems]


def spec(mapping: dict) -> dict:
    made: dict = json.loads(Config.parse(mapping).spec())
    return made


def names(tls: dict) -> list[str]:
    return [name for one in [*chain(*tls["certificates"]), *tls["self_signed"]] for name in one["names"]]


def test_what_an_engine_gets_by_default(https):
    tls = spec(https)["listeners"]["web"]["tls"]
    assert names(tls) == ["localhost", "app.test", "*.app.test", "b.test", "127.0.0.1", "::1"]
    assert tls["self_signed"][0]["place"] == "self_signed"
    assert {key: value for key, value in tls.items() if key != "self_signed"} == {
        "certificates": [],
        "strict_sni": False,
        "min_version": "1.2",
        "profile": "intermediate",
        "post_quantum": True,
        "alpn": ["http/1.1"],
        "tickets": True,
        "ticket_rotation": 12 * 3_600_000,
        "early_data": 0,
        "handshake_timeout": 10_000,
        "check_host": True,
        "hsts": None,
        "client_certificates": None,
        "passthrough": None,
    }


@pytest.mark.parametrize(
    ("key", "written", "expected"),
    [
        ("strict_sni", True, True),
        ("min_version", "1.3", "1.3"),
        ("post_quantum", False, False),
        ("alpn", [], []),
        ("alpn", "http/1.1", ["http/1.1"]),
        ("tickets", False, False),
        ("ticket_rotation", "1h", 3_600_000),
        ("early_data", "16KiB", 16 << 10),
        ("handshake_timeout", "500ms", 500),
        ("check_host", False, False),
        ("hsts", {}, {"max_age": 31_536_000_000, "include_subdomains": False, "preload": False}),
        ("hsts", {"max_age": "0s"}, {"max_age": 0, "include_subdomains": False, "preload": False}),
        (
            "hsts",
            {"max_age": "17520h", "include_subdomains": True, "preload": True},
            {"max_age": 63_072_000_000, "include_subdomains": True, "preload": True},
        ),
        ("passthrough", "elsewhere", "elsewhere"),
    ],
)
def test_good_values(https, key, written, expected):
    https["tables"]["elsewhere"] = {"legacy.test": "app"}
    set_at(https, f"listeners.web.tls.{key}", written)
    assert spec(https)["listeners"]["web"]["tls"][key] == expected
    again = tomllib.loads(Config.parse(https).to_toml())
    assert spec(again)["listeners"]["web"]["tls"][key] == expected


def test_the_modern_profile_has_a_least_version_of_its_own(https):
    https["listeners"]["web"]["tls"]["profile"] = "modern"
    assert spec(https)["listeners"]["web"]["tls"]["min_version"] == "1.3"
    assert Config.parse(tomllib.loads(Config.parse(https).to_toml())) == Config.parse(https)


@pytest.mark.parametrize(
    ("key", "written", "expected"),
    [
        ("", {}, "certificates or self_signed is missing"),
        ("", {"certificates": "a.pem", "self_signed": True}, ".self_signed: give either certificates or self_signed"),
        ("", True, "true is not a table"),
        (".certificates", [5], "[0]: 5 is neither a file nor a directory nor a table with certificate"),
        (".certificates", [{"key": "k.pem"}], "[0].certificate: required key is missing"),
        (".self_signed", [], "cannot be empty; did you mean true?"),
        (".self_signed", ["a b"], '"a b" is not a name such as app.example.com or *.example.com'),
        (".self_signed", 5, "5 is neither true nor false nor a list of names"),
        (".min_version", "1.1", '"1.1" is not a known TLS version; known: 1.2, 1.3'),
        (".min_version", 1.3, "1.3 is not a known TLS version; known: 1.2, 1.3"),
        (".profile", "moden", '"moden" is not a known profile; known: intermediate, modern; did you mean "modern"?'),
        (".alpn", ["h2"], '"h2" is not spoken by https listeners; known: http/1.1, http/1.0'),
        (".alpn", ["a", "a"], '"a" is listed twice'),
        (".alpn", [""], '[0]: "" is not the name of a protocol such as http/1.1'),
        (".ticket_rotation", "100h", "100h is not between 1ms and 84h"),
        (".early_data", "1MiB", "1MiB is not between 0B and 64KiB"),
        (".handshake_timeout", 10, '10 lacks a unit (ms, s, m or h); did you mean "10s"?'),
        (".hsts", {"preload": True}, ".preload: needs include_subdomains = true"),
        (
            ".hsts",
            {"preload": True, "include_subdomains": True, "max_age": "24h"},
            ".preload: needs a max_age of 8760h",
        ),
        (".passthrough", "site", 'there is no table "site"; did you mean "sites"?'),
        (".client_certificates", {}, ".ca: required key is missing"),
        (".client_certificates", {"ca": []}, ".ca: cannot be empty"),
        (
            ".client_certificates",
            {"ca": "x", "verify": "maybe"},
            '.verify: "maybe" is not a known kind of verification',
        ),
        (".self_signed_ca", "", "cannot be empty"),
    ],
)
def test_a_bad_value_gives_its_problem_and_no_other(https, place, key, written, expected):
    if key == ".client_certificates" and written.get("ca") == "x":
        written["ca"] = str(place / "ca.pem")
    set_at(https, f"listeners.web.tls{key}", written)
    (line,) = problems(https)
    joint = "" if expected[0] in ".[" else ": "
    assert line.startswith(f"listeners.web.tls{key}{joint}{expected}")


def test_a_misspelt_key_is_read_as_what_it_stands_for(https, place):
    https["listeners"]["web"]["tls"] = {"certificate": str(place / "all.pem")}
    assert problems(https) == ['listeners.web.tls.certificate: unknown key; did you mean "certificates"?']


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        ({"self_signed": True, "profile": "modern", "min_version": "1.2"}, "min_version: profile = "),
        ({"self_signed": True, "tickets": False, "early_data": "1KiB"}, "early_data: early data is sent by clients"),
        ({"self_signed": True, "tickets": False, "ticket_rotation": "1h"}, "ticket_rotation: is for tickets, and"),
    ],
)
def test_keys_that_would_do_nothing(https, tls, expected):
    https["listeners"]["web"]["tls"] = tls
    (line,) = problems(https)
    assert line.startswith(f"listeners.web.tls.{expected}")


def test_an_authority_is_written_for_throwaway_certificates_only(https, place):
    https["listeners"]["web"]["tls"] = {"certificates": str(place / "all.pem"), "self_signed_ca": "ca.pem"}
    assert problems(https) == ["listeners.web.tls.self_signed_ca: is for self_signed, which is not given"]


def test_tls_ends_at_tcp_listeners_too_which_may_have_a_table(https):
    web = https["listeners"]["web"]
    web["protocol"] = "tcp"
    https["tables"]["sites"] = {"app.test": "app"}
    tls = spec(https)["listeners"]["web"]["tls"]
    assert (tls["alpn"], names(tls)[:2]) == ([], ["localhost", "app.test"])
    web["tls"]["alpn"] = ["h2", "anything"]
    assert spec(https)["listeners"]["web"]["tls"]["alpn"] == ["h2", "anything"]
    del web["tls"]
    assert problems(https) == [
        "listeners.web.table: a tcp listener has no table (its clients give no name); give backend"
    ]


def test_keys_for_https_are_errors_at_tcp_listeners(https, place):
    tls = {
        "self_signed": True,
        "early_data": "1KiB",
        "check_host": False,
        "hsts": {},
        "client_certificates": {"ca": str(place / "ca.pem"), "headers": {"X-Client": "{tls.client.subject}"}},
    }
    https["listeners"]["web"] |= {"protocol": "tcp", "tls": tls}
    https["tables"]["sites"] = {"app.test": "app"}
    reason = "is for https listeners, and this one speaks tcp"
    assert sorted(problems(https)) == [
        f"listeners.web.tls.{key}: {reason}"
        for key in ("check_host", "client_certificates.headers", "early_data", "hsts")
    ]


@pytest.mark.parametrize("protocol", ["tls", "http"])
def test_tls_does_not_end_at_others(https, protocol):
    https["listeners"]["web"]["protocol"] = protocol
    https["tables"]["sites"] = {"app.test": "app"}
    assert problems(https) == [
        f"listeners.web.tls: is for tcp and https listeners, and this one speaks {protocol}",
    ]


def test_https_has_every_key_of_http(https):
    https["listeners"]["web"] |= {
        "http": {"head_limit": "32KiB"},
        "timeouts": {"keep_alive": "5s", "half_close": "2m"},
        "rate_limit": {"requests": 5},
        "compression": {},
        "response_headers": {"remove": "Server"},
    }
    https["backends"]["app"]["strip_prefix"] = "/api"
    listener = spec(https)["listeners"]["web"]
    assert listener["http"]["head_limit"] == 32 << 10
    assert listener["timeouts"]["keep_alive"] == 5000
    assert listener["timeouts"]["half_close"] == 120_000
    https["listeners"]["web"] |= {"respond": {"status": 200}}
    assert problems(https) == ["listeners.web.respond: give only one of table, backend, redirect and respond"]


def test_certificates_of_files(place):
    file = place / "headworks.toml"
    file.write_text("""\
[listeners.web]
bind = "127.0.0.1:0"
protocol = "https"
backend = "app"
tls.certificates = ["all.pem", { certificate = "c.pem", key = "k.pem", ocsp = "c.ocsp" }]
[backends.app]
servers = "127.0.0.1:1"
""")
    tls = json.loads(Config.load(file).spec())["listeners"]["web"]["tls"]
    (first,), (second,) = tls["certificates"]
    assert (first["place"], first["names"], first["ocsp"]) == (str(place / "all.pem"), ["app.example.com"], None)
    assert base64.b64decode(second["ocsp"]) == (place / "c.ocsp").read_bytes()
    assert x509.load_der_x509_certificate(base64.b64decode(first["chain"][0])) == LEAF.certificate
    assert first["not_after"] == int(LEAF.certificate.not_valid_after_utc.timestamp())
    assert Config.parse(tomllib.loads(Config.load(file).to_toml())) == Config.load(file)


def test_client_certificates(https, place):
    https["listeners"]["web"]["tls"]["client_certificates"] = {
        "verify": "optional",
        "ca": str(place / "ca.pem"),
        "crl": [str(place / "crl.pem")],
        "headers": {"X-Client": "{tls.client.subject}"},
    }
    clients = spec(https)["listeners"]["web"]["tls"]["client_certificates"]
    assert (clients["verify"], len(clients["ca"]), len(clients["crl"])) == ("optional", 1, 1)
    assert clients["headers"] == {"X-Client": "{tls.client.subject}"}


def test_what_is_wrong_with_files_stands_at_its_key(place):
    file = place / "headworks.toml"
    file.write_text("""\
[listeners.web]
bind = "127.0.0.1:0"
protocol = "https"
backend = "app"
[listeners.web.tls]
certificates = [
  "all.pem",
  "absent.pem",
  { certificate = "c.pem", key = "ca.pem" },
  { certificate = "c.pem", key = "k.pem", ocsp = "k.pem" },
]
[listeners.web.tls.client_certificates]
ca = ["ca.pem", "k.pem"]
crl = "ca.pem"
[backends.app]
servers = "127.0.0.1:1"
[backends.app.tls]
ca = "absent.pem"
certificate = "c.pem"
key = "absent.key"
""")
    with pytest.raises(ConfigError) as caught:
        Config.load(file)
    lines = [str(problem).replace(f"{place}/", "") for problem in caught.value.problems]
    clients = "listeners.web.tls.client_certificates"
    assert lines == [
        'headworks.toml:8: listeners.web.tls.certificates[1]: "absent.pem" cannot be read: No such file or directory',
        'headworks.toml:9: listeners.web.tls.certificates[2].key: "ca.pem" has no private key',
        'headworks.toml:10: listeners.web.tls.certificates[3].ocsp: "k.pem" is no OCSP response in DER',
        f'headworks.toml:13: {clients}.ca[1]: "k.pem" has no certificate of an authority',
        f'headworks.toml:14: {clients}.crl: "ca.pem" has no revocation list (X509 CRL)',
        'headworks.toml:18: backends.app.tls.ca: "absent.pem" cannot be read: No such file or directory',
        'headworks.toml:20: backends.app.tls.key: "absent.key" cannot be read: No such file or directory',
    ]


def test_what_is_doubtful_is_a_warning_with_its_line(tmp_path):
    old = ROOT.leaf("old.test", days=(-90, -3))
    (tmp_path / "old.pem").write_text(old.pem + old.key_pem)
    file = tmp_path / "headworks.toml"
    file.write_text("""\
[listeners.web]
bind = "127.0.0.1:0"
protocol = "https"
backend = "app"
tls.certificates = "old.pem"
[backends.app]
servers = "127.0.0.1:1"
tls.verify = false
""")
    warnings = examine(Document.read(file), Store()).warnings
    first, second = (str(warning) for warning in warnings)
    assert first.startswith(
        f'{file}:5: listeners.web.tls.certificates: warning: "old.test" in "{tmp_path}/old.pem" expired'
    )
    assert second.startswith(f"{file}:8: backends.app.tls.verify: warning: nothing is verified")


def test_what_an_engine_gets_of_a_backend(https, place):
    app = https["backends"]["app"]
    app["tls"] = {"ca": str(place / "ca.pem")}
    assert spec(https)["backends"]["app"]["tls"] == {
        "verify": True,
        "ca": [base64.b64encode(ROOT.certificate.public_bytes(Encoding.DER)).decode()],
        "server_name": None,
        "min_version": "1.2",
        "alpn": ["http/1.1"],
        "certificate": None,
    }
    app["tls"] |= {
        "server_name": "app.internal",
        "min_version": "1.3",
        "alpn": [],
        "certificate": str(place / "c.pem"),
        "key": str(place / "k.pem"),
    }
    tls = spec(https)["backends"]["app"]["tls"]
    assert (tls["server_name"], tls["min_version"], tls["alpn"]) == ("app.internal", "1.3", [])
    assert tls["certificate"]["names"] == ["app.example.com"]
    app["tls"] = {"verify": False}
    assert spec(https)["backends"]["app"]["tls"]["ca"] == []


def test_a_backend_that_gets_no_requests_offers_no_protocol(https):
    https["listeners"]["web"] |= {"protocol": "tcp"}
    https["tables"]["sites"] = {"app.test": "app"}
    https["backends"]["app"]["tls"] = {}
    tls = spec(https)["backends"]["app"]["tls"]
    assert tls["alpn"] == []
    assert len(tls["ca"]) > 10


def test_a_system_that_trusts_nobody_is_told_so(https, monkeypatch):
    monkeypatch.setattr("headworks.certificates.system_roots", lambda: ())
    https["backends"]["app"]["tls"] = {}
    (line,) = problems(https)
    assert line.startswith("backends.app.tls: this system has no list of authorities that it trusts")
    assert trust.system_roots() != ()


@pytest.mark.parametrize(
    ("tls", "expected"),
    [
        ({"verify": False, "ca": "ca.pem"}, ".ca: nothing is verified by it: verify = false"),
        ({"key": "k.pem"}, ".key: is the key of a certificate, which is not given"),
        ({"server_name": "a b"}, '.server_name: "a b" is not a name such as app.internal'),
        ({"alpn": ["h2"]}, '.alpn: "h2" is not spoken to servers by http listeners, and listeners.web leads here'),
        (True, ": true is not a table"),
    ],
)
def test_bad_values_of_a_backend(https, tls, expected):
    https["backends"]["app"]["tls"] = tls
    (line,) = problems(https)
    assert line.startswith(f"backends.app.tls{expected}")


def test_a_unix_socket_needs_a_name(https):
    https["backends"]["app"] = {"servers": "unix:/run/app.sock", "tls": {}}
    assert problems(https) == [
        "backends.app.tls.server_name: the server at a unix socket needs a name that its certificate can be verified by"
    ]
    https["backends"]["app"]["tls"]["server_name"] = "app.internal"
    assert spec(https)["backends"]["app"]["tls"]["server_name"] == "app.internal"


def test_nothing_is_encrypted_twice(https):
    https["listeners"]["raw"] = {"bind": "127.0.0.1:0", "protocol": "tls", "backend": "app"}
    https["backends"]["app"]["tls"] = {}
    assert problems(https) == [
        "backends.app.tls: listeners.raw passes on the TLS of its clients here, which would be encrypted twice"
    ]
    del https["listeners"]["raw"]
    https["tables"]["elsewhere"] = {"legacy.test": "app"}
    https["listeners"]["web"]["tls"]["passthrough"] = "elsewhere"
    assert problems(https)[0].startswith("backends.app.tls: listeners.web passes on the TLS of its clients here")


def test_a_certificate_of_ours_is_one(https, place):
    other = ROOT.leaf("other.test")
    (place / "two.pem").write_text(LEAF.pem + LEAF.key_pem + other.pem + other.key_pem)
    https["backends"]["app"]["tls"] = {"certificate": str(place / "two.pem")}
    (line,) = problems(https)
    assert line.endswith('two.pem" has 2 certificates with keys, and one is to be shown')


def test_models_made_in_python(https, place):
    web = Listener(
        bind="127.0.0.1:0",
        protocol="https",
        table="sites",
        tls=ListenerTls(certificates=str(place / "all.pem"), hsts=Hsts(max_age=timedelta(hours=1))),
    )
    https["listeners"]["web"] = web
    https["backends"]["app"]["tls"] = BackendTls(server_name="a.test")
    config = Config.parse(https)
    assert config.listeners["web"] == web
    assert json.loads(config.spec())["listeners"]["web"]["tls"]["hsts"]["max_age"] == 3_600_000
    assert Config.model_validate(config.model_dump()) == config


def test_a_misspelt_protocol_is_the_only_problem(https):
    https["listeners"]["web"]["protocol"] = "htps"
    (line,) = problems(https)
    assert line.endswith('did you mean "https"?')
