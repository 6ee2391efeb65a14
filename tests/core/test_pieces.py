"""Pieces on all cores: in order, by as many threads as Torch had, and one of Torch's in each."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest
import torch

from calcium_lightning.core.pieces import cores, in_order, on_all_cores


@pytest.fixture
def three_threads() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(3)
    yield
    torch.set_num_threads(before)


def test_pieces_come_in_order_from_several_threads_at_a_time(three_threads: None):
    meeting = threading.Barrier(3, timeout=10)  # passed only by three that work at the same time

    def piece(number: int) -> tuple[int, int]:
        meeting.wait()
        return number, torch.get_num_threads()

    with on_all_cores():
        assert (cores(), torch.get_num_threads()) == (3, 1)
        assert list(in_order(piece, range(9))) == [(number, 1) for number in range(9)]
    assert (cores(), torch.get_num_threads()) == (1, 3)


def test_elsewhere_pieces_are_done_by_the_thread_that_asks(three_threads: None):
    def name(_: int) -> str:
        return threading.current_thread().name

    here = threading.current_thread().name
    assert set(in_order(name, range(4))) == {here}
    with on_all_cores("meta"):
        assert set(in_order(name, range(4))) == {here}


def test_the_mode_of_the_thread_that_asks_holds_in_the_pieces(three_threads: None):
    with on_all_cores(), torch.inference_mode():
        assert all(in_order(lambda _: torch.is_inference_mode_enabled(), range(4)))


def test_a_failure_comes_out_and_what_follows_is_not_begun(three_threads: None):
    begun = []

    def piece(number: int) -> None:
        begun.append(number)
        raise ValueError(f"piece {number}")

    with on_all_cores(), pytest.raises(ValueError, match="piece 0"):
        list(in_order(piece, range(100)))
    assert len(begun) <= 4
