#!/usr/bin/env python3
"""Calls of Chromium with the page of `media-core web`, and what was heard on both sides, as a table.

Each row is printed by a test of `cargo test --workspace --test web`. PESQ is that of the meters (MEDIA_CORE_METERS); the row with
aiortc in our place needs a Python that has it (MEDIA_CORE_PYTHON). Their progress goes to stderr.
"""
import os, re, subprocess, sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main():
    command = ["cargo", "test", "-q", "--workspace", "--test", "web", "quality::browser_", "--", "--nocapture", "--test-threads=1"]
    run = subprocess.run(command, cwd=ROOT, env=dict(os.environ, MEDIA_CORE_PEERS="1"), stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)
    rows = re.findall(r"browser-row (\|.*\|)", run.stdout)
    if not rows:
        sys.exit(run.stdout + run.stderr)
    if run.returncode != 0:
        print(run.stdout + run.stderr, file=sys.stderr)
    print("| browser, network | calls | scale | the server hears: mean / lowest | the browser hears: mean / lowest | lost there, made up there |")
    print("|---|---|---|---|---|---|")
    print("\n".join(sorted(rows)))
    return run.returncode


if __name__ == "__main__":
    sys.exit(main())
