"""Medians, ranges and ratios of what was measured. Pure."""

import dataclasses
import statistics

# The case "copy" has no tool, only this.
COPY = "copy by two writers"
# The stages of a case, without anything between them.
ALL_STAGES = "all stages"
OURS = "barman-rs"
QUANTITIES = ["wall", "cpu", "memory", "store", "stored"]


@dataclasses.dataclass(frozen=True)
class Summary:
    """All turns of one tool in one case: the figures of a quantity are looked up by its name."""

    runs: int
    values: dict

    def median(self, quantity):
        return statistics.median(self.values[quantity])

    def least(self, quantity):
        return min(self.values[quantity])

    def most(self, quantity):
        return max(self.values[quantity])

    def has(self, quantity):
        return bool(self.values[quantity])


def summarise(figures):
    """Summaries by case and by who it was."""
    turns = {}
    for figure in figures:
        turns.setdefault(figure["case"], {}).setdefault(figure["who"], []).append(figure)
    return {case: {who: Summary(len(rows), values_of(rows)) for who, rows in who_rows.items()}
            for case, who_rows in turns.items()}


def values_of(rows):
    return {name: [row[name] for row in rows if name in row] for name in QUANTITIES}


def ratio(above, below):
    """How many times more `above` is; `None` where there is nothing to divide."""
    if above is None or not below:
        return None
    return above / below


def stages_together(summaries, case, cores):
    """Seconds that a backup or restore takes at least: its stages, each as fast as it can be, on
    all cores; `None` where they were not measured.

    Those of a restore were measured at the same time, since they slow each other down. Of a backup
    the CPU of each stage was measured alone; of the store's, the least that it took for the same
    objects. Their sum divided by the cores is what remains when nothing waits and nothing lies
    between the stages, unless the upload's own part takes longer.
    """
    alone = summaries[case]
    if ALL_STAGES in alone:
        return alone[ALL_STAGES].median("wall")
    names = ["read alone", "check alone", "upload alone"]
    if any(name not in alone for name in names):
        return None
    read, check, upload = (alone[name] for name in names)
    # The store may take less for what our tool asks than for what the limit's program does.
    store = min(who.median("store") for name, who in alone.items() if name in (names[-1], OURS))
    network = upload.median("cpu") + store
    cpu = check.median("cpu") - read.median("cpu") + network + codec(alone)
    return max(cpu / cores, upload.median("wall"))


def codec(alone):
    """The codec's program has read the data itself; without a codec the upload's has."""
    return alone["codec alone"].median("cpu") if "codec alone" in alone else 0
