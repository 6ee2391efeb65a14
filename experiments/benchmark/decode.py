"""Decode a video and do nothing with its frames: what reading it costs at least.

python experiments/benchmark/decode.py MOVIE.avi
"""

from __future__ import annotations

import sys

import av


def main() -> None:
    with av.open(sys.argv[1]) as movie:
        movie.streams.video[0].thread_type = "AUTO"
        print(sum(1 for _ in movie.decode(video=0)), "frames")


if __name__ == "__main__":
    main()
