// The charts: 100 patients, the curve and the waterfall. Plotly, from this host, draws the last two.
import { $, capital, make, of100, say, text } from "./words.js";

let plotly = null;

/** Load Plotly once, after the page; charts wait for it. */
export function loadPlotly() {
  plotly ??= new Promise((done, failed) => {
    const script = document.createElement("script");
    script.src = $("main").dataset.plotly;
    script.onload = () => done(globalThis.Plotly);
    script.onerror = failed;
    document.head.append(script);
  });
  return plotly;
}

function colours() {
  const style = getComputedStyle(document.documentElement);
  const of = (name) => style.getPropertyValue(`--${name}`).trim();
  return Object.fromEntries(
    ["text", "faint", "grid", "paper", "line", "band", "average", "beside", "up", "down", "grey", "end"].map(
      (name) => [name, of(name)],
    ),
  );
}

const still = { displayModeBar: false, responsive: false, scrollZoom: false };
const onPaper = () => document.documentElement.classList.contains("paper");

function layout(c, place, changes) {
  return {
    width: place.clientWidth,
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { color: c.text, family: "system-ui, sans-serif", size: onPaper() ? 11 : 13 },
    margin: { l: 50, r: 16, t: 8, b: 44 },
    showlegend: false,
    hoverlabel: { bgcolor: c.paper, bordercolor: c.text, font: { color: c.text } },
    dragmode: false,
    ...changes,
  };
}

const axis = (c, changes) => ({
  gridcolor: c.grid,
  linecolor: c.faint,
  zerolinecolor: c.faint,
  fixedrange: true,
  ...changes,
});

/** Draw the risk over time with its interval, and the average patient. */
export async function drawCurve(curve, risks, first) {
  const beside = curve.some((point) => point.competing_risk !== null);
  const level = Math.round(100 * risks[0].interval.level);
  $("curve-caption").replaceChildren(say("curve", { level }));
  if (beside) $("curve-caption").append(say("curve-beside", { first }));
  const library = await loadPlotly();
  const c = colours();
  const x = curve.map((point) => point.day);
  const of = (name) => curve.map((point) => 100 * point[name]);
  const line = { mode: "lines", type: "scatter", hovertemplate: "%{y:.1f} %<extra>%{fullData.name}</extra>" };
  const edge = { ...line, x, line: { width: 0 }, hoverinfo: "skip", hovertemplate: undefined };
  const traces = [
    { ...edge, y: of("low"), name: "" },
    { ...edge, y: of("high"), name: "", fill: "tonexty", fillcolor: c.band },
    { ...line, x, y: of("cohort_risk"), name: text("cohort"), line: { color: c.average, dash: "dash", width: 2 } },
    { ...line, x, y: of("risk"), name: text("this"), line: { color: c.line, width: 3 } },
    {
      ...line,
      mode: "markers",
      x: risks.map((one) => one.horizon_days),
      y: risks.map((one) => 100 * one.risk),
      name: text("this"),
      marker: { color: c.line, size: 9 },
    },
  ];
  if (beside) {
    traces.push({
      ...line, x, y: of("competing_risk"), name: capital(text("first", { first })), line: { color: c.beside, dash: "dot", width: 2 },
    });
  }
  const last = Math.max(...risks.map((one) => one.horizon_days)) * 1.05;
  const top = Math.max(...curve.filter((p) => p.day <= last).map((p) => Math.max(p.high, p.cohort_risk, p.competing_risk ?? 0)));
  library.react(
    $("curve"),
    traces,
    layout(c, $("curve"), {
      height: onPaper() ? 190 : 300,
      hovermode: "x",
      xaxis: axis(c, { title: { text: text("days") }, range: [0, last], rangemode: "tozero" }),
      yaxis: axis(c, { title: { text: text("points") }, range: [0, Math.min(100, 110 * top)], ticksuffix: "" }),
    }),
    still,
  );
}

/** Draw bars from the reference to this patient. */
export async function drawWaterfall(bars) {
  const library = await loadPlotly();
  const c = colours();
  const fill = (bar) =>
    bar.kind === "end" ? c.end : bar.kind === "grey" ? c.grey : bar.to >= bar.from ? c.up : c.down;
  const ends = bars.flatMap((bar) => [bar.from, bar.to]);
  const most = Math.max(...ends);
  const place = bars.map((_, at) => at);
  library.react(
    $("waterfall"),
    [
      {
        type: "bar",
        orientation: "h",
        y: place,
        base: bars.map((bar) => Math.min(bar.from, bar.to)),
        x: bars.map((bar) => Math.abs(bar.to - bar.from)),
        marker: { color: bars.map(fill) },
        text: bars.map((bar) => bar.label),
        textposition: "outside",
        cliponaxis: false,
        textfont: { color: c.text },
        customdata: bars.map((bar) => `${bar.name}: ${bar.label}`),
        hovertemplate: "%{customdata}<extra></extra>",
      },
    ],
    layout(c, $("waterfall"), {
      height: 60 + (onPaper() ? 21 : 30) * bars.length,
      bargap: 0.25,
      margin: { l: 8, r: 48, t: 8, b: 44 },
      xaxis: axis(c, { title: { text: text("points") }, range: [0, most * 1.12], zeroline: true }),
      yaxis: axis(c, {
        autorange: "reversed",
        zeroline: false, // it would strike through the first label
        automargin: true,
        tickmode: "array",
        tickvals: place,
        ticktext: bars.map((bar) => (bar.name.length > 34 ? `${bar.name.slice(0, 33)}…` : bar.name)),
        showgrid: false,
      }),
    }),
    still,
  );
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
