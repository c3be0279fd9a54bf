// Every sentence stands in the page's templates; this only puts them together.

/** Return a template's content with its slots filled by text or by nodes. */
export function say(name, slots = {}) {
  const copy = document.getElementById(`w-${name}`).content.cloneNode(true);
  for (const place of copy.querySelectorAll("[data-slot]")) {
    const given = slots[place.dataset.slot];
    place.replaceChildren(given instanceof Node ? given : String(given ?? ""));
  }
  return copy;
}

/** Return a template as plain text. */
export function text(name, slots = {}) {
  return say(name, slots).textContent.replace(/\s+/g, " ").trim();
}

/** Make an element of a tag, a class and children. */
export function make(tag, className, ...children) {
  const made = document.createElement(tag);
  if (className) made.className = className;
  made.append(...children);
  return made;
}

/** Return a whole number of 100, as the sentences print it. */
export const of100 = (risk) => {
  const whole = Math.round(100 * risk);
  if (whole === 0) return "< 1";
  return whole === 100 ? "> 99" : String(whole);
};

/** Return the decimals to print points of a risk with: one more where all of them are small. */
export const digitsFor = (risk) => (Math.max(risk.risk, risk.baseline_risk) < 0.1 ? 2 : 1);

/** Return points of risk with their sign; none for what rounds to 0. */
export const points = (value, digits = 1) => {
  const shown = Math.abs(value).toFixed(digits);
  if (Number(shown) === 0) return shown;
  return (value > 0 ? "+" : "−") + shown;
};

/** Return a number to four digits, without an exponent. */
export const number = (value) =>
  Number(value.toPrecision(4)).toLocaleString("en", { maximumFractionDigits: 6, useGrouping: false }).replace("-", "−");

const DATE = { day: "numeric", month: "long", year: "numeric" };

/** Return a date and a time as a clinician writes them. */
export const dateText = (date) =>
  date.toLocaleString("en-GB", { ...DATE, hour: "2-digit", minute: "2-digit" });
