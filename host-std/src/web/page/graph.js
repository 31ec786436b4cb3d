"use strict";

// A small graph of the last minute: two lines, the server's and the browser's, and their last values in words.
class Graph {
  static POINTS = 60;

  // `least` is the least height of the scale; `from` where it begins; `who` whose the lines are: two, or one.
  constructor(place, name, unit, from, least, who = ["the server", "you"]) {
    Object.assign(this, { name, unit, from, least, who, ours: [], theirs: [] });
    const make = (parent, tag, kind) => {
      const element = document.createElement(tag);
      if (kind) element.className = kind;
      return parent.appendChild(element);
    };
    this.figure = make(place, "figure", "graph");
    const caption = make(this.figure, "figcaption");
    make(caption, "span").textContent = unit ? `${name}, ${unit}` : name;
    this.values = make(caption, "span", "values");
    this.oursText = make(this.values, "span", "ours");
    if (who[1]) this.values.append(" · ");
    this.theirsText = make(this.values, "span", "theirs");
    const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
    svg.setAttribute("viewBox", "0 0 100 40");
    svg.setAttribute("preserveAspectRatio", "none");
    svg.setAttribute("aria-hidden", "true");
    this.paths = ["ours", "theirs"].map((kind) => {
      const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
      path.setAttribute("class", kind);
      return svg.appendChild(path);
    });
    this.figure.append(svg);
    this.draw();
  }

  clear() {
    this.ours = [];
    this.theirs = [];
    this.draw();
  }

  // A second's values; `null` where there is none.
  add(ours, theirs) {
    const known = (value) => (Number.isFinite(value) ? value : null);
    this.ours = [...this.ours, known(ours)].slice(-Graph.POINTS);
    this.theirs = [...this.theirs, known(theirs)].slice(-Graph.POINTS);
    this.draw();
  }

  draw() {
    const all = [...this.ours, ...this.theirs].filter((value) => value !== null);
    const top = Math.max(this.from + this.least, ...all);
    const line = (values) => {
      let pen = "M";
      const parts = values.map((value, n) => {
        if (value === null) {
          pen = "M";
          return "";
        }
        const x = 100 - ((values.length - 1 - n) * 100) / (Graph.POINTS - 1);
        const y = 37 - (Math.max(value - this.from, 0) * 34) / (top - this.from);
        const part = `${pen}${x.toFixed(2)} ${y.toFixed(2)}`;
        pen = "L";
        return part;
      });
      return parts.join("");
    };
    const digits = ["ms", "dB"].includes(this.unit) ? 0 : 1;
    const last = (values) => {
      const value = values.at(-1);
      return value === undefined || value === null ? "–" : value.toFixed(digits);
    };
    [this.ours, this.theirs].forEach((values, n) => this.paths[n].setAttribute("d", line(values)));
    this.oursText.textContent = last(this.ours);
    this.theirsText.textContent = this.who[1] ? last(this.theirs) : "";
    const words = [this.ours, this.theirs].map((values, n) => `${this.who[n]} ${last(values)}`);
    this.values.setAttribute("aria-label", words.slice(0, this.who.length).join(", "));
  }
}
