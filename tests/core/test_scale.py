"""Numbers that several rooms share are one number, whoever is asked and whatever is overridden."""

import ast
from pathlib import Path

import pytest
from helpers.composed import composed
from helpers.tiny_network import make_network
from helpers.tiny_session import make_session
from hydra.utils import instantiate

import calcium_lightning
from calcium_lightning.core.scale import BACKGROUND_DIAMETERS, CELL_SIGMA, FWHM, background_sigma
from calcium_lightning.data.datamodule import SessionData
from calcium_lightning.nn.checkpoint import save_network
from calcium_lightning.nn.windows import WindowSettings
from calcium_lightning.pipeline import extract_streamed, load_model
from calcium_lightning.preprocess.prepare import PreprocessSettings

SESSIONS = "data.sessions=[a.h5]"


@pytest.mark.parametrize(
    ("overrides", "expected"),
    [
        ((), BACKGROUND_DIAMETERS),
        (("preprocess.background_diameters=1.1",), 1.1),
        (("loss=labels", "preprocess.background_diameters=0.9"), 0.9),
        (("+experiment=pretrain", "preprocess.background_diameters=0.8"), 0.8),
    ],
)
def test_the_loss_the_data_and_the_window_have_one_background(overrides, expected):
    cfg = composed("train", SESSIONS, *overrides)
    loss, data, window = (
        instantiate(cfg.loss),
        instantiate(cfg.data, _convert_="all"),
        instantiate(cfg.window),
    )
    assert loss.evidence.background_sigma == pytest.approx(background_sigma(expected))
    assert data.preprocess.background_diameters == window.background_diameters == expected


def test_data_is_prepared_as_its_window_says():
    wide = WindowSettings(background_diameters=1.0)
    assert SessionData(["a.h5"], wide).preprocess.background_diameters == 1.0
    asked = PreprocessSettings(background_diameters=0.5)
    assert SessionData(["a.h5"], wide, preprocess=asked).preprocess.background_diameters == 0.5


def test_configs_know_the_cells_sigma():
    assert composed("train", SESSIONS).decoder.sigma == pytest.approx(CELL_SIGMA, abs=0.005)


def test_nobody_writes_these_numbers_down_again():
    told = {1.4826, 0.6745, 2.3548, 2.55, round(FWHM, 4), round(CELL_SIGMA, 3)}
    root = Path(calcium_lightning.__file__).parent
    again = [
        f"{path.relative_to(root)}:{node.lineno}"
        for path in root.rglob("*.py")
        if path.name != "scale.py"
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Constant) and isinstance(node.value, float) and round(node.value, 4) in told
    ]
    assert again == []


def test_extraction_prepares_as_the_network_was_trained(tmp_path):
    network = make_network()
    wide = WindowSettings(5, 0.3, background_diameters=1.2)
    save_network(tmp_path / "wide.safetensors", network, wide)
    path = make_session(tmp_path / "a.h5")
    for settings, expected in ((None, 1.2), (PreprocessSettings(background_diameters=0.5), 0.5)):
        model = load_model(tmp_path / "wide.safetensors", device="cpu")
        with extract_streamed(
            path, cell_diameter=6, detector=model, preprocess=settings, device="cpu"
        ) as extraction:
            assert extraction.prepared.background_sigma == pytest.approx(background_sigma(expected))
