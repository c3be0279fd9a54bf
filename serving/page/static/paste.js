// The box for pasted results: they are read by the service and entered once they are confirmed.
import { post, row, setIn, shownValue } from "./entries.js";
import { $, make, tableRow, text } from "./words.js";

const box = $("paste");
const area = $("paste-text");
const MOST = 20_000;
let rows = []; // { choices, picked }
let newest = 0;
let model = () => null;
let taken = () => null;
let bundled = async () => "";

/** Name the model to read for, what follows once values are entered, and what takes a FHIR Bundle. */
export function usePaste(chosenModel, afterwards, takeBundle) {
  model = chosenModel;
  taken = afterwards;
  bundled = takeBundle;
}

function open() {
  area.value = "";
  showRows([]);
  $("pasted").textContent = "";
  box.showModal();
  area.focus();
}

async function read() {
  const mine = ++newest;
  if (!area.value.trim()) return showRows([]);
  if (area.value.length > MOST) return failed("paste-long");
  try {
    const answer = await post("/page/pasted", { outcome: model(), text: area.value });
    if (mine !== newest) return;
    showRows(answer.rows);
    if (answer.problem) $("pasted").textContent = answer.problem;
  } catch (error) {
    if (mine === newest) failed(error.problem ? "failed" : "unreachable");
  }
}

function failed(words) {
  showRows([]);
  $("pasted").textContent = text(words);
}

function showRows(read) {
  rows = read.map((one) => ({ ...one, picked: one.settled && isReady(one.choices[0]) ? one.choices[0] : null }));
  $("pasted-rows").tBodies[0].replaceChildren(...rows.map(line));
  $("pasted-rows").closest(".scroll").hidden = rows.length === 0;
  summarise();
}

const isReady = (choice) => !choice.problem && choice.is_used && Boolean(row(choice.column));

function line(one) {
  const ready = one.choices.filter(isReady);
  const element = tableRow(one.text, [cell(one, ready)]);
  element.classList.toggle("ready", one.picked !== null);
  return element;
}

function cell(one, ready) {
  if (one.picked) return make("span", "", words(one.picked), replaced(one.picked));
  if (ready.length) return make("span", "", picker(one, ready), " ", one.note);
  const [first] = one.choices;
  if (!first) return one.note;
  return first.problem || `${first.label}: ${text("paste-unused")}`;
}

const words = (choice) => `${choice.label}: ${choice.read_as}`;

/** Return that a value would replace another one, which the clinician sees before it does. */
function replaced(choice) {
  const before = shownValue(row(choice.column));
  return before && before !== choice.read_as ? text("paste-replaces", { value: before }) : "";
}

function picker(one, ready) {
  const select = document.createElement("select");
  select.setAttribute("aria-label", one.text);
  select.append(new Option(text("paste-left"), ""), ...ready.map((choice, at) => new Option(words(choice), at)));
  select.addEventListener("change", () => {
    one.chosen = select.value === "" ? null : ready[select.value];
    summarise();
  });
  return select;
}

const picks = () => rows.map((one) => one.picked ?? one.chosen).filter(Boolean);

function summarise() {
  const count = picks().length;
  $("take-pasted").disabled = count === 0;
  $("take-pasted").textContent = text("paste-take", { count });
  if (!rows.length) {
    $("pasted").textContent = area.value.trim() ? text("paste-none") : "";
    return;
  }
  const open = rows.some((one) => !one.picked && one.choices.some(isReady));
  $("pasted").textContent = text("paste-summary", { ready: count, all: rows.length, rest: open ? text("paste-choose") : "" });
}

function take() {
  for (const choice of picks()) setIn(row(choice.column), choice);
  box.close();
  taken();
}

/** Read a file that was chosen or dropped: a FHIR Bundle, or text. */
async function readFile(file) {
  if (!file) return;
  const content = await file.text();
  if (content.trimStart().startsWith("{")) {
    const problem = await bundled(content);
    showRows([]);
    $("pasted").textContent = problem;
    if (!problem) box.close();
    return;
  }
  area.value = content;
  read();
}

$("open-paste").addEventListener("click", open);
$("close-paste").addEventListener("click", () => box.close());
$("take-pasted").addEventListener("click", take);
area.addEventListener("input", read);
$("paste-file").addEventListener("change", (event) => readFile(event.target.files[0]));
addEventListener("dragover", (event) => {
  if (event.dataTransfer?.types.includes("Files")) event.preventDefault();
});
addEventListener("drop", (event) => {
  const [file] = event.dataTransfer?.files ?? [];
  if (!file) return;
  event.preventDefault();
  if (!model()) return;
  if (!box.open) open();
  readFile(file);
});
