"""``[providers.NAME]``: where servers come from that are found while the proxy runs, and how classes are named.

Owns how they are written. Must never import a module: config/providers.py does, when a configuration is checked.
"""

from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Unpack

from pydantic import BeforeValidator, Field

from headworks.config.models.base import FileName, Model, Name, one_or_many, table
from headworks.config.models.objects import NAME, ClassName
from headworks.config.models.references import reference
from headworks.config.values import Duration

if TYPE_CHECKING:
    from headworks.config.written import ProviderSettingsDict

PYTHON = "python"
"""The kind of those that users write."""
_WEB: list[Any] = ["http", "consul"]
_FILES = ("token", "ca", "socket")
"""Keys whose values are files."""


class ProviderName(ClassName):
    """The name of a class of providers (or of one that was made), and where it is looked for."""

    __slots__ = ()

    example = "inventory:Inventory"

    @classmethod
    def base(cls) -> type:
        """Return the class of providers, which is imported where one is given."""
        from headworks.providers.base import Provider

        return Provider


class ProviderSettings(Model):
    """``[providers.NAME]``: servers that are found while the proxy runs.

    ``provider:NAME`` among the servers of a backend stands for them. A table that is called as a kind is, such as
    ``[providers.docker]``, has the settings of every ``docker:`` among servers.
    """

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[ProviderSettingsDict]) -> None: ...

    source: Annotated[
        str | None,
        Field(
            min_length=1,
            description="What is followed, as it may be written among servers, too: file:PATH, the URL of a list, "
            "docker:NAME (containers with the label headworks.backend=NAME) or consul:SERVICE.",
            examples=["consul:app", "file:servers.json", "https://sd.internal/app", "docker:app"],
            json_schema_extra={"unset": "the class says, or the servers that are written so"},
        ),
    ] = None
    python: Annotated[
        ProviderName | None,
        Field(
            description="The class, module:Class, which derives from headworks.Provider; or an object of one. Modules "
            "are found beside the file, then on sys.path. In Python the class or the object itself.",
            examples=["inventory:Inventory"],
            json_schema_extra={"unset": "source says"},
        ),
    ] = None
    arguments: Annotated[
        dict[str, Any],
        BeforeValidator(table),
        Field(
            description="What the class is called with, by name.",
            examples=[{"table": "servers"}],
            json_schema_extra={"only": [PYTHON]},
        ),
    ] = {}  # noqa: RUF012  (pydantic copies defaults)
    interval: Annotated[
        timedelta | None,
        Duration("100ms", "24h"),
        Field(
            description="From one look at the source to the next. consul, docker: how long nothing need change until "
            "it is asked again all the same.",
            examples=["10s"],
            json_schema_extra={"unset": "1s for files, 30s for http, 1m for docker and consul, as the class says"},
        ),
    ] = None
    timeout: Annotated[
        timedelta,
        Duration("10ms", "10m"),
        Field(
            description="How long an answer may take as a whole.",
            examples=["3s"],
            json_schema_extra={"only": ["http", "docker", "consul"]},
        ),
    ] = timedelta(seconds=10)
    min_servers: Annotated[
        int,
        Field(
            ge=0,
            le=10_000,
            description="A set that has fewer, and fewer than there are, is not believed: the servers stay. 0: no "
            "servers are as good as some.",
            examples=[2],
            json_schema_extra={"unit": "servers"},
        ),
    ] = 1
    stale_after: Annotated[
        timedelta | None,
        Duration("1s", "8760h"),
        Field(
            description="Time without a good set after which the servers are taken away.",
            examples=["1h"],
            json_schema_extra={"unset": "they stay, however long the source fails"},
        ),
    ] = None
    token: Annotated[
        FileName | None,
        Field(
            description="File with the token that requests carry: Authorization: Bearer, for Consul X-Consul-Token.",
            examples=["/etc/headworks/consul.token"],
            json_schema_extra={"only": _WEB, "unset": "none is sent"},
        ),
    ] = None
    ca: Annotated[
        FileName | None,
        Field(
            description="PEM file with the authorities that https servers are verified by.",
            examples=["internal-ca.pem"],
            json_schema_extra={"only": _WEB, "unset": "those of the system"},
        ),
    ] = None
    socket: Annotated[
        FileName,
        Field(
            description="Socket of Docker or Podman.",
            examples=["/run/podman/podman.sock"],
            json_schema_extra={"only": ["docker"]},
        ),
    ] = "/var/run/docker.sock"
    network: Annotated[
        Name | None,
        Field(
            description="Network in which containers are reached; the label headworks.network says otherwise.",
            examples=["web"],
            json_schema_extra={"only": ["docker"], "unset": "the first in which a container has an address"},
        ),
    ] = None
    address: Annotated[
        Name,
        Field(
            description="URL of Consul's API.",
            examples=["https://consul.internal:8501"],
            json_schema_extra={"only": ["consul"]},
        ),
    ] = "http://127.0.0.1:8500"
    datacenter: Annotated[
        Name | None,
        Field(
            description="Datacenter that is asked about.",
            examples=["eu1"],
            json_schema_extra={"only": ["consul"], "unset": "that of the agent"},
        ),
    ] = None
    tags: Annotated[
        tuple[Name, ...],
        BeforeValidator(one_or_many),
        Field(
            description="Tags that an instance must have, all of them.",
            examples=[["v2", "public"]],
            json_schema_extra={"only": ["consul"]},
        ),
    ] = ()
    passing: Annotated[
        bool,
        Field(
            description="Only instances whose checks all pass. false: those whose checks warn or fail as well.",
            examples=[False],
            json_schema_extra={"only": ["consul"]},
        ),
    ] = True
    stale: Annotated[
        bool,
        Field(
            description="Any server of Consul may answer, not its leader alone.",
            examples=[False],
            json_schema_extra={"only": ["consul"]},
        ),
    ] = True


def kind_of(name: str, settings: ProviderSettings) -> str:
    """Return the kind of the providers that a table of this name is about."""
    if settings.python is not None:
        return PYTHON
    found = reference(settings.source)
    return found.kind if found is not None else name


def anchor(value: Any, directory: Path) -> None:
    """Make paths of files whole, and tell names of classes where they are looked for."""
    for one in _tables(value.get("backends")):
        servers = one.get("servers")
        if isinstance(servers, list):
            one["servers"] = [_whole_server(server, directory) for server in servers]
        elif servers is not None:
            one["servers"] = _whole_server(servers, directory)
    for one in _tables(value.get("providers")):
        if "source" in one:
            one["source"] = _whole(one["source"], directory)
        for key in _FILES:
            if isinstance(one.get(key), str) and one[key]:
                one[key] = str(directory / one[key])
        name = one.get("python")
        if isinstance(name, ProviderName):
            one["python"] = name.anchored(directory)
        elif isinstance(name, str) and NAME.fullmatch(name):
            one["python"] = ProviderName(name, directory)


def _whole_server(server: Any, directory: Path) -> Any:
    if isinstance(server, dict) and "address" in server:
        return {**server, "address": _whole(server["address"], directory)}
    return _whole(server, directory)


def _whole(written: Any, directory: Path) -> Any:
    found = reference(written)
    return f"file:{directory / found.target}" if found is not None and found.kind == "file" else written


def _tables(section: Any) -> list[dict[str, Any]]:
    return [below for below in section.values() if isinstance(below, dict)] if isinstance(section, dict) else []
