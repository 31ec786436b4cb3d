#!/usr/bin/env python3
"""conversation.py [--grid] [--families] [--only NAME,...] [--all]

The rating R (ITU-T G.107) of a conversation over real and made networks: delay and made-up sound together. Beside ours for
a conversation, which a live call has, and for listening (`--jitter adaptive`) stand both NetEqs of neteq.py and the best of
13 fixed delays, as nobody knows it beforehand. R = 93.2 - Idd(wait + 50 ms) - 95 p / (p + 25.1) for PCMU: the mean wait in
the buffer with 50 ms besides, and the share p in percent that was made up.

The traces are those of neteq.py, with --grid its seeded grid too. With --families they are seeded networks of other kinds
instead, by which the conversation's delay was made: stalling mobile links, queues that fill and drain, routes that change,
wireless LANs, calls that are bad for a while; there is no NetEq beside those. Without --all, rows in which nothing differs by
0.5 are left out and counted. Needs what neteq.py needs.
"""
import argparse, math, os, sys
from neteq import CACHE, CHROMIUM, ROOT, inputs, neteq, ours

FIXED = (40, 60, 80, 100, 130, 170, 220, 300, 400, 550, 700, 900, 1200)


def rating(wait_ms, made_up):
    ta = wait_ms + 50
    x = math.log2(ta / 100) if ta > 100 else 0
    idd = 25 * ((1 + x ** 6) ** (1 / 6) - 3 * (1 + (x / 3) ** 6) ** (1 / 6) + 2)
    return 93.2 - idd - 95 * made_up / (made_up + 25.1)


def of(result):
    return rating(result["mean"], result["concealed"])


def families(folder):
    """Seeded networks of a minute of packets of 20 ms. Returns their files."""
    import numpy as np
    n, files = 3000, []
    sent = np.arange(n) * 20.0

    def link(r, arrival, every_s, median_ms, sigma, service=(1.0, 1.0), when=lambda t: True):
        """Packets in order over a link that stalls, and then drains its queue at a rate of its own."""
        out, free, rate, due = np.empty(n), 0.0, 1.0, r.exponential(every_s * 1000)
        for i in range(n):
            x = max(arrival[i], free)
            if x >= due:
                if when(x):
                    x = max(x, due + min(2500, median_ms * math.exp(sigma * r.standard_normal())))
                    rate = r.uniform(*service)
                due = x + r.exponential(every_s * 1000)
            if x - arrival[i] < 5:
                rate = 1.0
            out[i], free = x, x + rate
        return out

    def write(name, arrival):
        rows = sorted((a, k) for k, a in enumerate(arrival) if not math.isnan(a))
        path = os.path.join(folder, name + ".csv")
        with open(path, "w") as f:
            f.write("arrival_ms,seq,rtp_ts,pt,payload_bytes\n")
            f.writelines("%.3f,%d,%d,0,160\n" % (a - rows[0][0], k, k * 160) for a, k in rows)
        files.append(path)

    for seed in (1, 2, 3):
        r = np.random.default_rng(4000 + seed)
        for every, median, sigma in ((2, 150, .6), (4, 400, .6), (1.5, 500, .5), (8, 700, .4), (3, 250, 1.0)):
            write("mobile-%gs-%d-%d" % (every, median, seed), link(r, sent + r.gamma(2, 6, n), every, median, sigma))
        for every, median, service in ((3, 250, (4, 16)), (5, 600, (4, 16)), (2, 400, (15, 19)), (4, 300, (15, 19))):
            write("draining-%gs-%d-%g-%d" % (every, median, service[1], seed),
                  link(r, sent + r.gamma(2, 8, n), every, median, .6, service))
        for peak, ramp in ((300, 6), (800, 10), (1500, 20)):
            queue, level = np.zeros(n), 0.0
            for i in range(n):
                level += peak / (ramp * 50) * r.uniform(.5, 1.5)
                level = r.uniform(0, .3) * peak if level > peak * r.uniform(.7, 1.2) else level
                queue[i] = level
            write("bufferbloat-%d-%ds-%d" % (peak, ramp, seed), np.maximum.accumulate(sent + queue + r.gamma(2, 4, n)))
        write("wlan-%d" % seed, link(r, sent + r.gamma(1.5, 3, n) + np.where(r.random(n) < .04, r.exponential(20, n), 0), 12, 180, .5))
        route, at = np.zeros(n), 0
        while at < n:
            length = int(r.exponential(600)) + 50
            route[at:at + length], at = r.uniform(0, 250), at + length
        write("routes-%d" % seed, np.maximum.accumulate(sent + route + r.gamma(2, 5, n)))
        write("bad-third-%d" % seed, link(r, sent + r.gamma(2, 4, n), 1.5, 350, .6, when=lambda t: 20e3 < t < 40e3))
        write("bad-by-turns-%d" % seed, link(r, sent + r.gamma(2, 8, n), 2, 300, .6, when=lambda t: t // 10e3 % 2 == 1))
        write("overtaking-%d" % seed, sent + np.maximum(r.normal(120, 40, n), 0))
        write("heavy-tail-%d" % seed, np.maximum.accumulate(sent + np.minimum(8 * r.pareto(1.3, n), 1500)))
    return files


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--grid", action="store_const", const="too", help="the seeded grid too")
    a.add_argument("--families", action="store_true", help="seeded networks of other kinds instead")
    a.add_argument("--only", help="traces whose names contain one of these")
    a.add_argument("--all", action="store_true", help="rows without differences too")
    a.add_argument("--media-core", default=os.path.join(os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target")), "release", "media-core"))
    o = a.parse_args()
    o.scores, o.keep = False, None
    files, speech = inputs(o)
    if o.families:
        folder = os.path.join(CACHE, "families")
        os.makedirs(folder, exist_ok=True)
        files = families(folder)
    if o.only:
        files = [f for f in files if any(part in os.path.basename(f) for part in o.only.split(","))]

    def run(trace, jitter):
        o.replay = ["--jitter", jitter]
        return ours(o, trace, speech, "pcmu", None)

    print("| trace | conversation: ms, made up %, **R** | best fixed | less | adaptive | NetEq 2023 | Chromium 156 |")
    print("|---|---|---|---|---|---|---|")
    rows, alike, below, beaten = [], 0, 0, 0
    for trace in files:
        name = os.path.basename(trace)[:-4]
        talk, listen = run(trace, "conversation"), of(run(trace, "adaptive"))
        fixed = {ms: of(run(trace, "fixed:%d" % ms)) for ms in FIXED}
        best = max(fixed, key=fixed.get)
        known = None if os.path.basename(os.path.dirname(trace)) == "grid" else CHROMIUM.get((name, "pcmu"))
        theirs = None if o.families else of(neteq(trace, speech, "pcmu", False)[0])
        chromium = rating(known[0], known[2]) if known else None
        r = of(talk)
        rows.append((r, fixed[best], listen, theirs))
        below += r < fixed[best] - 1
        beaten += any(other is not None and other > r for other in (theirs, chromium))
        others = [x for x in (fixed[best], listen, theirs, chromium) if x is not None]
        if not o.all and max(abs(r - x) for x in others) < .5:
            alike += 1
            continue
        cell = lambda x: "" if x is None else "%.1f" % x
        print("| %s | %.0f / %.2f / **%.1f** | %d ms: %.1f | %+.1f | %.1f | %s | %s |" % (
            name, talk["mean"], talk["concealed"], r, best, fixed[best], r - fixed[best], listen, cell(theirs), cell(chromium)), flush=True)
    mean = lambda k: sum(row[k] for row in rows) / len(rows)
    print("| mean of %d | **%.2f** | %.2f | %+.2f | %.2f | %s | |" % (
        len(rows), mean(0), mean(1), mean(0) - mean(1), mean(2), "" if o.families else "%.2f" % mean(3)))
    print("\n%d traces: %d by more than 1 below the best fixed delay, %d below a NetEq, %d left out, within 0.5 of all others."
          % (len(rows), below, beaten, alike))


if __name__ == "__main__":
    sys.exit(main())
