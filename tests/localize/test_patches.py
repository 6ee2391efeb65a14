"""Patches, the scratch movie, and the way back to the session's pixels."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from calcium_lightning.core.cells import footprint_centers
from calcium_lightning.localize.patches import Patches, Surround, concatenate, gaussian_patches
from calcium_lightning.localize.scratch import ScratchMovie
from calcium_lightning.localize.upscale import to_session
from calcium_lightning.preprocess.prepared import Scale

PROPERTY = settings(max_examples=40, deadline=None, derandomize=True)
SIZES = st.tuples(st.integers(12, 60), st.integers(12, 60))
PLACES = st.lists(st.tuples(st.floats(0, 1), st.floats(0, 1)), max_size=6)


def dense(patches: Patches) -> np.ndarray:
    return patches.to_csr().toarray().reshape(len(patches), *patches.size)


@PROPERTY
@given(size=SIZES, places=PLACES, sigma=st.floats(0.8, 3))
def test_gaussians_in_patches_are_gaussians_in_the_field(size, places, sigma):
    centers = np.array(places).reshape(-1, 2) * (np.array(size) - 1)
    patches = gaussian_patches(centers, sigma, size)
    y, x = np.mgrid[: size[0], : size[1]]
    for center, image in zip(centers, dense(patches), strict=True):
        expected = np.exp(-0.5 * ((y - center[0]) ** 2 + (x - center[1]) ** 2) / sigma**2)
        middle = np.round(center)
        near = (abs(y - middle[0]) <= 9) & (abs(x - middle[1]) <= 9)
        np.testing.assert_allclose(image, expected * near, atol=1e-5)


@PROPERTY
@given(size=SIZES, places=PLACES, seed=st.integers(0, 99))
def test_the_filter_on_patches_is_the_filter_on_the_field(size, places, seed):
    torch.manual_seed(seed)
    patches = Patches.at(np.array(places).reshape(-1, 2) * (np.array(size) - 1), size)
    patches.values = torch.rand_like(patches.values) * patches.inside()
    surround = Surround(size, 2.0)
    images = torch.from_numpy(dense(patches))
    blurred = surround.rows @ images @ surround.columns.T
    expected = (images - blurred).numpy()
    found = dense(surround.high_pass(patches))
    # Beyond the filter's reach nothing is kept, and nothing is there but at the border's long rows.
    np.testing.assert_allclose(found, expected * (found != 0), atol=1e-4)
    assert np.abs(expected[found == 0]).max(initial=0) < 1e-4
    np.testing.assert_allclose(surround.blurred(patches), each(patches, blurred), atol=1e-4)


def each(patches: Patches, images: torch.Tensor) -> torch.Tensor:
    cuts = [patches[torch.tensor([k])].look_up(image)[0] for k, image in enumerate(images)]
    return torch.stack(cuts) if cuts else torch.zeros_like(patches.values)


@PROPERTY
@given(size=SIZES, places=PLACES, step=st.tuples(st.integers(-4, 4), st.integers(-4, 4)))
def test_recentring_moves_the_frame_and_not_the_content(size, places, step):
    centers = np.array(places).reshape(-1, 2) * (np.array(size) - 1)
    patches = gaussian_patches(centers, 1.0, size)
    moved = patches.recentred(torch.from_numpy(np.round(centers) + np.array(step)))
    np.testing.assert_allclose(dense(moved), dense(patches), atol=1e-4)
    both = concatenate(patches, moved)
    assert len(both) == 2 * len(patches)
    np.testing.assert_array_equal(dense(both[np.arange(len(patches))]), dense(patches))


@PROPERTY
@given(
    field=st.tuples(st.integers(40, 200), st.integers(40, 200)),
    diameter=st.floats(3.5, 30),
    place=st.tuples(st.floats(0, 1), st.floats(0, 1)),
    width=st.floats(0.8, 1.3),
)
def test_footprints_land_where_they_belong_in_the_session(field, diameter, place, width):
    scale = Scale.for_diameter(field, diameter)
    center = np.array([place]) * (np.array(field) - 1)  # session pixels, up to the border
    sigma = 2.55 * width
    footprints, peaks = to_session(gaussian_patches(scale.to_network(center), sigma, scale.size), scale)
    image = footprints.toarray()[0].reshape(field)
    assert image.max() == pytest.approx(1)
    y, x = np.mgrid[: field[0], : field[1]]
    over = (np.stack([y, x], -1) - center[0]) * scale.factor / sigma
    expected = np.exp(-0.5 * (over**2).sum(-1))
    border = 1.5 / min(scale.factor)  # between its last pixels and the border a footprint is a guess
    error = np.abs(image * peaks[0] - np.where(image > 0, expected, 0))
    near = (np.minimum(y, field[0] - 1 - y) < border) | (np.minimum(x, field[1] - 1 - x) < border)
    assert error[~near].max(initial=0) < 0.03
    assert error.max() < 0.12
    inside = ((scale.to_network(center) > 4) & (scale.to_network(center) < np.array(scale.size) - 5)).all()
    found = footprint_centers(footprints, field)
    reference = (expected * (expected > 0.3 * expected.max()))[None].reshape(1, -1)
    np.testing.assert_allclose(
        found, footprint_centers(csr_matrix(reference), field), atol=0.2 + 0.1 / min(scale.factor)
    )
    if inside:  # at the border the centroid is of what can be seen
        np.testing.assert_allclose(found, center, atol=0.2 + 0.06 / min(scale.factor))


@PROPERTY
@given(diameter=st.floats(5, 25), step=st.tuples(st.floats(-2, 2), st.floats(-2, 2)))
def test_a_moved_footprint_is_that_of_the_moved_place(diameter, step):
    scale = Scale.for_diameter((180, 160), diameter)
    center = np.array(scale.size)[None] / 2 + [[0.3, -0.2]]
    moved = np.array([step])
    expected, height = to_session(gaussian_patches(center + moved, 2.55, scale.size), scale)
    found, peak = to_session(gaussian_patches(center, 2.55, scale.size), scale, moved)
    assert abs(found * peak[0] - expected * height[0]).max() < 0.04
    # Of the whole footprint: which pixels its bright part has is a matter of whole pixels.
    y, x = np.divmod(np.arange(found.shape[1]), scale.field[1])
    middle = np.stack([found @ y, found @ x], 1) / found.sum(1)
    np.testing.assert_allclose(middle, scale.to_session(center + moved), atol=0.025)


def test_footprints_are_enlarged_a_few_at_a_time(monkeypatch):
    scale = Scale.for_diameter((180, 160), 11)
    centers = np.random.default_rng(3).uniform(0, np.array(scale.size) - 1, (7, 2))
    moved = np.random.default_rng(4).normal(0, 0.5, (7, 2))
    cells = gaussian_patches(centers, 2.55, scale.size)
    together, peaks = to_session(cells, scale, moved)
    monkeypatch.setattr("calcium_lightning.core.frames.PIXELS", 2 * 41**2)
    apart, heights = to_session(cells, scale, moved)
    assert abs(together - apart).max() < 1e-6
    np.testing.assert_allclose(heights, peaks, rtol=1e-6)


def test_no_footprints_are_no_trouble():
    scale = Scale((40, 50), (20, 25))
    footprints, peaks = to_session(Patches.at(np.zeros((0, 2)), (20, 25)), scale)
    assert footprints.shape == (0, 2000)
    assert peaks.shape == (0,)


@PROPERTY
@given(pieces=st.lists(st.integers(1, 20), min_size=1, max_size=5), size=SIZES, block=st.integers(1, 30))
def test_a_scratch_movie_reads_what_was_written(pieces, size, block):
    torch.manual_seed(0)
    frames = (torch.randn(sum(pieces), *size) * 30).half().float()
    with ScratchMovie(size, block_frames=block) as movie:
        for piece in frames.split(pieces):
            movie.append(piece)
        assert movie.n_frames == sum(pieces)
        blocks = list(movie.blocks())
        assert [start for start, _ in blocks] == list(range(0, sum(pieces), block))
        torch.testing.assert_close(torch.cat([part for _, part in blocks]), frames, rtol=0, atol=0)
        torch.testing.assert_close(movie.read(1, 10**6), frames[1:], rtol=0, atol=0)


def test_a_scratch_movie_saturates_and_leaves_no_file(tmp_path):
    with ScratchMovie((4, 5), folder=tmp_path) as movie:
        movie.append(torch.full((1, 4, 5), 1e9))
        assert torch.isfinite(movie.read(0, 1)).all()
    assert list(tmp_path.iterdir()) == []
