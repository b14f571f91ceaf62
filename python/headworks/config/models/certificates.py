"""Places of certificates, as a configuration names them.

Must never read a file: that is ``headworks.certificates``.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any, Unpack

from pydantic import Field, model_validator

from headworks.config.models.base import FileName, Model, path_text
from headworks.config.values import problem, quote

if TYPE_CHECKING:
    from headworks.config.written import CertificateFilesDict


class CertificateFiles(Model):
    """One place of certificates; ``"PATH"`` is short for ``{ certificate = "PATH" }``."""

    if TYPE_CHECKING:

        def __init__(self, **keys: Unpack[CertificateFilesDict]) -> None: ...

    certificate: Annotated[
        FileName,
        Field(
            description="PEM file with a certificate and its intermediates, or a directory of such files (*.pem, "
            "*.crt, *.cer, *.key), in any order. Relative to the configuration file.",
            examples=["certificates/example.com.pem", "/etc/letsencrypt/live/example.com/"],
        ),
    ]
    key: Annotated[
        FileName | None,
        Field(
            description="PEM file with its private key, not encrypted.",
            examples=["certificates/example.com.key"],
            json_schema_extra={"unset": "it is where the certificate is"},
        ),
    ] = None
    ocsp: Annotated[
        FileName | None,
        Field(
            description="File with an OCSP response (DER, RFC 6960) that is stapled.",
            examples=["certificates/example.com.ocsp"],
            json_schema_extra={"unset": "none is stapled"},
        ),
    ] = None

    @model_validator(mode="before")
    @classmethod
    def _short_form(cls, value: Any) -> Any:
        if isinstance(value, (Mapping, cls)):
            return value
        if isinstance(path := path_text(value), str) and path:
            return {"certificate": path}
        raise problem(f"{quote(value)} is neither a file nor a directory nor a table with certificate")
