"""Files that no reader here reads, and what makes a readable one of each: advice by the file's ending.

Knows names only; nothing is opened.
"""

from __future__ import annotations

from pathlib import Path

_UNPACK = "an archive; unpack it, and give what was in it"
_MICROSCOPE = (
    "a microscope's own format; open it in Fiji (File > Import > Bio-Formats), save it as TIFF "
    "(File > Save As > Tiff...), and give that"
)
_CODE = (
    "Python objects, which may hold code and are never loaded; save the array by numpy.save, "
    "and give the .npy"
)
#: endings in lower case, and what such a file is and what to do
_ADVICE = {
    ".nd2 .czi .lif .oir .oib .oif .vsi .cxd .sld .spe .sif .zvi .fits": _MICROSCOPE,
    ".isxc": "a movie that Inscopix compressed; decompress it to .isxd in Inscopix Data Processing",
    ".gz .bz2 .xz .zst .7z .rar .tar .tgz": _UNPACK,
    ".pkl .pickle .pt .pth .joblib": _CODE,
    ".gif .apng": "an animation; convert it, as in: ffmpeg -i IN -pix_fmt gray -c:v ffv1 OUT.avi",
    ".pgm .ppm .pnm .tga .pcx .ras": (
        "a picture of a kind that isn't read; make PNG of all, as in: mogrify -format png * (ImageMagick)"
    ),
    ".h264 .264 .h265 .hevc .mjpeg .mjpg": (
        "a stream without times; convert it, with its frame rate, as in: "
        "ffmpeg -framerate 20 -i IN -c:v ffv1 OUT.avi"
    ),
}


def advice_for(path: Path) -> str | None:
    """What a file of a foreign format is and how it comes in; None for an ending that says nothing."""
    name = path.name.lower()
    return next(
        (advice for endings, advice in _ADVICE.items() if name.endswith(tuple(endings.split()))), None
    )
