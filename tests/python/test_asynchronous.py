"""The forms of the facade for asyncio: nothing holds the event loop up, and everything can be cancelled."""

import asyncio
import socket
import threading
from collections.abc import Callable
from typing import Any

import pytest

import headworks
from headworks import Notice
from headworks.feed import Feed
from headworks.notices import Notices
from rig.clients import answer

LIMIT = 10


async def until(is_so: Callable[[], object]) -> None:
    """Let the other tasks go on until something is so."""
    async with asyncio.timeout(LIMIT):
        while not is_so():  # noqa: ASYNC110  (nobody tells of it)
            await asyncio.sleep(0)


def test_start_reload_drain_and_stop(raw):
    async def main() -> None:
        proxy = headworks.Proxy(raw)
        await proxy.start_async()
        assert await asyncio.to_thread(answer, proxy.address("raw"), b"x") == b"x"
        assert await proxy.reload_async(raw | {"proxy": {"workers": 2}}) == ("proxy.workers",)
        with pytest.raises(headworks.ConfigError):
            await proxy.reload_async({"listeners": {}})
        assert await proxy.drain_async(LIMIT)
        await proxy.stop_async()
        with pytest.raises(RuntimeError, match="not running"):
            await proxy.drain_async()

    asyncio.run(main())


def test_a_drain_that_is_not_over_says_so_and_can_be_cancelled(raw):
    async def main() -> None:
        async with headworks.Proxy(raw) as proxy:
            with socket.create_connection(proxy.address("raw")) as client:
                client.sendall(b"x")
                assert client.recv(1) == b"x"
                assert not await proxy.drain_async(0)
                draining: Any = proxy.drain_async()
                waiting = asyncio.create_task(draining)
                await until(lambda: draining.cr_await)
                waiting.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await waiting
            assert await proxy.drain_async(LIMIT)

    asyncio.run(main())


def test_notices_come_by_async_for_and_end_with_the_proxy(raw):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        absent = "{}:{}".format(*closed.getsockname())
    raw["backends"]["app"] = {"servers": [absent], "health": {"interval": "10ms", "fall": 1}}

    async def main() -> list[str]:
        kinds = []
        async with headworks.Proxy(raw) as proxy:
            async for notice in proxy.notices():
                kinds.append(notice.kind)
                if notice.kind == "server_down":
                    stopping = asyncio.create_task(proxy.stop_async())
            await stopping
            assert [notice async for notice in proxy.notices()] == []
        return kinds

    assert "server_down" in asyncio.run(main())


def test_a_value_from_a_thread_wakes_every_task():
    async def main() -> list[object]:
        feed: Feed[int] = Feed(10)
        subscriptions = [feed.subscribe() for _ in range(3)]
        tasks = [asyncio.create_task(anext(one)) for one in subscriptions]
        await until(lambda: all(one._queue.waiters for one in subscriptions))
        threading.Thread(target=feed.put_all, args=((7,),)).start()
        return await asyncio.wait_for(asyncio.gather(*tasks), LIMIT)

    assert asyncio.run(main()) == [7, 7, 7]


def test_a_task_that_is_cancelled_leaves_nothing_behind_and_loses_nothing():
    async def main() -> int:
        feed: Feed[int] = Feed(10)
        subscription = feed.subscribe()
        waiting = asyncio.create_task(anext(subscription))
        await until(lambda: subscription._queue.waiters)
        waiting.cancel()
        await asyncio.wait([waiting])
        assert not subscription._queue.waiters
        feed.put_all((1,))
        return await asyncio.wait_for(anext(subscription), LIMIT)

    assert asyncio.run(main()) == 1


def test_a_loop_that_is_gone_does_not_hurt_whoever_puts_in():
    feed: Feed[int] = Feed(10)
    subscription = feed.subscribe()

    async def wait() -> None:
        task = asyncio.ensure_future(anext(subscription))
        await until(lambda: subscription._queue.waiters)
        waiters.extend(subscription._queue.waiters)
        task.cancel()

    waiters: list = []
    asyncio.run(wait())
    subscription._queue.waiters.update(waiters)
    feed.put_all((1,))
    assert next(subscription) == 1


def test_sync_and_async_take_from_the_same_queue():
    class Silent:
        def next_notice(self, timeout: float) -> None:
            never.wait(timeout)

    never = threading.Event()
    notices = Notices(Silent())
    subscription = notices.subscribe()
    for number in range(2):
        notices.put(Notice(kind="server_up", facts={"number": number}))
    assert next(subscription).facts == {"number": 0}
    assert asyncio.run(anext_of(subscription)).facts == {"number": 1}
    notices.close()
    never.set()


async def anext_of(subscription) -> Notice:
    return await anext(subscription)
