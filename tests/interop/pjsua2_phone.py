#!/usr/bin/env python3
"""A phone of PJSIP (pjsua2), for tests: it takes one call, and holds and resumes it or sends digits in it, at times that count in
seconds from its answer on. Each digit that it hears is a line "digit D" on stdout.

    pjsua2_phone.py PORT --hang-up 10 [--said A.wav --heard B.wav] [--sdes] [--codec PCMU] [--hold 6 --resume 8]
                    [--digits 123 --digits-at 2 [--in-band]]
"""

import argparse
import time

import pjsua2 as pj

parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
parser.add_argument("port", type=int, help="of SIP, on 127.0.0.1")
parser.add_argument("--hang-up", type=float, required=True, metavar="S", help="when the call ends")
parser.add_argument("--said", metavar="WAV", help="what it says, again and again; nothing unless it is given")
parser.add_argument("--heard", metavar="WAV", help="where it writes what it hears")
parser.add_argument("--sdes", action="store_true", help="SRTP with keys in the description, or no call")
parser.add_argument("--codec", metavar="NAME", help="the only one that it has, as it begins; all unless it is given")
parser.add_argument("--hold", type=float, metavar="S")
parser.add_argument("--resume", type=float, metavar="S")
parser.add_argument("--digits", metavar="SIGNS", help="which it sends as telephone events")
parser.add_argument("--in-band", action="store_true", help="the digits go as tones in the sound")
parser.add_argument("--digits-at", type=float, default=2.0, metavar="S")
args = parser.parse_args()


class Call(pj.Call):
    player = recorder = tones = None

    def onCallMediaState(self, _):
        info = self.getInfo()
        for index, media in enumerate(info.media):
            # Held by the other side it still hears.
            hears = media.status in (pj.PJSUA_CALL_MEDIA_ACTIVE, pj.PJSUA_CALL_MEDIA_REMOTE_HOLD)
            if media.type != pj.PJMEDIA_TYPE_AUDIO or not hears:
                continue
            audio = self.getAudioMedia(index)
            if self.player:
                self.player.startTransmit(audio)
            if self.tones:
                self.tones.startTransmit(audio)
            if self.recorder:
                audio.startTransmit(self.recorder)

    def onDtmfDigit(self, heard):
        print(f"digit {heard.digit}", flush=True)


class Account(pj.Account):
    call = None

    def onIncomingCall(self, incoming):
        self.call = Call(self, incoming.callId)
        if args.said:
            self.call.player = pj.AudioMediaPlayer()
            self.call.player.createPlayer(args.said)
        if args.heard:
            self.call.recorder = pj.AudioMediaRecorder()
            self.call.recorder.createRecorder(args.heard)
        if args.in_band:
            self.call.tones = pj.ToneGenerator()
            self.call.tones.createToneGenerator()
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
transport.port, transport.boundAddress = args.port, "127.0.0.1"
endpoint.transportCreate(pj.PJSIP_TRANSPORT_UDP, transport)
endpoint.libStart()
if args.codec:
    for known in endpoint.codecEnum2():
        endpoint.codecSetPriority(known.codecId, 255 if known.codecId.startswith(args.codec) else 0)
account = Account()
settings = pj.AccountConfig()
settings.idUri = f"sip:peer@127.0.0.1:{args.port}"
settings.mediaConfig.transportConfig.boundAddress = "127.0.0.1"
settings.mediaConfig.srtpUse = pj.PJMEDIA_SRTP_MANDATORY if args.sdes else pj.PJMEDIA_SRTP_DISABLED
settings.mediaConfig.srtpSecureSignaling = 0
account.create(settings)
print("ready", flush=True)


def hold():
    account.call.setHold(pj.CallOpParam(True))


def resume():
    again = pj.CallOpParam(True)
    again.opt.flag = pj.PJSUA_CALL_UNHOLD
    account.call.reinvite(again)


def send_digits():
    if not args.in_band:
        account.call.dialDtmf(args.digits)
        return
    digits = pj.ToneDigitVector()
    for sign in args.digits:
        digit = pj.ToneDigit()
        digit.digit, digit.on_msec, digit.off_msec = sign, 80, 80
        digits.append(digit)
    account.call.tones.playDigits(digits)


def run(until):
    while time.monotonic() < until:
        endpoint.libHandleEvents(20)


begin = time.monotonic() + 30
while account.call is None:
    assert time.monotonic() < begin, "nobody called"
    endpoint.libHandleEvents(20)
begin = time.monotonic()
acts = [(args.hold, hold), (args.resume, resume)]
if args.digits:
    acts.append((args.digits_at, send_digits))
for at, act in sorted((act for act in acts if act[0] is not None), key=lambda act: act[0]):
    run(begin + at)
    act()
run(begin + args.hang_up)
account.call.hangup(pj.CallOpParam(True))
run(time.monotonic() + 0.5)
account.call = None
endpoint.libDestroy()
