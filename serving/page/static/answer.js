// An answer of /v1/predict on the page: the numbers first, then the charts.
import { drawCurve, drawPeople, drawWaterfall } from "./charts.js";
import { showCheck } from "./check.js";
import { label, row, rowOf, unitLabel } from "./entries.js";
import { $, capital, dateText, digitsFor, make, number, of100, points, say, tableRow, text } from "./words.js";

const NOT_MEASURED = "not_measured";
let shown = null; // { prediction, context, at, open }

/** Return what was entered or recorded and not used; age and sex are sent beside the record's own. */
const unused = (prediction) => prediction.ignored.filter((one) => one.reason !== "stated_elsewhere");

/** Show an answer; `context` holds the request and the facts about the model. */
export function showAnswer(answer, context) {
  const [prediction] = answer.predictions;
  shown = { prediction, context, at: 0, open: new Set() };
  $("estimand").replaceChildren(context.estimand);
  $("made-up").hidden = !context.madeUp;
  list($("refusals"), prediction.refusals.map((one) => one.message));
  list($("warnings"), prediction.warnings.map(warning));
  $("warnings-title").textContent = text(prediction.risks.length ? "warnings" : "warnings-refused");
  list($("ignored"), unused(prediction).map((one) => label(one.variable)));
  $("next").hidden = true;
  $("next-ask").hidden = !context.menu || !prediction.risks.length || !prediction.missing.length;
  showMissing(prediction);
  showSettling(prediction);
  showEntered(context.request);
  const { name, version } = prediction.model;
  $("origin").replaceChildren(
    say("origin", {
      name,
      version: version ?? "",
      id: answer.prediction_id,
      at: dateText(new Date(answer.created_at)),
      population: context.population,
    }),
  );
  $("risks").hidden = prediction.risks.length === 0;
  if (prediction.risks.length === 0) return;
  // Dots would look surer than sparse entries allow.
  $("people-figure").hidden = prediction.completeness === "sparse";
  $("completeness").replaceChildren(say(`entries-${prediction.completeness}`), " ", say("two-ranges"));
  $("limitation").hidden = prediction.treatment_limitation !== "not_recorded";
  $("horizons").replaceChildren(...prediction.risks.map(horizon));
  showHorizon();
  showCurveTable(prediction.curve);
  showCheck(answer, context);
  // The numbers are painted first: charts take longer and may wait for Plotly.
  requestAnimationFrame(() => setTimeout(drawCharts));
}

/** Show which tests of the menu would move the estimate, each at its largest expected change. */
export function showNextBest({ next_best, next_best_summary }) {
  const most = new Map();
  for (const one of next_best) if (!most.has(one.variable)) most.set(one.variable, one.message);
  list($("next"), [...most.values()]);
  $("next-summary").textContent = next_best_summary;
  $("next").hidden = false;
  $("next-ask").hidden = true;
}

function list(block, messages) {
  block.hidden = messages.length === 0;
  block.querySelector("ul").replaceChildren(...messages.map((one) => make("li", "", one)));
}

function warning(one) {
  const named = one.variables.map(label);
  const words = one.message.replace(/\.$/, "");
  const already = named.every((name) => words.includes(name));
  return named.length && !already ? `${words}: ${named.join("; ")}.` : `${words}.`;
}

function horizon(risk, at) {
  const percent = (value) => of100(value);
  const level = number(100 * risk.interval.level);
  const beside = new DocumentFragment();
  if (risk.competing_risk !== null) {
    const first = shown.context.facts.competing;
    beside.append(say("beside", { first, competing: percent(risk.competing_risk) }), make("br"));
  }
  beside.append(say("average", { cohort: percent(risk.cohort_risk) }));
  const option = say("horizon", {
    days: risk.horizon_days,
    risk: percent(risk.risk),
    level,
    low: percent(risk.interval.low),
    high: percent(risk.interval.high),
    least: percent(risk.if_complete.low),
    most: percent(risk.if_complete.high),
    beside,
  });
  const input = option.querySelector("input");
  input.value = at;
  input.checked = at === shown.at;
  input.addEventListener("change", () => {
    shown.at = at;
    showHorizon();
    drawCharts();
  });
  return option;
}

/** Show the sentences and contributions of the chosen horizon. */
function showHorizon() {
  const risk = shown.prediction.risks[shown.at];
  const days = text("by", { days: risk.horizon_days });
  for (const place of document.querySelectorAll("#why .by")) place.textContent = days;
  $("sentences").replaceChildren(
    ...[risk.sentences[0], risk.if_complete.sentence, ...risk.sentences.slice(1)].map((one) => make("p", "", one)),
  );
  showContributions(risk);
}

/** Draw all charts of the chosen horizon. */
export async function drawCharts() {
  if (!shown?.prediction.risks.length) return;
  const { prediction, context, at } = shown;
  const risk = prediction.risks[at];
  if (!$("people-figure").hidden) drawPeople(risk, context.facts);
  await drawCurve(prediction.curve, prediction.risks, context.facts.competing);
  await drawWaterfall(waterfallRows(risk));
}

/** Return the pathways with a share, the largest first, each with its measured variables. */
function pathways(risk) {
  return risk.pathways
    .map((one) => ({
      key: one.pathway,
      name: shown.context.pathways[one.pathway] ?? one.pathway,
      points: one.points,
      members: risk.contributions.filter((c) =>
        one.pathway === NOT_MEASURED ? !c.measured : c.measured && c.pathway === one.pathway,
      ),
    }))
    .sort(
      (a, b) =>
        (a.key === NOT_MEASURED) - (b.key === NOT_MEASURED) || Math.abs(b.points) - Math.abs(a.points),
    );
}

function showContributions(risk) {
  const digits = digitsFor(risk);
  const lines = [line(text("reference"), "", number100(risk.baseline_risk, digits))];
  for (const pathway of pathways(risk)) lines.push(...pathwayLines(pathway, digits));
  if (isShown(risk.monotone_adjustment_points, digits)) {
    lines.push(line(text("adjustment"), "", points(risk.monotone_adjustment_points, digits)));
  }
  lines.push(line(text("this"), "", number100(risk.risk, digits), "total"));
  $("moved").tBodies[0].replaceChildren(...lines);
}

const number100 = (risk, digits = 1) => (100 * risk).toFixed(digits);
const isShown = (change, digits) => Number(change.toFixed(digits)) !== 0;

function line(name, value, shownPoints, rowClass = "") {
  const row = tableRow(name, [value, shownPoints], { rowClass });
  row.cells[2].className = "num";
  return row;
}

function pathwayLines(pathway, digits) {
  const total = line("", "", points(pathway.points, digits), "pathway");
  // What is inferred for variables without a value is one sum, not divided among them.
  if (pathway.key === NOT_MEASURED) {
    total.cells[0].append(pathway.name);
    return [total];
  }
  const open = shown.open.has(pathway.key);
  const button = make("button", "opener", pathway.name);
  button.type = "button";
  button.setAttribute("aria-expanded", String(open));
  button.addEventListener("click", () => {
    if (open) shown.open.delete(pathway.key);
    else shown.open.add(pathway.key);
    reopened(pathway.key);
  });
  button.dataset.pathway = pathway.key;
  total.cells[0].append(button);
  const members = pathway.members.map((one) => {
    const member = line(label(one.variable), valueText(one), points(one.points, digits), "member");
    member.hidden = !open;
    return member;
  });
  return [total, ...members];
}

/** Update the table and the chart, with the focus at the same place. */
function reopened(key) {
  const risk = shown.prediction.risks[shown.at];
  showContributions(risk);
  drawWaterfall(waterfallRows(risk));
  if (key) document.querySelector(`.opener[data-pathway="${key}"]`).focus();
}

document.addEventListener("click", (event) => {
  const action = event.target.closest?.("[data-do]")?.dataset.do;
  if (action !== "open-all" && action !== "close-all") return;
  const risk = shown.prediction.risks[shown.at];
  shown.open = new Set(action === "open-all" ? risk.pathways.map((one) => one.pathway) : []);
  reopened(null);
});
document.addEventListener("osteon:theme", drawCharts);
let waiting = 0;
addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(drawCharts, 150);
});

function valueText(one) {
  if (one.value === undefined || one.value === null) return "";
  if (typeof one.value === "boolean") return text(one.value ? "yes" : "no");
  if (typeof one.value === "string") return one.value.replaceAll("_", " ");
  const measured = row(one.variable);
  const unit = measured ? canonicalUnit(measured) : "";
  const multiple = one.multiple_of_reference;
  const times = multiple === undefined || multiple <= 1 ? "" : ` (${text("times", { multiple: short(multiple) })})`;
  return `${one.comparator ?? ""}${number(one.value)} ${unit}`.trim() + times;
}

const short = (value) => (value >= 100 ? value.toFixed(0) : String(Number(value.toPrecision(2))));

function canonicalUnit(one) {
  const unit = one.querySelector("select.unit");
  return unit ? unit.options[0].textContent : unitLabel(one);
}

/** Return the bars from the reference to this patient, with the variables of open pathways. */
function waterfallRows(risk) {
  const digits = digitsFor(risk);
  const start = 100 * risk.baseline_risk;
  const end = (name, value) => ({ name, from: 0, to: 100 * value, kind: "end", label: number100(value, digits) });
  const bars = [end(text("reference"), risk.baseline_risk)];
  let at = start;
  const step = (name, change, kind) => {
    bars.push({ name, from: at, to: at + change, kind, label: points(change, digits) });
    at += change;
  };
  // The table has every variable; bars of 0 would only take space.
  const steps = (members) => {
    const near = members.filter((one) => !isShown(one.points, digits));
    if (near.length === 1) near.pop();
    for (const one of members) if (!near.includes(one)) step(label(one.variable), one.points, "step");
    const together = near.reduce((sum, one) => sum + one.points, 0);
    if (near.length) step(text("others", { count: near.length }), together, "step");
  };
  for (const pathway of pathways(risk)) {
    if (pathway.key === NOT_MEASURED) step(pathway.name, pathway.points, "grey");
    else if (!shown.open.has(pathway.key)) step(pathway.name, pathway.points, "step");
    else steps(pathway.members);
  }
  if (isShown(risk.monotone_adjustment_points, digits)) {
    step(text("adjustment"), risk.monotone_adjustment_points, "grey");
  }
  return [...bars, end(text("this"), risk.risk)];
}

function showMissing({ missing, absent }) {
  const count = missing.length;
  $("missing").replaceChildren(count ? say("missing", { count }) : say("nothing-missing"));
  const lines = [...document.querySelectorAll(".group, .ward")].flatMap((group) => {
    const names = missing.filter((column) => !absent.includes(column) && group.contains(rowOf(column))).map(label);
    if (!names.length) return [];
    const pathway = group.querySelector("h3").textContent;
    return [make("li", "", say("missing-one", { pathway, count: names.length, list: names.join("; ") }))];
  });
  if (absent.length) {
    lines.unshift(make("li", "", say("absent", { count: absent.length, list: absent.map(label).join("; ") })));
  }
  $("missing-by-pathway").replaceChildren(...lines);
}

/** Show the empty fields whose values would settle most of what is open. */
function showSettling({ would_settle }) {
  $("settling").hidden = would_settle.length === 0;
  const share = (one) => say("settling-one", { label: one.label, share: Math.round(100 * one.share) });
  $("settling").querySelector("ol").replaceChildren(...would_settle.map((one) => make("li", "", share(one))));
}

function showEntered(request) {
  const items = request.rows.map((one) => {
    const chosen = one.querySelector("input:checked, select.value");
    const value =
      one.dataset.kind === "number"
        ? one.querySelector(".echo").textContent
        : one.dataset.kind === "flag"
          ? chosen.parentElement.textContent.trim()
          : chosen.selectedOptions[0].textContent;
    return entered(one.dataset.column, value);
  });
  const sex = row("sex").querySelector(".value");
  if (sex.value) items.unshift(entered("sex", sex.selectedOptions[0].textContent));
  document.querySelector("#entered .entered").replaceChildren(...items);
}

const entered = (column, value) => make("li", "", make("span", "", label(column)), ` ${value}`);

function showCurveTable(curve) {
  const beside = curve.some((point) => point.competing_risk !== null);
  const head = document.querySelector("#curve-table .beside");
  head.hidden = !beside;
  head.textContent = capital(text("first", { first: shown.context.facts.competing }));
  const lines = curve.map((point) => {
    const cells = [
      number100(point.risk),
      `${number100(point.low)}–${number100(point.high)}`,
      number100(point.cohort_risk),
    ];
    if (beside) cells.push(number100(point.competing_risk));
    return tableRow(number(point.day), cells, { cellClass: "num" });
  });
  $("curve-table").tBodies[0].replaceChildren(...lines);
}
