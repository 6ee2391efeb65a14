"""A worker that is killed while it reads ahead, in all the words that Torch has for it."""

from __future__ import annotations

import multiprocessing
import os
import signal
from typing import Any

import pytest
import torch
from torch.multiprocessing import reductions
from torch.utils.data import DataLoader, Dataset

from calcium_lightning.data.workers import FULL, end_when_full, lost_worker


class Deadly(Dataset[torch.Tensor]):
    """Its second sample kills the worker that makes it."""

    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> torch.Tensor:
        if index == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return torch.zeros(8)


class Gone:
    """Where a worker would have handed a batch over."""

    def detach(self) -> int:
        raise ConnectionResetError(104, "Connection reset by peer")


def test_a_worker_that_was_killed_is_told_in_one_line():
    with pytest.raises(RuntimeError) as caught:
        list(DataLoader(Deadly(), batch_size=None, num_workers=1))
    told = lost_worker(caught.value)
    assert told.startswith("a process that reads batches ahead has ended (")
    assert "data.workers=0" in told


class TooLarge:
    """What shared memory has no room for."""

    def __reduce__(self) -> Any:
        raise RuntimeError(f"unable to allocate {FULL} for file </torch_1>: No space left on device (28)")


def _hand_over(queue: Any) -> None:
    end_when_full()
    queue.put(TooLarge())
    signal.pause()


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork")
def test_one_that_cannot_hand_its_batch_over_ends(capfd):
    """The queue would drop it, and the training wait for it for ever."""
    context = multiprocessing.get_context("fork")
    process = context.Process(target=_hand_over, args=(context.Queue(),), daemon=True)
    process.start()
    process.join(10)
    assert process.exitcode == 1
    assert capfd.readouterr().err == ""


def test_one_that_dies_while_it_hands_a_batch_over_is_told_too():
    with pytest.raises(ConnectionResetError) as caught:
        reductions.rebuild_storage_fd(torch.UntypedStorage, Gone(), 8)
    assert "in the middle of a batch" in lost_worker(caught.value)
    with pytest.raises(ConnectionResetError) as caught:  # of anything else: not of a worker
        Gone().detach()
    assert lost_worker(caught.value) == ""


@pytest.mark.parametrize(
    ("said", "how"),
    [
        ("DataLoader worker (pid 7) is killed by signal: Killed. ", "is killed by signal: Killed"),
        ("DataLoader worker (pid(s) 7, 8) exited unexpectedly", "(exited unexpectedly)"),
        ("DataLoader worker (pid 7) is killed by signal: Bus error. It is possible", "/dev/shm, short?"),
    ],
)
def test_how_it_ended_is_told(said, how):
    assert how in lost_worker(RuntimeError(said))
