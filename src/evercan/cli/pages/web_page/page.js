// The page: the connection to the server, the keys, and which bus is shown.
import { Loads, Plots } from "./charts.js";
import { el, mark, say } from "./dom.js";
import { Ids } from "./ids.js";
import { Members, Problems } from "./lists.js";
import { Topology } from "./topology.js";

const RETRY = 2000; // milliseconds from a lost connection to the next try
const LATE = 3000; // milliseconds without a snapshot after which the page is called late
const THEMES = ["", "light", "dark"];
const PARTS = ["topology", "problems", "load", "plots", "members", "ids"];

const get = (id) => document.getElementById(id);
const state = { paused: false, bus: "", connected: false, last: null, heard: 0 };
const topology = new Topology(get("buses"));
const problems = new Problems(get("problem-list"));
const loads = new Loads(get("loads"));
const plots = new Plots(get("lanes"), get("span"), () => ids.show());
const members = new Members(get("member-table"));
const ids = new Ids(get("id-list"), { filter: get("filter"), sort: get("sort"), counted: get("counted"), plots });

function connect() {
  const events = new EventSource("events");
  events.addEventListener("history", (event) => {
    loads.begin(JSON.parse(event.data));
    plots.refresh();
  });
  events.addEventListener("snapshot", (event) => {
    state.connected = true;
    state.heard = performance.now();
    take(JSON.parse(event.data));
  });
  events.addEventListener("error", async () => {
    state.connected = false;
    showBanner();
    if (events.readyState !== EventSource.CLOSED) return;
    events.close();
    // The answer to a page that is not signed in any more.
    const status = await fetch("signals").then((answer) => answer.status, () => 0);
    if (status === 401) location.assign("login");
    else setTimeout(connect, RETRY);
  });
}

function take(snapshot) {
  loads.take(snapshot.buses);
  plots.decoded = snapshot.databases;
  plots.take(snapshot.ids, snapshot.time);
  state.newest = snapshot;
  if (!state.paused) {
    state.last = snapshot;
    show();
  }
  showBanner();
}

function show() {
  const snapshot = state.last;
  if (!snapshot) return;
  const names = snapshot.buses.map((bus) => bus.interface);
  if (!names.includes(state.bus)) state.bus = "";
  const buses = snapshot.buses.filter((bus) => !state.bus || bus.interface === state.bus);
  const networks = new Set(buses.flatMap((bus) => bus.networks));
  const known = new Set(snapshot.buses.flatMap((bus) => bus.networks));
  showHead(snapshot);
  showTabs(snapshot.buses);
  topology.update(buses);
  problems.update(snapshot.problems.filter((problem) => networks.has(problem.about) || !known.has(problem.about)));
  loads.show(buses, snapshot.time);
  plots.show(snapshot.time);
  members.update(buses);
  ids.take(snapshot.ids.filter((id) => !state.bus || id.bus === state.bus));
}

function showHead(snapshot) {
  const failed = snapshot.problems.filter((problem) => problem.verdict === "fail").length;
  const warned = snapshot.problems.length - failed;
  const number = (count, thing) => `${count} ${thing}${count === 1 ? "" : "s"}`;
  const words = [failed && number(failed, "problem"), warned && number(warned, "warning")].filter(Boolean).join(", ");
  const verdict = failed ? "fail" : warned ? "warn" : "ok";
  say(get("verdict"), words || "all healthy");
  mark(get("verdict"), "data-verdict", verdict);
  document.title = words ? `evercan: ${words}` : "evercan";
  say(get("about"), snapshot.plugins.map((plugin) => `${plugin.name} ${plugin.version}`.trim()).join(", "));
}

function showTabs(buses) {
  const tabs = get("tabs");
  const names = ["", ...buses.map((bus) => bus.interface)];
  const key = JSON.stringify([names, buses.map((bus) => bus.networks)]);
  tabs.hidden = buses.length < 2;
  if (tabs.key !== key) {
    tabs.key = key;
    tabs.replaceChildren(...names.map((name, place) => {
      const text = place ? `${name} ${buses[place - 1].networks.join(" + ")}` : "All buses";
      return el("button", { "data-bus": name, onclick: () => choose(name) }, text);
    }));
  }
  for (const tab of tabs.children) {
    const bus = buses.find((one) => one.interface === tab.dataset.bus);
    mark(tab, "aria-pressed", String(tab.dataset.bus === state.bus));
    mark(tab, "data-verdict", bus ? bus.members.some((member) => member.style === "fail") ? "fail" : bus.verdict : null);
  }
}

function choose(bus) {
  state.bus = bus;
  show();
}

function showBanner() {
  const newest = state.newest;
  const late = state.connected && performance.now() - state.heard > LATE;
  const words = [];
  if (!state.connected) words.push(newest ? "The connection to evercan web is lost; trying again." : "Connecting to evercan web …");
  else if (late) words.push("evercan web is late.");
  if (newest?.status_failed) words.push(`The state of the buses is old: ${newest.status_failed}.`);
  if (newest?.frames_failed) words.push(`There are no frames: ${newest.frames_failed}.`);
  if (newest?.lost) words.push(`${newest.lost.toLocaleString("en")} frames were lost because reading was too slow.`);
  if (state.paused) words.push("Paused: press p to continue.");
  say(get("banner"), words.join(" "));
  get("banner").hidden = !words.length;
  mark(get("banner"), "data-verdict", !state.connected || newest?.status_failed || newest?.frames_failed ? "fail" : "warn");
  mark(document.body, "data-stale", !state.connected || late ? "" : null);
}

function pause() {
  state.paused = !state.paused;
  mark(get("pause"), "aria-pressed", String(state.paused));
  if (!state.paused && state.newest) {
    state.last = state.newest;
    show();
  }
  showBanner();
}

function stored(name) {
  try {
    return localStorage.getItem(name) ?? "";
  } catch {
    return "";
  }
}

function theme(name) {
  mark(document.documentElement, "data-theme", name || null);
  mark(get("theme"), "title", `The theme is ${name || "that of the system"}`);
  try {
    localStorage.setItem("evercan.theme", name);
  } catch {
    // The browser keeps nothing.
  }
  show();
}

function nextTheme() {
  const now = document.documentElement.dataset.theme ?? "";
  const dark = matchMedia("(prefers-color-scheme: dark)").matches;
  // The first press changes what is seen.
  const order = dark ? ["", "light", "dark"] : ["", "dark", "light"];
  theme(order[(order.indexOf(now) + 1) % THEMES.length]);
}

function nextBus() {
  const names = ["", ...(state.last?.buses ?? []).map((bus) => bus.interface)];
  choose(names[(names.indexOf(state.bus) + 1) % names.length]);
}

const KEYS = {
  p: pause,
  t: nextTheme,
  b: nextBus,
  s: () => ids.sortBy(ids.by + 1),
  x: () => plots.clear(),
  "?": () => get("keys").showModal(),
  "/": () => {
    get("filter").focus();
    get("filter").select();
  },
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.altKey || event.metaKey || get("keys").open) return;
  if (event.target === get("filter")) {
    if (event.key === "Escape") {
      get("filter").value = "";
      ids.search();
      get("filter").blur();
    } else if (event.key === "Enter" || event.key === "ArrowDown") {
      event.preventDefault();
      ids.focus(get("id-list").firstElementChild);
    }
    return;
  }
  const part = PARTS[Number(event.key) - 1];
  if (part) {
    get(part).scrollIntoView({ block: "start" });
    get(part).focus({ preventScroll: true });
    if (part === "ids" && get("id-list").firstElementChild?.row) ids.focus(get("id-list").querySelector('[tabindex="0"]'));
  } else if (KEYS[event.key]) {
    event.preventDefault();
    KEYS[event.key]();
  }
});

get("pause").addEventListener("click", pause);
get("theme").addEventListener("click", nextTheme);
get("help").addEventListener("click", KEYS["?"]);
matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => show());
addEventListener("resize", () => show());
setInterval(showBanner, 1000);
const kept = stored("evercan.theme");
theme(THEMES.includes(kept) ? kept : "");
showBanner();
connect();
