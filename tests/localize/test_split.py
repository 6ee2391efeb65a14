"""Places that are two cells become two, and the others don't."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from helpers.planted import BACKGROUND_SIGMA, SIGMA, calcium, plant
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import logsumexp
from scipy.stats import multivariate_normal

from calcium_lightning.localize import split as room
from calcium_lightning.localize.detect import Movie
from calcium_lightning.localize.finder import CellFinder, LocalizeSettings
from calcium_lightning.localize.found import FoundCells
from calcium_lightning.localize.localizations import StoredLocalizations
from calcium_lightning.localize.mixture import FLOOR, Clouds, fit
from calcium_lightning.localize.patches import gaussian_patches
from calcium_lightning.localize.scratch import ScratchMovie
from calcium_lightning.localize.split import SplitSettings, split
from calcium_lightning.nn.coordinates import LocalizationBatch

FPS, SIZE = 20.0, (40, 40)
#: 3 px of a session whose cells are 13.4 px wide
APART = 1.35


def listed(frame: np.ndarray, points: np.ndarray, std: np.ndarray) -> LocalizationBatch:
    one = torch.ones(len(points))
    y, x, y_std, x_std = (torch.from_numpy(v.astype(np.float32)) for v in (*points.T, *std.T))
    return LocalizationBatch(torch.from_numpy(frame), y, x, one, one, one[:, None], one, one, y_std, x_std)


def seen(lit: np.ndarray, places: np.ndarray, seed: int = 0, error: float = 1.0) -> LocalizationBatch:
    """One localisation per frame, at the middle of what is lit: brightness (K, T) over noise, places (K, T, 2).

    White noise lets a blob's position be known to 0.8 px over its peak, and a detector does half as well;
    ``error`` times that is made.
    """
    random = np.random.default_rng(seed)
    whole = lit.sum(0)
    frame = np.flatnonzero(whole > 4)
    middle = (lit[:, frame, None] * places[:, frame]).sum(0) / whole[frame, None]
    std = np.repeat(1.6 / whole[frame, None], 2, 1)
    return listed(frame, middle + error * std * random.normal(size=middle.shape), std)


def still(centers: np.ndarray, length: int) -> np.ndarray:
    return np.broadcast_to(np.asarray(centers, float)[:, None], (len(centers), length, 2))


def stored(found: LocalizationBatch) -> StoredLocalizations:
    return StoredLocalizations(SIZE).extend([found])


def splits(found: LocalizationBatch, middle: tuple[float, float] = (20.0, 20.0), **how: float) -> np.ndarray:
    return split(stored(found), np.array([middle]), 2.0, FPS, SplitSettings(**how))


PAIR = np.array([[20.0, 20 - APART / 2], [20.0, 20 + APART / 2]])
LIT = 12 * calcium(2, 1200, FPS, seed=3)[0]


# Against other implementations


def cloud(count: int = 300, seed: int = 0) -> Clouds:
    random = np.random.default_rng(seed)
    group = random.random(count) < 0.35
    errors = random.uniform(0.1, 0.5, (count, 2))
    points = np.where(group[:, None], [5.6, 4.5], [4.6, 5.2])
    points += np.hypot(errors, FLOOR) * random.normal(size=(count, 2))
    points += random.multivariate_normal([0, 0], [[0.04, 0.02], [0.02, 0.03]], count)
    far = random.random(count) < 0.08
    points[far] = 5 + random.uniform(-1.4, 1.4, (far.sum(), 2))
    one = np.zeros(count, int)
    return Clouds(points.T, errors.T, random.uniform(0.4, 1, count), one, np.array([[5.0], [5.0]]))


@pytest.mark.parametrize("groups", [1, 2])
def test_the_fit_is_the_likeliest(groups: int) -> None:
    """A general optimiser climbs no higher, and ends at the same place."""
    data = cloud()

    def parts(parameters: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        centers = parameters[: 2 * groups].reshape(groups, 2)
        logits = np.append(parameters[2 * groups : 3 * groups], 0.0)
        root = np.array([[parameters[-3], 0], [parameters[-2], parameters[-1]]])
        return centers, logits - logsumexp(logits), root @ root.T

    def misfit(parameters: np.ndarray) -> float:
        centers, share, scatter = parts(parameters)
        terms = [np.full(data.points.shape[1], share[-1] - np.log(np.pi * 2.0**2))]
        covariance = scatter + np.square(np.hypot(data.errors, FLOOR)).T[:, :, None] * np.eye(2)
        for center, log_share in zip(centers, share[:-1], strict=True):
            offset = data.points.T - center
            mahalanobis = (offset * np.linalg.solve(covariance, offset[..., None])[..., 0]).sum(1)
            logdet = np.linalg.slogdet(2 * np.pi * covariance)[1]
            terms.append(log_share - 0.5 * (mahalanobis + logdet))
        return -float(data.weight @ logsumexp(terms, axis=0))

    truth = [4.6, 5.2, 5.6, 4.5] if groups == 2 else [4.95, 4.95]
    start = np.array([*truth, *[1.5] * groups, 0.2, 0.1, 0.2])
    best = minimize(misfit, start, method="BFGS", options={"gtol": 1e-6})
    found = fit(data, 2.0, groups)
    assert found.likelihood[0] == pytest.approx(-best.fun, abs=0.05)
    centers = found.centers[:, :, 0].T
    expected = parts(best.x)[0]
    order, other = centers[:, 0].argsort(), expected[:, 0].argsort()
    np.testing.assert_allclose(centers[order], expected[other], atol=0.02)


def test_equal_errors_have_a_closed_form() -> None:
    """The mean is the centre, and its variance that of the points over their number."""
    random = np.random.default_rng(1)
    points = random.normal(0, [[0.4], [0.3]], (2, 4000)) + 7
    errors = np.full_like(points, np.sqrt(0.2**2 - FLOOR**2))
    data = Clouds(points, errors, np.ones(4000), np.zeros(4000, int), np.array([[7.0], [7.0]]))
    found = fit(data, 9.0, 1)
    np.testing.assert_allclose(found.centers[:, 0, 0], points.mean(1), atol=2e-3)
    np.testing.assert_allclose(found.variance[:, 0, 0], points.var(1) / 4000, rtol=0.05)
    normal = multivariate_normal(points.mean(1), np.cov(points)).logpdf(points.T).sum()
    assert found.likelihood[0] == pytest.approx(normal, abs=4)


def test_clouds_don_t_know_of_each_other() -> None:
    many = [cloud(count, seed) for seed, count in enumerate((80, 300, 1))]
    number = np.concatenate([np.full(len(one.cloud), k) for k, one in zip((0, 2, 3), many, strict=True)])
    joint = Clouds(
        *(
            np.concatenate([getattr(one, name) for one in many], -1)
            for name in ("points", "errors", "weight")
        ),
        number,
        np.full((2, 4), 5.0),
    )
    together = fit(joint, 2.0, 2)
    for k, one in zip((0, 2, 3), many, strict=True):
        alone = fit(one, 2.0, 2)
        np.testing.assert_allclose(together.centers[:, :, k], alone.centers[:, :, 0], atol=1e-6)
        np.testing.assert_allclose(together.likelihood[k], alone.likelihood[0], atol=1e-6)
    assert together.likelihood[1] == 0  # nothing lies there
    assert np.isfinite(together.centers).all()


# Localisations


def test_a_pair_is_put_where_its_cells_are() -> None:
    found = splits(seen(LIT, still(PAIR, 1200)))
    assert len(found) == 2
    # Seconds in which both are lit draw them together; the regression makes up for it.
    np.testing.assert_allclose(found[found[:, 1].argsort()], PAIR, atol=0.3)


def test_the_rest_of_the_field_is_left_alone() -> None:
    other = 12 * calcium(1, 1200, FPS, seed=9)[0]
    parts = [
        seen(other, still(np.array([[8.0, 9.0]]), 1200)),
        seen(LIT, still(PAIR, 1200)),
    ]
    places = np.array([[8.0, 9.0], [20.0, 20.0], [30.0, 30.0]])
    found = split(StoredLocalizations(SIZE).extend(parts), places, 2.0, FPS)
    assert len(found) == 4
    np.testing.assert_array_equal(found[[0, 2]], places[[0, 2]])
    np.testing.assert_allclose(sorted(found[[1, 3], 1]), PAIR[:, 1], atol=0.3)


def test_lit_together_they_are_one() -> None:
    assert len(splits(seen(LIT[[0, 0]], still(PAIR, 1200)))) == 1


def test_an_elongated_cell_is_one() -> None:
    """Whatever part of it is brightest: positions scatter along it more than their errors tell."""
    random = np.random.default_rng(0)
    along = random.normal(0, 0.6, (1, 60, 1)).repeat(20, 1) * np.array([0.0, 1.0])
    assert len(splits(seen(LIT[:1], still([[20.0, 20.0]], 1200) + along))) == 1


@pytest.mark.parametrize("kind", ["drift", "step"])
def test_a_cell_that_moves_is_one(kind: str) -> None:
    way = np.linspace(-0.7, 0.7, 1200)
    way = np.where(way > 0, 0.8, -0.8) if kind == "step" else way
    places = still([[20.0, 20.0]], 1200) + way[None, :, None] * np.array([0.6, 0.8])
    assert len(splits(seen(LIT[:1], places))) == 1
    # It isn't for want of evidence: in another order of the frames, they are two.
    if kind == "step":
        turn = np.random.default_rng(0).permutation(60)
        shuffled = places.reshape(1, 60, 20, 2)[:, turn].reshape(1, 1200, 2)
        assert len(splits(seen(LIT[:1], shuffled))) == 2


def test_one_long_transient_is_no_second_cell() -> None:
    lit = LIT.copy()
    lit[1] = 0
    lit[1, 500:540] = 40
    assert len(splits(seen(lit, still(PAIR, 1200)))) == 1
    lit[1, 100:1200:150] = 60
    assert len(splits(seen(lit, still(PAIR, 1200)), events=3)) == 2
    assert len(splits(seen(lit, still(PAIR, 1200)), events=30)) == 1


def test_where_another_place_is_nothing_is_put() -> None:
    """Its localisations may reach over."""
    turn = np.random.default_rng(0).random(60).repeat(20) < 0.5
    near = np.array([[20.0, 19.3], [20.0, 20.6]])
    found = stored(seen(30.0 * np.stack([turn, ~turn]), still(near, 1200)))
    places = np.array([[20.0, 20.0], [20.0, 22.0]])
    assert len(split(found, places, 2.0, FPS)) == 3
    places[1, 1] = 21.4
    np.testing.assert_array_equal(split(found, places, 2.0, FPS), places)


@pytest.mark.parametrize(("error", "common", "most"), [(1.3, 0.0, 1), (1.0, 0.4, 5)])
def test_single_cells_are_hardly_ever_split(error: float, common: float, most: int) -> None:
    """Of 200: also when errors are larger than they are said to be, or the same through a transient."""
    random = np.random.default_rng(0)
    grid = np.stack(np.meshgrid(np.arange(5, 125, 6.0), np.arange(5, 65, 6.0)), -1).reshape(-1, 2)
    centers = grid + random.uniform(-0.5, 0.5, grid.shape)
    lit = random.uniform(5, 25, (len(grid), 1)) * calcium(len(grid), 1200, FPS, seed=1)[0]
    localizations = StoredLocalizations((130, 70))
    for k, center in enumerate(centers):
        shift = random.normal(0, common, (1, 60, 2)).repeat(20, 1)
        localizations.add(seen(lit[k : k + 1], still([center], 1200) + shift, seed=k, error=error))
    clutter = random.uniform(0, 1, (10000, 2)) * (130, 70)
    localizations.add(listed(random.integers(0, 1200, 10000), clutter, np.full((10000, 2), 0.4)))
    assert len(grid) == 200
    assert len(split(localizations, centers, 2.0, FPS)) - len(grid) <= most


@pytest.mark.parametrize("strict", [{"separation": 1.4}, {"sigmas": 100}, {"evidence": 100}, {"events": 40}])
def test_every_setting_can_forbid_it(strict: dict[str, float]) -> None:
    found = seen(LIT, still(PAIR, 1200))
    assert len(splits(found)) == 2
    assert len(splits(found, **strict)) == 1


@settings(max_examples=15)
@given(seed=st.integers(0, 9999), parts=st.integers(1, 4), pair=st.booleans())
def test_the_order_of_the_localisations_changes_nothing(seed: int, parts: int, pair: bool) -> None:
    random = np.random.default_rng(seed)
    lit = 12 * calcium(1 + pair, 600, FPS, seed=seed)[0]
    found = seen(lit, still(PAIR[: 1 + pair], 600), seed)
    order = torch.from_numpy(random.permutation(len(found.frame)))
    other = StoredLocalizations(SIZE)
    for part in order.chunk(parts):
        other.add(LocalizationBatch(**{name: value[part] for name, value in vars(found).items()}))
    middle = np.array([[20.0, 20.0]])
    first, second = (split(localizations, middle, 2.0, FPS) for localizations in (stored(found), other))
    np.testing.assert_array_equal(first, second)
    assert len(first) in (1, 2)
    assert np.linalg.norm(first - middle, axis=1).max() < 2


def test_many_localisations_are_thinned_and_say_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    found = seen(LIT, still(PAIR, 1200))
    whole = splits(found)
    monkeypatch.setattr(room, "MOST", len(found.frame) // 3)
    thinned = splits(found)
    assert len(whole) == len(thinned) == 2
    assert (whole != thinned).any()
    np.testing.assert_allclose(sorted(thinned[:, 1]), sorted(whole[:, 1]), atol=0.15)


def test_nothing_is_split_into_nothing() -> None:
    empty = StoredLocalizations(SIZE)
    assert split(empty, np.zeros((0, 2)), 2.0, FPS).shape == (0, 2)
    places = np.array([[3.0, 4.0], [20.0, 20.0]])
    np.testing.assert_array_equal(split(empty, places, 2.0, FPS), places)
    lonely = listed(np.array([7]), np.array([[3.0, 4.2]]), np.full((1, 2), 0.2))
    np.testing.assert_array_equal(split(stored(lonely), places, 2.0, FPS), places)


# To the end


def find(movie: ScratchMovie, noise: torch.Tensor, found: LocalizationBatch, **how: object) -> FoundCells:
    def told(_: Movie, stride: int) -> list[LocalizationBatch]:
        return [found]

    how = {"residual_searches": 0, **how}
    return CellFinder(movie, noise, BACKGROUND_SIGMA, FPS, told, LocalizeSettings(**how)).find()  # type: ignore[arg-type]


@pytest.mark.parametrize("seed", [3, 6, 9])
def test_two_cells_in_one_place_get_their_own_activity(seed: int) -> None:
    planted = plant(PAIR, SIZE, length=1200, brightness=36, seed=seed)
    places = seen(planted.traces / 2, still(PAIR, 1200), seed)
    result = find(planted.movie, planted.noise, places)
    assert len(result.model) == 2
    order = result.centers[:, 1].argsort()
    np.testing.assert_allclose(result.centers[order], PAIR, atol=0.3)
    denoised = result.activity.denoised.rows(slice(None))[order]
    assert [np.corrcoef(a, b)[0, 1] > 0.9 for a, b in zip(denoised, planted.traces, strict=True)] == [
        True
    ] * 2
    # Without, they are one that is neither.
    result = find(planted.movie, planted.noise, places, split=None)
    assert len(result.model) == 1
    denoised = result.activity.denoised.rows(slice(None))
    assert max(np.corrcoef(denoised[0], trace)[0, 1] for trace in planted.traces) < 0.85


@pytest.mark.parametrize("kind", ["together", "elongated"])
def test_what_is_lit_together_is_one_cell(kind: str) -> None:
    planted = plant(np.zeros((0, 2)), SIZE, length=1200, seed=5)
    trace = 24 * calcium(1, 1200, FPS, seed=3)[0][0]
    gap = 0.5 if kind == "elongated" else 1.0
    middle = PAIR.mean(0)
    centers = middle + gap * (PAIR - middle)
    shape = torch.from_numpy(gaussian_patches(centers, SIGMA, SIZE).to_csr().sum(0)).view(SIZE)
    surround = planted.surround
    shape = (shape - surround.rows @ shape @ surround.columns.T) / planted.noise
    with ScratchMovie(SIZE, block_frames=128) as movie:
        frames = planted.movie.read(0, 1200) + torch.from_numpy(trace)[:, None, None] * shape
        movie.append(frames)
        # Even of a detector that sees both halves, at random.
        lit = np.stack([trace, trace]) / 2
        both = np.random.default_rng(0).random(60).repeat(20) > 0.5
        halves = seen(lit * np.stack([both, ~both]), still(centers, 1200))
        assert len(splits(halves)) == (1 if kind == "elongated" else 2)
        for found in (halves, seen(lit, still(centers, 1200))):
            assert len(find(movie, planted.noise, found).model) == 1
