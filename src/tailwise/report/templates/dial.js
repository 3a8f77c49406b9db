(() => {
  "use strict";
  const make = (name, space) => document.createElementNS(space, name);

  // Round numbers from low to high: multiples of 1, 2, 2.5 or 5 times a power of ten, at most six.
  const ticks = (low, high) => {
    const least = (high - low) / 5;
    if (!(least > 0)) return [low];
    const power = 10 ** Math.floor(Math.log10(least));
    const step = power * ([1, 2, 2.5, 5].find((one) => one * power >= least * (1 - 1e-9)) || 10);
    const first = Math.ceil(low / step - 1e-9), last = Math.floor(high / step + 1e-9);
    return Array.from({ length: last - first + 1 }, (_, i) => (first + i) * step || 0);  // no "-0"
  };

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
    const short = (value) => Number(value.toPrecision(4)).toLocaleString("en", { maximumSignificantDigits: 4 });
    for (const value of ticks(y0, y1)) {
      add("line", { x1: left, x2: right, y1: y(value), y2: y(value), class: "grid" });
      add("text", { x: left - 6, y: y(value) + 4, "text-anchor": "end" }, short(value));
    }
    for (const value of ticks(x0, x1)) {
      add("text", { x: x(value), y: bottom + 18, "text-anchor": "middle" }, short(value));
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
