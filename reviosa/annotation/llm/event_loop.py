"""Asynchronous work from code that is not asynchronous, in a notebook too."""

import asyncio
from collections.abc import Coroutine
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

__all__ = ["run_to_end"]

Result = TypeVar("Result")


def run_to_end(work: Coroutine[Any, Any, Result]) -> Result:
    """Run to the end; in another thread where this one has a running event loop, as notebooks do.

    Raises:
        Exception: what ``work`` raises. An interruption cancels it.
    """
    if not _is_running():
        return asyncio.run(work)
    running: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[Any]]] = []

    async def told() -> Result:
        task = asyncio.current_task()
        assert task is not None
        running.append((asyncio.get_running_loop(), task))
        return await work

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(lambda: asyncio.run(told()))
        try:
            return future.result()
        except BaseException:
            if not future.done():
                for loop, task in running:
                    loop.call_soon_threadsafe(task.cancel)
            raise


def _is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
