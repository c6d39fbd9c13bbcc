"use strict";

const field = (name) => document.getElementById(name);
const NAMES = ["criterion", "role", "layer", "head"];
let criteria, samples;

function take() {
  for (const name of NAMES) {
    const given = asked(name, null);
    if (given === null) continue;
    const before = field(name).value;
    field(name).value = given;
    if (!field(name).value || !field(name).checkValidity()) field(name).value = before;
  }
}

function label(layer, head) {
  const two = (value) => String(value).padStart(2, "0");
  return `L${two(layer)}H${two(head)}`;
}

async function drawMap() {
  const criterion = field("criterion").value, role = field("role").value;
  field("words").textContent = `${criteria[criterion].title}: ${criteria[criterion].words}`;
  field("map-csv").href = `data/map-${criterion}-${role}.csv`;
  const spec = await load(`data/map-${criterion}-${role}.json`);
  spec.layer.push({
    data: { values: [{ layer: Number(field("layer").value), head: Number(field("head").value) }] },
    mark: { type: "rect", fillOpacity: 0, stroke: "#FF3B30", strokeWidth: 3 },
    encoding: {
      x: { field: "layer", type: "ordinal" },
      y: { field: "head", type: "ordinal" },
    },
  });
  const { view } = await draw(field("map"), spec);
  view.addEventListener("click", (event, item) => {
    const cell = item && item.datum;
    if (!cell || cell.layer === undefined || cell.head === undefined) return;
    field("layer").value = cell.layer;
    field("head").value = cell.head;
    changed();
  });
}

async function drawPair() {
  const criterion = field("criterion").value, role = field("role").value;
  const name = label(field("layer").value, field("head").value);
  const pair = await load(`data/pairs/${name}.json`);
  field("pair").textContent = name;
  const rows = pair.scores.filter((score) => score.role === role);
  field("scores").tBodies[0].replaceChildren(
    ...rows.map((score) => {
      const row = element("tr");
      const rank = score.rank === null ? MISSING : number(score.rank, 0);
      row.append(
        element("td", score.title),
        element("td", number(score.score), "number"),
        element("td", interval(score.ci), "number"),
        element("td", score.rank_ci ? `${rank} ${interval(score.rank_ci, 0)}` : rank, "number"),
      );
      if (score.criterion === criterion) row.style.fontWeight = "600";
      return row;
    }),
  );
  const n = rows.find((score) => score.criterion === criterion);
  field("scores-n").textContent =
    `n = ${n ? n.n.toLocaleString("en") : 0} samples of this criterion and role. ` +
    "Rank 1 is the best; in brackets its interval.";
  await drawSpread(pair.spread[criterion], criterion, role);
}

async function drawSpread(spread, criterion, role) {
  const known = spread ? Object.entries(spread.roles) : [];
  const shown = known.filter(([name]) => role === "both" || name === role);
  field("extremes").replaceChildren();
  if (!shown.length) {
    field("spread").replaceChildren();
    field("spread-words").textContent =
      "No single sample has a score by this criterion here: it is undefined, or is one number " +
      "over all samples.";
    return;
  }
  const values = shown.flatMap(([name, found]) =>
    found.counts.map((samples, bin) => ({
      role: ROLE_TITLES[name], low: spread.edges[bin], high: spread.edges[bin + 1], samples,
    })),
  );
  const titles = shown.map(([name]) => ROLE_TITLES[name]);
  await draw(field("spread"), {
    $schema: "https://vega.github.io/schema/vega-lite/v6.json",
    data: { values: values.filter((row) => row.samples > 0) },
    width: "container",
    height: 220,
    mark: "bar",
    encoding: {
      x: { field: "low", type: "quantitative", bin: "binned", title: criteria[criterion].title },
      x2: { field: "high" },
      y: { field: "samples", type: "quantitative", title: "samples", stack: "zero" },
      color: {
        field: "role", type: "nominal", title: null, legend: { orient: "top" },
        scale: { domain: titles, range: titles.map((title) => ROLE_COLORS[title]) },
      },
      tooltip: ["role", "low", "high", "samples"].map((name) => ({ field: name })),
    },
  });
  const n = shown.map(([name, found]) => `${ROLE_TITLES[name]}: n = ${found.n.toLocaleString("en")}`);
  field("spread-words").textContent =
    `Samples by their score in ${spread.edges.length - 1} bins. ${n.join("; ")}.`;
  for (const [end, title] of [["highest", "Highest scores"], ["lowest", "Lowest scores"]]) {
    const sign = end === "highest" ? -1 : 1;
    const ends = shown.flatMap(([, found]) => found[end]);
    field("extremes").append(listed(title, ends.sort((a, b) => sign * (a[1] - b[1]))));
  }
}

function listed(title, found) {
  const part = element("section");
  const table = element("table"), head = element("tr");
  for (const name of ["Sample", "Expression", "Score", "J&F"]) head.append(element("th", name));
  table.append(head);
  for (const [place, score] of found) {
    const sample = samples[place], row = element("tr"), first = element("td");
    const link = element("a", `${sample.sample}, ${sample.role}`);
    link.href = `samples.html?${new URLSearchParams({ sample: sample.sample, role: sample.role })}`;
    first.append(link);
    row.append(
      first,
      element("td", sample.expression),
      element("td", number(score), "number"),
      element("td", number(100 * sample.jf, 1), "number"),
    );
    table.append(row);
  }
  part.append(element("h2", title), table);
  return part;
}

async function show() {
  try {
    await Promise.all([drawMap(), drawPair()]);
  } catch (error) {
    tell(error);
  }
}

function changed() {
  if (!field("layer").checkValidity() || !field("head").checkValidity()) return;
  if (!field("layer").value || !field("head").value) return;
  remember(Object.fromEntries(NAMES.map((name) => [name, field(name).value])));
  show();
}

async function begin() {
  [criteria, samples] = await Promise.all([load("data/criteria.json"), load("data/samples.json")]);
  const columns = samples.columns;
  samples = samples.rows.map((row) => Object.fromEntries(row.map((cell, i) => [columns[i], cell])));
  take();
  for (const name of NAMES) field(name).addEventListener("change", changed);
  window.addEventListener("popstate", () => { take(); show(); });
  await show();
}

begin().catch(tell);
