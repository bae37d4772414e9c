// For screen readers and keyboards, what the theme leaves out: a name of its own for the navigation of each block of
// code, of each section of the menu and of the search, and wide tables that scroll with the arrow keys.
document$.subscribe(() => {
  document.querySelectorAll(".md-code__nav").forEach((nav, index) => nav.setAttribute("aria-label", `Code ${index + 1}`));
  document.querySelectorAll(".md-nav .md-nav[aria-labelledby]").forEach((nav, index) => {
    const label = document.getElementById(nav.getAttribute("aria-labelledby"));
    nav.removeAttribute("aria-labelledby");
    nav.setAttribute("aria-label", `Section ${index + 1}: ${label ? label.textContent.trim() : ""}`);
  });
  document.querySelector(".md-search[role=dialog]")?.setAttribute("aria-label", "Search");
  document.querySelectorAll(".md-typeset__scrollwrap").forEach((table) => table.setAttribute("tabindex", "0"));
});
