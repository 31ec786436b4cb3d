#!/usr/bin/env python3
"""aiortc, a WebRTC endpoint that nobody here wrote, as what a browser's page calls (WHIP, RFC 9725).

    aiortc_whip.py SAID.wav HEARD.wav

It prints its address, answers offers on 127.0.0.1, says SAID.wav over and over and writes what it hears to HEARD.wav, which is whole
when the call has ended (DELETE). What the page asks of a call besides is answered as `media-core web` would, without numbers.
"""

import asyncio
import json
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import aioice.ice
from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaPlayer, MediaRecorder

said, heard = sys.argv[1:3]
# All of it is on this machine.
aioice.ice.get_host_addresses = lambda use_ipv4, use_ipv6: ["127.0.0.1"]
loop = asyncio.new_event_loop()
Thread(target=loop.run_forever, daemon=True).start()
calls = {}
NOTHING = dict(packets=0, lost=0, played_samples=0, concealed_samples=0, sample_rate_hz=48000)
STATS = dict(state="talking", words="connected", elapsed_ms=0, codec="opus", received=NOTHING, sent=NOTHING, restarts=0,
             digits="", findings=[])


async def begin(offer):
    phone = RTCPeerConnection()
    player, recorder = MediaPlayer(said, loop=True), MediaRecorder(heard)
    phone.on("track", recorder.addTrack)
    phone.addTrack(player.audio)
    await phone.setRemoteDescription(RTCSessionDescription(offer, "offer"))
    await phone.setLocalDescription(await phone.createAnswer())
    await recorder.start()
    calls[str(len(calls))] = phone, player, recorder
    return phone.localDescription.sdp


async def end(name):
    phone, player, recorder = calls[name]
    await recorder.stop()
    await phone.close()


class Handler(BaseHTTPRequestHandler):
    def log_message(self, *_):
        pass

    def answer(self, status, kind="text/plain", body=""):
        self.send_response(status)
        for header in ("Origin", "Headers", "Methods"):
            self.send_header("Access-Control-Allow-" + header, "DELETE, PATCH" if header == "Methods" else "*")
        self.send_header("Access-Control-Expose-Headers", "Location, ETag")
        self.send_header("Content-Type", kind)
        if status == 201:
            self.send_header("Location", "/whip/%d" % (len(calls) - 1))
            self.send_header("ETag", '"1"')
        self.send_header("Content-Length", str(len(body.encode())))
        self.end_headers()
        self.wfile.write(body.encode())

    def do_OPTIONS(self):
        self.answer(204)

    def do_POST(self):
        offer = self.rfile.read(int(self.headers["Content-Length"])).decode()
        answer = asyncio.run_coroutine_threadsafe(begin(offer), loop).result(20)
        self.answer(201, "application/sdp", answer)

    def do_GET(self):
        self.answer(200, "application/json", json.dumps(STATS))

    def do_DELETE(self):
        asyncio.run_coroutine_threadsafe(end(self.path.rsplit("/", 1)[1]), loop).result(20)
        self.answer(200)


server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
print("http://127.0.0.1:%d/whip" % server.server_port, flush=True)
server.serve_forever()
