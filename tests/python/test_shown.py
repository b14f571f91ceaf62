"""What a shell and a notebook show of the facade: a line, a small table, and no name as markup."""

from html.parser import HTMLParser

import pytest

import headworks


@pytest.fixture
def strange(origin) -> dict:
    """Give a configuration with a name that is markup."""
    return {
        "proxy": {"workers": 1},
        "logs": {"access": "off"},
        "listeners": {
            "<b>&": {"bind": "127.0.0.1:0", "protocol": "tls", "table": "sites"},
        },
        "tables": {"sites": {"example.com": "<i>"}},
        "backends": {"<i>": {"servers": [origin, {"address": "127.0.0.1:1", "backup": True}]}},
    }


class Tags(HTMLParser):
    """The tags and texts of a document, and whether they are closed in order."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.texts: list[str] = []
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        assert not attrs
        self.open.append(tag)
        self.tags.add(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        self.texts.append(text)


def texts(shown: str) -> list[str]:
    found = Tags(shown)
    assert not found.open
    assert found.tags <= {"table", "caption", "thead", "tbody", "tr", "th", "td"}
    return found.texts


def test_a_proxy(strange):
    proxy = headworks.Proxy(strange)
    assert repr(proxy) == "<Proxy not running, listeners: <b>&>"
    assert "<b>&" in texts(proxy._repr_html_())
    with proxy:
        address = proxy.addresses("<b>&")[0]
        assert repr(proxy) == f"<Proxy running, <b>& {address}>"
        found = texts(proxy._repr_html_())
        assert found[0] == "Proxy, running"
        assert {"<b>&", "tls", address} <= set(found)
    assert texts(proxy._repr_html_())[0] == "Proxy, not running"


def test_stats(strange, origin):
    with headworks.Proxy(strange) as proxy:
        stats = proxy.stats()
    assert repr(stats) == "<Stats connections=0 workers=1, <b>&: 0 of 0>"
    assert {"Listeners", "Servers", "<b>&", "<i>", origin, "ready"} <= set(texts(stats._repr_html_()))


def test_an_explanation(strange, origin):
    found = headworks.explain(strange, listener="<b>&", sni="example.com")
    assert repr(found) == f"<Explanation <b>&: example.com -> {origin}>"
    shown = texts(found._repr_html_())
    assert {"<b>& (tls)", "example.com", "<i>", origin} <= set(shown)
    assert any(text.startswith("not 127.0.0.1:1: ") for text in shown)
    refused = headworks.explain(strange, listener="<b>&", sni="other.test")
    assert refused.refusal in repr(refused)
