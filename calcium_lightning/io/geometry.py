"""Which part of a recording is kept, and at what resolution: crop, bins and frame range as one description.

It applies the same cut to everything that belongs to the frames: time stamps, shifts, footprints, traces,
masks. Knows arrays only.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.sparse import csr_matrix

from calcium_lightning.core.errors import InputError
from calcium_lightning.core.truth import Truth


@dataclass(frozen=True)
class Cut:
    """A checked cut of a recording (T, H, W).

    Attributes
    ----------
    source : tuple of int
        (T, H, W) of the whole recording.
    start, stop : int
        Frames kept; a whole number of temporal bins.
    y0, y1, x0, x1 : int
        Rows and columns kept; whole numbers of spatial bins.
    spatial, temporal : int
        Pixels (along each side) and frames that are averaged into one.
    """

    source: tuple[int, int, int]
    start: int
    stop: int
    y0: int
    y1: int
    x0: int
    x1: int
    spatial: int
    temporal: int

    @classmethod
    def of(
        cls,
        source: tuple[int, int, int],
        crop: tuple[int, int, int, int] | None = None,
        spatial: int = 1,
        temporal: int = 1,
        start: int = 0,
        stop: int | None = None,
    ) -> Cut:
        """Check a cut against the recording; what is left over of a last bin is dropped.

        Raises
        ------
        InputError
            If it reaches outside the recording, or leaves less than two frames or one pixel.
        """
        frames, height, width = source
        stop = frames if stop is None else stop
        y0, y1, x0, x1 = (0, height, 0, width) if crop is None else crop
        if not 0 <= start < stop <= frames:
            raise InputError(f"start={start} stop={stop}: outside the recording's {frames} frames")
        if not (0 <= y0 < y1 <= height and 0 <= x0 < x1 <= width):
            raise InputError(
                f"crop=[{y0},{y1},{x0},{x1}]: outside a field of {height} x {width} (expected y0,y1,x0,x1 in "
                "pixels)"
            )
        if spatial < 1 or temporal < 1:
            raise InputError(f"bin={spatial} temporal_bin={temporal}: expected whole numbers from 1")
        rows, columns, times = (y1 - y0) // spatial, (x1 - x0) // spatial, (stop - start) // temporal
        if rows == 0 or columns == 0:
            raise InputError(f"bin={spatial}: larger than the field of {y1 - y0} x {x1 - x0} pixels")
        if times < 2:
            raise InputError(
                f"{times} frame{'s' * (times != 1)} left of {stop - start}; a recording needs at least 2"
            )
        return cls(
            source,
            start,
            start + times * temporal,
            y0,
            y0 + rows * spatial,
            x0,
            x0 + columns * spatial,
            spatial,
            temporal,
        )

    @property
    def shape(self) -> tuple[int, int, int]:
        """(T, H, W) of what is left."""
        return (
            (self.stop - self.start) // self.temporal,
            (self.y1 - self.y0) // self.spatial,
            (self.x1 - self.x0) // self.spatial,
        )

    @property
    def whole_field(self) -> bool:
        """Whether every pixel is kept as it is."""
        return self.spatial == 1 and (self.y0, self.y1, self.x0, self.x1) == (
            0,
            self.source[1],
            0,
            self.source[2],
        )

    def pixels(self, frames: np.ndarray) -> np.ndarray:
        """Crop frames (n, H, W) and average their spatial bins: float32 where there are bins.

        Examples
        --------
        >>> halved = Cut.of((2, 4, 4), spatial=2)
        >>> halved.pixels(np.arange(16, dtype=np.uint8).reshape(1, 4, 4))
        array([[[ 2.5,  4.5],
                [10.5, 12.5]]], dtype=float32)
        """
        frames = frames[:, self.y0 : self.y1, self.x0 : self.x1]
        if self.spatial == 1:
            return frames
        count, height, width = frames.shape
        bins = self.spatial
        rows = frames.reshape(count, height // bins, bins, width).sum(axis=2, dtype=np.float32)
        return rows.reshape(count, height // bins, width // bins, bins).sum(axis=3) / np.float32(bins * bins)

    def field(self, known: np.ndarray | None) -> np.ndarray:
        """Which of the new pixels are recording: those of which all old ones are (H, W); None is all."""
        if known is None:
            return np.ones(self.shape[1:], bool)
        kept = known[self.y0 : self.y1, self.x0 : self.x1]
        height, width = self.shape[1:]
        return np.all(kept.reshape(height, self.spatial, width, self.spatial), axis=(1, 3))

    def times(self, values: np.ndarray, total: bool = False) -> np.ndarray:
        """Cut (T, ...) to the frame range and average its temporal bins, or add them up (counts)."""
        values = values[self.start : self.stop]
        if self.temporal == 1:
            return values
        bins = values.reshape(self.shape[0], self.temporal, *values.shape[1:])
        return bins.sum(axis=1) if total else bins.mean(axis=1)

    def binned(self, values: np.ndarray) -> np.ndarray:
        """Values of the frames that are kept, (stop - start,), by temporal bins, (T, temporal)."""
        return values.reshape(self.shape[0], self.temporal)

    def shifts(self, shifts: np.ndarray) -> np.ndarray:
        """Motion (T, 2) in the new pixels and frames."""
        return self.times(shifts) / self.spatial

    def truth(self, truth: Truth) -> Truth:
        """Cut a whole recording's truth; cells of which no pixel is left are dropped."""
        footprints, amplitude = truth.footprints, truth.amplitude
        kept = slice(None)
        if footprints is not None and not self.whole_field:
            footprints = csr_matrix(footprints @ self._weights())
            peaks = footprints.max(axis=1).toarray().ravel()
            kept = np.flatnonzero(peaks > 0)  # type: ignore[assignment]
            footprints = csr_matrix(footprints[kept], dtype=np.float32)
            footprints.data /= np.repeat(peaks[kept], np.diff(footprints.indptr))
            amplitude = None if amplitude is None else amplitude[kept] * peaks[kept]
        return replace(
            truth,
            footprints=footprints,
            amplitude=amplitude,
            identity=None if truth.identity is None else truth.identity[kept],
            shifts=None if truth.shifts is None else self.shifts(truth.shifts),
            traces=None if truth.traces is None else self.times(truth.traces[kept].T).T,
            spikes=None if truth.spikes is None else self.times(truth.spikes[kept].T, total=True).T,
            mask=None if truth.mask is None else self._mask(truth.mask),
        )

    def _weights(self) -> csr_matrix:
        """(H*W, h*w): the share of each old pixel in each new one."""
        _, height, width = self.source
        _, rows, columns = self.shape
        y, x = np.mgrid[self.y0 : self.y1, self.x0 : self.x1]
        old = (y * width + x).ravel()
        new = ((y - self.y0) // self.spatial * columns + (x - self.x0) // self.spatial).ravel()
        share = np.full(len(old), 1 / self.spatial**2, np.float32)
        return csr_matrix((share, (old, new)), shape=(height * width, rows * columns))

    def _mask(self, mask: np.ndarray) -> np.ndarray:
        """Keep a mask's own resolution with the whole field; cropped, give it that of the pixels."""
        _, height, width = self.source
        if (
            (self.y0, self.x0) == (0, 0)
            and height - self.y1 < self.spatial
            and width - self.x1 < self.spatial
        ):
            return mask
        rows = ((np.arange(self.y0, self.y1) + 0.5) * mask.shape[0] / height).astype(int)
        columns = ((np.arange(self.x0, self.x1) + 0.5) * mask.shape[1] / width).astype(int)
        return mask[np.ix_(rows, columns)]
