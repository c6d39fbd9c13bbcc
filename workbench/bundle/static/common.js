"use strict";
// What all pages share. Words from data are only ever set as text, never as markup.

const MISSING = "n/a";
const ROLE_TITLES = { actor: "Actor", target: "Target", both: "Both roles" };
const ROLE_COLORS = { Actor: "#0072B2", Target: "#D55E00" };
const DARK = window.matchMedia("(prefers-color-scheme: dark)").matches;

async function load(path) {
  const answer = await fetch(path);
  if (!answer.ok) throw new Error(`${path}: got ${answer.status}, expected a file of the bundle`);
  return answer.json();
}

function tell(error) {
  const place = document.getElementById("problem");
  place.hidden = false;
  place.textContent =
    window.location.protocol === "file:"
      ? "Browsers fetch nothing for pages that are opened as files; serve the folder, for " +
        "example with: python -m http.server"
      : String(error.message || error);
}

function element(tag, text, kind) {
  const made = document.createElement(tag);
  if (text !== undefined) made.textContent = text;
  if (kind) made.className = kind;
  return made;
}

function number(value, digits = 3) {
  if (value === null || value === undefined) return MISSING;
  return value.toFixed(digits).replace("-", "\u2212");
}

function interval(ci, digits = 3) {
  return ci ? `[${number(ci[0], digits)}, ${number(ci[1], digits)}]` : MISSING;
}

function look() {
  const ink = DARK ? "#d5d8dc" : "#26282b", line = DARK ? "#3a3e44" : "#dfe2e6";
  const words = { labelColor: ink, titleColor: ink };
  return {
    background: "transparent",
    font: "DejaVu Sans, Arial, sans-serif",
    axis: { ...words, gridColor: line, domainColor: line, tickColor: line },
    legend: words,
    view: { stroke: line },
  };
}

function draw(place, spec) {
  return vegaEmbed(place, spec, {
    actions: { export: true, source: false, compiled: false, editor: false },
    renderer: "svg",
    config: look(),
    downloadFileName: place.id || "chart",
  });
}

// The address holds what is shown, so that a copied link opens the same.
function asked(name, fallback) {
  return new URLSearchParams(window.location.search).get(name) ?? fallback;
}

function remember(values) {
  const query = new URLSearchParams(window.location.search);
  for (const [name, value] of Object.entries(values)) {
    if (value === "" || value === null) query.delete(name);
    else query.set(name, value);
  }
  const address = query.size ? `?${query}` : window.location.pathname;
  if (address !== window.location.search) window.history.pushState(null, "", address);
}
