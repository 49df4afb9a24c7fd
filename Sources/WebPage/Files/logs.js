// Log records of the trace, oldest first. Whatever they hold is text.
import { ask, count, counted, duration, h, nanoseconds, problem, replace, table } from "./kit.js";
import { pair } from "./detail.js";
import { plain } from "./values.js";

const logsShown = 500;

export async function logs(place, tree, data, fall, signal) {
  let answer;
  try {
    answer = await ask("/api/logs", { trace_id: data.trace_id, limit: logsShown }, { signal });
  } catch (error) {
    if (!signal.aborted) replace(place, problem(error));
    return;
  }
  if (!answer.logs.length) return;
  const rows = answer.logs.reverse();
  const after = (record) => { const offset = Number(nanoseconds(record.time_unix_nano) - tree.start); return offset < 0 ? `−${duration(-offset)}` : duration(offset); };
  const owner = (record) => tree.byID.get(record.span_id);
  replace(place, h("section", { class: "card", "aria-label": "Log records of the trace" },
    h("h2", {}, "Logs ", h("span", { class: "soft small" }, answer.next_cursor ? `the last ${count(rows.length)}` : counted(rows.length, "record", "records"))),
    table([
      { name: "After", number: true, show: after },
      { name: "Severity", show: (record) => h("span", { class: record.severity_number >= 17 ? "bad" : record.severity_number >= 13 ? "warn" : "" }, record.severity_text || (record.severity_number || "–")) },
      { name: "Span", show: (record) => owner(record) ? h("button", { type: "button", class: "quiet", onclick: () => fall.choose(owner(record), true) }, owner(record).span.name || "no name") : "–" },
      { name: "Record", className: "record", show: (record) => h("div", {}, record.event_name ? h("strong", {}, record.event_name, " ") : null, record.body ? plain(String(record.body)) : null,
        Object.keys(record.attributes || {}).length ? h("details", {}, h("summary", { class: "soft small" }, "Attributes"), Object.entries(record.attributes).map(([key, one]) => pair(key, one))) : null) },
    ], rows, { label: "Log records of the trace" })));
}
