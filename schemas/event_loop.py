"""The event loop that our processes run on, and the tasks beside its main one."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Uvloop's loop where it is installed: it has no release for some platforms."""
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


@asynccontextmanager
async def background(work: Coroutine[None, None, None]) -> AsyncIterator[asyncio.Task[None]]:
    """Work beside the block: begun with it, cancelled at its end, and over when the block is left.

    An error that ends the work before is in the task, and raises nothing here.
    """
    task = asyncio.create_task(work)
    try:
        yield task
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def being_cancelled() -> bool:
    """True while somebody cancels the current task. aiokafka lets CancelledError out for tasks of its own, too."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
