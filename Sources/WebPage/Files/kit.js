// What every page uses: making elements, asking the server, showing numbers and times, and the address that says it all.

const SVG = "http://www.w3.org/2000/svg";

// An element. Strings among the children become text nodes, never markup: what spans hold is only ever shown.
export function h(name, properties, ...children) { return build(document.createElement(name), properties, children); }

export function s(name, properties, ...children) { return build(document.createElementNS(SVG, name), properties, children); }

function build(element, properties, children) {
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) listen(element, name.slice(2), value);
    else if (name === "style") for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
    else if (name === "value" || name === "checked" || name === "selected") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  add(element, children);
  return element;
}

// A listener that `patch` can put another in the place of.
function listen(element, name, handler) {
  element.handlers ??= {};
  if (!(name in element.handlers)) element.addEventListener(name, (event) => element.handlers[name]?.call(element, event));
  element.handlers[name] = handler;
}

function add(element, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) add(element, child);
    else element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

export function replace(element, ...children) { element.replaceChildren(); add(element, children); return element; }

// Like `replace`, but what is there already stays: focus, selection, open details and what is being typed survive a refresh.
export function patch(element, ...children) {
  const wanted = document.createElement("div");
  add(wanted, children);
  reconcile(element, [...wanted.childNodes]);
  return element;
}

function reconcile(parent, wanted) {
  wanted.forEach((node, index) => {
    const old = parent.childNodes[index];
    if (!old) parent.append(node);
    else if (old.nodeType !== node.nodeType || old.nodeName !== node.nodeName || old.dataset?.key !== node.dataset?.key) old.replaceWith(node);
    else update(old, node);
  });
  while (parent.childNodes.length > wanted.length) parent.lastChild.remove();
}

function update(old, node) {
  if (old.nodeType !== Node.ELEMENT_NODE) { if (old.data !== node.data) old.data = node.data; return; }
  if (node.hasAttribute("data-own")) {
    // A chart whose cross hair or brush is in use waits for the next time.
    if (!old.matches(":hover, :focus, :focus-within")) old.replaceWith(node);
    return;
  }
  for (const { name } of [...old.attributes]) if (!node.hasAttribute(name) && name !== "open") old.removeAttribute(name);
  for (const { name, value } of [...node.attributes]) if (old.getAttribute(name) !== value && name !== "open") old.setAttribute(name, value);
  if (node.handlers) for (const [name, handler] of Object.entries(node.handlers)) listen(old, name, handler);
  if (old.matches("input, select, textarea") && old === document.activeElement) return;
  if (old.matches("select")) { reconcile(old, [...node.childNodes]); old.value = node.value; return; }
  reconcile(old, [...node.childNodes]);
}

// The server

export class Problem extends Error {}

// What is about the whole server, whatever project is chosen.
const ofAll = new Set(["/api/status", "/api/projects", "/api/gateway", "/api/forward", "/api/gates", "/api/stalls", "/api/schema", "/api/evals POST", "/api/evals/runs", "/api/evals/compare"]);
// The chosen project; every view and every question keeps it.
export const project = () => place().parameters.get("project") || undefined;

// How often somebody signed in. An answer to a question from before says nothing of what is known since.
let signIns = 0;
export function signedIn() { signIns += 1; }

export async function ask(path, parameters = {}, options = {}) {
  const known = signIns;
  const query = new URLSearchParams();
  if (project() && !ofAll.has(path) && !ofAll.has(`${path} ${options.method}`)) query.set("project", project());
  for (const [name, value] of Object.entries(parameters)) {
    for (const one of Array.isArray(value) ? value : [value]) if (one !== undefined && one !== null && one !== "") query.append(name, one);
  }
  let answer;
  try {
    answer = await fetch(path + (query.size ? "?" + query : ""), options);
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Problem("The server does not answer. Is it running?");
  }
  const body = await answer.json().catch(() => null);
  if (answer.status === 401 && known === signIns) dispatchEvent(new CustomEvent("signin"));
  if (!answer.ok) throw Object.assign(new Problem(body?.detail || `The server answered ${answer.status}.`), { status: answer.status });
  return body;
}

export function problem(error) {
  return h("div", { class: "problem", role: "alert" }, h("strong", {}, "That did not work. "), error.message);
}

// Numbers and times. Nanoseconds since 1970 come as digits: a JavaScript number could not hold them.

export const nanoseconds = (text) => (text === null || text === undefined ? null : BigInt(text));
export const milliseconds = (text) => Number(BigInt(text) / 1000n) / 1000;

const plain = new Intl.NumberFormat("en", { maximumFractionDigits: 1 });
export function count(value) {
  if (value === null || value === undefined) return "–";
  if (value >= 1e9) return plain.format(value / 1e9) + " G";
  if (value >= 1e6) return plain.format(value / 1e6) + " M";
  if (value >= 1e5) return plain.format(value / 1e3) + " k";
  return plain.format(value);
}

// 90 s is 1 min 30 s, and 120 s is 2 min.
function whole(value, large, largeName, small, smallName) {
  const units = Math.round(value / small);
  const per = large / small;
  return units % per ? `${Math.floor(units / per)} ${largeName} ${units % per} ${smallName}` : `${units / per} ${largeName}`;
}
const trim = (value) => (value >= 100 ? Math.round(value) : Number(value.toPrecision(3)));
export function duration(ns) {
  if (ns === null || ns === undefined) return "–";
  const value = Number(ns);
  if (value === 0) return "0";
  if (value < 1e3) return `${value} ns`;
  if (value < 1e6) return `${trim(value / 1e3)} µs`;
  if (value < 999.5e6) return `${trim(value / 1e6)} ms`;
  if (value < 120e9) return `${trim(value / 1e9)} s`;
  if (value < 7200e9) return whole(value, 60e9, "min", 1e9, "s");
  if (value < 172800e9) return whole(value, 3600e9, "h", 60e9, "min");
  return `${trim(value / 86400e9)} d`;
}
export const counted = (value, one, many) => `${count(value)} ${value === 1 ? one : many}`;
export const minutes = (ns) => (ns >= 600e9 ? Math.round(ns / 60e9) : Number((ns / 60e9).toFixed(2)));
export const percent = (part, whole) => (whole ? `${trim((100 * part) / whole)} %` : "–");
// A share of the critical path, in whole percent as the terminal has it.
export const share = (part, whole) => (part * 100 < whole ? "<1 %" : `${Math.round((100 * part) / whole)} %`);
export const dollars = (value) => (value === null || value === undefined ? "–" : value !== 0 && value < 0.01 ? `$${value.toPrecision(2)}` : `$${value.toFixed(2)}`);

// What was spent, as the API sums it up: at least so much where a model has no price, and no price where none has.
export const cost = (one) => (one.dollars === null || one.dollars === undefined ? (one.tokens ? "no price" : "–") : `${one.unpriced_tokens ? "≥ " : ""}${dollars(one.dollars)}`);
// Of the tokens, those that a cache gave and those that a model thought in: both are among the others.
export const tokenParts = (one) => [one.cached_tokens ? `${count(one.cached_tokens)} cached` : null, one.reasoning_tokens ? `${count(one.reasoning_tokens)} reasoning` : null].filter(Boolean).join(", ");
const all = (...parts) => parts.reduce((sum, part) => sum + Number(part || 0), 0);
export const tokensIn = (one) => all(one.input_tokens, one.cached_tokens, one.cache_write_tokens);
// In words, for a tooltip and for who cannot see columns.
export const spendingText = (one) => (one.tokens ? [`${count(one.tokens)} tokens: ${count(tokensIn(one))} in${one.cached_tokens ? ` (${count(one.cached_tokens)} cached)` : ""}, ${count(one.output_tokens)} out${one.reasoning_tokens ? ` (${count(one.reasoning_tokens)} reasoning)` : ""}${one.unspecified_tokens ? `, ${count(one.unspecified_tokens)} of no kind` : ""}`, one.unpriced_tokens ? `${count(one.unpriced_tokens)} of models without a price` : null].filter(Boolean).join("\n") : "No tokens");
// Columns of a table of such sums.
export const spendingColumns = [
  { name: "Tokens", number: true, show: (one) => [h("span", { title: spendingText(one) }, count(one.tokens)), tokenParts(one) ? h("div", { class: "soft small" }, tokenParts(one)) : null] },
  { name: "Cost", number: true, show: (one) => [cost(one), one.unpriced_tokens && one.dollars !== null ? h("div", { class: "soft small" }, `${count(one.unpriced_tokens)} tokens unpriced`) : null] },
];

const pad = (value, width = 2) => String(value).padStart(width, "0");
// Times are local until somebody chooses UTC; the corner of the page says which.
export const zone = () => (localStorage.getItem("zone") === "utc" ? "UTC" : "local");
// The wall clock of a time, read with getUTC….
export const wall = (ms) => { const at = new Date(ms); return zone() === "UTC" ? at : new Date(ms - at.getTimezoneOffset() * 60000); };
export function clock(ms, withMilliseconds = true) {
  const at = wall(ms);
  const text = `${pad(at.getUTCHours())}:${pad(at.getUTCMinutes())}:${pad(at.getUTCSeconds())}`;
  return withMilliseconds ? `${text}.${pad(at.getUTCMilliseconds(), 3)}` : text;
}
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
export function day(ms) {
  const at = wall(ms);
  const year = at.getUTCFullYear() === wall(Date.now()).getUTCFullYear() ? "" : ` ${at.getUTCFullYear()}`;
  return `${at.getUTCDate()} ${months[at.getUTCMonth()]}${year}`;
}
export function when(text, withMilliseconds = false) {
  if (!text) return "–";
  const ms = milliseconds(text);
  const time = clock(ms, withMilliseconds);
  return day(ms) === day(Date.now()) ? time : `${day(ms)} ${time}`;
}
export function ago(text) {
  const seconds = (Date.now() - milliseconds(text)) / 1000;
  if (seconds < 5) return "just now";
  if (seconds < 120) return `${Math.round(seconds)} s ago`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} d ago`;
}

// Does something again and again as long as a view lives and is seen. What goes wrong while it lives is told to `failed`.
export function repeat(seconds, signal, work, failed = () => {}) {
  const timer = setInterval(async () => {
    if (document.hidden) return;
    try { await work(); } catch (error) { if (!signal.aborted) failed(error); }
  }, seconds * 1000);
  signal.addEventListener("abort", () => clearInterval(timer));
}

// The address: #/page?name=value. Everything that a page shows comes from it, so that it can be sent to somebody.
export function place() {
  const text = location.hash.replace(/^#\/?/, "") || "overview";
  const [path, query] = text.split(/\?(.*)/s);
  const parts = path.split("/").map((part) => { try { return decodeURIComponent(part); } catch { return part; } });
  const parameters = new URLSearchParams(query || "");
  return { page: parts[0], id: parts[1] || parameters.get("id") || "", hasIDInPath: Boolean(parts[1]), parameters };
}

export function address(page, parameters = {}, keepsProject = true) {
  const query = new URLSearchParams();
  for (const [name, value] of parameters instanceof URLSearchParams ? parameters : Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== "") query.append(name, value);
  }
  if (keepsProject && project() && !query.has("project")) query.set("project", project());
  return `#/${page}${query.size ? "?" + query : ""}`;
}

// A name that may be broken behind its underscores, dots and slashes before it is in the middle of a word.
export const wrappable = (name) => String(name).split(/(?<=[_./:-])/).flatMap((part, index) => (index ? [h("wbr"), part] : [part]));

// Changes parameters of this page; `quietly` leaves no step in the history.
export function go(changes, quietly = false) {
  const here = place();
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") here.parameters.delete(name);
    else if (Array.isArray(value)) { here.parameters.delete(name); for (const one of value) here.parameters.append(name, one); } else here.parameters.set(name, value);
  }
  const path = !here.hasIDInPath ? here.page : `${here.page}/${encodeURIComponent(here.id)}`;
  const target = address(path, here.parameters, false);
  if (target === location.hash) return;
  if (quietly) history.replaceState(null, "", target);
  else location.hash = target;
}

// The time range

const usualRange = "1h";
export const ranges = { "15m": "15 min", "1h": "1 h", "6h": "6 h", "24h": "24 h", "7d": "7 d", all: "All" };

export function times() {
  const { parameters } = place();
  if (parameters.get("from")) return { from: parameters.get("from"), to: parameters.get("to") || undefined };
  const range = parameters.get("range") || usualRange;
  return range === "all" ? {} : { from: `-${range}` };
}

// The chosen range in milliseconds, to now where it has no end; null for all time.
export function windowOf(now) {
  const asked = times();
  const units = { m: 60e3, h: 3600e3, d: 86400e3 };
  if (!asked.from) return null;
  if (asked.from.startsWith("-")) return { from: now - Number(asked.from.slice(1, -1)) * units[asked.from.at(-1)], to: now };
  return { from: milliseconds(asked.from), to: asked.to ? milliseconds(asked.to) : now };
}

// A range of one's own: two fields that open behind a button.
function ownRange(own, to) {
  const local = (text) => (text ? wall(milliseconds(text)).toISOString().slice(0, 16) : "");
  const read = (input) => { if (!input.value) return null; const ms = Date.parse(`${input.value}Z`); return String(BigInt(zone() === "UTC" ? ms : ms + new Date(ms).getTimezoneOffset() * 60000) * 1000000n); };
  const fields = [own, to].map((text) => h("input", { type: "datetime-local", value: local(text) }));
  const form = h("form", { class: "own-range", onsubmit: (event) => { event.preventDefault(); const [from, end] = fields.map(read); if (from) go({ from, to: end, range: null, cursor: null }); } },
    field(`From, ${zone()}`, fields[0]), field(`To, ${zone()}`, fields[1]), h("button", { type: "submit", class: "main" }, "Apply"));
  const label = own ? `${when(own)} – ${to ? when(to) : "now"}` : "Custom";
  return h("details", { class: "own", onkeydown: (event) => { if (event.key === "Escape") event.currentTarget.open = false; } }, h("summary", { class: own ? "chosen" : "", "aria-label": own ? `Chosen time range: ${label}` : "A time range of your own" }, label), form);
}

export function rangePicker(usual = usualRange) {
  const { parameters } = place();
  const own = parameters.get("from");
  const chosen = own ? null : parameters.get("range") || usual;
  const box = h("div", { class: "segments", role: "group", "aria-label": "Time range" });
  for (const [range, label] of Object.entries(ranges)) {
    box.append(h("button", { type: "button", "aria-pressed": String(range === chosen), onclick: () => go({ range, from: null, to: null, cursor: null }) }, label));
  }
  return h("div", { class: "range" }, box, ownRange(own, parameters.get("to")), own ? h("button", { type: "button", class: "quiet", "aria-label": "Back to the usual time range", onclick: () => go({ from: null, to: null }) }, "✕") : null);
}

// Links keep the time range that is being looked at.
export function withRange(parameters = {}) {
  const here = place().parameters;
  const kept = {};
  for (const name of ["range", "from", "to"]) if (here.get(name)) kept[name] = here.get(name);
  return { ...kept, ...parameters };
}

export const traceLink = (id, span) => address(`trace/${id}`, span ? { span } : {});

// Pieces

export function head(title, text, ...controls) {
  return h("div", { class: "head" }, h("div", {}, h("h1", {}, title), text && h("p", {}, text)), controls.length ? h("div", { class: "bar" }, controls) : null);
}

export function stat(label, value, note, { tone = "", href } = {}) {
  return h(href ? "a" : "div", { class: "card stat", href }, h("span", { class: "label" }, label), h("span", { class: `value ${tone} ${typeof value === "string" && value.length > 8 ? "long" : ""}` }, value), h("span", { class: "note" }, note || "\u00a0"));
}

export function table(columns, rows, { label, empty = "Nothing here.", className = "" } = {}) {
  if (!rows.length) return h("p", { class: "soft" }, empty);
  return h("div", { class: "table", tabindex: "0", role: "region", "aria-label": label },
    h("table", { class: className }, h("caption", { class: "hidden-text" }, label),
      h("thead", {}, h("tr", {}, columns.map((column) => h("th", { scope: "col", class: column.number ? "num" : null }, column.name)))),
      h("tbody", {}, rows.map((row) => h("tr", {}, columns.map((column) => h("td", { class: [column.number ? "num" : "", column.className || ""].join(" ").trim() || null }, column.show(row))))))));
}

export function field(label, control, className = "") { return h("label", { class: `field ${className}` }, label, control); }

export function choice(values, chosen, onchange, all = "All") {
  const known = values.map((value) => (typeof value === "string" ? { value, label: value } : value));
  if (chosen && !known.some((one) => one.value === chosen)) known.unshift({ value: chosen, label: chosen });
  const options = known.map((one) => h("option", { value: one.value }, one.label));
  const select = h("select", { onchange: () => onchange(select.value) }, all === null ? null : h("option", { value: "" }, all), options);
  select.value = chosen || "";
  return select;
}

export function nothing(title, text, ...more) { return h("div", { class: "card empty" }, h("h2", {}, title), h("p", {}, text), more); }

export function firstSpans() {
  return nothing("No spans yet", "Point an agent's OpenTelemetry exporter here. The first spans appear as they arrive.",
    h("pre", { tabindex: "0", role: "group", "aria-label": "What to type" }, `export OTEL_EXPORTER_OTLP_ENDPOINT=${location.origin}\nexport OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf\nexport OTEL_TRACES_EXPORTER=otlp`),
    h("p", {}, "No agent at hand? ", h("code", {}, `fusebox demo --endpoint ${location.origin}`), " sends ten minutes of a made-up one."));
}

export function nothingInRange(what) {
  return nothing(`No ${what} in this time range`, "There may be older or newer ones.", h("button", { type: "button", class: "main", onclick: () => go({ range: "all", from: null, to: null }) }, "Show all time"));
}

export const stateOf = (span) => span.outcome === "timeout" ? "timeout" : span.outcome === "rejected" ? "rejected" : span.status_code === 2 || span.outcome === "error" ? "error" : "ok";
export const stageClass = (span) => `stage-${span.stage && span.stage !== "other" ? span.stage : span.tool_name ? "tool" : "other"}`;
