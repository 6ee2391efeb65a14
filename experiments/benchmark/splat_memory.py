"""Paint once, forwards and backwards, and end: ``speed.py`` looks at the memory that this took.

python experiments/benchmark/splat_memory.py none|splat|dense IMAGES COORDINATES SIDE
"""

from __future__ import annotations

import sys

import torch

from calcium_lightning.nn.splat import splat, splat_dense


def draw_splats(batch: int, count: int, side: int) -> list[torch.Tensor]:
    """Positions, amplitudes, widths of 2 to 3 pixels and angles, with gradients."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape: int) -> torch.Tensor:
        return torch.rand(*shape, generator=generator)

    values = (
        draw(batch, count, 2) * side,
        draw(batch, count),
        draw(batch, count, 2) + 2.0,
        draw(batch, count) * 3,
    )
    return [value.requires_grad_() for value in values]


def main() -> None:
    how, *numbers = sys.argv[1:]
    batch, count, side = (int(number) for number in numbers)
    torch.set_num_threads(1)
    leaves = draw_splats(batch, count, side)
    (leaves[0].sum() * leaves[1].sum()).backward()  # what any gradient needs
    if how != "none":
        {"splat": splat, "dense": splat_dense}[how](*leaves, (side, side)).square().sum().backward()


if __name__ == "__main__":
    main()
