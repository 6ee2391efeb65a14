import numpy as np
import pytest

from calcium_lightning.io.readers.clock import clock, fill, gaps, rate_of, repair_first


def test_the_rate_is_that_of_all_frames_but_the_pauses():
    steps = np.tile([0.033, 0.033, 0.034], 100)
    steps[77] = 30.0
    assert rate_of(np.cumsum(steps)) == pytest.approx(30, rel=1e-4)


def test_a_late_frame_is_no_gap_and_lost_frames_are():
    times = np.arange(40) * 0.05
    late = times.copy()
    late[17] += 0.045
    assert not gaps(late).any()
    lost = np.delete(times, [20, 21])
    assert gaps(lost).nonzero()[0].tolist() == [20]


def test_a_gap_is_counted_and_kept_in_the_times():
    times = np.delete(np.arange(40) * 0.05, slice(20, 26))
    found = clock(times)
    np.testing.assert_allclose(found.times, times)
    assert found.after_gap.nonzero()[0].tolist() == [20]
    assert "1 gap in the time stamps, about 6 frames' time is missing" in found.notes[0]


def test_a_clock_that_begins_again_goes_on():
    times = np.concatenate([np.arange(20), np.arange(15)]) * 0.05
    found = clock(times)
    np.testing.assert_allclose(found.times, np.arange(35) * 0.05)
    assert "began again 1 time" in found.notes[0]
    assert not found.after_gap.any()


def test_a_clock_of_32_bits_runs_over():
    times = (2**32 - 475 + np.arange(40) * 50) % 2**32 / 1e3
    np.testing.assert_allclose(np.diff(clock(times).times), 0.05, rtol=1e-4)


def test_two_stamps_that_changed_places():
    times = np.arange(10) * 0.05
    times[[4, 5]] = times[[5, 4]]
    assert (np.diff(clock(times).times) > 0).all()


def test_unix_time_is_kept_as_the_start():
    found = clock(1663592608.635 + np.arange(10) * 0.05)
    assert found.start == pytest.approx(1663592608.635)
    np.testing.assert_allclose(found.times, np.arange(10) * 0.05, atol=1e-6)


def test_missing_stamps_are_estimated_and_said():
    times = np.arange(10) * 0.05
    times[[0, 1, 5, 9]] = np.nan
    found = clock(times)
    np.testing.assert_allclose(found.times, np.arange(10) * 0.05, atol=1e-12)
    assert "4 of 10 time stamps are missing" in found.notes[0]
    np.testing.assert_allclose(fill(times), np.arange(10) * 0.05, atol=1e-12)


def test_good_times_stay():
    times = np.array([0.0, 0.05, 0.1, 0.4, 0.45])
    assert np.array_equal(repair_first(times), times)
    assert np.array_equal(repair_first(times[:2]), times[:2])


def test_one_stamp_far_off_is_a_glitch_and_the_clock_goes_on():
    times = np.arange(100) * 0.05
    for value in (1e6, -1e6):
        broken = times.copy()
        broken[30] = value
        mended = clock(broken)
        assert np.allclose(mended.times, times)
        assert not mended.after_gap.any()
        assert mended.notes == ("1 time stamp far off the others is estimated from them",)
    pause = times.copy()
    pause[30:] += 100
    assert clock(pause).after_gap.nonzero()[0].tolist() == [30]
