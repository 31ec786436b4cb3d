#!/usr/bin/env python3
"""Calls that follow the network (`--adapt`) beside calls of fixed settings, through a narrow link in virtual time.

    adapt.py [--links 24,34,64,200] [--queues 50,200,1000] [--losses 0,5,20] [--bulk 0,1] [--voices 2] [--jobs 2]
    adapt.py --rates [--dred 100]   what Opus' bit rates and its redundancy cost and give, for session/adapter.rs
    adapt.py --codecs [--dred 100]  what is chosen by codec where 0 to 20 % of the packets are lost at random and there is room

All of them print a table of BENCHMARKS.md. --dred needs a program that was built with --features opus-dred.

Opus, mono at 16 kHz; four voices of MEDIA_CORE_SHARED/data, 12 s each, said again and again for 60 s, of which the time from second
12 on is scored, in parts of 12 s. Adapting by feedback on packets and by reports alone; fixed settings are bit rate, packet length and
expected loss. PESQ-WB against the original, delay from sending to playing with the network's 20 ms, and R: PESQ's score on the scale
of ITU-T G.107, less what the delay costs there. The best fixed setting of a cell is the one with the highest R there, as if one knew.

Needs the meters' packages and target/release/adapt (cargo build --release -p media-core-tests --bin adapt).
"""
import argparse, json, os, subprocess, sys, tempfile, warnings
from concurrent.futures import ProcessPoolExecutor
import numpy as np, soundfile as sf
from common import ROOT, meters
from loss import SECONDS, VOICES, numbers, pesq, voice

warnings.filterwarnings("ignore")
RATE = 16000
CALL_SECONDS = 60
ADAPTING = ["packets", "reports"]
OPUS = ("opus", 0, 0)  # codec, payloads that are repeated at most, ms of DRED
FIXED = ["12000/60/0", "16000/40/0", "24000/20/0", "24000/20/10", "32000/20/0", "48000/20/20"]


def rating(mos):
    """R of a MOS (ITU-T G.107, Annex B)."""
    ratings = np.arange(0, 93.3, 0.1)
    scores = 1 + 0.035 * ratings + ratings * (ratings - 60) * (100 - ratings) * 7e-6
    low = int(np.argmin(scores[:300]))  # the curve dips below 1 for the lowest ratings
    return float(np.interp(mos, scores[low:], ratings[low:]))


def delay_impairment(ms):
    """Idd of ITU-T G.107, 7.4."""
    if ms <= 100:
        return 0.0
    x = np.log2(ms / 100)
    return float(25 * ((1 + x ** 6) ** (1 / 6) - 3 * (1 + (x / 3) ** 6) ** (1 / 6) + 2))


def call(job):
    """One call: what was sent, and PESQ, delay and R of what was heard. PESQ is P.862.2, or P.862.1 of a codec at 8 kHz."""
    o, name, setting, cell, (codec, copies, dred) = job
    speech = voice(name, RATE)
    link, queue, loss, bulk = cell
    with tempfile.TemporaryDirectory() as d:
        said, heard = os.path.join(d, "said.wav"), os.path.join(d, "heard.wav")
        sf.write(said, speech, RATE, subtype="PCM_16")
        seed = 1 + list(VOICES).index(name)
        command = [o.program, said, heard, "set=" + setting, "link=%d" % (link * 1000), "queue=%g" % queue, "loss=%g" % loss,
                   "bulk=%g" % bulk, "seconds=%d" % CALL_SECONDS, "seed=%d" % seed, "codec=" + codec, "copies=%d" % copies, "dred=%d" % dred]
        told = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
        x, rate = sf.read(heard, dtype="int16")
    meter, scores = meters(), []
    speech = meter.rs(speech, RATE, rate) if rate != RATE else speech
    delay = int((told["playout_ms"] or 0) * rate / 1000)
    for n in range(1, CALL_SECONDS // SECONDS - 1):
        begin = n * SECONDS * rate + max(0, delay - rate // 4)
        part = x[begin:begin + SECONDS * rate + rate // 2]
        try:
            scores.append(pesq(meter, rate, speech, part, "wb" if rate == RATE else "nb"))
        except Exception as error:  # nothing was heard
            if "utterances" not in str(error).lower():
                raise
            scores.append(1.0)
    told["pesq"] = float(np.mean(scores))
    told["delay_ms"] = (told["playout_ms"] or 0) + 20 + 20  # the network's own, and a packet
    told["r"] = max(0.0, rating(told["pesq"]) - delay_impairment(told["delay_ms"]))
    return told


def rates(o):
    """Opus alone, over a link that is wide enough: PESQ-WB and R by bit rate, and what redundancy keeps and recovers."""
    wide = (10_000, 200)
    settings = [("%d/20/0" % bps, 0) for bps in (8000, 10000, 12000, 14000, 16000, 18000, 20000, 24000, 32000, 48000, 64000)]
    settings += [("%d/20/%d" % (bps, expected), loss) for bps in (16000, 18000, 20000, 24000, 32000, 48000) for loss in (5, 10, 20)
                 for expected in sorted({0, 10, loss})]
    if o.dred:
        settings = [("%d/20/%d" % (bps, loss), loss) for bps in (16000, 24000, 32000, 48000) for loss in (5, 10, 20)]
        settings += [("%d/20/10" % bps, 0) for bps in (16000, 24000, 32000, 48000)]
    jobs = [(o, name, setting, (*wide, loss, 0), ("opus", 0, o.dred)) for setting, loss in settings for name in VOICES]
    with ProcessPoolExecutor(o.jobs) as pool:
        told = list(pool.map(call, jobs))
    print("| bit rate, packet, expected loss | loss | sent, kbit/s | PESQ-WB | R | made up |")
    print("|---|---|---|---|---|---|")
    for n, (setting, loss) in enumerate(settings):
        rows = told[n * len(VOICES):(n + 1) * len(VOICES)]
        mean = {what: float(np.mean([row[what] for row in rows])) for what in ("payload_bps", "pesq", "concealed_percent")}
        print("| %s | %g %% | %.1f | %.2f | %.1f | %.1f %% |" % (setting, loss, mean["payload_bps"] / 1000, mean["pesq"],
              float(np.mean([rating(row["pesq"]) for row in rows])), mean["concealed_percent"]), flush=True)


def codecs(o):
    """What adapting calls choose by codec where packets are lost and there is room, beside calls that choose nothing."""
    wide, names = (10_000, 200), list(VOICES)[:o.voices]
    rows = [OPUS, ("opus", 2, 0), ("g722", 2, 0), ("pcmu", 2, 0)]
    if o.dred:  # this build conceals in another way, too
        rows = [OPUS, ("opus", 0, o.dred)]
    cells = [(row, loss) for row in rows for loss in (0, 5, 10, 20)]
    jobs = []
    for row, loss in cells:
        for name in names:
            jobs.append((o, name, "packets", (*wide, loss, 0), row))
            jobs.append((o, name, "32000/20/0", (*wide, loss, 0), (row[0], 0, 0)))
    with ProcessPoolExecutor(o.jobs) as pool:
        told = list(pool.map(call, jobs))
    print("| codec | lost | chosen, of the last call | sent, kbit/s | made up | PESQ | made up and PESQ without |")
    print("|---|---|---|---|---|---|---|")
    for n, ((codec, copies, dred), loss) in enumerate(cells):
        part = told[n * 2 * len(names):(n + 1) * 2 * len(names)]
        adapting, fixed = part[::2], part[1::2]
        mean = lambda calls, what: float(np.mean([row[what] for row in calls]))
        chosen, words = adapting[-1]["chosen"], []
        if chosen["bit_rate_bps"]:
            words.append("%g kbit/s" % (chosen["bit_rate_bps"] / 1000))
        words.append("%d ms" % chosen["packet_ms"])
        if chosen["expected_loss_percent"]:
            words.append("%s for %d %%" % ("DRED" if dred else "FEC", chosen["expected_loss_percent"]))
        if chosen["copies"]:
            words.append("%d repeated" % chosen["copies"])
        name = codec + (", RFC 2198" if copies else "") + (", DRED of %d ms" % dred if dred else "")
        print("| %s | %g %% | %s | %.1f | %.1f %% | %.2f | %.1f %%, %.2f |" % (
            name, loss, ", ".join(words), mean(adapting, "payload_bps") / 1000, mean(adapting, "concealed_percent"),
            mean(adapting, "pesq"), mean(fixed, "concealed_percent"), mean(fixed, "pesq")), flush=True)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--rates", action="store_true", help="Opus' bit rates instead")
    a.add_argument("--codecs", action="store_true", help="what is chosen by codec instead")
    a.add_argument("--dred", type=int, default=0, help="Opus' Deep Redundancy of so many ms")
    a.add_argument("--links", default="24,34,64,200", type=numbers, help="kbit/s")
    a.add_argument("--queues", default="50,200,1000", type=numbers, help="ms")
    a.add_argument("--losses", default="0,5,20", type=numbers, help="percent")
    a.add_argument("--bulk", default="0,1", type=numbers, help="1: beside a bulk transfer")
    a.add_argument("--voices", type=int, default=len(VOICES), help="how many of the voices")
    a.add_argument("--jobs", type=int, default=2)
    target = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
    a.add_argument("--program", default=os.path.join(target, "release", "adapt"))
    o = a.parse_args()
    if o.rates:
        return rates(o)
    if o.codecs:
        return codecs(o)
    names = list(VOICES)[:o.voices]
    settings = ADAPTING + FIXED
    # Beside a bulk transfer a narrow link has no room for anybody.
    cells = [(link, queue, loss, bulk) for bulk in o.bulk for link in o.links for queue in o.queues for loss in o.losses
             if not bulk or (link >= 200 and loss == 0)]
    keys = [(name, setting, cell) for cell in cells for setting in settings for name in names]
    with ProcessPoolExecutor(o.jobs) as pool:
        results = dict(zip(keys, pool.map(call, [(o, *key, OPUS) for key in keys])))

    def mean(what, setting, cell):
        return float(np.mean([results[name, setting, cell][what] for name in names]))

    def figures(setting, cell):
        return "%.2f / %.0f / %.0f" % (mean("pesq", setting, cell), mean("delay_ms", setting, cell), mean("r", setting, cell))

    print("| link, queue, loss | by feedback: PESQ-WB / delay ms / R | sent, kbit/s; lost | by reports | the best fixed | it is |")
    print("|---|---|---|---|---|---|")
    for cell in cells:
        link, queue, loss, bulk = cell
        best = max(FIXED, key=lambda setting: mean("r", setting, cell))
        print("| %g kbit/s, %g ms, %g %%%s | %s | %.1f; %.1f %% | %s | %s | %s |" % (
            link, queue, loss, ", a bulk transfer" if bulk else "", figures("packets", cell),
            mean("payload_bps", "packets", cell) / 1000, mean("lost_percent", "packets", cell), figures("reports", cell),
            figures(best, cell), best), flush=True)
    print("| mean of all | %s | | %s | | |" % tuple(
        "%.2f / %.0f / %.0f" % tuple(np.mean([mean(what, setting, cell) for cell in cells]) for what in ("pesq", "delay_ms", "r"))
        for setting in ADAPTING))
    given_up = [(key, told["given_up"]) for key, told in results.items() if told["given_up"]]
    print("Given up (RFC 8083): %d of %d calls" % (len(given_up), len(results)), file=sys.stderr)
    for key, when in given_up:
        print("    %s: %s" % (key, when), file=sys.stderr)
    for setting in FIXED:
        print("| mean of all, fixed: %s | %.2f / %.0f / %.0f | | | | |" % (setting, *(
            np.mean([mean(what, setting, cell) for cell in cells]) for what in ("pesq", "delay_ms", "r"))))


if __name__ == "__main__":
    sys.exit(main())
