// The spans of a trace as a tree.
import { nanoseconds } from "./kit.js";

export function grow(data) {
  // The two sides of a call may share one id: the server's span is then a node of its own, under the other side's.
  const byID = new Map();
  const servers = new Map();
  // Logfire announces a span that begins by one with another id. It stands for that span, until it comes itself.
  const come = new Set(data.spans.filter((span) => !span.is_pending).map((span) => span.span_id));
  const spans = data.spans.filter((span) => !(span.is_pending && come.has(span.parent_span_id)));
  const nodes = spans.map((span) => ({ span, key: span.span_id, children: [], depth: 0, isOpen: true, parent: null, runs: Boolean(span.is_pending) || span.duration_ns === null }));
  for (const node of nodes) {
    const known = byID.get(node.span.span_id);
    const isCalled = Boolean(known) && node.span.kind === 2;
    if (known) servers.set(node.span.span_id, isCalled ? node : known);
    if (!isCalled) byID.set(node.span.span_id, node);
  }
  for (const node of servers.values()) node.key += "-server";
  for (const node of nodes) if (node.span.is_pending && !byID.has(node.span.parent_span_id)) byID.set(node.span.parent_span_id, node);
  const parentOf = (node) => {
    if (node.span.is_pending) return byID.get(node.span.pending_parent_id) || null;
    const own = byID.get(node.span.span_id);
    if (own !== node) return own;
    const caller = byID.get(node.span.parent_span_id);
    const called = servers.get(node.span.parent_span_id);
    if (!caller || caller === node) return null;
    if (!called) return caller;
    return caller.span.service_name === node.span.service_name && called.span.service_name !== node.span.service_name ? caller : called;
  };
  const roots = [];
  for (const node of nodes) {
    const parent = parentOf(node);
    if (parent) { node.parent = parent; parent.children.push(node); } else roots.push(node);
  }
  // Spans whose parents form a ring hang under nobody: they are shown as roots.
  const reached = new Set();
  const visit = (start) => {
    const stack = [[start, 0]];
    while (stack.length) {
      const [node, depth] = stack.pop();
      if (reached.has(node)) continue;
      reached.add(node);
      node.depth = depth;
      for (const child of node.children) stack.push([child, depth + 1]);
    }
  };
  roots.forEach(visit);
  for (const node of nodes) if (!reached.has(node)) { node.parent = null; roots.push(node); visit(node); }
  let start = null;
  let end = null;
  for (const span of data.spans) {
    span.start = nanoseconds(span.start_time_unix_nano);
    span.end = nanoseconds(span.end_time_unix_nano);
    if (start === null || span.start < start) start = span.start;
    if (end === null || span.end > end) end = span.end;
  }
  // Whoever has not ended is as long as what is known of the trace.
  if (end < start) end = start;
  for (const node of nodes) {
    node.offset = Number(node.span.start - start);
    node.counts = node.span.counts_tokens === 1;
    node.evals = [];
  }
  for (const one of data.evals) (byID.get(one.span_id) || roots[0]).evals.push(one);
  // A span without a parent comes first among those that no stored span holds.
  const hasRoot = roots.some((node) => node.span.parent_span_id === null);
  const running = nodes.filter((node) => node.runs).length;
  roots.sort((a, b) => Number(a.span.parent_span_id !== null) - Number(b.span.parent_span_id !== null));
  return { byID, nodes, roots, start, length: Math.max(1, Number(end - start)), hasRoot, running, path: criticalPath(nodes, data.critical_path) };
}

// The critical path, as the server found it: each span's own part of it at its node.
function criticalPath(nodes, path) {
  const length = Number(path?.duration_ns || 0);
  if (!length) return null;
  const key = (one) => `${one.span_id} ${one.kind === 2}`;
  const parts = new Map(path.spans.map((one) => [key(one), { duration: Number(one.duration_ns), segments: one.segments.map((segment) => segment.map(Number)) }]));
  for (const node of nodes) node.onPath = parts.get(key(node.span)) || null;
  return { duration: length, uncovered: Number(path.uncovered_ns) };
}

function addSpan(sums, span) {
  sums.tokens += Number(span.tokens);
  sums.cached_tokens += Number(span.cached_tokens || 0);
  sums.reasoning_tokens += Number(span.reasoning_tokens || 0);
  if (span.dollars !== null) sums.dollars = (sums.dollars || 0) + span.dollars;
  else sums.unpriced_tokens += Number(span.tokens);
}

// Sums over a whole trace, each token once.
export function spending(tree) {
  const sums = { tokens: 0, cached_tokens: 0, reasoning_tokens: 0, dollars: null, unpriced_tokens: 0 };
  for (const node of tree.nodes) if (node.counts) addSpan(sums, node.span);
  return sums;
}

// Sums over a node and what hangs under it, each token once.
export function below(node) {
  const sums = { tokens: 0, cached_tokens: 0, reasoning_tokens: 0, dollars: null, unpriced_tokens: 0, spans: 0 };
  const stack = [node];
  const seen = new Set();
  while (stack.length) {
    const one = stack.pop();
    if (seen.has(one)) continue;
    seen.add(one);
    sums.spans += 1;
    if (one.counts) {
      addSpan(sums, one.span);
    }
    stack.push(...one.children);
  }
  return sums;
}
