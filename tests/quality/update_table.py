#!/usr/bin/env python3
"""Puts what a command prints between two markers of a Markdown file.

    update_table.py NAME [--file BENCHMARKS.md] -- COMMAND...

The markers stand on lines of their own: `<!-- table: NAME -->` and `<!-- end -->`. The file is left as it was if the
command fails, prints nothing, or the markers are not there exactly once.
"""
import argparse, os, re, subprocess, sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("name")
    a.add_argument("--file", default=os.path.join(ROOT, "BENCHMARKS.md"))
    a.add_argument("command", nargs="+")
    o = a.parse_args()
    text = open(o.file, encoding="utf-8").read()
    between = re.compile(r"(?ms)^(<!-- table: %s -->\n).*?^(<!-- end -->)$" % re.escape(o.name))
    if len(between.findall(text)) != 1:
        sys.exit("%s: not exactly one '<!-- table: %s -->' with its '<!-- end -->'" % (o.file, o.name))
    table = subprocess.run(o.command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip()
    if not table:
        sys.exit("the command printed nothing")
    text = between.sub(lambda m: m[1] + table + "\n" + m[2], text)
    open(o.file, "w", encoding="utf-8").write(text)


if __name__ == "__main__":
    sys.exit(main())
