"use strict";

const field = (name) => document.getElementById(name);
const AT_ONCE = 40;
let samples, most = AT_ONCE;

function card(sample) {
  const part = element("article", undefined, `sample ${sample.role}`);
  const title = element("h3"), link = element("a", sample.expression);
  link.href = `samples.html?${new URLSearchParams({ sample: sample.sample, role: sample.role })}`;
  title.append(link);
  part.append(
    title,
    element(
      "p",
      `${ROLE_TITLES[sample.role]} of ${sample.sample}, ${sample.kind}. ` +
        `J&F ${number(100 * sample.jf, 1)}; mask area ${number(sample.area)}.`,
      "caption",
    ),
    element("p", `The model answered: ${sample.answer || "(nothing)"}`),
  );
  if (sample.picture) {
    const image = element("img");
    image.loading = "lazy";
    image.src = sample.picture.file;
    image.alt = sample.picture.alt;
    part.append(image, element("p", sample.picture.caption, "caption"));
  } else {
    part.append(element("p", "No picture of this sample was kept.", "caption"));
  }
  return part;
}

function show() {
  const role = field("role").value, words = field("words").value.toLowerCase();
  const one = asked("sample", null);
  field("one").replaceChildren();
  if (one !== null) {
    const wanted = samples.filter((s) => s.sample === one && (!role || s.role === role));
    if (wanted.length) {
      const back = element("a", "All samples");
      back.href = "samples.html";
      field("one").append(...wanted.map(card), back);
      field("gallery").replaceChildren();
      field("more").hidden = true;
      field("shown").textContent = "";
      return;
    }
    field("one").append(element("p", `This run has no sample ${one} of that role.`));
  }
  const found = samples.filter(
    (sample) =>
      (!role || sample.role === role) &&
      (!field("pictured").checked || sample.picture) &&
      (!words || `${sample.expression} ${sample.sample}`.toLowerCase().includes(words)),
  );
  field("shown").textContent = `${found.length.toLocaleString("en")} samples fit.`;
  field("gallery").replaceChildren(...found.slice(0, most).map(card));
  field("more").hidden = found.length <= most;
}

function take() {
  field("role").value = asked("role", "");
  field("words").value = asked("words", "");
  if (asked("all", null)) field("pictured").checked = false;
}

function changed() {
  most = AT_ONCE;
  remember({
    sample: "", role: field("role").value, words: field("words").value,
    all: field("pictured").checked ? "" : "1",
  });
  show();
}

async function begin() {
  const { columns, rows } = await load("data/samples.json");
  samples = rows.map((row) => Object.fromEntries(row.map((cell, i) => [columns[i], cell])));
  if (!samples.some((sample) => sample.picture)) field("pictured").checked = false;
  take();
  for (const name of ["role", "words", "pictured"]) field(name).addEventListener("change", changed);
  field("more").addEventListener("click", () => { most += AT_ONCE; show(); });
  window.addEventListener("popstate", () => { take(); show(); });
  show();
}

begin().catch(tell);
