// The steps of a trace by name, in the order in which they first began, with what came after what: lines at the left lead on, lines at
// the right lead back. Each step is a button that goes from one of its spans to the next.
import { count, counted, duration, h, replace, s, stageClass, stateOf } from "./kit.js";
import { drawn } from "./charts.js";

const stepsMax = 60;
const nameOf = (node) => `${stageClass(node.span)}\n${node.span.name}`;
const endOf = (node) => node.offset + (node.span.duration_ns || 0);

// Steps, and edges between them with how often they were taken. A span comes after the sibling that ended last before it began, else it
// is the beginning of what is inside its parent.
export function stepsOf(tree) {
  const steps = new Map();
  for (const node of [...tree.nodes].sort((a, b) => a.offset - b.offset || a.depth - b.depth)) {
    const key = nameOf(node);
    if (!steps.has(key)) steps.set(key, { key, name: node.span.name || "no name", stage: stageClass(node.span), nodes: [], errors: 0, time: 0 });
    const step = steps.get(key);
    step.nodes.push(node);
    step.time += node.span.duration_ns || 0;
    if (stateOf(node.span) !== "ok") step.errors += 1;
  }
  const kept = [...steps.values()].sort((a, b) => b.time - a.time).slice(0, stepsMax);
  const shown = [...steps.values()].filter((step) => kept.includes(step));
  const place = new Map(shown.map((step, index) => [step.key, index]));
  const edges = new Map();
  const add = (before, node) => {
    const [from, to] = [place.get(nameOf(before)), place.get(nameOf(node))];
    if (from === undefined || to === undefined) return;
    const key = `${from} ${to}`;
    if (edges.has(key)) edges.get(key).count += 1; else edges.set(key, { from, to, count: 1 });
  };
  const siblings = (list, parent) => {
    const ended = [...list].sort((a, b) => endOf(a) - endOf(b));
    let next = 0;
    let last = null;
    for (const node of [...list].sort((a, b) => a.offset - b.offset)) {
      while (next < ended.length && endOf(ended[next]) <= node.offset && ended[next] !== node) last = ended[next++];
      if (last) add(last, node); else if (parent) add(parent, node);
    }
  };
  siblings(tree.roots, null);
  for (const node of tree.nodes) if (node.children.length) siblings(node.children, node);
  return { steps: shown, edges: [...edges.values()], left: steps.size - shown.length };
}

export function steps(tree, fall) {
  const { steps: found, edges, left } = stepsOf(tree);
  if (found.length < 2) return null;
  const after = (index) => edges.filter((edge) => edge.from === index).sort((a, b) => b.count - a.count).slice(0, 5).map((edge) => `${found[edge.to].name} ${counted(edge.count, "time", "times")}`).join(", ");
  const longest = Math.max(...found.map((step) => step.time), 1);
  const rows = found.map((step, index) => h("button", {
    type: "button", class: `step ${step.stage}`, title: step.name,
    "aria-label": `${step.name}: ${counted(step.nodes.length, "span", "spans")}, ${step.errors ? `${counted(step.errors, "failure", "failures")}, ` : ""}${duration(step.time)} together${after(index) ? `; then ${after(index)}` : ""}`,
    onclick: () => fall.choose(following(step, fall.chosen()), true),
  }, h("span", { class: "text" }, step.name), h("span", { class: "num soft" }, `×${count(step.nodes.length)}`), h("span", { class: `num ${step.errors ? "bad" : "soft"}` }, step.errors ? `${count(step.errors)} ✕` : ""), h("span", { class: "num" }, duration(step.time)), h("i", { class: "weight", style: { width: `${(step.time / longest) * 100}%` } })));
  rows.forEach((row) => row.addEventListener("keydown", (event) => {
    const next = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (!next) return;
    rows[rows.indexOf(row) + next]?.focus();
    event.preventDefault();
  }));
  const [forward, back] = [h("div", { class: "arcs" }), h("div", { class: "arcs back" })];
  let current = -1;
  const arcs = (box, list, isBack) => drawn(box, (width) => {
    const tall = box.clientHeight / found.length;
    replace(box, s("svg", { viewBox: `0 0 ${width} ${box.clientHeight}`, width, height: box.clientHeight, "aria-hidden": "true" }, list.map((edge) => arc(edge, found, tall, width, isBack, edge.from === current || edge.to === current))));
  });
  const [down, up] = [edges.filter((edge) => edge.to > edge.from), edges.filter((edge) => edge.to <= edge.from)];
  arcs(forward, down, false);
  arcs(back, up, true);
  fall.onChoose((node) => {
    const index = found.findIndex((step) => step.key === nameOf(node));
    if (index === current) return;
    current = index;
    rows.forEach((row, at) => { if (at === index) row.setAttribute("aria-current", "true"); else row.removeAttribute("aria-current"); });
    for (const box of [forward, back]) for (const line of box.querySelectorAll("path")) line.classList.toggle("current", Number(line.dataset.from) === index || Number(line.dataset.to) === index);
  });
  const wide = matchMedia("(min-width: 1900px)").matches;
  const kept = localStorage.getItem("steps");
  const box = h("details", { class: "card steps", open: kept ? kept === "open" : wide },
    h("summary", { onclick: () => localStorage.setItem("steps", box.open ? "closed" : "open") }, "Steps ", h("span", { class: "soft" }, count(found.length + left))),
    h("div", { class: "step-graph" }, forward, h("div", { class: "step-rows", role: "group", "aria-label": "Steps in the order in which they first began" }, rows), back),
    left ? h("p", { class: "soft small" }, `and ${counted(left, "shorter step", "shorter steps")}`) : null);
  return box;
}

// The span of the step that comes after the chosen one, else its first.
function following(step, chosen) {
  const at = step.nodes.indexOf(chosen);
  return step.nodes[at + 1] || step.nodes[0];
}

// From the middle of a row to another, bowed by how far they are apart.
function arc(edge, found, tall, width, isBack, isCurrent) {
  const [y1, y2] = [(edge.from + 0.5) * tall, (edge.to + 0.5) * tall];
  const side = isBack ? 0 : width;
  const reach = Math.min(width - 3, 4 + (width - 7) * Math.min(1, Math.sqrt(Math.abs(edge.to - edge.from)) / Math.sqrt(Math.min(12, found.length))));
  const bow = isBack ? reach : width - reach;
  const thick = Math.min(4, 1 + Math.log2(edge.count) / 2);
  const own = edge.from === edge.to;
  const d = own ? `M${side} ${y1 - tall * 0.22}C${bow + (isBack ? 5 : -5)} ${y1 - tall * 0.35} ${bow + (isBack ? 5 : -5)} ${y1 + tall * 0.35} ${side} ${y1 + tall * 0.22}` : `M${side} ${y1 + (y2 > y1 ? 1 : -1) * tall * 0.12}C${bow} ${y1} ${bow} ${y2} ${side} ${y2 - (y2 > y1 ? 1 : -1) * tall * 0.12}`;
  return s("path", { class: isCurrent ? "arc current" : "arc", d, "stroke-width": thick, "data-from": edge.from, "data-to": edge.to }, s("title", {}, `${found[edge.from].name} → ${found[edge.to].name}: ${counted(edge.count, "time", "times")}`));
}
