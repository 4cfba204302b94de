"use strict";
const root = document.documentElement;
const dark = matchMedia("(prefers-color-scheme: dark)");
const button = document.getElementById("theme");

const isDark = () => root.dataset.theme ? root.dataset.theme === "dark" : dark.matches;
const name = () => { button.textContent = isDark() ? "Light mode" : "Dark mode"; };

button.hidden = false;
button.addEventListener("click", () => { root.dataset.theme = isDark() ? "light" : "dark"; name(); });
dark.addEventListener("change", name);
name();

for (const box of document.querySelectorAll("input[data-hides]")) {
  box.addEventListener("change", () => document.body.classList.toggle(`hide-${box.dataset.hides}`, !box.checked));
}

// Paper is white, and nobody can unfold it.
const before = [];
addEventListener("beforeprint", () => {
  const folded = [...document.querySelectorAll("details:not([open])")];
  const theme = root.dataset.theme;
  for (const one of folded) one.open = true;
  root.dataset.theme = "light";
  before.push(() => {
    for (const one of folded) one.open = false;
    if (theme === undefined) delete root.dataset.theme; else root.dataset.theme = theme;
  });
});
addEventListener("afterprint", () => { for (const back of before.splice(0)) back(); });
