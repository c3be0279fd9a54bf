// What was typed, as the request that /v1/predict takes; values stay in this tab's memory.
import { dateText, text } from "./words.js";

const rows = [...document.querySelectorAll(".entry")];
const byColumn = new Map(rows.map((row) => [row.dataset.column, row]));
const timeZero = document.getElementById("time-zero");
// Opaque and new for every patient: the service asks for one, and nobody is named.
let patient = opaque();

function opaque() {
  return `page-${[...crypto.getRandomValues(new Uint8Array(8))].map((b) => b.toString(16).padStart(2, "0")).join("")}`;
}

export const row = (column) => byColumn.get(column);
export const label = (column) => {
  const found = byColumn.get(column) ?? byColumn.get(column.replace(/__[a-z]+$/, ""));
  return found ? found.querySelector(".name").textContent : column;
};
export const isScored = (one, model) => one.dataset.models.split(" ").includes(model);
const isWatched = (one, model) => one.dataset.guards.split(" ").includes(model);

const control = (one) => one.querySelector(".value");
const state = (one) => one.querySelector(".state");
export const unitLabel = (one) => {
  const unit = one.querySelector(".unit");
  if (!unit) return "";
  return unit.tagName === "SELECT" ? unit.selectedOptions[0].textContent : unit.textContent;
};

function unitOf(one) {
  const unit = one.querySelector(".unit");
  if (!unit) return undefined;
  return unit.tagName === "SELECT" ? unit.value : unit.dataset.unit;
}

/** Return what one row holds as a measurement, or null if nothing was entered. */
function measurement(one) {
  const variable = one.dataset.column;
  if (one.dataset.kind === "flag") {
    const chosen = one.querySelector("input:checked").value;
    return chosen ? { variable, value: chosen === "true" } : null;
  }
  const value = control(one).value.trim();
  if (one.dataset.kind === "category") return value ? { variable, value } : null;
  const how = state(one).value;
  if (!value && (how === "" || how === "=")) return null;
  const measured = { variable, value, unit: unitOf(one) };
  // A limit typed as printed brings its own sign.
  if ((how === "<" || how === ">") && !/^[<>≤≥]/.test(value)) measured.comparator = how;
  return measured;
}

/** Return the request for one model, and the row of each of its measurements. */
export function read(model) {
  const found = rows
    .filter((one) => one.dataset.column !== "sex")
    .map((one) => [one, measurement(one)])
    .filter(([, sent]) => sent);
  const body = {
    patient_id: patient,
    time_zero: rfc3339(timeZero.value),
    outcomes: [model],
    measurements: found.map(([, sent]) => sent),
  };
  const sex = control(row("sex")).value;
  if (sex) body.sex = sex;
  return { body, rows: found.map(([one]) => one), count: found.length + (sex ? 1 : 0) };
}

/** Return a local time with its offset, as 2026-11-01T08:00:00+01:00, or null. */
function rfc3339(local) {
  const date = new Date(local);
  if (Number.isNaN(date.getTime())) return null;
  const minutes = -date.getTimezoneOffset();
  const two = (n) => String(Math.floor(Math.abs(n))).padStart(2, "0");
  return `${local.slice(0, 16)}:00${minutes < 0 ? "-" : "+"}${two(minutes / 60)}:${two(minutes % 60)}`;
}

export const zero = () => new Date(timeZero.value);

/** Ask what the service reads of the entries; show it beside them and return it. */
export async function echo(model) {
  const asked = read(model);
  const answer = await post("/page/entries", asked.body);
  for (const one of rows) mark(one, { problem: "" });
  answer.entries.forEach((entry, at) => mark(asked.rows[at], entry));
  for (const one of rows) showReference(one, answer.references);
  return { ...answer, rows: asked.rows, count: asked.count };
}

/** Send one request and return its answer; the address and the browser keep nothing of it. */
export async function post(address, body) {
  const response = await fetch(address, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify(body),
    cache: "no-store",
  });
  const answer = await response.json();
  if (!response.ok) throw Object.assign(new Error("refused"), { problem: answer });
  return answer;
}

function mark(one, entry) {
  const said = one.querySelector(".echo");
  const typed = control(one);
  if (entry.problem && one.dataset.kind === "number" && !typed.value.trim()) {
    entry = { problem: text("limit-missing") };
  }
  said.classList.toggle("problem", Boolean(entry.problem));
  const parts = one.dataset.kind === "number" ? [entry.read_as, entry.canonical, entry.multiple] : [];
  said.textContent = entry.problem || parts.filter(Boolean).join(" = ");
  if (typed) {
    if (entry.problem) typed.setAttribute("aria-invalid", "true");
    else typed.removeAttribute("aria-invalid");
  }
  if (entry.comparator && state(one)) state(one).value = entry.comparator;
}

function showReference(one, references) {
  const known = references[one.dataset.column];
  const interval = known && known[unitOf(one)];
  one.querySelector(".interval").textContent = interval ? text("reference-is", { interval }) : "";
}

/** Keep the three controls of a number in step: what is typed is measured, what is not is not. */
function follow(one, target) {
  if (one.dataset.kind !== "number") return;
  if (target === state(one) && target.value === "") control(one).value = "";
  if (target === control(one)) {
    if (!target.value.trim()) state(one).value = "";
    else if (state(one).value === "") state(one).value = "=";
  }
}

export const clearEntries = () => {
  for (const one of rows) set(one, null);
  patient = opaque();
  timeZero.value = now();
};

/** Put a value, or nothing, into a row, in its canonical unit. */
export function set(one, value) {
  const none = value === null || value === undefined;
  if (one.dataset.kind === "flag") {
    const wanted = none ? "" : String(Boolean(value));
    for (const choice of one.querySelectorAll("input")) choice.checked = choice.value === wanted;
  } else {
    control(one).value = none ? "" : String(value);
    const unit = one.querySelector("select.unit");
    if (unit && !none) unit.selectedIndex = 0;
    if (state(one)) state(one).value = none ? "" : "=";
  }
}

/** Begin every number in SI or in conventional units; entries keep the unit they were made in. */
export function beginIn(units) {
  for (const one of rows) {
    const unit = one.querySelector("select.unit");
    if (!unit || control(one).value.trim()) continue;
    const wanted = units === "si" ? unit.dataset.si : undefined;
    unit.value = wanted ?? unit.options[0].value;
  }
}

function now() {
  const date = new Date();
  return new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);
}

/** Show the rows that a model reads, or all, that have the words searched for; count the filled. */
export function showRows(model, { all, words }) {
  const wanted = words.toLowerCase().split(/\s+/).filter(Boolean);
  let found = 0;
  for (const group of document.querySelectorAll(".group")) {
    let shown = 0;
    let filled = 0;
    for (const one of group.querySelectorAll(".entry")) {
      const named = `${label(one.dataset.column)} ${one.dataset.column}`.toLowerCase();
      const matches = wanted.every((word) => named.includes(word));
      const entered = isEntered(one);
      const used = isScored(one, model) || isWatched(one, model);
      one.classList.toggle("unread", !used);
      one.classList.toggle("watched", isWatched(one, model));
      one.hidden = !matches || !(all || entered || used);
      if (!one.hidden) shown += 1;
      if (!one.hidden && entered) filled += 1;
    }
    group.hidden = shown === 0;
    found += shown;
    group.querySelector(".count").textContent = text("count", { filled, shown });
  }
  document.getElementById("none-found").hidden = found > 0;
}

export const isEntered = (one) =>
  one.dataset.column === "sex" ? control(one).value !== "" : measurement(one) !== null;

export const modelRows = (model) => rows.filter((one) => isScored(one, model));

timeZero.value = now();
const sayZero = () => {
  const date = zero();
  document.getElementById("time-zero-echo").textContent = Number.isNaN(date.getTime())
    ? text("bad-date")
    : text("time-zero", { date: dateText(date) });
};
sayZero();
timeZero.addEventListener("change", sayZero);
for (const one of rows) {
  for (const kind of ["input", "change"]) {
    one.addEventListener(kind, (event) => follow(one, event.target));
  }
}
