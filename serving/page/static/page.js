// The steps of the page: enter, check, read. Only this file knows which one is shown.
import { showAnswer, showNextBest } from "./answer.js";
import { loadPlotly } from "./charts.js";
import { resetCheck } from "./check.js";
import * as entries from "./entries.js";
import { printAnswer } from "./paper.js";
import { closeRecord, hasRecord, openRecord, readRecord } from "./record.js";
import { dateText, make, say, text } from "./words.js";

const data = JSON.parse(document.getElementById("data").textContent);
const form = document.getElementById("form");
const $ = (id) => document.getElementById(id);
let madeUp = false;
let newest = 0;

const place = () => document.querySelector("input[name=place]:checked")?.value;
const model = () => document.querySelector(`input[name=model-${place()}]:checked`)?.value;

function show(step) {
  for (const [name, section] of [["entries", "enter"], ["review", "review"], ["answer", "answer"]]) {
    $(section).hidden = name !== step;
    if (name === step) $(`step-${name}`).setAttribute("aria-current", "step");
    else $(`step-${name}`).removeAttribute("aria-current");
  }
  scrollTo(0, 0);
}

function announce(name, slots) {
  $("said").textContent = text(name, slots);
}

function placeChanged() {
  for (const one of document.querySelectorAll(".models")) one.hidden = one.dataset.place !== place();
  modelChanged();
}

function modelChanged() {
  const asked = model();
  form.hidden = !asked;
  if (!asked) return;
  const listed = data.models[asked].examples;
  $("example").replaceChildren(...listed.map((one, at) => new Option(one.title, at)));
  $("fill").disabled = listed.length === 0;
  showRows();
  echoed();
}

const showRows = () => entries.showRows(model(), { all: $("all").checked, words: $("find").value });

/** Say beside each entry how it is read; an answer that was overtaken is dropped. */
async function echoed() {
  const mine = ++newest;
  if (!entries.read(model()).body.time_zero) return null;
  try {
    const found = await entries.echo(model());
    return mine === newest ? found : null;
  } catch (error) {
    failed(error);
    return null;
  }
}

function failed(error) {
  const broken = error.problem?.errors?.map((one) => one.message) ?? [];
  const words = error.problem ? (broken.length ? broken : [text("failed")]) : [text("unreachable")];
  problems(words.map((one) => [null, one]));
}

/** List what is wrong, each with a way to its entry; an empty list takes the list away. */
function problems(found) {
  const items = found.map(([one, words]) => {
    const target = one?.querySelector(".value, input");
    if (!target) return make("li", "", words);
    const link = make("a", "", words);
    link.href = `#${target.id}`;
    link.addEventListener("click", (event) => {
      event.preventDefault();
      one.closest(".group").open = true;
      target.focus();
    });
    return make("li", "", link);
  });
  $("problems").querySelector("ul").replaceChildren(...items);
  $("problems").hidden = items.length === 0;
  if (items.length === 0) return;
  show("entries");
  $("problems").focus();
  announce("announce-problems");
}

async function review() {
  const asked = entries.read(model());
  if (!asked.body.time_zero) return problems([[null, text("bad-date")]]);
  if (asked.count === 0) return problems([[null, text("nothing-entered")]]);
  const found = await echoed();
  if (!found) return;
  const wrong = found.entries
    .map((entry, at) => [found.rows[at], entry])
    .filter(([, entry]) => entry.problem)
    .map(([one]) => [one, one.querySelector(".echo").textContent]);
  if (wrong.length) return problems(wrong);
  problems([]);
  const sex = entries.row("sex").querySelector(".value");
  const lines = found.entries.map((entry, at) => line(found.rows[at], entry));
  if (sex.value) {
    const read_as = sex.selectedOptions[0].textContent;
    lines.unshift(line(entries.row("sex"), { read_as, canonical: "", reference: "", multiple: "" }));
  }
  $("review-table").tBodies[0].replaceChildren(...lines);
  const from = $("review-table").querySelector("th.from-record");
  if (from) from.hidden = !hasRecord();
  $("review-estimand").replaceChildren(estimand());
  const readers = entries.modelRows(model());
  const missing = readers.filter((one) => !entries.isEntered(one)).length;
  $("review-missing").replaceChildren(
    say("entered", { count: found.count, missing, read: readers.length }),
  );
  show("review");
  $("review-title").focus();
  announce("announce-review");
}

function line(one, entry) {
  const name = make("th", "", one.querySelector(".name").textContent);
  name.scope = "row";
  const cells = [entry.read_as, entry.canonical || text("as-read"), entry.reference, entry.multiple];
  if (hasRecord()) cells.push(entries.origin(one));
  return make("tr", "", name, ...cells.map((words) => make("td", "", words)));
}

function estimand() {
  const chosen = document.querySelector(`input[name=model-${place()}]:checked`).closest(".model");
  return say("estimand", {
    label: chosen.querySelector("strong").textContent,
    zero: chosen.dataset.zero,
    date: dateText(entries.zero()),
  });
}

async function predict() {
  const asked = entries.read(model());
  try {
    const answer = await entries.post("/v1/predict", asked.body);
    const chosen = document.querySelector(`input[name=model-${place()}]:checked`).closest(".model");
    show("answer");
    showAnswer(answer, {
      asked,
      estimand: estimand(),
      madeUp,
      pathways: data.pathways,
      facts: data.models[model()],
      menu: data.menu,
      population: chosen.dataset.population,
    });
    $("answer-title").focus();
    const [one] = answer.predictions[0].risks;
    if (!one) return announce("announce-refused");
    announce("announce", {
      risk: Math.round(100 * one.risk),
      days: one.horizon_days,
      low: Math.round(100 * one.interval.low),
      high: Math.round(100 * one.interval.high),
    });
  } catch (error) {
    failed(error);
  }
}

/** Ask again for the very patient that is shown, with what would narrow the interval. */
async function nextBest() {
  try {
    const body = { ...entries.read(model()).body, explain: false, next_best: true };
    showNextBest((await entries.post("/v1/predict", body)).predictions[0]);
  } catch (error) {
    failed(error);
  }
}

function fill() {
  const chosen = data.models[model()].examples[$("example").value];
  closeRecord();
  entries.clearEntries();
  for (const [column, value] of Object.entries(chosen.values)) entries.set(entries.row(column), value);
  madeUp = true;
  showRows();
  echoed();
}

function clear() {
  closeRecord();
  entries.clearEntries();
  madeUp = false;
  entries.beginIn($("units").value);
  problems([]);
  showRows();
  echoed();
  show("entries");
  $("enter-title").focus();
}

/** Lay the record into the form, as of time zero. */
async function record(reading) {
  if (await reading && model()) {
    showRows();
    echoed();
  }
}

const deeds = {
  record: () => record(readRecord()),
  clear,
  predict,
  back: () => {
    show("entries");
    $("enter-title").focus();
  },
  print: printAnswer,
  "check-reset": resetCheck,
  "next-best": nextBest,
};

document.addEventListener("click", (event) => {
  const deed = event.target.closest?.("[data-do]")?.dataset.do;
  if (deed in deeds) deeds[deed]();
});
form.addEventListener("submit", (event) => {
  event.preventDefault();
  review();
});
form.addEventListener("change", (event) => {
  if (event.target.closest(".entry")) {
    madeUp = false;
    showRows();
    echoed();
  }
});
$("fill").addEventListener("click", fill);
$("find").addEventListener("input", showRows);
$("all").addEventListener("change", showRows);
$("units").addEventListener("change", () => {
  entries.beginIn($("units").value);
  echoed();
});
$("time-zero").addEventListener("change", () => record(readRecord()));
document.querySelector(".place").addEventListener("change", placeChanged);
for (const one of document.querySelectorAll(".models")) one.addEventListener("change", modelChanged);
// A page kept by the browser for "back" would show another patient's entries.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
if (place()) placeChanged();
record(openRecord());
addEventListener("load", () => (globalThis.requestIdleCallback ?? setTimeout)(loadPlotly));
