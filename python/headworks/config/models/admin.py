"""``[admin]``: where a running proxy can be asked and told, and by whom. Must never open anything.

The file of tokens is read by tokens.py; what depends on the machine (is it readable by others?) is checked there.
"""

from ipaddress import ip_address
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Unpack

from pydantic import AfterValidator, BeforeValidator, Field

from headworks.config.models.base import Address, FileName, Model, Name, matching, one_or_many
from headworks.config.values import Mode, problem, quote

if TYPE_CHECKING:
    from headworks.config.written import AdminSettingsDict, AdminTlsDict

_MOST_PORT = 65535

HostName = Annotated[str, matching(r"[0-9A-Za-z]([0-9A-Za-z.-]*[0-9A-Za-z])?", "a host such as proxy.example.com")]


def _address(value: str) -> str:
    if value.startswith("unix:"):
        if not value.removeprefix("unix:").startswith("/"):
            raise problem(f"{quote(value)} is not unix: and an absolute path", '"unix:/run/headworks/admin.sock"')
        return value
    host, _, port = value.rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) <= _MOST_PORT):
        raise problem(f"{quote(value)} is neither IP:PORT nor unix:PATH")
    try:
        is_six = ip_address(host.removeprefix("[").removesuffix("]")).version == 6  # noqa: PLR2004
    except ValueError:
        # A port alone would be every address: that is said, and never meant by leaving something out.
        raise problem(f"{quote(value)} has no IP address", f'"127.0.0.1:{port}"') from None
    if is_six != host.startswith("["):
        raise problem(f"{quote(value)}: IPv6 addresses are in brackets, others are not")
    return value


def is_loopback(address: str) -> bool:
    """Whether only programs of this machine reach an address of ``bind``."""
    return address.startswith("unix:") or ip_address(address.rpartition(":")[0].strip("[]")).is_loopback


BindAddress = Annotated[Address, AfterValidator(_address)]


class AdminTls(Model):
    """``[admin.tls]``: a certificate for addresses of TCP."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[AdminTlsDict]) -> None: ...

    certificate: Annotated[
        FileName,
        Field(description="PEM file with the certificate and its chain.", examples=["/etc/headworks/admin.pem"]),
    ]
    key: Annotated[
        FileName | None,
        Field(
            description="PEM file with its key.",
            examples=["/etc/headworks/admin.key"],
            json_schema_extra={"unset": "in the file of the certificate"},
        ),
    ] = None


class AdminSettings(Model):
    """``[admin]``: the door for operators. Without this table there is none: no socket, no port, no thread."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[AdminSettingsDict]) -> None: ...

    bind: Annotated[
        tuple[BindAddress, ...],
        BeforeValidator(one_or_many),
        Field(
            description="Where it can be reached: unix:PATH, or IP:PORT. An address that is not loopback needs "
            "`tokens` and `tls`. Needs a restart to change.",
            examples=[["unix:/run/headworks/admin.sock", "127.0.0.1:9900"]],
            json_schema_extra={
                "unset": "`admin.sock` in `/run/headworks`, or, where that cannot be made, in "
                "`$XDG_RUNTIME_DIR/headworks`"
            },
        ),
    ] = ()
    mode: Annotated[
        int,
        Mode(),
        Field(description="Permission bits of unix sockets.", examples=["0600"]),
    ] = 0o660
    group: Annotated[
        Name | None,
        Field(
            description="Group that gets the unix sockets. Its members may read; whoever runs the proxy, and root, may "
            "change things, too. Needs a restart to change.",
            examples=["adm"],
            json_schema_extra={"unset": "nobody else"},
        ),
    ] = None
    tokens: Annotated[
        FileName | None,
        Field(
            description="TOML file, mode 0600, of those who may come by TCP: [[token]] with name, role (read or "
            "operate) and sha256 (of the secret, 64 hexadecimal digits).",
            examples=["/etc/headworks/tokens"],
            json_schema_extra={"unset": "whoever reaches a loopback port may read, and change nothing"},
        ),
    ] = None
    hosts: Annotated[
        tuple[HostName, ...],
        BeforeValidator(one_or_many),
        Field(
            description="Names that requests by TCP may ask for, besides IP addresses and localhost. Other names are "
            "refused: a page elsewhere could have its name lead here.",
            examples=[["proxy.example.com"]],
        ),
    ] = ()
    tls: Annotated[
        AdminTls | None,
        Field(
            description="Certificate of the addresses of TCP. Needs a restart to change.",
            examples=[{"certificate": "/etc/headworks/admin.pem"}],
            json_schema_extra={"unset": "no TLS"},
        ),
    ] = None
    state: Annotated[
        FileName | None,
        Field(
            description="JSON file in which changes of servers (drain, maintenance, weights, servers added and "
            "removed) are kept over a restart.",
            examples=["/var/lib/headworks/state.json"],
            json_schema_extra={"unset": "they end with the process"},
        ),
    ] = None


def anchor(value: Any, directory: Path) -> None:
    """Make the paths of files whole: as they are written, they are relative to ``directory``."""
    admin = value.get("admin") if isinstance(value, dict) else None
    for table, keys in ((admin, ("tokens", "state")), (_below(admin), ("certificate", "key"))):
        for key in keys:
            if isinstance(table, dict) and isinstance(table.get(key), (str, Path)) and table[key]:
                table[key] = str(directory / table[key])


def _below(admin: Any) -> Any:
    return admin.get("tls") if isinstance(admin, dict) else None
