// Sorting, hover values and the choice of a level and layer. The page is complete without any of it.
"use strict";

// A click on a column's head sorts by it: as numbers where all cells start with one, else as text.
function numberOf(text) {
  const match = text.replace("−", "-").replace(/,/g, "").match(/^(?:LTH|<\s*)?\s*(-?\+?\d+(?:\.\d+)?)/);
  return match ? parseFloat(match[1]) : null;
}
for (const table of document.querySelectorAll("table.sortable")) {
  const heads = [...table.tHead.rows[0].cells];
  heads.forEach((head, column) => {
    const button = document.createElement("button");
    button.type = "button";
    button.textContent = head.textContent;
    head.replaceChildren(button);
    button.addEventListener("click", () => {
      const up = head.getAttribute("aria-sort") !== "ascending";
      heads.forEach((other) => other.removeAttribute("aria-sort"));
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      const body = table.tBodies[0];
      const rows = [...body.rows].map((row) => [row.cells[column].textContent.trim(), row]);
      const filled = rows.filter(([text]) => text !== "–" && text !== "not run");
      const numeric = filled.every(([text]) => numberOf(text) !== null);
      const sign = up ? 1 : -1;
      rows.sort(([a], [b]) => {
        if (!numeric) return sign * a.localeCompare(b);
        const [x, y] = [numberOf(a), numberOf(b)];
        if (x === null || y === null) return (x === null) - (y === null);
        return sign * (x - y);
      });
      body.append(...rows.map(([, row]) => row));
    });
  });
}

// The value under the pointer, at once (the SVG's own tooltips come late, and stay for readers without scripts).
const tip = document.createElement("div");
tip.className = "tip";
tip.hidden = true;
document.body.append(tip);
for (const mark of document.querySelectorAll(".picture .mark")) {
  const title = mark.querySelector(":scope > title");
  if (!title) continue;
  mark.dataset.text = title.textContent;
  title.remove();
}
document.addEventListener("pointermove", (event) => {
  const mark = event.target instanceof Element && event.target.closest(".mark");
  tip.hidden = !mark || !mark.dataset.text;
  if (tip.hidden) return;
  tip.textContent = mark.dataset.text;
  const box = tip.getBoundingClientRect();
  tip.style.left = `${Math.max(4, Math.min(event.clientX + 12, innerWidth - box.width - 4))}px`;
  tip.style.top = `${event.clientY + 18 + box.height > innerHeight ? event.clientY - box.height - 8 : event.clientY + 18}px`;
});

// A chosen level or layer stays bright in all figures and tables, the rest fades. Layer maps are drawn of one level; if
// another is chosen, its own take their place.
const form = document.querySelector(".pick");
form.hidden = false;
function pick() {
  const [level, layer] = [form.elements.level.value, form.elements.layer.value];
  const fits = (mark, key, wanted) => !wanted || !mark.dataset[key] || mark.dataset[key].split(" ").includes(wanted);
  document.body.classList.toggle("picked", Boolean(level || layer));
  let count = 0;
  for (const mark of document.querySelectorAll(".mark")) {
    const on = fits(mark, "level", level) && fits(mark, "layer", layer);
    mark.classList.toggle("on", on);
    count += on;
  }
  for (const row of document.querySelectorAll("tr[data-level]")) {
    row.classList.toggle("on", Boolean(level) && row.dataset.level === level);
  }
  for (const levels of document.querySelectorAll(".levels")) showMaps(levels, level, layer);
  form.querySelector("output").textContent = level || layer ? `${count} values` : "";
}
function showMaps(levels, level, layer) {
  const maps = [...levels.querySelectorAll(".maps")];
  const chosen = maps.some((map) => map.dataset.level === level);
  for (const map of maps) map.hidden = chosen && map.dataset.level !== level;
  const drawn = maps[maps.length - 1].dataset.level;
  levels.parentElement.querySelector(".picture").hidden = chosen && level !== drawn;
  levels.open = chosen && level !== drawn;
  for (const cell of levels.querySelectorAll("td")) {
    const row = cell.parentElement.cells[0].textContent;
    const column = cell.closest("table").tHead.rows[0].cells[cell.cellIndex].textContent;
    cell.classList.toggle("off", Boolean(layer) && row !== layer && column !== layer);
  }
}
form.addEventListener("change", pick);
