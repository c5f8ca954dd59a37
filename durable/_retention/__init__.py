"""How long closed runs are kept: which of them may go, what is written of them before, and how they are forgotten."""

from ._archive import Archive, ArchivedRun, FolderArchive, archive_of, archived_run, history_file, json_line
from ._needed import Needed
from ._sweep import SWEEP_GROUP, SWEEP_INBOX, Pass, Sweep

__all__ = [
    "SWEEP_GROUP",
    "SWEEP_INBOX",
    "Archive",
    "ArchivedRun",
    "FolderArchive",
    "Needed",
    "Pass",
    "Sweep",
    "archive_of",
    "archived_run",
    "history_file",
    "json_line",
]
