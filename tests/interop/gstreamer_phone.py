#!/usr/bin/env python3
"""A WebRTC endpoint of GStreamer (webrtcbin, libnice): PCMU both ways.

    gstreamer_phone.py offer|answer OURS THEIRS HZ HEARD.wav SECONDS

As the offerer it writes its offer to the file OURS and waits for the answer in THEIRS; as the answerer the other way round. It
says a tone of HZ, and writes what it hears to HEARD.wav. Its certificate is one of ECDSA: GStreamer's own is of RSA.
"""

import hashlib
import os
import re
import ssl
import subprocess
import sys
import tempfile
import time

import gi

gi.require_version("Gst", "1.0")
gi.require_version("GstWebRTC", "1.0")
gi.require_version("GstSdp", "1.0")
from gi.repository import GLib, Gst, GstSdp, GstWebRTC  # noqa: E402

role, ours, theirs, hz, heard, seconds = sys.argv[1:7]
Gst.init(None)


def certificate():
    with tempfile.TemporaryDirectory() as folder:
        key, cert = (os.path.join(folder, name) for name in ("key", "cert"))
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2",
                        "-subj", "/CN=phone", "-keyout", key, "-out", cert], check=True, stderr=subprocess.DEVNULL)
        return open(cert).read() + open(key).read()


PEM = certificate()
DER = ssl.PEM_cert_to_DER_cert(PEM[:PEM.index("-----END CERTIFICATE-----") + 25] + "\n")
FINGERPRINT = ":".join(f"{byte:02X}" for byte in hashlib.sha256(DER).digest())
pipeline = Gst.parse_launch(
    f"webrtcbin name=phone bundle-policy=max-bundle audiotestsrc is-live=true freq={hz} volume=0.3 ! audio/x-raw,rate=8000,channels=1 "
    "! audioconvert ! mulawenc ! rtppcmupay max-ptime=20000000 min-ptime=20000000 "
    "! application/x-rtp,media=audio,encoding-name=PCMU,payload=0,clock-rate=8000 ! phone."
)
phone = pipeline.get_by_name("phone")
loop = GLib.MainLoop()


def log(text):
    print(text, file=sys.stderr, flush=True)


def on_element(_bin, _sub, element):
    factory = element.get_factory()
    if factory and factory.get_name() == "dtlssrtpdec":
        element.set_property("pem", PEM)


def on_pad(_, pad):
    if pad.direction != Gst.PadDirection.SRC:
        return
    sink = Gst.parse_bin_from_description(
        f"rtpjitterbuffer latency=60 ! rtppcmudepay ! mulawdec ! audioconvert ! audio/x-raw,format=S16LE,rate=8000,channels=1 "
        f"! wavenc ! filesink location={heard}",
        True,
    )
    pipeline.add(sink)
    sink.sync_state_with_parent()
    pad.link(sink.get_static_pad("sink"))


def write(path, text):
    with open(path + ".part", "w", newline="") as file:
        file.write(text)
    os.rename(path + ".part", path)


def description(kind, text):
    result, message = GstSdp.SDPMessage.new_from_text(text)
    assert result == GstSdp.SDPResult.OK
    return GstWebRTC.WebRTCSessionDescription.new(kind, message)


def when_there(path, then):
    def look():
        if not os.path.exists(path):
            return True
        time.sleep(0.1)
        then(open(path, newline="").read())
        return False

    GLib.timeout_add(50, look)


def take(kind, text):
    def on_set(promise):
        reply = promise.get_reply()
        if reply and reply.has_field("error"):
            log(f"not taken: {reply.get_value('error').message}")

    phone.emit("set-remote-description", description(kind, text), Gst.Promise.new_with_change_func(on_set))
    for line in text.splitlines():
        if line.startswith("a=candidate:"):
            phone.emit("add-ice-candidate", 0, line[2:])


def when_gathered(then):
    def look():
        if phone.get_property("ice-gathering-state") != GstWebRTC.WebRTCICEGatheringState.COMPLETE:
            return True
        text = phone.get_property("local-description").sdp.as_text()
        # The certificate comes too late for its own words of it.
        then(re.sub(r"(?m)^a=fingerprint:.*?$", f"a=fingerprint:sha-256 {FINGERPRINT}", text.replace("\r", "")).replace("\n", "\r\n"))
        return False

    GLib.timeout_add(50, look)


def created(name, then):
    def on_created(promise):
        promise.wait()
        # What it holds lasts as long as it does.
        reply = promise.get_reply()
        if not reply.has_field(name):
            log(f"no {name}: {reply.get_value('error').message}")
            return
        made = reply.get_value(name)
        phone.emit("set-local-description", made, Gst.Promise.new())
        when_gathered(then)

    phone.emit(f"create-{name}", None, Gst.Promise.new_with_change_func(on_created))


def answer_to(text):
    take(GstWebRTC.WebRTCSDPType.OFFER, text)
    created("answer", lambda text: write(ours, text))


def offered(text):
    write(ours, text)
    when_there(theirs, lambda text: take(GstWebRTC.WebRTCSDPType.ANSWER, text))


def on_state(*_):
    log(f"connection {phone.get_property('connection-state')} ice {phone.get_property('ice-connection-state')}")


def end():
    pipeline.send_event(Gst.Event.new_eos())
    GLib.timeout_add(500, loop.quit)
    return False


pipeline.connect("deep-element-added", on_element)
phone.connect("pad-added", on_pad)
phone.connect("notify::connection-state", on_state)
phone.connect("notify::ice-connection-state", on_state)
pipeline.set_state(Gst.State.PLAYING)
if role == "offer":
    GLib.timeout_add(300, lambda: created("offer", offered))
else:
    when_there(theirs, answer_to)
GLib.timeout_add(int((float(seconds) + 2) * 1000), end)
loop.run()
pipeline.set_state(Gst.State.NULL)
