#!/usr/bin/env python3
"""A phone of PJSIP (pjsua2), for tests: it takes one call, sends digits, prints those that it hears, and hangs up.

    pjsua2_digits.py PORT CODEC DIGITS AFTER HANG_UP       (seconds from the answer on)

Each digit that is heard is a line "digit D" on stdout.
"""

import sys
import time

import pjsua2 as pj

port, codec, digits = int(sys.argv[1]), sys.argv[2], sys.argv[3]
after, hang_up = float(sys.argv[4]), float(sys.argv[5])


class Call(pj.Call):
    def onDtmfDigit(self, heard):
        print(f"digit {heard.digit}", flush=True)


class Account(pj.Account):
    call = None

    def onIncomingCall(self, incoming):
        self.call = Call(self, incoming.callId)
        answer = pj.CallOpParam()
        answer.statusCode = 200
        self.call.answer(answer)


endpoint = pj.Endpoint()
endpoint.libCreate()
config = pj.EpConfig()
config.logConfig.level = config.logConfig.consoleLevel = 1
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
for known in endpoint.codecEnum2():
    endpoint.codecSetPriority(known.codecId, 255 if known.codecId.startswith(codec) else 0)
account = Account()
settings = pj.AccountConfig()
settings.idUri = f"sip:peer@127.0.0.1:{port}"
settings.mediaConfig.transportConfig.boundAddress = "127.0.0.1"
settings.mediaConfig.srtpUse = pj.PJMEDIA_SRTP_DISABLED
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
run(begin + after)
account.call.dialDtmf(digits)
run(begin + hang_up)
account.call.hangup(pj.CallOpParam(True))
run(time.monotonic() + 0.5)
account.call = None
endpoint.libDestroy()
