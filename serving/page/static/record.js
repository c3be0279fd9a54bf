// What an EHR's record fills into the form. The record itself is read on the server.
import * as entries from "./entries.js";
import { known } from "./session.js";
import { dateText, make, text } from "./words.js";

const $ = (id) => document.getElementById(id);
let isOpen = false;
let newest = 0;

/** Read the record of a page that an EHR opened; return whether there is one. */
export async function openRecord() {
  const session = await known().catch(() => null);
  isOpen = Boolean(session?.has_record);
  return isOpen && readRecord();
}

/** Fill in what the record holds at time zero, beside what was entered by hand. */
export async function readRecord() {
  const body = entries.timeZero();
  if (!isOpen || !body) return false;
  const mine = ++newest;
  // What was asked before another time zero, or for a patient before this one, is never shown.
  const isWanted = () => isOpen && mine === newest;
  $("record").hidden = false;
  $("record-said").textContent = text("record-reading");
  try {
    const found = await entries.post("/page/record", { time_zero: body });
    if (!isWanted()) return false;
    show(found);
  } catch {
    if (!isWanted()) return false;
    entries.clearFilled();
    $("patient").hidden = true;
    $("record-unread").hidden = true;
    $("record-said").textContent = text("record-failed");
  }
  return true;
}

/** Forget the record: what follows is another patient's. */
export function closeRecord() {
  isOpen = false;
  for (const one of ["record", "patient"]) if ($(one)) $(one).hidden = true;
}

export const hasRecord = () => isOpen;

function show(record) {
  entries.usePatient(record.patient_id, record.encounter_id);
  const count = entries.fillFrom(record.filled);
  $("patient").textContent = text("patient", { who: record.who || text("record-nameless") });
  $("patient").hidden = false;
  $("record-said").textContent = text("record-filled", {
    count,
    days: record.laboratory_days,
    date: dateText(new Date(record.time_zero)),
  });
  $("record-notes").replaceChildren(...record.notes.map((note) => make("li", "", note)));
  $("record-notes").hidden = record.notes.length === 0;
  $("record-unread").hidden = record.unread.length === 0;
  const rows = record.unread.map((one) => {
    const name = make("th", "", one.name);
    name.scope = "row";
    const taken = one.time ? dateText(new Date(one.time)) : "";
    return make("tr", "", name, make("td", "", taken), make("td", "", one.message));
  });
  $("record-unread").querySelector("tbody").replaceChildren(...rows);
}
