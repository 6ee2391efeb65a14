"""From a trained published model to cells, figures and what its latents are worth."""

from __future__ import annotations

import json

import numpy as np
import pytest
import torch

from calcium_lightning.io.cells_file import read_cells
from calcium_lightning.io.session import Session
from calcium_lightning.io.session_writer import SessionWriter
from calcium_lightning.localize.detectors.base import WindowDetector
from calcium_lightning.localize.detectors.load import load_detector
from calcium_lightning.metrics.coordinates import visited_pixels
from calcium_lightning.replications.teng2021.data import load_frames
from calcium_lightning.replications.teng2021.extract import CoordinateDetector, follow, load_published
from calcium_lightning.replications.teng2021.introspection import draw, leave_one_out, reduced_latents


@pytest.fixture(scope="module")
def checkpoint(trained):
    return trained / "checkpoints/last.ckpt"


@pytest.fixture(scope="module")
def frames(session):
    with Session(session) as opened:
        return load_frames(opened, 32).float()


def test_coordinates_are_followed_and_come_back(checkpoint, frames):
    network = load_published(checkpoint)
    before = network.positions.detach().clone()
    tracks = follow(network, frames)
    assert tracks.shape == (7, 9, 2)
    assert torch.equal(tracks[0], before)
    assert torch.equal(network.positions, before)
    steps = (tracks[1:] - tracks[:-1]).abs()
    assert 0 < steps.max() <= 0.1 + 1e-4  # the first steps of Adam are its rate
    assert torch.equal(follow(network, frames, rate=0), before.expand(7, 9, 2))


def test_cells_are_the_visited_pixels_and_evaluate_counts_them(
    run_command, session, checkpoint, frames, tmp_path
):
    done = run_command("extract", f'session="{session}"', "output=cells.h5", f"checkpoint={checkpoint}")
    assert done.status == 0, done.stderr
    cells = read_cells(tmp_path / "cells.h5")
    network = load_published(checkpoint)
    visited = visited_pixels(follow(network, frames).numpy(), 32)
    np.testing.assert_allclose(
        (cells.centers + 0.5) * 32 / np.array([40, 44]) - 0.5, visited.pixels, atol=1e-4
    )
    assert np.asarray(cells.accepted).all()
    mask = np.zeros((32, 32), np.uint8)
    mask[:, :16] = 1
    np.save(tmp_path / "mask.npy", mask)
    done = run_command("evaluate", "cells=cells.h5", "truth=mask.npy", "output=metrics.json")
    assert done.status == 0, done.stderr
    figures = json.loads((tmp_path / "metrics.json").read_text())["together"]
    assert figures["mask_cells"] == len(visited.pixels)
    assert figures["mask_precision"] == pytest.approx((visited.pixels[:, 1] < 16).mean())
    # traces: the encoder's output under a dot at the pixel
    with torch.no_grad():
        lit = torch.sigmoid(network.encode(frames[:, None]))
        dot = network.painter(torch.tensor(visited.pixels[3])[None].float(), (32, 32))[0]
        expected = (lit * dot).sum((1, 2))
    np.testing.assert_allclose(cells.traces[3], expected - expected.min(), atol=1e-5)
    localizations = cells.localizations
    assert len(localizations.frame) == 50 * 9
    assert (
        np.abs(np.asarray(localizations.y) - cells.centers[np.asarray(localizations.cell), 0]).max()
        <= 0.5 * 40 / 32 + 1e-3
    )


def test_a_raw_session_goes_through_the_published_chain_first(run_command, checkpoint, tmp_path):
    with SessionWriter(tmp_path / "raw.h5", 100, 100, "uint8", 20.0) as writer:
        writer.append(np.random.default_rng(0).integers(80, 200, (20, 100, 100), dtype=np.uint8))
    given = ("session=raw.h5", "preprocess=published", f"checkpoint={checkpoint}", "output=raw.cells.h5")
    done = run_command("extract", *given)
    assert done.status == 0, done.stderr
    cells = read_cells(tmp_path / "raw.cells.h5")
    with Session(tmp_path / "raw.dff.h5") as session:
        assert tuple(cells.frame_shape) == session.shape[1:] == (32, 32)
        assert (session.kind, cells.kind) == ("dff", "dff")
    assert cells.session.endswith("raw.dff.h5")
    # The cells' session is not the command's, and yet it is known that nothing is left to be done.
    again = run_command("extract", *given)
    assert (again.status, "there already" in again.stdout) == (0, True)
    assert run_command("extract", *given, "preprocess.keep=0.7").status == 2


def test_the_package_reads_it_for_what_it_is(run_command, session, checkpoint, tmp_path):
    assert isinstance(load_detector(checkpoint), CoordinateDetector)
    assert isinstance(load_detector(), WindowDetector)
    refused = run_command(
        "train", "+experiment=adapt", f'data.sessions=["{session}"]', f"weights={checkpoint}"
    )
    assert refused.status == 2, refused.stderr


@pytest.mark.parametrize("room", ["calcium_lightning.nn.published", "calcium_lightning.published"])
def test_a_checkpoint_of_an_earlier_version_opens(checkpoint, tmp_path, room):
    saved = torch.load(checkpoint, weights_only=True)
    for part in ("encoder", "painter", "decoder"):
        target = saved["architecture"][part]["_target_"]
        assert target.startswith("calcium_lightning.replications.teng2021.")
        saved["architecture"][part]["_target_"] = target.replace(
            "calcium_lightning.replications.teng2021", room
        )
    torch.save(saved, tmp_path / "old.ckpt")
    detector = load_detector(tmp_path / "old.ckpt")
    assert isinstance(detector, CoordinateDetector)
    ours, theirs = load_published(checkpoint).state_dict(), detector.network.state_dict()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_halves_of_the_latent_reconstruct_worse_and_the_whole_is_the_model(checkpoint, frames):
    network = load_published(checkpoint)
    results = reduced_latents(network, frames[:6])
    assert len(results) == 12
    with torch.no_grad():
        expected = (network(frames[:6, None]).reconstruction - frames[:6]).square().mean()
    whole = [part.error for part in results if part.dropped == "whole"]
    assert whole == pytest.approx([float(expected)] * 2)
    top, bottom = (
        next(p for p in results if p.dropped == n and p.order == "by x") for n in ("top", "bottom")
    )
    assert not np.allclose(top.pictures, bottom.pictures)
    assert draw(frames[:6], results) is not None


def test_leave_one_out_is_exact_for_splats(frames):
    from calcium_lightning.replications.teng2021.encoder import PublishedEncoder
    from calcium_lightning.replications.teng2021.network import PublishedNetwork
    from calcium_lightning.replications.teng2021.painter import GaussianPainter

    torch.manual_seed(0)
    decoder = {"_target_": "calcium_lightning.nn.splat.SplatDecoder", "sigma": 2.0}
    network = PublishedNetwork(PublishedEncoder(6, 3, (4, 4)), GaussianPainter(), decoder, 5, 32, 3.0).eval()
    shares = leave_one_out(network, frames[:4])
    with torch.no_grad():
        seen = network(frames[:4, None])
        for index in range(5):
            only = seen.latent.clone()
            only[:, torch.arange(5) != index, 2] = 0
            own = network.decoder(only) - network.decoder.background
            without = (seen.reconstruction - own - frames[:4]).square().mean()
            grown = without - (seen.reconstruction - frames[:4]).square().mean()
            assert float(shares[index]) == pytest.approx(float(grown), abs=1e-5)
