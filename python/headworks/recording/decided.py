"""Decided: what a configuration decides about a recorded request, in the shape that is kept and compared.

Every decision is made by ``Plan.explain``, with every server up and nothing counted, so that two decisions differ by
their configurations alone. Must never decide itself.
"""

import hashlib
import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from headworks import _engine
from headworks.stand_ins import is_stand_in

Entry = Mapping[str, Any]
"""A request as a recording has it."""

KEPT = ("refusal", "target", "tls", "backend", "status", "location", "server", "entry")
"""Keys of an explanation that are compared, the weightier first."""


def asked_of(entry: Entry) -> str:
    """Return what a request asks, as ``Plan.explain`` takes it."""
    at = datetime.fromisoformat(entry["ts"])
    return json.dumps(
        {
            "name": entry.get("host"),
            "sni": entry.get("sni"),
            "method": entry.get("method"),
            "path": entry.get("path"),
            "headers": entry.get("headers", []),
            "kind": entry.get("kind"),
            "time": int(at.timestamp()),
        }
    )


def decided(plan: _engine.Plan, entry: Entry) -> dict[str, Any]:
    """Decide. Raises KeyError for a listener that is not there."""
    told = json.loads(plan.explain(entry["listener"], asked_of(entry), entry.get("client")))
    found = {key: told[key] for key in KEPT if told.get(key) is not None}
    if is_stand_in(str(found.get("server"))):
        # Whoever is found while it runs is no decision of the configuration.
        del found["server"]
    head = told.get("head")
    if head is not None:
        found["asks"] = head.partition("\r\n")[0]
        found["head"] = hashlib.sha256(head.encode("latin-1")).hexdigest()[:16]
    return found
