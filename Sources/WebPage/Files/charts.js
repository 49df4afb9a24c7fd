// Charts over time in SVG, drawn at the width that they have. Each has a sentence for those who do not see it, arrows move its cross hair,
// and dragging over it chooses that time range.
import { clock, count, day, duration, go, h, replace, s, wall } from "./kit.js";

const watcher = new ResizeObserver((entries) => { for (const entry of entries) entry.target.redraw?.(Math.round(entry.contentRect.width)); });

// Keeps a drawing as wide as its box.
export function drawn(box, draw) {
  let last = 0;
  box.redraw = (width) => { if (width > 0 && width !== last) { last = width; draw(width); } };
  watcher.observe(box);
  return box;
}

const rem = () => parseFloat(getComputedStyle(document.documentElement).fontSize);

// `least` is the smallest step: 1 where there are no halves.
export function niceTicks(maximum, wanted, least = 0) {
  if (!(maximum > 0)) return [0];
  const rough = maximum / wanted;
  const power = 10 ** Math.floor(Math.log10(rough));
  const step = Math.max(least, [1, 2, 2.5, 5, 10].map((factor) => factor * power).find((candidate) => candidate >= rough));
  const ticks = [];
  for (let value = 0; value < maximum + step * 0.999; value += step) ticks.push(Number(value.toPrecision(12)));
  return ticks;
}

// Durations in round numbers of the unit that they are shown in: 1 min 40 s is no tick.
const roundDurations = [1e6, 1e9].flatMap((unit) => [1, 2, 5, 10, 20, 50, 100, 200, 500].map((one) => one * unit)).filter((one) => one <= 2e10)
  .concat([30e9, 60e9, 120e9, 300e9, 600e9, 1200e9, 1800e9, 3600e9, 7200e9, 10800e9, 21600e9, 43200e9, 86400e9, 172800e9, 432000e9, 864000e9]);
export function durationTicks(maximum, wanted) {
  const step = roundDurations.find((one) => maximum / one <= wanted) || 864000e9 * Math.ceil(maximum / wanted / 864000e9);
  if (maximum / step < 1) return niceTicks(maximum, wanted);
  const ticks = [];
  for (let value = 0; value < maximum + step * 0.999; value += step) ticks.push(value);
  return ticks;
}

const steps = [1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 14400, 21600, 43200, 86400, 172800, 604800, 1209600, 2592000].map((one) => one * 1000);
export function timeTicks(from, to, wanted) {
  const step = steps.find((one) => (to - from) / one <= wanted) || steps.at(-1);
  const shift = from - wall(from).getTime();
  const ticks = [];
  for (let at = Math.ceil((from - shift) / step) * step + shift; at <= to; at += step) ticks.push(at);
  return ticks.map((at) => ({ at, label: step >= 86400000 || (wall(at).getUTCHours() === 0 && wall(at).getUTCMinutes() === 0 && to - from > 86400000) ? day(at) : clock(at, false).slice(0, step < 60000 ? 8 : 5) }));
}

// series: [{ name, color: "c1", values: [[ms, number or null]], kind: "line" | "bars" }]
export function timeChart({ series, from, to, width: step, show, label, gate, gateName, height = 9 }) {
  const box = h("div", { class: "chart", role: "img", tabindex: "0", "aria-label": label, "data-own": "", "data-from": from, "data-to": to });
  drawn(box, (width) => {
    const unit = rem();
    const tall = height * unit;
    const inner = { left: 3.25 * unit, right: width - 0.5 * unit, top: 0.5 * unit, bottom: tall - 1.4 * unit };
    const values = series.flatMap((one) => one.values.map(([, value]) => value ?? 0));
    const top = Math.max(...values, gate || 0, 0);
    const ticks = show === duration && top > 0 ? durationTicks(top, 3) : niceTicks(top || 1, 3, show === count ? 1 : 0);
    const highest = ticks.at(-1) || 1;
    const x = (at) => inner.left + ((at - from) / (to - from)) * (inner.right - inner.left);
    const y = (value) => inner.bottom - (value / highest) * (inner.bottom - inner.top);
    const marks = [];
    for (const tick of ticks) {
      marks.push(s("line", { class: "rule", x1: inner.left, x2: inner.right, y1: y(tick), y2: y(tick) }));
      marks.push(s("text", { x: inner.left - 0.4 * unit, y: y(tick) + 0.25 * unit, "text-anchor": "end" }, show(tick)));
    }
    for (const tick of timeTicks(from, to, Math.max(2, Math.floor((inner.right - inner.left) / (5 * unit))))) {
      marks.push(s("text", { x: x(tick.at), y: tall - 0.2 * unit, "text-anchor": x(tick.at) > inner.right - 2 * unit ? "end" : x(tick.at) < inner.left + unit ? "start" : "middle" }, tick.label));
    }
    const bars = series.filter((one) => one.kind === "bars");
    const slot = Math.max(1, x(from + step) - x(from));
    for (const one of series) {
      if (one.kind === "bars") {
        const place = bars.indexOf(one);
        const each = Math.max(1, Math.min(1.5 * unit, (slot * 0.8) / bars.length));
        for (const [at, value] of one.values) {
          if (!value || at + step < from || at > to) continue;
          const left = x(at) + slot / 2 + (place - bars.length / 2) * each;
          const start = Math.max(inner.left, left);
          const wide = Math.min(inner.right, left + each - (each > 3 ? 1 : 0)) - start;
          if (wide > 0) marks.push(s("rect", { class: `barmark ${one.color}`, x: start, y: y(value), width: wide, height: Math.max(1, inner.bottom - y(value)), rx: Math.min(2, wide / 3) }));
        }
      } else marks.push(...line(one, x, y, inner, step));
    }
    if (gate) {
      marks.push(s("line", { class: "gate", x1: inner.left, x2: inner.right, y1: y(gate), y2: y(gate) }));
      marks.push(s("text", { class: "gate-text", x: (inner.left + inner.right) / 2, y: y(gate) - 4, "text-anchor": "middle" }, gateName));
    }
    const cross = s("line", { class: "cross", y1: inner.top, y2: inner.bottom, visibility: "hidden" });
    const brush = s("rect", { class: "brush", y: inner.top, height: inner.bottom - inner.top, width: 0, visibility: "hidden" });
    const picture = s("svg", { height: tall, viewBox: `0 0 ${width} ${tall}`, "aria-hidden": "true" }, marks, brush, cross);
    replace(box, picture);
    hover(box, picture, { series, x, inner, from, to, step, show, cross, brush });
  });
  return box;
}

function line(one, x, y, inner, step) {
  const runs = [];
  let run = [];
  let last = null;
  for (const [at, value] of one.values) {
    const gap = value === null || (last !== null && at - last > step * 1.5);
    if (gap && run.length) { runs.push(run); run = []; }
    if (value !== null) { run.push([Math.min(inner.right, Math.max(inner.left, x(at + step / 2))), y(value)]); last = at; }
  }
  if (run.length) runs.push(run);
  return runs.flatMap((points) => {
    const path = points.map(([px, py], index) => `${index ? "L" : "M"}${px.toFixed(1)} ${py.toFixed(1)}`).join("");
    const dots = points.length === 1 || points.length < 12 ? points.map(([px, py]) => s("circle", { class: `point ${one.color}`, cx: px, cy: py, r: 0.18 * rem() })) : [];
    return [s("path", { class: `area ${one.color}`, d: `${path}L${points.at(-1)[0].toFixed(1)} ${inner.bottom}L${points[0][0].toFixed(1)} ${inner.bottom}Z` }), s("path", { class: `line ${one.color}`, d: path }), ...dots];
  });
}

function hover(box, picture, { series, x, inner, from, to, step, show, cross, brush }) {
  const times = [...new Set(series.flatMap((one) => one.values.map(([at]) => at)))].sort((a, b) => a - b);
  if (!times.length) return;
  let chosen = -1;
  let start = null;
  const tip = h("div", { class: "tip", hidden: true });
  box.append(tip);
  const time = (px) => from + ((px - inner.left) / (inner.right - inner.left)) * (to - from);
  const point = (index) => {
    chosen = Math.max(0, Math.min(times.length - 1, index));
    const at = times[chosen];
    const px = Math.max(inner.left, Math.min(inner.right, x(at + step / 2)));
    cross.setAttribute("x1", px); cross.setAttribute("x2", px); cross.setAttribute("visibility", "visible");
    replace(tip, h("div", {}, `${day(at)} ${clock(at, false)}`), series.map((one) => {
      const value = one.values.find(([when]) => when === at)?.[1];
      return h("div", {}, `${one.name}: ${value === null || value === undefined ? "–" : (one.show || show)(value)}`);
    }));
    tip.hidden = false;
    const right = px > (inner.left + inner.right) / 2;
    tip.style.setProperty("left", right ? "auto" : `${px + 12}px`);
    tip.style.setProperty("right", right ? `${box.clientWidth - px + 12}px` : "auto");
    tip.style.setProperty("top", "0");
  };
  const hide = () => { tip.hidden = true; cross.setAttribute("visibility", "hidden"); };
  const nearest = (event) => {
    const at = time(event.clientX - picture.getBoundingClientRect().left) - step / 2;
    let best = 0;
    times.forEach((one, index) => { if (Math.abs(one - at) < Math.abs(times[best] - at)) best = index; });
    return best;
  };
  picture.addEventListener("pointermove", (event) => {
    point(nearest(event));
    if (start === null) return;
    const now = event.clientX - picture.getBoundingClientRect().left;
    brush.setAttribute("visibility", "visible");
    brush.setAttribute("x", Math.max(inner.left, Math.min(start, now)));
    brush.setAttribute("width", Math.abs(now - start));
  });
  picture.addEventListener("pointerdown", (event) => { if (event.pointerType === "mouse") start = event.clientX - picture.getBoundingClientRect().left; });
  picture.addEventListener("pointerup", (event) => {
    const end = event.clientX - picture.getBoundingClientRect().left;
    if (start !== null && Math.abs(end - start) > 8) {
      const [first, last] = [time(Math.min(start, end)), time(Math.max(start, end))].map((ms) => String(BigInt(Math.round(ms)) * 1000000n));
      go({ from: first, to: last, range: null });
    }
    start = null;
    brush.setAttribute("visibility", "hidden");
  });
  picture.addEventListener("pointerleave", () => { start = null; brush.setAttribute("visibility", "hidden"); hide(); });
  box.onkeydown = (event) => {
    if (event.key === "ArrowRight") point(chosen + 1);
    else if (event.key === "ArrowLeft") point(chosen < 0 ? times.length - 1 : chosen - 1);
    else if (event.key === "Escape") hide();
    else return;
    event.preventDefault();
  };
  box.onblur = hide;
}

export function legend(series) {
  return h("div", { class: "legend", "aria-hidden": "true" }, series.map((one) => h("span", {}, h("i", { class: one.color }), one.name)));
}

// points: [{ x, y, label, href, bad }]
export function scatter({ points, xName, yName, showX, showY, label, height = 18 }) {
  const box = h("div", { class: "chart", role: "group", "aria-label": label });
  return drawn(box, (width) => {
    const unit = rem();
    const tall = height * unit;
    const inner = { left: 3.5 * unit, right: width - 1.5 * unit, top: 1.75 * unit, bottom: tall - 2.4 * unit };
    const right = Math.max(...points.map((point) => point.x), 0);
    const xs = showX === duration && right > 0 ? durationTicks(right, 5) : niceTicks(right, 5);
    const ys = niceTicks(Math.max(...points.map((point) => point.y), 0), 4);
    const x = (value) => inner.left + (value / (xs.at(-1) || 1)) * (inner.right - inner.left);
    const y = (value) => inner.bottom - (value / (ys.at(-1) || 1)) * (inner.bottom - inner.top);
    const marks = [];
    for (const tick of ys) marks.push(s("line", { class: "rule", x1: inner.left, x2: inner.right, y1: y(tick), y2: y(tick) }), s("text", { x: inner.left - 0.4 * unit, y: y(tick) + 4, "text-anchor": "end" }, showY(tick)));
    for (const tick of xs) marks.push(s("text", { x: x(tick), y: inner.bottom + 1.1 * unit, "text-anchor": "middle" }, showX(tick)));
    marks.push(s("text", { x: inner.right, y: tall - 0.2 * unit, "text-anchor": "end" }, xName), s("text", { x: 0, y: 0.7 * unit }, yName));
    for (const point of points) {
      const dot = s("circle", { class: `point ${point.color || "c1"}`, cx: x(point.x), cy: y(point.y), r: 0.3 * unit }, s("title", {}, point.label));
      marks.push(point.href ? s("a", { href: point.href, "aria-label": point.label }, dot) : dot);
    }
    replace(box, s("svg", { height: tall, viewBox: `0 0 ${width} ${tall}` }, marks));
  });
}
