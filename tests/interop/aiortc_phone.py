#!/usr/bin/env python3
"""A WebRTC endpoint that nobody here wrote (aiortc): ICE, DTLS-SRTP, sound both ways.

    aiortc_phone.py offer|answer OURS THEIRS SAID.wav HEARD.wav SECONDS [CANDIDATES]

As the offerer it writes its offer to the file OURS and waits for the answer in THEIRS; as the answerer the other way round.
With CANDIDATES the other side's come one by one (trickle): the lines of that file, when it is there, half a second apart.
It says SAID.wav, over and over, and writes what it hears to HEARD.wav. What it agreed on and how its transports do goes to
stderr.
"""

import asyncio
import os
import sys

from aiortc import RTCPeerConnection, RTCSessionDescription
from aiortc.contrib.media import MediaPlayer, MediaRecorder
from aiortc.sdp import candidate_from_sdp

role, ours, theirs, said, heard, seconds = sys.argv[1:7]
candidates = sys.argv[7:]


def log(text):
    print(text, file=sys.stderr, flush=True)


def write(path, text):
    with open(path + ".part", "w", newline="") as file:
        file.write(text)
    os.rename(path + ".part", path)


async def read(path):
    while not os.path.exists(path):
        await asyncio.sleep(0.05)
    # Whoever writes it may not be done.
    await asyncio.sleep(0.2)
    with open(path, newline="") as file:
        return file.read()


async def main():
    phone = RTCPeerConnection()
    player, recorder = MediaPlayer(said, loop=True), MediaRecorder(heard)
    phone.on("track", recorder.addTrack)
    phone.on("connectionstatechange", lambda: log(f"connection {phone.connectionState}"))
    phone.on("iceconnectionstatechange", lambda: log(f"ice {phone.iceConnectionState}"))
    phone.addTrack(player.audio)
    if role == "offer":
        await phone.setLocalDescription(await phone.createOffer())
        write(ours, phone.localDescription.sdp)
        await phone.setRemoteDescription(RTCSessionDescription(await read(theirs), "answer"))
    else:
        await phone.setRemoteDescription(RTCSessionDescription(await read(theirs), "offer"))
        await phone.setLocalDescription(await phone.createAnswer())
        write(ours, phone.localDescription.sdp)
    await recorder.start()
    for path in candidates:
        for line in (await read(path)).splitlines():
            await asyncio.sleep(0.5)
            candidate = candidate_from_sdp(line)
            candidate.sdpMid = "0"
            await phone.addIceCandidate(candidate)
            log(f"candidate {candidate.ip} {candidate.port}")
        await phone.addIceCandidate(None)
    await asyncio.sleep(float(seconds))
    await recorder.stop()
    await phone.close()


asyncio.run(main())
