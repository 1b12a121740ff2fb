"""Write the files of a report.

Invariant: a file is replaced when all of it is written, and what stood there before stays until then.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import IO

from bot.views.report.cells import Cells, csv_columns
from bot.views.report.page import write_page
from core.errors import InvalidInput
from core.report.report import AccessReport


def check_places(out: str, folder: str | None) -> None:
    """Raises InvalidInput for a page that has no folder, and for a folder of tables that is something else."""
    page, problem = Path(out), ""
    if page.is_dir():
        problem = "it is a folder"
    elif not page.parent.is_dir():
        problem = "its folder doesn't exist"
    elif page.exists() and not page.is_file():
        # A pipe or a device, such as /dev/stdout: the page would take its place.
        problem = "it is not a file"
    elif not os.access(page.parent, os.W_OK | os.X_OK):
        problem = "its folder can't be written to"
    if problem:
        raise InvalidInput("out", f"{out} can't be written: {problem}", "Name a file in a folder that exists.")
    if folder is not None and Path(folder).exists() and not Path(folder).is_dir():
        raise InvalidInput("csv", f"{folder} can't be written: it is not a folder", "Name a folder.")


def write_html(path: str, report: AccessReport, max_rows: int) -> None:
    """The page. Raises InvalidInput for a place that can't be written to."""
    with _replacing("out", Path(path), "utf-8") as file:
        file.writelines(write_page(report, max_rows))


def write_csv(folder: str, report: AccessReport) -> None:
    """One file for each table, all rows. Raises InvalidInput for a place that can't be written to."""
    place, cells = Path(folder), Cells(report.period.zone, report.names.known)
    try:
        place.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _unwritable("csv", place, error) from error
    for table in report.tables:
        # With the mark at the beginning, Excel reads names with accents as they are.
        with _replacing("csv", place / f"{table.name}.csv", "utf-8-sig") as file:
            # Quoted, what people wrote opens no new cell where lists are separated by semicolons.
            writer = csv.writer(file, lineterminator="\r\n", quoting=csv.QUOTE_ALL)
            writer.writerow([name for column in table.columns for name in csv_columns(column)])
            for row in table.rows(-1):
                pairs = zip(table.columns, row, strict=True)
                writer.writerow([text for column, value in pairs for text in cells.csv(column, value)])


@contextmanager
def _replacing(option: str, path: Path, encoding: str) -> Iterator[IO[str]]:
    """A file beside this one, which takes its place at the end. Only its owner may read it: it is about people."""
    try:
        with NamedTemporaryFile(
            "w", encoding=encoding, newline="", dir=path.parent, prefix=f".{path.name}.", delete=False
        ) as file:
            beside = Path(file.name)
            try:
                yield file
                file.flush()
                os.fsync(file.fileno())
                beside.replace(path)
            except BaseException:
                beside.unlink(missing_ok=True)
                raise
    except OSError as error:
        raise _unwritable(option, path, error) from error


def _unwritable(option: str, path: Path, error: OSError) -> InvalidInput:
    return InvalidInput(
        option, f"{path} can't be written: {error.strerror or error}", "Check its folder and permissions."
    )
