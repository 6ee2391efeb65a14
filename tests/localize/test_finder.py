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
from calcium_lightning.localize.coincidence import coincidence, lit_seconds
from calcium_lightning.localize.demix import Residual
from calcium_lightning.localize.detect import Movie, detect
from calcium_lightning.localize.detectors.bandpass import BandpassDetector
from calcium_lightning.localize.finder import CellFinder, Detect, LocalizeSettings
from calcium_lightning.localize.footprints import shape_of
from calcium_lightning.localize.found import FoundCells
from calcium_lightning.localize.judge import judge
from calcium_lightning.localize.localizations import RECORD, StoredLocalizations
from calcium_lightning.localize.merge import MergeSettings
from calcium_lightning.localize.patches import Surround
from calcium_lightning.localize.places import claimed_means
from calcium_lightning.localize.quality import measure
from calcium_lightning.localize.scratch import ScratchMovie, ScratchTraces
from calcium_lightning.nn.coordinates import LocalizationBatch
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
        found.forms.consistency,
        found.forms.focus,
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
    assert (found.forms.center_std.shape, found.forms.consistency.shape) == ((count, 2), (count,))
    assert found.forms.focus.shape == (count,)
    assert (found.forms.consistency <= 1.0001).all()
    np.testing.assert_allclose(found.centers, places(found), atol=1e-3)
    localizations = kept(found.localizations)
    assert len(localizations) == len(found.localizations) > 100
    assert (np.diff(localizations["frame"]) >= 0).all()
    match = cdist(CENTERS[:6], places(found)).argmin(1)
    # Pixels above 30 % make a centroid that is up to 0.1 px off even without noise.
    error = np.abs(places(found)[match] - CENTERS[:6])
    assert (error < 4 * found.forms.center_std.numpy()[match] + 0.12).all()


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


@pytest.mark.parametrize(
    ("gap", "common", "alike", "stay"), [(2.4, 32, 0.77, 1), (3.6, 32, 0.77, 2), (2.4, 22, 0.65, 2)]
)
def test_near_places_whose_activity_is_alike_are_one_cell(gap, common, alike, stay):
    """Most of what two places show is the same: pieces of a cell, or neighbours that fire together."""
    pair = np.array([[30, 30], [30, 30 + gap]])
    planted = plant(pair, length=1200, brightness=16, seed=4)
    shared = common * calcium(1, 1200, 20.0, seed=9)[0][0]
    shape = torch.from_numpy(planted.truth.to_csr().sum(0)).view(64, 80)
    shape = shape - planted.surround.rows @ shape @ planted.surround.columns.T
    traces = planted.traces + shared
    assert abs(np.corrcoef(traces)[0, 1] - alike) < 0.02
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


@pytest.mark.parametrize(
    "wrong", [{"rounds": 0}, {"residual_searches": -1}, {"decay_s": 0.0}, {"threshold": 0.0}]
)
def test_settings_that_leave_nothing_to_do_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(InputError, match=rf"localize\.{next(iter(wrong))}="):
        LocalizeSettings(**wrong)


@pytest.mark.parametrize(("wander", "count"), [(1.0, len(CENTERS)), (1.5, len(CENTERS) - 1)])
def test_what_cells_leave_is_searched_where_pictures_of_a_cell_are_alike(planted, wander, count):
    """Elsewhere it is mostly what their footprints don't fit."""

    def blind(movie: Movie, stride: int) -> Iterator[LocalizationBatch]:
        """Sees the last cell only in what the others leave."""
        for batch in search(movie, stride):
            hidden = (batch.y - CENTERS[-1][0]) ** 2 + (batch.x - CENTERS[-1][1]) ** 2 < 25
            keep = slice(None) if isinstance(movie, Residual) else ~hidden
            yield LocalizationBatch(**{name: column[keep] for name, column in vars(batch).items()})

    finder = CellFinder(planted.movie, planted.noise, BACKGROUND_SIGMA, 20.0, blind, None, wander)
    found = finder.find()
    assert finder.plain == (wander == 1)
    near = cdist(CENTERS, found.centers).min(1) < 1.5
    assert near.sum() == count
    assert near[-1] == finder.plain
