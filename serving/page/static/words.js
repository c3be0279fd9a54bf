// Fill the sentences of the page's templates, and make elements.

export const $ = (id) => document.getElementById(id);

/** Return a template's content with its slots filled by text or by nodes. */
export function say(name, slots = {}) {
  const copy = $(`w-${name}`).content.cloneNode(true);
  for (const place of copy.querySelectorAll("[data-slot]")) {
    const content = slots[place.dataset.slot];
    place.replaceChildren(content instanceof Node ? content : String(content ?? ""));
  }
  return copy;
}

/** Return a template as plain text. */
export function text(name, slots = {}) {
  return say(name, slots).textContent.replace(/\s+/g, " ").trim();
}

/** Return a text with a capital letter. */
export const capital = (words) => words.charAt(0).toUpperCase() + words.slice(1);

/** Return a new element with a class and children. */
export function make(tag, className, ...children) {
  const element = document.createElement(tag);
  if (className) element.className = className;
  element.append(...children);
  return element;
}

/** Return a table row: a header cell, then cells of a class. */
export function tableRow(name, cells, { rowClass = "", cellClass = "" } = {}) {
  const head = make("th", "", name);
  head.scope = "row";
  return make("tr", rowClass, head, ...cells.map((cell) => make("td", cellClass, cell)));
}

/** Return a risk as a whole number of 100, as in the sentences. */
export const of100 = (risk) => {
  const whole = Math.round(100 * risk);
  if (whole === 0) return "< 1";
  return whole === 100 ? "> 99" : String(whole);
};

/** Return the number of decimals for points of a risk: two if all are small, otherwise one. */
export const digitsFor = (risk) => (Math.max(risk.risk, risk.baseline_risk) < 0.1 ? 2 : 1);

/** Return points of risk with their sign, without a sign if they round to 0. */
export const points = (value, digits = 1) => {
  const shown = Math.abs(value).toFixed(digits);
  if (Number(shown) === 0) return shown;
  return (value > 0 ? "+" : "−") + shown;
};

/** Return a number to four digits, without an exponent. */
export const number = (value) =>
  Number(value.toPrecision(4)).toLocaleString("en", { maximumFractionDigits: 6, useGrouping: false }).replace("-", "−");

const DATE = { day: "numeric", month: "long", year: "numeric" };

/** Return a date and a time as clinicians write them. */
export const dateText = (date) =>
  date.toLocaleString("en-GB", { ...DATE, hour: "2-digit", minute: "2-digit" });
