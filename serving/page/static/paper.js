// Print the answer on one page of A4, in 9 points or more, and everything else on a second.
import { drawCharts, rowsOnPaper } from "./answer.js";

const root = document.documentElement;
const PAGE_WIDTH = 190; // millimetres between the margins of A4
const PAGE_HEIGHT = 1045; // pixels of 1/96 inch between the margins of A4
const MOST_ROWS = 14;
let theme;
let ready = false;
let opened = [];

function toPaper() {
  if (ready) return;
  ready = true;
  theme = root.dataset.theme;
  root.dataset.theme = "light";
  root.classList.add("paper");
  document.body.style.width = `${PAGE_WIDTH}mm`;
  opened = [...document.querySelectorAll("#answer .second-page details:not([open])")];
  for (const one of opened) one.open = true;
  // The largest contributions that fit; the second page has them all.
  const first = document.getElementById("why");
  for (let rows = MOST_ROWS; rows >= 3; rows -= 1) {
    rowsOnPaper(rows);
    drawCharts();
    if (first.getBoundingClientRect().bottom - document.body.getBoundingClientRect().top <= PAGE_HEIGHT) break;
  }
}

function toScreen() {
  ready = false;
  if (theme) root.dataset.theme = theme;
  else delete root.dataset.theme;
  root.classList.remove("paper");
  document.body.style.width = "";
  for (const one of opened) one.open = false;
  rowsOnPaper(null);
  drawCharts();
}

addEventListener("beforeprint", toPaper);
addEventListener("afterprint", toScreen);

/** Print the answer; the charts are drawn for the paper first. */
export function printAnswer() {
  toPaper();
  print();
}
