"""``[listeners.NAME.tls]`` and ``[backends.NAME.tls]``: what is presented, what is demanded, what is spoken.

Must never read a file: certificates are paths here, and are read on the way to the engine (``headworks.certificates``).
"""

import re
from datetime import timedelta
from ipaddress import ip_address
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self, Unpack

from pydantic import BeforeValidator, Field, model_validator

from headworks.config.models.base import Fields, FileName, Model, distinct, known, matching, one_or_many
from headworks.config.models.certificates import CertificateFiles
from headworks.config.protocols import HTTPS
from headworks.config.values import Duration, Size, problem, problems, quote, show_duration

if TYPE_CHECKING:
    from headworks.config.written import (
        BackendTlsDict,
        ClientCertificatesDict,
        HstsDict,
        ListenerTlsDict,
    )

VERSIONS = ("1.2", "1.3")
PROFILES = ("intermediate", "modern")

_HTTPS = {"only": [*HTTPS]}
_YEAR = timedelta(hours=8760)
_DNS_NAME = re.compile(r"(\*\.)?[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*")

Files = Annotated[tuple[FileName, ...], BeforeValidator(one_or_many)]
Version = Annotated[Literal["1.2", "1.3"], known("TLS version", VERSIONS)]
Alpn = Annotated[
    tuple[Annotated[str, matching(r"[!-~]{1,255}", "the name of a protocol such as http/1.1 (RFC 7301)")], ...] | None,
    BeforeValidator(one_or_many),
    distinct,
]


class Hsts(Model):
    """``hsts``: browsers are told to come by https only (Strict-Transport-Security, RFC 6797)."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[HstsDict]) -> None: ...

    max_age: Annotated[
        timedelta,
        Duration("1s", "87600h", zero="browsers forget it", step="1s"),
        Field(description="How long browsers remember it.", examples=["8760h"]),
    ] = _YEAR
    include_subdomains: Annotated[
        bool, Field(description="Whether it is said of every name below this one, too.", examples=[True])
    ] = False
    preload: Annotated[
        bool,
        Field(
            description="Whether browsers may have it built in. Needs include_subdomains and a year or more, and can "
            "hardly be taken back.",
            examples=[True],
        ),
    ] = False

    @model_validator(mode="after")
    def _can_be_preloaded(self) -> Self:
        if self.preload and not self.include_subdomains:
            raise problem("needs include_subdomains = true", key="preload")
        if self.preload and self.max_age < _YEAR:
            raise problem(
                f"needs a max_age of {show_duration(_YEAR)} or more, not {show_duration(self.max_age)}", key="preload"
            )
        return self


class ClientCertificates(Model):
    """``[listeners.NAME.tls.client_certificates]``: clients are asked for a certificate."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[ClientCertificatesDict]) -> None: ...

    verify: Annotated[
        Literal["required", "optional"],
        known("kind of verification", ("required", "optional")),
        Field(
            description="required: a client without a good one is refused. optional: one without any is served.",
            examples=["required", "optional"],
        ),
    ] = "required"
    ca: Annotated[
        Files,
        Field(
            min_length=1,
            description="PEM files or directories with the certificates of who may have signed them.",
            examples=[["ca.pem"]],
        ),
    ]
    crl: Annotated[
        Files,
        Field(description="PEM files or directories with revocation lists.", examples=[["ca.crl.pem"]]),
    ] = ()
    headers: Annotated[
        Fields,
        Field(
            description="Request fields that tell servers of the client's certificate; values may have variables. What "
            "clients themselves send under these names is removed; a value that comes out empty is left out.",
            examples=[{"X-Client-Subject": "{tls.client.subject}", "X-Client-Verified": "{tls.client.fingerprint}"}],
            json_schema_extra={**_HTTPS},
        ),
    ] = {}  # noqa: RUF012  (pydantic copies defaults)


def _names(value: object) -> object:
    """``true``, ``false``, or names."""
    if isinstance(value, bool):
        return value
    names = one_or_many(value)
    if not isinstance(names, tuple):
        raise problem(f"{quote(value)} is neither true nor false nor a list of names")
    if not names:
        raise problem("cannot be empty", suggestion="true")
    for name in names:
        if not isinstance(name, str) or not (_DNS_NAME.fullmatch(name) or _is_address(name)):
            raise problem(f"{quote(name)} is not a name such as app.example.com or *.example.com")
    return names


def _is_address(name: str) -> bool:
    try:
        ip_address(name)
    except ValueError:
        return False
    return True


class ListenerTls(Model):
    """``[listeners.NAME.tls]``: TLS ends here."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[ListenerTlsDict]) -> None: ...

    certificates: Annotated[
        tuple[CertificateFiles, ...],
        BeforeValidator(one_or_many),
        Field(
            description="Certificates with their keys: files, directories, or { certificate, key, ocsp }. The one that "
            "covers the name the client asks for is presented, of several the first that the client can take; the "
            "first of all is the default. Changed files are read again, see proxy.watch_certificates.",
            examples=[
                ["certificates/"],
                ["example.com.pem", {"certificate": "example.org.crt", "key": "example.org.key"}],
            ],
        ),
    ] = ()
    self_signed: Annotated[
        bool | tuple[str, ...],
        BeforeValidator(_names),
        Field(
            description="For development: throwaway certificates, made in memory and signed by a throwaway authority. "
            "true: for the names in the table; or a list of names. localhost, 127.0.0.1 and ::1 are always "
            "among them. Instead of certificates.",
            examples=[True, ["app.test", "*.app.test"]],
        ),
    ] = False
    self_signed_ca: Annotated[
        FileName | None,
        Field(
            description="File that the throwaway authority's certificate is written to at each start, so that clients "
            "can be told to trust it.",
            examples=["ca.pem"],
            json_schema_extra={"unset": "it is not written"},
        ),
    ] = None
    strict_sni: Annotated[
        bool,
        Field(
            description="Whether clients that ask for a name which no certificate covers, or for none, are refused "
            "instead of getting the default.",
            examples=[True],
        ),
    ] = False
    min_version: Annotated[
        Version,
        Field(description="The least version of TLS that is spoken. By itself 1.3 for modern.", examples=["1.3"]),
    ] = "1.2"
    profile: Annotated[
        Literal["intermediate", "modern"],
        known("profile", PROFILES),
        Field(
            description="Cipher suites. intermediate: of TLS 1.2 those with forward secrecy and authenticated "
            "encryption, and all of TLS 1.3. modern: TLS 1.3 only.",
            examples=["intermediate", "modern"],
        ),
    ] = "intermediate"
    post_quantum: Annotated[
        bool,
        Field(
            description="Whether the hybrid key exchange X25519MLKEM768 is offered, before the classic groups.",
            examples=[False],
        ),
    ] = True
    alpn: Annotated[
        Alpn,
        Field(
            description="Protocols offered by ALPN (RFC 7301), best first. [] answers no such extension.",
            examples=[["http/1.1"], []],
            json_schema_extra={"unset": '["http/1.1"] for https listeners, [] for tcp listeners'},
        ),
    ] = None
    tickets: Annotated[
        bool, Field(description="Whether clients can resume their sessions, by tickets.", examples=[False])
    ] = True
    ticket_rotation: Annotated[
        timedelta,
        Duration("1ms", "84h"),
        Field(
            description="How often a new key for tickets is made. A ticket can be used for one to two of these.",
            examples=["12h"],
        ),
    ] = timedelta(hours=12)
    early_data: Annotated[
        int,
        Size("0B", "64KiB"),
        Field(
            description="Bytes of early data (0-RTT, RFC 8470) accepted at most of a client that resumes. Requests in "
            "it could have been replayed: only safe methods are let through, with Early-Data: 1. 0: none.",
            examples=["16KiB"],
            json_schema_extra={**_HTTPS},
        ),
    ] = 0
    handshake_timeout: Annotated[
        timedelta,
        Duration("1ms", "1h"),
        Field(description="The handshake must be complete this long after accept.", examples=["10s"]),
    ] = timedelta(seconds=10)
    check_host: Annotated[
        bool,
        Field(
            description="Whether a request gets 421 when the certificate of its connection does not cover its Host.",
            examples=[False],
            json_schema_extra={**_HTTPS},
        ),
    ] = True
    hsts: Annotated[
        Hsts | None,
        Field(
            description="Strict-Transport-Security in every response. An empty table says it for a year.",
            examples=[{"max_age": "8760h", "include_subdomains": True}],
            json_schema_extra={**_HTTPS, "unset": "the field is left as it is"},
        ),
    ] = None
    passthrough: Annotated[
        str | None,
        Field(
            description="Table of names that are not ended here: their TLS is passed on to its backends untouched.",
            examples=["elsewhere"],
            json_schema_extra={"unset": "every name is ended here"},
        ),
    ] = None
    client_certificates: Annotated[
        ClientCertificates | None,
        Field(
            description="Clients are asked for certificates.",
            examples=[{"verify": "required", "ca": ["ca.pem"]}],
            json_schema_extra={"unset": "they are not asked"},
        ),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _modern_is_new(cls, value: Any) -> Any:
        """The modern profile has a least version of its own."""
        if isinstance(value, dict) and value.get("profile") == "modern" and "min_version" not in value:
            return {**value, "min_version": "1.3"}
        return value

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        """Check that certificates come from somewhere, and find keys that would do nothing."""
        wrong = []
        if not self.certificates and not self.self_signed:
            wrong.append(problem("certificates or self_signed is missing"))
        if self.certificates and self.self_signed:
            wrong.append(problem("give either certificates or self_signed, not both", key="self_signed"))
        if self.self_signed_ca is not None and not self.self_signed:
            wrong.append(problem("is for self_signed, which is not given", key="self_signed_ca"))
        if self.profile == "modern" and self.min_version != "1.3":
            wrong.append(problem('profile = "modern" speaks TLS 1.3 only', quote("1.3"), key="min_version"))
        if self.early_data and not self.tickets:
            wrong.append(problem("early data is sent by clients that resume, and tickets = false", key="early_data"))
        if not self.tickets and self.ticket_rotation != type(self).model_fields["ticket_rotation"].default:
            wrong.append(problem("is for tickets, and tickets = false", key="ticket_rotation"))
        if wrong:
            raise problems(wrong)
        return self


class BackendTls(Model):
    """``[backends.NAME.tls]``: the servers are reached by TLS. An empty table is enough."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[BackendTlsDict]) -> None: ...

    verify: Annotated[
        bool,
        Field(
            description="Whether the servers' certificates are verified. false lets anybody on the way read and change "
            "everything, and is warned of at each start.",
            examples=[False],
        ),
    ] = True
    ca: Annotated[
        Files,
        Field(
            description="PEM files or directories with the certificates of who may have signed the servers'. A "
            "server's own certificate may be listed, too, and is then trusted for its names. Relative to the "
            "configuration file. Empty: the system's.",
            examples=[["internal-ca.pem"]],
        ),
    ] = ()
    server_name: Annotated[
        str | None,
        matching(r"[0-9A-Za-z_-]+(\.[0-9A-Za-z_-]+)*|[0-9A-Fa-f:.]+", "a name such as app.internal"),
        Field(
            description="Name that servers are asked for (SNI) and that their certificates must have.",
            examples=["app.internal"],
            json_schema_extra={
                "unset": "the name that all servers are written with, else the server's address, which is not asked for"
            },
        ),
    ] = None
    min_version: Annotated[Version, Field(description="The least version of TLS that is spoken.", examples=["1.3"])] = (
        "1.2"
    )
    alpn: Annotated[
        Alpn,
        Field(
            description="Protocols offered by ALPN (RFC 7301), best first.",
            examples=[["http/1.1"], []],
            json_schema_extra={"unset": '["http/1.1"] where http listeners lead here, [] elsewhere'},
        ),
    ] = None
    certificate: Annotated[
        FileName | None,
        Field(
            description="PEM file with the certificate that we present when a server asks for one, and its "
            "intermediates.",
            examples=["client.pem"],
            json_schema_extra={"unset": "we have none"},
        ),
    ] = None
    key: Annotated[
        FileName | None,
        Field(
            description="PEM file with its private key, not encrypted.",
            examples=["client.key"],
            json_schema_extra={"unset": "it is where the certificate is"},
        ),
    ] = None

    @model_validator(mode="after")
    def _makes_sense(self) -> Self:
        """Keys that would do nothing."""
        wrong = []
        if self.ca and not self.verify:
            wrong.append(problem("nothing is verified by it: verify = false", key="ca"))
        if self.key is not None and self.certificate is None:
            wrong.append(problem("is the key of a certificate, which is not given", key="key"))
        if wrong:
            raise problems(wrong)
        return self
