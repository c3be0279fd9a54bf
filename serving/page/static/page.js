// The page: entries are read as they are committed, and the risk follows them.
import { showAnswer, showNextBest } from "./answer.js";
import { goTo, need, setWaiting, showBar, showNeeds } from "./bar.js";
import { resetCheck } from "./check.js";
import * as entries from "./entries.js";
import { forget, keep, kept } from "./keep.js";
import { copyLink, copyNote } from "./note.js";
import { printAnswer } from "./paper.js";
import { usePaste } from "./paste.js";
import { closeRecord, openRecord, readRecord, takeBundle, usesAdmission } from "./record.js";
import { useSearch } from "./search.js";
import { beforeSignOut } from "./session.js";
import { $, dateText, make, say, text } from "./words.js";

const data = JSON.parse($("data").textContent);
const form = $("form");
// An answer that is read for so long without another entry is final.
const RESTS = 60_000;
let madeUp = false;
let newest = 0;
let announced = "";
let last = null; // the body of the last answer shown, until its final record
let resting = 0;
let cleared = null; // what "Clear all" cleared, until another entry

const place = () => document.querySelector("input[name=place]:checked")?.value;
const model = () => document.querySelector(`input[name=model-${place()}]:checked`)?.value;
const chosenModel = () => document.querySelector(`input[name=model-${place()}]:checked`).closest(".model");

function announce(name, slots) {
  const words = text(name, slots);
  // A screen reader repeats what changes, so the same words stay.
  if (words !== announced) $("announcement").textContent = announced = words;
}

function placeChanged() {
  for (const one of document.querySelectorAll(".models")) one.hidden = one.dataset.place !== place();
  modelChanged();
}

function modelChanged() {
  leave();
  form.hidden = !model();
  if (!model()) return commit();
  for (const one of document.querySelectorAll(".of-model")) {
    one.hidden = one.closest(".model") !== chosenModel();
  }
  const { examples, first, hours } = data.models[model()];
  $("example").replaceChildren(...examples.map((one, at) => new Option(one.title, at)));
  $("fill").disabled = examples.length === 0;
  entries.askTime(hours, chosenModel().dataset.zero);
  usesAdmission(hours !== null);
  entries.arrange(model(), first);
  return commit();
}

/** Read what is entered, and ask for the risk once there is enough for one. */
async function commit() {
  const mine = ++newest;
  $("bar").hidden = false;
  if (!model()) {
    withoutAnswer();
    showNeeds("bar-choose", []);
    return;
  }
  entries.showRows(model());
  keep(page());
  const request = entries.read(model());
  const needs = needed(request);
  setWaiting(true);
  // The risk first: an answer has no entry that could not be read.
  const predicting = needs.length ? null : entries.post("/v1/predict", request.body);
  const reading = entries.readBack(model());
  predicting?.then(
    (answer) => {
      if (mine === newest) show(answer, request);
    },
    () => null,
  );
  const [read, predicted] = await Promise.allSettled([reading, predicting]);
  if (mine !== newest) return; // later entries overtook these
  setWaiting(false);
  if (read.reason) return failed(read.reason);
  entries.showEcho(read.value);
  problems([]);
  const wrong = read.value.entries
    .map((entry, at) => [entry, read.value.rows[at].dataset.column])
    .filter(([entry]) => entry.problem)
    .map(([, column]) => need(column));
  if (wrong.length) {
    withoutAnswer();
    showNeeds("bar-look", wrong);
    announce("announce-look", { list: wrong.map((one) => one.words).join(", ") });
    return;
  }
  if (needs.length) {
    withoutAnswer();
    showNeeds("bar-needs", needs);
    return;
  }
  if (predicted.reason) failed(predicted.reason);
}

/** Return what is still needed before the model is asked: time zero, age, and any other value. */
function needed(request) {
  const needs = [];
  if (!request.body.time_zero) needs.push({ words: $("time-label").textContent, target: "time-zero" });
  if (entries.row("age") && !entries.isEntered(entries.row("age"))) needs.push(need("age"));
  if (request.rows.some((one) => one.dataset.column !== "age")) return needs;
  const open = [...form.querySelectorAll(".ward [data-severity]")];
  const score = open.find((one) => !one.hidden);
  needs.push({ words: text("bar-severity"), target: score?.dataset.column ?? "find" });
  return needs;
}

/** Record the last answer shown as the final one of this sitting, and return it; null without one. */
async function finish(options = {}) {
  clearTimeout(resting);
  if (!last) return null;
  const { body, request } = last;
  last = null;
  entries.newSession();
  const answer = await entries.post("/v1/predict", { ...body, stage: "final" }, options);
  return { answer, request };
}

/** Record the last answer as final, and show it, with its number, if it is still the newest. */
async function showFinal() {
  const mine = newest;
  try {
    const final = await finish();
    if (final && mine === newest) show(final.answer, final.request);
    clearTimeout(resting);
    last = null;
  } catch (error) {
    failed(error);
  }
}

const leave = () => finish({ keepalive: true }).catch(() => null);

function show(answer, request) {
  const [prediction] = answer.predictions;
  setWaiting(false);
  last = { body: request.body, request };
  clearTimeout(resting);
  resting = setTimeout(showFinal, RESTS);
  showBar(prediction);
  $("answer").hidden = false;
  showAnswer(answer, {
    request,
    estimand: estimand(),
    madeUp,
    pathways: data.pathways,
    facts: data.models[model()],
    menu: data.menu,
    population: chosenModel().dataset.population,
  });
  const [one] = prediction.risks;
  if (!one) return announce("announce-refused");
  announce("announce", {
    risk: Math.round(100 * one.risk),
    days: one.horizon_days,
    low: Math.round(100 * one.interval.low),
    high: Math.round(100 * one.interval.high),
  });
}

function withoutAnswer() {
  $("answer").hidden = true;
}

function failed(error) {
  const broken = error.problem?.errors?.map((one) => one.message) ?? [];
  withoutAnswer();
  showNeeds("bar-failed", []);
  problems(error.problem ? (broken.length ? broken : [text("failed")]) : [text("unreachable")]);
}

/** List problems of the whole request; hide the list if there are none. */
function problems(listed) {
  $("problems").querySelector("ul").replaceChildren(...listed.map((words) => make("li", "", words)));
  $("problems").hidden = listed.length === 0;
}

function estimand() {
  const chosen = chosenModel();
  return say("estimand", {
    label: chosen.querySelector("strong").textContent,
    zero: chosen.dataset.zero,
    date: dateText(entries.zero()),
  });
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
  offer(null);
  const chosen = data.models[model()].examples[$("example").value];
  leave();
  closeRecord();
  entries.clearEntries();
  entries.zeroIsNow();
  for (const [column, value] of Object.entries(chosen.values)) entries.set(entries.row(column), value);
  madeUp = true;
  commit();
}

/** Return what is entered and chosen, for a reload. */
const page = () => ({ ...entries.snapshot(), place: place(), model: model(), madeUp });

/** Choose and enter again what was kept. */
function bringBack(before) {
  const chosen = [["place", before.place], [`model-${before.place}`, before.model]].map(([name, value]) =>
    document.querySelector(`input[name="${name}"][value="${value}"]`),
  );
  if (chosen.includes(null)) return; // that model is no longer served
  for (const one of chosen) one.checked = true;
  entries.restore(before);
  ({ madeUp } = before);
  placeChanged();
}

function giveBack() {
  const before = cleared;
  offer(null);
  if (before) bringBack(before);
}

/** Offer to give back what was cleared; null withdraws the offer. */
function offer(before) {
  cleared = before;
  $("cleared").hidden = before === null;
}

function clear() {
  const before = page();
  const isEmpty = !Object.keys(before.values).length;
  leave();
  closeRecord();
  entries.clearEntries();
  madeUp = false;
  entries.beginIn($("units").value);
  commit();
  forget();
  offer(isEmpty ? null : before);
  $("enter-title").focus();
  scrollTo(0, 0);
}

/** Update the form once the record is read. */
async function record(reading) {
  if ((await reading) && model()) commit();
}

const actions = {
  record: () => record(readRecord()),
  clear,
  "give-back": giveBack,
  back: () => goTo("time-zero"),
  print: async () => {
    await showFinal();
    printAnswer();
  },
  "copy-note": async () => {
    await showFinal();
    await copyNote();
  },
  "copy-link": copyLink,
  "check-reset": resetCheck,
  "next-best": nextBest,
};

document.addEventListener("click", (event) => {
  const action = event.target.closest?.("[data-do]")?.dataset.do;
  if (action in actions) actions[action]();
  const info = event.target.closest?.(".info");
  if (info) {
    const about = $(info.getAttribute("aria-controls"));
    about.hidden = !about.hidden;
    info.setAttribute("aria-expanded", String(!about.hidden));
  }
});
form.addEventListener("submit", (event) => event.preventDefault());
// Enter goes on to the next entry, which commits this one.
form.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.isComposing || !event.target.matches("input:not([type=search]), select")) return;
  event.preventDefault();
  const stops = [...form.querySelectorAll(".entry .value, .entry input:checked, #time-zero")].filter((one) => one.offsetParent);
  const entry = event.target.closest(".entry");
  const at = stops.indexOf(event.target.matches(".value, :checked, #time-zero") ? event.target : entry?.querySelector(".value, :checked"));
  (stops[at + 1] ?? $("find")).focus();
});
form.addEventListener("change", (event) => {
  if (event.target.closest(".entry")) {
    madeUp = false;
    offer(null);
    commit();
  }
});
$("fill").addEventListener("click", fill);
useSearch(data.known, model);
$("units").addEventListener("change", () => {
  entries.beginIn($("units").value);
  commit();
});
async function timeChanged() {
  const fromRecord = await readRecord();
  if (model() || fromRecord) commit();
}
$("time-zero").addEventListener("change", timeChanged);
$("time-now").addEventListener("click", () => {
  entries.zeroIsNow();
  timeChanged();
});
document.querySelector(".place").addEventListener("change", placeChanged);
for (const one of document.querySelectorAll(".models")) one.addEventListener("change", modelChanged);
usePaste(
  model,
  () => {
    madeUp = false;
    commit();
  },
  async (content) => {
    leave();
    const problem = await takeBundle(content);
    if (!problem) {
      madeUp = false;
      commit();
    }
    return problem;
  },
);
addEventListener("pagehide", leave);
beforeSignOut(leave);
// A page cached by the browser for "back" may be of a session that has ended.
addEventListener("pageshow", (event) => {
  if (event.persisted) location.reload();
});
/** Choose the model of a copied link, which holds nothing else. */
function chooseLinked() {
  const wanted = new URLSearchParams(location.search).get("model");
  const radio = [...document.querySelectorAll(".models input[type=radio]")].find((one) => one.value === wanted);
  if (!radio) return;
  radio.checked = true;
  const { place: key } = radio.closest(".models").dataset;
  document.querySelector(`input[name=place][value="${key}"]`).checked = true;
}

async function begin() {
  chooseLinked();
  const before = await kept();
  if (before) bringBack(before);
  else if (place()) placeChanged();
  else commit();
  record(openRecord());
}
begin();
