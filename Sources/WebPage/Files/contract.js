// The loop contract: what each process's loop did, beside what it may. A card of the overview, asked for apart from it and less often.
import { ask, count, duration, h, patch, repeat, table, times } from "./kit.js";

const size = (bytes) => (bytes === null ? "–" : `${count(bytes)}B`);
const share = (part) => (part === null ? "–" : `${Math.round(part * 100)} %`);

/** Shows the card in `body` as long as the view lives. */
export function contract(body, service, signal) {
  const fill = () => ask("/api/contract", { ...times(), service }, { signal }).then((rows) => patch(body, rows.length ? card(rows) : null), () => {});
  repeat(60, signal, fill);
  return fill();
}

/** A figure beside its limit, marked when it is beyond. */
const against = (value, limit) => (value === null ? "–" : h("span", { class: limit !== null && value > limit ? "bad" : null }, count(value), limit === null ? null : h("span", { class: "soft" }, ` of ${count(limit)}`)));

function card(rows) {
  return h("section", { class: "card below" }, h("h2", {}, "Loop contract"), h("p", { class: "soft" }, "the most at once, beside what agents or the configuration allow; the embeddings and model calls of a host take turns where the overlap is 0"),
    table([
      { name: "Process", show: (row) => [row.service_name, h("div", { class: "soft" }, [row.host_name, row.instance_id].filter(Boolean).join(" · ") || "unnamed")] },
      { name: "Runs", number: true, show: (row) => count(row.runs) },
      { name: "At once", number: true, show: (row) => against(row.workflows_at_once, row.workflow_limit) },
      { name: "On its host", number: true, show: (row) => against(row.host_workflows_at_once, row.workflow_limit) },
      { name: "Retrieval", number: true, show: (row) => against(row.retrieval_batch_max, row.retrieval_limit) },
      { name: "Embedding", number: true, show: (row) => against(row.embed_batch_max, row.embed_limit) },
      { name: "Overlap", number: true, show: (row) => duration(row.host_overlap_ns) },
      { name: "Memory", number: true, show: (row) => size(row.process_memory_bytes) },
      { name: "Free on host", number: true, show: (row) => share(row.host_memory_headroom) },
      { name: "asyncio", show: (row) => [row.asyncio_policy, row.executor].filter(Boolean).join(", ") || "–" },
    ], rows, { label: "The loop contract of each process", empty: "" }));
}
