"""Fills the tables and plots of a page from the results that lie beside it: they are generated, not typed.

    cp WORK_DIR/results.json docs/study/NAME.json && python tools/misc/write_results.py docs/results.md
"""
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from typing import Optional

import cmim_mm  # noqa: F401  (before any import of mmsegmentation)
from cmim_mm.atomic import write_atomically
from cmim_mm.benchmark.page import PageError, fill, plots
from cmim_mm.engine.cli import ToolError, run


def make_parser() -> ArgumentParser:
    parser = ArgumentParser(description=__doc__.split('\n')[0])
    parser.add_argument('page', help='Markdown file with blocks <!-- results: FILE TASK METRIC ... --> or '
                                     '<!-- plot: FILE TASK METRIC IMAGE --> before <!-- end -->')
    return parser


def main(argv: Optional[Sequence[str]] = None) -> None:
    page = Path(make_parser().parse_args(argv).page)
    if not page.is_file():
        raise ToolError(f'{page}: there is no such page')
    try:
        text, drawn = fill(page), plots(page)
    except PageError as error:
        raise ToolError(str(error)) from error
    for path, svg in drawn.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(svg.encode(), path)
    if text != page.read_text():
        write_atomically(text.encode(), page)


if __name__ == '__main__':
    run(main)
