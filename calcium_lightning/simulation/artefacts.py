"""What recordings have and clean scenes leave out: settings of the effects that are off unless asked for.

Units are in the names; a pair is a range (low, high). Knows nothing of how any of it is drawn. Each effect
has a random stream of its own, so that a scene without it stays what it is, and none is part of the truth.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from calcium_lightning.core.errors import InputError
from calcium_lightning.simulation.limits import Range

#: codecs that frames may have gone through
CODECS = ("none", "h264", "mpeg4", "mjpeg")
#: effects on the sensor's own frames
RAW_ONLY = (
    "demosaicked",
    "black_frames_per_minute",
    "white_frames_per_minute",
    "torn_frames_per_minute",
    "duplicated_frames_per_minute",
)


@dataclass(frozen=True)
class ArtefactSettings:
    """Effects of optics, sensor, transmission and earlier processing.

    Attributes
    ----------
    noise_autocorrelation : float
        Correlation of a pixel's noise with that of the frame before (denoising); it falls as its powers. The
        noise's variance stays.
    demosaicked : bool
        The sensor has a Bayer pattern: pixels that see no green have the mean of their four neighbours. For
        raw frames.
    codec : {"none", "h264", "mpeg4", "mjpeg"}
        The frames went through a lossy codec. For 8 bit.
    codec_quality : float
        Of H.264 the constant rate factor, 0 (lossless) to 51; else the quantiser, 1 to 31. More is worse.
    lens_radius : float
        Radius of the round picture that a lens gives, relative to half of the frame's shorter side; 0 where
        its edge isn't in the frame. It stands still while the tissue moves. Cells behind it aren't in the
        truth.
    lens_edge_px : float
        Over which the light falls from 90 to 10 % at this edge.
    vessel_flicker : float
        Standard deviation of the light in time at the steepest wall of a vessel, relative to its mean.
    blobs_per_1000_px2 : float
        Cells far out of focus: they brighten as cells do, are in no truth, and have no shape of their own.
    blob_brightness : float
        Median peak of a typical burst of these, relative to `brightness`.
    blob_sigma_diameters : (float, float)
        Standard deviation of these blobs, in mean diameters of the cells.
    black_frames_per_minute, white_frames_per_minute : float
        Frames without light, and saturated ones. For raw frames, as all bad frames.
    torn_frames_per_minute : float
        Frames that begin at another row.
    duplicated_frames_per_minute : float
        Frames that are the one before once more.
    """

    noise_autocorrelation: float = 0.0
    demosaicked: bool = False
    codec: str = "none"
    codec_quality: float = 23.0
    lens_radius: float = 0.0
    lens_edge_px: float = 6.0
    vessel_flicker: float = 0.0
    blobs_per_1000_px2: float = 0.0
    blob_brightness: float = 0.7
    blob_sigma_diameters: Range = (0.8, 2.0)
    black_frames_per_minute: float = 0.0
    white_frames_per_minute: float = 0.0
    torn_frames_per_minute: float = 0.0
    duplicated_frames_per_minute: float = 0.0

    @property
    def has_bad_frames(self) -> bool:
        """Whether any frame may be bad."""
        return any(getattr(self, name) for name in RAW_ONLY if name.endswith("frames_per_minute"))

    def check_artefacts(self, kind: str, dtype: np.dtype) -> None:
        """Refuse effects that the frames can't have; each one's own range is checked with the scene's.

        Parameters
        ----------
        kind : {"raw", "dff"}
            Of the frames.
        dtype : dtype
            Of the frames.

        Raises
        ------
        InputError
            Naming the setting.
        """
        if self.codec not in CODECS:
            raise InputError(f"simulation.codec={self.codec}: {', '.join(CODECS)}")
        if self.codec != "none" and dtype != np.uint8:
            raise InputError(f"simulation.codec={self.codec}: for frames of 8 bit only")
        if self.codec in ("mpeg4", "mjpeg") and not 1 <= self.codec_quality <= 31:
            raise InputError(
                f"simulation.codec_quality={self.codec_quality:g}: of {self.codec} between 1 and 31"
            )
        rates = [name for name in RAW_ONLY if getattr(self, name)]
        if rates and kind != "raw":
            raise InputError(f"simulation.{rates[0]}={getattr(self, rates[0])}: for simulation.kind=raw only")
