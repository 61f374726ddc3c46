#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Plots of a result of portolan-bench --json, as SVG and PNG: rates by size, distributions of round trips, and the
processor's time. Medians with the least and the most, of samples that were taken while the CPUs were as far from each
other as for most of the run, or of all where there is none: one that was near is not to stand beside others' far ones.

usage: plot.py RESULT FOLDER
"""
import json
import pathlib
import re
import statistics
import sys

import matplotlib

matplotlib.use("Agg")
matplotlib.rcParams["svg.hashsalt"] = "portolan"  # the same result gives the same file
matplotlib.rcParams["svg.fonttype"] = "none"
import matplotlib.pyplot as plt

FACTORS = {"B": 1, "KiB": 1 << 10, "MiB": 1 << 20}


class Result:
    def __init__(self, path):
        data = json.loads(pathlib.Path(path).read_text(encoding="utf-8"))
        self.near_ns = data["near_ns"]
        self.rows = data["rows"]
        lines = [line for row in self.rows for _, line in row["samples"]]
        self.near = sum(line < self.near_ns for line in lines) * 2 > len(lines)
        this, that = ("near", "far") if self.near else ("far", "near")
        self.caption = f"{data['machine']}, commit {data['commit']}, pinned to {data['pinned']}; of {this} CPUs, or of {that} " \
                       f"ones where no sample was taken {this}"

    def figures(self, row):
        """Median, least and most."""
        mine = [value for value, line in row["samples"] if (line < self.near_ns) == self.near]
        values = mine or [value for value, _ in row["samples"]]
        return statistics.median_high(values), min(values), max(values)

    def of(self, section, pattern):
        """Rows of the section whose question matches, with the match."""
        for row in self.rows:
            match = re.fullmatch(pattern, row["question"])
            if row["section"] == section and match:
                yield row, match


def style(who, limit):
    if who == "Portolan":
        return {"color": "black", "linewidth": 2.5, "zorder": 3}
    return {"linestyle": ":" if limit else "-", "linewidth": 1.2}


def finish(figure, folder, name, caption):
    figure.text(0.01, 0.005, caption, fontsize=6)
    figure.tight_layout(rect=(0, 0.02, 1, 1))
    figure.savefig(folder / f"{name}.svg", metadata={"Date": None, "Creator": None})
    figure.savefig(folder / f"{name}.png", dpi=120, metadata={"Software": None})
    plt.close(figure)


def plot_rates(result, folder, section, how, name):
    lines = {}
    for row, match in result.of(section, rf"(\d+) (B|KiB|MiB) {how}"):
        size = int(match[1]) * FACTORS[match[2]]
        middle, least, most = result.figures(row)
        lines.setdefault((row["who"], row["limit"]), []).append((size, middle, least, most))
    if not lines:
        return
    figure, axes = plt.subplots(figsize=(8, 5))
    for (who, limit), points in lines.items():
        sizes, middles, leasts, mosts = zip(*sorted(points))
        spread = [[m - l for m, l in zip(middles, leasts)], [u - m for m, u in zip(middles, mosts)]]
        axes.errorbar(sizes, middles, yerr=spread, label=who, marker="o", markersize=3, capsize=2, **style(who, limit))
    axes.set(xscale="log", yscale="log", xlabel="bytes of a message", ylabel="messages a second",
             title=f"{section}, {how}")
    axes.legend(fontsize=7, ncol=2)
    axes.grid(True, which="major", alpha=0.3)
    finish(figure, folder, name, result.caption)


def plot_distribution(result, folder, section, question, name):
    lines = {}
    for row, _ in result.of(section, re.escape(question)):
        lines.setdefault((row["who"], row["limit"]), []).append((row["part"], result.figures(row)[0]))
    if not lines:
        return
    figure, axes = plt.subplots(figsize=(8, 5))
    for (who, limit), points in lines.items():
        parts, values = zip(*points)
        axes.plot(range(len(parts)), values, label=who, marker="o", markersize=3, **style(who, limit))
        axes.set_xticks(range(len(parts)), parts)
    axes.set(yscale="log", ylabel="nanoseconds", title=f"{section}: {question}")
    axes.legend(fontsize=7, ncol=2)
    axes.grid(True, alpha=0.3)
    finish(figure, folder, name, result.caption)


def plot_bars(result, folder, section, question, name):
    bars = [(row["who"], *result.figures(row), row["unit"])
            for row, _ in result.of(section, re.escape(question)) if not row["part"]]
    if not bars:
        return
    bars.sort(key=lambda bar: bar[1], reverse=True)
    figure, axes = plt.subplots(figsize=(8, 4))
    names, middles, leasts, mosts, units = zip(*bars)
    spread = [[m - l for m, l in zip(middles, leasts)], [u - m for m, u in zip(middles, mosts)]]
    colors = ["black" if who == "Portolan" else "tab:gray" for who in names]
    axes.barh(names, middles, xerr=spread, color=colors, capsize=2)
    axes.set(xlabel=units[0], title=f"{section}: {question}")
    finish(figure, folder, name, result.caption)


def main():
    if len(sys.argv) != 3:
        raise SystemExit(__doc__)
    result, folder = Result(sys.argv[1]), pathlib.Path(sys.argv[2])
    folder.mkdir(parents=True, exist_ok=True)
    plot_rates(result, folder, "One way, copied in and out", "polling", "one-way-polling")
    plot_rates(result, folder, "One way, copied in and out", "blocking", "one-way-blocking")
    summed = "One way, every word written and summed"
    plot_rates(result, folder, summed, "copied in and out, polling", "one-way-summed")
    plot_rates(result, folder, summed, "in place, polling", "one-way-in-place")
    trips = "Round trip of 64 B"
    plot_distribution(result, folder, trips, "polling", "round-trip-polling")
    plot_distribution(result, folder, trips, "blocking, both asleep for 1 ms before", "round-trip-asleep")
    fixed = "Round trip of 64 B at a fixed rate, from when it was due"
    plot_distribution(result, folder, fixed, "polling, 20,000 a second", "fixed-rate-polling")
    plot_distribution(result, folder, fixed, "blocking, 2,000 a second", "fixed-rate-blocking")
    cpu = "Time of the processor, 64 B, blocking, sender and receiver together"
    plot_bars(result, folder, cpu, "a million messages at full speed", "cpu-full-speed")
    plot_bars(result, folder, cpu, "100,000 messages a second", "cpu-fixed-rate")


if __name__ == "__main__":
    main()
