"""Medians, ranges and ratios of what was measured. Pure."""

import dataclasses
import statistics

# The case "copy" has no tool, only this.
COPY = "copy by two writers"
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
    """Seconds that a backup or restore takes at least: its stages, each as fast as alone, on all
    cores; `None` where they were not measured.

    The CPU of each stage was measured alone; of the store's, the least that it took for the same
    objects. Their sum divided by the cores is what remains when nothing waits and nothing lies
    between the stages, unless the network's own part takes longer.
    """
    alone = summaries[case]
    if "upload alone" in alone:
        return backup_together(alone, cores)
    if "download alone" in alone and "write alone" in alone:
        return restore_together(alone, cores)
    return None


def backup_together(alone, cores):
    names = ["read alone", "check alone", "upload alone"]
    if any(name not in alone for name in names):
        return None
    read, check, upload = (alone[name] for name in names)
    cpu = check.median("cpu") - read.median("cpu") + with_store(alone, upload) + codec(alone)
    return max(cpu / cores, upload.median("wall"))


def restore_together(alone, cores):
    download, write = alone["download alone"], alone["write alone"]
    cpu = with_store(alone, download) + codec(alone) + write.median("cpu")
    return max(cpu / cores, download.median("wall"), write.median("wall"))


def with_store(alone, network):
    """The store may take less for what our tool asks than for what the limit's program does."""
    both = [who.median("store") for name, who in alone.items()
            if who is network or name == OURS]
    return network.median("cpu") + min(both)


def codec(alone):
    """The codec's program has read the data itself; without a codec the upload's has."""
    return alone["codec alone"].median("cpu") if "codec alone" in alone else 0
