"""``python -m calcium_lightning.watch``: activity of cells while they are recorded."""

from __future__ import annotations

import sys
from contextlib import ExitStack

from omegaconf import DictConfig, OmegaConf

from calcium_lightning.command.inputs import one_file, one_path
from calcium_lightning.command.start import entry_point
from calcium_lightning.core.errors import positive
from calcium_lightning.sweeps.plugins import register


@entry_point("watch", plugins=register)
def main(cfg: DictConfig) -> None:
    """Give each cell's activity, frame by frame, while a recording goes on; its cells afterwards.

    python -m calcium_lightning.watch input=FOLDER fps=30 output=CELLS.h5

    Frames come from a folder into which Miniscope-DAQ writes 0.avi, 1.avi, …, or from an HDF5 dataset that
    grows. After the first minute each frame gives lines frame,cell,activity on standard output, or in lines=.
    When no frame has come for patience_s=, the whole recording is extracted as extract does.
    """
    fps = positive("fps", cfg.fps)
    source = one_path("input", cfg.input)
    output = one_file("output", cfg.output)

    from calcium_lightning.core.atomic import check_output
    from calcium_lightning.io.curation_file import check_undecided

    check_output(output, cfg.overwrite)
    check_undecided(output)
    lines = None if cfg.lines is None else one_path("lines", cfg.lines)
    if lines is not None:
        check_output(lines, cfg.overwrite)

    from calcium_lightning.io.cells_file import write_cells
    from calcium_lightning.online.arriving import arriving
    from calcium_lightning.online.extractor import FrameActivity, OnlineExtractor
    from calcium_lightning.online.outlets import Outlet, lab_streaming_layer, lines_to, zeromq

    with ExitStack() as stack:
        stream = sys.stdout if lines is None else stack.enter_context(lines.open("w", encoding="utf-8"))
        outlets: list[Outlet] = [lines_to(stream)]
        if cfg.outlet == "lsl":
            outlets.append(lab_streaming_layer(cfg.lsl_cells, fps))
        elif cfg.outlet is not None:
            outlets.append(zeromq(cfg.outlet))

        def tell(told: FrameActivity) -> None:
            for outlet in outlets:
                outlet(told)

        online = stack.enter_context(
            OnlineExtractor(
                fps,
                beginning_s=cfg.beginning_s,
                search_s=cfg.search_s,
                callback=tell,
                cell_diameter=cfg.cell_diameter,
                cell_diameter_um=cfg.cell_diameter_um,
                pixel_size_um=cfg.pixel_size_um,
                device=cfg.device,
                config=OmegaConf.to_yaml(cfg),
            )
        )
        patience_s = positive("patience_s", cfg.patience_s)
        for frame in arriving(source, patience_s, cfg.key, tell=lambda text: print(text, file=sys.stderr)):
            online.add(frame)
        online_cells = len(online.centers)
        cells = online.finish()
        write_cells(output, cells, cfg.overwrite)
        print(
            f"{output}: {int(cells.accepted.sum())} cells accepted of {len(cells)} found in "
            f"{cells.n_frames} frames; {online_cells} were followed while it was recorded",
            file=sys.stderr,
        )


if __name__ == "__main__":
    main()
