#!/usr/bin/env python3
"""Speech through Opus with packets lost: libopus' plain concealment, in-band FEC, concealment by a neural net, DRED.

    opus.py [--markdown] [--loss 5,10,20] [--burst 2] [--bitrate 32000] [--ahead 5] [--rate 16000] [--seeds 5] [--jobs 2]

Four voices of MEDIA_CORE_SHARED/data (two women, two men, 12 s each), 20 ms packets, the same losses and the same bit
rate in all for every method: what redundancy takes, the sound itself lacks. A lost packet may be recovered from any of
the next --ahead packets, as in a receiver that plays so many packets late. PESQ-WB and PESQ-NB against the original,
PLCMOS without it; mean over voices and seeds.

Needs the meters' packages and cargo build --release -p media-core-tests --features opus-dred --bin opus_loss.
"""
import argparse, json, os, subprocess, sys, tempfile, warnings
from concurrent.futures import ProcessPoolExecutor
import numpy as np, soundfile as sf
from common import ROOT, meters
from loss import VOICES, numbers, voice

warnings.filterwarnings("ignore")
METHODS = {"plain": "concealment", "fec": "in-band FEC", "deep": "deep concealment", "dred": "DRED",
           "fec+dred": "FEC and DRED"}
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))


def run(job):
    """One file by one method: scores, and what was sent."""
    o, method, loss, name, seed = job
    from pesq import pesq
    from speechmos import plcmos
    speech = voice(name, o.rate)
    with tempfile.TemporaryDirectory() as d:
        said, heard = os.path.join(d, "said.wav"), os.path.join(d, "heard.wav")
        sf.write(said, speech, o.rate, subtype="PCM_16")
        settings = {"method": method, "loss": loss, "burst": o.burst, "seed": seed, "bitrate": o.bitrate,
                    "ahead": o.ahead}
        command = [o.program, said, heard] + ["%s=%s" % s for s in settings.items()]
        out = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        x, _ = sf.read(heard, dtype="int16")
    meter = meters()
    ref, deg = speech / 32768.0, x / 32768.0
    wide, degraded = meter.rs(ref, o.rate, 16000), meter.rs(deg, o.rate, 16000)
    out["wb"] = pesq(16000, wide, degraded, "wb")
    out["nb"] = pesq(8000, meter.rs(ref, o.rate, 8000), meter.rs(deg, o.rate, 8000), "nb")
    out["plcmos"] = plcmos.run(np.clip(degraded, -1, 1), sr=16000, return_df=False)["plcmos"]
    return out


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--markdown", action="store_true", help="nothing else is printed in any case")
    a.add_argument("--methods", default="plain,fec,deep,dred", help="fec+dred shares the bits: from 40 kbit/s on")
    a.add_argument("--loss", default="5,10,20", type=numbers, help="percent")
    a.add_argument("--burst", default=2.0, type=float, help="mean length of a loss in packets")
    a.add_argument("--bitrate", default=32000, type=int, help="in all, bit/s")
    a.add_argument("--ahead", default=5, type=int, help="packets that may be waited for")
    a.add_argument("--rate", default=16000, type=int, help="of the sound, Hz")
    a.add_argument("--seeds", type=int, default=5)
    a.add_argument("--jobs", type=int, default=2)
    a.add_argument("--program", default=os.path.join(TARGET, "release", "opus_loss"))
    o = a.parse_args()
    methods = o.methods.split(",")
    keys = [(method, loss, name, seed) for loss in o.loss for method in methods for name in VOICES
            for seed in range(1, o.seeds + 1)]
    with ProcessPoolExecutor(o.jobs) as pool:
        results = dict(zip(keys, pool.map(run, [(o, *key) for key in keys])))

    def mean(what, method, loss):
        return float(np.mean([r[what] for k, r in results.items() if k[:2] == (method, loss)]))

    loss_cells = ["%g %% lost" % loss for loss in o.loss]
    print("| Opus, %d kHz, %g kbit/s in all, bursts of %g: PESQ-WB / PESQ-NB / PLCMOS | %s | recovered | sent |"
          % (o.rate // 1000, o.bitrate / 1000, o.burst, " | ".join(loss_cells)))
    print("|---|%s---|---|" % ("---|" * len(o.loss)))
    for method in methods:
        cells = ["%.2f / %.2f / %.2f" % tuple(mean(what, method, loss) for what in ("wb", "nb", "plcmos"))
                 for loss in o.loss]
        lost = sum(r["lost"] for k, r in results.items() if k[0] == method)
        recovered = sum(r["recovered"] for k, r in results.items() if k[0] == method)
        kbps = np.mean([r["kbps"] for k, r in results.items() if k[0] == method])
        print("| %s | %s | %.0f %% | %.1f kbit/s |" % (METHODS[method], " | ".join(cells), 100 * recovered / lost, kbps))


if __name__ == "__main__":
    sys.exit(main())
