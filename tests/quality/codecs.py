#!/usr/bin/env python3
"""Whole calls (`media-core demo --fast`) in every codec, with packets lost in bursts: PESQ and PLCMOS.

    codecs.py [--markdown] [--codec pcmu,g722,...] [--loss 0,5,10,20] [--burst 2] [--jitter 0] [--seeds 2] [--jobs 2]

Four voices of MEDIA_CORE_SHARED/data (two women, two men, 12 s each), 20 ms packets (ilbc30: 30 ms), the whole road with
the adaptive delay. PESQ-NB at 8 kHz and PESQ-WB at 16 kHz against the original, which is 8 kHz wide for codecs of that
rate; PLCMOS needs no original, and at 8 kHz only its order means something. Mean over voices and seeds.

Needs the meters' packages and target/release/media-core (cargo build --release).
"""
import argparse, os, subprocess, sys, tempfile, warnings
from concurrent.futures import ProcessPoolExecutor
import numpy as np, soundfile as sf
from common import ROOT, meters
from loss import SECONDS, VOICES, numbers, pesq, voice

warnings.filterwarnings("ignore")
WIDE = ("g722", "opus", "l16")
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))


def call(job):
    """One call: PESQ-NB, PESQ-WB of wide codecs, PLCMOS."""
    o, codec, loss, name, seed = job
    from speechmos import plcmos
    rate = 16000 if codec in WIDE else 8000
    speech = voice(name, rate)
    with tempfile.TemporaryDirectory() as d:
        said = os.path.join(d, "said.wav")
        sf.write(said, speech, rate, subtype="PCM_16")
        command = [o.media_core, "demo", "--fast", "--no-srtp", "--codec", codec, "--loss", loss, "--burst", o.burst,
                   "--jitter", o.jitter, "--reorder", 0, "--seconds", SECONDS + 1, "--seed", seed, "--out", d,
                   "--ptime", 30 if codec == "ilbc30" else 20, "--input", said, "--input", said]
        subprocess.run([str(a) for a in command], check=True, stdout=subprocess.DEVNULL)
        heard, heard_rate = sf.read(os.path.join(d, "b-heard.wav"), dtype="int16")
    assert heard_rate == rate
    meter = meters()
    heard = heard[:len(speech) + rate // 2]
    out = {"nb": pesq(meter, rate, speech, heard, "nb")}
    if codec in WIDE:
        out["wb"] = pesq(meter, rate, speech, heard, "wb")
    sound = meter.rs(heard / 32768.0, rate, 16000)
    out["plcmos"] = plcmos.run(np.clip(sound, -1, 1), sr=16000, return_df=False)["plcmos"]
    return out


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--markdown", action="store_true", help="nothing else is printed in any case")
    a.add_argument("--codec", default="pcmu,pcma,ilbc,ilbc30,g722,opus,l16")
    a.add_argument("--loss", default="0,5,10,20", type=numbers, help="percent")
    a.add_argument("--burst", default=2.0, type=float, help="mean length of a loss in packets")
    a.add_argument("--jitter", default=0.0, type=float, help="standard deviation in ms")
    a.add_argument("--seeds", type=int, default=2)
    a.add_argument("--jobs", type=int, default=2)
    a.add_argument("--media-core", default=os.path.join(TARGET, "release", "media-core"))
    o = a.parse_args()
    codecs = o.codec.split(",")
    keys = [(codec, loss, name, 1 + seed) for codec in codecs for loss in o.loss for name in VOICES
            for seed in range(o.seeds if loss else 1)]
    with ProcessPoolExecutor(o.jobs) as pool:
        results = dict(zip(keys, pool.map(call, [(o, *key) for key in keys])))

    def cell(codec, loss):
        mine = [r for k, r in results.items() if k[:2] == (codec, loss)]
        mean = lambda what: "%.2f" % np.mean([r[what] for r in mine])
        return " / ".join([mean("nb")] + ([mean("wb")] if codec in WIDE else []) + [mean("plcmos")])

    print("| PESQ-NB (/ PESQ-WB) / PLCMOS | %s |" % " | ".join("%g %% lost" % loss for loss in o.loss))
    print("|---|%s" % ("---|" * len(o.loss)))
    for codec in codecs:
        print("| %s | %s |" % (codec, " | ".join(cell(codec, loss) for loss in o.loss)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
