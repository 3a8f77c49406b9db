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
