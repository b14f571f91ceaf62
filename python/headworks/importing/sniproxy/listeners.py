"""Listeners of a sniproxy.conf: their address and their directives.

Owns what each directive takes. Must never know what a listener becomes.
"""

from headworks.config.problems import closest, did_you_mean
from headworks.importing.flaws import Flaws
from headworks.importing.sniproxy.addresses import is_number
from headworks.importing.sniproxy.flaws import entries, is_lost, read_address, refuse_block, with_port
from headworks.importing.sniproxy.logs import read_log
from headworks.importing.sniproxy.statements import Statement, Word
from headworks.importing.sniproxy.switches import LISTENER, NO, YES, truth
from headworks.importing.sniproxy.tree import Address, Form, Listener, Log, Route, Setting

_PORTS = {True: 80, False: 443}
"""Ports of listeners that give none but a protocol, by whether that is http."""


def read_listener(statement: Statement, flaws: Flaws) -> Listener | None:
    """Read a listener; None, and a problem, when it has no address."""
    address = _address(statement, flaws)
    listener = Listener(statement, address or Address(Form.IP, "::", 0))
    for name, one in entries(statement, LISTENER, flaws):
        if name != "access_log":
            refuse_block(name, one, flaws)
            if len(one.words) == 1:
                flaws.add(one, f"{name} has no value and does nothing", is_warning=True)
        _DIRECTIVES[name](listener, one, flaws)
    if address is None:
        return None
    if not address.port and address.form is not Form.UNIX:
        if listener.protocol is None:
            flaws.add(statement, "the port is missing: without one, protocol says which", "write ADDRESS:PORT")
        listener.address = address.with_port(_PORTS[listener.is_http])
    return listener


def _address(statement: Statement, flaws: Flaws) -> Address | None:
    if len(statement.words) == 1:
        flaws.add(statement, "a listener has an address, and sniproxy ends by one that has none", "write ADDRESS:PORT")
        return None
    word, *rest = statement.words[1:]
    if is_number(word.text):
        address: Address | None = with_port(Address(Form.IP, "::"), word, flaws)
    else:
        address = read_address(word, flaws)
    if address is not None and address.form in (Form.NAME, Form.ASKED):
        flaws.add(word, f'"{word.text}" is no IP address, and a listener must have one', "write IP:PORT")
        return None
    if address is not None and rest and not address.port and address.form is Form.IP and is_number(rest[0].text):
        address = with_port(address, rest.pop(0), flaws)
    for word in rest:
        flaws.add(word, f'"{word.text}" means nothing here: a listener has an address and a port', is_warning=True)
    return address


def _protocol(listener: Listener, statement: Statement, flaws: Flaws) -> None:
    for word in statement.words[1:]:
        listener.protocol = Setting(word.text, statement)
        if not listener.is_http and word.text.lower() not in ("t", "tl", "tls"):
            near = closest(word.text, ["http", "tls"])
            reason = f'"{word.text}" is no protocol, and sniproxy takes it for tls'
            flaws.add(
                word, reason, did_you_mean("tls" if word.text.lower() in ("https", "ssl") else near), is_warning=True
            )


def _table(listener: Listener, statement: Statement, flaws: Flaws) -> None:
    for word in statement.words[1:]:
        if listener.table is not None:
            flaws.add(word, "table is given twice, and sniproxy refuses that", "keep one")
        else:
            listener.table = Setting(word.text, statement)


def _fallback(listener: Listener, statement: Statement, flaws: Flaws) -> None:
    for word in statement.words[1:]:
        if listener.fallback is None:
            address = read_address(word, flaws)
            if address is not None and address.form is Form.ASKED:
                flaws.add(word, "a fallback is asked where there is no name, so it cannot be *", "write an address")
                address = None
            if address is None:
                return
            listener.fallback = Route(address, proxy=False)
            listener.fallback_statement = statement
        elif not listener.fallback.proxy and word.text.lower() == "proxy":
            listener.fallback = Route(listener.fallback.address, proxy=True)
        else:
            hint = f"{listener.fallback.address}:{word.text}" if is_number(word.text) else "proxy"
            reason = f'"{word.text}" does not belong here: a fallback is ADDRESS[:PORT] [proxy]'
            flaws.add(word, reason, did_you_mean(hint))


def _source(listener: Listener, statement: Statement, flaws: Flaws) -> None:
    for word in statement.words[1:]:
        if listener.source_statement is not None:
            flaws.add(word, "source is given twice, and sniproxy refuses that", "keep one")
            continue
        listener.source_statement = statement
        if word.text.lower() == "client":
            listener.is_transparent = True
            continue
        address = read_address(word, flaws)
        if address is not None and address.form is not Form.IP:
            flaws.add(word, f'"{word.text}" is no IP address, and a source must be one')
        else:
            listener.source = address


def _truth(word: Word, statement: Statement, flaws: Flaws) -> Setting | None:
    found = truth(word.text)
    if found is None:
        known = ", ".join((*YES, *NO))
        flaws.add(
            word, f'"{word.text}" is neither yes nor no; known: {known}', did_you_mean(closest(word.text, (*YES, *NO)))
        )
        return None
    return Setting("yes" if found else "no", statement)


def _reuseport(listener: Listener, statement: Statement, flaws: Flaws) -> None:
    for word in statement.words[1:]:
        listener.reuseport = _truth(word, statement, flaws)


def _ipv6_only(listener: Listener, statement: Statement, flaws: Flaws) -> None:
    for word in statement.words[1:]:
        listener.ipv6_only = _truth(word, statement, flaws)


def _bad_requests(listener: Listener, statement: Statement, flaws: Flaws) -> None:
    for word in statement.words[1:]:
        if "log".startswith(word.text.lower()):
            listener.bad_requests = Setting("log", statement)
        else:
            reason = f'"{word.text}" means nothing to bad_requests, which sniproxy ignores then'
            flaws.add(word, reason, did_you_mean("log"), is_warning=True)


def _access_log(listener: Listener, statement: Statement, flaws: Flaws) -> None:
    if statement.block is not None:
        if len(statement.words) > 1:
            flaws.add(statement.words[1], "access_log has both a file and a block", "give one of them")
        listener.access_log = read_log(statement, flaws)
    elif len(statement.words) == 1:
        flaws.add(statement, "access_log has neither a file nor a block", "write its path")
    elif not is_lost(statement, flaws):
        for word in statement.words[2:]:
            flaws.add(word, f'access_log has one file, and "{word.text}" is another', "take it out")
        listener.access_log = Log(statement, statement.words[1].text, None, "notice")


_DIRECTIVES = {
    "protocol": _protocol,
    "table": _table,
    "fallback": _fallback,
    "source": _source,
    "reuseport": _reuseport,
    "ipv6_v6only": _ipv6_only,
    "access_log": _access_log,
    "bad_requests": _bad_requests,
}
