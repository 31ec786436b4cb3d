#!/usr/bin/env python3
"""A phone of PJSIP (pjsua2), for tests: it takes one call, holds it, resumes it and hangs up.

    pjsua2_phone.py PORT SAID.wav HEARD.wav plain|sdes HOLD RESUME HANG_UP       (seconds from the answer on)
"""

import sys
import time

import pjsua2 as pj

port, said, heard, srtp = int(sys.argv[1]), sys.argv[2], sys.argv[3], sys.argv[4] == "sdes"
hold, resume, hang_up = (float(second) for second in sys.argv[5:8])


class Call(pj.Call):
    player = recorder = None

    def onCallMediaState(self, _):
        info = self.getInfo()
        for index, media in enumerate(info.media):
            # Held by the other side it still hears.
            hears = media.status in (pj.PJSUA_CALL_MEDIA_ACTIVE, pj.PJSUA_CALL_MEDIA_REMOTE_HOLD)
            if media.type != pj.PJMEDIA_TYPE_AUDIO or not hears:
                continue
            audio = self.getAudioMedia(index)
            self.player.startTransmit(audio)
            audio.startTransmit(self.recorder)


class Account(pj.Account):
    call = None

    def onIncomingCall(self, incoming):
        self.call = Call(self, incoming.callId)
        self.call.player = pj.AudioMediaPlayer()
        self.call.player.createPlayer(said)
        self.call.recorder = pj.AudioMediaRecorder()
        self.call.recorder.createRecorder(heard)
        answer = pj.CallOpParam()
        answer.statusCode = 200
        self.call.answer(answer)


endpoint = pj.Endpoint()
endpoint.libCreate()
config = pj.EpConfig()
config.logConfig.level = config.logConfig.consoleLevel = 4
config.medConfig.ecTailLen = 0
config.medConfig.noVad = True
config.medConfig.sndAutoCloseTime = -1
config.uaConfig.threadCnt = 0
config.uaConfig.mainThreadOnly = False
endpoint.libInit(config)
endpoint.audDevManager().setNullDev()
transport = pj.TransportConfig()
transport.port, transport.boundAddress = port, "127.0.0.1"
endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
endpoint.libStart()
account = Account()
settings = pj.AccountConfig()
settings.idUri = f"sip:peer@127.0.0.1:{port}"
settings.mediaConfig.transportConfig.boundAddress = "127.0.0.1"
settings.mediaConfig.srtpUse = pj.PJMEDIA_SRTP_MANDATORY if srtp else pj.PJMEDIA_SRTP_DISABLED
settings.mediaConfig.srtpSecureSignaling = 0
account.create(settings)
print("ready", flush=True)


def run(until):
    while time.monotonic() < until:
        endpoint.libHandleEvents(20)


begin = time.monotonic() + 30
while account.call is None:
    assert time.monotonic() < begin, "nobody called"
    endpoint.libHandleEvents(20)
begin = time.monotonic()
run(begin + hold)
account.call.setHold(pj.CallOpParam(True))
run(begin + resume)
again = pj.CallOpParam(True)
again.opt.flag = pj.PJSUA_CALL_UNHOLD
account.call.reinvite(again)
run(begin + hang_up)
account.call.hangup(pj.CallOpParam(True))
run(time.monotonic() + 0.5)
account.call = None
endpoint.libDestroy()
