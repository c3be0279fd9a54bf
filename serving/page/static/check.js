// "Check an entry": move values, and predict again with all others unchanged.
import { drawCurve } from "./charts.js";
import { label, post, unitLabel } from "./entries.js";
import { $, make, number, say, text } from "./words.js";

const SLIDERS_FIRST = 5;
// The model answers in less time than a hand takes to move on.
const PAUSE = 80;
let now = null; // { answer, context, at, choices, columns, entries, moved }
let newest = 0;
let waiting = 0;

// Finer than elsewhere, to show small differences.
const tenths = (risk) => (100 * risk).toFixed(1);

/** Offer a slider for every number that can be moved, without age, sex and treatments. */
export function showCheck(answer, context, at) {
  const { request, facts } = context;
  // The same entries, answered again as final or at another horizon: sliders stay as they are.
  const entries = JSON.stringify([request.body.outcomes, request.body.sex, request.body.measurements]);
  if (now?.entries === entries) {
    Object.assign(now, { answer, context, at });
    if (now.moved.size) ask();
    else showStart();
    return;
  }
  const entered = request.rows.map((row, place) => ({ row, place, sent: request.body.measurements[place] }));
  const columns = new Set(entered.map((one) => one.row.dataset.column));
  const numbers = entered.filter(({ row, sent }) => {
    return row.dataset.kind === "number" && row.dataset.column in facts.seen && !sent.comparator && Number.isFinite(Number(sent.value));
  });
  const [risk] = [answer.predictions[0].risks[at]];
  const size = new Map(risk.contributions.map((one, place) => [one.variable, place]));
  const order = (one) => size.get(one.row.dataset.column) ?? size.size;
  const choices = numbers.filter((one) => !("locked" in one.row.dataset)).sort((a, b) => order(a) - order(b));
  now = { answer, context, at, choices, columns, entries, moved: new Map() };
  const sliders = choices.map(slider);
  $("sliders").replaceChildren(...sliders.slice(0, SLIDERS_FIRST));
  $("more-sliders").hidden = sliders.length <= SLIDERS_FIRST;
  $("more-sliders").querySelector("div").replaceChildren(...sliders.slice(SLIDERS_FIRST));
  showStart();
}

/** Return what moves with a variable: entered values that are derived from it, such as a score. */
const together = (column) =>
  Object.entries(now.context.facts.derived).filter(([name, reads]) => now.columns.has(name) && reads.includes(column));

/** Return the entered values that decide an entered score or ratio. */
const partsOf = (column) => (now.context.facts.derived[column] ?? []).filter((name) => now.columns.has(name) && name !== column && isMovable(name));
const isMovable = (name) => now.context.request.rows.some((row) => row.dataset.column === name && row.dataset.kind === "number" && !("locked" in row.dataset));

function slider(choice) {
  const { row, sent } = choice;
  const column = row.dataset.column;
  const parts = partsOf(column);
  const name = make("label", "", label(column));
  const value = make("output", "", shownValue(choice, Number(sent.value)));
  if (parts.length) {
    // A score has no value of its own beside its components: it moves with them.
    return make("p", "slider follows", make("span", "", `${label(column)} ${value.textContent}: ${text("check-follows", { list: parts.map(label).join(", ") })}`));
  }
  const input = make("input", "");
  const entered = Number(sent.value);
  const [least, most] = range(choice, entered);
  const whole = "whole" in row.dataset;
  Object.assign(input, { type: "range", id: `check-${column}`, min: least, max: most, step: whole ? 1 : "any" });
  input.value = entered;
  name.htmlFor = input.id;
  value.htmlFor = input.id;
  input.setAttribute("aria-valuetext", value.textContent);
  if (!whole) {
    const ticks = make("datalist", "", ...[0.9, 1.1].map((times) => new Option("", entered * times)));
    ticks.id = `ticks-${column}`;
    input.setAttribute("list", ticks.id);
    name.append(ticks);
  }
  input.addEventListener("input", () => {
    value.textContent = shownValue(choice, Number(input.value));
    input.setAttribute("aria-valuetext", value.textContent);
    const at = Number(input.value);
    if (at === entered) now.moved.delete(column);
    else now.moved.set(column, { choice, value: Number(at.toPrecision(4)) });
    clearTimeout(waiting);
    waiting = setTimeout(ask, PAUSE);
  });
  choice.input = input;
  choice.output = value;
  return make("p", "slider", name, input, value);
}

/** Return the range of nearly all training patients in the entered unit, with the entry and 10 % about it. */
function range({ row }, entered) {
  const unit = row.querySelector("select.unit");
  const scale = unit ? Number(unit.selectedOptions[0].dataset.scale) : 1;
  const seen = now.context.facts.seen[row.dataset.column].map((end) => end / scale);
  const ends = "whole" in row.dataset ? [entered, entered] : [0.9 * entered, 1.1 * entered];
  const [least, most] = [Math.min(seen[0], ...ends), Math.max(seen[1], ...ends)];
  return "whole" in row.dataset ? [Math.floor(least), Math.ceil(most)] : [least, most];
}

const shownValue = ({ row }, value) => `${number(value)} ${unitLabel(row)}`.trim();

function showStart() {
  newest += 1;
  const reset = document.querySelector("[data-do=check-reset]");
  reset.hidden = true;
  const any = now.choices.length > 0;
  $("check-result").textContent = text(any ? "check-start" : "check-none");
  $("check-curve").hidden = !any;
  const { predictions } = now.answer;
  if (any) draw(predictions[0], null);
}

function draw(prediction, before) {
  drawCurve($("check-curve"), prediction.curve, prediction.risks, { first: now.context.facts.competing, before, height: 240 });
}

/** Return all sliders to the entered values. */
export function resetCheck() {
  for (const { input, output, sent, row } of now.choices) {
    if (!input) continue;
    input.value = Number(sent.value);
    output.textContent = shownValue({ row }, Number(sent.value));
  }
  now.moved.clear();
  showStart();
}

async function ask() {
  const mine = ++newest;
  const { body } = now.context.request;
  const asked = { ...body, explain: false, measurements: moved(body.measurements) };
  let answer;
  let follows = [];
  try {
    if ([...now.moved.keys()].some((column) => together(column).length)) {
      const changed = await post("/page/together", { entered: body, moved: asked });
      follows = Object.entries(changed.values);
      asked.measurements = asked.measurements.map((one) =>
        one.variable in changed.values ? { variable: one.variable, value: changed.values[one.variable], unit: changed.units[one.variable] } : one,
      );
    }
    answer = await post("/v1/predict", asked);
  } catch (error) {
    if (mine === newest) $("check-result").textContent = text(error.problem ? "failed" : "unreachable");
    return;
  }
  if (mine === newest) show(answer.predictions[0], follows);
}

const moved = (measurements) =>
  measurements.map((sent, place) => {
    const one = [...now.moved.values()].find(({ choice }) => choice.place === place);
    return one ? { ...sent, value: one.value } : sent;
  });

function show(prediction, follows) {
  const reset = document.querySelector("[data-do=check-reset]");
  reset.hidden = false;
  const before = now.answer.predictions[0];
  const after = prediction.risks[now.at];
  $("check-curve").hidden = !after;
  if (!after) {
    const why = prediction.refusals.map((refusal) => refusal.message).join(" ");
    $("check-result").replaceChildren(say("check-refused", { why }));
    return;
  }
  const all = [...now.moved.values()].map(({ choice, value }) => `${label(choice.row.dataset.column)} ${shownValue(choice, value)}`);
  $("check-result").replaceChildren(
    say("check", {
      list: all.join(", "),
      days: after.horizon_days,
      new: tenths(after.risk),
      low: tenths(after.interval.low),
      high: tenths(after.interval.high),
      old: tenths(before.risks[now.at].risk),
    }),
  );
  if (follows.length) {
    const list = follows.map(([name, value]) => `${label(name)} ${number(value)}`).join(", ");
    $("check-result").append(say("check-together", { list }));
  }
  draw(prediction, before.curve);
}
