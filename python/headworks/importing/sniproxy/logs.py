"""Logs and the resolver of a sniproxy.conf: the directives that have nothing but a block of words that choose."""

from headworks.config.problems import closest, did_you_mean
from headworks.importing.flaws import Flaws
from headworks.importing.sniproxy.addresses import AddressError, address_of
from headworks.importing.sniproxy.flaws import entries, refuse_block
from headworks.importing.sniproxy.statements import Statement, Word
from headworks.importing.sniproxy.switches import FACILITIES, LEVELS, LOG, MODES, RESOLVER, chosen
from headworks.importing.sniproxy.tree import Form, Log, Resolver, Setting


def read_log(statement: Statement, flaws: Flaws) -> Log | None:
    """Read the block of a log; None, and a problem, when it says not where to write."""
    filename = facility = None
    priority = "notice"
    for name, one in entries(statement, LOG, flaws):
        refuse_block(name, one, flaws)
        for word in one.words[1:]:
            if name == "filename":
                filename = word.text
            elif name == "syslog":
                facility = chosen(word.text, FACILITIES)
                if facility is None:
                    reason = f'"{word.text}" is no facility, and sniproxy takes "user" instead'
                    flaws.add(word, reason, f"known: {', '.join(FACILITIES)}", is_warning=True)
                    facility = "user"
            elif (level := chosen(word.text, LEVELS)) is None:
                near = closest(word.text, LEVELS)
                flaws.add(word, f'"{word.text}" is no level; known: {", ".join(LEVELS)}', did_you_mean(near))
            else:
                priority = level
    if (filename is None) == (facility is None):
        reason = "has both filename and syslog" if filename is not None else "has neither filename nor syslog"
        flaws.add(statement, f"{statement.words[0].text} {reason}", "give one of them")
        return None
    return Log(statement, filename, facility, priority)


def read_resolver(statement: Statement, flaws: Flaws) -> Resolver:
    """Read the block of the resolver."""
    nameservers: list[Setting] = []
    search: list[Setting] = []
    mode = None
    for name, one in entries(statement, RESOLVER, flaws):
        refuse_block(name, one, flaws)
        for word in one.words[1:]:
            if name == "nameserver":
                nameservers += _nameserver(word, one, flaws)
            elif name == "search":
                search.append(Setting(word.text, one))
            elif (found := chosen(word.text, MODES)) is None:
                near = closest(word.text, MODES)
                flaws.add(word, f'"{word.text}" is no mode; known: {", ".join(MODES)}', did_you_mean(near))
            else:
                mode = Setting(found, one)
    return Resolver(statement, tuple(nameservers), tuple(search), mode)


def _nameserver(word: Word, statement: Statement, flaws: Flaws) -> list[Setting]:
    try:
        address = address_of(word.text)
    except AddressError as error:
        flaws.add(word, str(error))
        return []
    if address.form is not Form.IP:
        flaws.add(word, f'"{word.text}" is no IP address, and a nameserver must be one')
        return []
    return [Setting(address.host if not address.port else str(address), statement)]
