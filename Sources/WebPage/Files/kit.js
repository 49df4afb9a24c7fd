// What every page uses: making elements, asking the server, showing numbers and times, and the address that says it all.

const SVG = "http://www.w3.org/2000/svg";

// An element. Strings among the children become text nodes, never markup: what spans hold is only ever shown.
export function h(name, properties, ...children) { return build(document.createElement(name), properties, children); }

export function s(name, properties, ...children) { return build(document.createElementNS(SVG, name), properties, children); }

function build(element, properties, children) {
  for (const [name, value] of Object.entries(properties || {})) {
    if (value === undefined || value === null || value === false) continue;
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (name === "style") for (const [key, text] of Object.entries(value)) element.style.setProperty(key, text);
    else if (name === "value" || name === "checked" || name === "selected") element[name] = value;
    else element.setAttribute(name, value === true ? "" : String(value));
  }
  add(element, children);
  return element;
}

function add(element, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (Array.isArray(child)) add(element, child);
    else element.append(child instanceof Node ? child : document.createTextNode(String(child)));
  }
}

export function replace(element, ...children) { element.replaceChildren(); add(element, children); return element; }

// The server

export class Problem extends Error {}

export async function ask(path, parameters = {}, options = {}) {
  const query = new URLSearchParams();
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
  if (!answer.ok) throw new Problem(body?.detail || `The server answered ${answer.status}.`);
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
export const dollars = (value) => (value === null || value === undefined ? "–" : value !== 0 && value < 0.01 ? `$${value.toPrecision(2)}` : `$${value.toFixed(2)}`);

const pad = (value, width = 2) => String(value).padStart(width, "0");
export function clock(ms, withMilliseconds = true) {
  const at = new Date(ms);
  const text = `${pad(at.getHours())}:${pad(at.getMinutes())}:${pad(at.getSeconds())}`;
  return withMilliseconds ? `${text}.${pad(at.getMilliseconds(), 3)}` : text;
}
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
export function day(ms) {
  const at = new Date(ms);
  const year = at.getFullYear() === new Date().getFullYear() ? "" : ` ${at.getFullYear()}`;
  return `${at.getDate()} ${months[at.getMonth()]}${year}`;
}
export function when(text, withMilliseconds = false) {
  if (!text) return "–";
  const ms = milliseconds(text);
  const time = clock(ms, withMilliseconds);
  return new Date(ms).toDateString() === new Date().toDateString() ? time : `${day(ms)} ${time}`;
}
export function ago(text) {
  const seconds = (Date.now() - milliseconds(text)) / 1000;
  if (seconds < 5) return "just now";
  if (seconds < 120) return `${Math.round(seconds)} s ago`;
  if (seconds < 7200) return `${Math.round(seconds / 60)} min ago`;
  if (seconds < 172800) return `${Math.round(seconds / 3600)} h ago`;
  return `${Math.round(seconds / 86400)} d ago`;
}

// The address: #/page?name=value. Everything that a page shows comes from it, so that it can be sent to somebody.

export function place() {
  const text = location.hash.replace(/^#\/?/, "") || "overview";
  const [path, query] = text.split(/\?(.*)/s);
  const parts = path.split("/").map((part) => { try { return decodeURIComponent(part); } catch { return part; } });
  return { page: parts[0], id: parts[1], parameters: new URLSearchParams(query || "") };
}

export function address(page, parameters = {}) {
  const query = new URLSearchParams();
  for (const [name, value] of parameters instanceof URLSearchParams ? parameters : Object.entries(parameters)) {
    if (value !== undefined && value !== null && value !== "") query.append(name, value);
  }
  return `#/${page}${query.size ? "?" + query : ""}`;
}

// Changes parameters of this page; `quietly` leaves no step in the history.
export function go(changes, quietly = false) {
  const here = place();
  for (const [name, value] of Object.entries(changes)) {
    if (value === null || value === undefined || value === "") here.parameters.delete(name);
    else here.parameters.set(name, value);
  }
  const path = here.id === undefined ? here.page : `${here.page}/${encodeURIComponent(here.id)}`;
  const target = address(path, here.parameters);
  if (target === location.hash) return;
  if (quietly) history.replaceState(null, "", target);
  else location.hash = target;
}

// The span of time

const usualRange = "1h";
export const ranges = { "15m": "15 min", "1h": "1 h", "6h": "6 h", "24h": "24 h", "7d": "7 d", all: "All" };

export function times() {
  const { parameters } = place();
  if (parameters.get("from")) return { from: parameters.get("from"), to: parameters.get("to") || undefined };
  const range = parameters.get("range") || usualRange;
  return range === "all" ? {} : { from: `-${range}` };
}

export function rangePicker() {
  const { parameters } = place();
  const own = parameters.get("from");
  const chosen = own ? null : parameters.get("range") || usualRange;
  const box = h("div", { class: "segments", role: "group", "aria-label": "Span of time" });
  for (const [range, label] of Object.entries(ranges)) {
    box.append(h("button", { type: "button", "aria-pressed": String(range === chosen), onclick: () => go({ range, from: null, to: null, cursor: null }) }, label));
  }
  if (own) box.append(h("button", { type: "button", "aria-pressed": "true", title: "Back to the last hour", onclick: () => go({ from: null, to: null }) }, "Chosen ✕"));
  return box;
}

// Links keep the span of time that is being looked at.
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
  return h(href ? "a" : "div", { class: "card stat", href }, h("span", { class: "label" }, label), h("span", { class: `value ${tone}` }, value), h("span", { class: "note" }, note || "\u00a0"));
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
  return nothing("No spans yet", "Point an agent's OpenTelemetry exporter here. Its first spans show up within two seconds.",
    h("pre", { tabindex: "0", role: "group", "aria-label": "What to type" }, `export OTEL_EXPORTER_OTLP_ENDPOINT=${location.origin}\nexport OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf\nexport OTEL_TRACES_EXPORTER=otlp`),
    h("p", {}, "No agent at hand? ", h("code", {}, `fusebox demo --endpoint ${location.origin}`), " sends ten minutes of a made-up one."));
}

export function nothingInRange(what) {
  return nothing(`No ${what} in this span of time`, "The store holds older or newer ones.", h("button", { type: "button", class: "main", onclick: () => go({ range: "all", from: null, to: null }) }, "Show all time"));
}

export const stateOf = (span) => span.outcome === "timeout" ? "timeout" : span.outcome === "rejected" ? "rejected" : span.status_code === 2 || span.outcome === "error" ? "error" : "ok";
export const stageClass = (span) => `stage-${span.stage && span.stage !== "other" ? span.stage : span.tool_name ? "tool" : "other"}`;
