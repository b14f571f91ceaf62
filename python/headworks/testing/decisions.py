"""Decisions: what would become of one request, decided by the core that decides while serving, without a socket.

Must never start anything: every server is taken to be up, as ``headworks.explain`` has it.
"""

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from headworks.config.loaded import Source, load
from headworks.explanation import Asked, Explanation
from headworks.testing.consulted import Consulted
from headworks.testing.sources import read

if TYPE_CHECKING:
    from headworks.rules.subjects import Request


def decide(  # noqa: PLR0913  (what a client may say)
    config: Source,
    request: "Request | None" = None,
    *,
    listener: str | None = None,
    method: str | None = None,
    host: str | None = None,
    path: str | None = None,
    headers: Mapping[str, str] | Iterable[tuple[str, str]] = (),
    client: str | None = None,
    sni: str | None = None,
    alpn: Iterable[str] = (),
    kind: str | None = None,
    body: bytes | None = None,
) -> Explanation:
    """Decide about one request: entry, backend, server or why not, status, and the steps that led there.

    ``config`` is a path, TOML text, a Config or a mapping. The request is a ``headworks.Request``, or is said by
    ``method`` (default GET), ``host``, ``path`` (with its query, default ``/``), ``headers`` and ``client`` (an IP
    address), which win over those of ``request``. ``body`` is what analyzers get to read. Connections are said by
    ``sni``, ``host``, ``alpn`` and ``kind``, as ``headworks.explain`` has them. It comes now, or when
    ``headworks.now.at`` says. ``listener`` may be left out when the request names it, or when there is but one.

    Rules are evaluated and analyzers are asked (``accepted``, ``hello`` and ``request``), in the order in which a
    proxy asks them; each is made anew, without ``start``: give an object in place of a class where one has to be
    prepared. What an analyzer raises is logged, and ``on_failure`` decides.

    Raises ConfigError, KeyError for a listener that is not there, ValueError when several could be meant or ``client``
    is no address.
    """
    whole = read(config)
    fields = [*(headers.items() if isinstance(headers, Mapping) else headers)]
    if request is not None:
        given = {name.lower() for name, _ in fields}
        fields = [*((name, value) for name, value in request.headers.items() if name.lower() not in given), *fields]
        host = host or request.authority or None
        path = path or request.target
        method = method or request.method
        client = client or (str(request.client) if request.client is not None else None)
        listener = listener or request.listener or None
        sni = sni or (request.tls.name if request.tls is not None else None)
    name = listener or _only(whole.listeners)
    fields = [(key, value) for key, value in fields if key.lower() != "host"]
    if body is not None and not {"content-length", "transfer-encoding"} & {key.lower() for key, _ in fields}:
        fields.append(("Content-Length", str(len(body))))
    asked = Asked(sni=sni, host=host, path=path, method=method, headers=fields, client=client, alpn=alpn, kind=kind)
    return Explanation.decode(_settled(asked, whole, name, body))


def _settled(asked: Asked, config: Source, listener: str, body: bytes | None) -> str:
    """Return the explanation once every analyzer that is wanted has answered."""
    loaded = load(config)
    consulted = Consulted(loaded.analyzers, asked, body)
    answers: list[object] = []
    while True:
        text = asked.explained(loaded, listener, answers)
        told = json.loads(text)
        if told.get("wanted") is None:
            return text
        answers.append(consulted.answer(told))


def _only(listeners: Mapping[str, object]) -> str:
    """Return the name of the only listener. Raises ValueError when there are several."""
    if len(listeners) > 1:
        raise ValueError(f"say which listener: {', '.join(listeners)}")
    return next(iter(listeners))
