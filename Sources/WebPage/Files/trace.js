// One trace: its spans over time, its conversation, its log records.
import { address, ask, clock, cost, count, counted, day, duration, go, h, milliseconds, tokenParts } from "./kit.js";
import { grow, spending } from "./spans.js";
import { waterfall } from "./waterfall.js";
import { steps } from "./steps.js";
import { logs } from "./logs.js";
import { finder } from "./find.js";
import { traceConversation } from "./messages.js";
import { copyButton } from "./values.js";

const views = { spans: "Spans", conversation: "Conversation" };

export async function trace({ place, signal, title }) {
  const data = await ask(`/api/traces/${encodeURIComponent(place.id)}`, {}, { signal });
  const tree = grow(data);
  const root = tree.roots[0];
  title(root.span.name || "Trace");
  const view = views[place.parameters.get("view")] ? place.parameters.get("view") : "spans";
  const panel = h("section", { class: "card detail", "aria-label": "The chosen span", tabindex: "-1", "data-detail": "" });
  const switches = h("div", { class: "segments", role: "group", "aria-label": "View" }, Object.entries(views).map(([name, label]) => h("button", { type: "button", "aria-pressed": String(name === view), onclick: () => go({ view: name === "spans" ? null : name }) }, label)));
  const notices = [
    data.truncated ? h("p", { class: "problem" }, `The trace has ${count(data.span_count)} spans; the first ${count(data.spans.length)} by start are shown. SQL reads all of them.`) : null,
    tree.running ? h("p", { class: "notice" }, `${counted(tree.running, "span has", "spans have")} not ended: ${tree.running === 1 ? "it" : "they"} may still run, or nobody told of the end. `, h("button", { type: "button", onclick: () => dispatchEvent(new Event("hashchange")) }, "Look again")) : null,
    tree.hasRoot ? null : h("p", { class: "notice" }, "The root of this trace is not stored: it has not arrived yet, or never will. Spans whose parent is missing are shown at the outermost level."),
    tree.roots.length > 1 && tree.hasRoot ? h("p", { class: "notice" }, `The trace has ${counted(tree.roots.length, "root", "roots")}.`) : null,
  ];
  if (view === "conversation") {
    const talk = h("div", {}, h("p", { class: "soft", role: "status" }, "Loading the conversation…"));
    traceConversation(talk, data.trace_id, signal);
    return [head(root, tree, data, switches, copyButton(data.trace_id, "Copy id")), notices, talk];
  }
  const fall = waterfall(tree, panel, data, signal);
  const graph = steps(tree, fall);
  const chosen = place.parameters.get("span");
  fall.choose(tree.byID.get(chosen) || root, Boolean(chosen));
  const said = h("div", { "data-logs": "" });
  logs(said, tree, data, fall, signal);
  return [head(root, tree, data, switches, finder(data, tree, fall, signal), copyButton(data.trace_id, "Copy id")), notices, h("div", { class: `trace-page ${graph ? "with-steps" : ""}` }, fall.element, h("div", { class: "aside" }, graph, panel)), said];
}

const head = (root, tree, data, ...controls) => h("div", { class: "head" }, h("div", {}, h("h1", { class: "cut", title: root.span.name }, root.span.name || "no name"), facts(tree, data)), h("div", { class: "bar" }, controls));

const named = (data, column) => data.spans.find((span) => span[column])?.[column];

function facts(tree, data) {
  const all = tree.nodes;
  const errors = all.filter((node) => node.span.status_code === 2).length;
  const timeouts = all.filter((node) => node.span.outcome === "timeout").length;
  const sums = spending(tree);
  const start = milliseconds(data.spans[0].start_time_unix_nano);
  const fact = (value, text) => h("span", {}, h("b", {}, value), ` ${text}`);
  const services = new Set(data.spans.map((span) => span.service_name));
  return h("div", { class: "facts" }, tree.running ? h("span", { class: "badge run" }, "running") : null, fact(duration(tree.length), tree.running ? "so far" : ""), fact(count(data.span_count), data.span_count === 1 ? "span" : "spans"), timeouts ? fact(count(timeouts), timeouts === 1 ? "timeout" : "timeouts") : null, errors ? fact(count(errors), errors === 1 ? "error" : "errors") : null,
    sums.tokens ? fact(count(sums.tokens), `tokens${tokenParts(sums) ? ` (${tokenParts(sums)})` : ""}`) : null, sums.tokens ? fact(cost(sums), sums.unpriced_tokens && sums.dollars !== null ? `(${count(sums.unpriced_tokens)} tokens unpriced)` : "") : null,
    h("span", {}, `${day(start)} ${clock(start)}`), h("span", {}, [...services].slice(0, 3).join(", ") + (services.size > 3 ? ` and ${services.size - 3} more` : "")),
    named(data, "session_id") ? h("a", { href: address("session", { id: named(data, "session_id") }) }, "Session") : null, named(data, "user_id") ? h("a", { href: address("user", { id: named(data, "user_id"), range: "all" }) }, `User ${named(data, "user_id")}`) : null, h("span", { class: "mono" }, data.trace_id));
}

