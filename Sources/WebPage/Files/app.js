// The frame: navigation, theme, keys, and which page is shown.
import { address, ago, ask, count, h, place, problem, replace, withRange } from "./kit.js";
import { overview } from "./overview.js";
import { fuses } from "./fuses.js";
import { traces } from "./traces.js";
import { trace } from "./trace.js";
import { session, sessions } from "./sessions.js";
import { evals } from "./evals.js";
import { compare } from "./compare.js";
import { sql } from "./sql.js";

const pages = [
  { name: "overview", title: "Overview", key: "o", show: overview },
  { name: "fuses", title: "Fuse board", key: "f", show: fuses },
  { name: "traces", title: "Traces", key: "t", show: traces },
  { name: "sessions", title: "Sessions", key: "s", show: sessions },
  { name: "evals", title: "Evals", key: "e", show: evals },
  { name: "compare", title: "Compare", key: "c", show: compare },
  { name: "sql", title: "SQL", key: "q", show: sql },
];
const inner = { trace: { title: "Trace", show: trace, parent: "traces" }, session: { title: "Session", show: session, parent: "sessions" } };

const main = document.getElementById("main");
const nav = document.getElementById("nav");
let leave = null;
let shown = null;

async function show() {
  const here = place();
  const page = pages.find((one) => one.name === here.page) || inner[here.page] || pages[0];
  leave?.abort();
  leave = new AbortController();
  const signal = leave.signal;
  const current = page.parent || page.name;
  replace(nav, pages.map((one) => h("a", { href: address(one.name, withRange()), "aria-current": one.name === current ? "page" : null, "aria-keyshortcuts": `g ${one.key}` }, one.title)));
  nav.querySelector("[aria-current]")?.scrollIntoView({ block: "nearest", inline: "nearest" });
  const moved = shown !== `${here.page}/${here.id || ""}`;
  document.title = `${page.title} · Fusebox`;
  main.setAttribute("aria-busy", "true");
  try {
    const content = await page.show({ place: here, signal, title: (text) => { document.title = `${text} · Fusebox`; } });
    if (signal.aborted) return;
    replace(main, content);
  } catch (error) {
    if (signal.aborted || error.name === "AbortError") return;
    replace(main, h("h1", {}, page.title), problem(error));
  }
  main.removeAttribute("aria-busy");
  if (moved && shown !== null) { main.focus({ preventScroll: true }); scrollTo(0, 0); }
  shown = `${here.page}/${here.id || ""}`;
  main.dataset.page = here.page;
}

// What is stored, in the corner; it also says when the server is gone.
async function store() {
  const box = document.getElementById("store");
  try {
    const status = await ask("/api/status");
    replace(box, `${count(status.span_count)} spans`, h("br"), status.received_time_unix_nano ? `last ${ago(status.received_time_unix_nano)}` : "waiting for the first", h("br"), status.taking_spans ? "" : h("strong", { class: "bad" }, "cannot store spans"), ` v${status.version}`);
  } catch {
    replace(box, h("strong", { class: "bad" }, "The server does not answer."));
  }
}

// Theme: the system's until somebody chooses.
const dark = matchMedia("(prefers-color-scheme: dark)");
function theme() {
  const chosen = localStorage.getItem("theme");
  const value = chosen || (dark.matches ? "dark" : "light");
  document.documentElement.dataset.theme = value;
  replace(document.getElementById("theme"), value === "dark" ? "Light theme" : "Dark theme");
}
document.getElementById("theme").addEventListener("click", () => {
  localStorage.setItem("theme", document.documentElement.dataset.theme === "dark" ? "light" : "dark");
  theme();
});
dark.addEventListener("change", theme);
theme();

// g and a letter goes to a page, / to its search.
let waitsForPage = false;
addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.target.closest("input, textarea, select")) return;
  if (waitsForPage) {
    waitsForPage = false;
    const page = pages.find((one) => one.key === event.key);
    if (page) { location.hash = address(page.name, withRange()); event.preventDefault(); }
  } else if (event.key === "g") waitsForPage = true;
  else if (event.key === "/") {
    const search = main.querySelector("[data-search]");
    if (search) { search.focus(); event.preventDefault(); } else location.hash = address("traces", withRange());
  }
});

document.getElementById("skip").addEventListener("click", (event) => { event.preventDefault(); main.focus(); });
addEventListener("hashchange", show);
show();
store();
setInterval(() => { if (!document.hidden) store(); }, 5000);
