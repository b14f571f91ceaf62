"""Servers are whoever holds a lease: instances write their address into a table and renew it while they live."""

import asyncio
import sqlite3
import time
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import headworks

QUERY = "SELECT address, weight FROM leases WHERE expires > ?"


class Leases(headworks.Provider):
    """The instances whose leases have not ended, looked up every ``pause`` seconds."""

    def __init__(self, database: str, pause: float = 2.0) -> None:
        self.database = Path(__file__).parent / database
        self.pause = pause

    async def servers(self) -> AsyncIterator[list[dict[str, object]]]:
        while True:
            # A database blocks: it is asked in a thread. What it raises is told, and tried again.
            yield await asyncio.to_thread(self.leased)
            await asyncio.sleep(self.pause)

    def leased(self) -> list[dict[str, object]]:
        with closing(sqlite3.connect(self.database.as_uri() + "?mode=ro", uri=True)) as database:
            rows = database.execute(QUERY, (time.time(),)).fetchall()
        return [{"address": address, "weight": weight} for address, weight in rows]
