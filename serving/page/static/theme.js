// Follow the system's theme until the button is pressed; store nothing.
const button = document.getElementById("theme");
const system = matchMedia("(prefers-color-scheme: dark)");

const isDark = () =>
  (document.documentElement.dataset.theme ?? (system.matches ? "dark" : "light")) === "dark";

const changed = () => document.dispatchEvent(new Event("osteon:theme"));

button.hidden = false;
button.addEventListener("click", () => {
  document.documentElement.dataset.theme = isDark() ? "light" : "dark";
  changed();
});
system.addEventListener("change", changed);
