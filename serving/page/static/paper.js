// One sheet of A4: light, as wide as the paper, and small enough to end on the first page.
import { drawCharts } from "./answer.js";

const root = document.documentElement;
const PAGE_HEIGHT = 1030; // pixels of 1/96 inch between the margins of A4
let theme;
let ready = false;

async function toPaper() {
  if (ready) return;
  ready = true;
  theme = root.dataset.theme;
  root.dataset.theme = "light";
  root.classList.add("paper");
  await drawCharts();
  const main = document.getElementById("main");
  const height = main.getBoundingClientRect().bottom - document.body.getBoundingClientRect().top;
  document.body.style.zoom = Math.min(1, PAGE_HEIGHT / height);
}

function toScreen() {
  ready = false;
  if (theme) root.dataset.theme = theme;
  else delete root.dataset.theme;
  root.classList.remove("paper");
  document.body.style.zoom = "";
  drawCharts();
}

addEventListener("beforeprint", toPaper);
addEventListener("afterprint", toScreen);

/** Print the answer; the charts are drawn for the paper first. */
export async function printAnswer() {
  await toPaper();
  print();
}
