#!/usr/bin/env python3
"""Concealment beside spandsp's (G.711 Appendix I class), on the same lost packets: PESQ-NB at 8 kHz, PLCMOS at 16 kHz.

    concealment.py [--seeds 5] [--jobs 2] [--voices] [--plcmos] [--conceal PATH]

Five voices of MEDIA_CORE_SHARED/data, 20 ms packets after G.711 mu-law, 5 and 10 % loss, independent and in bursts
(two-state Gilbert channel, mean burst 2). `conceal` knows nothing of what follows a loss, `ahead` has the packet after
the one being played. With --plcmos: 16 kHz without G.711, where spandsp, made for 8 kHz, finds pitches of 133 to 400 Hz
only. Needs numpy, scipy, soundfile, pesq (and speechmos for --plcmos), libspandsp
and the example `conceal` (cargo build --release -p media-core-examples --example conceal).
"""
import argparse, os, subprocess, sys, tempfile, warnings
from concurrent.futures import ProcessPoolExecutor
import numpy as np, soundfile as sf
from common import ROOT, mulaw, read, spandsp, zero_fill

warnings.filterwarnings("ignore")


def mask(n, loss, burst, seed):
    """1 for a lost packet. `burst` is the mean length in packets; 0: independent."""
    rng = np.random.default_rng(seed)
    if burst == 0:
        m = rng.random(n) < loss
    else:
        out, bad = 1 / burst, False
        into = loss * out / (1 - loss)
        m = np.zeros(n, bool)
        for i in range(n):
            bad = rng.random() >= out if bad else rng.random() < into
            m[i] = bad
    m[:10] = False
    return m.astype(int)


def voices(rate):
    s = "speech/"
    out = {"aew": [s + "cmu_arctic_us_aew_a0001.wav", s + "cmu_arctic_us_aew_a0002.wav"],
           "axb": [s + "cmu_arctic_us_axb_a0004.wav", s + "cmu_arctic_us_axb_a0005.wav"],
           "allison": [s + "allison_f_16k.wav"], "p501": ["itu-p501-speech-48k/P501_D_EN_fm_SWB_48k.pcm"]}
    if rate == 8000:
        out["carlo"] = [s + "carlo_m_8k.wav"]
    return {k: np.concatenate([read(f, rate) for f in v]) for k, v in out.items()}


def ours(tool, x, m, rate, ahead):
    with tempfile.TemporaryDirectory() as d:
        a, b, c = (os.path.join(d, n) for n in ("in.wav", "mask.txt", "out.wav"))
        sf.write(a, x, rate, subtype="PCM_16")
        open(b, "w").write("".join(map(str, m)))
        subprocess.run([tool, a, b, c] + (["--ahead"] if ahead else []), check=True)
        return sf.read(c, dtype="int16")[0]


def one(job):
    tool, rate, ref, x, m, systems = job
    y, out = None, {}
    for s in systems:
        if s == "spandsp":
            y = spandsp(x, m, rate // 50)
        elif s == "zero":
            y = zero_fill(x, m, rate // 50)
        else:
            y = ours(tool, x, m, rate, s == "ahead")
        if rate == 8000:
            from pesq import pesq
            out[s] = pesq(8000, ref.astype(float), y.astype(float), "nb")
        else:
            from speechmos import plcmos
            out[s] = plcmos.run(np.clip(y / 32768.0, -1, 1), sr=16000, return_df=False)["plcmos"]
    return out


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--seeds", type=int, default=5)
    a.add_argument("--jobs", type=int, default=2)
    a.add_argument("--plcmos", action="store_true", help="16 kHz, PLCMOS, 5.5/10.5/21.6 %% in bursts")
    a.add_argument("--systems", default="spandsp,conceal,ahead")
    a.add_argument("--voices", action="store_true", help="a row for each voice too")
    a.add_argument("--conceal", default=os.path.join(ROOT, "target", "release", "examples", "conceal"))
    o = a.parse_args()
    rate = 16000 if o.plcmos else 8000
    cells = [(5.5, 2), (10.5, 2), (21.6, 2)] if o.plcmos else [(5, 0), (10, 0), (5, 2), (10, 2)]
    systems = o.systems.split(",")
    jobs, keys = [], []
    for loss, burst in cells:
        for name, ref in voices(rate).items():
            for seed in range(o.seeds):
                m = mask(len(ref) // (rate // 50) + 1, loss / 100, burst, seed + 1)
                jobs.append((o.conceal, rate, ref, mulaw(ref) if rate == 8000 else ref, m, systems))
                keys.append((loss, burst, name))
    with ProcessPoolExecutor(o.jobs) as pool:
        scores = list(pool.map(one, jobs))
    print("| loss | %s |" % " | ".join(systems))
    print("|---|%s" % ("---|" * len(systems)))
    for loss, burst in cells:
        rows = [(k, s) for k, s in zip(keys, scores) if k[:2] == (loss, burst)]
        groups = [None] + (sorted({k[2] for k, _ in rows}) if o.voices else [])
        for g in groups:
            mean = [np.mean([s[n] for k, s in rows if g in (None, k[2])]) for n in systems]
            title = g or "%g %% %s" % (loss, "bursty" if burst else "independent")
            print("| %s | %s |" % (title, " | ".join("%.3f" % v for v in mean)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
