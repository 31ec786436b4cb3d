#!/usr/bin/env python3
"""Voice activity detectors on made scenes: ours, WebRTC's (four modes), speexdsp's probability, earshot's net.

Usage: voice.py [--set tuning|unseen] [--dir DIR] [--program PROGRAM] [--rate HZ] [--by-noise] [--by-level] [--points]

A scene is 20 s of one voice at -26 dBov (active) with pauses, and one noise 0, 5, 10 or 15 dB below it, 16 kHz. What is
speech is told by the clean voice: 10 ms blocks above its 95th percentile less 27 dB, gaps of at most 100 ms filled.
`tuning` has the voices and noises that constants were chosen on, `unseen` other voices, other noises and other parts of files.

hit: share of the blocks of speech that are called speech. FA: share of the others that are. FA noise: the same, further
than 300 ms from speech. clip: how late the first block of a stretch of speech is called so, mean over the stretches
after at least 300 ms of none. AUC: the chance that a block of speech scores above one of none (ties count half).
Needs numpy, scipy, soundfile; peers as they are installed: webrtcvad (or webrtcvad-wheels), libspeexdsp, earshot.
Prints Markdown.
"""
import argparse, ctypes, ctypes.util, os, subprocess, sys, tempfile
import numpy as np
from scipy.signal import butter, lfilter, resample_poly, sosfilt

from common import ROOT, read

FS, HOP = 16000, 160
SNRS = (0, 5, 10, 15)
SECONDS = 20

# Name: file and the part of it in seconds.
VOICES = {
    "tuning": {
        "aew": [("speech/cmu_arctic_us_aew_a0001.wav", None), ("speech/cmu_arctic_us_aew_a0002.wav", None)],
        "axb": [("speech/cmu_arctic_us_axb_a0004.wav", None), ("speech/cmu_arctic_us_axb_a0005.wav", None)],
        "sense": [("speech/sense_and_sensibility_01_austen_64kb-0870.wav", None),
                  ("speech/sense_and_sensibility_01_austen_64kb-0920.wav", None)],
        "allison": [("speech/allison_f_16k.wav", None)],
        "carlo": [("speech/carlo_m_8k.wav", None)],
    },
    "unseen": {
        "p501 f": [("itu-p501-speech-48k/P501_D_EN_fm_SWB_48k.pcm", (0, 3))],
        "p501 m": [("itu-p501-speech-48k/P501_D_EN_fm_SWB_48k.pcm", (3, 6))],
        "p501 am f": [("itu-p501-speech-48k/P501_D_AM_fm_FB_48k.pcm", (0, 3))],
        "p501 am m": [("itu-p501-speech-48k/P501_D_AM_fm_FB_48k.pcm", (3, 6))],
        "ca01": [("speech/visqol-CA01_01.wav", None)],
    },
}
NOISES = {
    "tuning": ("white", "pink", "car", "kitchen", "freesound", "babble", "jump", "on-off", "clicks"),
    "unseen": ("white", "car 2", "kitchen 2", "freesound 2", "babble 2", "jump 2", "clicks 2", "rain", "fan", "traffic", "typing"),
}


def active_rms(x):
    """The root mean square of the blocks within 30 dB of the loudest twentieth."""
    e = (x[:len(x) // HOP * HOP].reshape(-1, HOP) ** 2).mean(1)
    return np.sqrt(e[e > np.percentile(e, 95) * 1e-3].mean())


def voice(parts, rng):
    """`SECONDS` of a voice at -26 dBov with pauses, and nothing else."""
    pieces, n = [np.zeros(int(FS * rng.uniform(0.6, 1.5)))], 0
    sounds = [read(name, FS, part) / 32768.0 for name, part in parts]
    at = 0
    while sum(map(len, pieces)) < SECONDS * FS:
        x = sounds[n % len(sounds)]
        length = int(FS * rng.uniform(2.0, 4.5))
        piece = x[at:at + length]
        at += length
        if at >= len(x):
            at, n = 0, n + 1
        if len(piece) < FS // 2:
            continue
        fade = np.ones(len(piece))
        fade[:80] = np.linspace(0, 1, 80)
        fade[-800:] = np.linspace(1, 0, 800)
        pieces += [piece * fade, np.zeros(int(FS * rng.uniform(0.3, 2.2)))]
    x = np.concatenate(pieces)[:SECONDS * FS]
    return x * 10 ** (-26 / 20) / active_rms(x[x != 0])


def coloured(rng, n, power):
    """Noise whose spectrum falls by 10 `power` dB a decade."""
    f = np.fft.rfftfreq(n, 1 / FS)
    return np.fft.irfft(np.fft.rfft(rng.standard_normal(n)) * np.maximum(f, 20) ** (-power / 2), n)


def taps(rng, n, rate, decay_ms, low, high):
    """Short filtered bursts at random moments."""
    y = np.zeros(n)
    at = 0
    while True:
        at += int(FS * rng.exponential(1 / rate)) + 1
        if at + 1600 >= n:
            break
        m = int(FS * decay_ms / 1000 * 6)
        burst = rng.standard_normal(m) * np.exp(-np.arange(m) / (FS * decay_ms / 1000)) * rng.uniform(0.3, 1)
        m = min(m, n - at)
        y[at:at + m] += burst[:m]
    return sosfilt(butter(2, [low, high], "bandpass", fs=FS, output="sos"), y)


def looped(name, n, part, rng):
    x = read(name, FS, part) / 32768.0
    x = np.tile(x, n // len(x) + 2)
    at = rng.integers(0, len(x) - n)
    return x[at:at + n]


def noise(kind, n, rng, voices):
    """A noise of rms 1 (on-off, clicks: over its loud parts and over all)."""
    name = kind.split()[0]
    second = kind.endswith("2")
    if name == "white":
        y = rng.standard_normal(n)
    elif name == "pink":
        y = coloured(rng, n, 1)
    elif name == "car":
        y = coloured(rng, n, 2.6 if second else 3) + 0.02 * coloured(rng, n, 1)
        y = y * (1 + 0.2 * np.sin(np.arange(n) * (2 * np.pi * (0.23 if second else 0.15) / FS)))
    elif name == "kitchen":
        y = looped("noise-rir/speechcommands-doing_the_dishes_20s.wav", n, (10, 20) if second else (0, 10), rng)
    elif name == "freesound":
        y = looped("noise-rir/dfn-noise_freesound_573577.wav", n, (2.4, 4.9) if second else (0, 2.4), rng)
    elif name == "babble":
        y = np.zeros(n)
        for _ in range(3):
            for parts in voices.values():
                x = np.concatenate([read(f, FS, p) / 32768.0 for f, p in parts])
                x = np.roll(np.tile(x, n // len(x) + 1)[:n], rng.integers(0, n))
                y += x / active_rms(x) * rng.uniform(0.5, 1)
    elif name == "jump":
        y = coloured(rng, n, 0.5 if second else 1)
        y[:n // 2] *= 10 ** (-15 / 20)
    elif name == "on-off":
        y = rng.standard_normal(n) * ((np.arange(n) // (FS * 3 // 2)) % 2 + 0.03)
    elif name == "clicks":
        y = taps(rng, n, 2.5 if second else 4, 3 if second else 5, 500, 7000) + 1e-3 * rng.standard_normal(n)
    elif name == "rain":
        y = taps(rng, n, 400, 1.5, 800, 6000) + 0.1 * rng.standard_normal(n)
    elif name == "fan":
        t = np.arange(n) / FS
        hum = sum(np.sin(2 * np.pi * f * t + rng.uniform(0, 6)) * a for f, a in ((50, 1), (100, .6), (150, .3), (287, .3), (574, .15)))
        y = coloured(rng, n, 1) / np.std(coloured(rng, n, 1)) + hum
    elif name == "traffic":
        slow = np.interp(np.arange(n), np.linspace(0, n, 12), 10 ** (rng.uniform(-14, 0, 12) / 20))
        y = coloured(rng, n, 2) * slow
    elif name == "typing":
        y = taps(rng, n, 7, 8, 1500, 5000) + 0.3 * taps(rng, n, 7, 15, 150, 600)
        y = y / np.std(y) + 0.1 * coloured(rng, n, 1) / np.std(coloured(rng, n, 1))
    return y / np.sqrt((y ** 2).mean())


def truth(clean):
    """Blocks of speech of the clean voice."""
    e = 10 * np.log10((clean.reshape(-1, HOP) ** 2).mean(1) + 1e-12)
    v = e > np.percentile(e, 95) - 27
    at = np.flatnonzero(np.diff(np.concatenate([[1], v, [1]]).astype(int)))
    for a, b in zip(at[::2], at[1::2]):
        if b - a <= 10 and a > 0:
            v[a:b] = True
    return v


def scenes(which, per=2):
    """(voice, noise, SNR, int16 at 16 kHz, truth): `per` voices a noise and level, in turn."""
    voices = VOICES[which]
    names = list(voices)
    turn = 0
    for i, kind in enumerate(NOISES[which]):
        for j, snr in enumerate(SNRS):
            for k in range(per):
                rng = np.random.default_rng([which == "unseen", i, j, k, 7])
                name = names[turn % len(names)]
                turn += 1
                clean = voice(voices[name], rng)
                x = clean + noise(kind, len(clean), rng, voices) * 10 ** ((-26 - snr) / 20)
                yield name, kind, snr, np.clip(np.round(x * 32768), -32768, 32767).astype(np.int16), truth(clean)


def webrtc(x, mode):
    import webrtcvad
    vad = webrtcvad.Vad(mode)
    return np.array([vad.is_speech(x[i:i + HOP].tobytes(), FS) for i in range(0, len(x) - HOP + 1, HOP)], float)


def speex(x):
    lib = ctypes.CDLL(ctypes.util.find_library("speexdsp") or "libspeexdsp.so.1")
    lib.speex_preprocess_state_init.restype = ctypes.c_void_p
    state = ctypes.c_void_p(lib.speex_preprocess_state_init(HOP, FS))
    value, out, y = ctypes.c_int(1), [], x.copy()
    lib.speex_preprocess_ctl(state, 4, ctypes.byref(value))  # SPEEX_PREPROCESS_SET_VAD
    for i in range(0, len(y) - HOP + 1, HOP):
        lib.speex_preprocess_run(state, y[i:].ctypes.data_as(ctypes.c_void_p))
        lib.speex_preprocess_ctl(state, 45, ctypes.byref(value))  # SPEEX_PREPROCESS_GET_PROB
        out.append(value.value / 100)
    lib.speex_preprocess_state_destroy(state)
    return np.array(out)


def earshot(x):
    """A net on frames of 16 ms: a block of 10 ms has the value of the frame that ends last within it or before."""
    import earshot as net
    d = net.Detector()
    p = np.array([d.predict_i16(x[i:i + 256]) for i in range(0, len(x) - 255, 256)])
    ends = (np.arange(len(x) // HOP) + 1) * HOP // 256 - 1
    return np.where(ends >= 0, p[np.clip(ends, 0, len(p) - 1)], 0)


def ours(x, program, rate, mode):
    """Probability (0 to 1) and decision of each 10 ms, by our program: raw PCM in, a line of `probability speech` a block."""
    y = x if rate == FS else np.clip(np.round(resample_poly(x.astype(float), rate, FS)), -32768, 32767).astype("<i2")
    out = subprocess.run([program, str(rate), str(mode)], input=y.tobytes(), stdout=subprocess.PIPE, check=True).stdout
    a = np.array([line.split()[:2] for line in out.decode().splitlines()], float)
    return a[:, 0] / 255, a[:, 1]


def figures(found, speech):
    """Counts of one scene: blocks by truth and finding, onsets and how late they were found."""
    n = min(len(found), len(speech))
    f, v = found[:n] > 0.5, speech[:n]
    far = np.convolve(v, np.ones(61), "same") < 0.5
    late = []
    at = np.flatnonzero(np.diff(np.concatenate([[0], v]).astype(int)) == 1)
    for a in at:
        if a >= 30 and not v[a - 30:a].any():
            ends = np.flatnonzero(~v[a:])
            stretch = f[a:a + (ends[0] if len(ends) else n)]
            late.append(10 * (np.argmax(stretch) if stretch.any() else len(stretch)))
    return np.array([(f & v).sum(), v.sum(), (f & ~v).sum(), (~v).sum(), (f & far).sum(), far.sum(), np.minimum(late, 300).sum(), len(late)])


def rates(c):
    """hit, FA, FA noise, clip ms, F1 of summed counts."""
    hit, fa, noise_fa = c[0] / c[1], c[2] / c[3], c[4] / max(c[5], 1)
    return hit, fa, noise_fa, c[6] / max(c[7], 1), 2 * c[0] / (c[0] + c[2] + c[1])


def auc(score, speech):
    n = min(len(score), len(speech))
    s, v = score[:n], speech[:n]
    order = np.unique(s, return_inverse=True)[1]
    pos, neg = np.bincount(order[v], minlength=order.max() + 1), np.bincount(order[~v], minlength=order.max() + 1)
    below = np.concatenate([[0], np.cumsum(neg)[:-1]])
    return (pos * (below + neg / 2)).sum() / (pos.sum() * neg.sum())


def at_rate(scores, speech, fa):
    """Hit rate of a score at a false-alarm rate, all scenes with one threshold."""
    s, v = np.concatenate(scores), np.concatenate(speech)
    negative = np.sort(s[~v])[::-1]
    threshold = negative[min(int(fa * len(negative)), len(negative) - 1)]
    return (s[v] > threshold).mean()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--set", choices=["tuning", "unseen"], default="unseen")
    parser.add_argument("--dir", help="where scenes and peers' results are kept between runs")
    parser.add_argument("--program", default=os.path.join(ROOT, "target/release/voice"))
    parser.add_argument("--rate", type=int, default=FS, help="rate at which ours hears the scenes")
    parser.add_argument("--by-noise", action="store_true")
    parser.add_argument("--by-level", action="store_true")
    a = parser.parse_args()
    cache = a.dir or tempfile.mkdtemp()
    os.makedirs(cache, exist_ok=True)
    all_scenes, results = list(scenes(a.set)), {}

    def kept(name, make):
        path = os.path.join(cache, f"{a.set}-{name}.npy")
        if not os.path.exists(path):
            try:
                np.save(path, np.array([make(s[3]) for s in all_scenes]))
            except (ImportError, OSError) as error:
                print(f"without {name}: {error}", file=sys.stderr)
                return
        results[name] = np.load(path)

    for mode in range(4):
        kept(f"WebRTC {mode}", lambda x, mode=mode: webrtc(x, mode))
    kept("speexdsp", speex)
    kept("earshot", earshot)
    decided = {}
    for mode in range(4):
        pairs = [ours(s[3], a.program, a.rate, mode) for s in all_scenes]
        results["ours"], decided[f"ours {mode}"] = np.array([p for p, _ in pairs]), np.array([d for _, d in pairs])
    for name in [n for n in results if n.startswith("WebRTC")]:
        decided[name] = results[name]
    for name, level in (("speexdsp", 0.7), ("speexdsp", 0.8), ("earshot", 0.5)):
        if name in results:
            decided[f"{name} {level}"] = (results[name] > level).astype(float)
    speech = [s[4] for s in all_scenes]
    share = np.concatenate(speech).mean()
    print(f"{len(all_scenes)} scenes ({a.set}), {100 * share:.0f} % of the blocks are speech; ours at {a.rate} Hz\n")
    print("| detector | F1 | hit | FA | FA noise | clip ms | AUC | hit of ours at this FA |\n|---|---|---|---|---|---|---|---|")
    for name, found in decided.items():
        hit, fa, fa_noise, clip, f1 = rates(sum(figures(f, v) for f, v in zip(found, speech)))
        base = next(b for b in results if name.startswith(b))
        area = "" if base.startswith("WebRTC") else f"{np.mean([auc(s, v) for s, v in zip(results[base], speech)]):.3f}"
        other = "" if base == "ours" else f"{at_rate(results['ours'], speech, fa):.3f}"
        print(f"| {name} | {f1:.3f} | {hit:.3f} | {fa:.3f} | {fa_noise:.3f} | {clip:.0f} | {area} | {other} |")
    for asked, index, title in ((a.by_noise, 1, "noise"), (a.by_level, 2, "SNR")):
        if not asked:
            continue
        names = ["ours 2", "ours 3", "WebRTC 2", "WebRTC 3", "speexdsp 0.8"]
        names = [n for n in names if n in decided]
        print(f"\nF1 / FA noise, and AUC\n\n| {title} | " + " | ".join(names + ["AUC ours", "AUC speexdsp"]) + " |\n|" + "---|" * (len(names) + 3))
        for group in dict.fromkeys(s[index] for s in all_scenes):
            at = [i for i, s in enumerate(all_scenes) if s[index] == group]
            cells = []
            for name in names:
                hit, fa, fa_noise, clip, f1 = rates(sum(figures(decided[name][i], speech[i]) for i in at))
                cells.append(f"{f1:.3f} / {fa_noise:.2f}")
            for name in ("ours", "speexdsp"):
                cells.append(f"{np.mean([auc(results[name][i], speech[i]) for i in at]):.3f}" if name in results else "")
            print(f"| {group} | " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
