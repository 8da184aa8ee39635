// The ids with their data and signals.
import { arrange, count, el, mark, milliseconds, rate, say } from "./dom.js";

const SHOWN = 200; // ids at a time
const SORTS = ["id", "sender", "rate", "count"];

class Row {
  constructor(owner) {
    this.owner = owner;
    this.chips = new Map();
    this.id = el("b", { class: "id" });
    this.sender = el("span", { class: "sender" });
    this.message = el("span", { class: "message" });
    this.counted = el("span", { class: "number counted", title: "frames so far" });
    this.rate = el("span", { class: "number rate", title: "frames per second" });
    this.period = el("span", { class: "number period", title: "period" });
    this.jitter = el("span", { class: "number jitter", title: "jitter" });
    this.data = el("code", { class: "data" });
    this.signals = el("div", { class: "signals" });
    this.error = el("span", { class: "decode-error" });
    this.root = el("div", { class: "idrow", role: "listitem", tabindex: "-1" },
      this.id, this.sender, this.message, this.counted, this.rate, this.period, this.jitter, this.data, this.signals);
    this.root.row = this;
  }

  update(id) {
    this.last = id;
    say(this.id, id.id);
    say(this.sender, id.sender);
    mark(this.sender, "title", id.sender);
    say(this.message, id.message ?? "");
    say(this.counted, `${count(id.count)}×`);
    say(this.rate, id.silent ? "silent" : id.period ? `${rate(1 / id.period)}/s` : "–");
    say(this.period, milliseconds(id.period));
    say(this.jitter, `± ${milliseconds(id.jitter)}`);
    mark(this.root, "data-silent", id.silent ? "" : null);
    this.write(id);
    this.decode(id);
  }

  write(id) {
    const bytes = id.data.startsWith("remote") ? [id.data] : id.data.split(" ").filter(Boolean);
    if (this.data.childElementCount !== bytes.length) {
      this.data.replaceChildren(...bytes.map(() => el("span")));
    }
    bytes.forEach((byte, place) => {
      const shown = this.data.children[place];
      say(shown, byte);
      mark(shown, "class", id.changed.includes(place) ? "changed" : null);
    });
  }

  decode(id) {
    const signals = id.signals ?? [];
    const wanted = [];
    for (const [key, name, text, value] of signals) {
      let chip = this.chips.get(key);
      if (!chip) {
        chip = el("button", { class: "chip", tabindex: "-1" }, el("span", {}, name), el("b"));
        chip.addEventListener("click", () => this.owner.plots.toggle(chip.signal));
        this.chips.set(key, chip);
      }
      chip.signal = { key, name, sender: id.sender, id: id.id };
      chip.disabled = value === null;
      say(chip.lastChild, text);
      mark(chip, "aria-pressed", String(this.owner.plots.has(key)));
      mark(chip, "title", this.owner.plots.has(key) ? "Remove its plot" : "Plot it");
      wanted.push(chip);
    }
    say(this.error, id.error ?? "");
    arrange(this.signals, id.error ? [...wanted, this.error] : wanted);
  }
}

export class Ids {
  constructor(root, { filter, sort, counted, plots }) {
    Object.assign(this, { root, filter, counted, plots });
    this.rows = new Map();
    this.by = 0;
    this.buttons = SORTS.map((name, place) => el("button", { "aria-pressed": String(place === 0), onclick: () => this.sortBy(place) }, name));
    sort.append(el("span", { class: "soft" }, "sort by"), ...this.buttons);
    filter.addEventListener("input", () => this.search());
    root.addEventListener("keydown", (event) => this.press(event));
    this.nothing = el("p", { class: "empty" });
  }

  sortBy(place) {
    this.by = place % SORTS.length;
    this.buttons.forEach((button, one) => mark(button, "aria-pressed", String(one === this.by)));
    this.show();
  }

  /** Show the ids that have the filter's words; the first of them gets the focus next. */
  search() {
    for (const row of this.root.querySelectorAll('.idrow[tabindex="0"]')) row.tabIndex = -1;
    this.show();
  }

  take(ids) {
    this.ids = ids;
    this.show();
  }

  chosen() {
    const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const found = this.ids.filter((id) => {
      if (!words.length) return true;
      const text = `${id.id} ${id.sender} ${id.message ?? ""} ${(id.signals ?? []).map((signal) => signal[1]).join(" ")}`.toLowerCase();
      return words.every((word) => text.includes(word));
    });
    if (SORTS[this.by] === "sender") found.sort((a, b) => a.sender < b.sender ? -1 : a.sender > b.sender ? 1 : 0);
    if (SORTS[this.by] === "rate") found.sort((a, b) => (a.period ?? Infinity) - (b.period ?? Infinity));
    if (SORTS[this.by] === "count") found.sort((a, b) => b.count - a.count);
    return found;
  }

  show() {
    if (!this.ids) return;
    const found = this.chosen();
    const shown = found.slice(0, SHOWN);
    const former = this.rows;
    this.rows = new Map();
    for (const id of shown) {
      const key = `${id.bus}/${id.sender}/${id.id}`;
      const row = former.get(key) ?? new Row(this);
      this.rows.set(key, row);
      row.update(id);
    }
    say(this.nothing, this.ids.length ? "No id has all of these words." : "No frames yet.");
    // Moving a row would take the focus from it.
    const focused = document.activeElement;
    arrange(this.root, shown.length ? [...this.rows.values()].map((row) => row.root) : [this.nothing]);
    if (this.root.contains(focused) && focused !== document.activeElement) focused.focus({ preventScroll: true });
    const first = this.root.querySelector('.idrow[tabindex="0"]');
    if (!first && this.root.firstElementChild?.row) this.root.firstElementChild.tabIndex = 0;
    const filtered = found.length < this.ids.length ? `${found.length} of ${this.ids.length} ids` : `${this.ids.length} ids`;
    say(this.counted, found.length > SHOWN ? `${filtered}, the first ${SHOWN}` : filtered);
  }

  press(event) {
    const row = event.target.closest(".idrow");
    if (!row || event.ctrlKey || event.altKey || event.metaKey) return;
    const chips = [...row.querySelectorAll(".chip:not(:disabled)")];
    const place = chips.indexOf(event.target);
    const go = {
      ArrowDown: () => row.nextElementSibling,
      ArrowUp: () => row.previousElementSibling,
      Home: () => this.root.firstElementChild,
      End: () => this.root.lastElementChild,
      ArrowRight: () => chips[place + 1] ?? event.target,
      ArrowLeft: () => chips[place - 1] ?? row,
    }[event.key];
    if (go) {
      event.preventDefault();
      this.focus(go());
    } else if (event.key === "Enter" && event.target === row && chips.length) {
      event.preventDefault();
      const signals = chips.map((chip) => chip.signal);
      if (signals.every((signal) => this.plots.has(signal.key))) for (const signal of signals) this.plots.remove(signal.key);
      else this.plots.add(signals);
    }
  }

  focus(target) {
    if (!target) return;
    if (target.row) {
      for (const other of this.root.querySelectorAll('.idrow[tabindex="0"]')) other.tabIndex = -1;
      target.tabIndex = 0;
    }
    target.focus();
    target.scrollIntoView({ block: "nearest" });
  }
}
