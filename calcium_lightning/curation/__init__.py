"""The page where a person looks at cells and decides, on this machine only.

    page (static/) ⇄ guard → server ⇄ ledger → journal, cells file (io)
                               ↓ ↑        ↓ ↑
                     views, frames     regressor ⇄ worker: recording, regress (localize)

:mod:`~calcium_lightning.curation.ledger` is the one place that decides; it knows no recording and no page.
:mod:`~calcium_lightning.curation.combine` makes the rows of new cells from what the file holds, at once;
:mod:`~calcium_lightning.localize.regress` makes them again from the recording, with the functions of
``localize``, in a process of its own (:mod:`~calcium_lightning.curation.worker`).
:mod:`~calcium_lightning.curation.curator` holds all that a page works with, and
:mod:`~calcium_lightning.curation.server` gives the page its files, numbers and frames and takes its actions;
the page draws.

Must not know: how cells are found, experiments, training; and nothing else may write ``/curation``.

Why a server of our own and a page of plain modules: set beside the least of such a page in Bokeh and in
Plotly Dash, ours is shipped in a twenty-fifth of the bytes or less, opens in less than half the time, shows
a choice in half of it, and takes a third of the memory (``experiments/benchmark/frameworks.py``, figures in
its README). Theirs send changes of a figure through Python, a thousand outlines are glyphs to be laid out
anew, and keys and screen readers need scripts beside them. napari draws best and stays the place for those
who live in it (``export format=napari``), but it needs Qt and OpenGL on the machine that has the data,
where labs sit in front of a tunnel to a server, and a screen reader sees one picture. Starlette and uvicorn
are two small packages; the page is a canvas, a list and uPlot, opens in any browser, and can be driven by
tests, by keys and by a screen reader.
"""
