// What a person without a mouse or without sight needs, as a list of breaches. Runs in the page.
() => {
  const breaches = [];
  const shown = (element) => element.checkVisibility({ visibilityProperty: true, opacityProperty: true });
  const describe = (element) => `<${element.localName}${element.id ? "#" + element.id : ""} class="${element.getAttribute("class") || ""}"> ${element.textContent.trim().slice(0, 40)}`;

  const named = (element) => {
    if (element.getAttribute("aria-label")?.trim()) return true;
    const by = element.getAttribute("aria-labelledby");
    if (by && document.getElementById(by)?.textContent.trim()) return true;
    if (element.labels?.length && [...element.labels].some((label) => label.textContent.trim())) return true;
    if (["a", "button", "summary"].includes(element.localName)) return Boolean(element.textContent.trim() || element.querySelector("img[alt]:not([alt=''])"));
    return Boolean(element.getAttribute("title")?.trim());
  };
  for (const element of document.querySelectorAll("a[href], button, input, select, textarea, summary, [tabindex='0']")) {
    if (shown(element) && !named(element) && !element.hasAttribute("data-detail")) breaches.push(`no name: ${describe(element)}`);
  }
  for (const element of document.querySelectorAll("img")) if (!element.hasAttribute("alt")) breaches.push(`no alternative text: ${describe(element)}`);
  for (const element of document.querySelectorAll("[role=img], [role=tree], [role=group], [role=region], nav, section.detail")) if (shown(element) && !element.getAttribute("aria-label")) breaches.push(`no label: ${describe(element)}`);
  const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
  for (const id of new Set(ids.filter((one, index) => ids.indexOf(one) !== index))) breaches.push(`id used twice: ${id}`);
  if (!document.documentElement.lang) breaches.push("the document has no language");
  if (document.querySelectorAll("main").length !== 1) breaches.push("there must be one main");
  if (document.querySelectorAll("h1").length !== 1) breaches.push(`there must be one h1, not ${document.querySelectorAll("h1").length}`);
  let level = 0;
  for (const heading of document.querySelectorAll("h1, h2, h3")) {
    const own = Number(heading.localName[1]);
    if (shown(heading) && own > level + 1) breaches.push(`heading skips a level: ${describe(heading)}`);
    level = own;
  }
  for (const element of document.querySelectorAll("[tabindex]")) if (Number(element.getAttribute("tabindex")) > 0) breaches.push(`its own place in the tab order: ${describe(element)}`);
  const active = document.querySelector("[aria-activedescendant]");
  if (active && !document.getElementById(active.getAttribute("aria-activedescendant"))) breaches.push("the active descendant is not there");

  // Contrast: WCAG's formula on the colours that are painted, text over the nearest opaque ground.
  const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (color) => { canvas.clearRect(0, 0, 1, 1); canvas.fillStyle = color; canvas.fillRect(0, 0, 1, 1); const [r, g, b, a] = canvas.getImageData(0, 0, 1, 1).data; return [r, g, b, a / 255]; };
  const over = ([r, g, b, a], ground) => [r, g, b].map((value, index) => value * a + ground[index] * (1 - a));
  const ground = (element) => {
    const layers = [];
    for (let at = element; at; at = at.parentElement) {
      const color = rgba(getComputedStyle(at).backgroundColor);
      if (color[3] > 0) layers.push(color);
      if (color[3] === 1) break;
    }
    return layers.reverse().reduce((below, layer) => over(layer, below), [255, 255, 255]);
  };
  const light = (color) => { const [r, g, b] = color.map((value) => { const one = value / 255; return one <= 0.03928 ? one / 12.92 : ((one + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const seen = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const element = walker.currentNode.parentElement;
    if (!walker.currentNode.textContent.trim() || seen.has(element) || !shown(element)) continue;
    seen.add(element);
    if (element.closest("option, noscript, script, style, button:disabled, .hidden-text, .skip, .faint, .inside, title")) continue;
    const style = getComputedStyle(element);
    const isDrawn = element instanceof SVGElement;
    const below = ground(isDrawn ? element.closest("svg").parentElement : element);
    const text = over(rgba(isDrawn ? style.fill : style.color), below);
    const [high, low] = [light(text), light(below)].sort((a, b) => b - a);
    const ratio = (high + 0.05) / (low + 0.05);
    const size = parseFloat(style.fontSize);
    const needed = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700) ? 3 : 4.5;
    if (ratio < needed) breaches.push(`contrast ${ratio.toFixed(2)} below ${needed}: ${describe(element)}`);
  }
  return [...new Set(breaches)];
}
