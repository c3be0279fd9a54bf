// The entries as a request of /v1/predict; values stay in the memory of this tab.
import { address, headers, headersNow, leave, refresh } from "./session.js";
import { $, capital, dateText, make, say, text } from "./words.js";

const rows = [...document.querySelectorAll(".entry")];
// Where a row lies while it does not stand open.
const home = new Map(rows.map((row) => [row, row.parentElement]));
const byColumn = new Map(rows.map((row) => [row.dataset.column, row]));
const zeroInput = $("time-zero");
// Hours from admission, which is then what is entered, to time zero; null where time zero itself is.
let hours = null;
// Opaque and new for every patient: the service requires an id, which must not be a name.
let patient = opaque();
let encounter = "";
// One sitting: its interim answers and the final one bear this name on the audit trail.
let session = opaque();
// What the record states beside its values, sent with every request for its patient.
let policy = {};

/** Return a new id that names nothing. */
export function opaque() {
  return `page-${[...crypto.getRandomValues(new Uint8Array(8))].map((b) => b.toString(16).padStart(2, "0")).join("")}`;
}

export const row = (column) => byColumn.get(column);
export const rowOf = (column) => row(column) ?? row(column.replace(/__[a-z]+$/, ""));
export const label = (column) => rowOf(column)?.dataset.label ?? column;
export const isScored = (one, model) => one.dataset.models.split(" ").includes(model);
const isWatched = (one, model) => one.dataset.guards.split(" ").includes(model);
const isPart = (one, model) => one.dataset.parts.split(" ").includes(model);
export const isUsed = (one, model) => isScored(one, model) || isWatched(one, model) || isPart(one, model);

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

/** Return whether a row records its variable as not done, which is more than an empty row. */
export function isAbsent(one) {
  if (one.dataset.kind === "flag") return one.querySelector("input:checked").value === "absent";
  if (one.dataset.kind === "number") return state(one).value === "absent";
  return "absent" in control(one).selectedOptions[0].dataset;
}

export const absentRows = () => rows.filter(isAbsent);

/** Return the measurement in a row, or null if it has none. */
function measurement(one) {
  const entered = untimed(one);
  return entered && one.dataset.taken ? { ...entered, time: one.dataset.taken } : entered;
}

function untimed(one) {
  const variable = one.dataset.column;
  if (isAbsent(one)) return null;
  if (one.dataset.kind === "flag") {
    const chosen = one.querySelector("input:checked").value;
    return chosen ? { variable, value: chosen === "true" } : null;
  }
  const value = control(one).value.trim();
  if (variable === "age" && bornOf(value)) return null;
  if (one.dataset.kind === "category") return value ? { variable, value } : null;
  const how = state(one).value;
  if (!value && (how === "" || how === "=")) return null;
  const measured = { variable, value, unit: unitOf(one) };
  // A limit typed as printed has its own sign.
  if ((how === "<" || how === ">") && !/^[<>≤≥]/.test(value)) measured.comparator = how;
  return measured;
}

/** Return the request for one model, and the row of each of its measurements. */
export function read(model) {
  const entered = rows
    .filter((one) => one.dataset.column !== "sex")
    .map((one) => [one, measurement(one)])
    .filter(([, sent]) => sent);
  const body = {
    patient_id: patient,
    time_zero: timeZero(),
    outcomes: [model],
    session,
    stage: "interim",
    measurements: entered.map(([, sent]) => sent),
  };
  const absent = absentRows().map((one) => one.dataset.column);
  if (absent.length) body.absent = absent;
  const sex = control(row("sex")).value;
  if (sex) body.sex = sex;
  if (encounter) body.encounter_id = encounter;
  if (hours !== null && body.time_zero) body.icu_admission = rfc3339(new Date(zeroInput.value));
  const { birth_date: born, unread = [], ...stated } = policy;
  for (const [name, value] of Object.entries(stated)) if (value) body[name] ??= value;
  // An age that was changed by hand stands for itself.
  if (born && "record" in row("age").dataset) body.birth_date = born;
  const typedBirth = bornOf(control(row("age")).value.trim());
  if (typedBirth) body.birth_date = typedBirth;
  const open = unread.filter((column) => !byColumn.has(column) || !isEntered(row(column)));
  if (open.length) body.unread = open;
  return { body, rows: entered.map(([one]) => one), count: entered.length + (sex ? 1 : 0) };
}

const MONTHS = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];

/** Return the date of birth that a text states, such as 1958-03-02, or null: 3/2/1958 states none. */
export function bornOf(words) {
  const stated = statedBirth(words);
  // The 30th of February is no date.
  return stated && !Number.isNaN(Date.parse(stated)) && new Date(stated).toISOString().startsWith(stated) ? stated : null;
}

function statedBirth(words) {
  const two = (n) => String(n).padStart(2, "0");
  if (/^\d{4}-\d{2}(-\d{2})?$/.test(words)) return words;
  const dotted = /^(\d{1,2})\.(\d{1,2})\.(\d{4})$/.exec(words);
  if (dotted) return `${dotted[3]}-${two(dotted[2])}-${two(dotted[1])}`;
  const named = /^(\d{1,2}) ([a-z]{3,9})\.? (\d{4})$/i.exec(words);
  const month = named ? MONTHS.indexOf(named[2].slice(0, 3).toLowerCase()) + 1 : 0;
  return month ? `${named[3]}-${two(month)}-${two(named[1])}` : null;
}

/** Return a moment with the offset of this place, such as 2026-11-01T08:00:00+01:00, or null. */
function rfc3339(date) {
  if (Number.isNaN(date.getTime())) return null;
  const minutes = -date.getTimezoneOffset();
  const two = (n) => String(Math.floor(Math.abs(n))).padStart(2, "0");
  return `${localText(date)}:00${minutes < 0 ? "-" : "+"}${two(minutes / 60)}:${two(minutes % 60)}`;
}

const localText = (date) =>
  new Date(date.getTime() - date.getTimezoneOffset() * 60_000).toISOString().slice(0, 16);

export const zero = () => new Date(new Date(zeroInput.value).getTime() + (hours ?? 0) * 3_600_000);
export const timeZero = () => rfc3339(zero());

/** Ask for the admission where time zero follows it by fixed hours, otherwise for time zero. */
export function askTime(fixedHours, words) {
  hours = fixedHours;
  $("time-label").textContent = hours === null ? text("time-asked", { zero: words }) : text("admission-asked");
  $("time-now").textContent = text(hours === null ? "time-now" : "time-now-admission", { hours });
  showZero();
}

/** Enter the time that puts time zero to the present. */
export function zeroIsNow() {
  setAdmission(new Date(Date.now() - (hours ?? 0) * 3_600_000));
}

/** Enter a moment as the time that is asked. */
export function setAdmission(date) {
  zeroInput.value = localText(date);
  showZero();
}

/** Return the entries as the service reads them, with their rows, for `showEcho`. */
export async function readBack(model) {
  const request = read(model);
  // How an entry is read does not depend on the time, which may not be entered yet.
  const body = { ...request.body, time_zero: request.body.time_zero ?? rfc3339(new Date()) };
  return { ...(await post("/page/entries", body)), rows: request.rows };
}

/** Show how the entries are read; only for what is entered now. */
export function showEcho({ entries, derived, references, rows: read }) {
  for (const one of rows) mark(one, { problem: "" });
  entries.forEach((entry, at) => mark(read[at], entry));
  for (const one of derived) markDerived(row(one.column), one);
  for (const one of rows) showReference(one, references);
}

/** Send a request and return its answer; neither the address nor the browser stores values.
 *
 * With `keepalive` it is sent although the page is left.
 */
export async function post(path, body, { keepalive = false } = {}) {
  // A request about earlier entries belongs to the sitting in which it is made.
  if (body.stage === "interim") body = { ...body, session };
  const response = await fetch(address(path), {
    keepalive,
    method: "POST",
    headers: { "content-type": "application/json", ...(keepalive ? headersNow() : await headers()) },
    body: JSON.stringify(body),
    cache: "no-store",
  });
  if (response.status === 401) leave("idle");
  if (response.status === 403) await refresh();
  const answer = await response.json();
  if (!response.ok) throw Object.assign(new Error("refused"), { problem: answer });
  return answer;
}

function mark(one, entry) {
  const echoed = one.querySelector(".echo");
  const typed = control(one);
  if (entry.problem && one.dataset.kind === "number" && !typed.value.trim()) {
    entry = { problem: text("limit-missing", { label: label(one.dataset.column) }) };
  }
  echoed.className = "echo";
  echoed.classList.toggle("problem", Boolean(entry.problem));
  echoed.classList.toggle("flagged", Boolean(entry.flag || entry.unusual));
  echoed.replaceChildren(...(entry.problem ? [entry.problem] : remarks(one, entry)));
  if (entry.meant) echoed.append(" ", meant(one, entry.meant));
  if (typed) {
    if (entry.problem) typed.setAttribute("aria-invalid", "true");
    else typed.removeAttribute("aria-invalid");
  }
  if (entry.comparator && state(one)) state(one).value = entry.comparator;
}

/** Return what is worth saying of a number: how it is read, converted, and against what it lies. */
function remarks(one, entry) {
  if (one.dataset.kind !== "number" || !entry.read_as) return [];
  const typed = `${control(one).value.trim()} ${unitLabel(one)}`.trim().replace("-", "−");
  const read = entry.read_as === typed ? "" : entry.read_as;
  const parts = [[read, entry.canonical].filter(Boolean).join(" = ")];
  if (entry.canonical && !read) parts[0] = `= ${entry.canonical}`;
  if (entry.flag) parts.push(text(`flag-${entry.flag}`, { multiple: entry.multiple }));
  if (entry.unusual) parts.push(text("unusual", { range: entry.unusual }));
  return [capital(parts.filter(Boolean).join(", "))];
}

/** Return the button that takes an entry in another unit. */
function meant(one, { unit, read_as: words }) {
  const button = make("button", "quiet meant", say("meant", { words }));
  button.type = "button";
  button.addEventListener("click", () => {
    const choices = one.querySelector("select.unit");
    choices.value = unit;
    choices.dispatchEvent(new Event("change", { bubbles: true }));
    control(one).focus();
  });
  return button;
}

function markDerived(one, { read_as: value, parts }) {
  if (!one || isEntered(one) && one.dataset.column !== "age") return;
  one.querySelector(".echo").replaceChildren(say("derived", { value, parts: parts.join(", ") }));
  one.querySelector(".echo").classList.add("is-derived");
}

function showReference(one, references) {
  if (one.dataset.kind !== "number") return;
  const known = references[one.dataset.column];
  const interval = known && known[unitOf(one)];
  one.querySelector(".interval").textContent = interval ? text("reference-is", { interval }) : "";
}

/** Keep the controls of a number consistent: a typed number is measured, an empty one is not entered. */
function follow(one, target) {
  if (one.dataset.kind !== "number") return;
  if (target === state(one) && (target.value === "" || target.value === "absent")) control(one).value = "";
  if (target === control(one)) {
    if (!target.value.trim()) state(one).value = "";
    else if (state(one).value === "" || state(one).value === "absent") state(one).value = "=";
  }
}

/** Begin another sitting, once the final answer of this one is on record. */
export const newSession = () => {
  session = opaque();
};

export const clearEntries = () => {
  for (const one of rows) set(one, null);
  patient = opaque();
  encounter = "";
  policy = {};
  zeroInput.value = "";
  showZero();
};

/** Return all that is entered, with the ids of its patient, for `restore`. */
export function snapshot() {
  const values = {};
  for (const one of rows.filter((row) => !isEmpty(row))) {
    const { record, taken } = one.dataset;
    values[one.dataset.column] = {
      value: one.dataset.kind === "flag" ? one.querySelector("input:checked").value : control(one).value,
      unit: one.querySelector("select.unit")?.value,
      state: state(one)?.value,
      record,
      taken,
    };
  }
  return { values, time: zeroInput.value, patient, encounter, policy };
}

/** Enter again what a snapshot holds, in place of what is entered now. */
export function restore({ values, time, ...ids }) {
  for (const one of rows) set(one, null);
  for (const [column, kept] of Object.entries(values)) {
    const one = row(column);
    if (!one) continue;
    if (one.dataset.kind === "flag") one.querySelector(`input[value="${kept.value}"]`).checked = true;
    else control(one).value = kept.value;
    const units = one.querySelector("select.unit");
    if (units && kept.unit !== undefined) units.value = kept.unit;
    if (state(one) && kept.state !== undefined) state(one).value = kept.state;
    if (kept.record !== undefined) one.dataset.record = kept.record;
    if (kept.taken !== undefined) one.dataset.taken = kept.taken;
  }
  ({ patient, encounter, policy } = ids);
  zeroInput.value = time;
  showZero();
}

/** Use the ids of the record, so that all requests for its patient belong together, and what it states. */
export function usePatient(id, encounterId, stated) {
  patient = id;
  encounter = encounterId;
  policy = stated;
}

/** Fill in a record's values in rows without entries; return the number of rows. */
export function fillFrom(filled) {
  clearFilled();
  const free = filled.filter((entry) => byColumn.has(entry.column) && isEmpty(row(entry.column)));
  for (const entry of free) {
    const one = row(entry.column);
    if (entry.not_done) setAbsent(one);
    else set(one, one.dataset.kind === "flag" ? entry.value === "true" : entry.value);
    const unit = one.querySelector("select.unit");
    if (unit && !entry.not_done) unit.value = entry.unit;
    if (entry.comparator) state(one).value = entry.comparator;
    if (entry.time) one.dataset.taken = entry.time;
    one.dataset.record = "";
    const source = one.querySelector(".origin");
    source.replaceChildren(origin(one));
    source.hidden = false;
  }
  return free.length;
}

/** Clear the values of the record that were not changed. */
export function clearFilled() {
  for (const one of rows) {
    if ("record" in one.dataset) set(one, null);
  }
}

/** Return the source of a row's value. */
export function origin(one) {
  if (!("record" in one.dataset)) return say("by-hand");
  if (!one.dataset.taken) return say("from-record");
  const taken = new Date(one.dataset.taken);
  const days = ((timeZero() ? zero() : new Date()) - taken) / 86_400_000;
  const before = days < 1 ? "" : say("days-before", { days: days.toFixed(days < 10 ? 1 : 0) });
  return say("from-record-at", { date: dateText(taken), before });
}

function disown(one) {
  delete one.dataset.record;
  delete one.dataset.taken;
  one.querySelector(".origin").hidden = true;
}

/** Set a row to a value in its canonical unit, or clear it. */
export function set(one, value) {
  disown(one);
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

/** Set a row to a value in one of its units, as a limit of the assay if there is a comparator. */
export function setIn(one, { value, unit, comparator }) {
  set(one, one.dataset.kind === "flag" ? value === "true" : value);
  const choices = one.querySelector("select.unit");
  if (choices && unit) choices.value = unit;
  if (comparator) state(one).value = comparator;
}

/** Return what a row holds, as it is shown, or "". */
export function shownValue(one) {
  if (isEmpty(one)) return "";
  if (isAbsent(one)) return text("not-done");
  if (one.dataset.kind === "flag") return one.querySelector("input:checked").parentElement.textContent.trim();
  if (one.dataset.kind === "category") return control(one).selectedOptions[0].textContent;
  const typed = control(one).value.trim();
  const limit = /^[<>]$/.test(state(one).value) && !/^[<>≤≥]/.test(typed) ? state(one).value : "";
  return `${limit}${typed} ${unitLabel(one)}`.trim();
}

/** Record a row's variable as not done. */
function setAbsent(one) {
  set(one, null);
  if (one.dataset.kind === "number") state(one).value = "absent";
  else if (one.dataset.kind === "category") control(one).querySelector("[data-absent]").selected = true;
  else one.querySelector("input[value=absent]").checked = true;
}

/** Set the units of empty rows to SI or to conventional units. */
export function beginIn(units) {
  for (const one of rows) {
    const unit = one.querySelector("select.unit");
    if (!unit || control(one).value.trim()) continue;
    const wanted = units === "si" ? unit.dataset.si : undefined;
    unit.value = wanted ?? unit.options[0].value;
  }
}

/** Open the fields that matter most to a model, in its order, and fold the others by pathway. */
export function arrange(model, first) {
  for (const one of rows) home.get(one).append(one);
  for (const ward of document.querySelectorAll(".ward")) {
    const opened = (first[ward.dataset.ward] ?? []).map(row).filter(Boolean);
    ward.querySelector(".entries").replaceChildren(...opened);
    ward.hidden = opened.length === 0;
  }
  for (const one of rows) one.hidden = !isUsed(one, model) && isEmpty(one);
}

/** Show the rows that a model uses, and count the entries of each folded group. */
export function showRows(model) {
  const all = { filled: 0, shown: 0 };
  for (const one of rows) {
    const used = isUsed(one, model);
    one.classList.toggle("unread", !used);
    one.classList.toggle("watched", isWatched(one, model));
    one.classList.toggle("part", isPart(one, model));
    one.hidden = !used && isEmpty(one);
  }
  for (const group of document.querySelectorAll(".group")) {
    const shown = [...group.querySelectorAll(".entry")].filter((one) => !one.hidden);
    group.hidden = shown.length === 0;
    const filled = shown.filter(isEntered).length;
    group.querySelector(".count").textContent = text("count", { filled, shown: shown.length });
    all.filled += filled;
    all.shown += shown.length;
  }
  $("rest-count").textContent = text("count", all);
}

export const isEntered = (one) =>
  one.dataset.column === "sex" || (one.dataset.column === "age" && bornOf(control(one).value.trim()))
    ? control(one).value !== ""
    : measurement(one) !== null;

export const isEmpty = (one) => !isEntered(one) && !isAbsent(one);

export const modelRows = (model) => rows.filter((one) => isScored(one, model));

function showZero() {
  const date = zero();
  $("time-zero-echo").textContent = Number.isNaN(date.getTime())
    ? ""
    : text(date > new Date() ? "time-zero-ahead" : "time-zero", { date: dateText(date) });
}
zeroInput.addEventListener("change", showZero);
for (const one of rows) {
  for (const kind of ["input", "change"]) {
    one.addEventListener(kind, (event) => {
      disown(one);
      follow(one, event.target);
    });
  }
}
