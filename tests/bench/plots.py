#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Draws the plots of docs/PERFORMANCE.md from a report of run.sh --json.

Usage: plots.py REPORT DIRECTORY. Needs gnuplot. A plot is left as it is if the report does not
have its scenario.
"""
import json
import os
import re
import subprocess
import sys

# Each variant has the same colour in all plots.
STYLES = {
    "(a)": 5,
    "(q)": 3,
    "(c)": 2,
    "(e)": 3,
    "(n)": 1,
    "(m)": 4,
    "(x)": 2,
    "(l) LPM trie, IPv4": 2,
    "(l) LPM trie, IPv6": 4,
    "(r) compiled rules, IPv6": 3,
    "(o)": 4,
    "bare, one storage": 3,
    "bare, storage per hook": 2,
    "(d) agentsh-ebpf, 10 ms": 4,
    "(d) agentsh-ebpf, ring_quota 25": 4,
}
OURS = 1

HEAD = """set terminal svg size 760,460 dynamic noenhanced font 'sans-serif,13' background '#ffffff'
set output '{out}'
set title '{title}'
set xlabel '{x}'
set ylabel '{y}'
set key below left Left reverse width 2 maxrows 3
set rmargin 6
set grid lc rgb '#dddddd'
set border 3
set tics nomirror
set style line 1 lw 2 pt 7 ps 0.7 lc rgb '#1b6ca8'
set style line 2 lw 2 pt 5 ps 0.7 lc rgb '#d1495b'
set style line 3 lw 2 pt 9 ps 0.8 lc rgb '#2e8b57'
set style line 4 lw 2 pt 11 ps 0.8 lc rgb '#e69f00'
set style line 5 lw 2 pt 13 ps 0.8 lc rgb '#777777'
{more}
"""


class Plots:
    def __init__(self, report, directory):
        with open(report, encoding="utf-8") as file:
            self.series = json.load(file)["series"]
        self.directory = directory

    def lines(self, scenario, figure, pattern):
        """Variant -> [(number in the name of the load, median, min, max)]."""
        found = {}
        for s in self.series:
            number = re.fullmatch(pattern, s["load"])
            if s["scenario"] == scenario and s["figure"] == figure and number:
                point = (float(number[1].replace(",", "")), s["median"], s["min"], s["max"])
                found.setdefault(s["variant"], []).append(point)
        return {variant: sorted(points) for variant, points in found.items()}

    def draw(self, name, title, x, y, lines, more):
        if not lines:
            print(f"plots: nothing to draw {name} from", file=sys.stderr)
            return
        out = os.path.join(self.directory, name + ".svg")
        script = HEAD.format(out=out, title=title, x=x, y=y, more=more)
        plots = []
        for i, (variant, points) in enumerate(lines.items()):
            script += f"$data{i} << END\n"
            script += "".join(" ".join(map(str, p)) + "\n" for p in points)
            script += "END\n"
            style = next((n for name, n in STYLES.items() if variant.startswith(name)), OURS)
            plots.append(f"$data{i} using 1:2:3:4 with yerrorlines ls {style} title '{variant}'")
        script += "plot " + ", ".join(plots) + "\n"
        subprocess.run(["gnuplot"], input=script, text=True, check=True)

    def bars(self, name, title, y, scenario, figure, suffix):
        """One group of bars per load, with the lowest and the highest value."""
        loads, values = [], {}
        for s in self.series:
            if s["scenario"] == scenario and s["figure"] == figure and s["load"].endswith(suffix):
                load = s["load"][:-len(suffix)]
                loads += [load] if load not in loads else []
                values.setdefault(s["variant"], {})[load] = (s["median"], s["min"], s["max"])
        if not loads:
            print(f"plots: nothing to draw {name} from", file=sys.stderr)
            return
        out = os.path.join(self.directory, name + ".svg")
        script = HEAD.format(out=out, title=title, x="", y=y, more="set yrange [0:*]\n"
                             "set style data histogram\nset style histogram errorbars gap 1\n"
                             "set style fill solid 0.6 noborder\nset errorbars 0.5 front lc rgb '#333333'\n"
                             "set key inside top left maxrows 4\nset bmargin 4")
        plots = []
        for i, (variant, by_load) in enumerate(values.items()):
            script += f"$data{i} << END\n"
            for load in loads:
                label = load.replace(", ", ",\\n")
                script += " ".join(map(str, by_load[load])) + f' "{label}"\n'
            script += "END\n"
            style = next((n for name, n in STYLES.items() if variant.startswith(name)), OURS)
            plots.append(f"$data{i} using 1:2:3:xtic(4) ls {style} title '{variant}'")
        script += "plot " + ", ".join(plots) + "\n"
        subprocess.run(["gnuplot"], input=script, text=True, check=True)

    def losses(self):
        """Percentage lost at the measured rate; the last point is flat out."""
        loads = {}
        for s in self.series:
            if s["scenario"] == "loss" and not s["load"].startswith("burst"):
                loads.setdefault((s["variant"], s["load"]), {})[s["figure"]] = s
        lines = {}
        for (variant, _), f in loads.items():
            made = f["made"]["median"]
            percent = [100 * f["lost"][which] / made for which in ("median", "min", "max")]
            lines.setdefault(variant, []).append((f["calls/s"]["median"] / 1000, *percent))
        return {variant: sorted(points) for variant, points in lines.items()}

    def finds(self):
        """The search in sets of several sizes, one line per table and family."""
        lines = {}
        for family in ("IPv4", "IPv6"):
            found = self.lines("rules", "time per run", family + r", ([\d,]+) rules")
            for variant, points in found.items():
                if not variant.startswith("(0)"):
                    lines[f"{variant}, {family}"] = points
        return lines

    def all(self):
        log = "set logscale xy\nset format x '%.0f'\nset format y '%.0f'"
        rate = "connects per second"
        self.draw("latency", "From connect() to the reader: median delay", rate, "microseconds",
                  self.lines("paced", "delay p50", r"(\d+)/s"), log)
        self.draw("connect", "Duration of connect(): median", rate, "nanoseconds",
                  self.lines("paced", "connect p50", r"(\d+)/s"), log)
        self.draw("sessions", "Attaching one more session: median", "sessions attached",
                  "microseconds", self.lines("attach", "attach", r"session number (\d+)"), log)
        self.draw("loss", "Events lost of a ring of 1 MiB: median", "thousand connects per second",
                  "percent", self.losses(), "set yrange [0:1<*]")
        self.draw("packets", "A datagram from send() to recv(): median", "bytes of payload",
                  "nanoseconds", self.lines("packets", "time per call", r"UDP, (\d+) bytes"),
                  "set logscale x\nset format x '%.0f'\nset yrange [0:*]")
        self.draw("rules", "Finding the rule for a destination: median", "rules", "nanoseconds",
                  self.finds(), "set logscale x\nset format x '%.0f'\nset yrange [0:*]")
        self.bars("names", "Run time of the packet programs, as the kernel measures it", "nanoseconds",
                  "names", "BPF time per run", ", kernel's run time")


os.makedirs(sys.argv[2], exist_ok=True)
Plots(sys.argv[1], sys.argv[2]).all()
