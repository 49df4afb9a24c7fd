// How many traces matched, over time, above their list. Dragging over it narrows the time range.
import { ask, count, h, milliseconds, replace, times, windowOf } from "./kit.js";
import { timeChart } from "./charts.js";

export async function histogram(place, asked, signal) {
  let data;
  try {
    data = await ask("/api/histogram", { ...times(), ...asked, points: 80 }, { signal });
  } catch {
    // The list stands without it.
    return;
  }
  if (signal.aborted || !data.buckets.length) return;
  const step = data.step_ns / 1e6;
  const chosen = windowOf(Date.now()) || { from: milliseconds(data.from_unix_nano), to: milliseconds(data.to_unix_nano) };
  const from = Math.floor(chosen.from / step) * step;
  const to = Math.max(Math.ceil(chosen.to / step) * step, from + step);
  const values = (pick) => data.buckets.map((one) => [milliseconds(one.time_unix_nano), pick(one)]);
  const total = data.buckets.reduce((sum, one) => sum + one.traces, 0);
  const failed = data.buckets.reduce((sum, one) => sum + one.failed, 0);
  replace(place, h("section", { class: "card histogram" }, h("p", { class: "soft small" }, h("b", {}, count(total)), ` ${total === 1 ? "trace" : "traces"}, `, h("b", { class: failed ? "bad" : "" }, count(failed)), " failed"),
    timeChart({ from, to, width: step, height: 5, show: count, label: `${total} traces over time, ${failed} failed`, series: [{ name: "Traces", color: "c1", kind: "bars", values: values((one) => one.traces) }, { name: "Failed", color: "cbad", kind: "bars", values: values((one) => one.failed) }] })));
}
