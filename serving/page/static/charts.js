// The pictures of an answer, drawn as SVG: range bars, 100 patients, the curve, bars of points.
import { $, capital, make, of100, say, text } from "./words.js";

const SVG = "http://www.w3.org/2000/svg";

/** Return a new SVG element; children are elements or text. */
function draw(tag, attributes, ...children) {
  const element = document.createElementNS(SVG, tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

const hidden = { "aria-hidden": "true", focusable: "false" };

/** Return a bar from 0 to 100 with the interval as a band and the risk as a mark. */
export function rangeBar({ risk, interval }) {
  const low = 100 * interval.low;
  const width = Math.max(100 * interval.high - low, 0.5);
  return draw(
    "svg",
    { ...hidden, class: "range-bar", viewBox: "0 0 100 8", preserveAspectRatio: "none" },
    draw("rect", { class: "range-all", x: 0, y: 3, width: 100, height: 2 }),
    draw("rect", { class: "range-interval", x: low, y: 1, width, height: 6 }),
    draw("rect", { class: interval.very_wide ? "range-middle" : "range-risk", x: 100 * risk - 0.6, y: 0, width: 1.2, height: 8 }),
  );
}

/** Return a bar of points to the left or right of a middle line; `most` points fill one half. */
export function pointsBar(points, most, kind) {
  const length = Math.min(Math.abs(points) / most, 1) * 50;
  return draw(
    "svg",
    { ...hidden, class: "points-bar", viewBox: "0 0 100 10", preserveAspectRatio: "none" },
    draw("rect", { class: "points-zero", x: 49.7, y: 0, width: 0.6, height: 10 }),
    draw("rect", { class: kind ?? (points >= 0 ? "up" : "down"), x: points >= 0 ? 50 : 50 - length, y: 1.5, width: length, height: 7 }),
  );
}

// Days are drawn by their square root, so that 28 days can be read beside a year.
const scale = Math.sqrt;

/** Return ticks of the horizontal axis: the horizons first, then round days that keep apart. */
function dayTicks(horizons, last, across) {
  const ticks = [...horizons];
  const near = (day) => ticks.some((other) => Math.abs(scale(day) - scale(other)) * across < 44 * scale(last));
  for (const day of [0, 1825, 1095, 730, 365, 180, 90, 28, 14, 7, 3, 1]) {
    if (day <= last && !near(day)) ticks.push(day);
  }
  return ticks.sort((a, b) => a - b);
}

function percentTicks(top) {
  const step = [1, 2, 5, 10, 20, 25].find((one) => top / one <= 5) ?? 25;
  return Array.from({ length: Math.floor(top / step) + 1 }, (_, at) => at * step);
}

/** Move labels of one side down and up until none covers another. */
function spread(labels, least, from, to) {
  labels.sort((a, b) => a.y - b.y);
  labels.forEach((one, at) => {
    one.y = Math.max(one.y, at ? labels[at - 1].y + least : from);
  });
  for (let at = labels.length - 1; at >= 0; at -= 1) {
    const below = at === labels.length - 1 ? to : labels[at + 1].y - least;
    labels[at].y = Math.min(labels[at].y, below);
  }
  return labels;
}

/**
 * Draw the risk over time with its interval, a comparable patient and the competing event.
 *
 * `before` is the curve of the entries as they are, where `curve` is of a moved value.
 */
export function drawCurve(place, curve, risks, { first, before = null, height = 300 }) {
  const width = Math.max(place.clientWidth, 240);
  const narrow = width < 480;
  const beside = curve.some((point) => point.competing_risk !== null);
  const compared = !before && curve.some((point) => point.comparison_risk !== null);
  const days = risks.map((one) => one.horizon_days);
  const last = Math.max(...days) * 1.03;
  const seen = curve.filter((point) => point.day <= last);
  // A moved value may stretch the axis, and does not shrink it.
  const drawn = [...seen, ...(before ?? []).filter((point) => point.day <= last)];
  const ends = drawn.map((point) => Math.max(point.high, point.comparison_risk ?? 0, point.competing_risk ?? 0));
  const top = Math.min(100, 108 * Math.max(...ends));
  const frame = { left: 50, right: width - (narrow ? 14 : 146), top: 14, bottom: height - 44 };
  const across = frame.right - frame.left;
  const x = (day) => frame.left + (across * scale(Math.min(day, last))) / scale(last);
  const y = (percent) => frame.bottom - ((frame.bottom - frame.top) * percent) / top;
  const path = (points, of) => points.map((one, at) => `${at ? "L" : "M"}${x(one.day).toFixed(1)} ${y(100 * of(one)).toFixed(1)}`).join("");
  const from0 = (points) => [{ day: 0, risk: 0, low: 0, high: 0, comparison_risk: 0, competing_risk: 0 }, ...points];
  const points = from0(seen);
  const band = `${path(points, (one) => one.high)}${path([...points].reverse(), (one) => one.low).replace("M", "L")}Z`;
  const items = [];
  for (const percent of percentTicks(top)) {
    items.push(draw("line", { class: "grid", x1: frame.left, x2: frame.right, y1: y(percent), y2: y(percent) }));
    items.push(draw("text", { class: "tick", x: frame.left - 6, y: y(percent) + 4, "text-anchor": "end" }, `${percent} %`));
  }
  for (const day of dayTicks(days, last, across)) {
    items.push(draw("line", { class: "grid", x1: x(day), x2: x(day), y1: frame.bottom, y2: frame.bottom + 5 }));
    items.push(draw("text", { class: "tick", x: x(day), y: frame.bottom + 19, "text-anchor": "middle" }, String(day)));
  }
  items.push(draw("text", { class: "axis", x: (frame.left + frame.right) / 2, y: height - 6, "text-anchor": "middle" }, text("days")));
  items.push(draw("path", { class: "band", d: band }));
  const labels = [];
  const line = (name, of, className, from = points) => {
    items.push(draw("path", { class: `curve ${className}`, d: path(from, of) }));
    labels.push({ name, className, y: y(100 * of(from.at(-1))) });
  };
  if (before) line(text("as-entered"), (one) => one.risk, "before", from0(before.filter((one) => one.day <= last)));
  if (compared) line(text("comparable"), (one) => one.comparison_risk, "average");
  if (beside && !before) line(capital(text("first", { first })), (one) => one.competing_risk, "first");
  line(text(before ? "as-moved" : "this"), (one) => one.risk, "main");
  if (!narrow) {
    for (const one of spread(labels, 17, frame.top + 8, frame.bottom)) {
      items.push(draw("text", { class: `label ${one.className}`, x: frame.right + 8, y: one.y + 4 }, one.name));
    }
  }
  risks.forEach((one) => {
    const [at, up] = [x(one.horizon_days), y(100 * one.risk)];
    const above = up - 12 > frame.top + 8;
    items.push(draw("circle", { class: "dot-main", cx: at, cy: up, r: 4.5 }));
    const anchor = at > frame.right - 30 ? "end" : "middle";
    items.push(draw("text", { class: `dot-label${one.interval.very_wide ? " wide" : ""}`, x: anchor === "end" ? at + 6 : at, y: above ? up - 10 : up + 20, "text-anchor": anchor }, `${of100(one.risk)} %`));
  });
  place.replaceChildren(draw("svg", { ...hidden, class: "curve-svg", viewBox: `0 0 ${width} ${height}`, width, height }, ...items));
  return { level: Math.round(100 * risks[0].interval.level), beside, compared };
}

/** Return a chart's numbers in words, for readers who do not see it. */
export function curveInWords(risks) {
  return risks
    .map((one) =>
      text("curve-point", { days: one.horizon_days, risk: of100(one.risk), low: of100(one.interval.low), high: of100(one.interval.high) }),
    )
    .join("; ");
}

/** Draw 100 patients: those with the event, those with the competing event first, and the rest. */
export function drawPeople(risk, facts) {
  const happen = Math.round(100 * risk.risk);
  const competes = risk.competing_risk !== null;
  const die = competes ? Math.min(Math.round(100 * risk.competing_risk), 100 - happen) : 0;
  const rest = 100 - happen - die;
  const kinds = [
    ["event", happen, facts.events],
    ...(competes ? [["first", die, text("do-first", { verb: facts.competingVerb })]] : []),
    ["rest", rest, text(competes ? "neither" : "without").toLowerCase()],
  ];
  const dots = kinds.flatMap(([kind, count]) => Array.from({ length: count }, () => make("span", `dot ${kind}`)));
  $("people").replaceChildren(...dots);
  $("people-key").replaceChildren(
    ...kinds.map(([kind, count, words]) =>
      make("li", "", make("span", `dot ${kind}`), ` ${kind === "event" ? of100(risk.risk) : count} ${words}`),
    ),
  );
  $("people-caption").textContent = kinds.map(([, count, words]) => `${count} ${words}`).join(", ");
}

/** Return what the lines of the curve are, in words. */
export function curveCaption({ level, beside, compared }, first, same) {
  const parts = [say("curve", { level })];
  if (compared) parts.push(" ", say("curve-compared", { same }));
  if (beside) parts.push(" ", say("curve-beside", { first }));
  return parts;
}
