// Search for a variable by the words of a ward: names, abbreviations, synonyms and drugs.
import { goTo } from "./bar.js";
import { isUsed, row } from "./entries.js";
import { $, make, text } from "./words.js";

const MOST = 12;
const box = $("find");
let known = {};
let model = () => null;

/** Name what is known by which words, and the model. */
export function useSearch(variables, chosenModel) {
  known = variables;
  model = chosenModel;
}

// As the catalogue squashes them: 25(OH)D is 25ohd.
const squashed = (words) =>
  words
    .normalize("NFKC")
    .toLowerCase()
    .replace(/[αβγµμ]/g, (letter) => ({ α: "alpha", β: "beta", γ: "gamma" })[letter] ?? "u")
    .replace(/[^a-z0-9]/g, "");

/** Return the columns that words may mean: what is called so, then what begins so, then the rest. */
function matching(words) {
  const wanted = squashed(words);
  if (!wanted) return [];
  const columns = Object.keys(known);
  const by = (fits) => columns.filter((column) => known[column].words.some(fits));
  const exact = by((word) => word === wanted);
  if (wanted.length < 3 && exact.length) return exact;
  const starts = by((word) => word.startsWith(wanted));
  const found = exact.length || starts.length ? [...exact, ...starts] : by((word) => word.includes(wanted));
  return [...new Set(found)];
}

const fieldOf = (column) => (row(column) && isUsed(row(column), model()) ? column : null);

function show() {
  const found = matching(box.value).sort((a, b) => (fieldOf(a) === null) - (fieldOf(b) === null));
  const asked = box.value.trim() !== "";
  $("found").textContent = asked ? text(found.length ? "found" : "none-found", { count: found.length }) : "";
  $("matches").replaceChildren(...found.slice(0, MOST).map((column) => make("li", "", item(column))));
}

function item(column) {
  const { label } = known[column];
  if (!fieldOf(column)) return text("not-used", { label });
  const button = make("button", "quiet jump", label);
  button.type = "button";
  button.addEventListener("click", () => goTo(column));
  return button;
}

box.addEventListener("input", show);
box.addEventListener("keydown", (event) => {
  if (event.key !== "Enter") return;
  event.preventDefault();
  $("matches").querySelector("button")?.click();
});
