// The part of a trace that is looked at: chosen in the minimap, on the axis or by keys, and kept in the address.
import { duration, go, h, place, replace, s, stageClass, stateOf } from "./kit.js";
import { durationTicks } from "./charts.js";

const writeAfter = 150;
const edge = 8;
// Pixels of a letter on the axis, and a little more.
const letter = 8;

// The window over a trace of `length` nanoseconds. `changed` is called when it is another one.
export function zoom(length, signal, changed) {
  // A thousandth of a millisecond, but never more than a hundredth of the trace.
  const least = Math.max(1, Math.min(1000, length / 100));
  let [from, to] = [0, length];
  let timer = null;
  const isWhole = () => from <= 0 && to >= length;

  function set(first, last) {
    const wide = Math.max(least, Math.min(length, last - first));
    const start = Math.round(Math.max(0, Math.min(length - wide, first)));
    const end = Math.min(length, Math.round(start + wide));
    if (start === from && end === to) return;
    [from, to] = [start, end];
    changed();
    clearTimeout(timer);
    timer = setTimeout(() => { if (!signal.aborted) go({ zoom: isWhole() ? null : `${from}-${to}` }, true); }, writeAfter);
  }
  const asked = /^(\d{1,15})-(\d{1,15})$/.exec(place().parameters.get("zoom") || "");
  if (asked && Number(asked[1]) < Number(asked[2]) && Number(asked[1]) < length) [from, to] = [Number(asked[1]), Math.min(length, Number(asked[2]))];

  const scale = (factor, at = (from + to) / 2) => { const wide = Math.max(least, Math.min(length, (to - from) * factor)); const part = (at - from) / (to - from); set(at - part * wide, at + (1 - part) * wide); };
  const pan = (part) => set(from + part * (to - from), to + part * (to - from));
  const whole = () => set(0, length);
  const steps = { "+": () => scale(0.5), "=": () => scale(0.5), "-": () => scale(2), _: () => scale(2), 0: whole };
  return {
    set, scale, pan, whole, isWhole, length,
    get from() { return from; },
    get to() { return to; },
    // Where a time stands, in percent of the width.
    at: (time) => ((time - from) / (to - from)) * 100,
    // Moves, if need be, so that a span can be seen.
    show(start, end) { if (end < from || start > to) set(start - (to - from) * 0.1, start + (to - from) * 0.9); },
    // Zooms to a span, with some room around it.
    fit(start, end) { const room = Math.max((end - start) * 0.05, least / 2); set(start - room, end + room); },
    key(event) {
      const step = steps[event.key];
      if (step) step();
      return Boolean(step);
    },
  };
}

// The whole trace, small, with the part that is looked at. It is a slider: arrows move the part, + and - change its size, 0 is the whole.
export function minimap(tree, window) {
  const before = h("div", { class: "shade" });
  const after = h("div", { class: "shade" });
  const box = h("div", { class: "minimap", role: "slider", tabindex: "0", "aria-label": "Part of the trace that is shown", "aria-orientation": "horizontal", "aria-valuemin": "0", "aria-valuemax": "100", title: "Drag to zoom; drag the part to move it; double-click for the whole trace" }, picture(tree), before, after);

  function draw() {
    const [left, right] = [(window.from / window.length) * 100, (window.to / window.length) * 100];
    before.style.setProperty("width", `${left}%`);
    after.style.setProperty("width", `${100 - right}%`);
    box.classList.toggle("zoomed", !window.isWhole());
    box.setAttribute("aria-valuenow", String(Math.round(left)));
    box.setAttribute("aria-valuetext", window.isWhole() ? `the whole trace, ${duration(window.length)}` : `${duration(window.from)} to ${duration(window.to)} of ${duration(window.length)}`);
  }
  box.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const wide = window.to - window.from;
    const step = { ArrowLeft: () => window.pan(-0.1), ArrowRight: () => window.pan(0.1), PageUp: () => window.pan(-0.9), PageDown: () => window.pan(0.9), ArrowUp: () => window.scale(0.5), ArrowDown: () => window.scale(2), Home: () => window.set(0, wide), End: () => window.set(window.length - wide, window.length) }[event.key];
    if (step) step(); else if (!window.key(event)) return;
    event.preventDefault();
    event.stopPropagation();
  });
  dragging(box, {
    // What a press takes hold of: an edge of the part, the part, or a new one.
    start(time, perPixel) {
      if (window.isWhole()) return { kind: "new" };
      if (Math.abs(time - window.from) < edge * perPixel) return { kind: "edge", other: window.to };
      if (Math.abs(time - window.to) < edge * perPixel) return { kind: "edge", other: window.from };
      return time > window.from && time < window.to ? { kind: "part", from: window.from, to: window.to } : { kind: "new" };
    },
    move(held, first, now) {
      if (held.kind === "part") window.set(held.from + now - first, held.to + now - first);
      else { const other = held.kind === "edge" ? held.other : first; window.set(Math.min(other, now), Math.max(other, now)); }
    },
    end() {},
    time: (part) => part * window.length,
  });
  box.addEventListener("dblclick", window.whole);
  draw();
  return { element: box, draw };
}

const rowsDrawn = 48;

// All bars as one path for each colour: thousands of spans are a few elements.
function picture(tree) {
  const order = [];
  const stack = [...tree.roots].reverse();
  while (stack.length) {
    const node = stack.pop();
    order.push(node);
    for (let index = node.children.length - 1; index >= 0; index -= 1) stack.push(node.children[index]);
  }
  const tall = rowsDrawn / Math.max(12, Math.min(rowsDrawn, order.length));
  const paths = new Map();
  const seen = new Set();
  order.forEach((node, index) => {
    const state = stateOf(node.span);
    const name = state === "error" || state === "timeout" ? "failed" : stageClass(node.span);
    const x = Math.round((node.offset / tree.length) * 2000) / 2;
    const wide = Math.max(1, Math.round(((node.runs ? tree.length - node.offset : node.span.duration_ns || 0) / tree.length) * 2000) / 2);
    const y = order.length > rowsDrawn ? Math.floor((index / order.length) * rowsDrawn) : index * tall;
    const one = `M${x} ${y.toFixed(2)}h${wide}v${(tall * 0.75).toFixed(2)}h-${wide}z`;
    if (seen.has(name + one)) return;
    seen.add(name + one);
    paths.set(name, (paths.get(name) || "") + one);
  });
  return s("svg", { viewBox: `0 0 1000 ${rowsDrawn}`, preserveAspectRatio: "none", "aria-hidden": "true" }, [...paths].map(([name, d]) => s("path", { class: `mini ${name}`, d })));
}

// The axis above the bars. Dragging over it zooms.
export function ruler(window) {
  const marks = h("div", { class: "marks" });
  const pick = h("div", { class: "pick", hidden: true });
  const element = h("div", { class: "ruler", "aria-hidden": "true", title: "Drag to zoom" }, marks, pick);
  function draw() {
    const wide = window.to - window.from;
    const wanted = Math.max(3, Math.min(8, Math.floor(element.clientWidth / 90)));
    const ticks = durationTicks(wide, wanted);
    const step = ticks[1] ?? wide;
    const shown = [];
    for (let tick = Math.ceil(window.from / step) * step; tick < window.to && shown.length < 20; tick += step) {
      const text = window.from > 0 ? exact(tick, step, window.to) : duration(tick);
      // A label that would be cut off says something else.
      if ((1 - window.at(tick) / 100) * element.clientWidth > text.length * letter) shown.push(h("span", { style: { left: `${window.at(tick)}%` } }, text));
    }
    replace(marks, shown);
  }
  dragging(element, {
    start: () => ({}),
    move(held, first, now) {
      Object.assign(held, { from: Math.min(first, now), to: Math.max(first, now) });
      pick.hidden = false;
      pick.style.setProperty("left", `${window.at(held.from)}%`);
      pick.style.setProperty("width", `${window.at(held.to) - window.at(held.from)}%`);
    },
    end(held) { pick.hidden = true; if (held.to > held.from) window.set(held.from, held.to); },
    time: (part) => window.from + part * (window.to - window.from),
  });
  element.addEventListener("dblclick", window.whole);
  return { element, draw };
}

// A time with as many digits as neighbours need to differ.
export function exact(time, step, largest) {
  const [unit, name] = largest >= 1e9 ? [1e9, "s"] : largest >= 1e6 ? [1e6, "ms"] : largest >= 1e3 ? [1e3, "µs"] : [1, "ns"];
  const digits = Math.max(0, Math.min(9, Math.ceil(Math.log10(unit / step) - 1e-9)));
  if (time < 120e9 || step >= 60e9) return step >= 60e9 ? duration(time) : `${(time / unit).toFixed(digits)} ${name}`;
  const minutes = Math.floor(time / 60e9);
  return `${minutes} min ${((time - minutes * 60e9) / 1e9).toFixed(digits)} s`;
}

// Drags over a box, told in times. A press that hardly moves is none.
function dragging(box, { start, move, end, time }) {
  box.addEventListener("pointerdown", (event) => {
    if (event.button !== 0) return;
    const area = box.getBoundingClientRect();
    const at = (one) => time(Math.max(0, Math.min(1, (one.clientX - area.left) / area.width)));
    const first = at(event);
    const held = start(first, (time(1) - time(0)) / area.width);
    let isDragging = false;
    box.setPointerCapture(event.pointerId);
    const moved = (one) => {
      isDragging ||= Math.abs(one.clientX - event.clientX) > 3;
      if (isDragging) move(held, first, at(one));
    };
    const done = () => {
      box.removeEventListener("pointermove", moved);
      box.removeEventListener("pointerup", done);
      box.removeEventListener("pointercancel", done);
      if (isDragging) end(held);
    };
    box.addEventListener("pointermove", moved);
    box.addEventListener("pointerup", done);
    box.addEventListener("pointercancel", done);
  });
}
