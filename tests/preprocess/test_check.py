"""What a person is told of a recording."""

from __future__ import annotations

import re
import warnings as warnings_module

import numpy as np
import pytest

from calcium_lightning.preprocess.bad_frames import Gaps, find_bad_frames
from calcium_lightning.preprocess.bands import find_bands
from calcium_lightning.preprocess.check import Findings, is_stretched, looks_like_dff, motion_line, rate_line
from calcium_lightning.preprocess.field import find_field
from calcium_lightning.preprocess.levels import find_levels

from . import artefacts


def warnings(frames: np.ndarray, kind: str = "raw", **more) -> str:
    survey = artefacts.look(frames)
    view, bad = find_field(survey, True), find_bad_frames(survey, True)
    bands = find_bands(survey, view.field, ~bad.bad)
    found = Findings(survey, kind, view, bad, bands=bands, **more)
    return "\n".join(found.warnings())


def test_nothing_is_said_where_nothing_is_wrong():
    assert warnings(artefacts.make(41).stored()) == ""


@pytest.mark.parametrize("count", [1, 2])
def test_what_changes_from_frame_to_frame_is_nothing_where_there_is_one_frame(count: int) -> None:
    frames = np.tile((np.arange(400) % 200).astype(np.uint8).reshape(1, 20, 20), (count, 1, 1))
    frames[1:, :10] += 1
    with warnings_module.catch_warnings():
        warnings_module.simplefilter("error")
        looked = artefacts.look(frames)
    assert looked.unchanged == (0.0 if count == 1 else 0.5)


def test_each_thing_is_said():
    made = artefacts.make(42)
    artefacts.gone(made, "black")
    artefacts.dead_lines(made, "dead")
    said = warnings(made.stored(), gaps=Gaps(2, 4, 0.2))
    assert "black): left out" in said
    assert "% lines" in said or "no data" in said
    assert "about 4 frames in 2 gaps, the longest 0.2 s" in said
    both = artefacts.make(42).frames * np.resize([1.0, 0.7], 200)[:, None, None]
    assert "2 kinds of frames take turns" in warnings(both.astype(np.uint8))
    assert "take turns" not in warnings(both.astype(np.uint8), kind="dff")


def test_saturation_bleaching_and_bands_are_said():
    made = artefacts.make(43)
    fading = made.frames * np.linspace(1, 0.6, len(made.frames))[:, None, None]
    assert "brightness falls by" in warnings(np.clip(fading, 0, 255).astype(np.uint8))
    assert "saturated" in warnings(np.clip(made.frames * 3.4, 0, 255).astype(np.uint8))
    wave = 8 * np.sin(2 * np.pi * (np.arange(made.size[0]) / 12 + made.random.random((len(made.frames), 1))))
    assert "moving bands along rows" in warnings(
        np.clip(made.frames + wave[:, :, None], 0, 255).astype(np.uint8)
    )


def test_white_frames_saturate_no_pixel():
    made = artefacts.make(43)
    made.frames[40:44] = 255
    said = warnings(made.stored())
    assert "white): left out" in said
    assert "saturated" not in said


def test_a_step_is_said_as_what_it_did():
    """Another light on the tissue scales it; light from elsewhere comes on top."""
    frames = artefacts.make(46).frames
    for factor, added, told in ((0.8, 0, r"factors (\S+)"), (1.0, 30, r"\+(\S+) units")):
        changed = frames.copy()
        changed[120:] = changed[120:] * factor + added
        levels = find_levels(
            changed.mean((1, 2)),
            lambda start, stop, f=changed: f[start:stop],
            np.ones(frames.shape[1:], bool),
        )
        said = warnings(changed.astype(np.uint8), levels=levels)
        found = re.search(rf"1 step of brightness \({told}\): levelled", said)
        assert found is not None, said
        assert float(found[1]) == pytest.approx(added or factor, rel=0.05)


def test_noise_that_repeats_itself_is_said():
    made = artefacts.make(44)
    frames = made.frames.copy()
    for t in range(1, len(frames)):
        frames[t] = 0.5 * frames[t - 1] + 0.5 * frames[t]
    assert "noise repeats itself" in warnings(np.clip(np.rint(frames), 0, 255).astype(np.uint8))


def test_dff_is_told_from_counts():
    made = artefacts.make(45, motion=0.0)
    change = made.frames / made.frames.mean(0) - 1
    assert "below zero" in looks_like_dff(artefacts.look(change.astype(np.float32)))
    low, high = change.min((1, 2), keepdims=True), change.max((1, 2), keepdims=True)
    stretched = artefacts.look(np.rint((change - low) / (high - low) * 255).astype(np.uint8))
    assert is_stretched(stretched)
    assert "stretched" in looks_like_dff(stretched)
    assert looks_like_dff(artefacts.look(made.stored())) == ""
    assert looks_like_dff(artefacts.look(made.frames)) == ""
    # Counts that were stretched one by one keep their picture.
    low, high = made.frames.min((1, 2), keepdims=True), made.frames.max((1, 2), keepdims=True)
    counts = artefacts.look(np.rint((made.frames - low) / (high - low) * 255).astype(np.uint8))
    assert is_stretched(counts)
    assert looks_like_dff(counts) == ""


@pytest.mark.parametrize("kind", ["raw", "dff"])
def test_frames_that_were_stretched_one_by_one_are_said(kind: str) -> None:
    made = artefacts.make(45, motion=0.0)
    low, high = made.frames.min((1, 2), keepdims=True), made.frames.max((1, 2), keepdims=True)
    assert "stretched" in warnings(np.rint((made.frames - low) / (high - low) * 255).astype(np.uint8), kind)
    assert "stretched" not in warnings(made.stored(), kind)


@pytest.mark.parametrize("hot", [(50, 60), (0, 0), (95, 40)])
def test_a_hot_pixel_beside_a_dead_one_stretches_no_frame(hot: tuple[int, int]) -> None:
    made = artefacts.make(45, motion=0.0)
    frames = made.stored()
    frames[:, 20, 30] = frames.min()
    frames[:, *hot] = 255
    assert not is_stretched(artefacts.look(frames))
    frames[7] = 0  # and once the lamp was off
    assert not is_stretched(artefacts.look(frames))


def test_a_frame_rate_that_is_a_frame_interval_is_told():
    assert rate_line(0.05) == "0.05 Hz: a frame each 20 s; if it is the time between frames, give fps=20"
    assert rate_line(2.0) == rate_line(20.0) == ""


def test_motion_is_said_with_what_is_left_of_it():
    shifts = np.tile([[0.0, 3.0], [4.0, 0.0]], (10, 1))
    assert motion_line(np.zeros((5, 2)), None) == ""
    line = motion_line(shifts, 0.2, edge=0.5)
    assert "0.20 px differ over the field" in line
    assert "lens's edge stands still: cells within 0.5 diameters of it are not accepted" in line
    assert motion_line(shifts, 0.2, edge=0.0).endswith("lens's edge stands still")
    assert "lens" not in motion_line(shifts, 0.2)
    assert "patches=[2,2]" in motion_line(shifts, 0.7, diameter=10)
    assert "patches" not in motion_line(shifts, 0.4, diameter=10) + motion_line(shifts, 0.7)
    assert "no motion removed" in motion_line(np.zeros((5, 2)), None, told=False)


def test_values_below_zero_are_no_brightness():
    """A share of what is about 0 says nothing: "brightness falls by 259%"."""
    made = artefacts.make(44)
    fading = made.frames * np.linspace(1, 0.6, len(made.frames))[:, None, None]
    assert "brightness falls by" in warnings(fading.astype(np.float32))
    assert "brightness" not in warnings((fading - fading.mean(0)).astype(np.float32))
