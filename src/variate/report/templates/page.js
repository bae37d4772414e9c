"use strict";

// A table's head sorts it: numbers by their value, words by the alphabet, what is missing last.
function keyOf(row, column) {
  const cell = row.cells[column];
  return "value" in cell.dataset ? Number(cell.dataset.value) : cell.textContent.trim();
}

function compare(a, b) {
  if (typeof a === "number" && typeof b === "number") return a - b;
  return String(a).localeCompare(String(b), "en", { numeric: true });
}

function sortBy(table, heads, head, column) {
  const down = head.getAttribute("aria-sort") === "ascending";
  for (const other of heads) other.setAttribute("aria-sort", "none");
  head.setAttribute("aria-sort", down ? "descending" : "ascending");
  const body = table.tBodies[0];
  const rows = Array.from(body.rows, (row) => ({ row, key: keyOf(row, column) }));
  const [known, missing] = [rows.filter((one) => one.key !== "-"), rows.filter((one) => one.key === "-")];
  known.sort((a, b) => (down ? compare(b.key, a.key) : compare(a.key, b.key)));
  body.append(...[...known, ...missing].map((one) => one.row));
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = Array.from(table.tHead.rows[0].cells);
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => sortBy(table, heads, head, column));
  });
}

// A figure is saved as it looks in the light.
function save(button) {
  const figure = button.closest("figure").querySelector("svg").cloneNode(true);
  figure.setAttribute("style", "background:#fff;color:#1b1f24");
  const link = document.createElement("a");
  link.download = button.dataset.name;
  link.href = URL.createObjectURL(new Blob([new XMLSerializer().serializeToString(figure)], { type: "image/svg+xml" }));
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 1000);
}

for (const button of document.querySelectorAll("button.save")) button.addEventListener("click", () => save(button));

// The theme follows the system until it is chosen; the choice is kept where the browser allows it.
const THEMES = ["system", "light", "dark"];

function stored(theme) {
  try {
    if (theme) localStorage.setItem("variate-theme", theme);
    return localStorage.getItem("variate-theme");
  } catch {
    return null; // a page opened from a file may have no storage
  }
}

function show(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  toggle.textContent = `Theme: ${theme}`;
}

const toggle = document.getElementById("theme");
let theme = THEMES.includes(stored()) ? stored() : "system";
show(theme);
toggle.addEventListener("click", () => {
  theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
  show(theme);
  stored(theme);
});

// A link to what lies inside a closed part opens it.
function open() {
  const target = document.getElementById(location.hash.slice(1));
  for (let part = target; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
}

window.addEventListener("hashchange", open);
open();

// On a narrow screen the verdict stands first, and the contents open when they are asked for.
if (matchMedia("(max-width: 40rem)").matches) for (const part of document.querySelectorAll("nav details")) part.open = false;
