#!/usr/bin/env python3
"""neteq.py [--markdown] [--scores] [--codec pcmu,opus] [--only NAME,...] [--grid] [--jobs 2] [--strategy NAME]

Our receiver beside WebRTC's NetEq on the same packets. The traces are those of MEDIA_CORE_SHARED/data/jitter/csv, those
that MEDIA_CORE_SHARED/tools/neteq/make_inputs.py makes, and with --grid a seeded grid of loss, jitter, reordering and
drift. Ours is `media-core replay --trace`; NetEq is MEDIA_CORE_SHARED/tools/neteq/neteq_ref.py --engine offline (Debian's
libtgowt), and for the traces that NETEQ.md lists also the Chromium of that page.

Delay is time in the buffer, from a packet's arrival to its turn, weighted by samples; p95 is that of the seconds.
Concealed and stretched are shares of what was played. --scores adds PESQ-NB (the mean of 8 s windows, each aligned by
itself) and PLCMOS. Below 0 in the last column is a figure by which we lose to the better of the two NetEqs.

NetEq's results are kept in ~/.cache/media-core-neteq: they never change for the same packets. Needs the meters'
packages, g++ libtgowt-dev libabsl-dev libopus-dev, and target/release/media-core (cargo build --release).
"""
import argparse, hashlib, importlib.util, json, os, shutil, subprocess, sys, tempfile, warnings
from concurrent.futures import ProcessPoolExecutor
import numpy as np
from common import ROOT, SHARED

warnings.filterwarnings("ignore")
CACHE = os.path.expanduser("~/.cache/media-core-neteq")
TOOLS = os.path.join(CACHE, "tools")
SPEECH = ["speech/cmu_arctic_us_aew_a0001.wav", "speech/cmu_arctic_us_axb_a0004.wav"]

# Chromium 156 on these traces: mean and p95 delay in ms, concealed and stretched in percent, PESQ-NB of 8 s windows,
# PLCMOS; the better end of the ranges of NETEQ.md.
CHROMIUM = {
    ("clean", "pcmu"): (30, 30, 0, .10, 4.35, 3.72), ("clean", "opus"): (21, 20, 0, .22, 4.30, 3.68),
    ("loss05", "pcmu"): (21, 30, 5.5, .27, 3.40, 3.46), ("loss05", "opus"): (20, 30, 5.4, .36, 3.00, 3.29),
    ("loss10", "pcmu"): (20, 30, 9.8, .43, 2.83, 3.27), ("loss10", "opus"): (19, 25, 9.5, .82, 2.44, 3.34),
    ("gamma60", "pcmu"): (175, 200, .58, .32, 4.18, 3.71), ("gamma60", "opus"): (170, 199, .60, .27, 4.06, 3.57),
    ("webrtc-stereo_pcmu_jitter", "pcmu"): (75, 105, 2.70, .19, 3.69, 3.62),
    ("webrtc-stereo_pcmu_jitter", "opus"): (74, 99, 2.64, .24, 3.53, 3.71),
    ("rtp-534late-24loss-7000total", "pcmu"): (797, 1082, 1.48, .86, 3.30, 3.59),
    ("rtp-534late-24loss-7000total", "opus"): (796, 1082, 1.42, .76, 3.50, 3.61),
    ("opus-poor-quality", "pcmu"): (1059, 1602, 2.9, 3.94, 2.39, 3.49),
    ("opus-poor-quality", "opus"): (1050, 1602, 3.0, 4.02, 2.35, 3.63),
    ("rtp-120late-1000total", "pcmu"): (787, 1112, 4.23, .89, 2.90, 3.45),
    ("rtp-120late-1000total", "opus"): (783, 1102, 4.29, 1.07, 2.84, 3.81),
}
KEYS = ("mean", "p95", "concealed", "stretched", "pesq", "plcmos")


def module(path):
    spec = importlib.util.spec_from_file_location(os.path.basename(path)[:-3], path)
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    return loaded


def grid(folder):
    """Seeded networks of a minute: (name, what happens to each packet). Returns their files."""
    n, files = 3000, []
    sent = np.arange(n) * 20.0

    def write(name, seed, loss=0.0, burst=1.0, jitter="none", ms=0.0, order=False, ppm=0.0):
        random = np.random.default_rng(seed)
        delay = {
            "none": lambda: np.zeros(n),
            "normal": lambda: np.maximum(random.normal(3 * ms, ms, n), 0),
            "gamma": lambda: random.gamma(2.0, ms / 2 ** 0.5, n),
            # A tenth of a second or more every few seconds, from which the queue then drains.
            "spiky": lambda: np.where(random.random(n) < .005, random.uniform(.5, 2.5, n) * ms, 0) + random.gamma(2.0, 3.0, n),
        }[jitter]()
        leave = 1 / burst
        enter = leave * loss / (1 - loss)
        keep, bad = np.ones(n, bool), False
        for k, dice in enumerate(random.random(n)):
            bad = dice < loss if burst <= 1 else (dice >= leave if bad else dice < enter)
            keep[k] = not bad
        keep[0] = True
        arrival = sent * (1 + ppm * 1e-6) + delay
        if order or jitter == "spiky":
            arrival = np.maximum.accumulate(arrival)
        rows = sorted((arrival[k], k) for k in range(n) if keep[k])
        path = os.path.join(folder, name + ".csv")
        with open(path, "w") as f:
            f.write("arrival_ms,seq,rtp_ts,pt,payload_bytes\n")
            f.writelines("%.3f,%d,%d,96,0\n" % (a - rows[0][0], k, k * 960) for a, k in rows)
        files.append(path)

    for k, loss in enumerate((.01, .05, .1, .2, .3)):
        write("loss%02d" % round(100 * loss), 100 + k, loss)
        write("burst%02d" % round(100 * loss), 110 + k, loss, 3)
    for k, ms in enumerate((5, 15, 30, 60, 100)):
        write("normal%03d" % ms, 120 + k, jitter="normal", ms=ms)
        write("normal%03d-in-order" % ms, 130 + k, jitter="normal", ms=ms, order=True)
    for k, ms in enumerate((10, 30, 100, 300)):
        write("gamma%03d-in-order" % ms, 140 + k, jitter="gamma", ms=ms, order=True)
    for k, ms in enumerate((10, 30, 100)):
        write("gamma%03d" % ms, 150 + k, jitter="gamma", ms=ms)
    for k, ms in enumerate((50, 100, 300)):
        write("spiky%03d" % ms, 160 + k, jitter="spiky", ms=ms)
    for k, ppm in enumerate((-500, 500)):
        write("drift%+d" % ppm, 170 + k, ppm=ppm)
        write("drift%+d-gamma030-burst05" % ppm, 175 + k, .05, 2, "gamma", 30, True, ppm)
    write("mixed-loss10-gamma060", 180, .1, 2, "gamma", 60)
    return files


def inputs(o):
    """The traces and the speech, below the cache."""
    os.makedirs(TOOLS, exist_ok=True)
    for name in os.listdir(os.path.join(SHARED, "tools", "neteq")):
        source, copy = os.path.join(SHARED, "tools", "neteq", name), os.path.join(TOOLS, name)
        if os.path.isfile(source) and not os.path.exists(copy):
            shutil.copyfile(source, copy)
    made = os.path.join(CACHE, "inputs")
    if not os.path.exists(os.path.join(made, "speech.wav")):
        subprocess.run([sys.executable, os.path.join(TOOLS, "make_inputs.py"), made]
                       + [os.path.join(SHARED, "data", s) for s in SPEECH], check=True)
    module(os.path.join(TOOLS, "neteq_ref.py")).build_offline()
    csv = os.path.join(SHARED, "data", "jitter", "csv")
    files = [os.path.join(made, f) for f in ("clean.csv", "loss05.csv", "loss10.csv", "gamma60.csv")]
    files += sorted(os.path.join(csv, f) for f in os.listdir(csv))
    if o.grid:
        folder = os.path.join(CACHE, "grid")
        os.makedirs(folder, exist_ok=True)
        files = grid(folder) if o.grid == "only" else files + grid(folder)
    return files, os.path.join(made, "speech.wav")


def score(ref, heard):
    tools = os.path.join(SHARED, "tools", "quality.py")
    s = module(os.path.join(TOOLS, "score.py")).one((tools, ref, heard))
    return {"pesq": s["pesq8_nb"], "plcmos": s["plcmos"]}


def neteq(trace, speech, codec, scores):
    key = hashlib.sha256(open(trace, "rb").read() + open(speech, "rb").read() + codec.encode()).hexdigest()[:20]
    kept = os.path.join(CACHE, "results", key)
    os.makedirs(os.path.dirname(kept), exist_ok=True)
    ref, heard = kept + "-ref.wav", kept + ".wav"
    if not os.path.exists(kept + ".json") or not os.path.exists(ref):
        subprocess.run([sys.executable, os.path.join(TOOLS, "neteq_ref.py"), trace, speech, heard, "--codec", codec,
                        "--engine", "offline", "--ref", ref], check=True, stdout=subprocess.DEVNULL)
    r = json.load(open(kept + ".json"))
    if scores and "pesq" not in r:
        r.update(score(ref, heard))
        json.dump(r, open(kept + ".json", "w"))
    out = {"mean": r["mean_delay_ms"], "p95": r["p95_delay_ms"], "concealed": r["concealed_percent"],
           "stretched": r["stretched_percent"], "pesq": r.get("pesq"), "plcmos": r.get("plcmos")}
    return out, ref


def ours(o, trace, speech, codec, ref):
    with tempfile.TemporaryDirectory() as d:
        command = [o.media_core, "replay", "--trace", trace, "--input", speech, "--codec", codec, "--out", d] + o.replay
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        r = json.load(open(os.path.join(d, "report.json")))["streams"][0]
        out = {"mean": r["mean_buffer_delay_ms"], "p95": r["p95_buffer_delay_ms"],
               "concealed": 100 * r["concealed_ratio"], "stretched": 100 * r["stretched_ratio"],
               "playout": r["mean_playout_delay_ms"], "late": r["late"], "pesq": None, "plcmos": None}
        if o.scores:
            out.update(score(ref, os.path.join(d, "stream-1.wav")))
        if o.keep:
            name = os.path.join(o.keep, "%s-%s" % (os.path.basename(trace)[:-4], codec))
            shutil.copyfile(os.path.join(d, "stream-1.wav"), name + ".wav")
    return out


def one(job):
    o, trace, speech, codec = job
    theirs, ref = neteq(trace, speech, codec, o.scores)
    return theirs, ours(o, trace, speech, codec, ref)


def verdict(mine, others):
    """Where we lose to the better of them in each figure, and by how much."""
    worse = []
    for key, slack in (("mean", .5), ("p95", .5), ("concealed", .005), ("pesq", 0.0)):
        values = [x[key] for x in others if x[key] is not None]
        if mine[key] is None or not values:
            continue
        by = max(values) - mine[key] if key == "pesq" else mine[key] - min(values)
        if by > slack:
            worse.append("%s by %.2f" % (key, by))
    return "; ".join(worse) or "-"


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--markdown", action="store_true")
    a.add_argument("--scores", action="store_true", help="PESQ and PLCMOS too: 15 s a trace")
    a.add_argument("--codec", default="pcmu")
    a.add_argument("--only", help="traces whose names contain one of these")
    a.add_argument("--grid", nargs="?", const="too", choices=("too", "only"), help="the seeded grid too, or only it")
    a.add_argument("--jobs", type=int, default=2)
    a.add_argument("--keep", metavar="DIR", help="keep our sound here")
    a.add_argument("--media-core", default=os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "release", "media-core"))
    a.add_argument("replay", nargs="*", metavar="-- OPTIONS", help="more options of media-core replay")
    o = a.parse_args()
    if o.keep:
        os.makedirs(o.keep, exist_ok=True)
    files, speech = inputs(o)
    if o.only:
        files = [f for f in files if any(part in os.path.basename(f) for part in o.only.split(","))]
    jobs = [(o, f, speech, codec) for codec in o.codec.split(",") for f in files]
    cell = lambda r: " / ".join("-" if r[k] is None else "%.*f" % (d, r[k])
                               for k, d in zip(KEYS, (0, 0, 2, 2, 2, 2)))
    print("| trace, codec | ours: mean / p95 ms, concealed / stretched %, PESQ, PLCMOS | NetEq 2023 | Chromium 156 | worse than the better |")
    print("|---|---|---|---|---|")
    with ProcessPoolExecutor(o.jobs) as pool:
        for (_, f, _, codec), (theirs, mine) in zip(jobs, pool.map(one, jobs)):
            name = os.path.basename(f)[:-4]
            chromium = None if "grid" in os.path.dirname(f) else CHROMIUM.get((name, codec))
            chromium = dict(zip(KEYS, chromium)) if chromium else None
            others = [theirs] + ([chromium] if chromium else [])
            print("| %s, %s | %s | %s | %s | %s |" % (name, codec, cell(mine), cell(theirs),
                                                 cell(chromium) if chromium else "", verdict(mine, others)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
