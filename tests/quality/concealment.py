#!/usr/bin/env python3
"""Concealment beside spandsp's (G.711 Appendix I class), on the same lost packets: PESQ-NB at 8 kHz, PLCMOS at 16 kHz.

    concealment.py [--seeds 5] [--jobs 2] [--voices] [--plcmos] [--conceal PATH]

Five voices of MEDIA_CORE_SHARED/data, 20 ms packets after G.711 mu-law, 5 and 10 % loss, independent and in bursts
(two-state Gilbert channel, mean burst 2). `conceal` knows nothing of what follows a loss, `ahead` has the packet after
the one being played. With --plcmos: 16 kHz without G.711, where spandsp, made for 8 kHz, finds pitches of 133 to 400 Hz
only. Needs numpy, scipy, soundfile, pesq (and speechmos for --plcmos), libspandsp
and the example `conceal` (cargo build --release -p media-core-examples --example conceal).
"""
import argparse, ctypes, ctypes.util, os, subprocess, sys, tempfile, warnings
from concurrent.futures import ProcessPoolExecutor
import numpy as np, soundfile as sf
from scipy.signal import resample_poly

warnings.filterwarnings("ignore")
HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
SHARED = os.environ.get("MEDIA_CORE_SHARED", os.path.join(os.path.dirname(ROOT), "shared"))


class PlcState(ctypes.Structure):
    """plc_state_t of spandsp/plc.h."""
    _fields_ = [("missing_samples", ctypes.c_int), ("pitch_offset", ctypes.c_int), ("pitch", ctypes.c_int),
                ("pitchbuf", ctypes.c_float * 120), ("history", ctypes.c_int16 * 280), ("buf_ptr", ctypes.c_int)]


def spandsp(x, mask, frame):
    lib = ctypes.CDLL(ctypes.util.find_library("spandsp") or "libspandsp.so.2")
    state = (ctypes.c_char * (ctypes.sizeof(PlcState) + 256))()
    p = ctypes.POINTER(ctypes.c_int16)
    lib.plc_init(state)
    y = x.copy()
    for i in range(len(x) // frame):
        part = np.ascontiguousarray(y[i * frame:(i + 1) * frame])
        (lib.plc_fillin if mask[i] else lib.plc_rx)(state, part.ctypes.data_as(p), frame)
        y[i * frame:(i + 1) * frame] = part
    return y


def mulaw(x):
    """G.711 mu-law and back."""
    v = np.clip(np.abs(x.astype(int)), 0, 32635) + 132
    e = np.floor(np.log2(v)).astype(int) - 7
    m = (v >> (e + 3)) & 15
    y = (((m << 3) + 132) << e) - 132
    return np.where(x < 0, -y, y).astype(np.int16)


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


def read(name, rate):
    path = os.path.join(SHARED, "data", name)
    if name.endswith(".pcm"):
        x, r = np.fromfile(path, "<i2") / 32768.0, 48000
    else:
        x, r = sf.read(path)
    if r != rate:
        x = resample_poly(x, rate // np.gcd(rate, r), r // np.gcd(rate, r))
    return np.clip(np.round(x * 32767), -32768, 32767).astype(np.int16)


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
            y = x * (1 - np.repeat(np.append(m, 0), rate // 50)[:len(x)]).astype(np.int16)
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
