// The problems with their remedies, and the table of members.
import { SIGNS, arrange, count, el, mark, rate, say } from "./dom.js";

export class Problems {
  constructor(root) {
    this.root = root;
  }

  update(problems) {
    const key = JSON.stringify(problems);
    if (this.key === key) return;
    this.key = key;
    this.root.replaceChildren(...problems.map((problem) =>
      el("li", { "data-verdict": problem.verdict },
        el("span", { class: "sign", role: "img", "aria-label": problem.verdict === "fail" ? "problem" : "warning" }, SIGNS[problem.verdict]),
        el("div", {},
          el("b", {}, problem.about), " ", problem.text,
          problem.remedy ? el("p", { class: "remedy" }, el("span", { class: "soft" }, "What to do: "), problem.remedy) : ""))));
    if (!problems.length) this.root.append(el("li", { "data-verdict": "ok" }, el("span", { class: "sign" }, SIGNS.ok), el("div", {}, "No problems.")));
  }
}

const COLUMNS = [
  ["member", (member) => member.name],
  ["state", (member) => member.state],
  ["sent/s", (member) => rate(member.sent_rate)],
  ["received/s", (member) => rate(member.received_rate)],
  ["sent", (member) => count(member.sent)],
  ["received", (member) => count(member.received)],
  ["lost", (member) => count(member.dropped)],
];
const WORDS = new Set(["member", "state"]);

/** A member's row, and a row below it for its limits and warnings. */
class Row {
  constructor() {
    this.cells = COLUMNS.map(([name], place) =>
      el(place ? "td" : "th", { "data-column": name, class: WORDS.has(name) ? "" : "number", ...(place ? {} : { scope: "row" }) }));
    this.main = el("tr", {}, ...this.cells);
    this.text = el("td", { colspan: String(COLUMNS.length) });
    this.more = el("tr", { class: "limits" }, this.text);
  }

  update(member) {
    mark(this.main, "data-style", member.style);
    COLUMNS.forEach(([, text], place) => say(this.cells[place], text(member)));
    const words = [member.limits, member.denied, ...member.notes].filter(Boolean).join("; ");
    say(this.text, words);
    return words ? [this.main, this.more] : [this.main];
  }
}

export class Members {
  constructor(root) {
    this.rows = new Map();
    this.body = el("tbody");
    this.nobody = el("p", { class: "empty" }, "no container has joined yet");
    this.root = root;
    this.table = el("table", {},
      el("thead", {}, el("tr", {}, ...COLUMNS.map(([name]) => el("th", { scope: "col", "data-column": name, class: WORDS.has(name) ? "" : "number" }, name)))),
      this.body);
  }

  update(buses) {
    const members = buses.flatMap((bus) => bus.members);
    const former = this.rows;
    this.rows = new Map(members.map((member) => [member.endpoint, former.get(member.endpoint) ?? new Row()]));
    arrange(this.body, members.flatMap((member) => this.rows.get(member.endpoint).update(member)));
    arrange(this.root, members.length ? [this.table] : [this.nobody]);
  }
}
