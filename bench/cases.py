"""What is measured: one entry per case, in the order in which they run.

A restore follows the backup with the same data and codec, and fetching WAL follows archiving it,
so that the objects are there already. A case alone makes its objects first, unmeasured.
"""

import dataclasses

ALL = ("barman-rs", "Python Barman", "pgBackRest")


@dataclasses.dataclass(frozen=True)
class Case:
    """A question put to several tools in turn, A B C A B C."""

    name: str
    # What is done: a function of bench/kinds.py.
    kind: str
    title: str
    runs: int
    codec: str = "none"
    data: str = "pgbench"
    tools: tuple = ALL
    ahead: bool = False
    # Tools that are run less often, and how often.
    fewer: tuple = ()


BACKUP = "Backup of {data}, {codec}"
RESTORE = "Restore of {data}, {codec}"

# Twice what takes long, three to five times what does not: with set-up and build it has half an
# hour on two cores. A limit is about hundredths of a ratio: what is near to one has more turns.
RARE = (("Python Barman", 2), ("pgBackRest", 3))
CASES = [
    Case("start-up", "start_up", "Start-up: `--version`, 20 times", 3),
    Case("backup-none", "backup", BACKUP, 2),
    Case("restore-none", "restore", RESTORE, 3, fewer=(("Python Barman", 2), ("pgBackRest", 2))),
    Case("copy", "copy", "Two-writer copy of pgbench", 5, tools=()),
    Case("backup-zstd", "backup", BACKUP, 5, "zstd", fewer=RARE),
    Case("restore-zstd", "restore", RESTORE, 5, "zstd", fewer=RARE),
    Case("backup-lz4", "backup", BACKUP, 2, "lz4"),
    # Python Barman compresses on one core at level 9: minutes that hardly vary. Nor does its half
    # second per WAL file.
    Case("backup-gzip", "backup", BACKUP, 2, "gzip", fewer=(("Python Barman", 1),)),
    Case("backup-mixed-zstd", "backup", BACKUP, 5, "zstd", data="mixed", fewer=RARE),
    Case("backup-mixed-lz4", "backup", BACKUP, 2, "lz4", data="mixed"),
    Case("wal-archive", "archive", "{count} × WAL archived, zstd", 3, "zstd",
         fewer=(("Python Barman", 1),)),
    Case("wal-restore", "fetch", "{count} × WAL restored, zstd", 3, "zstd",
         fewer=(("Python Barman", 1),)),
    Case("wal-restore-ahead", "fetch", "{count} × WAL restored, zstd, ahead", 3, "zstd",
         fewer=(("Python Barman", 1),), ahead=True),
    Case("wal-archive-ahead", "archive", "{count} × WAL archived, zstd, ahead", 3, "zstd",
         tools=("barman-rs", "pgBackRest"), ahead=True),
]


def runs_of(case, tool, wanted=None):
    """How often a tool is run in a case; `wanted` comes from the command line."""
    fewer = dict(case.fewer).get(tool, case.runs)
    return fewer if wanted is None else min(wanted, fewer) if tool in dict(case.fewer) else wanted
