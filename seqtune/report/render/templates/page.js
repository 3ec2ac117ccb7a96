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
const dark = matchMedia("(prefers-color-scheme: dark)");
const specs = new Map([...document.querySelectorAll(".plot")].map(place => [place, JSON.parse(place.textContent)]));
async function draw() {
  for (const [place, spec] of specs) {
    const config = JSON.parse(document.getElementById(dark.matches ? "dark" : "light").textContent);
    // The policy of the page forbids to compile expressions, so Vega interprets them. Level 1 logs errors alone.
    const options = {ast: true, actions: false, renderer: "svg", logLevel: 1, tooltip: {theme: dark.matches ? "dark" : "light"}};
    await vegaEmbed(place, {...spec, config: {...config, background: null}}, options);
    place.dataset.drawn = "yes";
  }
}
draw();
dark.addEventListener("change", draw);
