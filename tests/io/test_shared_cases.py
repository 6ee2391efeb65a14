"""Recordings as people have them: each of the made-up cases beside the repository, as a user types it.

The scripts are not the project's: where they aren't on the machine, nothing is tested here. What they taught
has tests of its own in ``readers/``.
"""

from __future__ import annotations

import runpy
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from calcium_lightning.io.session import Session

CASES = Path(__file__).resolve().parents[3] / "shared" / "cases"


@dataclass(frozen=True)
class Right:
    """The right outcome of an input: a session, or one line.

    Attributes
    ----------
    input : str
        What the user gives.
    frames : ndarray, optional
        What the session holds; None where it is refused.
    fps : float, optional
        Hz.
    said : tuple of str
        What is said, on either stream.
    options : tuple of str
        What else is typed.
    about : dict of str to str
        What the session knows of the animal and the day, or how that begins.
    field : ndarray of bool, optional
        Which pixels hold data.
    lossy : float
        Grey levels that a frame's pixels may be off, on average, where the file itself lost them.
    """

    input: str
    frames: np.ndarray | None = None
    fps: float | None = 20.0
    said: tuple[str, ...] = ()
    options: tuple[str, ...] = ()
    about: dict[str, str] = field(default_factory=dict)
    field: np.ndarray | None = None
    lossy: float = 0


Made = SimpleNamespace


def _empty_chunks(made: Made) -> Iterator[Right]:
    yield Right("ticks.avi", made.u8(made.m), 10.0, lossy=3)


def _csv(made: Made) -> Iterator[Right]:
    yield Right("rec", made.u8(made.m))
    yield Right("rec", made.u8(made.m), options=("timestamps=false",))


def _cut(made: Made) -> Iterator[Right]:
    yield Right("rec", said=("stop=159",))
    yield Right("rec", made.u8(made.m)[:159], options=("stop=159",))


def _dff(made: Made) -> Iterator[Right]:
    yield Right("dff.tif", made.d.astype(np.float32), said=("ΔF/F",), options=("fps=20",))


def _dib(made: Made) -> Iterator[Right]:
    for name in ("pal8", "pal8_top", "bgr24", "y800", "grey", "pal8_dc"):
        yield Right(f"{name}.avi", made.g)
    yield Right("nopal8.avi", made.g)
    for name in ("y800_96", "grey_96", "y8_96", "pal8_96"):
        yield Right(f"{name}.avi", made.g96)


def _imagej(made: Made) -> Iterator[Right]:
    for name in ("z", "c_as_time", "fps_default"):
        yield Right(f"{name}.tif", made.g, options=("fps=20",))
    yield Right("fps_default.tif", said=("no frame rate",))
    for name in ("ms", "min", "both", "sec_msec", "mm"):
        yield Right(f"{name}.tif", made.g)
    yield Right("tc.tif", said=("channel=",), options=("fps=20",))
    yield Right("tc.tif", made.g // 2, options=("fps=20", "channel=1"))


def _matlab(made: Made) -> Iterator[Right]:
    yield Right("v5_tyx.mat", made.g, options=("fps=20", "axes=tyx"))
    for name in ("v5", "v5_struct", "v5_2d", "v73", "v73_2d", "v73_struct"):
        yield Right(f"{name}.mat", made.g, options=("fps=20",))
    yield Right("v5_two.mat", said=("key=", "Y (80, 96, 100)"), options=("fps=20",))
    yield Right("v5_two.mat", made.g, options=("fps=20", "key=Y"))
    yield Right("ciatah.h5", made.g.transpose(0, 2, 1), options=("fps=20",))
    yield Right("ciatah.h5", made.g, options=("fps=20", "axes=txy"))
    yield Right("caiman.hdf5", made.g.astype(np.float32))
    yield Right("yxt.h5", made.g, options=("fps=20", "axes=yxt"))
    for name in ("fourd.h5", "inscopix_like.h5", "movie.npy", "movie.npz"):
        yield Right(name, made.g, options=("fps=20",))


def _copies(made: Made) -> Iterator[Right]:
    yield Right("rec", made.u8(made.m), said=("mp4",))


def _nan(made: Made) -> Iterator[Right]:
    inside = np.isfinite(made.m[0])
    yield Right(
        "corrected.tif", np.where(inside, made.m, 0), said=("NaN",), options=("fps=20",), field=inside
    )


def _natural(made: Made) -> Iterator[Right]:
    for name in ("recmsCam", "rec"):
        yield Right(name, made.m, said=("behavCam1.avi",))


def _nwb(made: Made) -> Iterator[Right]:
    for name in ("rate", "stamps", "meters", "rate_zero", "fourd", "behav_too"):
        yield Right(f"{name}.nwb", made.g)
    yield Right("imageseries_only.nwb", said=("acquisition/calcium",))
    yield Right("imageseries_only.nwb", made.g, options=("key=acquisition/calcium",))
    yield Right("two.nwb", said=("key=", "Raw", "Corrected"))
    yield Right("two.nwb", made.g, options=("key=acquisition/Raw/data",))
    yield Right("int16.nwb", made.g)
    yield Right("external.nwb", made.u8(made.m))
    yield Right("external2.nwb", np.concatenate([made.u8(made.m)] * 2))
    yield Right("swapped.nwb", made.g.transpose(0, 2, 1))


def _ome(made: Made) -> Iterator[Right]:
    yield Right("rec", made.g)
    for name in made.names:
        yield Right(f"rec/{name}", made.g)


def _rate(made: Made) -> Iterator[Right]:
    yield Right("Miniscope_top", made.u8(made.m), 1000 / 34, said=("29.4", "25"))


def _layout(made: Made) -> Iterator[Right]:
    about = {"subject_id": "a1", "session_start_time": "2022-09-19T"}
    for name in ("15_03_28", "15_03_28/My_V4_Miniscope"):
        yield Right(name, made.u8(made.m), said=("My_V4_Miniscope",), about=about)


def _short(made: Made) -> Iterator[Right]:
    yield Right("t1.tif", said=("at least 2",), options=("fps=20",))
    for count in (2, 3, 5, 10, 20, 40):
        yield Right(f"t{count}.tif", made.u8(made.m[:count]), options=("fps=20",))


def _single(made: Made) -> Iterator[Right]:
    for name in ("v4", "v3", "plain"):
        yield Right(name, made.u8(made.m))


def _signed(made: Made) -> Iterator[Right]:
    ten = np.rint(made.m * 10).astype(np.uint16)
    yield Right("neg.tif", said=("dtype=float32",), options=("fps=20",))
    yield Right("neg.tif", ten - np.float32(500), options=("fps=20", "dtype=float32"))
    for name in ("pos", "i32", "bigend", "lzw"):
        yield Right(f"{name}.tif", ten, options=("fps=20",))
    yield Right("u32.tif", np.rint(made.m * 100).astype(np.uint16), options=("fps=20",))
    yield Right("f64.tif", made.m, options=("fps=20",))
    yield Right("f16.tif", made.m.astype(np.float16).astype(np.float32), options=("fps=20",))


def _colours(made: Made) -> Iterator[Right]:
    for name in ("inter", "planar", "rgba", "ij_rgb", "minwhite"):
        yield Right(f"{name}.tif", made.g, options=("fps=20",))


def _dashes(made: Made) -> Iterator[Right]:
    frames = made.u8(made.m).astype(np.uint16) * 16
    frames[:, 0, 0] = np.arange(300)
    yield Right("rec", frames, options=("fps=20",))


def _quiet(made: Made) -> Iterator[Right]:
    yield Right("quiet.tif", made.u8(made.m), options=("fps=20",))
    yield Right(
        "black.tif", np.zeros((200, 64, 64), np.uint8), said=("black.tif: all black",), options=("fps=20",)
    )
    yield Right(
        "white.tif",
        np.full((200, 64, 64), 255, np.uint8),
        said=("white.tif: every pixel",),
        options=("fps=20",),
    )


def _zero_byte(made: Made) -> Iterator[Right]:
    yield Right("rec", made.u8(made.m), said=("2.avi", "empty"))


def _stacks(made: Made) -> Iterator[Right]:
    """Those that are about cells: every stack is read as it is."""
    import tifffile

    for path in sorted(Path().glob("*.tif")):
        yield Right(path.name, tifffile.imread(path), options=("fps=20",))


def _lossy(made: Made) -> Iterator[Right]:
    for truth in sorted(Path().glob("*.npz")):
        frames = made.u8(made.movie(T=300, n=len(np.load(truth)["c"]), H=128, W=128)[0])
        for path in sorted(Path().glob(f"{truth.stem}_*")):
            yield Right(path.name, frames, lossy=3)


RIGHT: dict[str, Callable[[Made], Iterator[Right]]] = {
    "avi_empty_chunks": _empty_chunks,
    "csv_without_header": _csv,
    "cut_second_avi_of_folder": _cut,
    "dark_and_flicker": _stacks,
    "dead_line": _stacks,
    "dff_float_tiff": _dff,
    "dib_avi": _dib,
    "imagej_stacks": _imagej,
    "lossy_mp4": _lossy,
    "mat_h5_variants": _matlab,
    "mp4_copies_beside_avis": _copies,
    "nan_borders": _nan,
    "natural_order": _natural,
    "nwb_variants": _nwb,
    "ome_multifile": _ome,
    "rate_25_of_29": _rate,
    "round_lens": _stacks,
    "session_folder_real_layout": _layout,
    "short": _short,
    "single_avi_folder": _single,
    "static_zero_border": _stacks,
    "tiff_int16_signed": _signed,
    "tiff_rgb_planar": _colours,
    "tiff_split_dash001": _dashes,
    "zero_activity": _quiet,
    "zero_byte_last_avi": _zero_byte,
}


def check(right: Right, outcome: Any, output: Path) -> None:
    """Assert that a command did what is right."""
    told = outcome.stdout + outcome.stderr
    for words in right.said:
        assert words in told, told
    if right.frames is None:
        assert outcome.status == 2, outcome
        assert len(outcome.stderr.strip().splitlines()) == 1, outcome.stderr
        assert not output.exists()
        return
    assert outcome.status == 0, outcome.stderr
    with Session(output) as session:
        read = session.frames()
        assert read.shape == right.frames.shape
        if right.lossy:
            assert np.abs(read.astype(float) - right.frames).mean(axis=(1, 2)).max() < right.lossy
        else:
            inside = slice(None) if right.field is None else right.field
            np.testing.assert_allclose(
                read[:, inside].reshape(len(read), -1),
                right.frames[:, inside].reshape(len(read), -1),
                rtol=1e-6,
            )
        assert session.fps == pytest.approx(right.fps, rel=2e-3)
        if right.field is not None:
            np.testing.assert_array_equal(session.field, right.field)
        for name, begins in right.about.items():
            assert session.about[name].startswith(begins)


@pytest.mark.parametrize("script", sorted(RIGHT))
def test_a_case(script, run_command, tmp_path, monkeypatch):
    path = CASES / f"{script}.py"
    if not path.is_file():
        pytest.skip(f"the made-up cases are not on this machine ({CASES})")
    monkeypatch.chdir(tmp_path)
    made = Made(**runpy.run_path(str(path)))
    for right in RIGHT[script](made):
        outcome = run_command(
            "ingest", f"input={right.input}", "output=out.h5", "overwrite=true", *right.options
        )
        check(right, outcome, tmp_path / "out.h5")
        (tmp_path / "out.h5").unlink(missing_ok=True)
