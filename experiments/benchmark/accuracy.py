"""How good are the cells: this project and its peers on many recordings, in one command.

    python experiments/benchmark/accuracy.py --output OUT [--minisim ENV/bin/python]
        [--suite2p ENV/bin/python] [--published FOLDER] [--kinds ca1 'l23_*' ...] [--seeds 101 102 103]
        [--methods 'this project' Suite2p ...] [--peer CaImAn='FOLDER/{recording}.hdf5']

Makes the recordings, runs the methods on them, each in a process of its own, and compares their cells with
the truth. OUT/accuracy.md is the table, OUT/accuracy.json has every figure of every recording, OUT/pictures
shows the cells. No method is told anything about a recording but what its session file says;
--given-diameter adds this project told the cells' diameter.

What is in OUT already isn't made again, so the command goes on where it ended. To measure a method anew,
remove its files from OUT/cells.
"""

from __future__ import annotations

import argparse
import sys
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from kinds import KINDS, Kind, choose, matching, recordings

from calcium_lightning.core.errors import InputError

if TYPE_CHECKING:
    from methods import Method
    from scores import Folders


def main() -> None:
    """Read the command line and run; status 2 for bad input, 1 if anything failed."""
    options = parser().parse_args()
    try:
        sys.exit(0 if benchmark(options) else 1)
    except InputError as error:
        print(f"accuracy: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted; the same command goes on", file=sys.stderr)
        sys.exit(130)


def parser() -> argparse.ArgumentParser:
    """The command line."""
    kinds = "\n".join(f"  {kind.name:<12} {kind.about}" for kind in KINDS.values())
    made = argparse.ArgumentParser(
        description=__doc__,
        epilog=f"kinds:\n{kinds}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    made.add_argument("--output", type=Path, required=True, metavar="OUT", help="folder of everything")
    made.add_argument("--minisim", type=Path, metavar="PYTHON", help="of an environment with minisim")
    made.add_argument("--suite2p", type=Path, metavar="PYTHON", help="of an environment with Suite2p")
    made.add_argument("--published", type=Path, metavar="FOLDER", help="the published dataset")
    made.add_argument("--kinds", nargs="+", metavar="KIND", help="or patterns; default: all that can be made")
    made.add_argument("--seeds", nargs="+", type=int, default=[101, 102, 103], help="default 101 102 103")
    made.add_argument(
        "--peer",
        action="append",
        default=[],
        metavar="NAME=PATH",
        help="results in files: CaImAn's HDF5 or our cells files; {recording} stands for KIND_SEED",
    )
    made.add_argument(
        "--methods", nargs="+", metavar="METHOD", help="only these, by title or pattern; default: all"
    )
    made.add_argument("--given-diameter", action="store_true", help="this project told the true diameter too")
    made.add_argument("--table-only", action="store_true", help="table and pictures of what is there")
    return made


def benchmark(options: argparse.Namespace) -> bool:
    """Make what isn't there yet, and the table and pictures; False if anything failed."""
    from overlays import draw_all
    from scores import Folders
    from summary import write

    for python in (options.minisim, options.suite2p):
        if python is not None and not python.is_file():
            raise InputError(f"{python}: no such file; name the Python of an environment")
    folders = Folders(options.output)
    well = True
    if not options.table_only:
        kinds = choose(options.kinds, options.minisim is not None, options.published is not None)
        methods = chosen_methods(options)
        for kind in kinds:
            well &= _measure(kind, methods, folders, options)
            write(folders)
    text = write(folders)
    draw_all(folders, anew=options.table_only)
    print(text)
    return well


def chosen_methods(options: argparse.Namespace) -> list[Method]:
    """The methods that the command line asks for.

    Raises
    ------
    InputError
        If two have one name.
    """
    from methods import given_diameter, peer, suite2p, this_project

    methods: list[Method] = [this_project("this project")]
    if options.given_diameter:
        methods.append(given_diameter())
    methods.append(this_project("band-pass baseline", "detector=bandpass"))
    if options.suite2p is not None:
        methods.append(suite2p(options.suite2p))
    methods += [peer(given) for given in options.peer]
    keys = [method.key for method in methods]
    for method in methods:
        if keys.count(method.key) > 1:
            raise InputError(f"--peer {method.title}: there is a method of this name already")
    return named(methods, options.methods)


def named(methods: list[Method], patterns: list[str] | None) -> list[Method]:
    """The methods of some patterns, or all.

    Raises
    ------
    InputError
        If a pattern fits none.
    """
    if patterns is None:
        return methods
    chosen = matching("--methods", patterns, [method.title for method in methods], "no such method")
    return [method for method in methods if method.title in chosen]


def _measure(kind: Kind, methods: list[Method], folders: Folders, options: argparse.Namespace) -> bool:
    from scores import line, measure
    from steps import Failed, make

    well = True
    for recording in recordings(kind, options.seeds, options.published):
        try:
            make(folders.session(recording.name), partial(recording.command, minisim=options.minisim))
        except Failed as failure:
            print(f"{recording.name}: can't be made: {failure}", file=sys.stderr, flush=True)
            well = False
            continue
        for method in methods:
            row = measure(folders, recording, method)
            if row is not None:
                print(line(row), flush=True)
                well &= "error" not in row
    return well


if __name__ == "__main__":
    main()
