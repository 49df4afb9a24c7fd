// For whom agents worked: users, what was spent for each, and their sessions.
import { address, ask, cost, count, counted, firstSpans, h, head, nothing, nothingInRange, rangePicker, spendingColumns, spendingText, stat, table, times, tokenParts, when, withRange } from "./kit.js";
import { sessionTable, userLink } from "./sessions.js";
import { traceRows } from "./traces.js";

const latestMax = 20;
const tracesLink = (id) => address("traces", withRange({ user: id }));

export async function users({ signal }) {
  const [status, list] = await Promise.all([ask("/api/status", {}, { signal }), ask("/api/users", { ...times(), limit: 200 }, { signal })]);
  const top = head("Users", "The users that agents worked for: traces that carry the same user id.", rangePicker());
  if (status.span_count === 0) return [top, firstSpans()];
  if (!list.length) return [top, times().from ? nothingInRange("users") : nothing("No users", "Agents name the user by the attribute user.id (or enduser.id, langfuse.user.id) on their spans.")];
  return [top, h("section", { class: "card" }, table([
    { name: "User", className: "long", show: (one) => [h("a", { href: userLink(one.user_id) }, one.user_id), h("div", { class: "soft" }, one.service_name)] },
    { name: "Last", className: "whole", show: (one) => when(one.end_time_unix_nano) },
    { name: "Sessions", number: true, show: (one) => count(one.session_count) },
    { name: "Traces", number: true, show: (one) => h("a", { href: tracesLink(one.user_id) }, count(one.trace_count)) },
    { name: "Timeouts", number: true, show: (one) => (one.timeout_count ? h("span", { class: "bad" }, count(one.timeout_count)) : "0") },
    { name: "Errors", number: true, show: (one) => (one.error_count ? h("span", { class: "warn" }, count(one.error_count)) : "0") },
    ...spendingColumns,
  ], list, { label: "Users, newest first" }))];
}

export async function user({ place, signal, title }) {
  const id = place.id;
  title(`User ${id}`);
  const asked = { ...times(), user: id };
  const [sums, sessions, traces] = await Promise.all([ask("/api/users", { ...times(), id }, { signal }), ask("/api/sessions", { ...asked, limit: 200 }, { signal }), ask("/api/traces", { ...asked, preview: "true", limit: latestMax }, { signal })]);
  const top = head(`User ${id}`, null, h("a", { href: tracesLink(id) }, "All traces"), rangePicker());
  const one = sums[0];
  if (!one) return [top, nothingInRange("traces of this user")];
  const stats = h("div", { class: "stats" },
    stat("Cost", cost(one), one.unpriced_tokens ? `${count(one.unpriced_tokens)} tokens unpriced` : null),
    stat("Tokens", h("span", { title: spendingText(one) }, count(one.tokens)), tokenParts(one)),
    stat("Traces", count(one.trace_count), counted(one.session_count, "session", "sessions"), { href: tracesLink(id) }),
    stat("Timeouts", count(one.timeout_count), counted(one.error_count, "error", "errors"), { tone: one.timeout_count ? "bad" : "", href: address("traces", withRange({ user: id, outcome: "timeout" })) }),
    stat("Last seen", when(one.end_time_unix_nano), one.service_name));
  const part = (name, content) => [h("h2", { class: "part-title" }, name), content];
  return [top, stats, sessions.length ? part("Sessions", sessionTable(sessions, false)) : null, part(traces.next_cursor ? `Latest ${traces.traces.length} traces` : "Traces", traceRows(traces.traces))];
}
