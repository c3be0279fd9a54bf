// Fill the form from a record. The server reads the record.
import * as entries from "./entries.js";
import { known } from "./session.js";
import { $, dateText, make, tableRow, text } from "./words.js";

let isOpen = false;
let admittedAt = null;
let asksAdmission = false;
let newest = 0;

/** Read the record of a page opened by an EHR; return whether there is one. */
export async function openRecord() {
  const session = await known().catch(() => null);
  isOpen = Boolean(session?.has_record);
  return isOpen && readRecord();
}

/** Fill in the record's values at time zero, except where values were entered by hand. */
export async function readRecord() {
  if (!isOpen) return false;
  enterAdmission();
  const zero = timeOfReading();
  const mine = ++newest;
  // Never show an answer for an earlier time zero or an earlier patient.
  const isWanted = () => isOpen && mine === newest;
  $("record").hidden = false;
  $("record-status").textContent = text("record-reading");
  try {
    const record = await entries.post("/page/record", { time_zero: zero });
    if (!isWanted()) return false;
    show(record);
  } catch {
    if (!isWanted()) return false;
    entries.clearFilled();
    $("patient").hidden = true;
    $("record-unread").hidden = true;
    $("record-status").textContent = text("record-failed");
  }
  return true;
}

/** Fill in the values of a dropped FHIR Bundle; return "" or why it cannot be read. */
export async function takeBundle(content) {
  newest += 1;
  let record;
  try {
    record = await entries.post("/page/bundle", { time_zero: timeOfReading(), bundle: JSON.parse(content) });
  } catch (error) {
    const broken = error.problem?.errors?.map((one) => one.message) ?? [];
    return broken.join(" ") || text(error instanceof SyntaxError ? "paste-file" : "unreachable");
  }
  entries.clearEntries();
  $("record").hidden = false;
  show({ ...record, patient_id: record.patient_id || entries.opaque() });
  enterAdmission();
  return "";
}

/** Forget the record, before another patient. */
export function closeRecord() {
  isOpen = false;
  admittedAt = null;
  for (const one of ["record", "patient"]) if ($(one)) $(one).hidden = true;
}

/** State whether the model asks when the patient was admitted, which the record may tell. */
export function usesAdmission(asks) {
  asksAdmission = asks;
  if (isOpen && enterAdmission()) $("time-zero").dispatchEvent(new Event("change"));
}

/** Return time zero; before it is entered, a record is read as of now. */
const timeOfReading = () => entries.timeZero() ?? new Date().toISOString().replace(/\.\d+/, "");

function enterAdmission() {
  if (!asksAdmission || !admittedAt || entries.timeZero()) return false;
  entries.setAdmission(new Date(admittedAt));
  return true;
}

function show(record) {
  admittedAt = record.policy.icu_admission;
  entries.usePatient(record.patient_id, record.encounter_id, record.policy);
  const count = entries.fillFrom(record.filled);
  $("patient").textContent = text("patient", { who: record.who || text("record-nameless") });
  $("patient").hidden = false;
  $("record-status").textContent = text("record-filled", {
    count,
    days: record.laboratory_days,
    date: dateText(new Date(record.time_zero)),
  });
  $("record-notes").replaceChildren(...record.notes.map((note) => make("li", "", note)));
  $("record-notes").hidden = record.notes.length === 0;
  $("record-unread").hidden = record.unread.length === 0;
  const taken = (one) => (one.time ? dateText(new Date(one.time)) : "");
  const rows = record.unread.map((one) => tableRow(one.name, [taken(one), one.message]));
  $("record-unread").querySelector("tbody").replaceChildren(...rows);
}
