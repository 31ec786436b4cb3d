#!/usr/bin/env python3
"""A room of real calls over a bad network: what each caller heard beside what he should have heard.

Usage: room.py [--program PROGRAM] [--callers N] [--seconds S] [--windows N] [--jobs N] [--options "..."]... [--keep DIR [--reuse]]

Callers of Opus, G.722, PCMU and PCMA with SRTP join one room in virtual time (`media-core conference --fast`), speak in turn
with half a second of overlap, and leave again; the network loses packets both to and from the room. What a caller should
have heard (the ideal mix-minus) is the sum of what the others said at the rates of their calls, each turn moved to where it was heard,
since the delay of a live call changes. Printed for each set of options and codec of the listener:

PESQ-WB (P.862.2) of 8 s windows in which all are there, mean and lowest caller, at the listener's bandwidth: so with what two codecs
in a row take away. Codecs alone: the same for the ideal with each talker's speech coded and decoded by his codec, and the sum by the
listener's, without room, network or resampling: what any room could reach at best. Own voice: the
highest correlation of what a caller said with what he heard up to a second later, over all the time, of the caller who is worst;
beside it that with what his neighbour said, the least of all. Clicks: joins and leaves behind which, within 30 ms, the mix has a steeper edge
than anywhere within 2 s around. Delay: mean from mouth to ear of the turns. Needs the meters. Prints Markdown.
"""
import argparse, json, os, subprocess, tempfile
from concurrent.futures import ThreadPoolExecutor
import numpy as np, soundfile as sf
from pesq import pesq
from scipy.signal import correlate, resample_poly

from common import ROOT, read
import voice

FS = 16000
WINDOW = 8 * FS
# Of a turn: silence in the schedule between two of a caller's, and the part that hardly anybody else speaks in.
ALONE = (int(0.5 * FS), int(2.5 * FS))
LATEST = FS
# Behind a join or a leave, which change nothing before it, and what it's compared with around.
AT_EDGE, AROUND = int(0.03 * FS), 2 * FS


def to(x, rate, other):
    """Resampled."""
    return x if rate == other else resample_poly(x, other // np.gcd(rate, other), rate // np.gcd(rate, other))


def best_lag(said, heard):
    """By how many samples `said` comes later in `heard`, and the correlation there."""
    product = correlate(heard, said, mode="valid", method="fft")
    running = np.concatenate([[0], np.cumsum(heard ** 2)])
    power = running[len(said):] - running[:-len(said)]
    similar = product / np.sqrt(np.maximum(power, 1e-9) * np.sum(said ** 2) + 1e-12)
    lag = int(np.argmax(similar))
    return lag, similar[lag]


def turns(said):
    """Begin and end of each turn: what lies between silences of a second."""
    active = np.flatnonzero(np.abs(said) > 1e-4)
    if not len(active):
        return []
    gaps = np.flatnonzero(np.diff(active) > FS)
    begins = np.concatenate([active[:1], active[gaps + 1]])
    ends = np.concatenate([active[gaps], active[-1:]]) + 1
    return list(zip(begins, ends))


class Conference:
    """What a run of the program left, all at 16 kHz on one time line."""

    def __init__(self, a, options, folder):
        names = list(voice.VOICES["tuning"].values()) + list(voice.VOICES["unseen"].values())
        command = [a.program, "conference", "--demo", str(a.callers), "--fast", "--seconds", str(a.seconds), "--out", folder]
        for number, parts in enumerate(names):
            path = os.path.join(folder, f"voice-{number}.wav")
            x = np.concatenate([read(file, FS, part) for file, part in parts]).astype(float)
            loud = np.abs(x) > 300
            x *= 10 ** (-26 / 20) * 32768 / np.sqrt(np.mean(x[loud] ** 2))
            sf.write(path, np.clip(x, -32768, 32767).astype(np.int16), FS)
            command += ["--speech", path]
        # The last half joins and leaves while the others are there.
        every = 4
        stay = a.seconds - every * a.callers * 1.0
        self.all_there = (every * a.callers, stay)
        command += ["--join-every", str(every), "--stay", str(stay), *options.split()]
        if not a.reuse:
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        self.program, self.coded = a.program, {}
        report = json.load(open(os.path.join(folder, "conference.json")))
        self.callers = report["callers"]
        self.length = int(report["seconds"] * FS)
        self.folder = folder
        self.rates = [caller["sample_rate_hz"] for caller in self.callers]
        self.said = [self.sound(caller["said"], caller) for caller in self.callers]
        self.turns = [turns(said) for said in self.said]

    def sound(self, name, caller):
        x, rate = sf.read(os.path.join(self.folder, name))
        x = to(x, rate, FS)
        whole = np.zeros(self.length + LATEST, np.float32)
        begin = int(caller["joined_ms"] * FS / 1000)
        count = min(len(x), len(whole) - begin)
        whole[begin:begin + count] = x[:count]
        return whole

    def through(self, codec, rate, x):
        """Coded and decoded, at 16 kHz."""
        with tempfile.TemporaryDirectory() as folder:
            wav, payloads, decoded = (os.path.join(folder, name) for name in ("in.wav", "payloads", "out.wav"))
            sf.write(wav, np.clip(to(x, FS, rate), -1, 1 - 2 ** -15), rate, "PCM_16")
            options = ["--codec", codec] + (["--rate", str(rate), "--bitrate", "32000"] if codec == "opus" else [])
            subprocess.run([self.program, "encode", *options, wav, payloads], check=True, stdout=subprocess.DEVNULL)
            subprocess.run([self.program, "decode", *options[:4], payloads, decoded], check=True, stdout=subprocess.DEVNULL)
            y, rate = sf.read(decoded)
        y = to(y, rate, FS)
        # Its filters' delay; Opus' is not in its file.
        y = y[22:] if codec == "g722" else y
        return np.pad(y, (0, FS))[:len(x)]

    def codecs_alone(self):
        """What each said, by his codec."""
        for talker, caller in enumerate(self.callers):
            if talker not in self.coded:
                self.coded[talker] = self.through(caller["codec"], self.rates[talker], self.said[talker])
        return [self.coded[talker] for talker in range(len(self.callers))]

    def ideal(self, listener, heard):
        """What he should have heard, the same with the talkers' codecs, and the delays of the turns in s."""
        mix, coded_mix, delays = np.zeros(len(heard)), np.zeros(len(heard)), []
        coded = self.codecs_alone()
        caller = self.callers[listener]
        joined, left = int(caller["joined_ms"] * FS / 1000), int((caller["left_ms"] or 1e9) * FS / 1000)
        for talker, said in enumerate(self.said):
            for begin, end in self.turns[talker]:
                # Of a turn in which he came or went he heard a part.
                begin, end = max(begin, joined), min(end, left)
                if talker == listener or begin >= end:
                    continue
                first, last = begin + ALONE[0], min(begin + ALONE[1], end)
                lag = int(delays[-1] * FS) if delays else 0
                if last - first >= FS // 2 and last + LATEST <= len(heard):
                    found, similar = best_lag(said[first:last], heard[first:last + LATEST])
                    # Else nobody is to be heard, and the delay is that of the turn before.
                    lag = found if similar >= 0.3 else lag
                    delays.append(lag / FS)
                until = min(end + lag, left, len(mix))
                mix[begin + lag:until] += said[begin:max(until - lag, begin)]
                coded_mix[begin + lag:until] += coded[talker][begin:max(until - lag, begin)]
        return mix, coded_mix, delays

    def score(self, listener, windows):
        """PESQ-WB, likeness to oneself and to the neighbour, mean delay, loss and the codecs' PESQ-WB, for one listener."""
        caller = self.callers[listener]
        heard = self.sound(caller["heard"], caller)
        mix, coded, delays = self.ideal(listener, heard)
        coded = self.through(caller["codec"], self.rates[listener], coded)
        if self.rates[listener] < FS:
            mix = to(to(mix, FS, self.rates[listener]), self.rates[listener], FS)[:len(heard)]
        first, last = (int(t * FS) for t in self.all_there)
        starts = np.linspace(first, last - WINDOW, windows).astype(int)
        scores, best = [], []
        for at in starts:
            ideal = mix[at:at + WINDOW]
            if np.sum(ideal ** 2) > 1e-3:
                scores.append(pesq(FS, ideal, heard[at:at + WINDOW], "wb"))
                best.append(pesq(FS, ideal, coded[at:at + WINDOW], "wb"))
        # Each of the others as alike as he can be: the neighbour speaks as long.
        neighbour = (listener + 1) % len(self.callers)
        alike = [best_lag(self.said[who][:-LATEST], heard)[1] for who in (listener, neighbour)]
        return np.mean(scores), alike[0], alike[1], np.mean(delays), caller["packets_lost"] / max(caller["packets_received"], 1), np.mean(best)

    def clicks(self):
        """Joins and leaves, and those of them that are heard as a click in the mix."""
        mix, rate = sf.read(os.path.join(self.folder, "room.wav"))
        edge = np.abs(np.diff(to(mix, rate, FS), 2))
        events = [caller["joined_ms"] for caller in self.callers] + [c["left_ms"] for c in self.callers if c["left_ms"]]
        clicks = 0
        for ms in events:
            at = int(ms * FS / 1000)
            around = np.concatenate([edge[max(at - AROUND, 0):max(at - AT_EDGE, 0)], edge[at + AT_EDGE:at + AROUND]])
            here = edge[at:at + AT_EDGE]
            clicks += len(here) > 0 and len(around) > 0 and here.max() > max(around.max(), 2 / 32768)
        return len(events), clicks


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=os.path.join(ROOT, "target/release/media-core"))
    parser.add_argument("--callers", type=int, default=20)
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--windows", type=int, default=8, help="of each caller")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--options", action="append", help="of the program; a row of its own each time")
    parser.add_argument("--keep", help="leave the files of the last run here")
    parser.add_argument("--reuse", action="store_true", help="score what --keep left of a run with the same settings")
    a = parser.parse_args()
    usual = ["", "--loss 2 --jitter 10", "--loss 2 --jitter 10 --red 0"]
    print("| network | listeners | PESQ-WB: mean / lowest | codecs alone | own voice / neighbour's | lost | delay | joins and leaves / clicks |\n|---|---|---|---|---|---|---|---|")
    for options in a.options or usual:
        with tempfile.TemporaryDirectory() as temporary:
            folder = a.keep or temporary
            os.makedirs(folder, exist_ok=True)
            conference = Conference(a, options, folder)
            events, clicks = conference.clicks()
            # Once, before all ask for it.
            conference.codecs_alone()
            with ThreadPoolExecutor(a.jobs) as pool:
                rows = list(pool.map(lambda n: conference.score(n, a.windows), range(a.callers)))
            codecs = [caller["codec"] for caller in conference.callers]
            for codec in [*dict.fromkeys(codecs), "all"]:
                part = np.array([row for row, own in zip(rows, codecs) if codec in (own, "all")])
                print(f"| {options.strip() or 'perfect'} | {codec} | {part[:, 0].mean():.2f} / {part[:, 0].min():.2f} | {part[:, 5].mean():.2f} | {part[:, 1].max():.3f} / {part[:, 2].min():.3f} "
                      f"| {100 * part[:, 4].mean():.1f} % | {1000 * part[:, 3].mean():.0f} ms | {events} / {clicks} |", flush=True)


if __name__ == "__main__":
    main()
