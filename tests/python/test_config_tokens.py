"""Files of tokens: what is refused, and that a secret is found in none of the reasons."""

import hashlib

import pytest

from headworks import Config, ConfigError
from headworks.config.tokens import Tokens, TokensError

DIGEST = hashlib.sha256(b"secret").hexdigest()
ENTRY = f'[[token]]\nname = "ops"\nrole = "operate"\nsha256 = "{DIGEST}"\n'


def written(directory, text, mode=0o600):
    file = directory / "tokens"
    file.write_text(text)
    file.chmod(mode)
    return file


def test_a_secret_is_found(tmp_path):
    tokens = Tokens.read(written(tmp_path, ENTRY + ENTRY.replace("ops", "eyes").replace("operate", "read")))
    assert [one.name for one in tokens] == ["ops", "eyes"]
    assert tokens.find("secret").sha256 == DIGEST
    assert tokens.find("Secret") is None
    assert tokens.find("") is None
    assert tokens.find("\udcff") is None


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "has no [[token]]"),
        ("token = 1", "has no [[token]]"),
        ("[[token", "is no TOML"),
        (ENTRY + "other = 1", "token 1: unknown key other"),
        ("other = 1\n" + ENTRY, "unknown key other"),
        (ENTRY + ENTRY, "token 2: ops is there twice"),
        (ENTRY.replace("operate", "admin"), "token 1: role is read or operate"),
        (ENTRY.replace(DIGEST, "secret"), "token 1: sha256 has 64 hexadecimal digits"),
        (ENTRY.replace('"ops"', '"a b"'), "token 1: name has letters"),
        (ENTRY.replace('name = "ops"', ""), "token 1: name is missing"),
    ],
)
def test_what_is_wrong_is_told_without_secrets(tmp_path, text, reason):
    with pytest.raises(TokensError) as raised:
        Tokens.read(written(tmp_path, text))
    assert reason in str(raised.value)
    assert DIGEST not in str(raised.value)


@pytest.mark.parametrize("mode", [0o644, 0o640, 0o660, 0o606, 0o601])
def test_a_file_that_others_may_read_is_refused(tmp_path, mode):
    with pytest.raises(TokensError, match=f"mode {mode:04o}"):
        Tokens.read(written(tmp_path, ENTRY, mode))


def test_what_is_no_file_is_refused(tmp_path):
    with pytest.raises(TokensError, match="No such file"):
        Tokens.read(tmp_path / "none")
    with pytest.raises(TokensError, match="no file"):
        Tokens.read(tmp_path)


def problems(mapping, **admin):
    with pytest.raises(ConfigError) as raised:
        Config.parse({**mapping, "admin": admin})
    return [f"{one.key}: {one.reason}" for one in raised.value.problems]


def test_an_empty_table_opens_the_usual_socket_and_no_port(mapping):
    assert Config.parse(mapping).admin is None
    assert Config.parse({**mapping, "admin": {}}).admin.bind == ()


@pytest.mark.parametrize("address", ["0.0.0.0:99", "192.0.2.1:99", "[::]:99", "[2001:db8::1]:99"])
def test_only_loopback_goes_without_a_guard(mapping, tmp_path, address):
    file = str(written(tmp_path, ENTRY))
    needs = f'admin.bind[1]: "{address}" is no loopback address: that needs'
    assert problems(mapping, bind=["127.0.0.1:9", address]) == [f"{needs} tokens and tls"]
    assert problems(mapping, bind=["127.0.0.1:9", address], tokens=file) == [f"{needs} tls"]
    assert Config.parse({**mapping, "admin": {"bind": ["127.0.0.1:9", "[::1]:9", "unix:/a"]}})


@pytest.mark.parametrize(
    ("address", "reason"),
    [
        (":99", "has no IP address"),
        ("localhost:99", "has no IP address"),
        ("127.0.0.1", "neither IP:PORT nor unix:PATH"),
        ("127.0.0.1:70000", "neither IP:PORT nor unix:PATH"),
        ("::1:99", "in brackets"),
        ("unix:admin.sock", "absolute path"),
    ],
)
def test_addresses_that_are_none(mapping, address, reason):
    (said,) = problems(mapping, bind=address)
    assert said.startswith("admin.bind: ")
    assert reason in said


def test_everything_wrong_is_told_at_once(mapping, tmp_path):
    said = problems(
        mapping,
        bind="127.0.0.1:0",
        group="no such group",
        tokens=str(written(tmp_path, ENTRY, 0o644)),
        tls={"certificate": str(tmp_path / "none.pem")},
        hosts=["http://x"],
    )
    assert [one.partition(":")[0] for one in said] == [
        "admin.hosts[0]",
        "admin.group",
        "admin.tokens",
        "admin.tls.certificate",
    ]


def test_what_is_not_installed_is_told(mapping, monkeypatch):
    monkeypatch.setattr("headworks.config.admin.NEEDED", ("starlette", "no_such_module"))
    assert problems(mapping) == ["admin: needs no_such_module, which is not installed: pip install 'headworks[admin]'"]


def test_what_is_shown_reads_the_same(mapping):
    config = Config.parse(
        {
            **mapping,
            "admin": {"bind": "unix:/run/x.sock", "mode": "0600", "hosts": "proxy.example"},
            "resolver": {"nameservers": "192.0.2.53"},
        }
    )
    assert "[resolver]" in config.to_toml()
    import tomllib

    assert Config.parse(tomllib.loads(config.to_toml())) == config
