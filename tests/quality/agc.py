#!/usr/bin/env python3
"""The gain control on made scenes: 24 s of one voice in a noise 10 dB below it, then 24 s of the noise alone.

Usage: agc.py [--set tuning|unseen] [--program PROGRAM]

Voices and noises are those of voice.py; the speech comes in at -45, -35, -26, -18 and -10 dBov. Off the target: active level
(P.56) of the clean voice behind the gain less the target, from 3 to 8 s after its first word and from 8 s on, the lowest and
highest over the voices. Rise: the most that the gain rises in 20 s of the noise alone. `quiet` has noise 40 dB below the voice.
Needs numpy, scipy, soundfile. Prints Markdown.
"""
import argparse, os, subprocess
import numpy as np
from scipy.signal import lfilter

import voice
from common import ROOT

FS, TARGET, TALK = voice.FS, -26, 24


def active_dbov(x):
    """ITU-T P.56, method B."""
    g = np.exp(-1 / (FS * 0.03))
    q = lfilter([1 - g], [1, -g], lfilter([1 - g], [1, -g], np.abs(x)))
    n, below = np.arange(len(q)), None
    for j in range(15):
        threshold = 2.0 ** (j - 15)
        last = np.maximum.accumulate(np.where(q >= threshold, n, -10 ** 9))
        count = (n - last <= FS // 5).sum()
        if count == 0:
            break
        level = 10 * np.log10((x * x).sum() / count)
        above = level - 20 * np.log10(threshold) - 15.9
        if above <= 0 and below:
            return below[0] + (level - below[0]) * below[1] / (below[1] - above)
        below = (level, above)
    return float("nan")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", choices=["tuning", "unseen"], default="unseen")
    parser.add_argument("--program", default=os.path.join(ROOT, "target/release/agc"))
    a = parser.parse_args()
    voice.SECONDS = TALK
    voices = voice.VOICES[a.set]
    print("| noise | speech, dBov | off after 3-8 s, dB | off from 8 s on, dB | rise in noise, dB | highest sample |\n|---|---|---|---|---|---|")
    for i, kind in enumerate(("quiet",) + voice.NOISES[a.set]):
        for level in (-45, -35, -26, -18, -10):
            rows = []
            for j, parts in enumerate(voices.values()):
                rng = np.random.default_rng([i, j, 5])
                clean = voice.voice(parts, rng)
                noise = voice.noise("white" if kind == "quiet" else kind, 2 * TALK * FS, rng, voices)
                x = np.concatenate([clean, np.zeros(TALK * FS)])
                x = (x + noise * 10 ** ((-26 - (40 if kind == "quiet" else 10)) / 20)) * 10 ** ((level + 26) / 20)
                pcm = np.clip(np.round(x * 32768), -32768, 32767).astype("<i2")
                out = subprocess.run([a.program, str(FS), str(TARGET)], input=pcm.tobytes(), stdout=subprocess.PIPE, check=True).stdout
                gain, highest = np.array([line.split() for line in out.decode().splitlines()], float).T
                gain /= 100
                y = clean * 10 ** ((level + 26 + np.repeat(gain, FS // 100)[:len(clean)]) / 20)
                first = np.flatnonzero(np.abs(clean) > 1e-3)[0]
                rows.append([active_dbov(y[first + 3 * FS:first + 8 * FS]) - TARGET, active_dbov(y[first + 8 * FS:]) - TARGET,
                             (gain[100 * TALK:100 * (TALK + 20)] - gain[100 * TALK]).max(), highest.max()])
            low, high = np.min(rows, 0), np.max(rows, 0)
            print(f"| {kind} | {level} | {low[0]:+.1f} to {high[0]:+.1f} | {low[1]:+.1f} to {high[1]:+.1f} | {high[2]:.1f} | {high[3]:.3f} |")


if __name__ == "__main__":
    main()
