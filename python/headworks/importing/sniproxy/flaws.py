"""Flaws of statements: the checks that several directives share.

Must never know a directive.
"""

from collections.abc import Iterator, Sequence

from headworks.config.problems import closest, did_you_mean
from headworks.importing.flaws import Flaws
from headworks.importing.sniproxy.addresses import AddressError, address_of, port_of
from headworks.importing.sniproxy.statements import Statement, Word
from headworks.importing.sniproxy.switches import keyword
from headworks.importing.sniproxy.tree import Address


def known(statement: Statement, names: Sequence[str], flaws: Flaws) -> str | None:
    """Return the keyword of a statement; None, and a problem, when there is no such."""
    written = statement.words[0]
    name = keyword(written.text, names)
    if name is None:
        near = keyword(written.text.lower(), names) or closest(written.text, names)
        flaws.add(written, f'"{written.text}" is no keyword here; known: {", ".join(names)}', did_you_mean(near))
    elif not written.text:
        flaws.add(written, f"an empty word stands for the first keyword, {name}", f"write {name}", is_warning=True)
    return name


def entries(statement: Statement, names: Sequence[str], flaws: Flaws) -> Iterator[tuple[str, Statement]]:
    """Yield the statements of a block, each with its keyword; what has none is a problem."""
    for one in statement.block.statements if statement.block is not None else ():
        name = known(one, names, flaws)
        if name is not None:
            yield name, one


def is_lost(statement: Statement, flaws: Flaws) -> bool:
    """Whether sniproxy forgets a statement that it acts upon at its end only, since it never comes to that."""
    if statement.is_ended or statement.block is not None:
        return False
    reason = "sniproxy loses this: nothing ends it before the } or the end of the file"
    flaws.add(statement, reason, "write ; after it, or begin a line", is_warning=True)
    return True


def refuse_block(name: str, statement: Statement, flaws: Flaws) -> None:
    """Say so when a statement that takes none has a block."""
    if statement.block is not None:
        flaws.add(statement, f"{name} takes no block", "take { and } out")


def read_address(word: Word, flaws: Flaws) -> Address | None:
    """Read an address; None, and a problem, when it is none."""
    try:
        return address_of(word.text)
    except AddressError as error:
        flaws.add(word, str(error))
        return None


def with_port(address: Address, word: Word, flaws: Flaws) -> Address:
    """Give an address the port in a word of its own."""
    try:
        return address.with_port(port_of(word.text))
    except AddressError as error:
        flaws.add(word, str(error))
        return address
