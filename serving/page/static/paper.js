// Print on one page of A4: light, as wide as the paper, and small enough for one page.
import { drawCharts } from "./answer.js";

const root = document.documentElement;
const PAGE_WIDTH = 190; // millimetres between the margins of A4
const PAGE_HEIGHT = 1030; // pixels of 1/96 inch between the margins of A4
let theme;
let ready = false;

async function toPaper() {
  if (ready) return;
  ready = true;
  theme = root.dataset.theme;
  root.dataset.theme = "light";
  root.classList.add("paper");
  const body = document.body;
  const main = document.getElementById("main");
  // Smaller print has longer lines: a page that is too long is drawn wider, then scaled down.
  let size = 1;
  for (let tries = 0; tries < 6; tries += 1) {
    body.style.width = `${PAGE_WIDTH / size}mm`;
    await drawCharts();
    const height = main.getBoundingClientRect().bottom - body.getBoundingClientRect().top;
    if (height * size <= PAGE_HEIGHT) break;
    size = tries === 4 ? PAGE_HEIGHT / height : 0.97 * size * Math.sqrt(PAGE_HEIGHT / (height * size));
  }
  body.style.zoom = size;
}

function toScreen() {
  ready = false;
  if (theme) root.dataset.theme = theme;
  else delete root.dataset.theme;
  root.classList.remove("paper");
  document.body.style.zoom = "";
  document.body.style.width = "";
  drawCharts();
}

addEventListener("beforeprint", toPaper);
addEventListener("afterprint", toScreen);

/** Print the answer; the charts are drawn for the paper first. */
export async function printAnswer() {
  await toPaper();
  print();
}
