"use strict";

// Clicking a header sorts its table: numbers by value, words alphabetically, missing values last.
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
  table.classList.add("sorted"); // no longer grouped by network, so every row shows its name
  const body = table.tBodies[0];
  const rows = Array.from(body.rows, (row) => ({ row, key: keyOf(row, column) }));
  const [present, missing] = [rows.filter((line) => line.key !== "-"), rows.filter((line) => line.key === "-")];
  present.sort((a, b) => (down ? compare(b.key, a.key) : compare(a.key, b.key)));
  body.append(...[...present, ...missing].map((line) => line.row));
}

for (const table of document.querySelectorAll("table.sortable")) {
  const heads = Array.from(table.tHead.rows[0].cells);
  heads.forEach((head, column) => {
    head.querySelector("button").addEventListener("click", () => sortBy(table, heads, head, column));
  });
}

// Figures are saved with the colors of the light theme.
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

// The theme follows the system until the reader chooses one; the choice is stored if the browser allows it.
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

// A link to an element inside a closed part opens the part.
function open() {
  const target = document.getElementById(location.hash.slice(1));
  for (let part = target; part; part = part.parentElement) if (part.tagName === "DETAILS") part.open = true;
}

window.addEventListener("hashchange", open);
open();

// Where the contents stand beside the text, those of a single run are open.
const contents = document.querySelectorAll("nav details");
if (contents.length === 1 && matchMedia("(min-width: 66rem)").matches) contents[0].open = true;
