#!/usr/bin/env python3
"""Tables of digits and tones in Markdown: through codecs and lost packets, and in hours of voices and music where there are none.

    digits.py [LOG...]

Runs the long tests of tests/tests/sound/dtmf.rs and tones.rs, with MEDIA_CORE_SOUNDS (where .ci/long unpacks Asterisk's voices), and
prints the tables that they print; or those in the output of such runs.
"""
import os
import subprocess
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TESTS = ["the_whole_grid", "digits_through_codecs", "no_speech_is_a_digit", "each_countrys_tones", "tones_through_codecs", "no_speech_and_no_music"]


def output():
    if len(sys.argv) > 1:
        return "".join(open(log, encoding="utf-8").read() for log in sys.argv[1:])
    command = ["cargo", "test", "--release", "-p", "media-core-tests", "--test", "sound", "--"]
    command += ["--ignored", "--nocapture", "--test-threads", "1", *TESTS]
    return subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True).stdout


def main():
    tables, before = [], None
    for line in output().splitlines():
        # The name of the test may stand before its table's first row.
        row = line[line.find("| "):] if line.startswith("test ") and " ... | " in line else line
        if row.startswith("|---"):
            # What was the last row is the head of another table.
            if tables and tables[-1][-1:] == [before]:
                tables[-1].pop()
            tables.append([before])
        if row.startswith("|") and tables:
            tables[-1].append(row)
        before = row
    print("\n\n".join("\n".join(table) for table in tables))


if __name__ == "__main__":
    main()
