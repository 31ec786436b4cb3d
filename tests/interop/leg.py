#!/usr/bin/env python3
"""A SIP user agent for tests: carries the descriptions of `media-core offer` to a SIP phone and back, over UDP.

    leg.py OWN_PORT PHONE_PORT OFFER ANSWER [late]

It calls the phone with what is in the file OFFER, and writes what the phone answers to the file ANSWER. Whatever is written to
OFFER later goes to the phone as a re-INVITE (RFC 3261, 14), or is the answer to one of the phone's, whose offer was written
to ANSWER. With `late` the call has no description in it: then the phone offers (RFC 3261, 13.2.1), which is written to ANSWER, and
what is in OFFER is our answer. It ends when the phone hangs up, with status 0; and hangs up itself when its stdin is at its end.
"""

import os
import re
import select
import socket
import sys
import time

own, phone, offer_file, answer_file = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4]
late = sys.argv[5:] == ["late"]
udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
udp.bind(("127.0.0.1", own))
CALL_ID = f"leg-{os.getpid()}-{time.time_ns()}"
LOCAL = f"<sip:leg@127.0.0.1:{own}>"
remote = f"<sip:peer@127.0.0.1:{phone}>"
target = f"sip:peer@127.0.0.1:{phone}"
cseq = 0
taken = ""


def log(text):
    print(f"{time.monotonic():.2f} {text}", file=sys.stderr, flush=True)


def send(text, to=("127.0.0.1", phone)):
    udp.sendto(text.encode(), to)


def request(method, number, body=""):
    lines = [
        f"{method} {target} SIP/2.0",
        f"Via: SIP/2.0/UDP 127.0.0.1:{own};rport;branch=z9hG4bK{number}-{method}-{os.getpid()}",
        "Max-Forwards: 70",
        f"From: {LOCAL};tag=leg",
        f"To: {remote}",
        f"Call-ID: {CALL_ID}",
        f"CSeq: {number} {method}",
        f"Contact: {LOCAL}",
        "Allow: INVITE, ACK, BYE, CANCEL, OPTIONS",
    ]
    if body:
        lines.append("Content-Type: application/sdp")
    send("\r\n".join(lines) + f"\r\nContent-Length: {len(body)}\r\n\r\n{body}")


def header(message, *names):
    for name in names:
        found = re.search(rf"^{name}\s*:\s*(.*?)\r?$", message, re.M | re.I)
        if found:
            return found.group(1)
    return ""


def respond(message, address, status, body=""):
    head = message.split("\r\n\r\n")[0].split("\r\n")[1:]
    kept = [line for line in head if re.match(r"(via|v|from|f|call-id|i|cseq|record-route)\s*:", line, re.I)]
    to = header(message, "To", "t")
    lines = [f"SIP/2.0 {status}", *kept, f"To: {to if 'tag=' in to else to + ';tag=leg'}", f"Contact: {LOCAL}"]
    if body:
        lines.append("Content-Type: application/sdp")
    send("\r\n".join(lines) + f"\r\nContent-Length: {len(body)}\r\n\r\n{body}", address)


def put(text):
    # Whole or not at all: the other side polls the file.
    with open(answer_file + ".new", "w", newline="") as file:
        file.write(text)
    os.rename(answer_file + ".new", answer_file)


def written():
    """What is new in the offer's file."""
    global taken
    try:
        with open(offer_file, newline="") as file:
            text = file.read()
    except FileNotFoundError:
        return None
    if text == taken or not text.endswith("\r\n"):
        return None
    taken = text
    return text


inviting = None
asked = None  # the phone's INVITE that waits for an answer
answered = ""  # the CSeq of the last of the phone's INVITEs, and our answer
last_ok = ""
unanswered = None  # the number of our INVITE whose offer, the phone's, has no answer yet
if late:
    cseq = 1
    inviting = (cseq, "", time.monotonic())
    request("INVITE", cseq)
    log("INVITE without a description")
until = time.monotonic() + 60
while time.monotonic() < until:
    ready, _, _ = select.select([udp, sys.stdin], [], [], 0.05)
    if sys.stdin in ready and not sys.stdin.read(1):
        cseq += 1
        request("BYE", cseq)
        log("hung up")
        break
    if inviting is None and (text := written()):
        if unanswered:
            request("ACK", unanswered, text)
            unanswered = None
            log("answered the phone's offer")
        elif asked:
            message, address = asked
            asked, last_ok = None, text
            respond(message, address, "200 OK", text)
            log("answered the phone's INVITE")
        else:
            cseq += 1
            inviting = (cseq, text, time.monotonic())
            request("INVITE", cseq, text)
            log(f"INVITE {cseq}")
    if udp not in ready:
        continue
    data, address = udp.recvfrom(65535)
    message = data.decode(errors="replace")
    first, body = message.split("\r\n", 1)[0], message.partition("\r\n\r\n")[2]
    number, method = (header(message, "CSeq") + " ").split(" ")[:2]
    if first.startswith("SIP/2.0 "):
        status = int(first.split(" ")[1])
        if method != "INVITE" or status < 200:
            continue
        remote = header(message, "To", "t")
        contact = re.search(r"<(.*?)>", header(message, "Contact", "m"))
        target = contact.group(1) if contact and status < 300 else target
        if late and int(number) == 1 and status < 300:
            if inviting:
                inviting, unanswered = None, 1
                log(f"INVITE 1: {first}, with an offer")
                put(body)
            continue
        request("ACK", int(number))
        if inviting is None or int(number) != inviting[0]:
            continue
        log(f"INVITE {number}: {first}")
        inviting = None
        if status >= 300:
            if cseq == 1:
                sys.exit(f"the phone refused: {message}")
            continue
        put(body)
    elif first.startswith("INVITE "):
        if number == answered:
            if last_ok and not asked:
                respond(message, address, "200 OK", last_ok)
            continue
        if inviting:
            respond(message, address, "491 Request Pending")
            continue
        log("the phone's INVITE")
        answered, asked, last_ok = number, (message, address), ""
        respond(message, address, "100 Trying")
        put(body)
    elif first.startswith("BYE "):
        respond(message, address, "200 OK")
        log("the phone hung up")
        break
    elif not first.startswith("ACK "):
        respond(message, address, "200 OK")
