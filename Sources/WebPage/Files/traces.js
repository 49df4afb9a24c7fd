// Traces by filters, newest first, and spans as they come in.
import { address, ask, choice, cost, count, counted, duration, field, firstSpans, go, h, head, nothing, problem, rangePicker, replace, spendingText, times, traceLink, when, withRange } from "./kit.js";
import { attributeField, clearAll, names, filters, chips } from "./filters.js";
import { histogram } from "./histogram.js";
import { tail } from "./tail.js";

const outcomes = ["timeout", "error", "rejected", "ok"];

export async function traces({ place, signal }) {
  const asked = filters(place.parameters);
  const values = (column) => ask("/api/values", { ...times(), column }, { signal }).then((rows) => rows.map((row) => row.value));
  const [status, services, workflows, tools, models] = await Promise.all([ask("/api/status", {}, { signal }), values("service_name"), values("workflow_name"), values("tool_name"), values("model")]);
  const list = h("div");
  const isLive = place.parameters.get("live") === "1";
  const live = h("button", { type: "button", "aria-pressed": String(isLive), onclick: () => go({ live: isLive ? null : "1" }) }, "Live tail");
  const page = [head("Traces", null, views(), live, rangePicker()), form(asked, { services, workflows, tools, models }, signal), list];
  if (isLive) tail(list, asked, signal);
  else if (status.span_count === 0) replace(list, firstSpans());
  else await first(list, asked, signal);
  return page;
}

// Filters under names, kept in this browser. A view is also just its address, to be sent to somebody.
function views() {
  const kept = () => { try { return JSON.parse(localStorage.getItem("views")) || {}; } catch { return {}; } };
  const select = h("select", { "aria-label": "Saved views", onchange: () => {
    const [what, name] = [select.value.slice(0, 1), select.value.slice(1)];
    select.value = "";
    if (what === "v" && kept()[name]) location.hash = kept()[name];
    if (what === "+") { const given = prompt("A name for this view"); if (given) { localStorage.setItem("views", JSON.stringify({ ...kept(), [given.slice(0, 60)]: location.hash })); fill(); } }
    if (what === "-") { const all = kept(); delete all[name]; localStorage.setItem("views", JSON.stringify(all)); fill(); }
  } });
  const fill = () => {
    const all = Object.keys(kept());
    replace(select, h("option", { value: "" }, "Views…"), all.map((name) => h("option", { value: `v${name}` }, name)), h("option", { value: "+" }, "Save this view"), all.map((name) => h("option", { value: `-${name}` }, `Forget ${name}`)));
  };
  fill();
  return select;
}

function form(asked, { services, workflows, tools, models }, signal) {
  const set = (name) => (value) => go({ [name]: value });
  const typed = (name, properties) => {
    const input = h("input", { ...properties, value: asked[name] || "", onchange: () => submit() });
    const submit = async () => {
      const text = input.value.trim();
      if (name === "q" && /^(0x)?[0-9a-fA-F-]{4,36}$/.test(text)) {
        const found = await ask(`/api/ids/${encodeURIComponent(text)}`, {}, { signal }).catch(() => []);
        if (found.length === 1) { location.hash = traceLink(found[0].trace_id, found[0].span_id); return; }
      }
      go({ [name]: text });
    };
    input.addEventListener("keydown", (event) => { if (event.key === "Enter") submit(); });
    return input;
  };
  return [h("div", { class: "filters", role: "search", "aria-label": "Filters" },
    field("Text, trace id or span id", typed("q", { type: "search", "data-search": "", placeholder: "name, message, attribute", spellcheck: "false" }), "wide"),
    field("Service", choice(services, asked.service, set("service"))),
    field("Workflow", choice(workflows, asked.workflow, set("workflow"))),
    field("Tool", choice(tools, asked.tool, set("tool"))),
    field("Model", choice(models, asked.model, set("model"))),
    field("Call outcome", choice(outcomes, asked.outcome, set("outcome"), "Any")),
    field("Status", choice([{ value: "error", label: "any span failed" }, { value: "ok", label: "a span is ok" }], asked.status, set("status"), "Any")),
    field("Run", choice([{ value: "error", label: "failed" }, { value: "ok", label: "did not fail" }, { value: "running", label: "still runs" }], asked.running ? "running" : asked.root, (value) => go({ root: value === "running" ? null : value, running: value === "running" ? "true" : null }), "Any")),
    field("Min. duration, ms", typed("min_ms", { type: "number", min: "0", inputmode: "decimal" })),
    attributeField(asked, signal), h("a", { href: address("judge", withRange(asked)) }, "Judge these")), chips(asked)];
}

// The columns of the list: what a row shows, and what it is sorted by.
const columns = [
  { name: "Start", className: "when", sort: (one) => BigInt(one.start_time_unix_nano) },
  { name: "Trace", className: "what", sort: (one) => one.name },
  { name: "Duration", className: "length", sort: (one) => one.duration_ns },
  { name: "Spans", className: "num spans", sort: (one) => one.span_count },
  { name: "Tokens", className: "num tokens", sort: (one) => one.tokens ?? -1 },
  { name: "Cost", className: "num cost", sort: (one) => one.dollars ?? -1 },
  { name: "Status", className: "flags", sort: (one) => one.timeout_count * 1000 + one.error_count },
];

async function first(list, asked, signal) {
  const query = { ...times(), ...asked, limit: 50, preview: "true" };
  const data = await ask("/api/traces", query, { signal });
  if (!data.traces.length && !data.next_cursor) {
    replace(list, nothing("No trace matches", Object.keys(asked).length ? "A trace matches when one of its spans meets every condition." : "Nothing was received in this time range.", h("button", { type: "button", class: "main", onclick: () => go({ ...clearAll(), range: "all", from: null, to: null }) }, "Show all traces")));
    return;
  }
  const rows = h("ol", { class: "rows" });
  const foot = h("div", { class: "bar" });
  const chart = h("div");
  let loaded = [];
  let sorted = { index: 0, isUp: false };
  const heads = columns.map((column, index) => h("button", { type: "button", class: `sort ${column.className}`, onclick: () => { sorted = { index, isUp: sorted.index === index ? !sorted.isUp : index === 1 }; draw(); } }, column.name));
  const headRow = h("div", { class: "trace-row head-row", role: "group", "aria-label": "Sort the loaded traces" }, heads);
  replace(list, chart, h("section", { class: "card" }, h("h2", { class: "hidden-text" }, "Found traces"), headRow, rows, foot));
  rows.addEventListener("keydown", move);
  append(data);
  histogram(chart, asked, signal);

  function draw() {
    const { sort } = columns[sorted.index];
    const order = [...loaded].sort((a, b) => { const [x, y] = [sort(a), sort(b)]; return (x < y ? -1 : x > y ? 1 : 0) * (sorted.isUp ? 1 : -1); });
    // One trace of days must not make all others look the same: bars grow with the logarithm.
    const longest = Math.log10(Math.max(10, ...loaded.map((one) => one.duration_ns)));
    heads.forEach((head, index) => { head.setAttribute("aria-pressed", String(index === sorted.index)); head.dataset.order = index === sorted.index ? (sorted.isUp ? "up" : "down") : ""; });
    replace(rows, order.map((one) => row(one, longest)));
  }

  function append(page) {
    loaded = loaded.concat(page.traces);
    draw();
    replace(foot);
    if (page.stopped_early) foot.append(h("span", { class: "soft" }, "No matches so far. Older traces have not been searched yet."));
    if (page.next_cursor) {
      const more = h("button", { type: "button", onclick: async () => {
        more.disabled = true;
        try { append(await ask("/api/traces", { ...query, cursor: page.next_cursor }, { signal })); } catch (error) { foot.append(problem(error)); }
      } }, page.stopped_early ? "Search further back" : "Older traces");
      foot.append(more, h("span", { class: "soft small" }, sorted.index || sorted.isUp ? `sorted: the ${count(loaded.length)} loaded` : `${count(loaded.length)} loaded`));
    } else foot.append(h("span", { class: "soft small" }, `${counted(loaded.length, "trace", "traces")}, no older ones`));
  }
}

function move(event) {
  const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
  if (!step) return;
  const links = [...event.currentTarget.querySelectorAll("a.trace-row")];
  links[links.indexOf(document.activeElement) + step]?.focus();
  event.preventDefault();
}

// Some traces as a list of their own.
export function traceRows(traces) {
  const longest = Math.log10(Math.max(10, ...traces.map((one) => one.duration_ns)));
  return h("section", { class: "card" }, h("ul", { class: "rows", "aria-label": "Traces", onkeydown: move }, traces.map((one) => row(one, longest))));
}

function row(one, longest) {
  const failed = one.root_status_code === 2;
  const preview = one.input || one.output ? [one.input || "", one.output ? h("span", { class: "answer" }, ` → ${one.output}`) : null] : [one.service_name, (one.name || "").includes(one.workflow_name) ? null : one.workflow_name, one.session_id].filter(Boolean).join(" · ");
  const flags = [one.timeout_count ? h("span", { class: "badge bad" }, counted(one.timeout_count, "timeout", "timeouts")) : null, one.error_count > one.timeout_count ? h("span", { class: "badge warn" }, counted(one.error_count, "error", "errors")) : null, one.open_span_count ? h("span", { class: "badge run", title: `${counted(one.open_span_count, "span has", "spans have")} not ended` }, "running") : one.has_root ? null : h("span", { class: "badge", title: "The root has not arrived yet, or never will" }, "no root")].filter(Boolean);
  return h("li", {}, h("a", { class: "trace-row", href: traceLink(one.trace_id) },
    h("span", { class: "when num" }, when(one.start_time_unix_nano)),
    h("span", { class: "what", title: `${one.name}\n${one.service_name}` }, h("b", { dir: "auto" }, one.name || "no name"), h("span", { dir: "auto" }, preview)),
    h("span", { class: `length ${failed ? "failed" : ""}` }, h("span", { class: "track" }, h("i", { style: { width: `${Math.max(2, (Math.log10(Math.max(10, one.duration_ns)) / longest) ** 4 * 100)}%` } })), h("span", { class: "num" }, duration(one.duration_ns))),
    h("span", { class: "num spans" }, count(one.span_count)),
    h("span", { class: "num tokens", title: spendingText(one) }, one.tokens === null ? "–" : count(one.tokens)),
    h("span", { class: "num cost" }, cost(one)),
    h("span", { class: "flags" }, flags.length ? flags.flatMap((flag) => [flag, " "]) : h("span", { class: "badge good" }, failed ? "failed" : "ok"))));
}
