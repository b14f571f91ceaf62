"""What may be said and is hardly meant: warnings, each at its line; nothing for what people mean."""

import pytest

from headworks.certificates import Store
from headworks.config.check import examine
from headworks.config.document import Document
from headworks.config.redirects import settle
from headworks.config.spec import plain

BACKENDS = '[backends.app]\nservers = ["127.0.0.1:9"]\n'


def listener(name: str, bind: str, rest: str = 'backend = "app"', protocol: str = "http") -> str:
    return f'[listeners.{name}]\nbind = {bind}\nprotocol = "{protocol}"\n{rest}\n'


def warnings(text: str) -> list[str]:
    return [str(warning).removeprefix("f:") for warning in examine(Document.parse(text, "f"), Store()).warnings]


@pytest.mark.parametrize(
    ("all_of_them", "one", "is_within"),
    [
        ("0.0.0.0:80", "127.0.0.1:80", True),
        (":80", "127.0.0.1:80", True),
        (":80", "[::1]:80", True),
        (":80", "0.0.0.0:80", True),
        ("0.0.0.0:80", "[::1]:80", False),
        ("0.0.0.0:80", "127.0.0.1:81", False),
        ("127.0.0.1:80", "127.0.0.2:80", False),
        ("0.0.0.0:0", "127.0.0.1:0", False),
    ],
)
def test_addresses_within_others(all_of_them, one, is_within):
    found = warnings(listener("a", f'"{all_of_them}"') + listener("b", f'"{one}"') + BACKENDS)
    expected = f"6: listeners.b.bind: warning: {one} is part of {all_of_them} of listeners.a: "
    assert [line.startswith(expected) for line in found] == [True] * is_within


def test_both_families_of_one_listener_are_meant():
    assert warnings(listener("a", '["0.0.0.0:80", "[::]:80"]') + BACKENDS) == []


@pytest.mark.parametrize(
    ("bind", "server", "is_round"),
    [
        ("127.0.0.1:80", "127.0.0.1:80", True),
        (":80", "127.0.0.1:80", True),
        ("0.0.0.0:80", "127.0.0.3:80", True),
        ("unix:/run/a", "unix:/run/a", True),
        ("0.0.0.0:80", "[::1]:80", False),
        (":80", "192.0.2.1:80", False),
        (":80", "127.0.0.1:81", False),
        (":80", "localhost:80", True),
        (":80", "app.internal:80", False),
    ],
)
def test_a_server_that_is_the_listener_itself(bind, server, is_round):
    found = warnings(listener("a", f'"{bind}"') + f'[backends.app]\nservers = "{server}"\n')
    expected = f"6: backends.app.servers: warning: {server} is listeners.a itself, which leads back here"
    assert [line.startswith(expected) for line in found] == [True] * is_round


def test_a_circle_of_two_is_found_and_a_chain_is_meant():
    chain = (
        listener("a", '":80"')
        + listener("b", '":81"', 'backend = "other"')
        + '[backends.app]\nservers = "127.0.0.1:81"\n'
    )
    assert warnings(chain + '[backends.other]\nservers = "127.0.0.1:9"\n') == []
    assert len(warnings(chain + '[backends.other]\nservers = "127.0.0.1:80"\n')) == 2


def test_what_nothing_uses():
    found = warnings(
        listener("a", '":80"') + BACKENDS + '[tables.t]\n"x" = "app"\n[backends.b]\nservers = "127.0.0.1:1"\n'
    )
    assert found == [
        "7: tables.t: warning: no listener has this table",
        "9: backends.b: warning: no listener, table or rule leads here",
    ]


SECURE = "tls.self_signed = true\n" + 'backend = "app"'


@pytest.mark.parametrize(
    ("binds", "to"),
    [
        (['":8443"'], "https:8443"),
        (['":443"'], "https"),
        (['":8443"', '":443"'], "https"),
        (['":0"'], "https"),
        (['"unix:/run/x"'], "https"),
        ([], "https"),
    ],
)
def test_redirects_know_the_port_of_the_https_listener(binds, to):
    text = "".join(listener(f"s{n}", bind, SECURE, "https") for n, bind in enumerate(binds)) + BACKENDS
    text += listener("plain", '":80"', 'redirect = { to = "https" }')
    text += (
        listener("named", '":81"', 'table = "t"')
        + '[tables.t]\n"x" = { redirect = { to = "https", code = 301 } }\n"y" = "app"\n'
    )
    config = examine(Document.parse(text, "f"), Store()).config
    value = {section: plain(getattr(config, section)) for section in ("listeners", "tables")}
    settle(value, config)
    assert value["listeners"]["plain"]["redirect"]["to"] == to
    assert value["tables"]["t"]["x"]["redirect"] == {"to": to, "code": 301}


def test_a_redirect_that_could_mean_several_ports():
    text = listener("s1", '":8443"', SECURE, "https") + listener("s2", '":9443"', SECURE, "https") + BACKENDS
    (found,) = warnings(text + listener("plain", '":80"', 'redirect = { to = "https" }'))
    assert "clients are sent to 8443" in found
    assert warnings(text + listener("plain", '":80"', 'redirect = { to = "https:9443" }')) == []


def answers(rest: str) -> list[str]:
    return [line.partition("warning: ")[2] for line in warnings(listener("a", '":80"', rest))]


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        ('\'{{"a":"{path}"}}\'', "text/plain", "looks like JSON"),
        ('\'{{"a":"{path}"}}\'', "", "looks like JSON"),
        ("'[\"{header.x}\"]'", "", "looks like JSON"),
        ("'<p>{uri}'", "text/plain", "looks like HTML"),
        ('\'{{"a":"{path}"}}\'', "application/json", ""),
        ('\'{{"a":"{path|html}"}}\'', "application/json", "is written for HTML, into application/json"),
        ('\'{{"a":"{path|url}"}}\'', "application/json", ""),
        ('\'{{"a":"{path|raw}"}}\'', "", ""),
        ('\'{{"a":"{path|json}"}}\'', "", ""),
        ('\'{{"a":"{client.address}"}}\'', "", ""),
        ("'<p>{uri}'", "text/html", ""),
        ("'[{path}] is not here'", "", ""),
        ("'{{path}} <{host}>'", "", "looks like JSON"),
        ("'Nothing at {path}'", "", ""),
    ],
)
def test_values_of_clients_in_a_body(body, kind, said):
    headers = f', headers = {{ content-type = "{kind}" }}' if kind else ""
    found = answers(f"respond = {{ body = {body}{headers} }}")
    assert [said in line for line in found] == [True] * bool(said), found


@pytest.mark.parametrize(
    ("value", "is_doubtful"),
    [
        ("'attachment; filename=\"{path}\"'", True),
        ("'attachment; filename=\"{path|json}\"'", False),
        ("'attachment; filename=\"a\"; from={path}'", False),
        ("'{path}'", False),
    ],
)
def test_values_of_clients_between_quotes(value, is_doubtful):
    found = answers(f"respond = {{ headers = {{ content-disposition = {value} }} }}")
    assert ["write {path|json}" in line for line in found] == [True] * is_doubtful


@pytest.mark.parametrize(
    ("to", "is_doubtful"),
    [
        ("/login?next={path}", True),
        ("/login?a=1&next=x{uri}", True),
        ("/login?next={path|url}", False),
        ("/login?{query}", False),
        ("https://b.example{uri}", False),
        ("/login?id={request.id}", False),
    ],
)
def test_values_of_clients_as_parameters(to, is_doubtful):
    found = answers(f'redirect = {{ to = "{to}" }}')
    assert ["|url}" in line for line in found] == [True] * is_doubtful


def test_a_doubtful_value_has_its_line_and_key():
    text = listener("a", '":80"', 'table = "t"') + "[tables.t]\n\"x\" = { respond = { body = '<p>{path}' } }\n"
    (found,) = warnings(text)
    assert found.startswith("6: tables.t.x.respond.body: warning: {path} comes from the client")


@pytest.mark.parametrize(("user", "doubtful"), [("nobody", True), ("root", False)])
@pytest.mark.parametrize(("key", "line"), [("source", 'source = "client"'), ("connect", "connect = { mark = 1 }")])
def test_what_is_given_up_with_root(user, doubtful, key, line):
    found = warnings(f'[proxy]\nuser = "{user}"\n' + listener("a", '"127.0.0.1:80"') + BACKENDS + line + "\n")
    assert [f"backends.app.{key}: warning: {key} needs CAP_NET_ADMIN" in one for one in found] == [True] * doubtful
