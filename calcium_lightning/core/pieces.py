"""Work that falls into pieces, on all cores: a core for each piece, not a team of cores for each product.

Torch's own threads share every single product, and spin while they wait for each other; between products,
where something is read or NumPy computes, all cores but one idle. Within :func:`on_all_cores` Torch computes
with one thread, and :func:`in_order` works on as many pieces at a time as Torch had threads. What comes out
doesn't depend on how many there are: each piece is computed by one thread, and they are taken in order. Knows
nothing of what is computed.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import torch

from calcium_lightning.core.memory import one_store

Item = TypeVar("Item")
Result = TypeVar("Result")
_CORES: ContextVar[int] = ContextVar("cores", default=1)


@contextmanager
def on_all_cores(device: torch.device | str = "cpu") -> Iterator[None]:
    """Within it, :func:`in_order` works on several pieces at a time, where the CPU computes."""
    threads = torch.get_num_threads()
    if threads < 2 or torch.device(device).type != "cpu":
        yield
        return
    one_store()
    token = _CORES.set(threads)
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(threads)
        _CORES.reset(token)


def cores() -> int:
    """How many pieces are worked on at a time."""
    return _CORES.get()


def in_order(function: Callable[[Item], Result], items: Iterable[Item]) -> Iterator[Result]:
    """Yield ``function(item)`` of every item, in order.

    Within :func:`on_all_cores` the next ones are worked on, in other threads, while one is used: as many
    results as there are cores are in memory. The function must bear to be called by several threads.
    """
    count = cores()
    if count < 2:
        yield from map(function, items)
        return
    inference = torch.is_inference_mode_enabled()  # which is a thread's own

    def piece(item: Item) -> Result:
        with torch.inference_mode(inference):
            return function(item)

    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(count, "piece", initializer=torch.set_num_threads, initargs=(1,)) as pool:
        try:
            for item in items:
                waiting.append(pool.submit(piece, item))
                if len(waiting) == count:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
