"""Frames without a picture are found, and no others."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter

from calcium_lightning.preprocess.bad_frames import LEAST_LIKENESS, BadFrames, Gaps, find_bad_frames

from . import artefacts


def bad_of(made: artefacts.Made) -> BadFrames:
    return find_bad_frames(artefacts.look(made.stored()), raw=True)


@pytest.mark.parametrize("seed", [21, 22])
def test_a_sound_recording_loses_no_frame(seed):
    made = artefacts.make(seed)
    assert not bad_of(made).bad.any()
    relative = (made.frames / made.frames.mean(0) - 1).astype(np.float32)
    assert not find_bad_frames(artefacts.look(relative), raw=False).bad.any()


@pytest.mark.parametrize("kind", ["rolled", "sideways", "other", "noise", "black part", *artefacts.LOST])
@pytest.mark.parametrize("seed", [21, 22])
def test_torn_frames(seed, kind):
    made = artefacts.make(seed)
    hit = artefacts.torn(made, kind)
    found = bad_of(made)
    np.testing.assert_array_equal(found.kinds["torn"], hit)
    np.testing.assert_array_equal(found.bad, hit)
    assert str(found) == "4 torn"


@pytest.mark.parametrize("times", [2, 3])
def test_frames_that_were_enlarged_by_repeating_pixels(times: int) -> None:
    """Each line is there several times, and differs by nothing from itself."""
    made = artefacts.make(21)

    def found() -> np.ndarray:
        enlarged = made.stored().repeat(times, 1).repeat(times, 2)
        return find_bad_frames(artefacts.look(enlarged), raw=True).bad

    assert not found().any()
    hit = artefacts.torn(made, "rolled")
    np.testing.assert_array_equal(found(), hit)


def test_frames_of_a_single_row_are_looked_at_without_a_warning() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert artefacts.look(np.arange(400, dtype=np.uint8).reshape(10, 1, 40)).n_frames == 10


@pytest.mark.parametrize("rows", [6.73, 9.6])
@pytest.mark.parametrize("first", [40, 110, 0])
def test_stripes_that_last_are_found_and_said_where_all_frames_have_them(rows: float, first: int) -> None:
    """No frame stands out of its neighbours then, nor any row of its frame."""
    made = artefacts.make(21)
    hit = (np.arange(len(made.frames)) >= first) & (np.arange(len(made.frames)) < first + 80)
    hit |= first == 0
    artefacts.striped(made, hit, rows)
    found = bad_of(made)
    if hit.all():
        assert not found.bad.any()
        assert list(found.usual) == ["striped"]
        assert found.usual["striped"] > 0.95
    else:
        np.testing.assert_array_equal(found.kinds["torn"], hit)


@pytest.mark.parametrize("kind", ["rolled", "sideways", "noise", "black part", *artefacts.LOST])
@pytest.mark.parametrize("seed", [21, 22])
def test_torn_frames_among_moving_bands(seed, kind):
    """As of wireless miniscopes: neighbouring rows differ by seven units in every frame."""
    made = artefacts.make(seed)
    artefacts.bands(made, strength=7, width=1.5)
    hit = artefacts.torn(made, kind)
    np.testing.assert_array_equal(bad_of(made).kinds["torn"], hit)


@pytest.mark.parametrize("kind", ["sideways", "other", "noise", *artefacts.LOST])
@pytest.mark.parametrize("seed", [21, 22])
def test_torn_frames_of_relative_fluorescence(seed, kind):
    """Nothing is black there, but a seam is a seam."""
    made = artefacts.make(seed)
    hit = artefacts.torn(made, kind)
    relative = (made.frames / made.frames.mean(0) - 1).astype(np.float32)
    np.testing.assert_array_equal(find_bad_frames(artefacts.look(relative), raw=False).kinds["torn"], hit)


@pytest.mark.parametrize("seed", [21, 22])
def test_where_no_picture_lasts_none_is_another(seed):
    """Percents, whose surroundings brighten and darken as a whole: now and then a frame is like no other."""
    made = artefacts.make(seed)
    picture = gaussian_filter(made.random.normal(size=made.size), 12)
    together = np.where(np.arange(len(made.frames)) % 20 < 17, 1.0, -1.0)
    change = 100 * (made.frames / made.frames.mean(0) - 1)
    change += 40 * together[:, None, None] * picture / picture.std()
    for frames in (change.astype(np.float32), np.clip(128 + change, 0, 255).astype(np.uint8)):
        survey = artefacts.look(frames)
        assert np.median(survey.likeness) > LEAST_LIKENESS
        assert not find_bad_frames(survey, raw=True).bad.any()


@pytest.mark.parametrize("seed", [21, 22])
def test_cells_far_above_the_noise_of_a_small_field_tear_no_frame(seed):
    made = artefacts.make(seed, size=(36, 40), cells=6, noise=0.05)
    assert not find_bad_frames(artefacts.look(made.frames), raw=True).bad.any()


@pytest.mark.parametrize("kind", list(artefacts.LOST))
def test_lines_of_a_recording_that_was_turned(kind):
    made = artefacts.make(21)
    hit = artefacts.torn(made, kind)
    turned = np.ascontiguousarray(made.stored().transpose(0, 2, 1))
    np.testing.assert_array_equal(find_bad_frames(artefacts.look(turned), raw=True).kinds["torn"], hit)


@pytest.mark.parametrize("seed", [21, 22])
@pytest.mark.parametrize("strength", [0, 7])
@pytest.mark.parametrize("every", [7, 40])
def test_bands_and_a_sparkling_pixel_tear_no_frame(seed, strength, every):
    made = artefacts.make(seed)
    artefacts.bands(made, strength, width=1.5)
    for frame in made.frames[::every]:
        frame[tuple(made.random.integers(0, made.size))] = 255
    assert not bad_of(made).bad.any()


@pytest.mark.parametrize("kind", ["black", "white", "repeated"])
@pytest.mark.parametrize("seed", [23, 24])
def test_frames_without_a_picture(seed, kind):
    made = artefacts.make(seed)
    hit = artefacts.gone(made, kind)
    found = bad_of(made)
    np.testing.assert_array_equal(found.bad, hit)
    np.testing.assert_array_equal(found.kinds[kind] | (found.kinds["repeated"] & hit), hit)


@pytest.mark.parametrize("noise", [0, 1])
@pytest.mark.parametrize("length", [34, 60])
def test_frames_beside_a_lamp_that_was_off_are_sound(noise, length):
    """However many of those that are looked at together are black."""
    made = artefacts.make(25)
    dark = slice(66, 66 + length)
    made.frames[dark] = made.random.normal(2 * noise, noise, made.frames[dark].shape)
    found = bad_of(made)
    assert np.flatnonzero(found.kinds["black"]).tolist() == list(range(200))[dark]
    np.testing.assert_array_equal(found.bad, found.kinds["black"])


def test_a_flash_that_saturates_nothing():
    made = artefacts.make(25)
    made.frames[70:72] += 90
    assert np.flatnonzero(bad_of(made).kinds["white"]).tolist() == [70, 71]


def test_flicker_and_steps_and_dim_light_are_pictures():
    made = artefacts.make(25)
    made.frames[::2] *= 1.15
    made.frames[120:] *= 0.4
    assert not bad_of(made).bad.any()


@pytest.mark.parametrize("times", [2, 3, 7])
def test_each_frame_several_times(times):
    """A slow camera in a fast file: whatever is left is new, and its noise is told."""
    made = artefacts.make(25)
    sound = artefacts.look(made.stored()[::times])
    for place in range(times):
        made.frames[place::times] = made.frames[::times][: len(made.frames[place::times])]
    found = bad_of(made)
    again = np.arange(len(made.frames)) % times > 0
    np.testing.assert_array_equal(found.kinds["repeated"], again)
    np.testing.assert_array_equal(found.bad, again)
    assert found.new == 1 - again.mean()
    assert not found.usual
    look = artefacts.look(made.stored())
    assert np.median(look.noise) == pytest.approx(np.median(sound.noise), rel=0.1)
    np.testing.assert_allclose(look.mean, sound.mean, atol=3)


def test_a_codec_repeats_most_of_them_exactly():
    made = artefacts.make(25)
    made.frames[1::2] = made.frames[::2]
    made.frames[1::6] += np.random.default_rng(1).normal(0, 0.3, made.frames[1::6].shape)
    stored = made.stored()
    look = artefacts.look(stored)
    assert not look.repeated[1::6].any()
    np.testing.assert_array_equal(find_bad_frames(look, raw=True).bad, np.arange(len(stored)) % 2 == 1)


def test_a_codec_that_repeats_none_exactly_repeats_all_the_same():
    made = artefacts.make(25)
    made.frames[1::2] = made.frames[::2]
    stored = made.stored()
    stored[1::2] += (np.random.default_rng(1).random(stored[1::2].shape) < 0.01).astype(np.uint8)
    look = artefacts.look(stored)
    assert not look.repeated.any()
    found = find_bad_frames(look, raw=True)
    np.testing.assert_array_equal(found.kinds["repeated"], np.arange(len(stored)) % 2 == 1)
    assert found.new == 0.5


def test_repeats_that_are_accidents_change_no_rate():
    made = artefacts.make(25)
    made.frames[1:60:4] = made.frames[:60:4]
    found = bad_of(made)
    assert found.kinds["repeated"].sum() == 15
    assert found.new == 1


def test_a_few_frames_that_are_all_the_same_are_kept():
    made = artefacts.make(25)
    made.frames[1:9] = made.frames[0]
    found = find_bad_frames(artefacts.look(made.stored()[:9]), raw=True)
    assert not found.bad.any()
    assert found.usual["repeated"] == 8 / 9


def test_where_next_to_nothing_is_new_it_is_said_and_left():
    made = artefacts.make(25)
    made.frames[1:] = made.frames[0]
    made.frames[100:] += 20
    found = bad_of(made)
    assert not found.bad.any()
    assert found.usual["repeated"] > 0.98


def test_what_is_known_is_kept():
    made = artefacts.make(25)
    known = np.arange(len(made.frames)) == 9
    found = find_bad_frames(artefacts.look(made.stored()), raw=True, known=known)
    np.testing.assert_array_equal(found.bad, known)
    assert str(found) == "1 missing"


def test_a_black_recording_keeps_its_frames():
    assert not find_bad_frames(artefacts.look(np.zeros((50, 30, 32), np.uint8)), raw=True).bad.any()


def test_gaps_of_time_stamps():
    stamps = np.delete(np.arange(100) / 20, [30, 31, 32, 60])
    assert Gaps.of(stamps) == Gaps(2, 4, pytest.approx(0.2))
    assert Gaps.of(np.arange(100) / 20).count == 0
    assert Gaps.of(np.zeros(1)).count == 0


@pytest.mark.parametrize(("kind", "share"), [("noise", 0.3), ("noise", 0.5), ("rolled", 0.08)])
def test_torn_frames_are_found_many_as_they_are(kind, share):
    """Half of the frames are enough for the cells, and tell what a sound one is like."""
    made = artefacts.make(26)
    random = np.random.default_rng(4)
    hit = random.random(len(made.frames)) < share
    for t in np.flatnonzero(hit):
        top = random.integers(10, 80)
        if kind == "noise":
            made.frames[t, top : top + 2] = random.uniform(0, 255, (2, made.size[1]))
        else:
            made.frames[t] = np.roll(made.frames[t], top, axis=0)
    found = bad_of(made)
    np.testing.assert_array_equal(found.kinds["torn"], hit)
    assert not found.usual


@pytest.mark.parametrize("taken_off", ["", "mean", "relative"])
@pytest.mark.parametrize("still", [0.0, 0.7])
def test_empty_borders_that_registration_leaves_are_not_torn(still, taken_off):
    """In most of the frames, and in some; along both axes, and as wide as the tissue moved."""
    made = artefacts.make(27)
    random = np.random.default_rng(5)
    walk = gaussian_filter(random.normal(size=(len(made.frames), 2)), (12, 0))
    moved = np.rint((1.0 if taken_off else 2.5) * walk / walk.std()).astype(int)
    moved[random.random(len(moved)) < still] = 0
    moved += bool(taken_off)  # so that the outermost lines show something now and then only
    for frame, (down, right) in zip(made.frames, moved, strict=True):
        frame[: max(down, 0)] = frame[len(frame) + min(down, 0) :] = 0
        frame[:, : max(right, 0)] = frame[:, frame.shape[1] + min(right, 0) :] = 0
    if taken_off:
        mean = made.frames.mean(0)
        made.frames[:] = made.frames - mean if taken_off == "mean" else made.frames / np.maximum(mean, 1) - 1
    survey = artefacts.look(made.frames if taken_off else made.stored())
    assert not find_bad_frames(survey, raw=not taken_off).bad.any()


@pytest.mark.parametrize("count", [1, 4, 12])
def test_numbers_that_no_camera_gives_are_no_crash(count: int) -> None:
    """Damaged floats: sums of their squares are infinite, and so is what is usual."""
    frames = artefacts.make(3, count=12).frames
    frames[:count, 5, 7] = 1e35
    found = find_bad_frames(artefacts.look(frames), raw=True)
    assert found.bad.shape == (12,)
    assert not found.bad[count:].any()
