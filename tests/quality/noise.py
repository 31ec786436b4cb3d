#!/usr/bin/env python3
"""Noise suppressors on the same files: ours, the numpy prototype, speexdsp, WebRTC's, and RNNoise's trained net.

    noise.py [--quick] [--only NAME,...] [--suppressors LIST] [--ours PROGRAM|none] [--work DIR] [--json FILE] [--time]

Scenes of 10 s at 16 kHz, speech at -26 dBFS, of voices and kinds of noise that no constant was tuned on: prompts in
Canadian French and Russian, a man and a woman of ITU-T P.501, a podcast; noises made here from seeds (NOISES says how).
Suppressors:

    ours       media-core process --ns LEVEL IN.wav OUT.wav, levels mild (-10 dB), medium (-18), strong (-28)
    prototype  MEDIA_CORE_SHARED/tools/noise_prototype.py, strong
    speex      speexdsp's preprocessor at -15 and -25 dB (speex_noise.c)
    sonora     WebRTC's noise suppression as a Rust crate at 12, 18 and 21 dB (peers-noise)
    rnnoise    the crate nnnoiseless with the net it comes with, at 48 kHz by resampling (peers-noise)

What is measured, every output first moved by its own delay (cross-correlation with the input, at most 60 ms), from 1 s on:

    SIG, BAK, OVRL  DNSMOS P.835 (first 9 s)
    PESQ-WB, STOI   against the speech alone
    SI-SDR gain     scale-invariant SDR of the output over that of the input, dB
    pauses          power of the input over that of the output where no speech is within 200 ms, dB. There is speech where
                    the 10 ms of the clean voice are within 27 dB of its 95th percentile
    loss            what the speech lost: energy of the clean voice over that of its projections in the output, of 20 ms
                    each in the frames with speech, dB
    musical         log of the kurtosis of the output's bins in pauses over that of the input's: 0 is as even as the noise
                    was, over 0.5 is audible as musical noise
    us              with --time: mean time of 10 ms as the peers' programs tell it, the first time they ran

Means over the scenes with noise; "clean" is speech without any, scored apart. --work keeps scenes, the peers' outputs and all scores.

Needs the meters' packages, gcc and libspeexdsp-dev, cargo; libspandsp2 and asterisk-core-sounds-{fr,ru,es,it}-g722;
media-core (cargo build --release).
"""
import argparse, glob, hashlib, json, os, subprocess, sys, warnings
from concurrent.futures import ProcessPoolExecutor
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import numpy as np, soundfile as sf
from scipy.signal import butter, correlate, fftconvolve, iirpeak, lfilter, resample_poly, sosfilt, stft
from common import ROOT, SHARED, g722, read

warnings.filterwarnings("ignore")
HERE = os.path.dirname(os.path.abspath(__file__))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
PROTOTYPE = os.path.join(SHARED, "tools", "noise_prototype.py")
PROMPTS = "/usr/share/asterisk/sounds/%s/*.g722"
P501 = "itu-p501-speech-48k/P501_D_%s_48k.pcm"
RATE, SECONDS = 16000, 10
SCORING = 1  # counts the changes of scenes and of what `score` returns

VOICES = {
    "june": "fr_CA_f_June", "ivrvoice": "ru_RU_f_IvrvoiceRU",
    "p501-f": [(P501 % "EN_fm_SWB", (0, 3)), (P501 % "AM_fm_FB", (0, 3))],
    "p501-m": [(P501 % "EN_fm_SWB", (3, 6)), (P501 % "AM_fm_FB", (3, 6))],
    "podcast": [("speech/dfn-clean_freesound_33711.wav", None)],
}
# Voice, noise, SNR in dB, seed.
SCENES = [
    ("june", "fan", 0, 31), ("p501-m", "fan", 10, 32), ("p501-f", "street", 5, 33), ("podcast", "street", 15, 34),
    ("ivrvoice", "train", 5, 35), ("june", "rain", 10, 36), ("ivrvoice", "keyboard", 10, 37), ("p501-m", "canteen", 10, 38),
    ("p501-f", "canteen", 5, 39), ("podcast", "vacuum", 5, 40), ("ivrvoice", "step", 10, 41), ("p501-m", "wind", 0, 42),
    ("june", None, 99, 43), ("p501-m", None, 99, 44),
]
QUICK = (0, 2, 5, 6)
PEERS = ["prototype-strong", "speex-15", "speex-25", "sonora12", "sonora18", "sonora21", "rnnoise"]
OURS = ["ours-mild", "ours-medium", "ours-strong"]
COLUMNS = [("SIG", "%.2f"), ("BAK", "%.2f"), ("OVRL", "%.2f"), ("PESQ-WB", "%.2f"), ("STOI", "%.3f"), ("SI-SDR gain", "%.1f"),
           ("pauses", "%.1f"), ("loss", "%.2f"), ("musical", "%.2f")]


def prompts(source, seconds, seed):
    """Prompts of one talker in an order of its own, at least so many seconds."""
    files = sorted(glob.glob(PROMPTS % source))
    if not files:
        sys.exit("no prompts of %s: install asterisk-core-sounds-%s-g722" % (source, source[:2]))
    out, length = [], 0
    for i in np.random.default_rng(seed).permutation(len(files)):
        x = g722(files[i]) / 32768.0
        if 2 * RATE < len(x) < 6 * RATE:
            out.append(x)
            length += len(x)
            if length >= seconds * RATE:
                return np.concatenate(out)[:seconds * RATE]
    sys.exit("too few prompts of " + source)


def voice(name, seed):
    """Speech of a voice, -26 dBFS where it is active, with pauses of a second in it."""
    source = VOICES[name]
    if isinstance(source, str):
        x = prompts(source, SECONDS, seed)
    else:
        x = np.concatenate([read(path, RATE, part) for path, part in source]) / 32768.0
    x = sosfilt(butter(2, 60, "high", fs=RATE, output="sos"), x)
    parts = np.array_split(x, 3)
    gap = np.zeros(RATE)
    x = np.concatenate([gap, parts[0], gap, parts[1], gap, parts[2]])
    x = np.resize(x, SECONDS * RATE)
    return x * 10 ** (-26 / 20) / np.sqrt(np.mean(x[active(x)] ** 2))


def frames(x):
    return (x[:len(x) // 160 * 160].reshape(-1, 160) ** 2).mean(axis=1)


def active(x, margin=0):
    """Where there is speech, a sample each, `margin` blocks of 10 ms more either way."""
    p = 10 * np.log10(frames(x) + 1e-12)
    a = p > np.percentile(p, 95) - 27
    a = np.convolve(a, np.ones(2 * margin + 1), "same") > 0
    return np.repeat(a, 160)


def shaped(rng, n, slope_db):
    """Noise that falls by `slope_db` an octave above 50 Hz."""
    f = np.fft.rfft(rng.standard_normal(n))
    octaves = np.log2(np.maximum(np.fft.rfftfreq(n, 1 / RATE), 50) / 50)
    return np.fft.irfft(f * 10 ** (slope_db * octaves / 20), n)


def slow(rng, n, hz):
    """Noise below `hz`, of standard deviation 1."""
    x = sosfilt(butter(2, hz, fs=RATE, output="sos"), rng.standard_normal(n + 4 * RATE))[4 * RATE:]
    return x / x.std()


def fan(rng, n):
    """A fan: noise that falls by 4 dB an octave, and its blades' tones at 118 Hz times 1 to 6."""
    t = np.arange(n) / RATE
    x = shaped(rng, n, -4)
    tones = sum(np.sin(2 * np.pi * 118 * h * t + 0.3 * slow(rng, n, 1) + rng.uniform(0, 6)) / h for h in range(1, 7))
    return x / x.std() + 0.4 * tones


def street(rng, n):
    """A street: rumble and hiss whose levels wander by 4 dB, each on its own."""
    return sum(x / x.std() * w * 10 ** (4 * slow(rng, n, 0.3) / 20) for x, w in ((shaped(rng, n, -7), 1), (shaped(rng, n, -2), 0.3)))


def train(rng, n):
    """A train: rumble, and two beats of 60 ms each 0.8 s at the joints."""
    x = shaped(rng, n, -6)
    x /= x.std()
    for start in np.arange(0.3, n / RATE - 0.5, 0.8):
        for beat in (start, start + 0.18):
            i, m = int(beat * RATE), int(0.06 * RATE)
            x[i:i + m] += 4 * np.hanning(m) * sosfilt(butter(2, (80, 900), "band", fs=RATE, output="sos"), rng.standard_normal(m))
    return x


def rain(rng, n):
    """Rain: 400 drops a second, resonances of 1 to 5 kHz, over a hiss."""
    x = np.zeros(n)
    for i in rng.integers(0, n - 400, 400 * n // RATE):
        t = np.arange(rng.integers(60, 400))
        x[i:i + len(t)] += rng.gamma(0.5) * np.exp(-t / (len(t) / 5)) * np.sin(2 * np.pi * rng.uniform(1000, 5000) / RATE * t)
    return x / x.std() + 0.3 * rng.standard_normal(n)


def keyboard(rng, n):
    """Keys: bursts of 8 ms that ring at 1.5 to 4 kHz, five a second, some softer; a quiet hiss."""
    x = np.zeros(n)
    t = 0.2
    while t < n / RATE - 0.1:
        m, i = int(0.03 * RATE), int(t * RATE)
        b, a = iirpeak(rng.uniform(1500, 4000), 3, fs=RATE)
        e = rng.standard_normal(m) * np.exp(-np.arange(m) / (0.008 * RATE))
        x[i:i + m] += rng.uniform(0.4, 1) * (e * 0.3 + lfilter(b, a, e))
        t += rng.uniform(0.08, 0.3)
    return x / x.std() + 0.1 * rng.standard_normal(n)


def canteen(rng, n):
    """A canteen: eight talkers of Spanish and Italian prompts in a room of 0.5 s."""
    x = sum(prompts(v, n // RATE, int(rng.integers(1 << 30))) for v in ("es_MX_f_Allison", "it_IT_m_Carlo") * 4)
    h = rng.standard_normal(RATE // 2) * np.exp(-6.9 * np.arange(RATE // 2) / (RATE // 2))
    return fftconvolve(x, h)[:n]


def vacuum(rng, n):
    """A vacuum cleaner: harmonics of 310 Hz that waver, a broad hump at 2 kHz."""
    phase = 2 * np.pi * np.cumsum(310 * (1 + 0.01 * slow(rng, n, 3))) / RATE
    x = sosfilt(butter(1, (700, 5000), "band", fs=RATE, output="sos"), rng.standard_normal(n))
    return x / x.std() + 0.5 * sum(np.sin(h * phase + h) / h for h in range(1, 12))


def step(rng, n):
    """An air conditioner that goes on in the middle: 12 dB more."""
    x = shaped(rng, n, -3)
    x[n // 2:] *= 4
    return x


def wind(rng, n):
    """Wind: noise below 300 Hz or so in gusts of 12 dB."""
    return shaped(rng, n, -10) * 10 ** (6 * slow(rng, n, 0.7) / 20)


NOISES = {f.__name__: f for f in (fan, street, train, rain, keyboard, canteen, vacuum, step, wind)}


def wav(path, x, rate=RATE):
    sf.write(path + ".part", x, rate, format="WAV", subtype="PCM_16")
    os.replace(path + ".part", path)


def make(work, scene):
    """The folder with in.wav and clean.wav of a scene."""
    name, noise, snr, seed = scene
    folder = os.path.join(work, "scenes-%d" % SCORING, "%s-%s-%d-%d" % (name, noise or "clean", snr, seed))
    if not os.path.exists(os.path.join(folder, "in.wav")):
        os.makedirs(folder, exist_ok=True)
        x = voice(name, seed)
        y = x
        if noise:
            d = NOISES[noise](np.random.default_rng(seed), len(x))
            y = x + d * 10 ** ((-26 - snr) / 20) / d.std()
        wav(os.path.join(folder, "clean.wav"), np.clip(x, -1, 1))
        wav(os.path.join(folder, "in.wav"), np.clip(y, -1, 1))
    return folder


def build(name):
    """The peer's program, built where its source is newer."""
    if name.startswith("speex"):
        source, program = os.path.join(HERE, "speex_noise.c"), os.path.join(TARGET, "speex_noise")
        os.makedirs(TARGET, exist_ok=True)
        if not os.path.exists(program) or os.path.getmtime(program) < os.path.getmtime(source):
            subprocess.run(["gcc", "-O2", source, "-o", program, "-lspeexdsp", "-lm"], check=True)
        return program
    target = os.path.join(TARGET, "peers-noise")
    subprocess.run(["cargo", "build", "--release", "--quiet", "--manifest-path", os.path.join(HERE, "peers-noise", "Cargo.toml"),
                    "--target-dir", target], check=True)
    return os.path.join(target, "release", "peers-noise")


def suppress(o, name, folder):
    """The output of a suppressor for the scene in `folder`, and the microseconds of 10 ms where they are told."""
    source = os.path.join(folder, "in.wav")
    if name == "noisy":
        return source, None
    to = os.path.join(o.work, "out", name)
    os.makedirs(to, exist_ok=True)
    out = os.path.join(to, os.path.basename(folder) + ".wav")
    if name.startswith("ours"):
        command = [o.ours, "process", "--ns", name.split("-")[1], source, out]
        if subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL).returncode:
            sys.exit("this failed: " + " ".join(command))
        return out, None
    if os.path.exists(out) and os.path.exists(out + ".us") and os.path.getmtime(out) > os.path.getmtime(source):
        return out, float(open(out + ".us").read()) or None
    us = 0.0
    if name.startswith("prototype"):
        quiet = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", NUMBA_CACHE_DIR=os.path.join(o.work, "numba"))
        command = [sys.executable, PROTOTYPE, source, out, "--level", name.split("-")[1]]
        subprocess.run(command, check=True, env=quiet)
    else:
        rate = 48000 if name == "rnnoise" else RATE
        x = resample_poly(sf.read(source)[0], rate // RATE, 1)
        raw = [out + ".in", out + ".out"]
        np.clip(np.round(x * 32768), -32768, 32767).astype("<i2").tofile(raw[0])
        what = ["-" + name.split("-")[1]] if name.startswith("speex") else [name]
        printed = subprocess.run([o.programs[name], *what, *raw], check=True, stdout=subprocess.PIPE, text=True).stdout
        us = float(printed) / 1000
        wav(out, resample_poly(np.fromfile(raw[1], "<i2") / 32768.0, 1, rate // RATE).clip(-1, 1))
        for path in raw:
            os.remove(path)
    with open(out + ".us", "w", encoding="utf-8") as f:
        f.write(str(us))
    return out, us or None


def delay(x, y):
    """By how many samples `y` is later, 0 to 60 ms."""
    n = min(len(x), len(y))
    c = correlate(y[:n], x[:n], "full", "fft")
    return int(np.argmax(c[n - 1:n + RATE * 60 // 1000]))


def si_sdr(clean, out):
    a = np.dot(clean, out) / np.dot(clean, clean)
    return 10 * np.log10(np.sum((a * clean) ** 2) / (np.sum((out - a * clean) ** 2) + 1e-12) + 1e-12)


def kurtosis(x, where):
    """Mean over the bins of E[p^2] / E[p]^2 of the powers in `where`."""
    _, _, z = stft(x, RATE, nperseg=320, noverlap=160, boundary=None)
    p = np.abs(z[3:-3, :]) ** 2
    w = where[160::160][:p.shape[1]]
    p = p[:, :len(w)][:, w] + 1e-14
    return np.mean(np.mean(p ** 2, axis=1) / np.mean(p, axis=1) ** 2)


def score(folder, path):
    """The figures of one output."""
    from pesq import pesq
    from pystoi import stoi
    from speechmos import dnsmos
    clean, noisy, out = (sf.read(p)[0] for p in (os.path.join(folder, "clean.wav"), os.path.join(folder, "in.wav"), path))
    d = delay(noisy, out)
    n = (min(len(clean), len(out) - d) - RATE) // 160 * 160
    clean, noisy, out = clean[RATE:RATE + n], noisy[RATE:RATE + n], out[RATE + d:RATE + d + n]
    figures = {"delay": d}
    mos = dnsmos.run(np.clip(np.pad(out, (0, max(0, 9 * RATE + 200 - n))), -1, 1), sr=RATE, return_df=False)
    figures.update({k: float(mos[k.lower() + "_mos"]) for k in ("SIG", "BAK", "OVRL")})
    figures["PESQ-WB"] = float(pesq(RATE, clean, out, "wb"))
    figures["STOI"] = float(stoi(clean, out, RATE))
    figures["SI-SDR gain"] = si_sdr(clean, out) - si_sdr(clean, noisy)
    pause = ~active(clean, 20)[:n]
    if pause.sum() > RATE // 2:
        figures["pauses"] = 10 * np.log10((noisy[pause] ** 2).mean() / ((out[pause] ** 2).mean() + 1e-12))
        figures["musical"] = float(np.log(kurtosis(out, pause) / kurtosis(noisy, pause)))
    speech = active(clean)[:n].reshape(-1, 160)[:, 0][:n // 320 * 2:2]
    c, y = (x[:n // 320 * 320].reshape(-1, 320)[speech] for x in (clean, out))
    e = (c ** 2).sum(axis=1) + 1e-12
    figures["loss"] = 10 * np.log10(e.sum() / (((c * y).sum(axis=1) ** 2) / e).sum())
    return figures


def scored(job):
    o, scene, name = job
    folder = make(o.work, scene)
    path, us = suppress(o, name, folder)
    sound = hashlib.sha256(open(path, "rb").read()).hexdigest()[:16]
    cache = os.path.join(o.work, "scores", "%s-%s-%d.json" % (os.path.basename(folder), sound, SCORING))
    if os.path.exists(cache):
        figures = json.load(open(cache))
    else:
        figures = score(folder, path)
        os.makedirs(os.path.dirname(cache), exist_ok=True)
        with open(cache, "w", encoding="utf-8") as f:
            json.dump(figures, f)
    return dict(figures, us=us)


def mean(rows, column):
    x = [r[column] for r in rows if r.get(column) is not None]
    return np.mean(x) if x else None


def line(name, rows, columns):
    cells = [mean(rows, c) for c, _ in columns]
    print("| %s | %s |" % (name, " | ".join("-" if x is None else f % x for x, (_, f) in zip(cells, columns))))


def head(first, columns):
    print("| %s | %s |\n|---|%s" % (first, " | ".join(c for c, _ in columns), "---|" * len(columns)))


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--quick", action="store_true", help="four scenes")
    a.add_argument("--only", help="noises, by comma (clean: speech alone)")
    a.add_argument("--suppressors", default=",".join(OURS + PEERS))
    a.add_argument("--ours", default=os.path.join(TARGET, "release", "media-core"))
    a.add_argument("--work", default=os.path.join(TARGET, "quality-noise"))
    a.add_argument("--json")
    a.add_argument("--time", action="store_true")
    a.add_argument("--jobs", type=int, default=2)
    o = a.parse_args()
    scenes = [SCENES[i] for i in QUICK] if o.quick else SCENES
    if o.only:
        scenes = [s for s in scenes if (s[1] or "clean") in o.only.split(",")]
    names = ["noisy"] + [n for n in o.suppressors.split(",") if not (n.startswith("ours") and o.ours == "none")]
    unknown = set(names) - set(["noisy"] + OURS + PEERS + ["prototype-mild", "prototype-medium"])
    if unknown or not scenes:
        sys.exit("no such suppressor or noise: %s" % ", ".join(sorted(unknown) or [o.only]))
    if any(n.startswith("ours") for n in names) and not os.path.exists(o.ours):
        sys.exit("%s is not there: cargo build --release, or --ours none" % o.ours)
    o.programs = {}
    for name in names:
        if name.startswith(("speex", "sonora", "rnnoise")):
            o.programs[name] = build(name)
    for s in scenes:
        make(o.work, s)
    jobs = [(o, s, n) for s in scenes for n in names]
    with ProcessPoolExecutor(o.jobs) as pool:
        results = dict(zip([(s, n) for _, s, n in jobs], pool.map(scored, jobs)))
    with_noise, without = [s for s in scenes if s[1]], [s for s in scenes if not s[1]]
    if with_noise:
        columns = COLUMNS + ([("us", "%.1f")] if o.time else [])
        head("%d scenes with noise" % len(with_noise), columns)
        for n in names:
            line(n, [results[s, n] for s in with_noise], columns)
        print("\nBy noise, OVRL / PESQ-WB / STOI / pauses / loss:\n")
        head("noise", [(n, "") for n in names])
        for kind in dict.fromkeys(s[1] for s in with_noise):
            rows = {n: [results[s, n] for s in with_noise if s[1] == kind] for n in names}
            cells = ["%.2f / %.2f / %.3f / %.0f / %.1f" % tuple(
                mean(rows[n], c) for c in ("OVRL", "PESQ-WB", "STOI", "pauses", "loss")) for n in names]
            print("| %s | %s |" % (kind, " | ".join(cells)))
        print()
    if without:
        columns = [c for c in COLUMNS if c[0] in ("SIG", "OVRL", "PESQ-WB", "STOI", "loss")]
        head("speech without noise", columns)
        for n in names:
            line(n, [results[s, n] for s in without], columns)
    if o.json:
        with open(o.json, "w", encoding="utf-8") as f:
            json.dump([dict(scene=s, suppressor=n, figures=r) for (s, n), r in results.items()], f, indent=1)


if __name__ == "__main__":
    sys.exit(main())
