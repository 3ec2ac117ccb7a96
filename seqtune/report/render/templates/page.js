"use strict";
for (const head of document.querySelectorAll("thead th")) {
  head.querySelector("button").addEventListener("click", () => {
    const body = head.closest("table").tBodies[0];
    const column = head.cellIndex;
    const down = head.getAttribute("aria-sort") === "ascending";
    const key = row => row.cells[column].dataset.sort ?? row.cells[column].textContent;
    const compare = (left, right) => {
      const [a, b] = [key(left), key(right)];
      if (a === "" || b === "") return (a === "") - (b === "");  // what is missing stays last
      const numbers = [Number(a), Number(b)];
      const order = numbers.some(Number.isNaN) ? a.localeCompare(b, "en", {numeric: true}) : numbers[0] - numbers[1];
      return down ? -order : order;
    };
    body.append(...[...body.rows].sort(compare));
    for (const other of head.parentNode.cells) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
  });
}
const options = {displaylogo: false, responsive: true, modeBarButtonsToRemove: ["select2d", "lasso2d"]};
for (const place of document.querySelectorAll(".plot")) {
  const figure = JSON.parse(place.dataset.figure);
  // As wide as the page has room for, and as tall as it asks to be.
  if (figure.layout.height) place.style.height = `${figure.layout.height}px`;
  Plotly.newPlot(place, figure.data, figure.layout, options).then(() => { place.dataset.drawn = "yes"; });
}
