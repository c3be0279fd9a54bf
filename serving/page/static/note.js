// Take an answer along: as text for the patient's notes, and as a link without any value.
import { address } from "./session.js";
import { $, say, text } from "./words.js";

let note = "";
let model = "";

/** Hold the note of an answer ready. */
export function showNote(answer, prediction) {
  const id = answer.prediction_id ? text("note-id", { id: answer.prediction_id }) : "";
  note = `${prediction.note.join("\n")}${id && ` ${id}`}`;
  model = prediction.model.name.replace(/^osteon-/, "");
  $("note").value = note;
  $("copied").replaceChildren();
}

/** Copy a text; where the browser does not, select it for copying by hand. Return whether it did. */
async function copy(words) {
  try {
    await navigator.clipboard.writeText(words);
    return true;
  } catch {
    return false;
  }
}

/** Copy the note to the clipboard. */
export async function copyNote() {
  if (await copy(note)) {
    $("copied").replaceChildren(say("copied", { count: note.split("\n").length }));
    return;
  }
  $("note-box").open = true;
  $("note").select();
  $("copied").replaceChildren(say("not-copied"));
}

/** Copy the address of this page with the model alone. */
export async function copyLink() {
  const link = `${location.origin}${address("/")}?model=${encodeURIComponent(model)}`;
  await copy(link);
  $("copied").replaceChildren(say("copied-link", { link }));
}
