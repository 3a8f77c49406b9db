"use strict";

// Follow a run in progress: fetch the part of its page that changes, again and again.
const live = document.querySelector("[data-live]");
const running = () => live.firstElementChild.dataset.state !== "finished";

async function follow() {
  if (!document.hidden) {
    try {
      const seen = encodeURIComponent(live.firstElementChild.dataset.token);
      const answer = await fetch(`${live.dataset.live}&seen=${seen}`, { cache: "no-store" });
      if (answer.status === 200) live.innerHTML = await answer.text();
      live.classList.toggle("lost", !answer.ok);
    } catch {
      live.classList.add("lost"); // the server was stopped, and may be restarted
    }
  }
  if (running()) setTimeout(follow, 2000);
}
if (live && running()) setTimeout(follow, 2000);

// Show how many runs are ticked.
const form = document.querySelector("[data-compare]");
function count() {
  const ticked = form.querySelectorAll("input[type=checkbox]:checked").length;
  const most = Number(form.dataset.compare);
  form.querySelector("button").disabled = ticked < 2 || ticked > most;
  form.querySelector("[data-ticked]").textContent =
    ticked < 2 ? "Tick two or more runs." : ticked > most ? `At most ${most} at once.` : `${ticked} ticked.`;
}
if (form) {
  form.addEventListener("change", count);
  window.addEventListener("pageshow", count);
}
