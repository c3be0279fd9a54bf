// The bar that stays in sight: the risk so far, how complete the entries are, and what would matter.
import { label, row } from "./entries.js";
import { $, make, of100, say, text } from "./words.js";

/** Show what is needed before there can be a risk: columns, or the id of another control. */
export function showNeeds(title, needs) {
  $("bar-risks").replaceChildren();
  $("bar-state").textContent = "";
  $("bar-details").hidden = true;
  showFields(text(title), needs);
}

/** Show an answer: the risks, or that none is given, and what would settle most. */
export function showBar(prediction) {
  const { risks, completeness } = prediction;
  const tooLittle = completeness === "insufficient" && prediction.refusals.length === 1;
  $("bar-risks").replaceChildren(...risks.map(risk));
  $("bar-state").textContent = risks.length ? text(`grade-${completeness}`) : tooLittle ? "" : text("bar-refused");
  $("bar-details").hidden = false;
  $("bar-details").textContent = text(risks.length ? "bar-read" : "bar-why");
  const open = completeness === "complete" ? [] : prediction.would_settle;
  const fields = open.map((one) => ({ words: one.label, target: one.variable }));
  if (tooLittle) showFields(text("bar-too-little"), fields);
  else if (risks.length) showFields(text(fields.length ? "bar-if" : "bar-all"), fields);
  else showFields("", []);
}

/** Mark the bar as awaiting the answer to the newest entries. */
export function setWaiting(waiting) {
  $("bar").setAttribute("aria-busy", String(waiting));
}

function risk(one, at) {
  const slots = {
    days: one.horizon_days,
    risk: of100(one.risk),
    low: of100(one.interval.low),
    high: of100(one.interval.high),
  };
  const wide = one.interval.very_wide;
  const cell = make("p", `bar-cell${wide ? " wide" : ""}`, say("bar-risk", slots));
  if (wide) cell.querySelector(".range").append(text("bar-wide"));
  cell.classList.toggle("first", at === 0);
  return cell;
}

function showFields(title, fields) {
  $("bar-risk").hidden = $("bar-risks").childElementCount === 0 && $("bar-details").hidden;
  $("bar-next-title").textContent = title;
  $("bar-fields").replaceChildren(...fields.map((one) => make("li", "", jump(one))));
}

function jump({ words, target }) {
  const control = controlOf(target);
  if (!control) return words;
  const button = make("button", "quiet jump", words);
  button.type = "button";
  button.addEventListener("click", () => goTo(target));
  return button;
}

function controlOf(target) {
  const entry = row(target);
  return entry ? entry.querySelector(".value, input") : $(target);
}

/** Open and focus an entry by its column, or another control by its id. */
export function goTo(target) {
  const control = controlOf(target);
  const group = control.closest(".group");
  if (group) {
    $("rest").open = group.open = true;
    control.closest(".entry").hidden = false;
  }
  control.focus();
  control.scrollIntoView({ block: "center" });
}

/** Return a need as a name and a target. */
export const need = (column) => ({ words: label(column), target: column });
