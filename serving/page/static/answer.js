// An answer of /v1/predict on the page: the numbers first, then why, then what is missing.
import { curveCaption, curveInWords, drawCurve, drawPeople, pointsBar, rangeBar } from "./charts.js";
import { showCheck } from "./check.js";
import { label, row, rowOf, shownValue } from "./entries.js";
import { showNote } from "./note.js";
import { $, capital, dateText, digitsFor, make, number, of100, points, say, tableRow, text } from "./words.js";

const NOT_MEASURED = "not_measured";
// As many as fit beside each other without scrolling; the rest opens on request.
const ROWS_FIRST = 8;
let paperRows = null; // how many rows of the table fit on the first page while printing
let shown = null; // { answer, prediction, context, at, byPathway, allRows }

/** Return what was entered or recorded and not used; age and sex are sent beside the record's own. */
const unused = (prediction) => prediction.ignored.filter((one) => one.reason !== "stated_elsewhere");

/** Show an answer; `context` holds the request and the facts about the model. */
export function showAnswer(answer, context) {
  const [prediction] = answer.predictions;
  const kept = shown?.context.request.body.outcomes[0] === context.request.body.outcomes[0] ? shown : null;
  const at = Math.min(kept?.at ?? 0, Math.max(prediction.risks.length - 1, 0));
  shown = { answer, prediction, context, at, byPathway: kept?.byPathway ?? false, allRows: kept?.allRows ?? false };
  $("estimand").replaceChildren(context.estimand);
  $("made-up").hidden = !context.madeUp;
  list($("refusals"), prediction.refusals.map((one) => one.message));
  const derived = prediction.warnings.filter((one) => one.code === "derived_value");
  list($("warnings"), prediction.warnings.filter((one) => !derived.includes(one)).map(warning));
  $("warnings-title").textContent = text(prediction.risks.length ? "warnings" : "warnings-refused");
  list($("ignored"), unused(prediction).map((one) => label(one.variable)));
  $("next").hidden = true;
  $("next-ask").hidden = !context.menu || !prediction.risks.length || !prediction.missing.length;
  showMissing(prediction);
  showEntered(context.request, derived);
  const { name, version } = prediction.model;
  const named = { name, version: version ?? "", id: answer.prediction_id };
  $("origin").replaceChildren(
    say("origin", { ...named, at: dateText(new Date(answer.created_at)), population: context.population }),
  );
  $("second-title").replaceChildren(say("second-title", named));
  showNote(answer, prediction);
  for (const id of ["risks", "pictures"]) $(id).hidden = prediction.risks.length === 0;
  if (prediction.risks.length === 0) return;
  $("horizons").replaceChildren(...prediction.risks.map(horizon));
  showReadings(prediction);
  showHorizon();
  showCurveTable(prediction);
  showCheck(answer, context, at);
  drawCharts();
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
  const { low, high, level, very_wide: wide } = risk.interval;
  const ends = { risk: of100(risk.risk), low: of100(low), high: of100(high), level: number(100 * level) };
  const first = capital(shown.context.facts.competing ?? "");
  const beside = risk.competing_risk === null ? "" : say("beside", { first, competing: of100(risk.competing_risk) });
  const option = say("horizon", {
    days: risk.horizon_days,
    interval: say(wide ? "interval-wide" : "interval", ends),
    beside,
  });
  option.querySelector(".risk").append(say(wide ? "horizon-wide" : "horizon-risk", ends));
  option.querySelector(".horizon").classList.toggle("very-wide", wide);
  option.querySelector(".range-place").append(rangeBar(risk));
  const input = option.querySelector("input");
  input.value = at;
  input.checked = at === shown.at;
  input.addEventListener("change", () => {
    shown.at = at;
    showHorizon();
    showCheck(shown.answer, shown.context, at);
    drawCharts();
  });
  return option;
}

/** Show what the number means beside the number: how complete, validated or not, compared with whom. */
function showReadings(prediction) {
  const risk = prediction.risks[shown.at];
  const limits = prediction.treatment_limitation === "not_recorded" ? $("limitation-not-recorded").textContent : "";
  const panel = [prediction.panel, risk.panel_sentence].filter(Boolean).join(" ");
  const readings = [
    ["compared", risk.comparison?.sentence],
    ["panel", panel],
    ["complete", `${text(`entries-${prediction.completeness}`)} ${risk.if_complete.sentence}`],
    ["validated", prediction.validation],
    ["limits", limits],
  ];
  $("readings").replaceChildren(
    ...readings
      .filter(([, words]) => words)
      .map(([name, words]) => make("div", "", make("dt", "", text(`reading-${name}`)), make("dd", "", words))),
  );
}

/** Show the sentences and contributions of the chosen horizon. */
function showHorizon() {
  const risk = shown.prediction.risks[shown.at];
  for (const place of document.querySelectorAll("#answer .by")) place.textContent = text("by", { days: risk.horizon_days });
  $("meaning").textContent = risk.sentences[0];
  // The second sentence lists what the table shows; the others are cautions.
  $("cautions").textContent = risk.sentences.slice(2).join(" ");
  showReadings(shown.prediction);
  showContributions(risk);
}

/** Draw all charts of the chosen horizon. */
export function drawCharts() {
  if (!shown?.prediction.risks.length) return;
  const { prediction, context, at } = shown;
  const risk = prediction.risks[at];
  // Dots would look surer than sparse entries or a very wide interval allow.
  $("people-figure").hidden = prediction.completeness === "sparse" || risk.interval.very_wide;
  if (!$("people-figure").hidden) drawPeople(risk, context.facts);
  const height = document.documentElement.classList.contains("paper") ? 200 : 300;
  const drawn = drawCurve($("curve"), prediction.curve, prediction.risks, { first: context.facts.competing, height });
  const same = risk.comparison?.same ?? [];
  $("curve-caption").replaceChildren(...curveCaption(drawn, context.facts.competing, listed(same)));
  $("curve-words").textContent = curveInWords(prediction.risks);
}

/** Show so many of the largest contributions, and all of them on the second page; null on screen. */
export function rowsOnPaper(count) {
  paperRows = count;
  if (shown?.prediction.risks.length) showContributions(shown.prediction.risks[shown.at]);
}

const listed = (words) => [words.slice(0, -1).join(", "), words.at(-1)].filter(Boolean).join(" and ");

const number100 = (risk, digits = 1) => (100 * risk).toFixed(digits);
const isShown = (change, digits) => Number(change.toFixed(digits)) !== 0;

/** Return the contributions of variables with a value, the largest first. */
const measured = (risk) => risk.contributions.filter((one) => one.measured);

function showContributions(risk) {
  const digits = digitsFor(risk);
  const inferred = risk.pathways.find((one) => one.pathway === NOT_MEASURED);
  const sizes = [...measured(risk), ...(inferred ? [inferred] : [])].map((one) => Math.abs(one.points));
  const most = Math.max(...sizes, 0.1);
  const lines = [line(text("start"), null, number100(risk.baseline_risk, digits), "reference-row")];
  const inOrder = shown.byPathway && paperRows === null;
  lines.push(...(inOrder ? pathwayRows(risk, digits, most) : sizeRows(risk, digits, most)));
  if (inferred) {
    const name = shown.context.pathways[NOT_MEASURED];
    lines.push(line(name, pointsBar(inferred.points, most, "grey"), points(inferred.points, digits), "others"));
  }
  if (isShown(risk.monotone_adjustment_points, digits)) {
    lines.push(line(text("adjustment"), null, points(risk.monotone_adjustment_points, digits)));
  }
  lines.push(line(text("this"), null, number100(risk.risk, digits), "total"));
  $("moved").tBodies[0].replaceChildren(...lines);
  $("all-moved").tBodies[0].replaceChildren(...(paperRows === null ? [] : pathwayRows(risk, digits, most)));
  for (const [name, pressed] of [["by-size", !shown.byPathway], ["by-pathway", shown.byPathway]]) {
    document.querySelector(`[data-do=${name}]`).setAttribute("aria-pressed", String(pressed));
  }
}

function line(name, bar, shownPoints, rowClass = "") {
  const one = tableRow(name, [bar ?? "", shownPoints], { rowClass });
  one.cells[1].className = "bars";
  one.cells[2].className = "num";
  return one;
}

const member = (one, digits, most) =>
  line(capital(one.words), pointsBar(one.points, most), points(one.points, digits), "member");

/** Return the rows of variables, the largest first; those that add next to nothing share one row. */
function sizeRows(risk, digits, most) {
  const all = measured(risk);
  const near = all.filter((one) => !isShown(one.points, digits));
  const rest = all.filter((one) => !near.includes(one));
  const button = document.querySelector("[data-do=all-rows]");
  const folded = rest.length > ROWS_FIRST + 1 || near.length > 1;
  button.hidden = !folded;
  button.textContent = text(shown.allRows ? "fewer-rows" : "all-rows", { count: all.length });
  const whole = paperRows === null && (shown.allRows || !folded);
  const first = whole ? all : rest.slice(0, paperRows ?? ROWS_FIRST);
  const others = all.filter((one) => !first.includes(one));
  const rows = first.map((one) => member(one, digits, most));
  if (others.length) {
    const sum = others.reduce((total, one) => total + one.points, 0);
    const name = others.every((one) => near.includes(one)) ? "others" : "others-smaller";
    rows.push(line(text(name, { count: others.length }), pointsBar(sum, most), points(sum, digits), "others"));
  }
  return rows;
}

/** Return the pathways with a share, the largest first, each followed by its variables. */
function pathwayRows(risk, digits, most) {
  document.querySelector("[data-do=all-rows]").hidden = true;
  return risk.pathways
    .filter((one) => one.pathway !== NOT_MEASURED)
    .map((one) => ({ ...one, members: measured(risk).filter((c) => c.pathway === one.pathway) }))
    .filter((one) => one.members.length)
    .sort((a, b) => Math.abs(b.points) - Math.abs(a.points))
    .flatMap((one) => [
      line(shown.context.pathways[one.pathway] ?? one.pathway, null, points(one.points, digits), "pathway"),
      ...one.members.map((c) => member(c, digits, most)),
    ]);
}

const orders = {
  "by-size": () => (shown.byPathway = false),
  "by-pathway": () => (shown.byPathway = true),
  "all-rows": () => (shown.allRows = !shown.allRows),
};

document.addEventListener("click", (event) => {
  const action = event.target.closest?.("[data-do]")?.dataset.do;
  if (!(action in orders)) return;
  orders[action]();
  showContributions(shown.prediction.risks[shown.at]);
});
let waiting = 0;
addEventListener("resize", () => {
  clearTimeout(waiting);
  waiting = setTimeout(drawCharts, 150);
});

/** Show what has no value: the few that would settle most, and the rest folded, by pathway. */
function showMissing({ missing, absent, would_settle: settling }) {
  const count = missing.length;
  $("missing").replaceChildren(count ? say("missing", { count }) : say("nothing-missing"));
  $("settling").hidden = settling.length === 0;
  const share = (one) => say("settling-one", { label: one.label, share: Math.round(100 * one.share) });
  $("settling").querySelector("ol").replaceChildren(...settling.map((one) => make("li", "", share(one))));
  const open = missing.filter((column) => !absent.includes(column));
  const lines = Object.entries(shown.context.pathways).flatMap(([key, pathway]) => {
    const names = open.filter((column) => rowOf(column)?.dataset.pathway === key).map(label);
    if (!names.length) return [];
    return [make("li", "", say("missing-one", { pathway, count: names.length, list: names.join("; ") }))];
  });
  if (absent.length) {
    lines.unshift(make("li", "", say("absent", { count: absent.length, list: absent.map(label).join("; ") })));
  }
  $("rest-missing").hidden = lines.length === 0;
  $("rest-missing").querySelector("summary").textContent = text("rest-missing", { count });
  $("missing-by-pathway").replaceChildren(...lines);
}

function showEntered(request, derived) {
  const items = request.rows.map((one) => entered(one.dataset.column, shownValue(one)));
  if (request.body.sex) items.unshift(entered("sex", shownValue(row("sex"))));
  document.querySelector("#entered .entered").replaceChildren(...items);
  $("entered-count").textContent = text("entered-count", { count: items.length });
  $("derived").hidden = derived.length === 0;
  $("derived").replaceChildren(...derived.map((one) => make("li", "", one.message)));
}

const entered = (column, value) => make("li", "", make("span", "", label(column)), ` ${value}`);

function showCurveTable({ curve }) {
  const beside = curve.some((point) => point.competing_risk !== null);
  const compared = curve.some((point) => point.comparison_risk !== null);
  const head = document.querySelector("#curve-table .beside");
  head.hidden = !beside;
  head.textContent = capital(text("first", { first: shown.context.facts.competing }));
  document.querySelector("#curve-table .compared").hidden = !compared;
  const lines = curve.map((point) => {
    const cells = [number100(point.risk), `${number100(point.low)}–${number100(point.high)}`];
    if (compared) cells.push(number100(point.comparison_risk));
    if (beside) cells.push(number100(point.competing_risk));
    return tableRow(number(point.day), cells, { cellClass: "num" });
  });
  $("curve-table").tBodies[0].replaceChildren(...lines);
}
