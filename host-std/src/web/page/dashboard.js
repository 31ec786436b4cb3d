// The page of all calls: asks for their numbers each second, and shows them. Text from outside is only ever put in as text.
const settings = JSON.parse(document.body.dataset.settings);
const $ = (id) => document.getElementById(id);
const WHO = ["here", "the other side"];
// Each with the lines' values in a moment.
const GRAPHS = [
  ["Delay", "ms", 0, 200, "delay_ms", "remote_delay_ms"],
  ["Lost", "%", 0, 5, "lost_percent", "remote_lost_percent"],
  ["Made up", "%", 0, 5, "concealed_percent", null],
  ["Level", "dB", -60, 60, "level_dbov", "microphone_dbov"],
  ["Opinion (MOS)", "", 1, 3.5, "mos", "remote_mos"],
];
const shown = new Map();
let paused = false;
let told = null;

const show = (element, text) => {
  if (element.textContent !== text) element.textContent = text;
};

function make(parent, tag, kind, text) {
  const element = parent.appendChild(document.createElement(tag));
  if (kind) element.className = kind;
  if (text) element.textContent = text;
  return element;
}

function time(ms) {
  const seconds = Math.floor(ms / 1000);
  const two = (number) => String(number).padStart(2, "0");
  const hours = Math.floor(seconds / 3600);
  const minutes = Math.floor(seconds / 60) % 60;
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds % 60)}` : `${minutes}:${two(seconds % 60)}`;
}

const number = (value, digits, unit) => (Number.isFinite(value) ? `${value.toFixed(digits)}${unit}` : "unknown");

// The totals of a call, as its report has them.
function numbers(figures) {
  const share = (part, whole) => (whole > 0 ? ` (${((100 * part) / whole).toFixed(1)} %)` : "");
  const expected = figures.packets_received + figures.packets_lost;
  const rows = [
    ["Packets received", String(figures.packets_received)],
    ["Packets sent", String(figures.packets_sent)],
    ["Packets lost", figures.packets_lost + share(figures.packets_lost, expected)],
    ["Packets too late", String(figures.packets_late)],
    ["Made up", number(figures.concealed_ms / 1000, 2, " s") + share(figures.concealed_ms, figures.played_ms)],
    ["Wait in the buffer", number(figures.target_delay_ms, 0, " ms")],
    ["Jitter", number(figures.jitter_ms, 1, " ms")],
    ["Round trip", number(figures.round_trip_ms ?? NaN, 1, " ms")],
    ["MOS to listen to", number(figures.mos_lq ?? NaN, 2, "")],
    ["MOS with delay", number(figures.mos_cq ?? NaN, 2, "")],
    ["Lost by the other side", number((figures.remote_fraction_lost ?? NaN) * 100, 1, " %")],
    ["Refused by SRTP", String(figures.packets_refused)],
  ];
  for (const [name, sound] of Object.entries(figures.sound || {})) {
    if (sound && Number.isFinite(sound.active_level_dbov)) {
      rows.push([`Speech, ${name}`, number(sound.active_level_dbov, 1, " dBov")]);
    }
  }
  return rows;
}

class Call {
  constructor(call) {
    const id = `call-${call.number}`;
    this.last = -1;
    this.kind = null;
    this.heard = [];
    this.element = document.createElement("article");
    this.element.className = "call";
    this.element.setAttribute("aria-labelledby", id);
    const head = make(this.element, "header");
    const title = make(head, "h2", null, `Call ${call.number} `);
    title.id = id;
    make(title, "span", null, call.name);
    this.state = make(head, "p", "state");
    this.facts = make(this.element, "p", "note facts");
    this.findings = make(this.element, "ul", "findings");
    this.findings.setAttribute("aria-label", "What is wrong with the sound");
    const graphs = make(this.element, "div", "graphs");
    this.graphs = GRAPHS.map(([name, unit, from, least, , theirs]) => {
      return new Graph(graphs, name, unit, from, least, theirs ? WHO : WHO.slice(0, 1));
    });
    const details = make(this.element, "details");
    make(details, "summary", null, "All numbers so far");
    this.numbers = make(details, "dl", "numbers");
  }

  draw(call) {
    for (const moment of call.moments.filter(({ at_ms }) => at_ms > this.last)) {
      GRAPHS.forEach(([, , , , ours, theirs], n) => this.graphs[n].add(moment[ours], theirs && moment[theirs]));
      this.last = moment.at_ms;
    }
    this.element.dataset.over = call.state === "ended";
    this.state.dataset.kind = call.state;
    show(this.state, `${call.words}, ${time(call.elapsed_ms)}`);
    const { round_trip_ms: trip } = call.figures;
    const way = trip === null ? "" : `${trip.toFixed(0)} ms there and back`;
    show(this.facts, [call.codec, call.protection, way].filter(Boolean).join(" · "));
    if (this.heard.join() !== call.findings.join()) {
      this.findings.replaceChildren();
      call.findings.forEach((text) => make(this.findings, "li", null, text));
    }
    const rows = numbers(call.figures);
    while (this.numbers.children.length > rows.length) this.numbers.lastElementChild.remove();
    rows.forEach(([name, value], n) => {
      const row = this.numbers.children[n] || make(this.numbers, "div");
      show(row.children[0] || make(row, "dt"), name);
      show(row.children[1] || make(row, "dd"), value);
    });
    return this.news(call);
  }

  // What a listener should know that has changed: numbers that grow in a sentence are none.
  news(call) {
    const words = (text) => text.replace(/[0-9.,:]+/g, "");
    const known = this.heard.map(words);
    const found = call.findings.filter((text) => !known.includes(words(text)));
    this.heard = call.findings;
    if (this.kind !== call.state) found.unshift(call.words);
    this.kind = call.state;
    return found.map((text) => `Call ${call.number}: ${text}.`);
  }
}

function draw({ calls, not_told: more }) {
  const running = calls.filter(({ state }) => state !== "ended").length;
  const words = running === 1 ? "1 call" : `${running + more} calls`;
  show($("head"), running > 0 ? words : "Calls");
  document.title = `Media Core: ${words}`;
  $("none").hidden = calls.length > 0;
  $("more").hidden = more === 0;
  show($("more"), more > 0 ? `${more} more calls are not shown.` : "");
  const there = new Set(calls.map((call) => call.number));
  for (const [key, call] of shown) {
    if (!there.has(key)) {
      call.element.remove();
      shown.delete(key);
    }
  }
  const news = [];
  calls.forEach((call, n) => {
    if (!shown.has(call.number)) shown.set(call.number, new Call(call));
    const own = shown.get(call.number);
    const place = $("calls").children[n];
    if (place !== own.element) $("calls").insertBefore(own.element, place || null);
    news.push(...own.draw(call));
  });
  if (news.length > 0) show($("news"), news.join(" "));
}

function hint(text) {
  show($("hint"), text);
  $("hint").hidden = !text;
}

async function look() {
  const token = $("token").value;
  if (settings.token && !token) {
    $("form").hidden = false;
    return;
  }
  try {
    const headers = token ? { Authorization: `Bearer ${token}` } : {};
    // All that is kept, where nothing is known or seconds are missing.
    const all = told === null || performance.now() - told > 2500;
    const response = await fetch(settings.data + (all ? "?all" : ""), { headers, cache: "no-store" });
    if (response.status === 401) {
      $("token").value = "";
      $("form").hidden = false;
      return hint("The token is wrong. It is the one that the program was started with.");
    }
    if (!response.ok) return hint(`The program answers ${response.status}: ${(await response.json()).title}.`);
    const answer = await response.json();
    $("form").hidden = true;
    hint("");
    told = performance.now();
    draw(answer);
  } catch {
    hint("The program doesn't answer any more. It may have ended; what is shown here is old.");
  }
}

async function watch() {
  for (;;) {
    if (!paused) await look();
    await new Promise((done) => setTimeout(done, 1000));
  }
}

function setUp() {
  // Behind # it isn't sent to any server.
  const token = new URLSearchParams(location.hash.slice(1)).get("token");
  if (token) {
    $("token").value = token;
    history.replaceState(null, "", location.pathname + location.search);
  }
  $("form").onsubmit = (event) => {
    event.preventDefault();
    look();
  };
  $("pause").onclick = () => {
    paused = !paused;
    $("pause").setAttribute("aria-pressed", String(paused));
    show($("pause"), paused ? "Go on" : "Pause");
  };
  watch();
}

setUp();
