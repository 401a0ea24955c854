// What HTML cannot do alone: drop and paste a picture, copy, remember the annotator, and keep aria-expanded true.
(() => {
  const chooser = () => document.querySelector('input[type=file][data-testid$="-upload-button"]');

  function give(file) {
    const input = chooser();
    if (!input || input.disabled || !file) return;
    // What is dropped on another tab is that tab's.
    if (!document.querySelector("#pick")?.checkVisibility()) return;
    const files = new DataTransfer();
    files.items.add(file);
    input.files = files.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }

  const editable = (node) => node.closest && node.closest("input, textarea, [contenteditable=true]");

  document.addEventListener("click", (event) => {
    const target = event.target;
    if (target.closest("[data-pick]")) document.querySelector("button#pick")?.click();
    const copy = target.closest("button.copy");
    if (copy) {
      const link = copy.dataset.copyLink;
      const text = link ? new URL(link, location.href).href : copy.nextElementSibling.textContent;
      const before = copy.textContent;
      navigator.clipboard.writeText(text).then(
        () => { copy.textContent = "Copied"; setTimeout(() => { copy.textContent = before; }, 1500); },
        () => { copy.textContent = "Select and copy by hand"; },
      );
    }
  });

  document.addEventListener("toggle", (event) => {
    const fold = event.target;
    if (fold.tagName === "DETAILS") {
      fold.querySelector("summary")?.setAttribute("aria-expanded", String(fold.open));
    }
  }, true);

  document.addEventListener("paste", (event) => {
    const file = [...(event.clipboardData?.files || [])].find((one) => one.type.startsWith("image/"));
    if (file) { event.preventDefault(); give(file); }
  });

  let depth = 0;
  const dragsFile = (event) => [...(event.dataTransfer?.types || [])].includes("Files");
  document.addEventListener("dragenter", (event) => {
    if (dragsFile(event)) { depth += 1; document.body.classList.add("dragging"); }
  });
  document.addEventListener("dragleave", (event) => {
    if (dragsFile(event)) { depth = Math.max(0, depth - 1); if (!depth) document.body.classList.remove("dragging"); }
  });
  document.addEventListener("dragover", (event) => { if (dragsFile(event)) event.preventDefault(); });
  document.addEventListener("drop", (event) => {
    depth = 0;
    document.body.classList.remove("dragging");
    if (dragsFile(event) && !editable(event.target)) { event.preventDefault(); give(event.dataTransfer.files[0]); }
  });

  // What Gradio leaves without a name or a filter.
  new MutationObserver(() => {
    const input = chooser();
    if (input && !input.accept) input.accept = "image/png,image/jpeg,image/webp,image/gif,image/tiff,.tif,.tiff";
    for (const image of document.querySelectorAll('#examples img[alt=""]')) {
      image.alt = "Example: " + image.src.split("/").pop().replace(/\.\w+$/, "").replaceAll("_", " ");
    }
  }).observe(document.documentElement, { childList: true, subtree: true });
})();
