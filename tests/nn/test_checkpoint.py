"""Weights in files: round trips, and files from strangers."""

from __future__ import annotations

import copy
import json
import os
import pickle

import pytest
import torch
from helpers.tiny_network import ARCHITECTURE, make_network
from helpers.tiny_training import same
from safetensors.torch import save_file
from torch import nn

from calcium_lightning.core import parts as core_parts
from calcium_lightning.core.errors import InputError
from calcium_lightning.core.scale import BACKGROUND_DIAMETERS
from calcium_lightning.nn import checkpoint as weights
from calcium_lightning.nn.checkpoint import load_network, read_checkpoint, save_network
from calcium_lightning.nn.network import LocalizationNetwork
from calcium_lightning.nn.windows import WindowSettings
from calcium_lightning.training.checkpoints import check_resumable, load_weights
from calcium_lightning.training.checks import check_model
from calcium_lightning.training.localization import LocalizationModel
from calcium_lightning.training.losses import EvidenceLoss

WINDOW = WindowSettings(taps=5, seconds=0.5)


def checkpoint(**changes) -> dict:
    state = {f"network.{name}": value for name, value in make_network().state_dict().items()}
    window = {"taps": 5, "seconds": 0.5, "blind_spot": False}
    plain = {
        "format": weights.FORMAT,
        "format_version": weights.VERSION,
        "state_dict": state,
        "window": window,
    }
    return {**plain, "architecture": copy.deepcopy(ARCHITECTURE), **changes}


def test_a_network_comes_back_from_safetensors(tmp_path):
    network, path = make_network(), tmp_path / "w.safetensors"
    save_network(path, network, WINDOW, {"recipe": "none"})
    loaded, window = load_network(path)
    batch = torch.randn(2, 5, 24, 40)
    torch.testing.assert_close(loaded(batch).maps.raw, network(batch).maps.raw, rtol=0, atol=0)
    assert window == WINDOW
    assert loaded.architecture == network.architecture
    assert not loaded.training
    with pytest.raises(InputError, match="exists; overwrite=true"):
        save_network(path, network, WINDOW)


def test_a_network_comes_back_from_a_checkpoint(tmp_path):
    torch.save(checkpoint(optimizer_states=[]), tmp_path / "best.ckpt")
    loaded, window = load_network(tmp_path / "best.ckpt")
    batch = torch.randn(1, 5, 24, 24)
    torch.testing.assert_close(loaded(batch).maps.raw, make_network()(batch).maps.raw, rtol=0, atol=0)
    assert window == WINDOW


def test_what_a_training_saves_can_be_loaded(tmp_path):
    network = make_network()
    parts = (network.encoder, network.head, network.decoder, network.background)
    model = LocalizationModel(
        *parts, loss=torch.nn.Identity(), optimizer=torch.optim.Adam, window=WINDOW, architecture=ARCHITECTURE
    )
    saved = {"state_dict": model.state_dict()}
    model.on_save_checkpoint(saved)
    torch.save(saved, tmp_path / "last.ckpt")
    loaded, _ = load_network(tmp_path / "last.ckpt")
    assert all(torch.equal(value, network.state_dict()[name]) for name, value in loaded.state_dict().items())
    other = LocalizationModel(
        *(copy.deepcopy(part) for part in parts),
        torch.nn.Identity(),
        torch.optim.Adam,
        window=WINDOW,
        architecture=ARCHITECTURE,
    )
    torch.nn.init.zeros_(next(other.network.parameters()))
    save_network(tmp_path / "w.safetensors", network, WINDOW)
    load_weights(other, tmp_path / "w.safetensors")  # a training starts from weights alone, too
    assert torch.equal(next(other.network.parameters()), next(network.parameters()))


def test_a_checkpoint_remembers_how_its_frames_were_prepared(tmp_path):
    seen = WindowSettings(5, 0.5, background_diameters=1.0)
    save_network(tmp_path / "wide.safetensors", make_network(), seen)
    assert load_network(tmp_path / "wide.safetensors")[1].background_diameters == 1.0
    torch.save(checkpoint(), tmp_path / "old.ckpt")  # of before it was noted
    assert load_network(tmp_path / "old.ckpt")[1].background_diameters == BACKGROUND_DIAMETERS
    parts = (getattr(make_network(), name) for name in ("encoder", "head", "decoder", "background"))
    model = LocalizationModel(
        *parts, torch.nn.Identity(), torch.optim.Adam, window=WINDOW, architecture=ARCHITECTURE
    )
    check_resumable({**checkpoint(), "epoch": 0, "global_step": 0}, model, "old.ckpt")
    with pytest.raises(InputError, match=r"preprocess.background_diameters=1, this training has 0.67"):
        load_weights(model, tmp_path / "wide.safetensors")


def test_an_unknown_part_is_refused_and_never_imported(tmp_path):
    (tmp_path / "evil.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Encoder: pass\n")
    for target in ("evil.Encoder", "os.system", "calcium_lightning.nn.encoder.UShapeEncode"):
        architecture = copy.deepcopy(ARCHITECTURE)
        architecture["encoder"]["_target_"] = target
        torch.save(checkpoint(architecture=architecture), tmp_path / "a.ckpt")
        with pytest.raises(InputError, match=f"encoder '{target}' is unknown here"):
            load_network(tmp_path / "a.ckpt")
    assert not (tmp_path / "ran").exists()
    with pytest.raises(InputError, match=r"nearest: calcium_lightning.nn.encoder.UShapeEncoder"):
        load_network(tmp_path / "a.ckpt")


class Malice:
    """What unpickles into a command."""

    def __init__(self, command: str) -> None:
        self.command = command

    def __reduce__(self):
        return os.system, (self.command,)


@pytest.mark.parametrize("save", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value))])
def test_a_pickle_with_code_is_refused_and_not_run(tmp_path, save):
    save(checkpoint(malice=Malice(f"touch {tmp_path}/ran")), tmp_path / "a.ckpt")
    with pytest.raises(InputError, match="not a checkpoint, or damaged") as caught:
        load_network(tmp_path / "a.ckpt")
    assert not (tmp_path / "ran").exists()
    assert "\n" not in str(caught.value)


def changed(part: str, **settings) -> dict:
    architecture = copy.deepcopy(ARCHITECTURE)
    architecture[part].update(settings)
    return {"architecture": architecture}


@pytest.mark.parametrize(
    ("changes", "line"),
    [
        ({"format": "another"}, "not of calcium_lightning.train"),
        ({"format_version": 2}, "version 2, this package reads up to 1"),
        ({"format_version": 0}, "version 0"),
        ({"format_version": "new"}, "version new"),
        ({"architecture": {"encoder": None}}, "a part of its architecture has no settings"),
        ({"architecture": {"encoder": {}}}, "encoder '' is unknown"),
        ({"architecture": [1, 2]}, "are no mappings"),
        (changed("encoder", features=[8, 14]), "its weights don't fit its architecture"),
        (changed("encoder", colour="red"), "settings that .*UShapeEncoder doesn't take: colour"),
        (changed("encoder", _partial_=True), "UShapeEncoder: _partial_ can't be built of a checkpoint"),
        (changed("head", in_channels="many"), "don't fit its architecture"),
        ({"window": {"taps": 4}}, "window.taps=4"),
        ({"window": {"frames": 5}}, "frames"),
        ({"window": {"background_diameters": {"a": 1}}}, "its window is none"),
        ({"state_dict": {}}, "its weights don't fit its architecture"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused(tmp_path, changes, line):
    torch.save(checkpoint(**changes), tmp_path / "a.ckpt")
    with pytest.raises(InputError, match=line) as caught:
        load_network(tmp_path / "a.ckpt")
    assert str(caught.value).startswith(f"checkpoint={tmp_path / 'a.ckpt'}: ")


@pytest.mark.parametrize("content", [b"hello", b"\x89HDF\r\n\x1a\n" + bytes(64), b""])
def test_what_is_no_checkpoint_is_told_without_torchs_advice_to_run_it(tmp_path, content):
    path = tmp_path / "model.ckpt"
    path.write_bytes(content)
    with pytest.raises(InputError, match="not a checkpoint, or damaged") as caught:
        read_checkpoint(path)
    assert "weights_only" not in str(caught.value)


@pytest.mark.parametrize("missing", ["state_dict", "architecture", "window", "format"])
def test_a_checkpoint_of_somebody_else_is_refused(tmp_path, missing):
    content = checkpoint()
    del content[missing]
    torch.save(content, tmp_path / "a.ckpt")
    with pytest.raises(InputError, match=r"a checkpoint, but not of calcium_lightning.train"):
        read_checkpoint(tmp_path / "a.ckpt")
    torch.save(torch.zeros(3), tmp_path / "a.ckpt")
    with pytest.raises(InputError, match=r"a checkpoint, but not of calcium_lightning.train"):
        read_checkpoint(tmp_path / "a.ckpt")


@pytest.mark.parametrize(
    ("described", "line"),
    [
        (None, "safetensors, but not weights of calcium-lightning"),
        ({"format": "pt"}, "safetensors, but not weights of calcium-lightning"),
        ({"format": weights.FORMAT, "format_version": "9"}, "version 9"),
        ({"format": weights.FORMAT, "format_version": "1"}, "not a weights file, or damaged"),
        (
            {"format": weights.FORMAT, "format_version": "1", "architecture": "{", "window": "{}"},
            "not a weights file, or damaged",
        ),
        (
            {
                "format": weights.FORMAT,
                "format_version": "1",
                "architecture": json.dumps(ARCHITECTURE),
                "window": '{"taps": 5}',
            },
            "its weights don't fit its architecture",
        ),
    ],
)
def test_safetensors_of_somebody_else_are_refused(tmp_path, described, line):
    save_file({"a": torch.zeros(3)}, tmp_path / "w.safetensors", described)
    with pytest.raises(InputError, match=line):
        load_network(tmp_path / "w.safetensors")


def test_damaged_and_missing_files_are_refused(tmp_path, monkeypatch):
    save_network(tmp_path / "w.safetensors", make_network(), WINDOW)
    torch.save(checkpoint(), tmp_path / "a.ckpt")
    for name in ("w.safetensors", "a.ckpt"):
        whole = (tmp_path / name).read_bytes()
        (tmp_path / name).write_bytes(whole[: len(whole) // 2])
        with pytest.raises(InputError, match="damaged"):
            load_network(tmp_path / name)
        (tmp_path / name).write_bytes(b"")
        with pytest.raises(InputError, match="damaged"):
            load_network(tmp_path / name)
        with pytest.raises(InputError, match=f"checkpoint=.*no{name}: no such file"):
            load_network(tmp_path / f"no{name}")
    monkeypatch.setattr(weights, "DEFAULT", tmp_path / "default.safetensors")
    with pytest.raises(InputError, match=r"default.safetensors"):
        load_network()


def test_nothing_is_left_of_weights_that_cannot_be_written(tmp_path):
    with pytest.raises(Exception, match=r"."):
        save_network(tmp_path / "w.safetensors", make_network(), WINDOW, {"note": 3})  # type: ignore[dict-item]
    assert list(tmp_path.iterdir()) == []


def test_the_weights_in_the_package_load_where_they_ship():
    if not weights.DEFAULT.is_file():
        pytest.skip(f"no weights in the package yet ({weights.DEFAULT})")
    network, window = load_network()
    taps = network.architecture["encoder"]["in_channels"]
    assert taps == window.taps
    found = network.localize(torch.zeros(1, taps, 48, 64))
    assert not found.valid.any()  # nothing in nothing


class Scaled(nn.Conv2d):
    """A part of the user's own: it holds an infinite constant, and a number that is no size."""

    def __init__(self, in_channels: int, out_channels: int, scale: float) -> None:
        super().__init__(in_channels, out_channels, 3, padding=1)
        self.register_buffer("mask", torch.full((4, 4), -torch.inf).triu(1))
        self.scale = scale

    def forward(self, windows, extent=None):
        return super().forward(windows) * self.scale / 5000


OWN = {"_target_": f"{__name__}.Scaled", "in_channels": 5, "out_channels": 8, "scale": 5000.0}


def test_an_own_part_may_hold_infinite_constants_and_large_numbers(tmp_path, monkeypatch):
    monkeypatch.setattr(core_parts, "_modules", {**core_parts._modules, __name__: None})
    architecture = {**ARCHITECTURE, "encoder": OWN}
    network = LocalizationNetwork.from_architecture(architecture)
    check_model(network, EvidenceLoss(splats=16), WINDOW)
    state = {f"network.{name}": value for name, value in network.state_dict().items()}
    torch.save(checkpoint(state_dict=state, architecture=architecture), tmp_path / "a.ckpt")
    loaded, _ = load_network(tmp_path / "a.ckpt")
    assert same(loaded.state_dict(), network.state_dict())
    save_network(tmp_path / "a.safetensors", network, WINDOW)
    assert same(load_network(tmp_path / "a.safetensors")[0].state_dict(), network.state_dict())
    # Not NaN, nor what the package's own parts would make of such numbers, nor those around it.
    network.encoder.weight.data.fill_(torch.nan)
    with pytest.raises(InputError, match=r"encoder\.weight holds NaN .*: its training diverged"):
        saved(tmp_path, network)
    network = LocalizationNetwork.from_architecture(architecture)
    network.head.output.weight.data.fill_(torch.inf)
    with pytest.raises(InputError, match=r"head\.\S* holds NaN or infinite weights"):
        saved(tmp_path, network)


def saved(folder, network) -> None:
    """Write a network, and read it."""
    save_network(folder / "w.safetensors", network, WINDOW, overwrite=True)
    load_network(folder / "w.safetensors")


def test_what_no_checkpoint_could_be_loaded_of_is_not_trained():
    bright = {**ARCHITECTURE, "head": {**ARCHITECTURE["head"], "initial_amplitude": 5000.0}}
    with pytest.raises(InputError, match=r"could be loaded: .* head.initial_amplitude=5000\.0"):
        check_model(LocalizationNetwork.from_architecture(bright), EvidenceLoss(splats=16), WINDOW)
    loss = EvidenceLoss(splats=16)
    loss.register_buffer("level", torch.tensor(torch.nan))
    with pytest.raises(InputError, match=r"could be loaded: loss\.level holds NaN .* persistent=False"):
        check_model(make_network(), loss, WINDOW)
