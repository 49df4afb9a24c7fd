// Spans as they are committed.
import { clock, count, duration, h, milliseconds, project, replace, stateOf, traceLink } from "./kit.js";

const tailSpansMax = 300;

export function tail(list, asked, signal) {
  const rows = h("ol", { class: "rows tail", tabindex: "0", "aria-label": "Spans as they are committed" });
  const note = h("span", { class: "soft", role: "status" }, "Waiting for spans…");
  let isPaused = false;
  let missed = 0;
  const pause = h("button", { type: "button", "aria-pressed": "false", onclick: () => {
    isPaused = !isPaused;
    pause.setAttribute("aria-pressed", String(isPaused));
    replace(pause, isPaused ? "Resume" : "Pause");
    if (!isPaused) { missed = 0; tell(); }
  } }, "Pause");
  const light = h("i", { class: "live", "aria-hidden": "true" });
  replace(list, h("section", { class: "card" }, h("div", { class: "head", style: { "margin-bottom": "var(--s3)" } }, h("div", {}, light, note), h("div", { class: "bar" }, pause)), rows));
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(asked)) if (!["min_ms", "max_ms", "root", "running"].includes(name)) for (const one of [value].flat()) query.append(name, one);
  if (project()) query.set("project", project());
  const source = new EventSource(`/api/tail?${query}`);
  let seen = 0;
  let skipped = 0;
  const tell = () => replace(note, `${count(seen)} spans${skipped ? `, ${count(skipped)} more not shown` : ""}${missed ? `, ${count(missed)} since the pause` : ""}`);
  source.addEventListener("open", () => { if (!seen) replace(note, "Connected. Waiting for spans…"); });
  source.addEventListener("error", () => replace(note, "Connection lost; trying again…"));
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
  return h("li", {}, h("span", { class: "when num" }, clock(milliseconds(span.end_time_unix_nano))), h("span", { class: "soft" }, span.service_name),
    h("a", { href: traceLink(span.trace_id, span.span_id) }, span.name || "no name"), h("span", { class: "num" }, duration(span.duration_ns)), h("span", {}, state === "ok" ? "" : h("span", { class: `badge ${state === "rejected" ? "warn" : "bad"}` }, state)));
}
