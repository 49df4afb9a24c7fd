// Where this node sends what it stores: each target's state, how far it is behind, and what it refused.
import { ask, count, counted, duration, h, head, nothing, patch, problem, repeat, table, traceLink, when } from "./kit.js";

export async function fleet({ signal }) {
  const body = h("div");
  const page = [head("Fleet", "Where this node sends what it stores."), body];
  fill(body, await load(signal));
  repeat(2, signal, async () => fill(body, await load(signal)), (error) => patch(body, problem(error)));
  return page;
}

const load = (signal) => ask("/api/forward", {}, { signal });

function fill(body, { targets, refusals }) {
  if (!targets.length) {
    patch(body, nothing("No targets yet", "A hub or a ClickHouse that forward.targets in fusebox.yaml names appears here. docs/fleet.md begins with the ten lines it takes."));
    return;
  }
  patch(body,
    h("section", { class: "card", style: { "margin-bottom": "var(--s4)" } }, h("h2", {}, "Targets"), h("p", { class: "soft" }, "fusebox forward pause, resume and replay change what they get"), states(targets)),
    refusals.length ? h("section", { class: "card" }, h("h2", {}, "Refused"), h("p", { class: "soft" }, "set aside, the latest first; everything else went on"), refused(refusals)) : null);
}

const tones = { sending: "good", waiting: "warn", paused: "warn", open: "bad", unauthorized: "bad", misdirected: "bad", refusing: "bad" };
const words = { open: "breaker open" };
const signals = { traces: "spans", logs: "log records" };
const what = (one) => counted(one.count, ...(one.signal === "logs" ? ["log record", "log records"] : ["span", "spans"]));

const states = (all) => table([
  { name: "Target", show: (one) => [h("strong", {}, one.target), h("div", { class: "soft small" }, signals[one.signal] || one.signal)] },
  { name: "State", show: (one) => [h("span", { class: `badge ${tones[one.state] ?? ""}` }, words[one.state] || one.state), one.message ? h("div", { class: "soft small" }, one.message) : null] },
  { name: "Behind", number: true, show: (one) => [count(one.behind), one.behind ? h("div", { class: "soft small" }, `oldest ${duration(one.behind_s * 1e9)}`) : null] },
  { name: "Sent", number: true, show: (one) => count(one.sent) },
  { name: "Refused", number: true, show: (one) => count(one.refused) },
  { name: "Lost", number: true, show: (one) => [count(one.lost), one.hold ? h("div", { class: "soft small" }, "retention waits") : null] },
  { name: "Last success", show: (one) => (one.last_success_unix_nano === null ? "never" : when(one.last_success_unix_nano)) },
], all, { label: "Targets" });

const refused = (all) => table([
  { name: "Time", show: (one) => when(one.time_unix_nano) },
  { name: "Target", show: (one) => one.target },
  { name: "What", show: (one) => (one.trace_id ? h("a", { href: traceLink(one.trace_id, one.span_id) }, `${one.trace_id.slice(0, 8)}…`) : what(one)) },
  { name: "Code", number: true, show: (one) => one.code },
  { name: "Why", show: (one) => one.message },
], all, { label: "Refused" });
