#!/usr/bin/env python3
"""Packets that pauses save, and what they cost: whole calls with --dtx --vad beside the same calls without.

Usage: dtx.py [--program PROGRAM] [--codec NAMES] [--voices N] [--set unseen|recorded] [--options "..."]
              [--jobs N] [--per-scene]

A scene is 20 s of one voice at -26 dBov (active) with pauses of 0.3 to 2.2 s, clean or in a noise 20, 10 or 5 dB below it: pink,
and a kitchen's. Voices, noises and what is speech are voice.py's, of its set `unseen`. Each scene is a call in virtual time over a
network that loses nothing (`media-core demo --fast`). Saved: packets not sent, of those of the call without; pauses: 10 ms
blocks without speech, of all. PESQ (P.862.2; at 8 kHz P.862) of what B hears against the clean voice, with pauses not sent and
with them sent; lost: blocks of speech for which no packet with sound was sent, of all blocks of speech. Needs the meters.
Prints Markdown.
"""
import argparse, os, struct, subprocess, sys, tempfile
from concurrent.futures import ThreadPoolExecutor
import numpy as np, soundfile as sf
from pesq import pesq
from scipy.signal import correlate, resample_poly

import voice
from common import ROOT

FS = voice.FS
CELLS = (("clean", "pink", None), ("pink, 20 dB", "pink", 20), ("pink, 10 dB", "pink", 10), ("pink, 5 dB", "pink", 5),
         ("kitchen, 20 dB", "kitchen 2", 20), ("kitchen, 10 dB", "kitchen 2", 10), ("kitchen, 5 dB", "kitchen 2", 5))
RATES = {"pcmu": 8000, "pcma": 8000, "ilbc": 8000, "g722": 16000, "l16": 16000, "opus": 16000}

# Recordings most of which have a room's noise of their own, for clean scenes alone; the first are those of the set `tuning`.
RECORDED = dict(voice.VOICES["tuning"],
                dfn=[("speech/dfn-clean_freesound_33711.wav", None)], near=[("aec/ms2-nearend_double_talk.wav", None)],
                far=[("aec/ms2-farend_simple_talk.wav", None)], plc=[("plc/clean.wav", None)], leak=[("speech/webrtcvad-leak-test.wav", None)])
VOICES = {"unseen": voice.VOICES["unseen"], "recorded": RECORDED}


def scene(kind, snr, index, voices=VOICES["unseen"]):
    """The clean voice and what the microphone hears, -1 to 1 at 16 kHz."""
    rng = np.random.default_rng([index, 11])
    clean = voice.voice(voices[list(voices)[index % len(voices)]], rng)
    if snr is None:
        return clean, clean
    return clean, clean + voice.noise(kind, len(clean), rng, voices) * 10 ** ((-26 - snr) / 20)


def sent(path):
    """RTP timestamp, payload type and payload bytes of each of A's packets, of the capture of a call in plain RTP."""
    data, at, packets = open(path, "rb").read(), 24, []
    link, = struct.unpack_from("<I", data, 20)
    while at < len(data):
        size, = struct.unpack_from("<I", data, at + 8)
        ip = data[at + 16:at + 16 + size][14 if link == 1 else 0:]
        at += 16 + size
        udp = ip[(ip[0] & 15) * 4:]
        rtp = udp[8:]
        kind = rtp[1] & 127
        # RTCP is told by its packet types (RFC 5761, 4).
        if struct.unpack_from(">H", udp)[0] == 4000 and not 64 <= kind < 96:
            packets.append((struct.unpack_from(">I", rtp, 4)[0], kind, len(rtp) - 12))
    return packets


CLOCKS = {"pcmu": 8000, "pcma": 8000, "ilbc": 8000, "g722": 8000, "l16": 16000, "opus": 48000}


def call(a, codec, x, options, folder):
    """What B hears at the codec's rate, and A's packets."""
    path, out, rate = os.path.join(folder, "said.wav"), os.path.join(folder, "call"), RATES[codec]
    sf.write(path, np.clip(x if rate == FS else resample_poly(x, rate, FS), -1, 1), rate, subtype="PCM_16")
    ptime = ["--ptime", "30"] if codec == "ilbc" else []
    command = [a.program, "demo", "--fast", "--codec", codec, "--seconds", "%d" % (voice.SECONDS + 1), "--loss", "0", "--jitter", "0",
               "--no-srtp", "--input", path, "--out", out, *ptime, *options, *a.options.split()]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return sf.read(os.path.join(out, "b-heard.wav"))[0], sent(os.path.join(out, "call.pcap"))


def score(clean, heard, rate):
    """PESQ of what was heard, moved to where the voice is."""
    x = clean if rate == FS else resample_poly(clean, rate, FS)
    n = min(len(x), len(heard))
    late = np.argmax(correlate(heard[:n], x[:n], method="fft")) - (n - 1)
    heard = np.roll(heard, -late)[:n]
    return pesq(rate, x[:n], heard, "wb" if rate == FS else "nb")


def one(a, codec, cell, index):
    """Packets with and without pauses, blocks of speech, those not sent, PESQ of both."""
    _, kind, snr = CELLS[cell]
    clean, x = scene(kind, snr, index, VOICES[a.set])
    speech, rate, clock = voice.truth(clean), RATES[codec], CLOCKS[codec]
    with tempfile.TemporaryDirectory() as folder:
        heard_all, every = call(a, codec, x, [], folder)
        heard, packets = call(a, codec, x, ["--dtx", "--vad"] + (["2"] if a.aggressiveness is None else [a.aggressiveness]), folder)
    # The first packet of both calls is the same sound; seeds are the same, so are timestamps.
    first, ticks = every[0][0], every[1][0] - every[0][0]
    own = every[0][1]
    covered = np.zeros(len(speech) + 12, bool)
    for at, kind, size in packets:
        # Opus: two bytes or fewer say that nothing is sent.
        if kind == own and size > 2:
            begin = int(((at - first) & 0xffffffff) * 100 // clock)
            covered[begin:begin + -(-ticks * 100 // clock)] = True
    n = min(len(speech), len(covered))
    missed = speech[:n] & ~covered[:n]
    return np.array([len(every), len(packets), speech.sum(), len(speech), missed.sum(), score(clean, heard_all, rate), score(clean, heard, rate)])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=os.path.join(ROOT, "target/release/media-core"))
    parser.add_argument("--codec", default="pcmu,pcma,g722,ilbc,l16,opus")
    parser.add_argument("--set", choices=list(VOICES), default="unseen", help="`recorded`: ten recordings, clean")
    parser.add_argument("--voices", type=int)
    parser.add_argument("--aggressiveness", choices=list("0123"))
    parser.add_argument("--options", default="", help="of the program, for both calls of a scene")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--per-scene", action="store_true", help="tell each scene on stderr")
    a = parser.parse_args()
    a.voices = a.voices or len(VOICES[a.set])
    cells = CELLS if a.set == "unseen" else CELLS[:1]
    print("| codec | noise | packets saved | pauses | lost | PESQ, all sent | PESQ, pauses not sent | difference |\n|---|---|---|---|---|---|---|---|")
    with ThreadPoolExecutor(a.jobs) as pool:
        for codec in a.codec.split(","):
            for cell, (name, *_) in enumerate(cells):
                rows = list(pool.map(lambda index: one(a, codec, cell, index), range(a.voices)))
                if a.per_scene:
                    for row in rows:
                        print(codec, name, row.round(3).tolist(), file=sys.stderr)
                every, packets, speech, blocks, missed, before, after = np.mean(rows, 0)
                print(f"| {codec} | {name} | {100 * (1 - packets / every):.0f} % | {100 * (1 - speech / blocks):.0f} % | {100 * missed / speech:.2f} % "
                      f"| {before:.2f} | {after:.2f} | {after - before:+.3f} |", flush=True)


if __name__ == "__main__":
    main()
