// The first-visit tour: a strip with one step after another, and an outline around what the step is about.
(() => {
  const KEY = "tinyrs-tour";
  const read = () => { try { return localStorage.getItem(KEY); } catch { return "done"; } };
  const write = () => { try { localStorage.setItem(KEY, "done"); } catch { /* a browser that remembers nothing */ } };
  let at = 0;

  function show(step) {
    const tour = document.querySelector("#tour");
    const steps = [...tour.querySelectorAll("li")];
    document.querySelector(".tour-target")?.classList.remove("tour-target");
    if (step >= steps.length) return close();
    at = step;
    tour.hidden = false;
    steps.forEach((one, index) => { one.hidden = index !== step; });
    tour.querySelector(".tour-at").textContent = `${step + 1} of ${steps.length}`;
    tour.querySelector(".tour-next").textContent = step + 1 < steps.length ? "Next" : "Done";
    document.querySelector(steps[step].dataset.target)?.classList.add("tour-target");
  }

  function close() {
    write();
    document.querySelector(".tour-target")?.classList.remove("tour-target");
    document.querySelector("#tour").hidden = true;
  }

  document.addEventListener("click", (event) => {
    if (event.target.closest(".tour-next")) show(at + 1);
    if (event.target.closest(".tour-close")) close();
    if (event.target.closest("#tour-again")) {
      document.querySelector('[role=tab]')?.click();
      show(0);
      document.querySelector(".tour-next").focus();
    }
  });
  document.addEventListener("keydown", (event) => {
    if (event.key === "Escape" && event.target.closest?.("#tour")) close();
  });

  // The strip is drawn by Gradio some time after this script runs.
  const drawn = new MutationObserver(() => {
    if (!document.querySelector("#tour li") || !document.querySelector("#pick")) return;
    drawn.disconnect();
    if (read() !== "done") show(0);
  });
  drawn.observe(document.documentElement, { childList: true, subtree: true });
})();
