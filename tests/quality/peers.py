#!/usr/bin/env python3
"""Calls with programs that nobody here wrote, and what was heard on both sides, as a table.

    MEDIA_CORE_PYTHON=PYTHON peers.py      with aiortc and pjsua2 in this Python; else those are left out

Each row is printed by a test of `cargo test --workspace --test peers_secure`. Its progress goes to stderr.
"""
import os, re, subprocess, sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main():
    command = ["cargo", "test", "-q", "--workspace", "--test", "peers_secure", "--", "--nocapture", "--test-threads=2"]
    run = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    rows = sorted(set(re.findall(r"peer-row (\|.*\|)", run.stdout)), key=str.lower)
    if run.returncode != 0 or not rows:
        sys.exit(run.stdout + run.stderr)
    for line in run.stderr.splitlines():
        if line.startswith("skipped"):
            print(line, file=sys.stderr)
    print("| peer | keys, how packets are protected | codec | tenths of a second heard here | there |")
    print("|---|---|---|---|---|")
    print("\n".join(rows))


if __name__ == "__main__":
    sys.exit(main())
