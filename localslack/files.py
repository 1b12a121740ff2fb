"""The files that an app uploaded, as long as the server runs.

Invariant: a file is replaced as a whole, under the journal's lock.
"""

from __future__ import annotations

from localslack.journal import Journal
from localslack.records import UploadedFile


class Files:
    """The files by their ids."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal
        self._files: dict[str, UploadedFile] = {}

    def keep(self, file: UploadedFile) -> None:
        """Keep a file, in the place of the one with its id."""
        with self._journal.lock:
            self._files[file.id] = file

    def find(self, file_id: str) -> UploadedFile | None:
        """The file with this id; None if there is none."""
        with self._journal.lock:
            return self._files.get(file_id)
