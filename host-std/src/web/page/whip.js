// The endpoint's side of a call (WHIP, RFC 9725).
class Refused extends Error {
  constructor(status, title, detail, retryAfter) {
    super(title);
    Object.assign(this, { status, detail, retryAfter });
  }
}

class Whip {
  constructor(endpoint, token) {
    Object.assign(this, { endpoint, token, url: null, tag: null });
  }

  async ask(url, method, type, body, more) {
    const headers = { ...more };
    if (this.token) headers.Authorization = `Bearer ${this.token}`;
    if (type) headers["Content-Type"] = type;
    const response = await fetch(url, { method, headers, body, cache: "no-store", keepalive: method === "DELETE" });
    if (response.ok) return response;
    let problem = {};
    try {
      problem = await response.json();
    } catch {
      // An answer of somebody in between.
    }
    const title = problem.title || `the server answers ${response.status}`;
    throw new Refused(response.status, title, problem.detail || "", response.headers.get("Retry-After"));
  }

  // Sends the offer; gives the answer.
  async call(offer, name) {
    const query = name ? `?name=${encodeURIComponent(name)}` : "";
    const response = await this.ask(this.endpoint + query, "POST", "application/sdp", offer);
    this.url = new URL(response.headers.get("Location"), response.url).href;
    this.tag = response.headers.get("ETag");
    return response.text();
  }

  // Sends a later offer; gives the answer.
  async reoffer(offer) {
    const response = await this.ask(this.url, "PATCH", "application/sdp", offer, { "If-Match": this.tag });
    this.tag = response.headers.get("ETag");
    return response.text();
  }

  // Sends candidates that were found after the offer.
  trickle(lines) {
    const fragment = lines.map((line) => `${line}\r\n`).join("");
    return this.ask(this.url, "PATCH", "application/trickle-ice-sdpfrag", fragment, { "If-Match": this.tag });
  }

  // Sends the new credentials of an offer that restarts ICE; gives the answer that the last one becomes.
  async restart(offer, lastAnswer) {
    const kept = /^(m=audio|a=(mid|ice-ufrag|ice-pwd|candidate|end-of-candidates))/;
    const first = offer.split(/\r\n(?=m=)/).slice(0, 2).join("\r\n");
    const fragment = first.split("\r\n").filter((line) => kept.test(line)).join("\r\n");
    const type = "application/trickle-ice-sdpfrag";
    const response = await this.ask(this.url, "PATCH", type, `${fragment}\r\n`, { "If-Match": "*" });
    this.tag = response.headers.get("ETag");
    const lines = (await response.text()).split("\r\n");
    const value = (name) => lines.find((line) => line.startsWith(name));
    const candidates = lines.filter((line) => /^a=(candidate:|end-of-candidates)/.test(line));
    let sections = 0;
    const answer = [];
    for (const line of lastAnswer.split("\r\n")) {
      if (/^a=(candidate:|end-of-candidates)/.test(line)) continue;
      if (line.startsWith("m=")) sections += 1;
      if (line.startsWith("a=ice-ufrag:")) answer.push(value("a=ice-ufrag:"));
      else if (line.startsWith("a=ice-pwd:")) answer.push(value("a=ice-pwd:"), ...(sections === 1 ? candidates : []));
      else answer.push(line);
    }
    return answer.join("\r\n");
  }

  async stats() {
    return (await this.ask(`${this.url}/stats`, "GET")).json();
  }

  end() {
    return this.url ? this.ask(this.url, "DELETE") : Promise.resolve();
  }
}
