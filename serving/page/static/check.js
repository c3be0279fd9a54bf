// "Check an entry": move one value, and predict again with all others unchanged.
import { label, post, unitLabel } from "./entries.js";
import { $, number, say, text } from "./words.js";

const which = $("check-which");
const slide = $("check-slide");
let now = null; // { answer, request, facts, choices }
let newest = 0;

// Finer than elsewhere, to show small differences.
const tenths = (risk) => (100 * risk).toFixed(1);

/** Offer the numbers that can be moved, without age, sex and treatments. */
export function showCheck(answer, { request, facts }) {
  const entered = request.rows.map((row, at) => ({ row, at, sent: request.body.measurements[at] }));
  const read = new Set(Object.keys(facts.seen));
  const numbers = entered.filter((one) => one.row.dataset.kind === "number" && read.has(one.row.dataset.column));
  const choices = numbers.filter((one) => !("locked" in one.row.dataset) && !one.sent.comparator);
  const locked = entered.filter((one) => "locked" in one.row.dataset).map((one) => label(one.row.dataset.column));
  if (request.body.sex) locked.push(label("sex"));
  now = { answer, request, facts, choices: choices.filter((one) => Number.isFinite(Number(one.sent.value))) };
  which.replaceChildren(...now.choices.map((one, at) => new Option(label(one.row.dataset.column), at)));
  $("check-form").hidden = now.choices.length === 0;
  $("check-result").textContent = now.choices.length ? "" : text("check-none");
  $("check-locked").textContent = locked.length ? text("check-locked", { list: locked.join(", ") }) : "";
  if (now.choices.length) resetCheck();
}

/** Return the slider to the entered value. */
export function resetCheck() {
  const one = now.choices[which.value];
  const entered = Number(one.sent.value);
  const unit = one.row.querySelector("select.unit");
  const seen = now.facts.seen[one.row.dataset.column];
  const scale = unit ? Number(unit.selectedOptions[0].dataset.scale) : 1;
  const whole = "whole" in one.row.dataset;
  slide.step = whole ? 1 : "any";
  const least = Math.min(entered, seen[0] / scale);
  slide.min = whole ? Math.floor(least) : least;
  slide.max = Math.max(entered, seen[1] / scale);
  slide.value = entered;
  showValue();
  $("check-result").textContent = "";
  newest += 1;
}

function showValue() {
  const one = now.choices[which.value];
  const value = `${number(Number(slide.value))} ${unitLabel(one.row)}`.trim();
  $("check-value").textContent = value;
  slide.setAttribute("aria-valuetext", value);
  return value;
}

async function moved() {
  const one = now.choices[which.value];
  const value = showValue();
  const measurements = now.request.body.measurements.map((sent, at) =>
    at === one.at ? { ...sent, value: Number(Number(slide.value).toPrecision(4)) } : sent,
  );
  const mine = ++newest;
  let answer;
  try {
    answer = await post("/v1/predict", { ...now.request.body, measurements });
  } catch (error) {
    $("check-result").textContent = text(error.problem ? "failed" : "unreachable");
    return;
  }
  if (mine !== newest) return;
  const chosen = Number(document.querySelector("input[name=horizon]:checked").value);
  const before = now.answer.predictions[0].risks[chosen];
  const after = answer.predictions[0].risks[chosen];
  const why = answer.predictions[0].refusals.map((refusal) => refusal.message).join(" ");
  $("check-result").replaceChildren(
    after
      ? say("check", {
          days: after.horizon_days,
          new: tenths(after.risk),
          low: tenths(after.interval.low),
          high: tenths(after.interval.high),
          label: label(one.row.dataset.column),
          value,
          old: tenths(before.risk),
        })
      : say("check-refused", { why }),
  );
}

which.addEventListener("change", resetCheck);
slide.addEventListener("input", showValue);
slide.addEventListener("change", moved);
