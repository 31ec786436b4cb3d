#!/usr/bin/env python3
"""Acoustic echo cancellers on the same files: ours, the numpy prototype, speexdsp, WebRTC's AEC3.

    echo.py [--quick] [--only NAME,...] [--cancellers LIST] [--ours PROGRAM|none] [--work DIR] [--json FILE] [--time]

Scenes of 24 s at 16 kHz, made by MEDIA_CORE_SHARED/tools/echo_scenes.py from three pairs of voices that no constant was
tuned on (prompts in Canadian French, Italian and Russian, a man and a woman of ITU-T P.501, a podcast), and the recorded
ones of MEDIA_CORE_SHARED/data/aec (microphone = echo + near end). Unless a row says otherwise: a room of 100 ms, 20 ms of
bulk delay, noise 60 dB below the echo, both ends equally loud, near end from 16 s on. Cancellers:

    ours       media-core process --aec --far FAR.wav MIC.wav OUT.wav, and its linear stage (--linear)
    prototype  MEDIA_CORE_SHARED/tools/echo_prototype.py, and its linear stage
    speex      speexdsp's MDF, 128 ms, with its preprocessor, and without (speex_aec.c)
    aec3       WebRTC's AEC3 of 2023, and its linear stage (aec3.cc, Debian's libtgowt-dev)
    sonora     the same as a Rust crate (peers-aec)

What is measured, every output first moved by its own delay (cross-correlation with the near end, at most 60 ms):

    ERLE       energy of the microphone over that of the output, dB, in the frames of 20 ms where the far end is within
               35 dB of its loudest frame and the near end is silent; from 5 to 14 s, where the path changes at 9 s from
               11 to 14 s. "At 2, 5, 10 s": in the second that ends there; "1, 2 s after": in the half second that
               begins there. The noise is in both energies: it caps the figure at 60 dB, but for
               speex, whose preprocessor takes 15 dB of the noise too.
    near SDR   MEDIA_CORE_SHARED/tools/near_sdr.py from 16 s to the end (recorded: 11 to 18.5 s): energy of the near end
               in the output, behind the best 512-tap filter, over that of all else
    removal    energy of the echo over that of what near SDR counts as wrong, dB, in the same stretch: echo, distortion
               and noise together, so the echo itself is removed by this much at least
    AECMOS     echo in single talk (ERLE's stretch), echo and degradation in double talk (near SDR's stretch; of the
               recorded scene all of it)
    PESQ-WB    of the near end in double talk

"no echo" is the microphone without its echo, noise kept: what a perfect canceller would read on the same meters.
Figures are means over the pairs of voices. The last column tells which goals of MEDIA_CORE_SHARED/VOICE.md the first
canceller of the table misses. --work keeps the scenes, the peers' outputs and all scores, so that a second run costs our
own sound only.

Needs the meters' packages and numba, gcc libspeexdsp-dev; g++ libtgowt-dev libabsl-dev libopus-dev for aec3; libspandsp2
and asterisk-core-sounds-{fr,it,ru}-g722 for three of the voices; media-core (cargo build --release).
"""
import argparse, glob, hashlib, importlib.util, json, os, subprocess, sys, warnings
from concurrent.futures import ProcessPoolExecutor
os.environ.setdefault("OMP_NUM_THREADS", "1")  # the processes are parallel enough; read when numpy is loaded
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
import numpy as np, soundfile as sf
from common import ROOT, SHARED, g722, read

warnings.filterwarnings("ignore")
HERE = os.path.dirname(os.path.abspath(__file__))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
TOOLS = os.path.join(SHARED, "tools")
PROMPTS = "/usr/share/asterisk/sounds/%s/*.g722"
P501 = "itu-p501-speech-48k/P501_D_%s_48k.pcm"
RATE, FRAME = 16000, 320
SCORING = 1  # counts the changes of what `score` returns

# Far end, near end, seed of the scene.
PAIRS = (("june", "p501-m", 21), ("carlo", "podcast", 22), ("p501-f", "ivrvoice", 23))
VOICES = {
    "june": "fr_CA_f_June", "carlo": "it_IT_m_Carlo", "ivrvoice": "ru_RU_f_IvrvoiceRU",
    "p501-f": [(P501 % "EN_fm_SWB", (0, 3)), (P501 % "AM_fm_FB", (0, 3))],
    "p501-m": [(P501 % "EN_fm_SWB", (3, 6)), (P501 % "AM_fm_FB", (3, 6))],
    "podcast": [("speech/dfn-clean_freesound_33711.wav", None)],
}


def scene(name, title, *options, single=(5, 14), double=(16, 24), change=None, goal=None, mos=None):
    """A made scene. `single`, `double`: the stretches that are scored, in s (None: no single talk); `goal`: ERLE and near
    SDR, `mos`: AECMOS in single talk, in double talk and its degradation, at least."""
    return dict(name=name, title=title, options=options, single=single, double=double, change=change, goal=goal, mos=mos)


MOS = (4.6, 4.3, 4.1)
SCENES = [
    scene("plain", "plain", goal=(55, 27), mos=MOS),
    scene("room64", "room 64 ms", "--tail-ms", 64),
    scene("room128", "room 128 ms", "--tail-ms", 128),
    scene("room200", "room 200 ms", "--tail-ms", 200),
    scene("rir030", "simulated room, RT60 0.3 s", "--rir", "pra_4x5x2.7_rt60_0.3_16k.npy"),
    scene("rir079", "simulated room, RT60 0.79 s", "--rir", "dfn-rir_sim_rt60_0.79.wav"),
    scene("delay000", "no bulk delay", "--delay-ms", 0),
    scene("delay150", "bulk delay 150 ms", "--delay-ms", 150),
    scene("delay220", "bulk delay 220 ms", "--delay-ms", 220, goal=(52, 26), mos=MOS),
    scene("delay350", "bulk delay 350 ms", "--delay-ms", 350),
    scene("change", "path changes at 9 s, delay jumps 60 ms", "--change-at", 9, "--delay-jump-ms", 60, single=(11, 14),
          change=9, goal=(32, 25), mos=MOS),
    scene("change-dt", "path changes at 16 s in double talk from 12 s", "--change-at", 16, "--near-from", 12,
          single=(5, 12)),
    scene("change-dt-later", "the same from 4 s after the change on", "--change-at", 16, "--near-from", 12, single=None,
          double=(20, 24)),
    scene("drift+150", "drift 150 ppm", "--drift-ppm", 150, goal=(48, 26), mos=MOS),
    scene("drift+200", "drift 200 ppm", "--drift-ppm", 200),
    scene("drift-200", "drift -200 ppm", "--drift-ppm", -200),
    scene("clip", "loudspeaker clips at 0.3", "--clip", 0.3, goal=(40, 26), mos=(4.4, 4.3, 4.1)),
    scene("near-first", "near end from 1 s on", "--near-from", 1, single=None),
    scene("ser-10", "near end 10 dB below the echo", "--ser-db", -10),
    scene("ser+10", "near end 10 dB above the echo", "--ser-db", 10),
]
QUICK = ("plain", "delay220", "change", "drift+150", "clip")
# Files of data/aec. Near and far end alternate in the first; in the second they also overlap, all through this stretch.
RECORDED = [
    dict(scene("ms2-simple", "recorded, simple talk", single=(3, 21), double=None), files="simple_talk"),
    dict(scene("ms2-double", "recorded, double talk", single=(5, 19), double=(11, 18.5), mos=(None, 4.1, 3.4)),
         files="double_talk", heard=(0, 20)),  # AECMOS of the whole file, as its goal was measured
]
REMOVAL = 30  # goal of the linear stage in the scenes with goals
TITLES = {"ours": "ours", "ours-linear": "ours, linear", "prototype": "prototype", "prototype-linear": "prototype, linear",
          "speex": "Speex MDF + preprocessor", "speex-linear": "Speex MDF", "aec3": "AEC3 2023",
          "aec3-linear": "AEC3, linear", "sonora": "sonora (AEC3)", "microphone": "microphone", "no-echo": "no echo"}
BESIDE = {"microphone": "mic.wav", "no-echo": "no-echo.wav"}  # nothing removed, and all of the echo but no noise


def tool(name):
    """A script of MEDIA_CORE_SHARED/tools as a module."""
    sys.dont_write_bytecode = True  # that folder is not ours
    spec = importlib.util.spec_from_file_location(name, os.path.join(TOOLS, name + ".py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def voice(name):
    """24 s of a voice of VOICES, or all there is of it, as int16 at 16 kHz."""
    source = VOICES[name]
    if not isinstance(source, str):
        return np.concatenate([read(path, RATE, part) for path, part in source])
    files = sorted(glob.glob(PROMPTS % source))
    if not files:
        sys.exit("no prompts of %s: install asterisk-core-sounds-%s-g722" % (source, source[:2]))
    prompts = [p for p in map(g722, files) if 2 * RATE < len(p) < 6 * RATE]
    order = np.random.default_rng(0).permutation(len(prompts))
    return np.concatenate([prompts[i] for i in order])[:24 * RATE]


def wav(path, x):
    sf.write(path + ".part", x, RATE, format="WAV", subtype="PCM_16" if x.dtype == np.int16 else "FLOAT")
    os.replace(path + ".part", path)


def prepare(work):
    """The voices, the room and the peers' programs, below `work`."""
    os.makedirs(os.path.join(work, "sources"), exist_ok=True)
    for name in VOICES:
        path = os.path.join(work, "sources", name + ".wav")
        if not os.path.exists(path):
            wav(path, voice(name))
    for s in SCENES:
        if "--rir" in s["options"]:
            source, path = room(work, s["options"][s["options"].index("--rir") + 1])
            if not os.path.exists(path):
                wav(path, np.load(source).astype(np.float32))


def room(work, name):
    """Where a room response is, and where it is as WAV."""
    source = os.path.join(SHARED, "data", "noise-rir", name)
    return source, os.path.join(work, "sources", name[:-4] + ".wav") if name.endswith(".npy") else source


def version(name):
    """Changes when a peer's source does; ours is run anew each time."""
    source = {"prototype": [os.path.join(TOOLS, "echo_prototype.py")], "speex": ["speex_aec.c"], "aec3": ["aec3.cc"],
              "sonora": ["peers-aec/Cargo.lock", "peers-aec/src/main.rs"]}.get(name, [])
    text = b"".join(open(os.path.join(HERE, path), "rb").read() for path in source)
    return name + ("-" + hashlib.sha256(text).hexdigest()[:8] if source else "")


def build(name):
    """The peer's program, built on first use."""
    if name == "sonora":
        target = os.path.join(TARGET, "peers-aec")
        subprocess.run(["cargo", "build", "--release", "--quiet", "--manifest-path",
                        os.path.join(HERE, "peers-aec", "Cargo.toml"), "--target-dir", target], check=True)
        return os.path.join(target, "release", "peers-aec")
    os.makedirs(TARGET, exist_ok=True)
    source = os.path.join(HERE, {"speex": "speex_aec.c", "aec3": "aec3.cc"}[name])
    program = os.path.join(TARGET, os.path.splitext(os.path.basename(source))[0])
    if os.path.exists(program) and os.path.getmtime(program) > os.path.getmtime(source):
        return program
    if name == "speex":
        command = ["gcc", "-O2", source, "-o", program, "-lspeexdsp", "-lm"]
    else:
        multi = subprocess.run(["g++", "-print-multiarch"], capture_output=True, text=True, check=True).stdout.strip()
        absl = ["bad_optional_access", "strings", "throw_delegate", "base", "raw_logging_internal", "bad_variant_access",
                "int128"]
        defines = ["WEBRTC_POSIX", "WEBRTC_LINUX", "WEBRTC_APM_DEBUG_DUMP=0", "WEBRTC_LIBRARY_IMPL",
                   "RTC_DISABLE_TRACE_EVENTS"]
        command = ["g++", "-std=c++20", "-O2", "-w", *("-D" + d for d in defines), "-I/usr/include/tg_owt",
                   "-ffunction-sections", source, "-o", program, "-Wl,--gc-sections",
                   "/usr/lib/%s/libtg_owt.a" % multi, *("-labsl_" + a for a in absl), "-lopus", "-lpthread"]
    subprocess.run(command, check=True)
    return program


def make(work, s, pair):
    """The folder with far.wav, mic.wav, echo.wav, near.wav of a scene, made where it is not there yet."""
    if "files" in s:
        folder = os.path.join(work, "scenes", s["name"])
        if not os.path.exists(os.path.join(folder, "mic.wav")):
            os.makedirs(folder, exist_ok=True)
            far, echo, near = (read("aec/ms2-%s_%s.wav" % (part, s["files"]), RATE) for part in ("farend", "echo", "nearend"))
            n = min(len(far), len(echo), len(near))
            mic = np.clip(echo[:n].astype(int) + near[:n], -32768, 32767).astype(np.int16)
            for name, x in (("far", far[:n]), ("echo", echo[:n]), ("near", near[:n]), ("mic", mic)):
                wav(os.path.join(folder, name + ".wav"), x)
        return folder
    options = [room(work, o)[1] if str(o).endswith((".npy", ".wav")) else str(o) for o in s["options"]]
    far, near, seed = pair
    given = ["--seconds", "24", "--tail-ms", "100", "--noise-db", "-60", "--near-from", "16", "--seed", str(seed)] + options
    key = hashlib.sha256(repr((s["options"], pair, given[:8])).encode()).hexdigest()[:8]
    folder = os.path.join(work, "scenes", "%s-%s-%s-%s" % (s["name"], far, near, key))
    if not os.path.exists(os.path.join(folder, "mic.wav")):
        subprocess.run([sys.executable, os.path.join(TOOLS, "echo_scenes.py")]
                       + [os.path.join(work, "sources", v + ".wav") for v in (far, near)] + [folder] + given, check=True)
    return folder


def native(program, folder, out, linear):
    """Runs a peer on raw files; returns the nanoseconds of 10 ms."""
    raw = {k: "%s.%s" % (out, k) for k in ("far", "mic", "out", "linear")}
    for k in ("far", "mic"):
        sf.read(os.path.join(folder, k + ".wav"), dtype="int16")[0].tofile(raw[k])
    command = [program, raw["far"], raw["mic"], raw["out"]] + ([raw["linear"]] if linear else [])
    ns = float(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout)
    for k, path in [("out", out)] + ([("linear", linear)] if linear else []):
        wav(path, np.fromfile(raw[k], "<i2"))
    for path in raw.values():
        if os.path.exists(path):
            os.remove(path)
    return ns


def cancel(o, name, folder):
    """The outputs of a canceller for the scene in `folder`: {column: path}."""
    to = os.path.join(o.work, version(name))
    os.makedirs(to, exist_ok=True)
    out = os.path.join(to, os.path.basename(folder) + ".wav")
    linear = None if name == "sonora" else out[:-4] + "-linear.wav"
    far, mic = (os.path.join(folder, k + ".wav") for k in ("far", "mic"))
    if name == "ours":
        for path, more in ((out, []), (linear, ["--linear"])):
            command = [o.ours, "process", "--aec", *more, *o.options, "--far", far, mic, path]
            if subprocess.run(command, stdout=subprocess.DEVNULL).returncode:
                sys.exit("this failed: " + " ".join(command))
    elif not os.path.exists(out):
        if name == "prototype":
            quiet = dict(os.environ, PYTHONDONTWRITEBYTECODE="1", NUMBA_CACHE_DIR=os.path.join(o.work, "numba"))
            subprocess.run([sys.executable, os.path.join(TOOLS, "echo_prototype.py"), far, mic, out + ".part.wav", "--linear",
                            linear], check=True, stdout=subprocess.DEVNULL, env=quiet)
            os.replace(out + ".part.wav", out)
        else:
            native(o.programs[name], folder, out, linear)
    return {name: out, **({name + "-linear": linear} if linear else {})}


def db(x):
    return 10 * np.log10(max(float(x), 1e-20))


def frames(x):
    return (x[:len(x) // FRAME * FRAME].reshape(-1, FRAME) ** 2).mean(1)


def erle(x, stretch):
    """ERLE in a stretch, in dB; None where the far end is silent or the near end is not."""
    far, near, mic, out = (frames(x[k]) for k in ("far", "near", "mic", "out"))
    at = np.arange(len(far)) * FRAME / RATE
    use = (at >= stretch[0]) & (at < stretch[1]) & (far > far.max() * 10 ** -3.5) & (near < 10 ** -6.5)
    return db(mic[use].sum()) - db(out[use].sum()) if use.any() else None


def score(s, folder, path, meters):
    """Every figure of one output."""
    x = {k: sf.read(os.path.join(folder, k + ".wav"))[0] for k in ("far", "near", "mic", "echo")}
    x["out"], rate = sf.read(path)
    if rate != RATE or x["out"].ndim != 1:
        sys.exit("%s: not mono at %d Hz" % (path, RATE))
    n = min(map(len, x.values()))
    talk = s["double"] or s["single"]
    cut = slice(int(talk[0] * RATE), min(n, int(talk[1] * RATE)))
    # Past 60 ms it would be the echo, or speech that resembles itself, that the near end is found in.
    lag = meters.best_lag(x["near"][cut], x["out"][cut], 0, 960)
    x["out"] = np.concatenate([x["out"][lag:], np.zeros(lag)])
    x = {k: v[:n - lag] for k, v in x.items()}
    r = {"delay_ms": lag * 1000 / RATE}
    if s["single"]:
        r["erle"] = erle(x, s["single"])
        if "files" not in s:
            r.update({"erle_%ds" % t: erle(x, (t - 1, t)) for t in (2, 5, 10)})
        if s["change"]:
            r.update({"erle_%ds_after" % t: erle(x, (s["change"] + t, s["change"] + t + .5)) for t in (1, 2)})
    from speechmos import aecmos
    for kind, stretch in (("st", s["single"]), ("dt", s["double"])):
        if not stretch or (kind == "st" and "files" in s):
            continue  # in the recorded scenes the near end talks too in that stretch
        part = {k: v[int(stretch[0] * RATE):int(stretch[1] * RATE)] for k, v in x.items()}
        heard = [int(t * RATE) for t in s.get("heard", stretch)]
        given = {"lpb": x["far"], "mic": x["mic"], "enh": x["out"]}
        mos = aecmos.run({k: np.clip(v[heard[0]:heard[1]], -1, 1) for k, v in given.items()}, sr=RATE, talk_type=kind, return_df=False)
        r["echo_mos_" + kind] = mos["echo_mos"]
        if kind == "dt":
            r["degradation_mos_dt"] = mos["deg_mos"]
            r["near_sdr"] = meters.near_sdr(part["near"], part["out"])
            wrong = (part["out"] ** 2).sum() / (1 + 10 ** (r["near_sdr"] / 10))  # the fit is orthogonal to what is left
            r["removal"] = db((part["echo"] ** 2).sum()) - db(wrong)
            from pesq import pesq
            try:
                r["pesq"] = pesq(RATE, part["near"], part["out"], "wb")
            except Exception:  # no speech in the output
                r["pesq"] = None
    return r


def one(job):
    """All cancellers on one scene: {column: figures}."""
    o, s, pair = job
    folder, meters, rows = make(o.work, s, pair), tool("near_sdr"), {}
    os.makedirs(os.path.join(o.work, "scores"), exist_ok=True)
    free = os.path.join(folder, "no-echo.wav")
    if not os.path.exists(free):
        mic, echo = (sf.read(os.path.join(folder, k + ".wav"), dtype="int16")[0] for k in ("mic", "echo"))
        wav(free, np.clip(mic.astype(int) - echo, -32768, 32767).astype(np.int16))
    for name in o.cancellers + list(BESIDE):
        outputs = {name: os.path.join(folder, BESIDE[name])} if name in BESIDE else cancel(o, name, folder)
        for column, path in outputs.items():
            key = hashlib.sha256(open(path, "rb").read() + repr((SCORING, sorted(s.items(), key=str))).encode()).hexdigest()
            kept = os.path.join(o.work, "scores", key[:24] + ".json")
            if not os.path.exists(kept):
                figures = score(s, folder, path, meters)
                with open(kept + ".part%d" % os.getpid(), "w") as f:
                    json.dump(figures, f)
                os.replace(f.name, kept)
            rows[column] = json.load(open(kept))
    return rows


def mean(rows, column, key):
    v = [r[column][key] for r in rows if r[column].get(key) is not None]
    return float(np.mean(v)) if v else None


def cell(values, digits, between=" / "):
    return between.join("-" if v is None else "%.*f" % (digits, v) for v in values)


def misses(pairs, digits):
    """Which of (what, measured, at least) are missed, in words."""
    known = [(w, m, g) for w, m, g in pairs if g is not None and m is not None]
    if not known:
        return ""
    # Rounded as in the table, so that the two agree.
    return ", ".join("%s by %.*f" % (w, digits, g - m) for w, m, g in known if round(m, digits) < g) or "none"


def table(head, lines):
    print("| %s |\n|%s" % (" | ".join(head), "---|" * len(head)))
    for line in lines:
        print("| %s |" % " | ".join(line))
    print()


def report(scored, columns):
    """Three tables of {scene: rows}: echo and near end; AECMOS and PESQ; how fast, and the linear stage."""
    first, main = columns[0], [c for c in columns if not c.endswith("-linear")]
    two, three, four = [], [], []
    for s, rows in scored:
        m = lambda c, k: mean(rows, c, k)
        goal, mos = s["goal"] or (None, None), s["mos"] or (None, None, None)
        if s["double"]:
            two.append([s["title"], cell(goal, 0) if s["goal"] else ""]
                       + [cell((m(c, "erle"), m(c, "near_sdr")), 1) for c in columns]
                       + [misses([("ERLE", m(first, "erle"), goal[0]), ("near SDR", m(first, "near_sdr"), goal[1])], 1)])
            keys = ("echo_mos_st", "echo_mos_dt", "degradation_mos_dt", "pesq")
            three.append([s["title"], cell(mos, 1) if s["mos"] else ""]
                         + [cell([m(c, k) for k in keys], 2) for c in main + list(BESIDE)]
                         + [misses(list(zip(("single", "double", "degradation"), (m(first, k) for k in keys), mos)), 2)])
        else:
            two.append([s["title"], ""] + [cell((m(c, "erle"), None), 1) for c in columns] + [""])
        if "files" not in s:
            after = s["change"] is not None
            keys = ("erle_1s_after", "erle_2s_after") if after else ("erle_2s", "erle_5s", "erle_10s")
            linear = [c for c in columns if c.endswith("-linear")]
            goals = [("ERLE %s" % w, m(first, k), g) for w, k, g in (("after 1 s", keys[0], 20), ("after 2 s", keys[1], 25))] if after else []
            if s["goal"] and first + "-linear" in columns:
                goals.append(("removal", m(first + "-linear", "removal"), REMOVAL))
            four.append([s["title"] + (": 1, 2 s after" if after else "")]
                        + [cell([m(c, k) for k in keys], 0) for c in main]
                        + [cell([m(c, "removal")], 1) for c in linear] + [misses(goals, 1)])
    named = [TITLES[c] for c in columns]
    table(["ERLE / near SDR, dB", "goal"] + named + ["misses, %s" % TITLES[first]], two)
    table(["AECMOS echo in single talk / echo, degradation in double talk / PESQ-WB of the near end", "goal"]
          + [TITLES[c] for c in main + list(BESIDE)] + ["misses, %s" % TITLES[first]], three)
    table(["ERLE at 2 / 5 / 10 s; removal in double talk, dB"] + [TITLES[c] for c in main]
          + ["removal: " + TITLES[c] for c in columns if c.endswith("-linear")] + ["misses, %s" % TITLES[first]], four)


def times(o):
    """What 10 ms cost each native peer: the fastest and the median of nine runs on the plain scene, one at a time."""
    folder, lines = make(o.work, SCENES[0], PAIRS[0]), []
    for name in o.programs:
        ns = sorted(native(o.programs[name], folder, os.path.join(o.work, "time.wav"), None) for _ in range(9))
        lines.append([TITLES[name], "{:,.0f}".format(ns[0]), "{:,.0f}".format(ns[4])])
    table(["10 ms of sound, one thread", "ns, fastest of 9", "median"], lines)


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("--quick", action="store_true", help="the five scenes with goals, one pair of voices")
    a.add_argument("--only", help="these scenes: %s" % ", ".join(s["name"] for s in SCENES + RECORDED))
    a.add_argument("--cancellers", default="ours,prototype,speex,aec3,sonora")
    a.add_argument("--ours", default=os.path.join(TARGET, "release", "media-core"), help="our program, or none")
    a.add_argument("--work", default=os.path.expanduser("~/.cache/media-core-echo"), help="scenes, outputs and scores stay here")
    a.add_argument("--json", metavar="FILE", help="every figure of every pair of voices")
    a.add_argument("--jobs", type=int, default=2)
    a.add_argument("--time", action="store_true", help="only what the native peers cost")
    a.add_argument("options", nargs="*", metavar="-- OPTIONS", help="more options of media-core process --aec")
    o = a.parse_args()
    o.cancellers = [c for c in o.cancellers.split(",") if not (c == "ours" and o.ours == "none")]
    unknown = [c for c in o.cancellers if c not in TITLES or c in BESIDE or c.endswith("-linear")]
    names = {s["name"] for s in SCENES + RECORDED}
    unknown += [n for n in (o.only or "").split(",") if n and n not in names]
    if unknown:
        sys.exit("unknown: %s" % ", ".join(unknown))
    if "ours" in o.cancellers and not os.path.exists(o.ours):
        sys.exit("%s is not there: cargo build --release, or --ours PROGRAM, or --ours none" % o.ours)
    prepare(o.work)
    o.programs = {}
    for c in [c for c in o.cancellers if c in ("speex", "aec3", "sonora")]:
        try:
            o.programs[c] = build(c)
        except (OSError, subprocess.CalledProcessError) as e:
            print("%s is left out, it can't be built here: %s" % (c, e), file=sys.stderr)
            o.cancellers.remove(c)
    if not o.cancellers:
        sys.exit("no canceller to measure")
    if o.time:
        return times(o)
    chosen = [s for s in SCENES + RECORDED if (s["name"] in o.only.split(",") if o.only else not o.quick or s["name"] in QUICK)]
    pairs = {s["name"]: [PAIRS[0]] if "files" in s else PAIRS[:1 if o.quick else None] for s in chosen}
    jobs = [(o, s, pair) for s in chosen for pair in pairs[s["name"]]]
    with ProcessPoolExecutor(o.jobs) as pool:
        results = list(pool.map(one, jobs))
    scored = [(s, [r for (_, t, _), r in zip(jobs, results) if t is s]) for s in chosen]
    columns = [c for name in o.cancellers for c in (name, name + "-linear") if c in results[0]]
    report(scored, columns)
    if o.json:
        everything = {s["name"]: {"title": s["title"], "options": s["options"], "pairs": [
            {"voices": pair[:2] if "files" not in s else None, "figures": r} for pair, r in zip(pairs[s["name"]], rows)]}
            for s, rows in scored}
        with open(o.json, "w", encoding="utf-8") as f:
            json.dump(everything, f, indent=1)


if __name__ == "__main__":
    sys.exit(main())
