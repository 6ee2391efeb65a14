"""From a movie to cells: the whole of the room, with the band-pass detector."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
import torch
from helpers.planted import BACKGROUND_SIGMA, SIGMA, calcium, plant
from scipy.spatial.distance import cdist
from torch import Tensor

from calcium_lightning.core.errors import InputError
from calcium_lightning.localize.activity import Activity
from calcium_lightning.localize.coincidence import coincidence, lit_seconds
from calcium_lightning.localize.detect import Movie, detect, read_ahead
from calcium_lightning.localize.detectors.bandpass import BandpassDetector
from calcium_lightning.localize.finder import CellFinder, Detect, FoundCells, LocalizeSettings
from calcium_lightning.localize.footprints import shape_of
from calcium_lightning.localize.judge import judge
from calcium_lightning.localize.localizations import RECORD, StoredLocalizations
from calcium_lightning.localize.merge import MergeSettings
from calcium_lightning.localize.patches import Surround, gaussian_patches
from calcium_lightning.localize.places import claimed_means
from calcium_lightning.localize.quality import QualitySettings, TraceStatistics, accept, likeness, measure
from calcium_lightning.localize.scratch import ScratchMovie, ScratchTraces
from calcium_lightning.nn.coordinates import Coordinates, LocalizationBatch
from calcium_lightning.nn.windows import WindowSettings

WINDOW = WindowSettings(taps=5, seconds=0.3)
CENTERS = np.array(
    [
        [10.3, 12.1],
        [30.2, 30.4],
        [31.1, 34.9],
        [50, 20.6],
        [20.7, 60.2],
        [45.5, 70.3],
        [1.2, 40.0],
        [60.8, 50.4],
    ]
)


def search(movie: Movie, stride: int) -> Iterator[LocalizationBatch]:
    return detect(movie, BandpassDetector(), WINDOW, 20.0, stride=stride)


def whole(traces: ScratchTraces) -> np.ndarray:
    return traces.rows(slice(None))


def kept(localizations: StoredLocalizations) -> np.ndarray:
    return np.concatenate([np.zeros(0, RECORD), *localizations.blocks()])


def find(
    movie: ScratchMovie, noise: Tensor, settings: LocalizeSettings | None = None, detector=search
) -> FoundCells:
    return CellFinder(movie, noise, BACKGROUND_SIGMA, 20.0, detector, settings).find()


@pytest.fixture(scope="module")
def planted():
    return plant(CENTERS, length=600, brightness=14)


@pytest.fixture(scope="module")
def found(planted):
    return find(planted.movie, planted.noise)


def one_by_one(traces: np.ndarray, centers: np.ndarray) -> Detect:
    """A detector that sees cells frame by frame, as the network does, when they are brighter than 9."""

    def told(movie: Movie, stride: int) -> list[LocalizationBatch]:
        random = np.random.default_rng(0)
        cell, frame = (torch.from_numpy(part) for part in np.nonzero(traces > 9))
        place = torch.from_numpy((centers[cell] + random.normal(0, 0.5, (len(cell), 2))).astype(np.float32))
        one = torch.ones(len(cell))
        half = 0.5 * one
        wide = one[:, None].expand(-1, 2)
        return [LocalizationBatch(frame, place[:, 0], place[:, 1], one, one, wide, one, one, half, half)]

    return told


def measured(found: FoundCells) -> dict[str, np.ndarray]:
    """Quality of what was found, all always in sight and on no vessel."""
    count = len(found.model)
    claimed, _, _ = claimed_means(found.localizations, found.centers, 2.0)
    n_frames = found.activity.traces.n_frames
    return measure(
        found.activity.statistics,
        found.consistency,
        found.focus,
        shape_of(found.model.footprints, SIGMA),
        claimed,
        coincidence(
            lit_seconds(found.localizations, found.centers, 2.0, n_frames, 20.0),
            found.activity.denoised,
            20.0,
        ),
        n_frames,
        np.ones(count),
        np.zeros(count),
    )


def judged(found: FoundCells, decoys: FoundCells | None = None) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Quality with the verdict, and what is accepted."""
    chance = None if decoys is None else measured(decoys)
    places_of_chance = np.zeros((0, 2)) if decoys is None else decoys.centers
    quality, accepted, _ = judge(measured(found), found.centers, chance, places_of_chance)
    return quality, accepted


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


def places(found: FoundCells) -> np.ndarray:
    y, x = found.model.footprints.grid()
    values = found.model.footprints.values
    values = values * (values > 0.3)
    mass = values.sum((1, 2))
    return torch.stack([(values.sum(2) * y).sum(1) / mass, (values.sum(1) * x).sum(1) / mass], 1).numpy()


def test_every_planted_cell_is_found_once_with_its_activity(planted, found):
    inner = slice(0, 6)  # the last two are cut by the border
    distance = cdist(CENTERS, places(found))
    match = distance.argmin(1)
    assert len(set(match)) == len(CENTERS)
    assert (distance.min(1)[inner] < 0.35).all()
    assert (distance.min(1) < 1.2).all()
    fit = np.array(
        [
            np.corrcoef(whole(found.activity.denoised)[k], trace)[0, 1]
            for k, trace in zip(match, planted.traces, strict=True)
        ]
    )
    assert (fit > 0.85).all()
    assert np.median(fit) > 0.98
    # Neighbours 4.6 px apart don't carry each other's activity.
    crossed = np.corrcoef(whole(found.activity.denoised)[match[1]], planted.traces[2])[0, 1]
    assert crossed < np.corrcoef(planted.traces[1:3])[0, 1] + 0.12
    slope = (whole(found.activity.denoised)[match] * planted.traces).sum(1) / (planted.traces**2).sum(1)
    np.testing.assert_allclose(slope[inner], 1, atol=0.3)
    # Others are rejected.
    count = len(found.model)
    quality, accepted = judged(found)
    others = np.setdiff1d(np.arange(count), match)
    assert accepted[match].sum() >= 7
    assert accepted[others].sum() <= 1
    if others.any():
        assert quality["score"][match].min() > np.median(quality["score"][others])


def test_the_parts_of_what_was_found_fit_together(planted, found):
    count = len(found.model)
    assert found.activity.traces.shape == (count, 600)
    assert (found.center_std.shape, found.consistency.shape) == ((count, 2), (count,))
    assert found.focus.shape == (count,)
    assert (found.consistency <= 1.0001).all()
    np.testing.assert_allclose(found.centers, places(found), atol=1e-3)
    localizations = kept(found.localizations)
    assert len(localizations) == len(found.localizations) > 100
    assert (np.diff(localizations["frame"]) >= 0).all()
    match = cdist(CENTERS[:6], places(found)).argmin(1)
    # Pixels above 30 % make a centroid that is up to 0.1 px off even without noise.
    error = np.abs(places(found)[match] - CENTERS[:6])
    assert (error < 4 * found.center_std.numpy()[match] + 0.12).all()


def test_the_search_is_deterministic(planted, found):
    again = find(planted.movie, planted.noise)
    np.testing.assert_array_equal(whole(again.activity.traces), whole(found.activity.traces))
    np.testing.assert_array_equal(kept(again.localizations), kept(found.localizations))


def test_what_fits_into_memory_makes_no_difference(planted, found, monkeypatch):
    monkeypatch.setattr(ScratchTraces, "GROUP", 1200)  # two traces
    again = find(planted.movie, planted.noise)
    np.testing.assert_allclose(whole(again.activity.spikes), whole(found.activity.spikes), atol=1e-3)
    np.testing.assert_allclose(again.activity.statistics.contrast, found.activity.statistics.contrast)


def test_one_cell_seen_twice_becomes_one(planted):
    """A detector that reports every cell at two places, further apart than the least distance."""

    def twice(movie: Movie, stride: int) -> Iterator[LocalizationBatch]:
        for localizations in search(movie, stride):
            parts = {name: torch.cat([value, value]) for name, value in vars(localizations).items()}
            parts["y"] = torch.cat([localizations.y - 1.3, localizations.y + 1.3])
            yield LocalizationBatch(**parts)

    settings = LocalizeSettings()
    result = find(planted.movie, planted.noise, settings, twice)
    near = cdist(CENTERS[:6], places(result)) < 3
    assert near.sum(1).tolist() == [1] * 6


def test_two_cells_half_a_diameter_apart_stay_two():
    """With a detector that sees them frame by frame, as the network does."""
    pair = np.array([[30, 30], [30, 33.2]])
    planted = plant(pair, length=600, brightness=18)

    result = find(
        planted.movie, planted.noise, LocalizeSettings(residual_searches=0), one_by_one(planted.traces, pair)
    )
    assert len(result.model) == 2
    order = places(result)[:, 1].argsort()
    np.testing.assert_allclose(places(result)[order], pair, atol=0.5)
    denoised = whole(result.activity.denoised)[order]
    for k in (0, 1):
        assert np.corrcoef(denoised[k], planted.traces[k])[0, 1] > 0.95
    crossed, true = (np.corrcoef(traces)[0, 1] for traces in (denoised, planted.traces))
    assert abs(crossed - true) < 0.12


@pytest.mark.parametrize(("gap", "stay"), [(2.4, 1), (3.6, 2)])
def test_near_places_whose_activity_is_alike_are_one_cell(gap, stay):
    """Half of what two places show is the same: pieces of a cell, or neighbours that fire together."""
    pair = np.array([[30, 30], [30, 30 + gap]])
    planted = plant(pair, length=1200, brightness=16, seed=4)
    shared = 22 * calcium(1, 1200, 20.0, seed=9)[0][0]
    shape = torch.from_numpy(planted.truth.to_csr().sum(0)).view(64, 80)
    shape = shape - planted.surround.rows @ shape @ planted.surround.columns.T
    traces = planted.traces + shared
    assert 0.55 < np.corrcoef(traces)[0, 1] < 0.75
    with ScratchMovie((64, 80), block_frames=128) as movie:
        movie.append(
            planted.movie.read(0, 1200) + torch.from_numpy(shared)[:, None, None] * shape / planted.noise
        )
        for how, number in (({}, stay), ({"merge": MergeSettings(near_correlation=0.95)}, 2)):
            settings = LocalizeSettings(residual_searches=0, split=None, **how)
            assert len(find(movie, planted.noise, settings, one_by_one(traces, pair)).model) == number


def test_what_the_first_search_missed_is_found_in_the_residual(planted):
    calls = []

    def half_blind(movie: Movie, stride: int) -> Iterator[LocalizationBatch]:
        calls.append((movie, stride))
        for localizations in search(movie, stride):
            keep = (
                localizations.x < 50
                if movie is planted.movie
                else torch.ones(len(localizations.x), dtype=torch.bool)
            )
            yield LocalizationBatch(**{name: value[keep] for name, value in vars(localizations).items()})

    result = find(planted.movie, planted.noise, None, half_blind)
    assert [movie is planted.movie for movie, _ in calls] == [True, False]
    assert [stride for _, stride in calls] == [1, planted.movie.n_frames // 300]  # in 300 frames at the least
    calls.clear()
    CellFinder(planted.movie, planted.noise, BACKGROUND_SIGMA, 8.0, half_blind).find()
    assert [stride for _, stride in calls] == [1, 1]  # every 0.15 s is often enough for the rest
    assert (cdist(CENTERS[4:6], places(result)).min(1) < 0.6).all()


def test_noise_alone_holds_no_good_cells():
    quiet = plant(np.zeros((0, 2)), length=300)
    result = find(quiet.movie, quiet.noise)
    assert len(result.model) <= 8
    assert not judged(result)[1].any()


@pytest.mark.parametrize("length", [4, 30])
def test_an_empty_movie_gives_an_empty_result(length):
    with ScratchMovie((30, 40)) as movie:
        movie.append(torch.zeros(length, 30, 40))
        result = find(movie, torch.ones(30, 40))
    assert len(result.model) == 0
    assert result.activity.spikes.shape == (0, length)
    assert len(result.localizations) == len(result.centers) == 0


def test_the_given_kernel_is_used(planted):
    result = find(
        planted.movie, planted.noise, LocalizeSettings(rise_s=0.2, decay_s=1.5, rounds=1, residual_searches=0)
    )
    kernel = result.activity.kernel
    assert (kernel.rise_s, kernel.decay_s) == (0.2, 1.5)


def test_the_band_pass_places_and_measures_gaussians():
    centers = np.array([[12.3, 14.6], [30.0, 41.7], [40.4, 12.0]])
    image = torch.from_numpy(gaussian_patches(centers, SIGMA, (52, 60)).to_csr().toarray().reshape(3, 52, 60))
    amplitude = torch.tensor([30.0, 45.0, 60.0])
    torch.manual_seed(0)
    noisy = (amplitude[:, None, None] * image).sum(0) + torch.randn(52, 60)
    localizations = BandpassDetector(threshold_sigmas=6).localize(noisy[None, None].expand(2, 3, 52, 60))
    assert localizations.valid.sum(1).tolist() == [3, 3]
    order = localizations.amplitude[0, :3].argsort()
    np.testing.assert_allclose(localizations.positions[0, :3][order], centers, atol=0.2)
    np.testing.assert_allclose(localizations.amplitude[0, :3][order], amplitude, rtol=0.06)
    assert (localizations.probability[localizations.valid] > 0.5).all()


def test_localisations_say_which_frame_they_are_of():
    class Brightest:
        """Reports the brightest pixel of the middle frame."""

        def localize(self, windows: Tensor, extent=None, threshold=0.3, count=512) -> Coordinates:
            middle = windows[:, windows.shape[1] // 2].flatten(1)
            index = middle.argmax(1)
            place = torch.stack([index // windows.shape[-1], index % windows.shape[-1]], 1)[:, None].float()
            one = torch.ones(len(windows), 1)
            lit = middle.amax(1, keepdim=True) > 0.5
            return Coordinates(place, one, torch.ones_like(place), one, one, one, torch.ones_like(place), lit)

    random = np.random.default_rng(0)
    pixel = random.integers(0, 20 * 30, 75)
    with ScratchMovie((20, 30)) as movie:
        frames = torch.zeros(75, 600)
        frames[torch.arange(0, 75, 2), torch.from_numpy(pixel[::2])] = 1  # every other frame is dark
        movie.append(frames.view(75, 20, 30))
        found = kept(
            StoredLocalizations((20, 30)).extend(
                detect(movie, Brightest(), WINDOW, 20.0, batch=8, half=False)
            )
        )
        some = kept(
            StoredLocalizations((20, 30)).extend(detect(movie, Brightest(), WINDOW, 20.0, batch=8, stride=4))
        )
    assert found["frame"].tolist() == list(range(0, 75, 2))
    np.testing.assert_array_equal(found["y"] * 30 + found["x"], pixel[::2])
    np.testing.assert_array_equal(some, found[::2])


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


def test_contrast_is_about_one_for_noise_whatever_it_is_like():
    random = np.random.default_rng(0)
    noise = random.normal(size=(40, 1200)) * random.uniform(1, 50)

    def contrast(traces: np.ndarray) -> np.ndarray:
        return TraceStatistics.of(Activity(traces, traces, traces, np.ones(len(traces))), 20.0).contrast

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


def test_cells_that_no_gaussian_fits_are_found_once_each():
    """Long, large and bright cells whose picture sways a little, and an ordinary one beside them."""
    places_, widths = (
        np.array([[16, 20], [20, 58], [46, 28], [48, 60]]),
        [(5.5, 2.2), (4.5, 4.5), (2, 5.0), (2.55,) * 2],
    )
    y, x = np.mgrid[:64, :80]
    traces, _ = calcium(4, 900, 20.0, seed=2)
    sway = np.random.default_rng(0).normal(0, 0.25, (900, 4)).cumsum(0)
    sway = 0.4 * np.tanh(sway - sway.mean(0))
    frames = 2 * torch.randn(900, 64, 80, generator=torch.Generator().manual_seed(0))
    for cell, ((cy, cx), (sy, sx)) in enumerate(zip(places_, widths, strict=True)):
        along = np.exp(
            -0.5 * ((x[None] - cx - sway[:, cell, None, None]) / sx) ** 2 - 0.5 * ((y - cy) / sy) ** 2
        )
        frames += torch.from_numpy(60 * traces[cell, :, None, None] * along).float()
    surround = Surround((64, 80), BACKGROUND_SIGMA)
    noise = torch.full((64, 80), 2.0)
    with ScratchMovie((64, 80), block_frames=128) as movie:
        movie.append((frames - surround.rows @ frames @ surround.columns.T) / noise)
        result = find(movie, noise)
    _, accepted, _ = judge(measured(result), result.centers, None, np.zeros((0, 2)))
    near = cdist(places_, places(result)[accepted]) < 6
    assert near.sum(1).tolist() == [1, 1, 1, 1]
    for cell, match in enumerate(near.argmax(1)):
        denoised = whole(result.activity.denoised)[accepted][match]
        assert np.corrcoef(denoised, traces[cell])[0, 1] > 0.95


def test_frames_that_are_read_ahead_come_in_order_and_errors_with_them():
    def read(span):
        if span[0] == 6:
            raise OSError("gone")
        return torch.arange(*span)

    spans = [(0, 3), (3, 6), (6, 9)]
    blocks = read_ahead(read, spans)
    assert [next(blocks).tolist() for _ in range(2)] == [[0, 1, 2], [3, 4, 5]]
    with pytest.raises(OSError, match="gone"):
        next(blocks)
    assert list(read_ahead(read, [])) == []


@pytest.mark.parametrize(
    "wrong", [{"rounds": 0}, {"residual_searches": -1}, {"decay_s": 0.0}, {"threshold": 0.0}]
)
def test_settings_that_leave_nothing_to_do_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=rf"localize\.{next(iter(wrong))}="):
        LocalizeSettings(**wrong)
