#!/usr/bin/env python3
"""How speech came over a call: PESQ (ITU-T P.862) of stretches of 8 s, each found in what was heard.

    heard_speech.py wb|nb said.wav heard.wav      prints the mean and the number of stretches
"""
import sys

import numpy as np, soundfile as sf
from pesq import pesq
from scipy.signal import correlate, resample_poly

STRETCH_S = 8


def read(path, rate):
    x, r = sf.read(path)
    x = x if x.ndim == 1 else x.mean(1)
    return resample_poly(x, rate // np.gcd(rate, r), r // np.gcd(rate, r)) if r != rate else x


def main():
    mode, said, heard = sys.argv[1:]
    rate = 16_000 if mode == "wb" else 8_000
    said, heard = read(said, rate), read(heard, rate)
    n = STRETCH_S * rate
    scores = []
    for begin in range(0, len(heard) - n + 1, n):
        part = heard[begin:begin + n]
        if np.sqrt(np.mean(part**2)) < 0.003:
            continue
        # Where in what was said this is, by the part of it that is loudest.
        at = int(np.argmax(np.abs(correlate(said, part, mode="valid", method="fft")))) if len(said) >= n else 0
        scores.append(pesq(rate, said[at:at + n], part, mode))
    print("%.2f %d" % (np.mean(scores), len(scores)))


if __name__ == "__main__":
    sys.exit(main())
