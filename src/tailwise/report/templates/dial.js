(() => {
  "use strict";
  const make = (name, space) => document.createElementNS(space, name);

  // A chart with two linear axes, drawn from numbers.
  const plot = (place, label, [x0, x1], [y0, y1], draw) => {
    const space = "http://www.w3.org/2000/svg", left = 62, right = 388, top = 12, bottom = 232;
    const svg = make("svg", space);
    svg.setAttribute("viewBox", "0 0 400 260");
    svg.setAttribute("role", "img");
    svg.setAttribute("aria-label", label);
    const add = (name, attributes, text) => {
      const part = make(name, space);
      for (const key in attributes) part.setAttribute(key, attributes[key]);
      if (text !== undefined) part.textContent = text;
      svg.append(part);
    };
    const x = (value) => left + ((right - left) * (value - x0)) / (x1 - x0 || 1);
    const y = (value) => bottom - ((bottom - top) * (value - y0)) / (y1 - y0 || 1);
    const short = (value) => Number(value.toPrecision(3)).toLocaleString("en", { maximumSignificantDigits: 3 });
    for (let i = 0; i <= 4; i++) {
      const xi = x0 + ((x1 - x0) * i) / 4, yi = y0 + ((y1 - y0) * i) / 4;
      add("line", { x1: left, x2: right, y1: y(yi), y2: y(yi), class: "grid" });
      add("text", { x: left - 6, y: y(yi) + 4, "text-anchor": "end" }, short(yi));
      add("text", { x: x(xi), y: bottom + 18, "text-anchor": "middle" }, short(xi));
    }
    draw(add, x, y);
    place.replaceChildren(svg);
  };
  const span = (values) => [Math.min(...values), Math.max(...values)];

  for (const dial of document.querySelectorAll(".dial")) {
    const data = JSON.parse(dial.dataset.dial);
    const input = dial.querySelector("input"), output = dial.querySelector("output");
    const most = Math.max(...data.errors.flat()), ends = span([data.true, ...data.predicted].flat());
    const line = (values, x, y) => values.map((value, i) => `${x(data.values[i])},${y(value)}`).join(" ");
    const show = () => {
      const at = Number(input.value), balance = String(data.balances[at]);
      output.textContent = balance;
      input.setAttribute("aria-valuetext", "balance " + balance);
      for (const row of document.querySelectorAll("tr[data-balance]")) {
        row.classList.toggle("chosen", row.dataset.balance === balance);
      }
      plot(dial.querySelector("[data-draw=errors]"), `Errors by true value at balance ${balance}`,
        span(data.values), [0, most], (add, x, y) => {
          add("polyline", { points: line(data.errors[0], x, y), class: "line first" });
          add("polyline", { points: line(data.errors[at], x, y), class: "line" });
        });
      plot(dial.querySelector("[data-draw=scatter]"), `Predicted against true values at balance ${balance}`,
        ends, ends, (add, x, y) => {
          add("line", { x1: x(ends[0]), y1: y(ends[0]), x2: x(ends[1]), y2: y(ends[1]), class: "exact" });
          data.true.forEach((value, i) =>
            add("circle", { cx: x(value), cy: y(data.predicted[at][i]), r: 2.5, class: data.regions[i] }));
        });
    };
    input.value = Math.max(0, data.balances.indexOf(data.start));
    dial.hidden = false;
    input.addEventListener("input", show);
    show();
  }
})();
