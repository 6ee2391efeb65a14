"""Where activity goes while it is recorded: lines of text, ZeroMQ, Lab Streaming Layer.

Knows frames' activity only. The libraries of the latter two are asked for when they are wanted.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable
from typing import Any, TextIO

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.online.extractor import FrameActivity

Outlet = Callable[[FrameActivity], None]


def lines_to(stream: TextIO) -> Outlet:
    """Lines ``frame,cell,activity``, one a cell, after a line that says so."""
    stream.write("frame,cell,activity\n")

    def tell(told: FrameActivity) -> None:
        stream.write(
            "".join(f"{told.frame},{cell},{value:.3f}\n" for cell, value in enumerate(told.activity))
        )
        stream.flush()

    return tell


def zeromq(address: str) -> Outlet:
    """Publish at ``tcp://…``: a message a frame, of JSON (frame, cells) and the numbers (float32).

    Raises
    ------
    InputError
        If the library is missing, or the address can't be taken.
    """
    try:
        zmq = importlib.import_module("zmq")
    except ImportError as error:
        raise InputError("outlet=tcp://…: ZeroMQ is not installed; pip install pyzmq") from error
    socket: Any = zmq.Context.instance().socket(zmq.PUB)
    try:
        socket.bind(address)
    except zmq.ZMQError as error:
        raise InputError(f"outlet={address}: {error}") from error

    def tell(told: FrameActivity) -> None:
        about = json.dumps({"frame": told.frame, "cells": len(told.activity)}).encode()
        socket.send_multipart([about, np.ascontiguousarray(told.activity).tobytes()])

    return tell


def lab_streaming_layer(channels: int, fps: float) -> Outlet:
    """A stream ``calcium-lightning`` of so many channels; cells that aren't there are nan.

    Raises
    ------
    InputError
        If the library is missing.
    """
    try:
        pylsl = importlib.import_module("pylsl")
    except (ImportError, RuntimeError) as error:
        raise InputError("outlet=lsl: Lab Streaming Layer is not installed; pip install pylsl") from error
    outlet = pylsl.StreamOutlet(pylsl.StreamInfo("calcium-lightning", "Activity", channels, fps, "float32"))

    def tell(told: FrameActivity) -> None:
        sample = np.full(channels, np.nan, np.float32)
        count = min(channels, len(told.activity))
        sample[:count] = told.activity[:count]
        outlet.push_sample(sample)

    return tell
