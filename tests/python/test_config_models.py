"""The models are the reference: every key is documented, examples are right, what is written is what is read."""

import json
import time
import tomllib
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, TypeAdapter

from headworks import _engine
from headworks.config import (
    Affinity,
    Backend,
    Compression,
    Config,
    ConfigError,
    Ejection,
    Headers,
    Health,
    HttpSettings,
    Listener,
    LogSettings,
    Pool,
    ProxySettings,
    RateLimit,
    Redirect,
    Resources,
    Respond,
    Server,
    Target,
    Timeouts,
)
from headworks.config.models import Whole
from headworks.config.write import sketch

MODELS: list[type[BaseModel]] = [
    Whole,
    ProxySettings,
    Resources,
    LogSettings,
    Listener,
    Timeouts,
    HttpSettings,
    Headers,
    RateLimit,
    Compression,
    Redirect,
    Respond,
    Target,
    Backend,
    Server,
    Health,
    Ejection,
    Pool,
    Affinity,
]
FIELDS = [(model, name) for model in MODELS for name in model.model_fields]


@pytest.mark.parametrize(("model", "name"), FIELDS, ids=lambda part: part if isinstance(part, str) else part.__name__)
def test_every_key_is_documented_and_its_examples_are_right(model, name):
    field = model.model_fields[name]
    assert field.description
    assert field.description.endswith((".", ")"))
    assert field.examples
    adapter = TypeAdapter(model.__annotations__[name])
    for example in field.examples:
        adapter.validate_python(example)
    if field.default is None:
        assert field.json_schema_extra["unset"]


def test_every_key_of_the_spec_is_filled_in(mapping):
    spec = json.loads(Config.parse(mapping).spec())
    _engine.Plan.compile(json.dumps(spec))
    timeouts = spec["listeners"]["secure"]["timeouts"]
    assert (timeouts["first_bytes"], timeouts["idle"], timeouts["half_close"]) == (10_000, 600_000, 60_000)
    assert spec["listeners"]["secure"]["first_bytes_limit"] == 65536
    assert spec["listeners"]["secure"]["unix_mode"] == 0o660
    target = {"backend": "app", "redirect": None, "respond": None, "alpn": None, "analyzers": []}
    assert spec["tables"]["sites"] == {"example.com": target, "*.example.org": target}
    assert [server["weight"] for server in spec["backends"]["app"]["servers"]] == [1, 2]


def test_resources_are_filled_in(mapping):
    spec = json.loads(Config.parse(mapping).spec())
    assert spec["proxy"] == {
        "resources": {
            "reserved_descriptors": 96,
            "accept_pause": 50,
            "max_pipes": 256,
            "pipe_size": 1 << 20,
            "max_hops": 8,
        }
    }


@pytest.mark.parametrize(
    ("key", "value", "expected"),
    [
        ("reserved_descriptors", -1, "must be at least 0, not -1"),
        ("reserved_descriptors", "96", '"96" is not a whole number'),
        ("accept_pause", 50, '50 lacks a unit (ms, s, m or h); did you mean "50s"?'),
        ("accept_pause", "0s", "0s is not between 1ms and 1m"),
        ("max_pipes", 1_000_001, "must be at most 1000000, not 1000001"),
        ("pipe_size", "1KiB", "1KiB is not between 4KiB and 64MiB"),
        ("pipe_size", "1m", '"1m" is not a size such as "64KiB" or "1MiB"; did you mean "1MiB"?'),
        ("maxpipes", 1, 'unknown key; did you mean "max_pipes"?'),
    ],
)
def test_resources_have_ranges(mapping, key, value, expected):
    mapping["proxy"] = {"resources": {key: value}}
    with pytest.raises(ConfigError) as caught:
        Config.parse(mapping)
    assert str(caught.value) == f"proxy.resources.{key}: {expected}"


def test_the_order_of_a_table_is_the_file_s(tmp_path):
    file = tmp_path / "headworks.toml"
    entries = [f'"~^{name}$" = "app"' for name in ("zz", "b", "a", "m")]
    text = '[listeners.l]\nbind = ":0"\nprotocol = "tls"\ntable = "t"\n[backends.app]\nservers = "127.0.0.1:1"\n'
    file.write_text(text + "[tables.t]\n" + "\n".join(entries))
    assert list(Config.load(file).tables["t"]) == ["~^zz$", "~^b$", "~^a$", "~^m$"]


def test_models_are_immutable_and_keyword_only(mapping):
    config = Config.parse(mapping)
    with pytest.raises(ValueError, match="frozen"):
        config.proxy.workers = 3
    with pytest.raises(TypeError):
        ProxySettings(2)


def test_a_config_made_of_models_is_checked_as_a_whole():
    config = Config(
        listeners={"raw": Listener(bind="127.0.0.1:0", protocol="tcp", backend="appp")},
        backends={"app": Backend(servers=(Server(address="127.0.0.1:1"),), connect_timeout=timedelta(seconds=1))},
    )
    with pytest.raises(ConfigError, match=r'listeners.raw.backend: there is no backend "appp"; did you mean "app"'):
        config.check()


def test_models_can_be_given_in_a_mapping():
    listener = Listener(bind="127.0.0.1:0", protocol="tcp", backend="app")
    config = Config.parse({"listeners": {"raw": listener}, "backends": {"app": {"servers": ["127.0.0.1:1"]}}})
    assert config.listeners["raw"] == listener


def test_inherited_descriptors_by_name(mapping):
    mapping["listeners"]["secure"]["bind"] = ["fd:web", "fd:3"]
    config = Config.parse(mapping)
    assert json.loads(config.spec({"web": (4, 5)}))["listeners"]["secure"]["bind"] == ["fd:4", "fd:5", "fd:3"]
    with pytest.raises(ConfigError, match=r'listeners.secure.bind: no inherited descriptor is called "web"'):
        config.spec({"other": (3,)})


def test_the_json_schema_can_be_made():
    schema = Config.model_json_schema()
    assert "listeners" in schema["properties"]


names = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=12)
durations = st.integers(1, 3_600_000).map(lambda milliseconds: timedelta(milliseconds=milliseconds))
addresses = st.integers(1, 65535).map(lambda port: f"127.0.0.1:{port}")
servers = st.builds(
    Server,
    address=addresses,
    weight=st.integers(0, 256),
    backup=st.booleans(),
    max_connections=st.none() | st.integers(1, 10**6),
)
backends = st.builds(
    Backend,
    servers=st.lists(servers, min_size=1, max_size=3, unique_by=lambda server: server.address).map(tuple),
    balance=st.sampled_from([name for name in _engine.balances() if name not in ("path_hash", "header_hash")]),
    connect_timeout=durations,
    retries=st.integers(0, 100),
    proxy_protocol=st.none() | st.sampled_from(["v1", "v2"]),
    source=st.none() | st.just("127.0.0.1"),
    slow_start=st.just(timedelta(0)) | durations,
    health=st.none() | st.builds(Health, rise=st.integers(1, 9), fall=st.integers(1, 9), timeout=durations),
    ejection=st.builds(Ejection, failures=st.integers(0, 9), duration=durations),
)


fields = st.from_regex(r"X-[a-z]{1,6}", fullmatch=True)  # of one case: names that differ in it alone are one field
values = st.text(st.characters(min_codepoint=0x21, exclude_characters="{}\x7f", exclude_categories=["C"]), max_size=8)
headers = st.builds(Headers, set=st.dictionaries(fields, values, max_size=2), remove=st.just(()) | st.just(("Y-*",)))
pools = st.builds(Pool, size=st.integers(0, 99), timeout=durations)
affinities = st.builds(Affinity, cookie=fields, max_age=st.none() | st.just(timedelta(days=1)))
compressions = st.builds(Compression, algorithms=st.permutations(["zstd", "br", "gzip"]).map(tuple))
limits = st.builds(RateLimit, requests=st.integers(1, 99), per=durations, header=st.none() | fields)
answers_of_ours = st.builds(
    # Those left out have no body (RFC 9110 section 6.4.1).
    Respond,
    status=st.integers(200, 599).filter(lambda status: status not in (204, 205, 304)),
    body=values,
    headers=st.dictionaries(fields, values, max_size=2),
)
redirects = st.builds(Redirect, to=st.sampled_from(["https", "/new{path}"]), code=st.sampled_from([301, 308]))
http_settings = st.builds(
    HttpSettings,
    head_limit=st.integers(1024, 60 << 10),
    body_limit=st.none() | st.integers(0, 1 << 40),
    forwarded=st.sampled_from([(), ("forwarded",), ("x_forwarded", "forwarded")]),
    via=st.none() | st.just("edge1"),
)
requests: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {},
    optional={
        "http": http_settings,
        "request_headers": headers,
        "rate_limit": limits,
        "compression": compressions,
        "timeouts": st.builds(Timeouts, keep_alive=durations, body=durations),
    },
)
"""What an http listener may have."""


http_checks = st.builds(
    Health, kind=st.just("http"), method=st.sampled_from(["GET", "OPTIONS"]), body=st.none() | names
)
targets = (
    st.just(Target(backend="app")) | st.builds(Target, redirect=redirects) | st.builds(Target, respond=answers_of_ours)
)
pages = st.from_regex(r"(\*\.)?[a-z]{1,8}\.example(/[a-z]{1,4})?", fullmatch=True)


@st.composite
def websites(draw: st.DrawFn) -> Config:
    """Make a configuration whose listeners all speak http."""
    app = draw(backends).model_copy(
        update={
            "balance": "header_hash",
            "hash_header": draw(fields),
            "pool": draw(pools),
            "affinity": draw(st.none() | affinities),
            "health": draw(st.none() | http_checks),
            "proxy_protocol": None,
        }
    )
    routes: list[dict[str, Any]] = [
        {"table": "sites"},
        {"backend": "app"},
        {"respond": draw(answers_of_ours)},
        {"redirect": draw(redirects)},
    ]
    listeners = {
        name: Listener(bind=("127.0.0.1:0",), protocol="http", **draw(st.sampled_from(routes)), **draw(requests))
        for name in draw(st.lists(names, min_size=1, max_size=2, unique=True))
    }
    return Config(
        listeners=listeners,
        tables={"sites": draw(st.dictionaries(pages, targets, max_size=4))},
        backends={"app": app},
    )


@st.composite
def configs(draw: st.DrawFn) -> Config:
    pools = draw(st.dictionaries(names, backends, min_size=1, max_size=3))
    pool = st.sampled_from(list(pools))
    hosts = st.from_regex(r"(\*\.)?[a-z]{1,8}\.example", fullmatch=True)
    entries = st.dictionaries(hosts, st.builds(Target, backend=pool), max_size=4)
    tables = draw(st.dictionaries(names, entries, max_size=2))
    listeners = {}
    for name in draw(st.lists(names, min_size=1, max_size=3, unique=True)):
        route: dict[str, Any] = {"table": draw(st.sampled_from(list(tables)))} if tables else {"backend": draw(pool)}
        listeners[name] = Listener(
            bind=("127.0.0.1:0",),
            protocol="tls",
            **route,
            fallback=draw(st.none() | pool),
            deny=draw(st.just(()) | st.just(("10.0.0.0/8", "::1"))),
            max_connections=draw(st.none() | st.integers(1, 10**6)),
            unix_mode=draw(st.integers(0, 0o777)),
            first_bytes_limit=draw(st.integers(1024, 1 << 20)),
            timeouts=draw(st.builds(Timeouts, idle=durations)),
        )
    return Config(
        proxy=draw(
            st.builds(
                ProxySettings,
                workers=st.none() | st.integers(1, 64),
                user=st.none() | names,
                resources=st.builds(
                    Resources, max_pipes=st.integers(0, 99), accept_pause=st.just(timedelta(seconds=1))
                ),
            )
        ),
        logs=draw(st.builds(LogSettings, access=names, format=st.sampled_from(["text", "json"]))),
        listeners=listeners,
        tables=tables,
        backends=pools,
    )


@given(configs())
def test_what_is_written_is_what_is_read(config):
    text = config.to_toml()
    assert Config.parse(tomllib.loads(text)) == config
    assert json.loads(_engine.parse_toml(text))["value"] == tomllib.loads(text)
    assert json.loads(Config.parse(tomllib.loads(text)).spec()) == json.loads(config.spec())


@settings(max_examples=50)
@given(websites())
def test_what_is_written_of_http_is_what_is_read(config):
    text = config.to_toml()
    again = Config.parse(tomllib.loads(text))
    assert again == config
    assert json.loads(again.spec()) == json.loads(config.spec())


scalars = st.none() | st.booleans() | st.integers(-5, 10**6) | st.floats(allow_nan=False) | st.text(max_size=8)
keys = st.sampled_from(
    [*{name for _, name in FIELDS}, "a", "b", "0", "example.com", "*", "~(", "bakends", "listener", "timeout"]
)
junk = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(keys, inner, max_size=4), max_leaves=25
)
named = st.dictionaries(keys, junk | st.dictionaries(keys, junk, max_size=5), max_size=3)


@given(st.dictionaries(keys, junk, max_size=5) | st.fixed_dictionaries({"listeners": named, "backends": named}))
def test_any_mapping_is_a_config_or_a_config_error(value):
    try:
        config = Config.parse(value)
    except ConfigError as error:
        assert error.problems
        assert len(str(error).splitlines()) == len(error.problems)
        assert all(problem.reason for problem in error.problems)
    else:
        assert isinstance(config, BaseModel)


@given(st.text())
def test_any_text_is_toml_or_an_error_with_a_place(text):
    try:
        parsed = json.loads(_engine.parse_toml(text))
    except _engine.TomlError as error:
        reason, line, column = error.args
        assert reason
        assert line >= 1
        assert column >= 1
    else:
        assert isinstance(parsed["value"], dict)


def test_a_sketch_is_what_was_given_and_no_more():
    given = {
        "proxy": {"workers": 2},
        "listeners": {"a b": {"bind": ["127.0.0.1:0", "unix:/x"], "protocol": "http", "respond": {"status": 200}}},
        "tables": {"sites": {"~^a\\.b$": "app", "x.test": {"redirect": {"to": '/é"\n'}}}},
    }
    text = sketch(given)
    assert tomllib.loads(text) == given
    assert text.startswith('[proxy]\nworkers = 2\n\n[listeners."a b"]\nbind = ["127.0.0.1:0", "unix:/x"]\n')


def test_writing_a_long_table_takes_no_longer_for_each_entry():
    def seconds(entries: int) -> float:
        config = Config(
            listeners={"a": Listener(bind=("127.0.0.1:0",), protocol="tls", table="t")},
            tables={"t": {f"h{n}.test": Target(backend="b") for n in range(entries)}},
            backends={"b": Backend(servers=(Server(address="127.0.0.1:1"),))},
        )
        began = time.process_time()
        config.to_toml()
        return time.process_time() - began

    seconds(100)
    assert seconds(8000) < 40 * max(seconds(1000), 0.01)
