"""What the project wants to reach, and whether this run reached it. One entry per target. Pure.

A target compares two figures of one case as a ratio; only start-up and memory are absolute, and
say so.
"""

import dataclasses

from bench.figures import ALL_STAGES, COPY, OURS, ratio, stages_together

BARMAN, PGBACKREST = "Python Barman", "pgBackRest"
# Ahead means: not behind. A ratio just below rounds to what would read as reached.
AHEAD = 1.0


@dataclasses.dataclass(frozen=True)
class Target:
    """`case`: our `quantity` is to be `at_least` times smaller than that of `against`."""

    case: str
    quantity: str
    against: str
    at_least: float


def against(case, other, **at_least):
    return [Target(case, quantity, other, times) for quantity, times in at_least.items()]


def ahead_of_pgbackrest(case):
    return against(case, PGBACKREST, wall=AHEAD, cpu=AHEAD, memory=AHEAD)


NEAR = 0.85

TARGETS = [
    *against("backup-gzip", BARMAN, wall=4, cpu=3),
    *against("backup-zstd", BARMAN, wall=2, cpu=1.3),
    *against("backup-lz4", BARMAN, wall=1.9, cpu=1.8),
    *against("backup-none", BARMAN, cpu=2),
    *against("backup-none", "upload alone", wall=NEAR),
    *ahead_of_pgbackrest("backup-gzip"),
    *ahead_of_pgbackrest("backup-zstd"),
    *ahead_of_pgbackrest("backup-lz4"),
    *ahead_of_pgbackrest("backup-none"),
    *ahead_of_pgbackrest("backup-mixed-zstd"),
    *ahead_of_pgbackrest("backup-mixed-lz4"),
    *against("backup-gzip", ALL_STAGES, wall=NEAR),
    *against("backup-zstd", ALL_STAGES, wall=NEAR),
    *against("backup-lz4", ALL_STAGES, wall=NEAR),
    *against("backup-none", ALL_STAGES, wall=NEAR),
    *against("backup-mixed-zstd", ALL_STAGES, wall=NEAR),
    *against("backup-mixed-lz4", ALL_STAGES, wall=NEAR),
    *against("restore-zstd", BARMAN, wall=1.6),
    *against("restore-none", BARMAN, wall=1.6),
    *ahead_of_pgbackrest("restore-zstd"),
    *ahead_of_pgbackrest("restore-none"),
    *against("restore-zstd", COPY, wall=NEAR),
    *against("restore-none", COPY, wall=NEAR),
    *against("restore-zstd", ALL_STAGES, wall=NEAR),
    *against("restore-none", ALL_STAGES, wall=NEAR),
    *against("wal-archive", BARMAN, wall=6),
    *against("wal-archive", PGBACKREST, wall=AHEAD),
    *against("wal-archive-ahead", PGBACKREST, wall=AHEAD),
    *against("wal-restore", BARMAN, wall=7),
    *against("wal-restore", PGBACKREST, wall=AHEAD),
    *against("wal-restore-ahead", PGBACKREST, wall=AHEAD),
]

# Start-up: CPU of one start in seconds. Memory: MiB of all processes, at two jobs.
MOST_START_CPU = 0.010
STARTS = 20
MOST_MEMORY = 96


@dataclasses.dataclass(frozen=True)
class Judged:
    """A target's words, what was wanted and found, and whether that is enough.

    `possible`: the limits of the machine, measured in the same run, would have let it be reached.
    """

    case: str
    what: str
    wanted: str
    found: str
    reached: bool
    possible: bool = True


def judge(summaries, cores):
    """Every target whose case was measured."""
    judged = [judge_ratio(target, summaries, cores) for target in TARGETS]
    return [found for found in judged + judge_absolute(summaries) if found]


def judge_ratio(target, summaries, cores):
    ours = summaries.get(target.case, {}).get(OURS)
    other = figure_of(target, summaries, cores)
    if ours is None or other is None:
        return None
    found = ratio(other, ours.median(target.quantity))
    return Judged(target.case, f"{target.quantity}, {target.against} / ours",
                  f"≥ {target.at_least:g}", shown(found, target.at_least),
                  found >= target.at_least, is_possible(target, other, summaries, cores))


def is_possible(target, other, summaries, cores):
    """Whether a tool would reach it that takes just as long as all stages together."""
    limit = stages_together(summaries, target.case, cores)
    return target.quantity != "wall" or limit is None or ratio(other, limit) >= target.at_least


def shown(found, wanted):
    """Two digits behind the point, unless a miss would then read as reached."""
    rounded = f"{found:.2f}"
    return f"{found:.4f}" if found < wanted <= float(rounded) else rounded


def figure_of(target, summaries, cores):
    if target.against == ALL_STAGES:
        return stages_together(summaries, target.case, cores) if target.case in summaries else None
    case = "copy" if target.against == COPY else target.case
    other = summaries.get(case, {}).get(target.against)
    return other.median(target.quantity) if other else None


def judge_absolute(summaries):
    judged = []
    start = summaries.get("start-up", {}).get(OURS)
    if start:
        each = start.median("cpu") / STARTS
        judged.append(Judged("start-up", "CPU of one start", f"≤ {MOST_START_CPU * 1000:.0f} ms",
                             f"{each * 1000:.1f} ms", each <= MOST_START_CPU))
    for case, who in summaries.items():
        if case.startswith(("backup-", "restore-")) and OURS in who:
            most = who[OURS].most("memory")
            judged.append(Judged(case, "peak memory, defaults", f"≤ {MOST_MEMORY} MiB",
                                 f"{most:.0f} MiB", most <= MOST_MEMORY))
    return judged
