#!/usr/bin/env python3
"""Concealment beside spandsp's (G.711 Appendix I class), WebRTC's NetEq and Opus, on the same lost packets.

    concealment.py [--seeds 5] [--jobs 2] [--voices] [--held-out] [--plcmos] [--systems LIST] [--conceal PATH]

Four voices of MEDIA_CORE_SHARED/data, 20 ms packets; independent loss, or bursts of 2 in the mean (two-state Gilbert
channel). PESQ-NB at 8 kHz after G.711 mu-law, 5 and 10 % lost; with --plcmos PLCMOS of 16-bit samples at 16 kHz, 5.5,
10.5 and 21.6 % lost. Systems:

    conceal  ours where nothing is known of what follows a loss
    ahead    ours with the packet after the gap in the buffer when the gap has to be filled
    spandsp  made for 8 kHz: at 16 kHz it finds pitches of 133 to 400 Hz only
    neteq    Debian's libtgowt-dev in simulated time, each packet in time or lost. It moves the sound about: no PESQ
    opus     libopus at 24 kbit/s with its own concealment (PLCMOS; what the codec costs is in it)
    zero     silence

--held-out takes voices that the constants were not tuned on: a reader of LibriVox, a woman of ITU-T P.501, a podcast,
and, at 8 kHz, the prompts of asterisk-core-sounds-{it,fr,ru}-wav where they are installed.

Needs numpy, scipy, soundfile, pesq (speechmos for --plcmos), libspandsp; libopus0; for neteq g++, libtgowt-dev,
libabsl-dev and libopus-dev; the example `conceal` (cargo build --release -p media-core-examples --example conceal).
"""
import argparse, ctypes, ctypes.util, glob, os, subprocess, sys, tempfile, warnings
from concurrent.futures import ProcessPoolExecutor
import numpy as np, soundfile as sf
from common import ROOT, mulaw, read, spandsp, zero_fill

warnings.filterwarnings("ignore")
HERE = os.path.dirname(os.path.abspath(__file__))
TARGET = os.environ.get("CARGO_TARGET_DIR", os.path.join(ROOT, "target"))
SPEECH, P501 = "speech/%s.wav", "itu-p501-speech-48k/P501_D_%s_48k.pcm"
PROMPTS = "/usr/share/asterisk/sounds/%s/*.wav"


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


def join(rate, *parts):
    return np.concatenate([read(name, rate, part) for name, part in parts])


def voices(rate):
    arctic = SPEECH % "cmu_arctic_us_%s"
    return {"aew (m)": join(rate, (arctic % "aew_a0001", None), (arctic % "aew_a0002", None)),
            "axb (f)": join(rate, (arctic % "axb_a0004", None), (arctic % "axb_a0005", None)),
            "allison (f)": read(SPEECH % "allison_f_16k", rate),
            "P.501 (m)": join(rate, (P501 % "EN_fm_SWB", (3, 6)), (P501 % "AM_fm_FB", (3, 6)))}


def held_out(rate):
    reader = SPEECH % "sense_and_sensibility_01_austen_64kb-0%d"
    out = {"reader (f)": join(rate, *((reader % k, None) for k in (870, 880, 920)))[:12 * rate],
           "P.501 (f)": join(rate, (P501 % "EN_fm_SWB", (0, 3)), (P501 % "AM_fm_FB", (0, 3))),
           "podcast": read(SPEECH % "dfn-clean_freesound_33711", rate)}
    if rate == 8000:
        for name in ("it_IT_m_Carlo", "fr_CA_f_June", "ru_RU_f_IvrvoiceRU"):
            prompts = [sf.read(f, dtype="int16")[0] for f in sorted(glob.glob(PROMPTS % name))]
            prompts = [p for p in prompts if 2 * rate < len(p) < 6 * rate]
            if prompts:
                order = np.random.default_rng(0).permutation(len(prompts))
                out[name] = np.concatenate([prompts[i] for i in order])[:12 * rate]
    return out


def ours(tool, x, m, rate, ahead):
    with tempfile.TemporaryDirectory() as d:
        a, b, c = (os.path.join(d, n) for n in ("in.wav", "mask.txt", "out.wav"))
        sf.write(a, x, rate, subtype="PCM_16")
        open(b, "w").write("".join(map(str, m)))
        subprocess.run([tool, a, b, c] + (["--ahead"] if ahead else []), check=True)
        return sf.read(c, dtype="int16")[0]


def build_neteq():
    """neteq.cc, built on first use."""
    source, program = os.path.join(HERE, "neteq.cc"), os.path.join(TARGET, "neteq")
    if not os.path.exists(program) or os.path.getmtime(program) < os.path.getmtime(source):
        multi = subprocess.run(["g++", "-print-multiarch"], capture_output=True, text=True, check=True).stdout.strip()
        absl = ["bad_optional_access", "strings", "throw_delegate", "base", "raw_logging_internal", "bad_variant_access",
                "int128"]
        defines = ["WEBRTC_POSIX", "WEBRTC_LINUX", "WEBRTC_APM_DEBUG_DUMP=0", "WEBRTC_LIBRARY_IMPL",
                   "RTC_DISABLE_TRACE_EVENTS"]
        subprocess.run(["g++", "-std=c++20", "-O2", "-w", *("-D" + d for d in defines), "-I/usr/include/tg_owt",
                        "-ffunction-sections", source, "-o", program, "-Wl,--gc-sections",
                        "/usr/lib/%s/libtg_owt.a" % multi, *("-labsl_" + a for a in absl), "-lopus", "-lpthread"],
                       check=True)
    return program


def neteq(x, m, rate):
    packets = "".join(map(str, m[:len(x) // (rate // 50)]))
    heard = subprocess.run([build_neteq(), str(rate), packets], input=x.tobytes(), capture_output=True, check=True)
    return np.frombuffer(heard.stdout, "<i2")


def opus(x, m, rate, bitrate=24000):
    lib, pointer, frame = ctypes.CDLL(ctypes.util.find_library("opus") or "libopus.so.0"), ctypes.c_void_p, rate // 50
    lib.opus_encoder_create.restype = lib.opus_decoder_create.restype = pointer
    error, packet = ctypes.c_int(), ctypes.create_string_buffer(1500)
    encoder = pointer(lib.opus_encoder_create(rate, 1, 2048, ctypes.byref(error)))
    decoder = pointer(lib.opus_decoder_create(rate, 1, ctypes.byref(error)))
    for request, value in ((4002, bitrate), (4010, 9)):  # bit rate, complexity
        lib.opus_encoder_ctl(encoder, request, ctypes.c_int(value))
    y = np.zeros(len(x) // frame * frame, np.int16)
    for lost, pcm, out in zip(m, x[:len(y)].reshape(-1, frame), y.reshape(-1, frame)):
        pcm = np.ascontiguousarray(pcm)
        size = lib.opus_encode(encoder, pcm.ctypes.data_as(pointer), frame, packet, 1500)
        lib.opus_decode(decoder, None if lost else packet, 0 if lost else size, out.ctypes.data_as(pointer), frame, 0)
    lib.opus_encoder_destroy(encoder)
    lib.opus_decoder_destroy(decoder)
    return y


def one(job):
    tool, rate, ref, x, m, systems = job
    out = {}
    for s in systems:
        if s in ("spandsp", "zero"):
            y = {"spandsp": spandsp, "zero": zero_fill}[s](x, m, rate // 50)
        elif s in ("neteq", "opus"):
            y = {"neteq": neteq, "opus": opus}[s](x, m, rate)
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
    a.add_argument("--held-out", action="store_true", help="voices that nothing was tuned on")
    a.add_argument("--systems", help="default: spandsp,conceal,ahead; with --plcmos neteq and opus too")
    a.add_argument("--voices", action="store_true", help="a row for each voice too")
    a.add_argument("--conceal", default=os.path.join(TARGET, "release", "examples", "conceal"))
    o = a.parse_args()
    rate = 16000 if o.plcmos else 8000
    cells = [(5.5, 2), (10.5, 2), (21.6, 2)] if o.plcmos else [(5, 0), (10, 0), (5, 2), (10, 2)]
    systems = (o.systems or "spandsp,conceal,ahead" + (",neteq,opus" if o.plcmos else "")).split(",")
    if "neteq" in systems:
        build_neteq()
    jobs, keys = [], []
    for loss, burst in cells:
        for name, ref in (held_out if o.held_out else voices)(rate).items():
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
