#!/usr/bin/env python3
"""Takes a call through rtpengine by its NG protocol, from DTLS and ICE on the offerer's side to SDES without ICE on the other.

    ng_bridge.py NG_PORT

The offer in a-offer.sdp goes through it to b-offer.sdp, the answer in b-answer.sdp to a-answer.sdp.
"""

import os
import socket
import sys
import time

udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.connect(("127.0.0.1", int(sys.argv[1])))
udp.settimeout(5)


def bencode(value):
    if isinstance(value, str):
        return b"%d:%s" % (len(value.encode()), value.encode())
    if isinstance(value, list):
        return b"l" + b"".join(map(bencode, value)) + b"e"
    return b"d" + b"".join(bencode(key) + bencode(value[key]) for key in sorted(value)) + b"e"


def text_of(answer, name):
    """The text with this name in a dictionary of texts and numbers."""
    at = answer.index(b"%d:%s" % (len(name), name.encode())) + len(b"%d:%s" % (len(name), name.encode()))
    colon = answer.index(b":", at)
    return answer[colon + 1:colon + 1 + int(answer[at:colon])].decode()


def ask(**what):
    what = {"call-id": "bridge", "from-tag": "a", **{name.replace("_", "-"): value for name, value in what.items()}}
    udp.send(f"{time.monotonic_ns()} ".encode() + bencode(what))
    answer = udp.recv(65536)
    print(answer.decode(errors="replace"), file=sys.stderr, flush=True)
    assert text_of(answer, "result") == "ok", answer
    return text_of(answer, "sdp")


def read(path):
    while not os.path.exists(path):
        time.sleep(0.05)
    time.sleep(0.1)
    with open(path, newline="") as file:
        return file.read()


def write(path, text):
    with open(path + ".part", "w", newline="") as file:
        file.write(text)
    os.rename(path + ".part", path)


offer = ask(command="offer", sdp=read("a-offer.sdp"), ICE="remove", DTLS="off", transport_protocol="RTP/SAVP",
            replace=["origin"], rtcp_mux=["demux"])
write("b-offer.sdp", offer)
answer = ask(command="answer", to_tag="b", sdp=read("b-answer.sdp"), ICE="force", DTLS="active", replace=["origin"],
             transport_protocol="UDP/TLS/RTP/SAVP")
write("a-answer.sdp", answer)
