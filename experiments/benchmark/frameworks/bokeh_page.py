"""The least of the page for curation as a Bokeh server application: see ``../frameworks.py``.

ENV/bin/python bokeh_page.py DATA.npz PORT
"""

from __future__ import annotations

import sys
from itertools import pairwise

import numpy as np
from bokeh.document import Document
from bokeh.layouts import column, row
from bokeh.models import ColumnDataSource, DataTable, TableColumn
from bokeh.plotting import figure
from bokeh.server.server import Server


def main() -> None:
    data = np.load(sys.argv[1])
    image, starts, courses, time = (data[name] for name in ("image", "starts", "courses", "time"))
    lines = [data["outlines"][a:b] for a, b in pairwise(starts)]
    side = image.shape[0]

    def of(cell: int) -> dict[str, np.ndarray]:
        return {"x": time, **dict(zip(("raw", "denoised", "spikes"), courses[cell], strict=True))}

    def page(document: Document) -> None:
        field = figure(
            width=640, height=640, match_aspect=True, tools="tap,pan,wheel_zoom", output_backend="webgl"
        )
        field.image([image], x=-0.5, y=-0.5, dw=side, dh=side)
        cells = ColumnDataSource(
            {
                "cell": np.arange(len(lines)), "score": data["score"],
                "xs": [line[:, 1] for line in lines], "ys": [line[:, 0] for line in lines],
            },
            name="cells",
        )  # fmt: skip
        field.patches(
            "xs", "ys", source=cells, fill_alpha=0.05, line_color="#56b4e9", selection_line_color="#f0e442"
        )
        names = [TableColumn(field=name, title=name) for name in ("cell", "score")]
        table = DataTable(source=cells, columns=names, width=250, height=640)
        plot = figure(width=900, height=220, output_backend="webgl", name="plot")
        trace = ColumnDataSource(of(0), name="trace")
        for name, colour in (("raw", "#8a97a3"), ("denoised", "#56b4e9"), ("spikes", "#f0a35e")):
            plot.line("x", name, source=trace, color=colour)

        def chosen(attribute: str, old: list[int], new: list[int]) -> None:
            if new:
                trace.data = of(new[0])

        cells.selected.on_change("indices", chosen)
        document.add_root(column(row(table, field), plot))

    server = Server({"/": page}, port=int(sys.argv[2]), address="127.0.0.1")
    server.start()
    print("ready", flush=True)
    server.io_loop.start()


if __name__ == "__main__":
    main()
