"""How every chart of a page is drawn: matplotlib in one style, given as the data URI of an SVG.

Knows nothing of what is drawn.
"""

from __future__ import annotations

import base64
import functools
import io
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, ParamSpec

if TYPE_CHECKING:
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

Arguments = ParamSpec("Arguments")

IMAGE_DPI = 100  # of images in a chart
GOOD, BAD = "#0f9d8a", "#e4572e"
STYLE: dict[Any, Any] = {
    "axes.edgecolor": "#8a949e",
    "axes.labelcolor": "#39424c",
    "axes.labelsize": 9,
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlecolor": "#39424c",
    "axes.titlesize": 9,
    "font.size": 9,
    "legend.frameon": False,
    "path.simplify_threshold": 0.3,
    "svg.hashsalt": "calcium-lightning",  # the same data give the same page
    "text.parse_math": False,  # a quality may be called "a$b"
    "xtick.color": "#5b6670",
    "ytick.color": "#5b6670",
}


def styled(draw: Callable[Arguments, str]) -> Callable[Arguments, str]:
    """Draw in our style, whatever the user's own settings of matplotlib are."""

    @functools.wraps(draw)
    def drawn(*args: Arguments.args, **kwargs: Arguments.kwargs) -> str:
        import matplotlib

        with matplotlib.rc_context():
            matplotlib.rcdefaults()
            matplotlib.rcParams.update(STYLE)
            return draw(*args, **kwargs)

    return drawn


def new_figure(width: float, height: float) -> Figure:
    """An empty figure, inches."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    figure = Figure(figsize=(width, height), dpi=FigureCanvasSVG.fixed_dpi, layout="constrained")
    FigureCanvasSVG(figure)
    return figure


def logarithmic(axis: Axis) -> None:
    """Make the scale of a y axis logarithmic; its numbers are text, as formulas aren't typeset."""
    from matplotlib.ticker import LogFormatter

    axis.axes.set_yscale("log")
    axis.set_major_formatter(LogFormatter())
    axis.set_minor_formatter(LogFormatter())  # tells between tens where there are few tens


def svg(figure: Figure) -> str:
    """The data URI of a figure."""
    layout = figure.get_layout_engine()
    if layout is not None:  # on its own: to lay out, savefig would draw everything in vain first
        layout.execute(figure)
        figure.set_layout_engine("none")
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", dpi=IMAGE_DPI, transparent=True, metadata={"Date": None})
    return "data:image/svg+xml;base64," + base64.b64encode(buffer.getvalue()).decode()
