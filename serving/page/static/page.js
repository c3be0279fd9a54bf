// The steps of the page: enter, check, read. Only this file knows the current step.
import { showAnswer, showNextBest } from "./answer.js";
import { loadPlotly } from "./charts.js";
import { resetCheck } from "./check.js";
import * as entries from "./entries.js";
import { printAnswer } from "./paper.js";
import { closeRecord, hasRecord, openRecord, readRecord } from "./record.js";
import { $, dateText, make, say, tableRow, text } from "./words.js";

const data = JSON.parse($("data").textContent);
const form = $("form");
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
  $("announcement").textContent = text(name, slots);
}

function placeChanged() {
  for (const one of document.querySelectorAll(".models")) one.hidden = one.dataset.place !== place();
  modelChanged();
}

function modelChanged() {
  form.hidden = !model();
  if (!model()) return;
  const { examples } = data.models[model()];
  $("example").replaceChildren(...examples.map((one, at) => new Option(one.title, at)));
  $("fill").disabled = examples.length === 0;
  showRows();
  echoed();
}

const showRows = () => entries.showRows(model(), { all: $("all").checked, words: $("find").value });

/** Show how each entry is read; return null if a later request overtakes this one. */
async function echoed() {
  const mine = ++newest;
  if (!entries.read(model()).body.time_zero) return null;
  try {
    const answer = await entries.echo(model());
    return mine === newest ? answer : null;
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

/** List problems, each with a link to its entry; hide the list if there are none. */
function problems(listed) {
  const items = listed.map(([one, words]) => {
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
  const request = entries.read(model());
  if (!request.body.time_zero) return problems([[null, text("bad-date")]]);
  if (request.count === 0) return problems([[null, text("nothing-entered")]]);
  const checked = await echoed();
  if (!checked) return;
  const wrong = checked.entries
    .map((entry, at) => [checked.rows[at], entry])
    .filter(([, entry]) => entry.problem)
    .map(([one]) => [one, one.querySelector(".echo").textContent]);
  if (wrong.length) return problems(wrong);
  problems([]);
  const sex = entries.row("sex").querySelector(".value");
  const lines = checked.entries.map((entry, at) => line(checked.rows[at], entry));
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
  const absent = entries.absentRows().map((one) => entries.label(one.dataset.column));
  $("review-missing").replaceChildren(
    say("entered", { count: checked.count, missing, read: readers.length }),
    ...(absent.length ? [say("absent-entered", { list: absent.join("; ") })] : []),
  );
  show("review");
  $("review-title").focus();
  announce("announce-review");
}

function line(one, entry) {
  const cells = [entry.read_as, entry.canonical || text("as-read"), entry.reference, entry.multiple];
  if (hasRecord()) cells.push(entries.origin(one));
  return tableRow(one.querySelector(".name").textContent, cells);
}

const chosenModel = () => document.querySelector(`input[name=model-${place()}]:checked`).closest(".model");

function estimand() {
  const chosen = chosenModel();
  return say("estimand", {
    label: chosen.querySelector("strong").textContent,
    zero: chosen.dataset.zero,
    date: dateText(entries.zero()),
  });
}

async function predict() {
  const request = entries.read(model());
  try {
    const answer = await entries.post("/v1/predict", request.body);
    show("answer");
    showAnswer(answer, {
      request,
      estimand: estimand(),
      madeUp,
      pathways: data.pathways,
      facts: data.models[model()],
      menu: data.menu,
      population: chosenModel().dataset.population,
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

/** Predict again for the same patient, with the tests that would move the estimate. */
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
  back();
}

function back() {
  show("entries");
  $("enter-title").focus();
}

/** Update the form once the record is read. */
async function record(reading) {
  if (await reading && model()) {
    showRows();
    echoed();
  }
}

const actions = {
  record: () => record(readRecord()),
  clear,
  predict,
  back,
  print: printAnswer,
  "check-reset": resetCheck,
  "next-best": nextBest,
};

document.addEventListener("click", (event) => {
  const action = event.target.closest?.("[data-do]")?.dataset.do;
  if (action in actions) actions[action]();
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
// A page cached by the browser for "back" would show another patient's entries.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
if (place()) placeChanged();
record(openRecord());
addEventListener("load", () => (globalThis.requestIdleCallback ?? setTimeout)(loadPlotly));
