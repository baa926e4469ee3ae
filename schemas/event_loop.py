"""The event loop that our processes run on, and what its tasks need to know of themselves."""

import asyncio
from collections.abc import Callable


def loop_factory() -> Callable[[], asyncio.AbstractEventLoop]:
    """Uvloop's loop where it is installed: it has no release for some platforms."""
    try:
        import uvloop  # noqa: PLC0415
    except ImportError:
        return asyncio.new_event_loop
    return uvloop.new_event_loop


def being_cancelled() -> bool:
    """Whether somebody cancels the current task. aiokafka lets CancelledError out for tasks of its own, too."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
