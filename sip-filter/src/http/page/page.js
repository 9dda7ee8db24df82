// Reads the numbers every four seconds, while somebody looks, and shows them. All text is set as text:
// names of tools and what they sent come from whoever sends packets.

import { draw, grouped } from "/charts.js";

const EVERY = 4000;
// What is in force changes seldom, and takes longer to tell than what was counted.
const STATUS_EVERY = 10000;
const SOURCES = 100;
const EVENTS = 20;
// Colours for methods: the most frequent ones, and one for all others.
const COLOURS = 8;
// Bars of ports.
const PORTS = 12;

const TOTALS = {
  packets: "packets",
  scanner: "of scanners",
  dropped: "dropped",
  would_drop: "would drop",
  passed: "passed",
  requests: "requests",
  responses: "responses",
  keepalives: "keepalives",
  malformed: "malformed",
};

const number = new Intl.NumberFormat("en");
const clock = new Intl.DateTimeFormat("en-GB", { hour: "2-digit", minute: "2-digit" });
const place = (id) => document.getElementById(id);

// An element with this text.
function element(name, text, kind) {
  const made = document.createElement(name);
  made.textContent = text;
  if (kind) {
    made.className = kind;
  }
  return made;
}

async function read(path) {
  // Without the user and password that the page's own address may hold: fetch takes none of those.
  const answer = await fetch(new URL(path, location.origin), { headers: { Accept: "application/json" } });
  if (!answer.ok) {
    throw new Error(`${answer.status}: ${(await answer.text()).trim()}`);
  }
  return answer.json();
}

function showTotals(totals) {
  const tiles = Object.entries(TOTALS).map(([key, name]) => {
    const tile = document.createElement("div");
    const value = element("dd", number.format(totals[key]));
    value.id = `total-${key}`;
    tile.append(element("dt", name), value);
    return tile;
  });
  place("totals").replaceChildren(...tiles);
}

// Fills a table: each column has a name, what a row's cell says, and of which kind it is.
function showTable(table, columns, rows) {
  const head = document.createElement("thead");
  const names = document.createElement("tr");
  names.append(...columns.map(([name, , kind]) => element("th", name, kind)));
  head.append(names);
  const body = document.createElement("tbody");
  for (const row of rows) {
    const cells = document.createElement("tr");
    cells.append(...columns.map(([, cell, kind]) => element("td", cell(row), kind)));
    body.append(cells);
  }
  table.replaceChildren(head, body);
}

const count = (name, key) => [name, (row) => number.format(row[key]), "number"];

function ago(then, now) {
  const seconds = Math.max(0, Math.round((Date.parse(now) - Date.parse(then)) / 1000));
  if (seconds < 120) {
    return `${seconds} s ago`;
  }
  return seconds < 7200 ? `${Math.round(seconds / 60)} min ago` : `${Math.round(seconds / 3600)} h ago`;
}

function showTools(tools) {
  showTable(place("tools"), [
    ["tool", (row) => row.tool, "text"],
    ["kind", (row) => row.kind],
    count("packets", "packets"),
    count("dropped", "dropped"),
    count("would drop", "would_drop"),
  ], tools);
}

function showSources(sources, time) {
  const note = sources.length < SOURCES ? "" : `The ${SOURCES} with the most packets.`;
  place("sources-note").textContent = note;
  const where = (row) => [row.country, row.asn && `AS${row.asn}`, row.as_name].filter(Boolean).join(" ");
  const located = sources.some(where) ? [["where", where, "text"]] : [];
  showTable(place("sources"), [
    ["source", (row) => row.source],
    ...located,
    count("packets", "packets"),
    count("scanner", "scanner"),
    count("dropped", "dropped"),
    count("would drop", "would_drop"),
    ["tools", (row) => row.tools.join(", "), "text"],
    ["behaviours", (row) => row.behaviours.join(", "), "text"],
    ["last seen", (row) => ago(row.last_seen, time)],
  ], sources);
}

// What happened, in words.
function happened({ event, tool, behaviour, cause, seconds }) {
  switch (event) {
    case "tool":
      return `seen with ${tool}`;
    case "behaviour":
      return `seen in ${behaviour}`;
    case "blocked":
      return `blocked for ${number.format(seconds)} s: ${cause}`;
    case "unblocked":
      return "not blocked any more";
    default:
      return event;
  }
}

function showEvents(events, time) {
  showTable(place("events"), [
    ["when", (row) => ago(row.time, time)],
    ["source", (row) => row.source],
    ["event", happened, "text"],
    ["port", (row) => String(row.port), "number"],
    ["first line", (row) => row.start_line, "text"],
    ["user agent", (row) => row.user_agent ?? "", "text"],
  ], events.slice().reverse());
}

// Packets a second of some points, each with its own length.
function rate(points, packets) {
  const seconds = points.reduce((all, point) => all + point.seconds, 0);
  return points.reduce((all, point) => all + packets(point), 0) / seconds;
}

function drawOverTime(id, points, names, parts) {
  const container = place(id);
  const bars = grouped(points, container.clientWidth).map((group) => ({
    label: clock.format(new Date(group[group.length - 1].time)),
    parts: parts.map((part) => rate(group, part)),
  }));
  const isLabelled = (at, many) => at === many - 1 || (at % Math.ceil(many / 4) === 0 && at < many * 0.8);
  draw(container, { bars, names, unit: "packets a second", isLabelled });
}

function drawSeries({ points }) {
  drawOverTime("chart-packets", points, [""], [(point) => point.packets]);
  const sums = new Map();
  for (const point of points) {
    for (const [name, packets] of Object.entries(point.classes)) {
      sums.set(name, (sums.get(name) ?? 0) + packets);
    }
  }
  const names = [...sums.keys()].sort((one, other) => sums.get(other) - sums.get(one));
  const shown = names.length > COLOURS ? names.slice(0, COLOURS - 1) : names;
  const parts = shown.map((name) => (point) => point.classes[name] ?? 0);
  const legend = [...shown];
  if (shown.length < names.length) {
    const others = names.slice(shown.length);
    legend.push("others");
    parts.push((point) => others.reduce((all, name) => all + (point.classes[name] ?? 0), 0));
  }
  drawOverTime("chart-methods", points, legend, parts);
  drawOverTime("chart-tool", points, ["no tool recognised", "a tool recognised"], [
    (point) => point.packets - point.tool,
    (point) => point.tool,
  ]);
}

function drawPorts(ports) {
  const tried = ports.filter((port) => port.scanner > 0);
  tried.sort((one, other) => other.scanner - one.scanner);
  const most = tried.length > PORTS ? tried.slice(0, PORTS - 1) : tried;
  const bars = most.map((port) => ({ label: String(port.port), parts: [port.scanner] }));
  if (most.length < tried.length) {
    const others = tried.slice(most.length).reduce((all, port) => all + port.scanner, 0);
    bars.push({ label: "others", parts: [others] });
  }
  const isLabelled = (at, many, step) => step > 34 || at % 2 === 0;
  draw(place("chart-ports"), { bars, names: [""], unit: "packets", isLabelled });
}

function say(text, kind) {
  const state = place("state");
  state.textContent = text;
  state.className = kind;
}

let shown;
let inForce;
let asked = -Infinity;

async function readStatus() {
  if (performance.now() - asked >= STATUS_EVERY) {
    inForce = await read("/api/v1/status");
    asked = performance.now();
  }
  return inForce;
}

function show({ stats, series, status, events }) {
  shown = { stats, series, status, events };
  const where = stats.interfaces.map(({ name, mode }) => `${name} (${mode})`).join(", ");
  place("instance").textContent = stats.instance;
  document.title = `sip-filter ${stats.instance}`;
  say(where ? `on ${where}` : "attached to no interface; nothing is filtered", where ? "good" : "bad");
  place("policy").textContent = `${status.policy}; ports ${status.ports}`;
  showTotals(stats.totals);
  drawSeries(series);
  drawPorts(stats.ports);
  showTools(stats.tools);
  showEvents(events.events, stats.time);
  showSources(stats.sources, stats.time);
}

async function refresh() {
  if (document.visibilityState === "visible") {
    try {
      const [stats, series, status, events] = await Promise.all([
        read(`/api/v1/stats?top=${SOURCES}`),
        read("/api/v1/series"),
        readStatus(),
        read(`/api/v1/events?top=${EVENTS}`),
      ]);
      show({ stats, series, status, events });
    } catch (error) {
      asked = -Infinity;
      say(`cannot be read: ${error.message}`, "bad");
    }
  }
  setTimeout(refresh, EVERY);
}

addEventListener("resize", () => shown && show(shown));
document.addEventListener("visibilitychange", () => shown && show(shown));
refresh();
