#!/usr/bin/env python3
"""How speech came over a call: PESQ (ITU-T P.862) of stretches of 8 s, each found in what was said.

    heard_speech.py wb|nb said.wav heard.wav [repeated]      prints the mean, the lowest, and the number of stretches

`repeated`: what was said was said again and again. Without that a stretch that was heard across the seam is found in a part of what was
said, and its score is that of another sound.

The first stretch begins with the first sound that was heard: what was said before there was a way to each other is no question of how
it sounds, and all that comes after is counted, the first seconds with their delay that is still being found too.
"""
import sys

import numpy as np, soundfile as sf
from pesq import pesq
from scipy.signal import correlate, resample_poly

STRETCH_S = 8
# Quieter than this is silence, of full scale.
SILENCE = 0.003


def read(path, rate):
    x, r = sf.read(path)
    x = x if x.ndim == 1 else x.mean(1)
    return resample_poly(x, rate // np.gcd(rate, r), r // np.gcd(rate, r)) if r != rate else x


def rms(x):
    return np.sqrt(np.mean(x**2))


def begin(x, rate):
    """Where the first sound is, but for a tenth of a second before it."""
    step = rate // 50
    loud = (at for at in range(0, len(x) - step, step) if rms(x[at:at + step]) > SILENCE)
    return max(next(loud, 0) - rate // 10, 0)


def place(said, part):
    """Where in `said` this is: where most of the power of both is the same. What is said is repeated, and one time another thing
    comes before or after it, so power that only `said` has counts too."""
    same = np.maximum(correlate(said, part, mode="valid", method="fft"), 0)
    power = np.concatenate([[0], np.cumsum(said**2)])
    power = power[len(part):] - power[:-len(part)]
    return int(np.argmax(same / np.sqrt(power + np.mean(power) * 0.01 + 1e-9)))


def stretches(mode, said, heard, repeated=None):
    """The score of each stretch, and where it lies in both, in seconds."""
    rate = 16_000 if mode == "wb" else 8_000
    said, heard = read(said, rate), read(heard, rate)
    if repeated:
        said = np.tile(said, 1 + -(-STRETCH_S * rate // len(said)))
    # What is heard first may be said at the very beginning.
    said = np.concatenate([np.zeros(rate), said])
    n = STRETCH_S * rate
    for at in range(begin(heard, rate), len(heard) - n + 1, n):
        part = heard[at:at + n]
        if rms(part) > SILENCE:
            there = place(said, part)
            yield pesq(rate, said[there:there + n], part, mode), at / rate, there / rate - 1


def main():
    scores = [score for score, _, _ in stretches(*sys.argv[1:5])]
    print("%.2f %.2f %d" % (np.mean(scores), min(scores), len(scores)))


if __name__ == "__main__":
    sys.exit(main())
