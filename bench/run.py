"""One run of the bench: what it has at hand, and the cases one after another."""

import datetime
import json
import os
import platform
import re
import signal
import sys
import time

from bench import datasets, kinds
from bench.cases import CASES, runs_of
from bench.measure import (adopt_orphans, cpu_of_all_below, cpu_of_machine, measured,
                           unmeasured)
from bench.place import MIB, Place
from bench.server import BIN, Server
from bench.store import Store
from bench.tools import Limits, Ours, PgBackRest, PythonBarman


class Bench:
    """The store, the tools, the data; what is not needed is not made."""

    def __init__(self, options):
        adopt_orphans()
        self.options = options
        self.place = Place(options.in_folder)
        self.size = datasets.QUICK if options.quick else datasets.PUBLISHED
        self.cases = [case for case in CASES if not options.case or case.name in options.case]
        self.servers = {}
        self.segments = None
        self.kept = {}
        self.store = Store(self.place)
        self.tools = {}
        self.limits = None

    def open(self):
        """Starts the store and sets the tools up. Whatever fails, `close` ends what runs."""
        self.store.start()
        tools = [Ours(self.place, self.store, self.options.program),
                 PythonBarman(self.place, self.store), PgBackRest(self.place, self.store)]
        self.tools = {tool.name: tool for tool in tools}
        self.limits = Limits(self.place, self.store, self.options.limits)

    def tools_of(self, case):
        return [self.tools[name] for name in case.tools]

    def server(self, name):
        """The running server with that data; the first call makes both."""
        if name not in self.servers:
            say(f"making the data {name}")
            server = self.servers[name] = Server(self.place, name)
            datasets.fill(server, self.size)
            if name == "pgbench":
                self.segments = datasets.Wal(self.place, server, self.size.archived)
            datasets.settle(server)
        return self.servers[name]

    def wal(self):
        if self.segments is None:
            self.server("pgbench")
        return self.segments

    def take(self, work):
        """Measures a work on a quiet disk, with what the store spent on it."""
        os.sync()
        store = self.store.cpu()
        usage = measured(work, self.place.path("output"))
        return {"wall": usage.wall, "cpu": usage.cpu, "memory": usage.memory / MIB,
                "store": self.store.cpu() - store}

    # Cases that read what this one wrote: those of the same data and codec.
    def key(self, case, tool):
        what = "wal" if case.kind in ("archive", "fetch") else case.data
        return (what, case.codec, tool.name)

    def keep(self, case, tool, job):
        self.kept[self.key(case, tool)] = job

    def kept_job(self, case, tool):
        return self.kept.get(self.key(case, tool))

    def drop(self, key):
        job = self.kept.pop(key, None)
        if job:
            self.store.drop(job.bucket)

    def forget(self, later):
        """Empties what no later case reads."""
        kinds.forget(self)
        needed = {self.key(case, tool) for case in later for tool in self.tools_of(case)
                  if case.kind in ("restore", "fetch")}
        for key in set(self.kept) - needed:
            self.drop(key)

    def measure(self):
        figures = []
        for number, case in enumerate(self.cases):
            figures += self.run_case(case)
            self.forget(self.cases[number + 1:])
        return figures

    def run_case(self, case):
        turns = getattr(kinds, case.kind)(self, case)
        figures = []
        for number in range(max(runs_of(case, name, self.options.runs) for name in turns)):
            for name, turn in turns.items():
                if number < runs_of(case, name, self.options.runs):
                    figures.append({"case": case.name, "who": name, **turn()})
                    say("{case:18} {who:20} {wall:7.2f} s {cpu:7.2f} CPU s {memory:6.0f} MiB"
                        .format(**figures[-1]))
        return figures

    def facts(self):
        """What the report says about this run besides its figures."""
        cases = {case.name: {"title": case.title.format(
            data=case.data, codec=case.codec,
            count=self.size.fetched if case.kind == "fetch" else self.size.archived),
            "gib": kinds.gib_of(self, case)} for case in self.cases}
        data = {name: {"files": len(server.relation_files()),
                       "bytes": datasets.total_bytes(server)}
                for name, server in self.servers.items()}
        return {"cases": cases, "data": data, "machine": machine(),
                "versions": self.versions()}

    def versions(self):
        weed = unmeasured([self.store.process.args[0], "version"])
        weed = re.search(r"GB (\S+)", weed)[1]
        postgres = unmeasured([os.path.join(BIN, "postgres"), "--version"]).strip()
        found = {name: tool.version() for name, tool in self.tools.items()}
        return {**found, "PostgreSQL": postgres, "SeaweedFS": f"SeaweedFS {weed}"}

    def close(self):
        for server in self.servers.values():
            server.remove()
        self.store.stop()


def machine():
    model = next((line.split(":", 1)[1].strip() for line in open("/proc/cpuinfo", encoding="utf-8")
                  if line.startswith("model name")), "unknown")
    with open("/proc/meminfo", encoding="ascii") as file:
        memory = int(re.search(r"MemTotal:\s+(\d+)", file.read())[1]) / 1024 ** 2
    with open("/etc/os-release", encoding="utf-8") as file:
        system = re.search(r'PRETTY_NAME="?([^"\n]*)', file.read())[1]
    return {"processor": model, "cores": os.cpu_count(), "memory_gib": round(memory),
            "system": system, "kernel": platform.release()}


def run(options):
    """Measures in the folder that was made for it and leaves the results there."""
    bench = Bench(options)
    # A signal ends the servers as well.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        bench.open()
        begun, others = time.monotonic(), cpu_of_machine() - cpu_of_all_below()
        figures = bench.measure()
        seconds = time.monotonic() - begun
        others = (cpu_of_machine() - cpu_of_all_below() - others) / seconds / os.cpu_count()
        results = {"date": datetime.date.today().isoformat(), **bench.facts(),
                   "figures": figures, "minutes": seconds / 60, "others": others}
    finally:
        bench.close()
    with open(os.path.join(options.in_folder, "results.json"), "w", encoding="utf-8") as file:
        json.dump(results, file, indent=1)


def say(text):
    print(text, file=sys.stderr, flush=True)
