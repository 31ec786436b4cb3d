#!/usr/bin/env python3
"""What the far side of whole calls hears of its own echo, and of the near end: media-core demo --echo, with --aec and without.

    echo_call.py [--program PROGRAM] [--codec NAMES] [--rooms MS,...]

A and B say the far and the near end of echo.py's scene `plain` (24 s at 16 kHz, B from 16 s on), in calls in virtual time over a
network that loses nothing; B's loudspeaker and microphone are in a simulated room of so many ms, and A's are too. Everything is
measured in what A hears (a-heard.wav), behind B's encoder, network, jitter buffer and A's decoder:

    echo       its level from 5 to 14 s, where only A speaks, in dB below A's own voice at B's loudspeaker
    AECMOS     echo in that stretch; echo and degradation from 16 s on, where both speak
    PESQ-WB    from 16 s on, against what B said; beside it the same of a call with a headset, which has no echo

Figures are means over echo.py's pairs of voices. Needs the meters' packages, and what echo.py needs for its voices. Prints Markdown.
"""
import argparse, os, subprocess, tempfile, warnings
os.environ.setdefault("OMP_NUM_THREADS", "1")
import numpy as np, soundfile as sf
from scipy.signal import correlate, resample_poly
from common import ROOT
import echo

warnings.filterwarnings("ignore")
RATE = echo.RATE
SINGLE, DOUBLE = slice(5 * RATE, 14 * RATE), slice(16 * RATE, 23 * RATE)


def heard(path):
    x, rate = sf.read(path)
    return x if rate == RATE else resample_poly(x, RATE, rate)


def moved(x, like):
    """`x` where it is `like` the other."""
    n = min(len(x), len(like))
    late = int(np.argmax(correlate(x[:n], like[:n], method="fft"))) - (n - 1)
    return np.roll(x, -late)


def call(program, codec, far, near, options):
    """What A and what B hear."""
    with tempfile.TemporaryDirectory() as folder:
        sf.write(folder + "/a.wav", far, RATE, subtype="PCM_16")
        sf.write(folder + "/b.wav", near, RATE, subtype="PCM_16")
        command = [program, "demo", "--fast", "--codec", codec, "--seconds", "24", "--loss", "0", "--jitter", "0",
                   "--input", folder + "/a.wav", "--input", folder + "/b.wav", "--out", folder + "/call", *options]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        return heard(folder + "/call/a-heard.wav"), heard(folder + "/call/b-heard.wav")


def mos(kind, stretch, far, microphone, out):
    from speechmos import aecmos
    given = {"lpb": far, "mic": microphone, "enh": out}
    return aecmos.run({k: np.clip(v[stretch], -1, 1) for k, v in given.items()}, sr=RATE, talk_type=kind, return_df=False)


def one(program, codec, room, scene):
    from pesq import pesq
    far, near = (sf.read(os.path.join(scene, name + ".wav"))[0] for name in ("far", "near"))
    clean, _ = call(program, codec, far, near, [])
    rows = {}
    with_echo, played = call(program, codec, far, near, ["--echo", str(room)])
    # The network's delay is the same in all calls: where the near end is tells it.
    where = lambda x: moved(x[DOUBLE], near[DOUBLE])
    microphone = with_echo
    for name, options in (("none", []), ("ours", ["--aec"])):
        out = with_echo if not options else call(program, codec, far, near, ["--echo", str(room), *options])[0]
        n = min(map(len, (out, microphone, played)))
        single = mos("st", SINGLE, played[:n], microphone[:n], out[:n])
        double = mos("dt", DOUBLE, played[:n], microphone[:n], out[:n])
        below = 10 * np.log10((played[SINGLE] ** 2).sum() / max((out[SINGLE] ** 2).sum(), 1e-9))
        rows[name] = [below, single["echo_mos"], double["echo_mos"], double["deg_mos"], pesq(RATE, near[DOUBLE], where(out), "wb")]
    return rows, pesq(RATE, near[DOUBLE], where(clean), "wb")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=os.path.join(ROOT, "target/release/media-core"))
    parser.add_argument("--codec", default="opus,g722,pcmu")
    parser.add_argument("--rooms", default="100,200")
    parser.add_argument("--work", default=os.path.expanduser("~/.cache/media-core-echo"), help="where echo.py's scenes are")
    a = parser.parse_args()
    scenes = sorted(os.path.join(a.work, "scenes", name) for name in os.listdir(os.path.join(a.work, "scenes")) if name.startswith("plain-"))
    print("| codec | room | canceller | echo below the voice, dB | AECMOS echo, A speaks | echo, degradation, both speak | PESQ-WB | without an echo |")
    print("|---|---|---|---|---|---|---|---|")
    for codec in a.codec.split(","):
        for room in map(int, a.rooms.split(",")):
            results = [one(a.program, codec, room, scene) for scene in scenes]
            without = np.mean([clean for _, clean in results])
            for name in ("none", "ours"):
                below, single, double, degradation, quality = np.mean([rows[name] for rows, _ in results], 0)
                print(f"| {codec} | {room} ms | {name} | {below:.0f} | {single:.2f} | {double:.2f}, {degradation:.2f} | {quality:.2f} | {without:.2f} |", flush=True)


if __name__ == "__main__":
    main()
