// Spans over time. Only the rows in view are in the document, so thousands of spans stay light.
import { count, dollars, duration, go, h, place, share, stageClass, stateOf } from "./kit.js";
import { detail } from "./detail.js";
import { minimap, ruler, zoom } from "./zoom.js";

const rowsBeyondView = 8;

export function waterfall(tree, panel, data, signal) {
  const space = h("div", { class: "fall-space", role: "presentation" });
  const box = h("div", { class: "fall-rows", role: "tree", tabindex: "0", "data-keys": "", "aria-label": "Spans of the trace, as a tree" }, space);
  const part = zoom(tree.length, signal, () => { draw(); shown(); });
  const [map, axis] = [minimap(tree, part), ruler(part)];
  const whole = h("button", { type: "button", class: "tiny", "data-whole": "", onclick: () => { part.whole(); map.element.focus(); } }, "Whole trace");
  let hasPath = place().parameters.get("path") !== "off";
  const path = h("button", { type: "button", class: "tiny", "aria-pressed": String(hasPath), "data-path": "", title: "What the duration is made of: for every moment, the span that the trace was waiting for", onclick: () => { hasPath = !hasPath; path.setAttribute("aria-pressed", String(hasPath)); go({ path: hasPath ? null : "off" }, true); draw(); } }, "Critical path");
  const watchers = [];
  const divider = h("div", { class: "divider", role: "separator", tabindex: "0", "aria-orientation": "vertical", "aria-label": "Width of the names", "aria-valuemin": "15", "aria-valuemax": "75" });
  const stages = [["llm", "model"], ["tool", "tool"], ["vector", "retrieval"], ["subprocess", "program"], ["other", "other"]];
  const element = h("section", { class: "card fall", "data-length-ns": tree.length },
    h("div", { class: "fall-top" }, h("div", { class: "fall-tools" }, tree.path ? path : null, whole), map.element),
    h("div", { class: "fall-head" }, h("div", { class: "keys" }, stages.map(([stage, name]) => h("span", { class: `key stage-${stage}` }, h("i"), name))), axis.element), h("div", { class: "fall-body" }, box, divider));
  resizable(element, divider);
  // However deep a trace is, half of the column is left for names.
  const deepest = tree.nodes.reduce((most, node) => Math.max(most, node.depth), 0);
  element.style.setProperty("--indent", `${Math.min(0.875, 7 / Math.max(1, deepest))}rem`);
  let rows = [];
  let chosen = null;
  let found = null;
  let isOnly = false;
  const rowHeight = () => 1.75 * parseFloat(getComputedStyle(document.documentElement).fontSize);

  function flatten() {
    rows = [];
    for (const node of tree.nodes) node.row = -1;
    const kept = isOnly && found ? new Set(found) : null;
    if (kept) for (const node of found) for (let parent = node.parent; parent && !kept.has(parent); parent = parent.parent) kept.add(parent);
    const stack = [...tree.roots].reverse();
    while (stack.length) {
      const node = stack.pop();
      if (kept && !kept.has(node)) continue;
      node.row = rows.length;
      rows.push(node);
      if (node.isOpen) for (let index = node.children.length - 1; index >= 0; index -= 1) stack.push(node.children[index]);
    }
    space.style.setProperty("height", `${rows.length * rowHeight()}px`);
    draw();
  }

  let drawnRange = "";
  function draw(force = true) {
    const tall = rowHeight();
    const first = Math.max(0, Math.floor(box.scrollTop / tall) - rowsBeyondView);
    const last = Math.min(rows.length, Math.ceil((box.scrollTop + (box.clientHeight || 600)) / tall) + rowsBeyondView);
    const range = `${first}-${last}`;
    if (!force && range === drawnRange) return;
    drawnRange = range;
    space.replaceChildren(...rows.slice(first, last).map((node) => row(node, tall)));
    if (chosen) box.setAttribute("aria-activedescendant", `span-${chosen.key}`);
  }

  function row(node, tall) {
    const span = node.span;
    const state = stateOf(span);
    const end = node.runs ? tree.length : node.offset + (span.duration_ns || 0);
    // Just outside of what is shown is enough: a bar need not be a million times as wide as the page.
    const [left, right] = [node.offset, end].map((time) => Math.max(-2, Math.min(102, part.at(time))));
    const isBeyond = right < 0 || left > 100;
    const labels = [node.runs ? "not ended" : duration(span.duration_ns)];
    if (node.counts && span.tokens) labels.push(`${count(span.tokens)} tok`);
    if (node.counts && span.dollars !== null) labels.push(dollars(span.dollars));
    if (state !== "ok") labels.push(state);
    for (const one of node.evals) labels.push(`${one.name} ${one.score ?? one.label ?? ""}`);
    // Beside the bar where there is room, else before it, else on it.
    const where = isBeyond ? (left > 100 ? { right: "0" } : { left: "0" }) : right <= 62 ? { left: `${right}%` } : left >= 40 ? { right: `${100 - left}%` } : { right: `${Math.max(0, 100 - right)}%` };
    const after = h("span", { class: `after ${right > 62 && left < 40 && !isBeyond ? "inside" : ""}`, style: where }, isBeyond && left < 0 ? "‹ " : null, labels[0], labels.length > 1 ? h("span", { class: "more" }, ` · ${labels.slice(1).join(" · ")}`) : null, isBeyond && left > 100 ? " ›" : null);
    const bar = h("div", { class: `span-bar ${node.runs ? "runs" : ""}`, "data-span": span.span_id, "data-start-ns": node.offset, "data-duration-ns": span.duration_ns || 0, hidden: isBeyond, style: { left: `${left}%`, width: `${right - left}%` } });
    return h("div", {
      class: `fall-row ${stageClass(span)} ${state === "error" || state === "timeout" ? "failed" : state} ${node === chosen ? "selected" : ""} ${found && !found.has(node) ? "faint" : ""}`,
      role: "treeitem", id: `span-${node.key}`, "aria-level": node.depth + 1, "aria-selected": String(node === chosen), "aria-expanded": node.children.length ? String(node.isOpen) : null,
      "aria-posinset": node.row + 1, "aria-setsize": rows.length,
      "aria-label": `${span.name}, ${labels.join(", ")}${hasPath && node.onPath ? `, ${share(node.onPath.duration, tree.path.duration)} of the critical path` : ""}`, style: { top: `${node.row * tall}px`, "--depth": Math.min(node.depth, 200) },
      onclick: () => choose(node, true),
    },
    h("div", { class: "label" },
      h("span", { class: "twist", "aria-hidden": "true", onclick: (event) => { event.stopPropagation(); fold(node, !node.isOpen); } }, node.children.length ? (node.isOpen ? "▾" : "▸") : ""),
      h("i", { class: "mark" }), h("span", { class: "text" }, span.name || "no name", " ", h("small", {}, span.tool_name && span.tool_name !== span.name ? span.tool_name : span.model || ""))),
    h("div", { class: "lanebox" }, bar, hasPath && node.onPath ? onPath(node) : null, after));
  }

  // The parts of a span that the trace was waiting for, a line under its bar. What lies closer together than can be seen is one.
  function onPath(node) {
    const marks = [];
    for (const [offset, length] of node.onPath.segments) {
      const [left, right] = [offset, offset + length].map((time) => Math.max(-1, Math.min(101, part.at(time))));
      if (right < 0 || left > 100) continue;
      const last = marks.at(-1);
      if (last && left - last.right < 0.1) last.right = right; else marks.push({ left, right });
    }
    return marks.map(({ left, right }) => h("i", { class: "on-path", style: { left: `${left}%`, width: `${right - left}%` } }));
  }

  function shown() {
    axis.draw();
    map.draw();
    whole.hidden = part.isWhole();
  }

  function fold(node, isOpen) {
    if (!node.children.length || node.isOpen === isOpen) return;
    node.isOpen = isOpen;
    flatten();
  }

  function choose(node, isAsked) {
    chosen = node;
    for (let parent = node.parent; parent; parent = parent.parent) parent.isOpen = true;
    if (rows[node.row] !== node) flatten();
    reveal();
    if (isAsked) part.show(node.offset, node.runs ? tree.length : node.offset + (node.span.duration_ns || 0));
    draw();
    watchers.forEach((watch) => watch(node));
    detail(panel, node, tree, data, signal, choose);
    if (isAsked) go({ span: node.span.span_id }, true);
  }

  function reveal() {
    const tall = rowHeight();
    const top = Math.max(0, chosen.row) * tall;
    if (top < box.scrollTop) box.scrollTop = top;
    else if (top + tall > box.scrollTop + box.clientHeight && box.clientHeight) box.scrollTop = top + tall - box.clientHeight;
  }

  const page = () => Math.max(1, Math.floor(box.clientHeight / rowHeight()) - 1);
  const keys = {
    ArrowDown: () => rows[chosen.row + 1], ArrowUp: () => rows[chosen.row - 1], j: () => rows[chosen.row + 1], k: () => rows[chosen.row - 1],
    Home: () => rows[0], End: () => rows.at(-1),
    PageDown: () => rows[Math.min(rows.length - 1, chosen.row + page())], PageUp: () => rows[Math.max(0, chosen.row - page())],
    ArrowRight: () => { if (chosen.children.length && !chosen.isOpen) { fold(chosen, true); return chosen; } return chosen.children[0]; },
    ArrowLeft: () => { if (chosen.children.length && chosen.isOpen) { fold(chosen, false); return chosen; } return chosen.parent; },
    n: () => rows.find((node, index) => index > chosen.row && stateOf(node.span) !== "ok") || rows.find((node) => stateOf(node.span) !== "ok"),
  };
  box.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === "Enter") { panel.focus(); event.preventDefault(); return; }
    if (event.shiftKey && (event.key === "ArrowLeft" || event.key === "ArrowRight")) { part.pan(event.key === "ArrowLeft" ? -0.25 : 0.25); event.preventDefault(); return; }
    if (event.key === "z") { part.fit(chosen.offset, chosen.runs ? tree.length : chosen.offset + (chosen.span.duration_ns || 0)); event.preventDefault(); return; }
    if (part.key(event)) { event.preventDefault(); return; }
    const target = keys[event.key];
    if (!target) return;
    event.preventDefault();
    const node = target();
    if (node) choose(node, true);
  });
  panel.addEventListener("keydown", (event) => { if (event.key === "Escape") box.focus(); });
  box.addEventListener("scroll", () => requestAnimationFrame(() => draw(false)));
  new ResizeObserver(() => { space.style.setProperty("height", `${rows.length * rowHeight()}px`); draw(); axis.draw(); }).observe(box);

  // Those that a search found; with `hideOthers`, only they and what leads to them.
  function mark(ids) {
    found = ids ? new Set(tree.nodes.filter((node) => ids.has(node.span.span_id))) : null;
    if (!ids) isOnly = false;
    if (found) for (const node of found) for (let parent = node.parent; parent; parent = parent.parent) parent.isOpen = true;
    flatten();
    const first = rows.find((node) => found?.has(node));
    if (first && !found.has(chosen)) { box.scrollTop = Math.max(0, first.row * rowHeight() - box.clientHeight / 2); draw(); }
  }
  function hideOthers(on) {
    isOnly = on;
    flatten();
  }
  function nextFound(step = 1) {
    const all = rows.filter((node) => found?.has(node));
    if (!all.length) return;
    const at = all.findIndex((node) => node.row > chosen.row);
    const next = step > 0 ? all[at < 0 ? 0 : at] : all.findLast((node) => node.row < chosen.row) || all.at(-1);
    choose(next, true);
  }
  flatten();
  shown();
  return { element, choose, found: mark, hideOthers, nextFound, onChoose: (watch) => watchers.push(watch), chosen: () => chosen };
}

// The column of names is as wide as somebody drags it; arrows do it too.
function resizable(element, divider) {
  const kept = Number(localStorage.getItem("names")) || null;
  const set = (percent) => {
    const wide = Math.max(15, Math.min(75, percent));
    element.style.setProperty("--names", `${wide}%`);
    divider.setAttribute("aria-valuenow", Math.round(wide));
    localStorage.setItem("names", wide);
  };
  if (kept) set(kept); else divider.setAttribute("aria-valuenow", "38");
  const at = () => Number(divider.getAttribute("aria-valuenow"));
  divider.addEventListener("keydown", (event) => {
    const step = { ArrowLeft: -3, ArrowRight: 3 }[event.key];
    if (!step) return;
    event.preventDefault();
    event.stopPropagation();
    set(at() + step);
  });
  divider.addEventListener("pointerdown", (event) => {
    divider.setPointerCapture(event.pointerId);
    const move = (moved) => { const box = element.getBoundingClientRect(); set(((moved.clientX - box.left) / box.width) * 100); };
    divider.addEventListener("pointermove", move);
    divider.addEventListener("pointerup", () => divider.removeEventListener("pointermove", move), { once: true });
  });
}
