"""Formats: texts of HAProxy with samples in them, as texts of ours with variables, and as f-strings of rules."""

import re

from headworks.importing.haproxy.conditions import ConditionError
from headworks.importing.rulefile import quoted

_PART = re.compile(r"%(?P<flags>\{[^}]*\})?\[(?P<sample>[^\]]*)\]|%(?P<short>[a-zA-Z]{1,3})|%%|[^%]+|%")
_HEADER = re.compile(r"(?:req\.f?hdr|f?hdr)\(([A-Za-z0-9_-]+)(?:,-?1)?\)")
"""Names go into Python as they are: others than plain ones are no sample that is known."""
_SHORT = {"ci": "client.address", "cp": "client.port", "ID": "request.id", "HM": "method", "f": "listener"}
_SAMPLES = {
    "src": "client.address",
    "src_port": "client.port",
    "dst": "local.address",
    "dst_port": "local.port",
    "method": "method",
    "path": "path",
    "query": "query",
    "capture.req.uri": "uri",
    "url": "uri",
    "uuid": "request.id",
    "uuid()": "request.id",
    "unique-id": "request.id",
    "ssl_fc_sni": "tls.name",
    "ssl_fc_protocol": "tls.version",
    "ssl_fc_cipher": "tls.cipher",
    "ssl_fc_alpn": "tls.alpn",
    "ssl_c_s_dn": "tls.client.subject",
    "ssl_c_s_dn(cn)": "tls.client.common_name",
    "ssl_c_i_dn": "tls.client.issuer",
    "ssl_c_serial": "tls.client.serial",
    "ssl_c_der,base64": "tls.client.certificate",
}
_ATTRIBUTES = {
    "path": "request.path",
    "query": "request.query",
    "uri": "request.target",
    "method": "request.method",
    "host": "request.authority",
}


def variables(text: str) -> list[tuple[bool, str]]:
    """Return the parts of a format: texts, and (marked so) variables of ours. Raises ConditionError."""
    parts: list[tuple[bool, str]] = []
    for found in _PART.finditer(text):
        if found["sample"] is not None:
            quote = [(False, '"')] if found["flags"] == "{+Q}" else []
            if found["flags"] is not None and not quote:
                raise ConditionError(f"{found['flags']} has no equal in texts of ours")
            parts += [*quote, (True, _variable(found["sample"].strip())), *quote]
        elif found[0] == "%":
            raise ConditionError("a % that begins nothing")
        elif found["short"] is not None:
            if found["short"] not in _SHORT:
                raise ConditionError(f"%{found['short']} has no equal among our variables")
            parts.append((True, _SHORT[found["short"]]))
        else:
            parts.append((False, "%" if found[0] == "%%" else found[0]))
    return parts


def template(text: str) -> str:
    """Return a format as a text with our variables. Raises ConditionError."""
    if not text.isprintable():
        raise ConditionError("it has control characters")
    return "".join(
        f"{{{part}}}" if is_variable else part.replace("{", "{{").replace("}", "}}")
        for is_variable, part in variables(text)
    )


def string(text: str) -> str:
    """Return a format as a text in Python, for rules. Raises ConditionError."""
    parts = variables(text)
    if not text.isprintable() or not text.isascii():
        raise ConditionError("it has characters that are no printable ASCII")
    if not any(is_variable for is_variable, _ in parts):
        return quoted("".join(part for _, part in parts))
    inside = "".join(
        f"{{{_attribute(part)}}}" if is_variable else quoted(part)[1:-1].replace("{", "{{").replace("}", "}}")
        for is_variable, part in parts
    )
    return f'f"{inside}"'


def _variable(sample: str) -> str:
    if found := _HEADER.fullmatch(sample):
        return "host" if found[1].lower() == "host" else f"header.{found[1]}"
    if sample in _SAMPLES:
        return _SAMPLES[sample]
    raise ConditionError(f"%[{sample}] has no equal among our variables")


def _attribute(variable: str) -> str:
    if variable in _ATTRIBUTES:
        return _ATTRIBUTES[variable]
    if variable.startswith("header."):
        return f"request.headers.get('{variable.removeprefix('header.')}', '')"
    raise ConditionError(f"{variable} is not to be had in texts of rules")
