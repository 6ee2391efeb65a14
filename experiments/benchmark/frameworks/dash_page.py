"""The least of the page for curation as a Plotly Dash application: see ``../frameworks.py``.

ENV/bin/python dash_page.py DATA.npz PORT
"""

from __future__ import annotations

import logging
import sys
from itertools import pairwise

import numpy as np
import plotly.graph_objects as go
from dash import Dash, Input, Output, dcc, html

LIST, SIDE_BY_SIDE = {"height": 640, "overflow": "auto", "width": 140}, {"display": "flex"}


def main() -> None:
    data = np.load(sys.argv[1])
    starts, all_courses, time = (data[name] for name in ("starts", "courses", "time"))
    gap = np.array([[np.nan, np.nan]])
    lines, whose = [], []
    for cell, (a, b) in enumerate(pairwise(starts)):
        lines += [data["outlines"][a:b], gap]
        whose += [cell] * (b - a + 1)
    points = np.concatenate(lines)

    def courses(cell: int) -> go.Figure:
        named = zip(("raw", "denoised", "spikes"), all_courses[cell], strict=True)
        lines = [go.Scattergl(x=time, y=values, name=name) for name, values in named]
        layout = {"height": 220, "title": f"cell {cell}", "margin": {"t": 30, "b": 20}}
        return go.Figure(lines, layout=layout)

    field = go.Figure(
        [
            go.Heatmap(z=data["image"], colorscale="gray", showscale=False, hoverinfo="skip"),
            go.Scattergl(x=points[:, 1], y=points[:, 0], customdata=whose, mode="lines", name="cells"),
        ],
        layout={"height": 640, "width": 700},
    )  # fmt: skip
    rows = [html.Div(f"{cell}  {score:.3f}") for cell, score in enumerate(data["score"])]
    app = Dash(__name__, serve_locally=True)
    app.layout = html.Div(
        [
            html.Div([html.Div(rows, style=LIST), dcc.Graph(figure=field, id="field")], style=SIDE_BY_SIDE),
            dcc.Store("cell", data=0),
            dcc.Graph(figure=courses(0), id="plot"),
        ]
    )
    app.callback(Output("plot", "figure"), Input("cell", "data"))(courses)
    logging.getLogger("werkzeug").setLevel(logging.ERROR)
    print("ready", flush=True)
    app.run(port=int(sys.argv[2]), debug=False)


if __name__ == "__main__":
    main()
