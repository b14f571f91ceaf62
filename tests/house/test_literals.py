"""What type checkers are told is what the engine and the models know while they run."""

import ast
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import pytest
import written_types
from pydantic import BaseModel

import headworks
from headworks import _engine, stats
from headworks.config import ConfigError, models, written
from headworks.config.models import answers, http, literals, tls

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "python" / "headworks" / "config"


MODELS: list[type[BaseModel]] = written_types.every_model()


def test_literals_are_the_registries() -> None:
    assert get_args(literals.ProtocolName) == tuple(_engine.protocols())
    assert get_args(literals.BalanceName) == tuple(_engine.balances())


def test_literals_are_what_the_models_know() -> None:
    assert literal(tls.ListenerTls, "profile") == tls.PROFILES
    assert literal(tls.ListenerTls, "min_version") == literal(tls.BackendTls, "min_version") == tls.VERSIONS
    assert literal(answers.Redirect, "code") == answers.REDIRECTS
    assert literal(http.HttpSettings, "forwarded") == http.FORWARDED
    assert literal(http.Compression, "algorithms") == http.ALGORITHMS


def test_literals_of_stats_are_what_the_engine_takes(mapping: dict[str, Any]) -> None:
    admins = get_args(get_type_hints(stats.ServerStats)["admin"])
    with headworks.Proxy(mapping) as proxy:
        for admin in admins:
            proxy.set_server("app", "127.0.0.1:8001", admin=admin)
            assert proxy.stats().backends["app"].servers["127.0.0.1:8001"].admin == admin
        with pytest.raises(ValueError, match=", ".join(admins)):
            proxy.set_server("app", "127.0.0.1:8001", admin="other")  # type: ignore[arg-type]


@pytest.fixture
def mapping() -> dict[str, Any]:
    """Give a small configuration."""
    return {
        "proxy": {"workers": 1},
        "logs": {"access": "off"},
        "listeners": {"raw": {"bind": "127.0.0.1:0", "protocol": "tcp", "backend": "app"}},
        "backends": {"app": {"servers": "127.0.0.1:8001"}},
    }


def literal(model: type[BaseModel], key: str) -> tuple[object, ...]:
    """Return the values of the Literal in the type of a key."""

    def find(annotation: Any) -> tuple[object, ...]:
        if get_origin(annotation) is Literal:
            return get_args(annotation)
        return next((found for one in get_args(annotation) if (found := find(one))), ())

    return find(model.model_fields[key].annotation)


def test_literals_are_all_that_is_in_their_file() -> None:
    tree = ast.parse((CONFIG / "models" / "literals.py").read_text())
    for node in tree.body:
        match node:
            case ast.Expr(value=ast.Constant()):
                pass
            case ast.ImportFrom(module="typing"):
                pass
            case ast.Assign(value=ast.Subscript(value=ast.Name(id="Literal"))):
                pass
            case _:
                pytest.fail(f"literals.py:{node.lineno}: {ast.unparse(node)}")


def test_the_types_of_keys_are_what_the_models_say() -> None:
    text = (CONFIG / "written.py").read_text()
    assert written_types.renewed(text) == text, "python/headworks/config/written.py is not up to date: make docs"


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_every_model_has_the_type_of_its_keys(model: type[BaseModel]) -> None:
    name = written_types.dict_name(model)
    kind = getattr(written, name)
    fields = model.model_fields
    assert kind.__required_keys__ | kind.__optional_keys__ == set(fields)
    assert kind.__required_keys__ == {key for key, field in fields.items() if field.is_required()}
    # Only type checkers see how a model is made.
    file = CONFIG / "models" / f"{model.__module__.rpartition('.')[2]}.py"
    (declared,) = (
        node
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.ClassDef) and node.name == model.__name__
    )
    made = [ast.unparse(node) for node in declared.body if isinstance(node, ast.If)]
    assert made == [f"if TYPE_CHECKING:\n\n    def __init__(self, **keys: Unpack[{name}]) -> None:\n        ..."]


@pytest.mark.parametrize("model", MODELS, ids=lambda model: model.__name__)
def test_a_wrong_model_is_a_config_error(model: type[BaseModel]) -> None:
    with pytest.raises(ConfigError) as caught:
        model(no_such_key=1)
    assert "no_such_key: unknown key" in str(caught.value).splitlines()


@pytest.mark.parametrize("model", [*MODELS, headworks.Config], ids=lambda model: model.__name__)
def test_what_a_model_offers_is_ours(model: type[BaseModel]) -> None:
    ours = {"check", "load", "of", "parse", "spec", "to_toml"} if model is headworks.Config else set()
    assert set(dir(model)) == set(model.model_fields) | ours


def test_a_value_offers_what_is_ours() -> None:
    assert dir(models.Timeouts()) == sorted(models.Timeouts.model_fields)


def test_problems_of_a_model_are_those_of_the_file() -> None:
    with pytest.raises(ConfigError) as caught:
        models.Listener(bind="127.0.0.1:80", protocol="htp", timeouts={"idle": "30"}, tabel="t")  # type: ignore[arg-type, call-arg]
    assert str(caught.value).splitlines() == [
        f'protocol: "htp" is not a known protocol; known: {", ".join(_engine.protocols())}; did you mean "http"?',
        'timeouts.idle: "30" lacks a unit (ms, s, m or h); did you mean "30s"?',
        'tabel: unknown key; did you mean "table"?',
    ]
