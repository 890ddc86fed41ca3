"use strict";
(() => {
  // A table sorts by the column whose header is pressed: numbers as numbers, empty cells last.
  const keyOf = (row, column) => row.cells[column].dataset.sort ?? row.cells[column].textContent.trim();
  const compare = (one, other) => {
    const [a, b] = [Number(one), Number(other)];
    return Number.isNaN(a) || Number.isNaN(b) ? one.localeCompare(other, undefined, { numeric: true }) : a - b;
  };
  const sort = (table, column, sign) => {
    const body = table.tBodies[0];
    const rows = [...body.rows].map((row) => [keyOf(row, column), row]);
    rows.sort(([a], [b]) => (a === "") - (b === "") || sign * compare(a, b));
    body.append(...rows.map(([, row]) => row));
  };
  for (const table of document.querySelectorAll("table.sortable")) {
    const headers = [...table.tHead.rows[0].cells];
    headers.forEach((header, column) => {
      const button = document.createElement("button");
      button.type = "button";
      button.append(...header.childNodes);
      header.append(button);
      button.addEventListener("click", () => {
        const sign = header.getAttribute("aria-sort") === "ascending" ? -1 : 1;
        headers.forEach((other) => other.removeAttribute("aria-sort"));
        header.setAttribute("aria-sort", sign > 0 ? "ascending" : "descending");
        sort(table, column, sign);
      });
    });
  }

  const specs = JSON.parse(document.getElementById("specs").textContent);
  const isDark = window.matchMedia("(prefers-color-scheme: dark)");
  const config = () => {
    const [ink, quiet, line] = isDark.matches ? ["#e6e8eb", "#a3abb5", "#363b43"] : ["#1c1e21", "#5d6570", "#d9dde3"];
    const isNarrow = window.innerWidth < 640;
    return {
      background: "transparent",
      view: { stroke: null },
      text: { color: ink },
      axis: {
        labelColor: ink, titleColor: ink, titleFontWeight: "normal", domainColor: quiet, tickColor: quiet,
        gridColor: line, labelFontSize: 11, titleFontSize: 12, labelLimit: isNarrow ? 110 : 200,
      },
      legend: { labelColor: ink, titleColor: ink, labelFontSize: 11, labelLimit: isNarrow ? 130 : 300 },
    };
  };
  // Expressions are interpreted: the page's policy forbids compiling them.
  const draw = (place) =>
    vegaEmbed(place, specs[Number(place.dataset.spec)], {
      mode: "vega-lite", ast: true, actions: false, renderer: "svg", defaultStyle: false,
      tooltip: { disableDefaultStyle: true }, config: config(),
    }).then(
      () => { place.dataset.state = "drawn"; },
      (error) => {
        place.dataset.state = "failed";
        place.textContent = "This picture could not be drawn; figures/ has it as an image.";
        console.error(error);
      },
    );
  const drawAll = () => document.querySelectorAll("[data-spec]").forEach(draw);
  isDark.addEventListener("change", drawAll);
  drawAll();
})();
