"""sniproxy.conf in tests: translated, checked, and what of it this version can run."""

from functools import cache

import pytest

from headworks.config import Config, ConfigError
from headworks.importing.sniproxy.translation import Translation, translate

NAMED = {
    "listeners": {"x": {"bind": "127.0.0.1:0", "protocol": "tcp", "backend": "b"}},
    "backends": {"b": {"servers": ["backend.internal:8000"]}},
    "resolver": {"nameservers": ["192.0.2.53"]},
}


@cache
def names_are_supported() -> bool:
    """Whether servers may be names, and a resolver be told."""
    asked = {"b": {"servers": ["*:443"], "allow_destinations": ["192.0.2.0/24"]}}
    tls = {"x": {"bind": "127.0.0.1:0", "protocol": "tls", "backend": "b"}}
    try:
        Config.parse(NAMED)
        Config.parse({"listeners": tls, "backends": asked})
    except ConfigError:
        return False
    return True


def needs_names() -> None:
    """Skip a test of what needs servers that are names."""
    if not names_are_supported():
        pytest.skip("servers that are host names or * are not in this version")


def translated(text: str) -> Translation:
    """Translate what has no mistake."""
    found = translate(text.encode())
    wrong = [str(one) for one in (*found.problems, *found.unsupported) if not one.is_warning]
    assert not wrong, "\n".join(wrong)
    return found
