(() => {
  "use strict";
  const make = (name, space) => space ? document.createElementNS(space, name) : document.createElement(name);

  const tip = make("div");
  tip.id = "tip";
  tip.hidden = true;
  tip.setAttribute("role", "status");
  document.body.append(tip);

  for (const svg of document.querySelectorAll("svg[data-tips]")) {
    const tips = JSON.parse(svg.dataset.tips), across = svg.dataset.near === "xy" ? 1 : 0;
    const ring = make("circle", svg.namespaceURI);
    ring.setAttribute("r", 5);
    ring.setAttribute("class", "here");
    let at = -1;
    const show = (i) => {
      at = i;
      const [x, y, text] = tips[i], to = svg.getScreenCTM();
      ring.setAttribute("cx", x);
      ring.setAttribute("cy", y);
      svg.append(ring);
      tip.textContent = text;
      tip.hidden = false;
      const left = to.a * x + to.e, top = to.d * y + to.f, box = tip.getBoundingClientRect();
      tip.style.left = Math.max(8, Math.min(left - box.width / 2, innerWidth - box.width - 8)) + "px";
      tip.style.top = (top - box.height - 12 < 4 ? top + 14 : top - box.height - 12) + "px";
    };
    const hide = () => {
      at = -1;
      ring.remove();
      tip.hidden = true;
    };
    svg.addEventListener("pointermove", (event) => {
      const to = svg.getScreenCTM(), x = (event.clientX - to.e) / to.a, y = (event.clientY - to.f) / to.d;
      let best = 0, least = Infinity;
      tips.forEach((place, i) => {
        const far = (place[0] - x) ** 2 + across * (place[1] - y) ** 2;
        if (far < least) [best, least] = [i, far];
      });
      if (across && least > 400) hide();
      else show(best);
    });
    svg.addEventListener("pointerleave", hide);
    svg.addEventListener("blur", hide);
    svg.addEventListener("focus", () => svg.matches(":focus-visible") && show(0));
    svg.addEventListener("keydown", (event) => {
      const last = tips.length - 1;
      const next = { ArrowRight: Math.min(at + 1, last), ArrowLeft: Math.max(at - 1, 0), Home: 0, End: last }[event.key];
      if (next !== undefined) {
        event.preventDefault();
        show(next);
      } else if (event.key === "Escape") hide();
    });
    svg.setAttribute("tabindex", 0);
  }

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

  const value = (row, column) => {
    const cell = row.cells[column], text = cell.dataset.value ?? cell.firstChild?.textContent.trim() ?? "";
    const number = parseFloat(text.replace(/,/g, "").replace("−", "-"));
    return Number.isFinite(number) ? number : text;
  };
  const order = (a, b) => {
    if (typeof a === typeof b) return typeof a === "number" ? a - b : a.localeCompare(b);
    return typeof a === "number" ? -1 : 1;
  };
  for (const table of document.querySelectorAll("table:not([data-sort=off])")) {
    const body = table.tBodies[0], heads = [...(table.tHead?.rows[0]?.cells ?? [])];
    if (!body || body.rows.length < 3) continue;
    heads.forEach((head, column) => {
      if (head.querySelector("a, button")) return;
      const button = make("button");
      button.type = "button";
      button.append(...head.childNodes);
      head.append(button);
      button.addEventListener("click", () => {
        const down = head.getAttribute("aria-sort") === "ascending";
        heads.forEach((other) => other.removeAttribute("aria-sort"));
        head.setAttribute("aria-sort", down ? "descending" : "ascending");
        const rows = [...body.rows].sort((a, b) => (down ? -1 : 1) * order(value(a, column), value(b, column)));
        body.append(...rows);
      });
    });
  }
  addEventListener("beforeprint", () => document.querySelectorAll("details").forEach((one) => (one.open = true)));
  for (const box of document.querySelectorAll(".scroll, pre")) {
    if (box.scrollWidth > box.clientWidth) box.tabIndex = 0;
  }
})();
