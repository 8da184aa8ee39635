// The load of each bus over time, and the plots of chosen signals.
import { ceiling, draw } from "./draw.js";
import { arrange, el, mark, percent, rate, say } from "./dom.js";

const LOAD_SPAN = 600; // seconds
const KEPT = 600; // seconds of a signal
const MOST = 12; // plots at a time
const CHOSEN = "evercan.signals";
const SPANS = { "1 min": 60, "5 min": 300, "10 min": 600 };

class LoadChart {
  constructor() {
    this.name = el("b");
    this.text = el("span", { class: "soft" });
    this.canvas = el("canvas", { role: "img" });
    this.root = el("figure", { class: "chart" }, el("figcaption", {}, this.name, this.text), this.canvas);
  }
}

export class Loads {
  constructor(root) {
    this.root = root;
    this.charts = new Map();
    this.past = new Map();
  }

  /** Take the history: [time, rate, load] by bus. */
  begin(history) {
    this.past = new Map(Object.entries(history));
  }

  /** Take the newest second of each bus. */
  take(buses) {
    for (const bus of buses) {
      const past = this.past.get(bus.interface) ?? [];
      this.past.set(bus.interface, past);
      if (bus.moment && bus.moment !== past.at(-1)?.[0]) {
        past.push([bus.moment, bus.rate, bus.load]);
        while (past.length > LOAD_SPAN) past.shift();
      }
    }
  }

  show(buses, now) {
    const former = this.charts;
    this.charts = new Map(buses.map((bus) => [bus.interface, former.get(bus.interface) ?? new LoadChart()]));
    arrange(this.root, [...this.charts.values()].map((chart) => chart.root));
    for (const bus of buses) {
      const chart = this.charts.get(bus.interface);
      const past = this.past.get(bus.interface) ?? [];
      const rates = past.map(([time, frames]) => [time, frames]);
      const loads = past.filter((moment) => moment[2] !== null).map(([time, , load]) => [time, 100 * load]);
      const words = [`${rate(bus.rate)} frames/s`];
      if (bus.load !== null) words.push(`load ${percent(bus.load)}`);
      if (bus.peak !== null) words.push(`peak ${percent(bus.peak)}`);
      say(chart.name, bus.interface);
      say(chart.text, words.join(" · "));
      mark(chart.canvas, "aria-label", `${bus.interface}: ${words.join(", ")}`);
      const curves = [{ points: rates, bottom: 0, top: ceiling(Math.max(...rates.map((point) => point[1]), 10)), colour: "curve", unit: " frames/s", zero: true }];
      if (loads.length) curves.push({ points: loads, bottom: 0, top: 100, colour: "second", unit: " % load", zero: true });
      draw(chart.canvas, curves, { now, span: LOAD_SPAN, gap: 5 });
    }
  }
}

class Lane {
  constructor(signal, remove) {
    this.points = [];
    this.labels = new Map();
    this.signal = signal;
    this.period = 1;
    this.value = el("output", { class: "value" });
    this.canvas = el("canvas", { role: "img" });
    this.root = el("figure", { class: "chart lane" },
      el("figcaption", {},
        el("b", {}, signal.name),
        el("span", { class: "soft" }, `${signal.sender} · ${signal.id}`),
        this.value,
        el("button", { class: "close", "aria-label": `Remove the plot of ${signal.name}`, title: "Remove", onclick: remove }, "×")),
      this.canvas);
  }

  add(time, value, text, period) {
    say(this.value, text);
    this.period = period ?? this.period;
    if (value === null) return;
    if (Number.isNaN(Number.parseFloat(text))) this.labels.set(value, text);
    if (this.points.length && time <= this.points.at(-1)[0]) return;
    this.points.push([time, value]);
    if (this.points[0][0] < time - KEPT) this.points = this.points.filter((point) => point[0] >= time - KEPT);
  }

  show(now, span) {
    const seen = this.points.filter((point) => point[0] >= now - span).map((point) => point[1]);
    let bottom = Math.min(...seen), top = Math.max(...seen);
    if (!seen.length) [bottom, top] = [0, 1];
    if (bottom === top) [bottom, top] = [bottom - Math.max(1, Math.abs(bottom) / 10), top + Math.max(1, Math.abs(top) / 10)];
    mark(this.canvas, "aria-label", `${this.signal.name}: ${this.value.textContent}, from ${bottom} to ${top}`);
    const label = (value) => this.labels.get(value);
    draw(this.canvas, [{ points: this.points, bottom, top, colour: "curve", label }], { now, span, gap: Math.max(3, 5 * this.period), step: this.labels.size > 0 });
  }
}

export class Plots {
  constructor(root, spans, changed) {
    this.root = root;
    this.changed = changed;
    this.lanes = new Map();
    this.span = 60;
    this.hint = el("p", { class: "empty" });
    this.buttons = Object.entries(SPANS).map(([text, seconds]) =>
      el("button", { "aria-pressed": String(seconds === this.span), onclick: () => this.choose(seconds) }, text));
    spans.append(...this.buttons);
    this.spans = spans;
    this.wanted = stored();
  }

  choose(seconds) {
    this.span = seconds;
    Object.values(SPANS).forEach((one, place) => mark(this.buttons[place], "aria-pressed", String(one === seconds)));
    this.show(this.now);
  }

  has(key) {
    return this.lanes.has(key);
  }

  toggle(signal) {
    if (this.lanes.has(signal.key)) this.remove(signal.key);
    else this.add([signal]);
  }

  remove(key) {
    this.lanes.delete(key);
    this.store();
  }

  clear() {
    this.lanes.clear();
    this.store();
  }

  add(signals) {
    const fresh = signals.filter((signal) => !this.lanes.has(signal.key)).slice(0, MOST - this.lanes.size);
    for (const signal of fresh) this.lanes.set(signal.key, new Lane(signal, () => this.remove(signal.key)));
    this.store();
    if (fresh.length) this.fetch(fresh.map((signal) => signal.key));
  }

  /** Get the past of signals from the server. */
  async fetch(keys) {
    const query = new URLSearchParams(keys.map((key) => ["key", key]));
    try {
      const answer = await fetch(`signals?${query}`);
      if (!answer.ok) return;
      for (const [key, past] of Object.entries(await answer.json())) {
        const lane = this.lanes.get(key);
        if (!lane) continue;
        const newest = past.at(-1)?.[0] ?? 0;
        lane.points = [...past, ...lane.points.filter((point) => point[0] > newest)];
      }
      this.show(this.now);
    } catch {
      // The plots begin now; the page says that the server does not answer.
    }
  }

  /** Get the past again, after the connection was lost. */
  refresh() {
    if (this.lanes.size) this.fetch([...this.lanes.keys()]);
  }

  store() {
    this.wanted = [...this.lanes.keys()];
    try {
      localStorage.setItem(CHOSEN, JSON.stringify(this.wanted));
    } catch {
      // The browser keeps nothing.
    }
    this.show(this.now);
    this.changed();
  }

  /** Take the values of the ids that have had frames. */
  take(ids, now) {
    const found = [];
    for (const id of ids) {
      for (const [key, name, text, value] of id.signals ?? []) {
        const lane = this.lanes.get(key);
        if (lane) {
          if (lane.count !== id.count) lane.add(now, value, text, id.period);
          lane.count = id.count;
        } else if (this.wanted.includes(key)) {
          found.push({ key, name, sender: id.sender, id: id.id });
        }
      }
    }
    // Those that were plotted when the page was left.
    if (found.length && !this.restored) this.add(found);
    if (ids.length) this.restored = true;
  }

  show(now) {
    if (!now) return;
    this.now = now;
    this.spans.hidden = !this.lanes.size;
    say(this.hint, this.decoded === false
      ? "There is no database of messages: start with --dbc FILE to see signals."
      : "Choose signals below, in the list of ids, to plot them.");
    arrange(this.root, this.lanes.size ? [...this.lanes.values()].map((lane) => lane.root) : [this.hint]);
    for (const lane of this.lanes.values()) lane.show(now, this.span);
  }
}

function stored() {
  try {
    const found = JSON.parse(localStorage.getItem(CHOSEN) ?? "[]");
    return Array.isArray(found) ? found.filter((key) => typeof key === "string") : [];
  } catch {
    return [];
  }
}
