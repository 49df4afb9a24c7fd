// The fuse board: each tool's breaker as a timeline, what agents reported above what the fuse table derives.
import { address, ask, count, duration, firstSpans, go, h, head, milliseconds, minutes, nothing, patch, rangePicker, repeat, replace, s, times, traceLink, windowOf, withRange, choice, field, when, problem } from "./kit.js";
import { drawn, timeTicks } from "./charts.js";

export async function fuses({ place, signal }) {
  const body = h("div");
  const service = place.parameters.get("service") || "";
  const status = await ask("/api/status", {}, { signal });
  const data = await load(signal);
  const services = [...new Set(data.breakers.map((one) => one.service_name))];
  const picker = services.length > 1 ? field("Service", choice(services, service, (value) => go({ service: value }))) : null;
  const notice = h("div", { "aria-live": "polite" });
  const page = [head("Fuse board", "When each tool's breaker was open. Opens, cooldown and closes count from the first span on.", picker, rangePicker()), notice, body];
  if (status.span_count === 0) { replace(body, firstSpans()); return page; }
  fill(body, status, data, service);
  repeat(5, signal, async () => { fill(body, status, await load(signal), service); replace(notice); }, (error) => replace(notice, problem(error)));
  return page;
}

const load = (signal) => ask("/api/breakers", times(), { signal });

function fill(body, status, data, service) {
  const tools = group(data).filter((tool) => !service || tool.service === service);
  if (!tools.length) {
    patch(body, nothing("No breaker yet", "A tool appears here when its spans carry breaker_state, or when it is an HTTP tool that the fuse table watches."), fuseTable(status));
    return;
  }
  const window = span(data, tools);
  const within = (text) => { const at = milliseconds(text); return at >= window.from && at <= window.to; };
  const recent = (tool) => tool.openings.filter((one) => within(one.start_time_unix_nano) || within(one.end_time_unix_nano)).length * 1000 + tool.timeouts.length;
  tools.sort((a, b) => recent(b) - recent(a));
  const busy = tools.filter((tool) => !isQuiet(tool));
  const board = h("div", { class: "board" }, busy.map((tool) => row(tool, window, status)));
  patch(body, busy.length ? h("section", { class: "card" }, h("div", { class: "keys" }, key("open, cooling down", "var(--bad)"), key("open, past its cooldown", "color-mix(in srgb, var(--bad) 22%, var(--surface))"), key("half-open", "var(--warn)"), key("timed-out call", "var(--text)")), axis(window), board) : null, quiet(tools.filter(isQuiet), status), fuseTable(status));
}

const key = (text, color) => h("span", { class: "key" }, h("i", { style: { background: color } }), text);

// Breakers of one tool, whatever process they live in.
function group(data) {
  const tools = new Map();
  const of = (service, name) => {
    const id = JSON.stringify([service, name]);
    if (!tools.has(id)) tools.set(id, { service, name, breakers: [], openings: [], timeouts: [], edges: [], before: [] });
    return tools.get(id);
  };
  for (const one of data.breakers) of(one.service_name, one.tool_name).breakers.push(one);
  for (const one of data.openings) of(one.service_name, one.tool_name).openings.push(one);
  for (const one of data.transitions) of(one.service_name, one.tool_name).edges.push(one);
  for (const one of data.states_before) of(one.service_name, one.tool_name).before.push(one);
  for (const one of data.timeouts) tools.get(JSON.stringify([one.service_name, one.tool_name]))?.timeouts.push(one);
  const weight = (tool) => sum(tool, "reported", "opens") * 1e6 + sum(tool, "derived", "opens") * 1e3 + tool.timeouts.length;
  return [...tools.values()].filter((tool) => tool.breakers.length).sort((a, b) => weight(b) - weight(a) || a.name.localeCompare(b.name));
}

const sum = (tool, machine, what) => tool.breakers.reduce((total, one) => total + (one[machine]?.[what] || 0), 0);

function span(data, tools) {
  const now = milliseconds(data.now_unix_nano);
  const chosen = windowOf(now);
  if (chosen) return chosen;
  const points = tools.flatMap((tool) => [...tool.openings.flatMap((one) => [one.start_time_unix_nano, one.end_time_unix_nano]), ...tool.timeouts.map((one) => one.time_unix_nano), ...tool.edges.map((one) => one.time_unix_nano)]).map(milliseconds);
  if (!points.length) return { from: now - 3600e3, to: now };
  const [first, last] = [points.reduce((a, b) => Math.min(a, b)), points.reduce((a, b) => Math.max(a, b))];
  const margin = Math.max(1000, (last - first) * 0.02);
  return { from: first - margin, to: last + margin };
}

function axis(window) {
  const chart = drawn(h("div", { class: "chart", "aria-hidden": "true", "data-own": "" }), (width) => {
    const unit = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const ticks = timeTicks(window.from, window.to, Math.max(2, Math.floor(width / (5.5 * unit))));
    const x = (at) => ((at - window.from) / (window.to - window.from)) * width;
    replace(chart, s("svg", { height: 1.4 * unit, viewBox: `0 0 ${width} ${1.4 * unit}` }, ticks.map((tick) => s("text", { x: x(tick.at), y: unit, "text-anchor": x(tick.at) < 2 * unit ? "start" : x(tick.at) > width - 2 * unit ? "end" : "middle" }, tick.label))));
  });
  return h("div", { class: "lane-axis" }, h("span"), chart, h("div", { class: "figures" }, figureHead()));
}

function states(tool, machine) {
  const counts = {};
  for (const one of tool.breakers) if (one[machine]) counts[one[machine].state] = (counts[one[machine].state] || 0) + 1;
  return counts;
}

const stateNames = { open: "open", half_open: "half-open", closed: "closed", unknown: "unknown" };
function badges(tool) {
  const counts = Object.keys(states(tool, "reported")).length ? states(tool, "reported") : states(tool, "derived");
  const all = Object.values(counts).reduce((a, b) => a + b, 0);
  return ["open", "half_open", "closed", "unknown"].filter((state) => counts[state]).map((state) => h("span", { class: `badge ${state === "open" ? "bad" : state === "half_open" ? "warn" : state === "closed" ? "good" : ""}` }, all > 1 ? `${counts[state]} ${stateNames[state]}` : stateNames[state]));
}

function row(tool, window, status) {
  const machine = (name) => tool.breakers.some((one) => one[name]);
  const figures = (name, label) => [h("span", { class: "h" }, label), ...(machine(name) ? [h("b", {}, count(sum(tool, name, "opens"))), h("b", {}, `${minutes(sum(tool, name, "cooldown_ns"))} min`), h("b", {}, count(sum(tool, name, "closes")))] : [h("span", { class: "soft" }, "–"), h("span", { class: "soft" }, "–"), h("span", { class: "soft" }, "–")])];
  const summary = `${tool.name} of ${tool.service}: ${sum(tool, "reported", "opens")} opens reported, ${sum(tool, "derived", "opens")} derived, ${tool.timeouts.length} timeouts`;
  return h("div", { class: "fuse" },
    h("div", { class: "name" }, naming(tool, status)),
    lanes(tool, window, summary),
    h("div", { class: "figures" }, h("div", { class: "narrow" }, figureHead()), figures("reported", "Reported"), figures("derived", "Derived")));
}

// Which tool it is and how its breaker stands.
function naming(tool, status) {
  const stage = tool.breakers.map((one) => one.reported?.stage || one.derived?.stage).find(Boolean);
  const fuse = status.fuses[`${stage}_ns`];
  const processes = tool.breakers.length;
  const parts = [tool.service, stage || "other", fuse ? `fuse ${duration(fuse)}` : null, processes > 1 ? `${processes} processes` : null].filter(Boolean);
  return [h("strong", {}, h("a", { href: address("traces", withRange({ tool: tool.name, service: tool.service })) }, tool.name)),
    h("div", { class: "soft small" }, parts.map((part) => part.replaceAll(" ", "\u00a0")).join(" · ")), h("div", {}, badges(tool))];
}

const figureHead = () => ["", "Opens", "Cooldown", "Closes"].map((name) => h("span", { class: "h" }, name));

function lanes(tool, window, summary) {
  const box = h("div", { class: "chart", role: "img", "aria-label": summary, "data-own": "" });
  return drawn(box, (width) => {
    const unit = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const x = (ms) => Math.max(0, Math.min(width, ((ms - window.from) / (window.to - window.from)) * width));
    const marks = [];
    ["reported", "derived"].forEach((machine, index) => {
      const top = index * 1.35 * unit;
      marks.push(s("rect", { class: "track", x: 0, y: top, width, height: 0.95 * unit, rx: 3 }));
      const bar = (className, from, to, title) => {
        if (to < window.from || from > window.to) return;
        marks.push(s("rect", { class: className, x: x(from), y: top, width: Math.max(2, x(to) - x(from)), height: 0.95 * unit, rx: 2 }, s("title", {}, title)));
      };
      for (const [from, to, state] of statesBetweenEdges(tool, machine, window)) if (state === "half_open") bar("half", from, to, `half-open ${duration((to - from) * 1e6)}`); else bar("beyond", from, to, "open, past its cooldown");
      for (const one of tool.openings.filter((opening) => opening.machine === machine)) {
        const [from, to] = [milliseconds(one.start_time_unix_nano), milliseconds(one.end_time_unix_nano)];
        bar("open", from, to, `open ${duration((to - from) * 1e6)} from ${when(one.start_time_unix_nano)}${one.scope ? ` in ${one.scope}` : ""}`);
      }
    });
    for (const one of tool.timeouts) {
      const at = milliseconds(one.time_unix_nano);
      if (at < window.from || at > window.to) continue;
      marks.push(s("a", { href: traceLink(one.trace_id, one.span_id), tabindex: "-1" }, s("rect", { class: "timeout", x: x(at) - 0.75, y: 1 * unit, width: 1.5, height: 0.3 * unit }, s("title", {}, `timeout ${when(one.time_unix_nano)}`))));
    }
    replace(box, s("svg", { class: "lane", height: 2.35 * unit, viewBox: `0 0 ${width} ${2.35 * unit}` }, marks));
  });
}

// Never open, and nothing timed out in the span of time: a name is all that there is to say.
const isQuiet = (tool) => !tool.timeouts.length && ["reported", "derived"].every((machine) => !sum(tool, machine, "opens") && !states(tool, machine).open && !states(tool, machine).half_open);

function quiet(tools, status) {
  if (!tools.length) return null;
  return h("section", { class: "card", style: { "margin-top": "var(--s4)" } }, h("h2", {}, "Never open"), h("p", { class: "soft" }, "and no call timed out in this time range"),
    h("ul", { class: "quiet-fuses" }, tools.map((tool) => h("li", {}, ...naming(tool, status)))));
}

// The states that the edges tell, half-open or open, up to the next edge. How long a breaker counts as open is told by its openings.
function statesBetweenEdges(tool, machine, window) {
  const found = [];
  const state = new Map();
  const step = (scope, to, at) => {
    const last = state.get(scope);
    if (last && (last.state === "half_open" || last.state === "open")) found.push([last.at, at, last.state]);
    state.set(scope, { state: to, at });
  };
  for (const one of tool.before) if (one.machine === machine) state.set(one.scope, { state: one.state, at: milliseconds(one.time_unix_nano) });
  for (const one of tool.edges) if (one.machine === machine) step(one.scope, one.to_state, milliseconds(one.time_unix_nano));
  for (const scope of state.keys()) {
    const live = tool.breakers.find((one) => one.scope === scope)?.[machine];
    if (live && (live.state === "open" || live.state === "half_open")) step(scope, "end", window.to);
  }
  return found;
}

function fuseTable(status) {
  const f = status.fuses;
  const line = (name, value, text) => [h("dt", {}, name), h("dd", {}, value === null ? "none" : value, text ? h("span", { class: "soft" }, ` ${text}`) : null)];
  return h("section", { class: "card", style: { "margin-top": "var(--s4)" } }, h("h2", {}, "The fuse table"), h("p", { class: "soft" }, "what the server was configured with; docs/configuration.md"),
    h("dl", { class: "pairs brief" }, line("HTTP tool", f.http_tool_ns && duration(f.http_tool_ns)), line("Vector query", f.vector_ns && duration(f.vector_ns)), line("Subprocess", f.subprocess_ns && duration(f.subprocess_ns)), line("Opens after", `${f.breaker_threshold} timeouts in a row`), line("Cooldown", duration(f.breaker_cooldown_ns)), line("Scope", f.breaker_scope), line("p95 gate", f.p95_gate_ns && duration(f.p95_gate_ns))));
}
