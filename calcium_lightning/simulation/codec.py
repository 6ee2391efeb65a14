"""Frames through a lossy video codec and back, as recordings that were made smaller for sharing.

Knows arrays of 8 bit and FFmpeg (PyAV), nothing of scenes.
"""

from __future__ import annotations

from fractions import Fraction

import numpy as np

from calcium_lightning.core.errors import InputError

#: encoder, decoder and pixel format of each codec
CODERS = {
    "h264": ("libx264", "h264", "yuv420p"),
    "mpeg4": ("mpeg4", "mpeg4", "yuv420p"),
    "mjpeg": ("mjpeg", "mjpeg", "yuvj420p"),
}
#: the macroblock tree reads memory that nobody set where frames are small: other bytes each time
DETERMINISTIC = "threads=1:mbtree=0"


def compressed(frames: np.ndarray, codec: str, quality: float) -> np.ndarray:
    """Encode frames as one video and decode them again.

    Parameters
    ----------
    frames : ndarray, uint8 (n, H, W)
        Luminance, all of its 256 levels.
    codec : {"h264", "mpeg4", "mjpeg"}
        Which.
    quality : float
        Of H.264 the constant rate factor (0 to 51), else the quantiser (1 to 31, a whole number).

    Returns
    -------
    ndarray, uint8 (n, H, W)
        What a player would show: the same on every call.

    Raises
    ------
    InputError
        If FFmpeg was built without the encoder.
    """
    import av

    encoder_name, decoder_name, pixels = CODERS[codec]
    if not len(frames):
        return frames
    try:
        encoder = av.CodecContext.create(encoder_name, "w")
    except av.codec.codec.UnknownCodecError as error:
        raise InputError(
            f"simulation.codec={codec}: this FFmpeg can't encode it ({encoder_name}); take mpeg4 or none"
        ) from error
    assert isinstance(encoder, av.VideoCodecContext)
    decoder = av.CodecContext.create(decoder_name, "r")
    assert isinstance(decoder, av.VideoCodecContext)
    height, width = frames.shape[1:]
    # Colour has half the resolution: it takes even sizes.
    beyond = (0, height % 2), (0, width % 2)
    encoder.height, encoder.width, encoder.pix_fmt = height + height % 2, width + width % 2, pixels
    encoder.time_base, encoder.framerate = Fraction(1, 20), Fraction(20)
    encoder.thread_count = decoder.thread_count = 1
    if codec == "h264":
        encoder.options = {"crf": f"{quality:g}", "x264-params": DETERMINISTIC}
    else:
        encoder.options = {"qmin": f"{quality:.0f}", "qmax": f"{quality:.0f}"}
    colour = np.full((encoder.height // 2, encoder.width), 128, np.uint8)  # none
    result = np.empty_like(frames)
    done = 0
    for number in range(len(frames) + 1):
        last = number == len(frames)
        if last:
            packets = encoder.encode(None)
        else:
            planes = np.concatenate([np.pad(frames[number], beyond, mode="edge"), colour])
            picture = av.VideoFrame.from_ndarray(planes, format=pixels)
            picture.pts = number
            packets = encoder.encode(picture)
        decoded = [shown for packet in packets for shown in decoder.decode(packet)]
        for shown in [*decoded, *decoder.decode(None)] if last else decoded:
            result[done] = shown.to_ndarray()[:height, :width]
            done += 1
    assert done == len(frames), f"{codec}: {done} of {len(frames)} frames came back"
    return result
