import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from calcium_lightning.core.errors import InputError
from calcium_lightning.nn.windows import WindowSettings, edge_pad, take_windows, window_weights

FPS = st.floats(1, 120)
SETTINGS = st.builds(
    WindowSettings,
    taps=st.integers(1, 10).map(lambda n: 2 * n + 1),
    seconds=st.floats(0.05, 4),
)


@given(FPS, SETTINGS)
def test_rows_average_and_mirror(fps, window):
    weights = window_weights(fps, window)
    assert weights.shape[0] == window.taps
    assert weights.shape[1] % 2 == 1
    torch.testing.assert_close(weights.sum(1), torch.ones(window.taps))
    torch.testing.assert_close(weights, weights.flip(0, 1), atol=1e-5, rtol=0)
    assert (weights >= 0).all()
    middle = torch.zeros(weights.shape[1])
    middle[weights.shape[1] // 2] = 1
    assert torch.equal(weights[window.taps // 2], middle)


@given(FPS, SETTINGS)
def test_a_ramp_in_time_gives_the_taps_times(fps, window):
    """The centre of mass of each tap is where it should be in time, whatever the frame rate."""
    weights = window_weights(fps, window).double()
    offsets = torch.arange(weights.shape[1]) - weights.shape[1] // 2
    times = (weights * offsets).sum(1) / fps
    expected = torch.linspace(-window.seconds / 2, window.seconds / 2, window.taps)
    # A frame that a box covers by a share p counts at its own centre: p (1 - p) / 2 frames too far out.
    torch.testing.assert_close(times, expected.double(), atol=0.126 / fps, rtol=0)


@given(FPS, SETTINGS)
def test_the_blind_spot_hides_the_middle_frame(fps, window):
    hidden = WindowSettings(window.taps, window.seconds, blind_spot=True)
    try:
        weights = window_weights(fps, hidden)
    except InputError:
        return
    assert (weights[:, weights.shape[1] // 2] == 0).all()
    rest = np.delete(weights.sum(1).numpy(), window.taps // 2)
    np.testing.assert_allclose(rest, 1, atol=1e-5)


@pytest.mark.parametrize(("fps", "span"), [(5, 7), (20, 23), (30, 33)])
def test_spans(fps, span):
    assert window_weights(fps, WindowSettings()).shape == (11, span)


@settings(max_examples=20)
@given(st.integers(1, 40), FPS, SETTINGS)
def test_windows_agree_with_a_plain_loop(count, fps, window):
    weights = window_weights(fps, window)
    span = weights.shape[1]
    frames = torch.randn(count + span - 1, 2, 3, generator=torch.Generator().manual_seed(count))
    windows = take_windows(frames, weights)
    assert windows.shape == (count, window.taps, 2, 3)
    for i in (0, count // 2, count - 1):
        expected = torch.einsum("ks,syx->kyx", weights, frames[i : i + span])
        torch.testing.assert_close(windows[i], expected, atol=1e-4, rtol=1e-4)


def test_edges_repeat():
    frames = torch.arange(3.0)[:, None, None]
    assert edge_pad(frames, 2, 1).flatten().tolist() == [0, 0, 0, 1, 2, 2]
    assert edge_pad(frames, 0, 0) is frames


@pytest.mark.parametrize("bad", [{"taps": 4}, {"taps": 0}, {"seconds": 0}, {"taps": 1, "blind_spot": True}])
def test_what_is_not_a_window_is_refused(bad):
    with pytest.raises(InputError, match="window"):
        WindowSettings(**bad)
