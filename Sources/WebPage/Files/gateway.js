// The gateway: each backend's state with the age of its evidence, slots, line and breaker, and what keeps a model from keeping up.
import { ask, count, duration, h, head, nothing, problem, repeat, replace, s, table } from "./kit.js";
import { drawn } from "./charts.js";

export async function gateway({ signal }) {
  const body = h("div");
  const page = [head("Gateway", "The model servers behind the gateway, as they are now."), body];
  fill(body, await load(signal));
  repeat(2, signal, async () => fill(body, await load(signal)), (error) => replace(body, problem(error)));
  return page;
}

const load = async (signal) => (await ask("/api/gateway", {}, { signal })).gateway;

function fill(body, status) {
  if (!status) {
    replace(body, nothing("No gateway yet", "Model servers that gateway.models in fusebox.yaml names appear here. docs/gateway.md begins with the ten lines it takes."));
    return;
  }
  replace(body,
    h("section", { class: "card", style: { "margin-bottom": "var(--s4)" } }, h("h2", {}, "Models"), h("p", { class: "soft" }, `${count(status.running)} calls under way${status.calls_max ? ` of ${count(status.calls_max)}` : ""}`), models(status.models)),
    h("section", { class: "card", style: { "margin-bottom": "var(--s4)" } }, h("h2", {}, "Backends"), backends(status.backends)),
    timelines(status.backends), processes(status.backends));
}

const seconds = (value) => (value === null || value === undefined ? "–" : duration(value * 1e9));
const since = (value) => (value === null || value === undefined ? "never" : `${seconds(value)} ago`);
const badge = (tone, text) => h("span", { class: `badge ${tone}` }, text);

const causes = { queue: "line more than half full", first_token: "first tokens late", errors: "calls fail", bypass: "calls go past the gateway" };
const models = (all) => table([
  { name: "Model", show: (one) => one.name },
  { name: "Waiting", number: true, show: (one) => `${count(one.waiting)} of ${count(one.queue_depth)}` },
  { name: "Backends", show: (one) => one.backends.join(", ") },
  { name: "Keeps up", show: (one) => (one.saturated.length ? one.saturated.map((cause) => badge("warn", causes[cause] || cause)) : badge("good", "yes")) },
], all, { label: "Models" });

const tones = { ready: "good", suspect: "warn", loading: "warn", starting: "warn", waiting: "warn", stopping: "warn", stale: "warn", failed: "bad", silent: "bad" };
const breakerTones = { closed: "good", half_open: "warn", open: "bad" };
const backends = (all) => table([
  { name: "Backend", show: (one) => [h("strong", {}, one.name), h("div", { class: "soft small" }, one.kind)] },
  { name: "State", show: (one) => [badge(tones[one.health.state] || "", one.health.state), h("div", { class: "soft small" }, `seen ${since(one.health.evidence_s)}`)] },
  { name: "Slots", number: true, show: (one) => `${count(one.running)} of ${count(one.slots)}` },
  { name: "Breaker", show: (one) => [badge(breakerTones[one.breaker] || "", one.breaker.replace("_", "-")), one.breaker === "open" ? h("div", { class: "soft small" }, one.cooldown_s > 0 ? `${seconds(one.cooldown_s)} more` : "next call probes") : null] },
  { name: "Opens", number: true, show: (one) => count(one.breaker_opens) },
  { name: "First token p95", number: true, show: (one) => seconds(one.first_token_p95_s) },
  { name: "Tokens/s", number: true, show: (one) => count(one.tokens_per_second) },
  { name: "Last success", number: true, show: (one) => since(one.last_success_s) },
], all, { label: "Backends" });

// When each breaker was open or half-open since its oldest change that is known.
function timelines(all) {
  const changed = all.filter((one) => one.breaker_changes.length);
  if (!changed.length) return null;
  const longest = Math.max(60, ...changed.map((one) => one.breaker_changes[0].age_s));
  return h("section", { class: "card", style: { "margin-bottom": "var(--s4)" } }, h("h2", {}, "Breakers"), h("p", { class: "soft" }, `over the last ${seconds(longest)}`),
    changed.map((one) => h("div", { class: "fuse" }, h("div", { class: "name" }, h("strong", {}, one.name)), lane(one, longest))));
}

function lane(one, longest) {
  const box = h("div", { class: "chart", role: "img", "aria-label": `${one.name}: opened ${one.breaker_opens} times, now ${one.breaker.replace("_", "-")}` });
  return drawn(box, (width) => {
    const unit = parseFloat(getComputedStyle(document.documentElement).fontSize);
    const x = (age) => width * (1 - Math.min(age, longest) / longest);
    const bars = one.breaker_changes.flatMap((change, index) => {
      if (change.state === "closed") return [];
      const end = one.breaker_changes[index + 1]?.age_s ?? 0;
      return [s("rect", { class: change.state === "open" ? "open" : "half", x: x(change.age_s), y: 0, width: Math.max(2, x(end) - x(change.age_s)), height: 0.95 * unit, rx: 2 }, s("title", {}, `${change.state.replace("_", "-")} for ${seconds(change.age_s - end)}`))];
    });
    replace(box, s("svg", { class: "lane", height: unit, viewBox: `0 0 ${width} ${unit}` }, s("rect", { class: "track", x: 0, y: 0, width, height: 0.95 * unit, rx: 3 }), bars));
  });
}

function processes(all) {
  const own = all.filter((one) => one.process);
  if (!own.length) return null;
  return h("section", { class: "card" }, h("h2", {}, "Processes"), h("p", { class: "soft" }, "started and looked after by the gateway; their last words are log records"), table([
    { name: "Backend", show: (one) => one.name },
    { name: "State", show: (one) => [badge(tones[one.process.state] || "", one.process.state), h("div", { class: "soft small" }, `for ${seconds(one.process.state_s)}`)] },
    { name: "Pid", number: true, show: (one) => one.process.pid ?? "–" },
    { name: "Port", number: true, show: (one) => one.process.port ?? "–" },
    { name: "Memory", number: true, show: (one) => (one.process.resident_bytes ? `${count(one.process.resident_bytes)}B` : "–") },
    { name: "Restarts", number: true, show: (one) => count(one.process.restarts) },
    { name: "Last end", show: (one) => (one.process.last_reason ? `${one.process.last_reason.replaceAll("_", " ")}: ${one.process.last_words}` : "–") },
  ], own, { label: "Processes" }));
}
