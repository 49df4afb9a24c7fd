// Traces by filters, newest first, and spans as they come in.
import { address, ask, choice, clock, count, duration, field, firstSpans, go, h, head, milliseconds, nothing, place as placeNow, problem, rangePicker, replace, stateOf, times, traceLink, when } from "./kit.js";

const outcomes = [{ value: "timeout", label: "timeout" }, { value: "error", label: "error" }, { value: "rejected", label: "rejected" }, { value: "ok", label: "ok" }];
const names = ["service", "workflow", "tool", "model", "status", "outcome", "min_ms", "q", "attribute", "session", "eval", "name", "stage", "breaker"];
const tailSpansMax = 300;

function filters(parameters) {
  const found = {};
  for (const name of names) {
    const values = parameters.getAll(name).filter(Boolean);
    if (values.length) found[name] = values.length > 1 ? values : values[0];
  }
  return found;
}

export async function traces({ place, signal }) {
  const asked = filters(place.parameters);
  const values = (column) => ask("/api/values", { ...times(), column }, { signal }).then((rows) => rows.map((row) => row.value));
  const [status, services, workflows, tools, models] = await Promise.all([ask("/api/status", {}, { signal }), values("service_name"), values("workflow_name"), values("tool_name"), values("model")]);
  const list = h("div");
  const isLive = place.parameters.get("live") === "1";
  const live = h("button", { type: "button", "aria-pressed": String(isLive), onclick: () => go({ live: isLive ? null : "1" }) }, "Live tail");
  const page = [head("Traces", null, live, rangePicker()), form(asked, { services, workflows, tools, models }), list];
  if (isLive) tail(list, asked, signal);
  else if (!status.span_count) replace(list, firstSpans());
  else await first(list, asked, signal);
  return page;
}

function form(asked, { services, workflows, tools, models }) {
  const set = (name) => (value) => go({ [name]: value });
  const typed = (name, properties) => {
    const input = h("input", { ...properties, value: asked[name] || "", onchange: () => submit() });
    const submit = () => {
      const text = input.value.trim();
      if (name === "q" && /^[0-9a-fA-F]{32}$/.test(text)) location.hash = traceLink(text.toLowerCase());
      else go({ [name]: text });
    };
    input.addEventListener("keydown", (event) => { if (event.key === "Enter") submit(); });
    return input;
  };
  const extra = ["attribute", "session", "eval", "name", "stage", "breaker"].filter((name) => asked[name]);
  return h("div", { class: "filters", role: "search", "aria-label": "Filters" },
    field("Text or trace id", typed("q", { type: "search", "data-search": "", placeholder: "name, message, attribute", spellcheck: "false" }), "wide"),
    field("Service", choice(services, asked.service, set("service"))),
    field("Workflow", choice(workflows, asked.workflow, set("workflow"))),
    field("Tool", choice(tools, asked.tool, set("tool"))),
    field("Model", choice(models, asked.model, set("model"))),
    field("Outcome of a call", choice(outcomes, asked.outcome, set("outcome"), "Any")),
    field("Span status", choice(["error", "ok"], asked.status, set("status"), "Any")),
    field("Trace at least, ms", typed("min_ms", { type: "number", min: "0", inputmode: "decimal" })),
    extra.map((name) => h("button", { type: "button", onclick: () => go({ [name]: null }), "aria-label": `Remove the filter ${name} ${asked[name]}` }, `${name}: ${asked[name]} ✕`)),
    Object.keys(asked).length ? h("button", { type: "button", class: "quiet", onclick: () => go(Object.fromEntries(names.map((name) => [name, null]))) }, "Clear filters") : null);
}

async function first(list, asked, signal) {
  const data = await ask("/api/traces", { ...times(), ...asked, limit: 50 }, { signal });
  if (!data.traces.length && !data.next_cursor) {
    replace(list, nothing("No trace matches", Object.keys(asked).length ? "A trace is found when one of its spans meets every condition." : "Nothing was received in this span of time.", h("button", { type: "button", class: "main", onclick: () => go({ ...Object.fromEntries(names.map((name) => [name, null])), range: "all", from: null, to: null }) }, "Show all traces")));
    return;
  }
  const rows = h("ol", { class: "rows" });
  const foot = h("div", { class: "bar" });
  const longest = { value: 0 };
  replace(list, h("section", { class: "card" }, h("h2", { class: "hidden-text" }, "Found traces"),
    h("div", { class: "trace-row head-row", "aria-hidden": "true" }, h("span", {}, "Began"), h("span", {}, "Trace"), h("span", {}, "Took"), h("span", { class: "num" }, "Spans"), h("span", { class: "num" }, "Tokens"), h("span", {}, "")), rows, foot));
  append(data);

  function append(page) {
    for (const one of page.traces) longest.value = Math.max(longest.value, one.duration_ns);
    rows.append(...page.traces.map(row));
    for (const bar of rows.querySelectorAll("[data-ns]")) bar.style.setProperty("width", `${Math.max(1, (Number(bar.dataset.ns) / (longest.value || 1)) * 60)}%`);
    replace(foot);
    if (page.stopped_early) foot.append(h("span", { class: "soft" }, "Nothing more so far; the search can go further back."));
    if (page.next_cursor) {
      const more = h("button", { type: "button", onclick: async () => {
        more.disabled = true;
        try { append(await ask("/api/traces", { ...times(), ...asked, limit: 50, cursor: page.next_cursor }, { signal })); } catch (error) { foot.append(problem(error)); }
      } }, page.stopped_early ? "Search further back" : "Older traces");
      foot.append(more);
    } else foot.append(h("span", { class: "soft small" }, `${rows.children.length} ${rows.children.length === 1 ? "trace" : "traces"}, no older ones`));
  }
  rows.addEventListener("keydown", move);
}

function move(event) {
  const step = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1 }[event.key];
  if (!step) return;
  const links = [...event.currentTarget.querySelectorAll("a.trace-row")];
  links[links.indexOf(document.activeElement) + step]?.focus();
  event.preventDefault();
}

function row(one) {
  const failed = one.root_status_code === 2;
  return h("li", {}, h("a", { class: "trace-row", href: traceLink(one.trace_id) },
    h("span", { class: "when num", style: { "text-align": "left" } }, when(one.start_time_unix_nano, true)),
    h("span", { class: "what" }, h("b", {}, one.name || "no name"), h("span", {}, [one.service_name, (one.name || "").includes(one.workflow_name) ? null : one.workflow_name, one.session_id].filter(Boolean).join(" · "), one.has_root ? "" : " · root not stored")),
    h("span", { class: `length ${failed ? "failed" : ""}` }, h("span", { class: "track" }, h("i", { "data-ns": one.duration_ns })), h("span", { class: "num" }, duration(one.duration_ns))),
    h("span", { class: "num spans" }, count(one.span_count)),
    h("span", { class: "num tokens" }, one.tokens === null ? "–" : count(one.tokens)),
    h("span", { class: "flags" }, one.timeout_count ? h("span", { class: "badge bad" }, `${one.timeout_count} ${one.timeout_count === 1 ? "timeout" : "timeouts"}`) : null, " ", one.error_count > one.timeout_count ? h("span", { class: "badge warn" }, `${one.error_count} ${one.error_count === 1 ? "error" : "errors"}`) : null)));
}

// Live tail

function tail(list, asked, signal) {
  const rows = h("ol", { class: "rows tail", tabindex: "0", "aria-label": "Spans as they are committed" });
  const note = h("span", { class: "soft", role: "status" }, "Waiting for spans…");
  let isPaused = false;
  let missed = 0;
  const pause = h("button", { type: "button", "aria-pressed": "false", onclick: () => {
    isPaused = !isPaused;
    pause.setAttribute("aria-pressed", String(isPaused));
    replace(pause, isPaused ? "Go on" : "Pause");
    if (!isPaused) { missed = 0; tell(); }
  } }, "Pause");
  const light = h("i", { class: "live", "aria-hidden": "true" });
  replace(list, h("section", { class: "card" }, h("div", { class: "head", style: { "margin-bottom": "var(--s3)" } }, h("div", {}, light, note), h("div", { class: "bar" }, pause)), rows));
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(asked)) if (name !== "min_ms") for (const one of [value].flat()) query.append(name, one);
  const source = new EventSource(`/api/tail?${query}`);
  let seen = 0;
  let skipped = 0;
  const tell = () => replace(note, `${count(seen)} spans${skipped ? `, ${count(skipped)} more not shown` : ""}${missed ? `, ${count(missed)} since the pause` : ""}`);
  source.addEventListener("open", () => { if (!seen) replace(note, "Connected. Waiting for spans…"); });
  source.addEventListener("error", () => replace(note, "The connection is gone; trying again…"));
  source.addEventListener("spans", (event) => {
    const data = JSON.parse(event.data);
    seen += data.spans.length;
    skipped += Math.max(0, data.skipped);
    if (isPaused) missed += data.spans.length;
    else {
      rows.prepend(...data.spans.map(tailRow));
      while (rows.children.length > tailSpansMax) rows.lastChild.remove();
    }
    tell();
  });
  signal.addEventListener("abort", () => source.close());
}

function tailRow(span) {
  const state = stateOf(span);
  return h("li", {}, h("span", { class: "num", style: { "text-align": "left" } }, clock(milliseconds(span.end_time_unix_nano))), h("span", { class: "soft" }, span.service_name),
    h("a", { href: traceLink(span.trace_id, span.span_id) }, span.name || "no name"), h("span", { class: "num" }, duration(span.duration_ns)), h("span", {}, state === "ok" ? "" : h("span", { class: `badge ${state === "rejected" ? "warn" : "bad"}` }, state)));
}
