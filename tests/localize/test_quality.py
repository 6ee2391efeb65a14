"""What a cell shows, and which are accepted for it."""

from __future__ import annotations

import numpy as np
import pytest

from calcium_lightning.localize.activity import Activity
from calcium_lightning.localize.judge import judge
from calcium_lightning.localize.quality import QualitySettings, accept, likeness, measure
from calcium_lightning.localize.trace_statistics import TraceStatistics, falling, lasting


def properties(statistics: TraceStatistics, n_frames: int, **given: np.ndarray) -> dict[str, np.ndarray]:
    """Quality of cells that are round and in focus, unless something else is given."""
    count = len(statistics)
    shape = {"width": np.ones(count), "elongation": np.ones(count), "compactness": np.full(count, 0.97)}
    other = {
        "consistency": np.full(count, 0.9),
        "focus": np.full(count, 6.0),
        "localizations": np.ones(count),
        "coincidence": np.ones(count),
    }
    other |= given
    return measure(
        statistics,
        other["consistency"],
        other["focus"],
        shape,
        other["localizations"],
        other["coincidence"],
        n_frames,
        np.ones(count),
        np.zeros(count),
    )


def statistics_of(denoised: np.ndarray, noise: float = 1.0, seed: int = 0) -> TraceStatistics:
    noisy = denoised + noise * np.random.default_rng(seed).normal(size=denoised.shape)
    return TraceStatistics.of(Activity(noisy, denoised, denoised, np.full(len(denoised), noise)), 20.0)


def test_better_cells_score_higher_and_are_accepted():
    time = np.arange(600)
    traces = np.stack([strength * np.exp(-(time % 150) / 10) for strength in (0.5, 2, 12)])
    consistency, localized = np.array([0.2, 0.6, 0.95]), np.array([0, 3, 60])
    quality = properties(statistics_of(traces), 600, consistency=consistency, localizations=localized)
    quality, accepted, chance = judge(quality, np.zeros((3, 2)), None, np.zeros((0, 2)))
    assert (chance.basis, chance.targets, chance.decoys) == ("simulations", 3, 0)
    assert (np.diff(quality["score"]) > 0).all()
    assert (np.diff(quality["fdr"]) <= 0).all()
    assert ((quality["score"] >= 0) & (quality["score"] <= 1)).all()
    np.testing.assert_allclose(quality["snr"], [0.5, 2, 12])
    np.testing.assert_allclose(quality["localized"], [0, 0.005, 0.1], rtol=1e-6)
    np.testing.assert_allclose(quality["evidence"], np.sqrt((traces**2).sum(1)), rtol=1e-5)
    assert (accepted[0], accepted[2]) == (False, True)
    np.testing.assert_array_equal(accepted, accept(quality))
    assert not accept(quality, QualitySettings(snr=20)).any()
    assert accept(quality, QualitySettings(contrast=2.5)).sum() <= accept(quality).sum()
    assert accept(
        quality, QualitySettings(fdr=1, score=0, contrast=0, snr=0, consistency=-1, focus=0, localizations=0)
    ).all()
    assert not accept(quality, QualitySettings(fdr=1e-9)).any()
    wide = {**quality, "width": np.full(3, 3.0)}
    assert not accept(wide).any()
    np.testing.assert_array_equal(likeness(wide), likeness(quality))  # widths are a test of their own
    for name in ("consistency", "focus", "skewness"):
        dull = {**quality, name: quality[name] - 0.1}
        assert (likeness(dull) < likeness(quality)).all()
    assert all(values.dtype == np.float32 for values in quality.values())


@pytest.mark.parametrize(
    ("name", "just", "less"),
    [
        ("fdr", 0.05, 0.051),
        ("score", 0.4, 0.39),
        ("contrast", 1.5, 1.49),
        ("snr", 1.0, 0.99),
        ("consistency", 0.3, 0.29),
        ("focus", 1.9, 1.89),
        ("width", 0.45, 0.44),
        ("width", 2.2, 2.21),
        ("compactness", 0.7, 0.69),
        ("localizations", 1, 0),
    ],
)
def test_every_test_of_acceptance_rejects_by_itself(name, just, less):
    good = {"fdr": 0, "score": 1, "contrast": 9, "snr": 9, "consistency": 1, "focus": 9, "width": 1}
    quality = {key: np.array([value, value], float) for key, value in {**good, "localizations": 9}.items()}
    quality[name] = np.array([just, less])
    assert accept(quality).tolist() == [True, False]


def test_what_frames_show_needs_less_contrast_in_dff_sessions():
    good = {"fdr": 0, "score": 1, "snr": 9, "consistency": 1, "focus": 9, "width": 1, "localizations": 9}
    quality = {key: np.full(4, value, float) for key, value in good.items()}
    quality["contrast"] = np.array([3.5, 3.4, 3.4, 2.4])
    assert accept(quality, kind="dff").tolist() == [True, False, False, False]  # an older file doesn't tell
    quality["coincidence"] = np.array([0, 0.5, 0.6, 1])
    assert accept(quality, kind="dff").tolist() == [True, False, True, False]
    assert accept(quality, QualitySettings(contrast=3.5), "dff").tolist() == [True, False, False, False]
    assert accept(quality).all()


def test_the_dark_between_transients_of_busy_cells_is_no_chance():
    time, random = np.arange(1200), np.random.default_rng(3)
    busy = np.stack([20 * (1 + np.sin(time / 40 + phase)) for phase in random.uniform(0, 6, 9)])
    dim = 8 * np.exp(-(time % 300) / 20)[None]
    among_busy = statistics_of(np.concatenate([dim, busy])).contrast[0]
    alone = statistics_of(dim).contrast[0]
    assert 1.5 < among_busy < alone
    still = statistics_of(np.zeros((9, 1200)))
    np.testing.assert_allclose(still.contrast, 1, atol=0.5)  # noise is all that chance can be


def test_a_twin_of_shadows_alone_leaves_few_cells_to_the_simulations():
    """One false cell that can't be ruled out is more than 5 % of seven, and less of thirty."""
    traces = 12 * np.exp(-(np.arange(600) % 150) / 10)
    for count, basis in ((7, "simulations"), (30, "twin")):
        centers = 20.0 * np.arange(count)[:, None] * np.ones(2)
        bright, faint = (
            properties(
                statistics_of(np.tile(strength * traces, (count, 1))),
                600,
                consistency=np.full(count, consistency),
                localizations=np.full(count, localized),
            )
            for strength, consistency, localized in ((1.0, 0.95, 60), (0.05, 0.2, 3))
        )
        _, accepted, chance = judge(bright, centers, faint, centers + 1)
        assert chance.basis == basis
        assert accepted.all()
        _, _, chance = judge(bright, centers, faint, centers + 10)  # decoys of their own
        assert chance.basis == basis
        shown = np.arange(count) > 2
        np.testing.assert_array_equal(judge(bright, centers, faint, centers + 1, shown=shown)[1], shown)


def test_what_a_lens_edge_does_tells_nothing_of_cells_elsewhere():
    """Its flicker is as bright as cells, and there is as much of it in the twin."""
    count, traces = 30, 12 * np.exp(-(np.arange(600) % 150) / 10)
    places = 20.0 * np.arange(2 * count)[:, None] * np.ones(2)
    bright = properties(statistics_of(np.tile(traces, (2 * count, 1))), 600)
    # Nine faint decoys lie elsewhere.
    flicker = properties(
        statistics_of(np.concatenate([np.tile(2 * traces, (count, 1)), np.tile(0.05 * traces, (9, 1))])),
        600,
        consistency=np.repeat([0.9, 0.2], [count, 9]),
        localizations=np.repeat([60, 3], [count, 9]),
    )
    edge = np.repeat([3.0, 0.3], count)
    at = np.concatenate([places[count:] + 9, places[:9] + 9])
    twin_edge = np.repeat([0.3, 3.0], [count, 9])
    _, together, _ = judge(bright, places, flicker, at)
    _, apart, chance = judge({**bright, "edge": edge}, places, {**flicker, "edge": twin_edge}, at)
    assert not together.any()
    np.testing.assert_array_equal(apart, edge > 1)
    assert (chance.targets, chance.decoys) == (2 * count, count + 9)
    assert chance.expected_false < 1
    # Where the tissue moves by two diameters, the edge reaches as far as those.
    moving = judge({**bright, "edge": edge}, places, {**flicker, "edge": twin_edge}, at, motion=2.0)
    assert not moving[1].any()


def test_cells_at_a_lens_edge_are_taken_where_that_is_asked_for():
    quality = properties(statistics_of(np.tile(12 * np.exp(-(np.arange(600) % 150) / 10), (4, 1))), 600)
    quality |= {"fdr": np.zeros(4), "score": np.ones(4), "edge": np.array([0.0, 0.49, 0.5, np.nan])}
    np.testing.assert_array_equal(accept(quality), [False, False, True, True])
    assert accept(quality, QualitySettings(edge=0.0)).all()


def test_where_noise_wanders_a_cell_stands_out_of_it():
    """Its blobs have the looks of cells: there are as many of them in the twin, and none as bright."""
    random, time = np.random.default_rng(0), np.arange(600)
    decay = np.exp(-(time % 150) / 10)
    strength = np.concatenate([np.full(20, 30.0), random.uniform(3, 6, 20)])
    alike = {"consistency": np.full(40, 0.9), "localizations": np.full(40, 60)}
    found = properties(statistics_of(strength[:, None] * decay), 600, **alike)
    twin = statistics_of(strength[20:, None] * decay, seed=1)
    alike = {name: values[:20] for name, values in alike.items()}
    chance = properties(twin, 600, **alike)
    apart = 20.0 * np.arange(40)[:, None] * np.ones(2)
    told = {wander: judge(found, apart, chance, apart[20:] + 10, wander=wander)[1] for wander in (1.0, 3.0)}
    np.testing.assert_array_equal(told[3.0], np.arange(40) < 20)
    assert told[1.0][20:].any() or not told[1.0][:20].all()  # looks alone don't tell them apart


def test_where_noise_wanders_what_ends_as_it_began_is_no_cell():
    """What an encoder leaves until it codes the place anew is as far out of noise as cells are."""
    time, random = np.arange(600) % 150, np.random.default_rng(0)
    cell, left = np.exp(-time / 12), (time < 12).astype(float)
    strength = np.concatenate([random.uniform(10, 20, 20), random.uniform(5, 10, 40)])[:, None]
    found = statistics_of(strength[:40] * np.repeat([cell, left], 20, axis=0))
    quality = properties(found, 600, localizations=np.full(40, 60))
    twin = properties(statistics_of(strength[40:] * left, seed=1), 600, localizations=np.full(20, 60))
    apart = 20.0 * np.arange(40)[:, None] * np.ones(2)

    def accepted(quality: dict, twin: dict) -> np.ndarray:
        return judge(quality, apart, twin, apart[20:] + 10, wander=3.0)[1]

    assert accepted(quality, twin)[:20].mean() > 0.8
    assert not accepted(quality, twin)[20:].any()
    alike = {"falling": np.ones(40)}
    assert not accepted(quality | alike, twin | {"falling": np.ones(20)}).any()


@pytest.mark.parametrize(("by_place", "beside", "tells"), [(9, 0, False), (12, 0, True), (12, 3, False)])
def test_what_comes_back_with_the_place_tells_how_many_others_are_no_cells(by_place, beside, tells):
    """Of twenty that a codec makes some are seen to be none, and the twin doesn't hold any.

    Of few it is no rule, and what lies beside a stronger cell is a piece of it.
    """
    decay = np.exp(-(np.arange(600) % 150) / 12)
    strength = np.concatenate([np.full(20, 30.0), np.full(20, 10.0)])
    found = properties(statistics_of(strength[:, None] * decay), 600, localizations=np.repeat([60, 9], 20))
    found["revisits"] = np.zeros(40)
    found["revisits"][20 : 20 + by_place] = 0.6
    weak = properties(statistics_of(np.full((20, 1), 1.0) * decay, seed=1), 600, consistency=np.full(20, 0.3))
    weak["revisits"] = np.zeros(20)
    apart = 20.0 * np.arange(40)[:, None] * np.ones(2)
    places = apart.copy()
    if beside:
        places[20 : 20 + by_place] = apart[:by_place] + beside
    _, accepted, told = judge(found, places, weak, apart[20:] + 10)
    others = np.arange(40) >= 20 + by_place
    assert accepted[:20].all()
    assert not accepted[20 : 20 + by_place].any()
    assert accepted[others].mean() < 0.3 if tells else accepted[others].all()
    assert (told.targets, told.decoys) == (40, 20)


def test_the_twin_is_as_bright_as_the_recording_makes_it():
    quiet, loud = (statistics_of(np.zeros((40, 1200)), noise) for noise in (1.0, 3.0))
    np.testing.assert_allclose(loud.contrast_over(loud.chance), loud.contrast)
    np.testing.assert_allclose(np.median(quiet.contrast_over(loud.chance)), 1 / 3, rtol=0.2)


def test_contrast_is_about_one_for_noise_whatever_it_is_like():
    random = np.random.default_rng(0)
    noise = random.normal(size=(40, 1200)) * random.uniform(1, 50)

    def contrast(traces: np.ndarray) -> np.ndarray:
        return TraceStatistics.of(Activity(traces, traces, traces, traces.std(1)), 20.0).contrast

    found = contrast(noise)
    np.testing.assert_allclose(np.median(found), 1, atol=0.15)
    np.testing.assert_allclose(contrast(1000 * noise), found)  # no units
    flashing = noise.copy()
    flashing[3, 400:430] += 10 * noise.std()
    assert contrast(flashing)[3] > 4


def test_localisations_are_counted_per_frame():
    """What comes by chance in a minute comes five times in five minutes, and is no better a cell for it."""
    trace = 5 * np.exp(-(np.arange(6000)[None] % 150) / 10)
    one = np.ones(1)

    def scored(localizations: int, n_frames: int) -> float:
        statistics = statistics_of(trace)
        return float(likeness(properties(statistics, n_frames, localizations=localizations * one))[0])

    assert scored(6, 6000) < scored(6, 1200) < scored(60, 1200)
    assert scored(6, 1200) == pytest.approx(scored(30, 6000))


def flashing(fps: float, seconds: float, decay_s: float = 0.6) -> tuple[float, float]:
    """How long transients last, and flashes of some seconds, which are fitted with transients."""
    time = np.arange(int(40 * fps)) / fps
    since = time % 10
    fitted = 30 * np.exp(-since / decay_s)
    flashes = np.where(since < seconds - 1e-9, 30.0, 0.0)
    noise = np.random.default_rng(1).normal(size=(2, len(time)))
    traces = np.stack([fitted, flashes]) + noise
    calcium, flash = lasting(Activity(traces, np.stack([fitted] * 2), np.zeros((2, 1)), np.ones(2)), fps)
    return float(calcium), float(flash)


@pytest.mark.parametrize(("fps", "frames"), [(10, 1), (20, 1), (20, 3), (30, 4)])
def test_a_flash_of_a_few_frames_is_no_calcium(fps: float, frames: int) -> None:
    calcium, flash = flashing(fps, frames / fps)
    assert calcium == pytest.approx(1, abs=0.1)
    assert abs(flash) < 0.1
    quality = {"lasting": np.array([calcium, flash, np.nan])} | {
        name: np.full(3, value)
        for name, value in {
            "fdr": 0,
            "score": 1,
            "contrast": 9,
            "snr": 9,
            "consistency": 1,
            "focus": 9,
        }.items()
    }
    quality |= {"width": np.ones(3), "localizations": np.full(3, 9)}
    assert accept(quality).tolist() == [True, False, True]
    assert accept(quality, QualitySettings(lasting=-1)).all()


def test_how_long_a_flash_lasts_is_unknown_where_transients_are_as_short():
    assert flashing(5, 0.2, decay_s=0.1) == (1, 1)  # a frame's time, and less than half is left in the next
    dim = np.random.default_rng(0).normal(size=(1, 400))
    assert lasting(Activity(dim, np.abs(dim), dim, np.ones(1)), 20) == 1
    assert lasting(Activity(dim[:, :1], dim[:, :1], dim, np.ones(1)), 20) == 1
    assert lasting(Activity(dim[:0], dim[:0], dim[:0], np.ones(0)), 20).shape == (0,)


@pytest.mark.parametrize("fps", [5.0, 10.0, 20.0, 30.0])
def test_calcium_falls_more_slowly_than_it_rises(fps: float) -> None:
    since = np.arange(int(60 * fps)) / fps % 10
    noise = np.random.default_rng(2).normal(size=(40, len(since)))
    traces = noise[:2] + np.stack([30 * np.exp(-since / 0.6), 30.0 * (since < 1)])
    calcium, left = falling(traces, fps)
    assert calcium < 0.5
    assert left == pytest.approx(1, abs=0.15)
    assert np.median(falling(noise, fps)) == pytest.approx(1, abs=0.1)
    np.testing.assert_array_equal(falling(-np.sort(np.abs(noise)), fps), 1)  # never rise
    assert falling(traces[:, :1], fps).tolist() == [1, 1]
    assert falling(traces[:0], fps).shape == (0,)


def test_nothing_has_no_quality_and_silence_no_good_one():
    nobody = np.zeros(0)
    none = properties(statistics_of(np.zeros((0, 5))), 5)
    _, accepted, chance = judge(none, np.zeros((0, 2)), none, np.zeros((0, 2)))
    assert accepted.shape == nobody.shape
    assert chance.expected_false == 0
    zero = np.zeros(1)
    silence = properties(
        statistics_of(np.zeros((1, 5)), noise=1e-9), 5, consistency=zero, focus=zero, localizations=zero
    )
    silent, accepted, _ = judge(silence, np.zeros((1, 2)), None, np.zeros((0, 2)))
    assert np.isfinite(list(silent.values())).all()
    assert not accepted.any()
