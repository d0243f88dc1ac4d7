"""The report of a run: docs/benchmarks.md and docs/benchmarks.svg. Text from figures, no measuring.

The words that do not depend on a run are in bench/report.md; here are the tables.
"""

import os
import textwrap

from bench import chart
from bench.cases import CASES
from bench.figures import ALL_STAGES, ratio, stages_together, summarise
from bench.place import MIB, TOP
from bench.targets import OURS, STARTS, judge

CHART = "benchmarks.svg"
# What the chart shows: the cases a user waits for.
CHARTED = ["backup-none", "backup-zstd", "backup-lz4", "backup-gzip", "backup-mixed-zstd",
           "restore-none", "restore-zstd", "wal-archive", "wal-archive-ahead", "wal-restore",
           "wal-restore-ahead"]
# What the README tells: ratios alone, between two marks.
QUOTED = ["backup-none", "backup-zstd", "backup-lz4", "backup-gzip", "backup-mixed-zstd",
          "restore-none", "restore-zstd", "wal-archive", "wal-restore"]
README_MARKS = ("<!-- ratios of docs/benchmarks.md -->\n", "<!-- end of ratios -->")
# Above this share of the machine, others were in the way.
MOST_OTHERS = 0.15
BEYOND = "beyond the machine"
TOOLS = ["barman-rs", "Python Barman", "pgBackRest"]


def write(results, options):
    """Writes page, chart and the README's ratios; what parts of a bench gave is only printed."""
    is_part = options.case or options.quick or options.runs
    folder = options.report or (None if is_part else os.path.join(TOP, "docs"))
    if folder is None:
        print(markdown(results))
        return
    for name, text in [("benchmarks.md", markdown(results)), (CHART, svg(results))]:
        with open(os.path.join(folder, name), "w", encoding="utf-8") as file:
            file.write(text)
    if options.report is None:
        path = os.path.join(TOP, "README.md")
        with open(path, encoding="utf-8") as file:
            text = quoted(file.read(), results)
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)


def quoted(readme, results):
    """The README with this run's ratios between its marks."""
    begin, end = README_MARKS
    before, rest = readme.split(begin)
    _, after = rest.split(end)
    return before + begin + ratios_table(results) + "\n" + end + after


def ratios_table(results):
    summaries = summarise(results["figures"])
    rows = []
    for case in QUOTED:
        who = summaries.get(case, {})
        if OURS in who:
            others = [who.get(name) for name in TOOLS[1:]]
            rows.append([results["cases"][case]["title"]]
                        + [shown_ratio(other, who[OURS], quantity)
                           for quantity in ["wall", "cpu"] for other in others])
    return table(["", "time, Barman", "time, pgBackRest", "CPU, Barman", "CPU, pgBackRest"], rows)


def shown_ratio(other, ours, quantity):
    value = ratio(other.median(quantity), ours.median(quantity)) if other else None
    return "" if value is None else f"{value:.1f} ×"


def markdown(results):
    summaries = summarise(results["figures"])
    cores = results["machine"]["cores"]
    with open(os.path.join(TOP, "bench/report.md"), encoding="utf-8") as file:
        frame = file.read()
    sections = {"RUN": run_lines(results), "CHART": f"![Wall time of each case]({CHART})",
                "TARGETS": targets_table(results, summaries, cores),
                "CASES": case_sections(results, summaries),
                "LIMITS": limits_table(results, summaries, cores)}
    for name, text in sections.items():
        frame = frame.replace(f"<!-- {name} -->", text)
    return frame


def svg(results):
    summaries = summarise(results["figures"])
    groups = []
    for case in CHARTED:
        who = summaries.get(case, {})
        bars = [(name, who[name].median("wall")) for name in TOOLS if name in who]
        if bars:
            groups.append((results["cases"][case]["title"], bars))
    return chart.render("Seconds, shorter is better; each group has its own scale", groups)


def run_lines(results):
    machine, data = results["machine"], results["data"]
    lines = [f"- **When**: {results['date']}, {results['minutes']:.0f} minutes.",
             *doubts(results),
             f"- **Machine**: {machine['processor']}, {machine['cores']} cores, "
             f"{machine['memory_gib']} GiB of memory, {machine['system']}, "
             f"Linux {machine['kernel']}.",
             "- **Versions**: " + ", ".join(results["versions"].values()) + "."]
    if results["commit"]:
        lines.append(f"- **Commit**: {results['commit']}.")
    lines += [f"- **Data {name}**: {facts['bytes'] / MIB:,.0f} MiB in {facts['files']:,} files of "
              f"relations{compression(results, name)}." for name, facts in data.items()]
    return "\n".join(textwrap.fill(line, 110, subsequent_indent="  ") for line in lines)


def doubts(results):
    """What the reader must know when the run was not as it should be."""
    summaries = summarise(results["figures"])
    ran = {case: who[OURS].runs for case, who in summaries.items() if OURS in who}
    if any(case.runs > ran.get(case.name, case.runs) for case in CASES):
        yield ("- **A shortened run**: fewer turns than `make bench` takes, perhaps on a busy "
               "machine. Take CPU seconds from it, no times.")
    others = results.get("others", 0)
    if others > MOST_OTHERS:
        yield (f"- **A busy machine**: {others:.0%} of its CPU went to others. Take CPU seconds "
               "from this run, no times.")


def compression(results, name):
    """How small zstd made the data in our backup, if that was measured."""
    for case in [f"backup-{name}-zstd", "backup-zstd"]:
        ours = summarise(results["figures"]).get(case, {}).get(OURS)
        is_of = (name == "pgbench") == (case == "backup-zstd")
        if ours and is_of:
            times = results["data"][name]["bytes"] / ours.median("stored")
            return f", {times:.1f} : 1 by zstd"
    return ""


def targets_table(results, summaries, cores):
    judged = judge(summaries, cores)
    rows = [[results["cases"][target.case]["title"], target.what, target.wanted, target.found,
             verdict(target)] for target in judged]
    beyond = sum(verdict(target) == BEYOND for target in judged)
    return (f"{sum(target.reached for target in judged)} of {len(judged)} reached"
            + (f", {beyond} beyond the machine.\n\n" if beyond else ".\n\n")
            + table(["case", "figure", "wanted", "found", ""], rows))


def verdict(target):
    if target.reached:
        return "reached"
    return "**missed**" if target.possible else BEYOND


def case_sections(results, summaries):
    parts = []
    for case, facts in results["cases"].items():
        who = {name: found for name, found in summaries[case].items() if name in TOOLS}
        if who:
            parts.append(f"### {facts['title']}\n\n{case_table(case, facts, who)}")
    return "\n\n".join(parts)


def case_table(case, facts, who):
    if case == "start-up":
        return start_table(who)
    ours = who.get(OURS)
    rows = []
    for name, found in who.items():
        rows.append([name, str(found.runs), spread(found, "wall"), spread(found, "cpu"),
                     f"{found.median('wall') / facts['gib']:.2f}",
                     f"{found.median('cpu') / facts['gib']:.2f}",
                     f"{found.most('memory'):.0f}", f"{found.median('store'):.1f}",
                     stored(found), times(found, ours, "wall"), times(found, ours, "cpu")])
    return table(["", "runs", "wall s", "CPU s", "wall s/GiB", "CPU s/GiB", "peak MiB",
                  "store's CPU s", "stored MiB", "wall / ours", "CPU / ours"], rows)


def start_table(who):
    rows = [[name, str(found.runs), f"{found.median('wall') / STARTS * 1000:.1f}",
             f"{found.median('cpu') / STARTS * 1000:.1f}"] for name, found in who.items()]
    return table(["", "runs", "wall ms", "CPU ms"], rows)


def stored(found):
    return f"{found.median('stored') / MIB:,.0f}" if found.has("stored") else ""


def times(found, ours, quantity):
    if ours is None:
        return ""
    value = ratio(found.median(quantity), ours.median(quantity))
    return "" if value is None else f"{value:.2f}"


def limits_table(results, summaries, cores):
    rows = []
    for case, facts in results["cases"].items():
        alone = {name: found for name, found in summaries[case].items() if name not in TOOLS}
        rows += [[facts["title"], name, spread(found, "wall"), spread(found, "cpu"),
                  f"{found.median('store'):.1f}"] for name, found in alone.items()]
        together = stages_together(summaries, case, cores)
        if together and ALL_STAGES not in alone:
            rows.append([facts["title"], ALL_STAGES, f"{together:.2f}", "", ""])
    return table(["case", "limit", "wall s", "CPU s", "store's CPU s"], rows)


def spread(found, quantity):
    """The median, and the range where there is one."""
    median = f"{found.median(quantity):.2f}"
    if found.runs == 1:
        return median
    return f"{median} ({found.least(quantity):.2f}–{found.most(quantity):.2f})"


def table(head, rows):
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in lines)
