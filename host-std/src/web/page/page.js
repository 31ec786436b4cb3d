// The page: one call at a time, and what is to be seen and heard of it. Text from outside is only ever put in as text.
const settings = JSON.parse(document.body.dataset.settings);
const $ = (id) => document.getElementById(id);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

const CONSTRAINTS = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };
const KEYS = ["1", "2", "3", "4", "5", "6", "7", "8", "9", "*", "0", "#"];
// So long candidates are waited for before the offer leaves; what comes later is sent after it.
const GATHERING_MS = 300;
// So long a way may be lost before another is looked for, and so long that is tried.
const LOST_MS = 3000;
const GIVE_UP_MS = 30000;
const FULL_SCALE_DB = 60;

let call = null;
const graphs = {
  delay: new Graph($("graphs"), "Delay", "ms", 0, 200),
  loss: new Graph($("graphs"), "Lost", "%", 0, 5),
  concealed: new Graph($("graphs"), "Made up", "%", 0, 5),
  mos: new Graph($("graphs"), "Opinion (MOS)", "", 1, 3.5),
};

function show(kind, words, hint) {
  $("state").dataset.kind = kind;
  if ($("state").textContent !== words) $("state").textContent = words;
  $("hint").textContent = hint || "";
  $("hint").hidden = !hint;
}

function buttons(calling) {
  $("call").textContent = calling ? "Hang up" : "Call";
  $("call").dataset.hangsUp = calling;
  for (const id of ["mute", "hold"]) {
    $(id).disabled = !calling;
    $(id).setAttribute("aria-pressed", "false");
  }
  $("keys").querySelectorAll("button").forEach((key) => (key.disabled = !calling));
  $("token").disabled = $("name").disabled = calling;
}

// Why there is no microphone, in words.
function microphoneHint(error) {
  switch (error.name) {
    case "NotAllowedError":
      return "This page may not use it. Allow the microphone in the browser's address bar, and call again.";
    case "NotFoundError":
      return "There is none, or it is switched off. Plug one in, and call again.";
    case "NotReadableError":
      return "Another program has it. Close that, and call again.";
    case "OverconstrainedError":
      return "The one that is chosen is gone. Choose another below, and call again.";
    default:
      return error.message;
  }
}

// Firefox looks for no way to the machine's own loopback, and doesn't say so.
function lostWay() {
  const own = ["localhost", "127.0.0.1", "[::1]"].includes(location.hostname);
  if (!own || !navigator.userAgent.includes("Firefox")) return "";
  return " Firefox finds no way to 127.0.0.1: start the server with --listen 0.0.0.0:8443 --tls self, and open that address.";
}

// Why the server refuses, in words.
function refusal(error) {
  if (error.status === 401) return "The token is wrong. It is the one that the server was started with.";
  const text = error.detail ? `${error.message}: ${error.detail}.` : `${error.message}.`;
  return text[0].toUpperCase() + text.slice(1);
}

async function microphone() {
  if (!navigator.mediaDevices) {
    const error = new Error("A browser gives its microphone only to pages of its own machine and to those over HTTPS. " +
      "Start the server with --tls self, and open its https address.");
    error.name = "Insecure";
    throw error;
  }
  const chosen = $("microphone").value;
  const audio = { ...CONSTRAINTS, ...(chosen ? { deviceId: { exact: chosen } } : {}) };
  return navigator.mediaDevices.getUserMedia({ audio });
}

async function listDevices() {
  if (!navigator.mediaDevices) return;
  const devices = await navigator.mediaDevices.enumerateDevices();
  for (const [id, kind] of [["microphone", "audioinput"], ["speaker", "audiooutput"]]) {
    const select = $(id);
    const chosen = select.value;
    while (select.options.length > 1) select.remove(1);
    for (const device of devices.filter((one) => one.kind === kind && one.deviceId && one.deviceId !== "default")) {
      select.add(new Option(device.label || `device ${select.options.length}`, device.deviceId));
    }
    select.value = chosen;
    if (select.selectedIndex < 0) select.selectedIndex = 0;
  }
}

class PageCall {
  constructor(stream) {
    this.stream = stream;
    this.whip = new Whip(settings.endpoint, $("token").value);
    this.pc = new RTCPeerConnection({ bundlePolicy: "max-bundle", iceServers: settings.iceServers });
    this.late = [];
    this.over = false;
    this.held = false;
    this.lostAt = null;
    this.windows = { ours: [], theirs: [] };
  }

  async start() {
    const { pc } = this;
    this.transceiver = pc.addTransceiver(this.stream.getAudioTracks()[0], { direction: "sendrecv", streams: [this.stream] });
    this.sender = this.transceiver.sender;
    pc.ontrack = ({ track }) => this.hear(track);
    pc.onicecandidate = ({ candidate }) => this.found(candidate);
    pc.onconnectionstatechange = () => this.wayChanged();
    await pc.setLocalDescription();
    if (pc.iceGatheringState !== "complete") {
      const done = new Promise((resolve) => pc.addEventListener("icegatheringstatechange",
        () => pc.iceGatheringState === "complete" && resolve()));
      await Promise.race([done, sleep(GATHERING_MS)]);
    }
    const offer = pc.localDescription.sdp;
    const answer = await this.whip.call(offer, settings.room ? $("name").value.trim() : "");
    await pc.setRemoteDescription({ type: "answer", sdp: answer });
    // What the offer has is known; the rest goes after it.
    this.late = this.late.filter((line) => !offer.includes(line));
    this.answered = true;
    this.sendLate();
  }

  found(candidate) {
    if (!candidate || !candidate.candidate) return;
    this.late.push(`a=${candidate.candidate}`);
    this.sendLate();
  }

  sendLate() {
    if (!this.answered || this.restarting || this.late.length === 0) return;
    const lines = [`a=mid:${this.transceiver.mid}`, ...this.late.splice(0)];
    this.whip.trickle(lines).catch(() => {});
  }

  hear(track) {
    const heard = new MediaStream([track]);
    $("audio").srcObject = heard;
    $("audio").play().catch(() => show("waiting", "The browser plays no sound yet.", "Press any button of this page."));
    this.levels = new Levels(this.stream, heard);
  }

  wayChanged() {
    const state = this.pc.connectionState;
    if (state === "connected") {
      this.lostAt = null;
    } else if ((state === "disconnected" || state === "failed") && !this.lostAt) {
      this.lostAt = performance.now();
      show("waiting", "The way to the server is lost. Looking for another…");
    }
  }

  // Looks for another way while there is none.
  async repair() {
    if (!this.lostAt || this.restarting || this.over) return;
    const since = performance.now() - this.lostAt;
    if (since > GIVE_UP_MS) {
      finish("bad", "The call is lost.", "The server doesn't answer any more. Check the network, and call again.");
      $("report").hidden = true;
    } else if (since > LOST_MS) {
      await this.restart().catch(() => {});
    }
  }

  async restart() {
    const { pc } = this;
    this.restarting = true;
    this.late = [];
    try {
      if (pc.signalingState === "have-local-offer") await pc.setLocalDescription({ type: "rollback" });
      const last = pc.remoteDescription.sdp;
      await pc.setLocalDescription(await pc.createOffer({ iceRestart: true }));
      await sleep(GATHERING_MS);
      const offer = pc.localDescription.sdp;
      const answer = await this.whip.restart(offer, last);
      await pc.setRemoteDescription({ type: "answer", sdp: answer });
      this.late = this.late.filter((line) => !offer.includes(line));
      // Another try if this comes to nothing either.
      if (this.lostAt) this.lostAt = Math.max(this.lostAt, performance.now() - LOST_MS - 1);
    } finally {
      this.restarting = false;
      this.sendLate();
    }
  }

  async hold(held) {
    const before = this.transceiver.direction;
    this.transceiver.direction = held ? "inactive" : "sendrecv";
    try {
      await this.pc.setLocalDescription();
      const answer = await this.whip.reoffer(this.pc.localDescription.sdp);
      await this.pc.setRemoteDescription({ type: "answer", sdp: answer });
      this.held = held;
    } catch (error) {
      if (this.pc.signalingState === "have-local-offer") await this.pc.setLocalDescription({ type: "rollback" });
      this.transceiver.direction = before;
      throw error;
    }
  }

  mute(muted) {
    this.stream.getAudioTracks().forEach((track) => (track.enabled = !muted));
  }

  press(key) {
    if (this.sender.dtmf && this.sender.dtmf.canInsertDTMF) {
      this.sender.dtmf.insertDTMF(this.sender.dtmf.toneBuffer + key, 120, 80);
    } else {
      show($("state").dataset.kind, $("state").textContent, "This browser sends no keys.");
    }
  }

  async changeMicrophone() {
    const stream = await microphone();
    const track = stream.getAudioTracks()[0];
    track.enabled = $("mute").getAttribute("aria-pressed") !== "true";
    await this.sender.replaceTrack(track);
    this.stream.getTracks().forEach((old) => old.stop());
    this.stream = stream;
    this.levels?.setYou(stream);
  }

  close() {
    this.over = true;
    this.levels?.close();
    this.pc.close();
    this.stream.getTracks().forEach((track) => track.stop());
    $("audio").srcObject = null;
  }
}

// How loud both sides are, some 15 times a second.
class Levels {
  constructor(you, other) {
    this.context = new AudioContext();
    this.context.resume().catch(() => {});
    this.other = this.listen(other);
    this.setYou(you);
    this.timer = setInterval(() => {
      this.draw("you", this.you);
      this.draw("other", this.other);
    }, 66);
  }

  listen(stream) {
    const analyser = this.context.createAnalyser();
    analyser.fftSize = 2048;
    const source = this.context.createMediaStreamSource(stream);
    source.connect(analyser);
    return { source, analyser, samples: new Float32Array(analyser.fftSize) };
  }

  setYou(stream) {
    this.you?.source.disconnect();
    this.you = this.listen(stream);
  }

  draw(id, { analyser, samples }) {
    analyser.getFloatTimeDomainData(samples);
    const power = samples.reduce((sum, sample) => sum + sample * sample, 0) / samples.length;
    setLevel(id, 10 * Math.log10(power + 1e-9));
  }

  close() {
    clearInterval(this.timer);
    this.context.close();
    setLevel("you", -FULL_SCALE_DB);
    setLevel("other", -FULL_SCALE_DB);
  }
}

function setLevel(id, db) {
  const value = Math.min(Math.max(db, -FULL_SCALE_DB), 0);
  const meter = $(id);
  meter.setAttribute("aria-valuenow", value.toFixed(0));
  meter.setAttribute("aria-valuetext", `${value.toFixed(0)} dB of full scale`);
  meter.firstElementChild.style.transform = `scaleX(${1 + value / FULL_SCALE_DB})`;
}

// The opinion that ITU-T G.107 has of a delay in ms and of a share of lost packets, for a codec that conceals; simplified.
function opinion(delayMs, lost) {
  const delay = 0.024 * delayMs + (delayMs > 177.3 ? 0.11 * (delayMs - 177.3) : 0);
  const loss = (95 * lost * 100) / (lost * 100 + 20);
  const r = 93.2 - delay - loss;
  if (r <= 0) return 1;
  return 1 + 0.035 * r + 7e-6 * r * (r - 60) * (100 - r);
}

// The growth of each total over the last five seconds.
function growth(window, totals) {
  window.push(totals);
  if (window.length > 6) window.shift();
  const first = window[0];
  return Object.fromEntries(Object.entries(totals).map(([name, value]) => [name, value - first[name]]));
}

const share = (part, whole) => (whole > 0 ? part / whole : NaN);

async function browserNumbers(pc) {
  const stats = await pc.getStats();
  let inbound = null;
  let pair = null;
  for (const one of stats.values()) {
    if (one.type === "inbound-rtp" && one.kind === "audio") inbound = one;
    if (one.type === "candidate-pair" && one.nominated && one.state === "succeeded") pair = one;
  }
  return { inbound, roundTripMs: pair && pair.currentRoundTripTime !== undefined ? pair.currentRoundTripTime * 1000 : null };
}

function drawQuality(told, browser) {
  const { received } = told;
  const ours = growth(call.windows.ours, {
    packets: received.packets, lost: received.lost, played: received.played_samples, concealed: received.concealed_samples,
  });
  const roundTrip = received.round_trip_ms ?? browser.roundTripMs;
  const halfWay = (roundTrip ?? 0) / 2;
  let theirs = { loss: NaN, concealed: NaN, delay: NaN, mos: NaN };
  if (browser.inbound) {
    const { inbound } = browser;
    const grown = growth(call.windows.theirs, {
      packets: inbound.packetsReceived, lost: inbound.packetsLost, samples: inbound.totalSamplesReceived ?? 0,
      concealed: (inbound.concealedSamples ?? 0) - (inbound.silentConcealedSamples ?? 0),
      delay: inbound.jitterBufferDelay, emitted: inbound.jitterBufferEmittedCount,
    });
    const loss = share(Math.max(grown.lost, 0), grown.packets + Math.max(grown.lost, 0));
    const concealed = share(Math.max(grown.concealed, 0), grown.samples);
    const delay = share(grown.delay, grown.emitted) * 1000 + halfWay;
    theirs = { loss, concealed, delay, mos: grown.packets > 0 ? opinion(delay, concealed) : NaN };
  }
  graphs.delay.add(received.packets > 0 ? received.delay_ms + halfWay : NaN, theirs.delay);
  graphs.loss.add(100 * share(ours.lost, ours.packets + ours.lost), 100 * theirs.loss);
  graphs.concealed.add(100 * share(ours.concealed, ours.played), 100 * theirs.concealed);
  graphs.mos.add(received.mos_cq ?? received.mos_lq, theirs.mos);
  const facts = [told.codec, told.protection, roundTrip === null ? "" : `${roundTrip.toFixed(0)} ms there and back`];
  $("facts").textContent = facts.filter(Boolean).join(" · ");
}

function texts(list, items, fill) {
  while (list.children.length > items.length) list.lastElementChild.remove();
  items.forEach((item, n) => {
    const element = list.children[n] || list.appendChild(document.createElement("li"));
    fill(element, item);
  });
}

function draw(told) {
  const seconds = Math.floor(told.elapsed_ms / 1000);
  const time = `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, "0")}`;
  const muted = $("mute").getAttribute("aria-pressed") === "true";
  if (told.state === "ended") {
    const well = told.ended_well;
    finish(well ? "idle" : "bad", well ? "The call has ended." : "The call was ended.", well ? "" : `Why: ${told.words}.${told.received.packets ? "" : lostWay()}`);
  } else if (call.lostAt) {
    // It says so already.
  } else if (told.state === "connecting") {
    show("waiting", "Looking for a way to the server…");
  } else if (told.state === "held") {
    show("held", `On hold, ${time}`);
  } else if (told.state === "talking") {
    show("talking", muted ? `Connected, ${time}; you are muted` : `Connected, ${time}`);
  } else {
    show("waiting", `${told.words}…`);
  }
  $("digits").textContent = told.digits || "none";
  texts($("findings"), told.findings, (element, text) => (element.textContent = text));
  if (told.people) {
    texts($("people"), told.people, (element, person) => {
      const name = person.name || `Guest ${person.number}`;
      const text = `${name}${person.you ? " (you)" : ""}${person.speaks ? " speaks" : ""}`;
      if (element.textContent !== text) element.textContent = text;
      element.dataset.speaks = person.speaks;
    });
  }
}

async function watch(own) {
  for (let n = 0; call === own; n += 1) {
    try {
      const [told, browser] = await Promise.all([own.whip.stats(), browserNumbers(own.pc)]);
      if (call !== own) return;
      draw(told);
      if (call === own && n % (settings.room ? 3 : 1) === 0) drawQuality(told, browser);
    } catch (error) {
      if (call !== own) return;
      if (error instanceof Refused) {
        finish("bad", "The call is over.", refusal(error));
      } else if (!own.lostAt && own.pc.connectionState !== "connected") {
        own.lostAt = performance.now();
      }
    }
    await own.repair();
    await sleep(settings.room ? 333 : 1000);
  }
}

function finish(kind, words, hint) {
  const own = call;
  call = null;
  own?.close();
  buttons(false);
  show(kind, words, hint);
  if (own?.whip.url) {
    own.whip.end().catch(() => {});
    $("report").href = `${own.whip.url}/report.html`;
    $("report").hidden = false;
  }
  texts($("people"), [], () => {});
}

async function begin() {
  let stream;
  buttons(true);
  $("report").hidden = true;
  $("call").disabled = true;
  Object.values(graphs).forEach((graph) => graph.clear());
  try {
    show("waiting", "Waiting for the microphone…");
    stream = await microphone();
  } catch (error) {
    $("call").disabled = false;
    return finish("bad", "There is no microphone.", microphoneHint(error));
  }
  listDevices();
  const own = new PageCall(stream);
  call = own;
  try {
    show("waiting", "Calling…");
    await own.start();
  } catch (error) {
    $("call").disabled = false;
    if (call !== own) return;
    const again = error.retryAfter ? ` Try again in ${error.retryAfter} s.` : "";
    const unreachable = error instanceof TypeError ? "The server doesn't answer." : "";
    const hint = unreachable || refusal(error) + again;
    return finish("bad", "The call was refused.", hint);
  }
  $("call").disabled = false;
  $("report").href = `${own.whip.url}/report.html`;
  $("report").hidden = false;
  watch(own);
}

function toggled(button) {
  const on = button.getAttribute("aria-pressed") !== "true";
  button.setAttribute("aria-pressed", String(on));
  return on;
}

function setUp() {
  $("with").textContent = settings.with;
  $("room").hidden = !settings.room;
  $("name-field").hidden = !settings.room;
  $("token-field").hidden = !settings.token;
  // Behind # it isn't sent to any server.
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) {
    $("token").value = token;
    history.replaceState(null, "", location.pathname + location.search);
  }
  $("form").onsubmit = (event) => {
    event.preventDefault();
    if (call) finish("idle", "The call has ended.");
    else begin();
  };
  $("mute").onclick = () => {
    const muted = toggled($("mute"));
    call?.mute(muted);
  };
  $("hold").onclick = async () => {
    const own = call;
    if (!own) return;
    $("hold").disabled = true;
    const held = toggled($("hold"));
    try {
      await own.hold(held);
    } catch (error) {
      toggled($("hold"));
      show($("state").dataset.kind, $("state").textContent, `${held ? "Hold" : "Resume"} was refused: ${error.message}`);
    }
    $("hold").disabled = call !== own;
  };
  for (const key of KEYS) {
    const button = $("keys").appendChild(document.createElement("button"));
    button.type = "button";
    button.textContent = key;
    button.setAttribute("aria-label", { "*": "star", "#": "hash" }[key] || key);
    button.onclick = () => call?.press(key);
  }
  $("volume").oninput = () => ($("audio").volume = $("volume").value / 100);
  $("microphone").onchange = () => call?.changeMicrophone().catch((error) => show("bad", "There is no microphone.", microphoneHint(error)));
  if ($("audio").setSinkId) $("speaker").onchange = () => $("audio").setSinkId($("speaker").value).catch(() => {});
  else $("speaker-field").hidden = true;
  navigator.mediaDevices?.addEventListener("devicechange", listDevices);
  listDevices().catch(() => {});
  addEventListener("pagehide", () => call?.whip.end().catch(() => {}));
  buttons(false);
}

setUp();
