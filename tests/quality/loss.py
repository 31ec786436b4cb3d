#!/usr/bin/env python3
"""Whole calls through a bad network (`media-core demo --fast`) beside spandsp's concealment, G.711 Appendix I class.

    loss.py [--markdown] [--codec pcmu,opus] [--loss 5,10] [--burst 1,2] [--jitter 30] [--seeds 5] [--jobs 2]

Four voices of MEDIA_CORE_SHARED/data (two women, two men, 12 s each), 20 ms packets. Ours is what B heard of A, with
everything the receiver did to it: late packets, stretching, concealment. The reference has the same packets lost in
the network, none of them late, and a fixed delay: mu-law, and spandsp for the missing frames. PESQ against the
original, aligned once for the whole call; mean over voices and seeds. Delay: from sending to playing, the network's
20 ms and jitter included. Made up is the sound that no packet held: for lost ones, and while waiting for late ones,
after which the delay is longer; a packet that the receiver waited for is not counted late.

Needs the meters' packages, libspandsp and target/release/media-core (cargo build --release).
"""
import argparse, json, os, subprocess, sys, tempfile, warnings
from concurrent.futures import ProcessPoolExecutor
import numpy as np, soundfile as sf
from common import ROOT, meters, mulaw, read, spandsp, zero_fill

warnings.filterwarnings("ignore")
SECONDS = 12
ARCTIC, P501 = "speech/cmu_arctic_us_%s.wav", "itu-p501-speech-48k/P501_D_%s_48k.pcm"
VOICES = {  # the second half of each P.501 file is the man
    "axb (f)": [(ARCTIC % "axb_a0004", None), (ARCTIC % "axb_a0005", None)],
    "allison (f)": [("speech/allison_f_16k.wav", None)],
    "aew (m)": [(ARCTIC % "aew_a0001", None), (ARCTIC % "aew_a0002", None)],
    "P.501 (m)": [(P501 % "EN_fm_SWB", (3, 6)), (P501 % "AM_fm_FB", (3, 6))],
}


def voice(name, rate):
    """The voice's utterances, one after the other and from the start again until they fill SECONDS."""
    x = np.concatenate([read(file, rate, part) for file, part in VOICES[name]])
    return np.resize(x, SECONDS * rate)


def pesq(meter, rate, ref, heard, mode):
    """`heard` has the playout delay in front; the reference decides how much of it counts."""
    from pesq import pesq as score
    r, d, _ = meter.xalign(ref / 32768.0, heard / 32768.0, rate)
    if mode == "nb":
        r, d, rate = meter.rs(r, rate, 8000), meter.rs(d, rate, 8000), 8000
    n = min(len(r), len(d))
    return score(rate, r[:n], d[:n], mode)


def call(job):
    """One call: what PESQ, loss and delay came of it."""
    o, codec, loss, burst, jitter, name, seed = job
    rate = 16000 if codec == "opus" else 8000
    speech = voice(name, rate)
    names = list(VOICES)
    other = names[(names.index(name) + 1) % len(names)]
    with tempfile.TemporaryDirectory() as d:
        files = [os.path.join(d, "a.wav"), os.path.join(d, "b.wav")]
        for file, x in zip(files, (speech, voice(other, rate))):
            sf.write(file, x, rate, subtype="PCM_16")
        command = [o.media_core, "demo", "--fast", "--no-srtp", "--codec", codec, "--loss", loss, "--burst", burst,
                   "--jitter", jitter, "--reorder", o.reorder, "--duplicate", 0, "--seconds", SECONDS + 1,
                   "--seed", seed, "--out", d, "--input", files[0], "--input", files[1]]
        subprocess.run([str(a) for a in command], check=True, stdout=subprocess.DEVNULL)
        report = json.load(open(os.path.join(d, "report.json")))
        heard, heard_rate = sf.read(os.path.join(d, "b-heard.wav"), dtype="int16")
        assert heard_rate == rate
        if o.keep:
            base = os.path.join(o.keep, "-".join(map(str, (codec, loss, burst, jitter, name.split()[0], seed))))
            sf.write(base + ".wav", heard, rate, subtype="PCM_16")
            sf.write(base + "-said.wav", speech, rate, subtype="PCM_16")
            json.dump(report, open(base + ".json", "w"))
    side = next(s for s in report["sides"] if s["name"] == "b")
    sent = {p["seq"]: p["fate"] for p in sorted(side["packets"], key=lambda p: p["fate"] == "duplicate", reverse=True)}
    frame = rate // 50
    frames = len(speech) // frame
    first = min(sent)
    fates = [sent.get(first + k, "missing") for k in range(frames)]
    assert "missing" not in fates
    mask = np.array([fate == "lost_in_network" for fate in fates], int)
    # Delay and shares are those of the speech, not of the second that follows it.
    end_ms = SECONDS * 1000
    delays = [row["playout_ms"] for row in side["delays"] if row["at_ms"] < end_ms]
    made = sum(row["duration_ms"] for row in side["play"]
               if row["cause"] in ("concealed", "recovered") and row["at_ms"] < end_ms)
    statistics = side["statistics"]
    meter = meters()
    # The delay is one of at most 500 ms: of the last of the heard sound nothing is compared.
    ours = heard[:len(speech) + rate // 2]
    out = {"ours": pesq(meter, rate, speech, ours, "nb"), "lost": 100 * mask.mean(),
           "late": 100 * np.mean([fate in ("late", "discarded") for fate in fates]),
           "delay": np.mean(delays), "made": 100 * made / end_ms, "concealed": statistics["concealed_ms"], "recovered": statistics["recovered_ms"],
           "stretched": statistics["stretched_in_ms"] + statistics["stretched_out_ms"]}
    if codec == "opus":
        out["wb"] = pesq(meter, rate, speech, ours, "wb")
    else:
        coded = mulaw(speech)
        out["spandsp"] = pesq(meter, rate, speech, spandsp(coded, mask, frame), "nb")
        out["zero"] = pesq(meter, rate, speech, zero_fill(coded, mask, frame), "nb")
    return out


def numbers(text):
    return [float(x) for x in text.split(",")]


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--markdown", action="store_true", help="the table of BENCHMARKS.md: a row a condition")
    a.add_argument("--codec", default="pcmu,opus", help="with --markdown it must be both")
    a.add_argument("--loss", default="5,10", type=numbers, help="percent")
    a.add_argument("--burst", default="1,2", type=numbers, help="mean length of a loss in packets")
    a.add_argument("--jitter", default="30", type=numbers, help="standard deviation in ms")
    a.add_argument("--reorder", default=0, type=float, help="percent")
    a.add_argument("--seeds", type=int, default=5)
    a.add_argument("--first-seed", type=int, default=1)
    a.add_argument("--jobs", type=int, default=2)
    a.add_argument("--voices", action="store_true", help="a row for each voice too")
    a.add_argument("--keep", metavar="DIR", help="keep sound and reports here")
    a.add_argument("--media-core", default=os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "release", "media-core"))
    o = a.parse_args()
    if o.keep:
        os.makedirs(o.keep, exist_ok=True)
    cells = [(loss, burst, jitter) for jitter in o.jitter for burst in o.burst for loss in o.loss]
    codecs = o.codec.split(",")
    keys = [(codec, *cell, name, o.first_seed + seed) for cell in cells for codec in codecs for name in VOICES
            for seed in range(o.seeds)]
    with ProcessPoolExecutor(o.jobs) as pool:
        results = dict(zip(keys, pool.map(call, [(o, *key) for key in keys])))

    def mean(what, codec, cell, name=None):
        values = [r[what] for k, r in results.items() if k[0] == codec and k[1:4] == cell and name in (None, k[4])]
        return float(np.mean(values))

    def condition(cell):
        loss, burst, jitter = cell
        return "%g %% %s, jitter %g ms" % (loss, "independent" if burst <= 1 else "in bursts of %g" % burst, jitter)

    if o.markdown:
        print("| Packets lost | zero fill | G.711 App. I (spandsp) | PCMU | Opus | Opus, PESQ-WB | lost | made up, PCMU | delay, PCMU |")
        print("|---|---|---|---|---|---|---|---|---|")
        for cell in cells:
            scores = [mean("zero", "pcmu", cell), mean("spandsp", "pcmu", cell), mean("ours", "pcmu", cell),
                      mean("ours", "opus", cell), mean("wb", "opus", cell)]
            shares = ["%.1f %%" % mean(what, "pcmu", cell) for what in ("lost", "made")]
            print("| %s | %s | %.0f ms |" % (condition(cell), " | ".join(["%.2f" % s for s in scores] + shares),
                                           mean("delay", "pcmu", cell)))
        return
    for codec in codecs:
        columns = ["ours"] + (["wb"] if codec == "opus" else ["spandsp", "zero"])
        columns += ["lost", "late", "delay", "concealed", "recovered", "stretched"]
        print("\n| %s | %s |" % (codec, " | ".join(columns)))
        print("|---|%s" % ("---|" * len(columns)))
        for cell in cells:
            for name in [None] + (list(VOICES) if o.voices else []):
                row = ["%.3f" % mean(c, codec, cell, name) for c in columns]
                print("| %s | %s |" % (name or condition(cell), " | ".join(row)), flush=True)


if __name__ == "__main__":
    sys.exit(main())
