#!/usr/bin/env python3
"""Makes woman.wav and man.wav, the two halves of one short telephone conversation, with Debian's flite.

    apt-get install flite && python3 make.py

Both files have the same length, so that played at the same time they are the conversation. Each turn is spoken by
flite, laid at its own time, and each file is scaled to an active speech level of -26 dBov (ITU-T P.56, method B).
"""

import array
import math
import subprocess
import tempfile
import wave

RATE_HZ = 16_000
SECONDS = 10.8
LEVEL_DBOV = -26.0

# Voice, time the turn begins in seconds, text. The two talk over each other twice, as happens on the telephone.
TURNS = [
    ("slt", 0.20, "Good morning! Has my parcel arrived?"),
    ("rms", 2.85, "It has, ten minutes ago. The box looks fine."),
    ("slt", 6.15, "Wonderful! Could you open it?"),
    ("rms", 7.10, "Shall I open it?"),
    ("slt", 8.55, "Yes, please. It is glass."),
    ("rms", 9.55, "I am careful."),
]
FILES = {"slt": "woman.wav", "rms": "man.wav"}


def speak(voice, text):
    """One turn as floats in -1..1, without the silence flite puts around it."""
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", file.name], check=True)
        with wave.open(file.name) as reader:
            assert (reader.getframerate(), reader.getnchannels(), reader.getsampwidth()) == (RATE_HZ, 1, 2)
            samples = array.array("h", reader.readframes(reader.getnframes()))
    loud = [n for n, sample in enumerate(samples) if abs(sample) > 300]
    first, last = max(loud[0] - 800, 0), min(loud[-1] + 1600, len(samples))
    turn = [sample / 32768 for sample in samples[first:last]]
    for n in range(160):  # 10 ms at each end against clicks
        turn[n] *= n / 160
        turn[-1 - n] *= n / 160
    return turn


def active_level_dbov(samples):
    """Active speech level by ITU-T P.56, method B: 30 ms envelope, 200 ms hangover, 15.9 dB margin."""
    thresholds = [2.0 ** (j - 15) for j in range(15)]
    g = math.exp(-1 / (RATE_HZ * 0.03))
    hangover = round(0.2 * RATE_HZ)
    active, hang = [0] * 15, [hangover] * 15
    p = q = 0.0
    for x in samples:
        p = g * p + (1 - g) * abs(x)
        q = g * q + (1 - g) * p
        for j, threshold in enumerate(thresholds):
            if q >= threshold:
                active[j] += 1
                hang[j] = 0
            elif hang[j] < hangover:
                active[j] += 1
                hang[j] += 1
    energy = sum(x * x for x in samples)
    before = None
    for count, threshold in zip(active, thresholds):
        if count == 0:
            break
        level, edge = 10 * math.log10(energy / count), 20 * math.log10(threshold)
        if level - edge <= 15.9:
            if before is None:
                return level
            # The two estimates run straight between thresholds; find where they are 15.9 dB apart.
            old_level, old_edge = before
            t = (old_level - old_edge - 15.9) / ((old_level - old_edge) - (level - edge))
            return old_level + t * (level - old_level)
        before = (level, edge)
    raise ValueError("no active speech")


def main():
    for voice, name in FILES.items():
        track = [0.0] * round(SECONDS * RATE_HZ)
        for _, begin_s, text in (turn for turn in TURNS if turn[0] == voice):
            turn = speak(voice, text)
            begin = round(begin_s * RATE_HZ)
            print(f"{name} {begin_s:5.2f} - {begin_s + len(turn) / RATE_HZ:5.2f} s  {text}")
            for n, x in enumerate(turn):
                track[begin + n] += x
        gain = 10 ** ((LEVEL_DBOV - active_level_dbov(track)) / 20)
        pcm = array.array("h", (max(-32768, min(32767, round(x * gain * 32768))) for x in track))
        level = active_level_dbov([x / 32768 for x in pcm])
        print(f"{name} active level {level:.1f} dBov, peak {max(map(abs, pcm))}, {len(pcm)} samples")
        with wave.open(name, "wb") as writer:
            writer.setparams((1, 2, RATE_HZ, 0, "NONE", ""))
            writer.writeframes(pcm.tobytes())


if __name__ == "__main__":
    main()
