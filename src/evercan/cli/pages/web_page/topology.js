// The topology: each bus as a line with its members above and below, or as a tree if it is narrow.
import { SIGNS, arrange, count, el, mark, percent, rate, say } from "./dom.js";

const NARROWEST = 11.5; // em that a member needs beside others
const TREE = 2; // columns up to which a bus is drawn as a tree

class Member {
  constructor() {
    this.name = el("b", { class: "name" });
    this.sign = el("span", { class: "sign" });
    this.state = el("span", { class: "state" });
    this.badges = el("span", { class: "badges" });
    this.sent = el("span", { class: "sent" });
    this.received = el("span", { class: "received" });
    this.up = el("i", { class: "dot up" });
    this.down = el("i", { class: "dot down" });
    this.card = el("div", { class: "card" }, el("div", { class: "title" }, this.sign, this.name), this.state, this.badges);
    this.stub = el("div", { class: "stub" }, this.up, this.down, this.sent, this.received);
    this.root = el("li", { class: "member" }, this.card, this.stub);
  }

  update(member) {
    say(this.name, member.name);
    say(this.sign, SIGNS[member.style] ?? "●");
    say(this.state, member.state === "joined" ? member.interface : member.state);
    mark(this.root, "data-style", member.style);
    mark(this.root, "data-fault", member.fault ? "" : null);
    const wanted = [];
    if (member.fault) wanted.push(["fault", "fault", member.notes.join("\n")]);
    if (member.limits) wanted.push(["limit", "limits", member.limits]);
    if (member.denied) wanted.push(["denied", "denied", member.denied]);
    if (member.dropped) wanted.push(["lost", `${count(member.dropped)} lost`, "frames for it that were lost"]);
    const key = JSON.stringify(wanted);
    if (this.key !== key) {
      this.key = key;
      this.badges.replaceChildren(...wanted.map(([kind, text, title]) => el("span", { class: `badge ${kind}`, title }, text)));
    }
    const off = member.style === "rest" || member.style === "fail" && !member.sent_rate && !member.received_rate;
    mark(this.root, "data-off", off ? "" : null);
    say(this.sent, off ? "" : `↑ ${rate(member.sent_rate)}`);
    say(this.received, off ? "" : `↓ ${rate(member.received_rate)}`);
    mark(this.sent, "title", "frames per second that it sends");
    mark(this.received, "title", "frames per second that it receives");
    mark(this.up, "data-speed", off ? "0" : speed(member.sent_rate));
    mark(this.down, "data-speed", off ? "0" : speed(member.received_rate));
  }
}

/** Return how fast a dot moves: a few steps, since a change of an animation's time makes it jump. */
function speed(perSecond) {
  if (!perSecond || perSecond < 0.05) return "0";
  return String(Math.min(4, 1 + Math.floor(Math.log10(Math.max(1, perSecond)))));
}

class Bus {
  constructor() {
    this.members = new Map();
    this.sign = el("span", { class: "sign" });
    this.name = el("h3");
    this.networks = el("span", { class: "networks" });
    this.kind = el("span", { class: "kind" });
    this.state = el("span", { class: "state" });
    this.badge = el("span", { class: "badge fault" });
    this.bridge = el("span", { class: "bridge" });
    this.facts = el("span", { class: "facts" });
    this.rate = el("b", { class: "rate" });
    this.load = el("span", { class: "loaded" });
    this.fill = el("i");
    this.gauge = el("div", { class: "gauge", role: "img" }, this.fill);
    this.rows = el("div", { class: "wiring" });
    this.nobody = el("p", { class: "empty" }, "no container has joined yet");
    this.root = el(
      "article", { class: "bus" },
      el("div", { class: "head" },
        el("div", { class: "title" }, this.sign, this.name, this.state),
        el("div", { class: "measured" }, this.rate, " frames/s", this.load),
        this.gauge, this.networks, this.kind, this.badge, this.bridge, this.facts),
      this.rows);
  }

  update(bus, columns) {
    mark(this.root, "data-verdict", bus.verdict);
    say(this.sign, SIGNS[bus.verdict]);
    say(this.name, bus.interface);
    say(this.networks, bus.networks.join(" + "));
    say(this.kind, [bus.kind, bus.speed].filter(Boolean).join(", "));
    say(this.state, bus.state);
    say(this.badge, bus.faults === 1 ? "a fault is set" : `${bus.faults} faults are set`);
    this.badge.hidden = !bus.faults;
    mark(this.root, "data-fault", bus.faults ? "" : null);
    say(this.bridge, bus.bridge.length ? `bridged: ${bus.bridge.map((one) => one.name).join(", ")}` : "");
    say(this.facts, bus.facts.join(" · "));
    say(this.rate, rate(bus.rate));
    say(this.load, bus.load === null ? "" : `load ${percent(bus.load)}`);
    this.gauge.hidden = bus.load === null;
    if (bus.load !== null) {
      this.fill.style.transform = `scaleX(${Math.min(1, bus.load).toFixed(3)})`;
      mark(this.gauge, "data-level", bus.load > 0.9 ? "fail" : bus.load > 0.7 ? "warn" : "ok");
      mark(this.gauge, "aria-label", `load ${percent(bus.load)}`);
    }
    this.place(bus.members, columns);
    for (const member of bus.members) this.members.get(member.endpoint).update(member);
  }

  place(members, columns) {
    const key = `${columns}:${members.map((member) => member.endpoint).join()}`;
    if (this.key === key) return;
    this.key = key;
    const former = this.members;
    this.members = new Map(members.map((member) => [member.endpoint, former.get(member.endpoint) ?? new Member()]));
    const all = [...this.members.values()].map((member) => member.root);
    mark(this.rows, "data-tree", columns <= TREE ? "" : null);
    if (!all.length) {
      arrange(this.rows, [this.nobody]);
    } else if (columns <= TREE) {
      this.rows.replaceChildren(el("ul", { class: "tree" }, ...all));
    } else {
      const number = Math.ceil(all.length / (2 * columns));
      const inRow = Math.ceil(all.length / number);
      const across = Math.ceil(inRow / 2);
      this.rows.style.setProperty("--across", across);
      this.rows.replaceChildren(...Array.from({ length: number }, (_, row) => {
        const own = all.slice(row * inRow, (row + 1) * inRow);
        return el("div", { class: "row" },
          el("ul", { class: "upper" }, ...own.filter((_, place) => place % 2 === 0)),
          el("div", { class: "line" }),
          el("ul", { class: "lower" }, ...own.filter((_, place) => place % 2 === 1)));
      }));
    }
  }
}

export class Topology {
  constructor(root) {
    this.root = root;
    this.buses = new Map();
    this.columns = 0;
    new ResizeObserver(() => this.measure()).observe(root);
    this.measure();
  }

  measure() {
    const em = parseFloat(getComputedStyle(this.root).fontSize);
    const columns = Math.max(1, Math.min(8, Math.floor((this.root.clientWidth - 2 * em) / (NARROWEST * em))));
    if (columns !== this.columns) {
      this.columns = columns;
      if (this.last) this.update(this.last);
    }
  }

  update(buses) {
    this.last = buses;
    const former = this.buses;
    this.buses = new Map();
    for (const bus of buses) {
      const key = bus.interface + bus.networks.join();
      const shown = former.get(key) ?? new Bus();
      this.buses.set(key, shown);
      shown.update(bus, this.columns);
    }
    this.nothing ??= el("p", { class: "empty" }, "There is no CAN network yet. Create one: docker network create -d evercan:latest --ipam-driver null NAME");
    arrange(this.root, this.buses.size ? [...this.buses.values()].map((bus) => bus.root) : [this.nothing]);
  }
}
