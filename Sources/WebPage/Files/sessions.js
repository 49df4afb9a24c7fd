// Conversations: who said what, with the tools that were called in between.
import { address, ask, cost, count, counted, duration, firstSpans, h, head, nothing, nothingInRange, rangePicker, spendingColumns, spendingText, table, times, tokenParts, traceLink, when, withRange } from "./kit.js";
import { conversation } from "./messages.js";

export async function sessions({ signal }) {
  const [status, list] = await Promise.all([ask("/api/status", {}, { signal }), ask("/api/sessions", { ...times(), limit: 200 }, { signal })]);
  const top = head("Sessions", "Traces that carry the same session id, as one conversation.", rangePicker());
  if (status.span_count === 0) return [top, firstSpans()];
  if (!list.length) return [top, times().from ? nothingInRange("sessions") : nothing("No sessions", "Agents name a conversation by the attribute session.id (or gen_ai.conversation.id) on their spans.")];
  return [top, sessionTable(list)];
}

export const userLink = (id) => address("user", withRange({ id }));

export function sessionTable(list, showsUser = true) {
  return h("section", { class: "card" }, table([
    { name: "Session", className: "long", show: (one) => [h("a", { href: address("session", { id: one.session_id }) }, one.session_id), h("div", { class: "soft" }, one.service_name, showsUser && one.user_id ? [" · ", h("a", { href: userLink(one.user_id) }, one.user_id)] : null)] },
    { name: "Last", className: "whole", show: (one) => when(one.end_time_unix_nano) },
    { name: "Lasted", number: true, show: (one) => duration(Number(BigInt(one.end_time_unix_nano) - BigInt(one.start_time_unix_nano))) },
    { name: "Traces", number: true, show: (one) => count(one.trace_count) },
    { name: "Spans", number: true, show: (one) => count(one.span_count) },
    { name: "Timeouts", number: true, show: (one) => (one.timeout_count ? h("span", { class: "bad" }, count(one.timeout_count)) : "0") },
    { name: "Errors", number: true, show: (one) => (one.error_count ? h("span", { class: "warn" }, count(one.error_count)) : "0") },
    ...spendingColumns,
  ], list, { label: "Sessions, newest first" }));
}

export async function session({ place, signal, title }) {
  const id = place.id;
  const [facts, said, sums, traces] = await Promise.all([ask("/api/session", { id }, { signal }), ask("/api/session/messages", { id }, { signal }), ask("/api/sessions", { id }, { signal }), ask("/api/traces", { session: id, limit: 500 }, { signal })]);
  title(`Session ${id}`);
  const roots = new Map();
  for (const span of facts.spans) if (!roots.has(span.trace_id) || (span.parent_span_id === null && roots.get(span.trace_id).parent_span_id !== null)) roots.set(span.trace_id, span);
  const spent = new Map(traces.traces.map((one) => [one.trace_id, one]));
  const mark = (item) => {
    const root = roots.get(item.trace_id);
    const one = spent.get(item.trace_id);
    return h("div", { class: "turn-mark" }, h("span", {}, when(root?.start_time_unix_nano || item.start_time_unix_nano, true)), h("a", { href: traceLink(item.trace_id) }, root?.name || "trace"), root ? h("span", {}, duration(root.duration_ns)) : null,
      one?.tokens ? h("span", { title: spendingText(one) }, counted(one.tokens, "token", "tokens")) : null, one?.tokens ? h("span", {}, cost(one)) : null);
  };
  const total = sums[0];
  const about = [counted(roots.size, "trace", "traces"), total?.tokens ? `${count(total.tokens)} tokens${tokenParts(total) ? ` (${tokenParts(total)})` : ""}` : null, total?.tokens ? cost(total) : null].filter(Boolean).join(" · ");
  return [head(`Session ${id}`, about, total?.user_id ? h("a", { href: userLink(total.user_id) }, `User ${total.user_id}`) : null, h("a", { href: address("traces", { session: id, range: "all" }) }, "As traces")), conversation(said, mark)];
}
