"""Literals: the names of the engine's registries, for those who check programs without running them.

Must hold nothing else, and decide nothing: what is known while running is the registries' own (protocols.py,
``_engine.balances()``), and tests/house/test_literals.py compares.
"""

from typing import Literal

ProtocolName = Literal["tcp", "tls", "http", "https", "http_host", "first_bytes"]
BalanceName = Literal[
    "round_robin",
    "least_connections",
    "random",
    "two_choices",
    "source_hash",
    "host_hash",
    "path_hash",
    "header_hash",
]

CheckKind = Literal["tcp", "http"]
"""Kinds of health checks."""
