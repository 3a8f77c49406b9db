(() => {
  "use strict";
  // A button beside each command; where the clipboard is closed, it selects the command.
  for (const command of document.querySelectorAll("pre")) {
    const row = document.createElement("div"), button = document.createElement("button");
    row.className = "copied";
    button.type = "button";
    button.textContent = "Copy";
    button.addEventListener("click", async () => {
      try {
        await navigator.clipboard.writeText(command.textContent);
        button.textContent = "Copied";
      } catch {
        getSelection().selectAllChildren(command);
        button.textContent = "Selected";
      }
    });
    command.replaceWith(row);
    row.append(command, button);
  }
})();
