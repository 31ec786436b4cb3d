#!/usr/bin/env python3
"""Prints the table of times in BENCHMARKS.md from what `cargo bench` left in target/criterion.

    cargo bench -p media-core-benches && python3 benches/table.py [PREFIX]

With a prefix, only the benchmarks whose names begin with it; resampler, conferences, echo cancellers
and DTMF have tables of their own, and are asked for by name.
Medians in ns. A benchmark named "... ours" is put beside those that share the rest of its name; the ratio is ours/theirs.
No package carries iLBC's reference in C: its known times are scaled by spandsp's G.722, measured beside it then and here in
the same run.
"""
import json
import os
import pathlib
import re
import sys

root = pathlib.Path(__file__).resolve().parent.parent
results = {}
for estimates in (root / os.environ.get("CARGO_TARGET_DIR", "target") / "criterion").glob("**/new/estimates.json"):
    name = json.loads((estimates.parent / "benchmark.json").read_text())["full_id"]
    results[name] = json.loads(estimates.read_text())["median"]["point_estimate"]
PREFIX = sys.argv[1] if len(sys.argv) > 1 else ""
results = {name: ns for name, ns in results.items()
           if (name.startswith(PREFIX) if PREFIX else not name.startswith(("resample", "conference", "echo canceller", "DTMF")))}

# libilbc and spandsp's G.722 on one machine, in ns: 20 and 30 ms frames, and 20 ms.
LIBILBC = {"iLBC encode, 20 ms": 51_100, "iLBC decode, 20 ms": 15_900, "iLBC encode, 30 ms": 61_700,
           "iLBC decode, 30 ms": 17_200}
G722 = {"encode": 12_200, "decode": 7_700}
for name, ns in LIBILBC.items():
    direction = name.split()[1].rstrip(",")
    here = results.get(f"G.722 {direction}/spandsp")
    if here:
        results[f"{name}/libilbc, scaled"] = ns * here / G722[direction]

OURS = re.compile(r"(^|[ /])ours$")
print("| work | ours, ns | beside, ns | ratio |")
print("|---|---|---|---|")
peers = set()
rows = []
for name in sorted(results):
    if not OURS.search(name):
        continue
    stem = OURS.sub("", name)
    beside = [n for n in results if n != name and n.startswith(stem) and re.fullmatch(r"[ /][^/]+", n[len(stem):])]
    peers.update(beside)
    peers.add(name)
    for peer in beside or [None]:
        other = f"{peer[len(stem) + 1:]} {results[peer]:,.0f}" if peer else "–"
        ratio = f"{results[name] / results[peer]:.2f}" if peer else "–"
        rows.append((stem.replace("/", ": "), f"{results[name]:,.0f}", other, ratio))
for name in sorted(set(results) - peers):
    rows.append((name.replace("/", ": "), f"{results[name]:,.{0 if results[name] >= 100 else 1}f}", "–", "–"))
for row in rows:
    print("| " + " | ".join(row) + " |")
