// The Scene tab: coordinates under the cursor, a window drawn on the overview, and files dropped on the tab.
//
// What a pixel means comes from the server in numbers (screens/scene_markup.py); everything is written as textContent.
(() => {
  const NS = "http://www.w3.org/2000/svg";
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);
  const visible = (node) => node && node.offsetParent !== null;
  const numbers = (node, name) => (node.dataset[name] ? JSON.parse(node.dataset[name]) : null);
  const applied = ([a, b, c, d, e, f], x, y) => [a * x + b * y + c, d * x + e * y + f];

  // Where a point of the picture lies; x and y are shares of its width and height.
  function lonlat(grid, x, y) {
    const n = Math.round(Math.sqrt(grid.length)) - 1;
    const i = clamp(Math.floor(x * n), 0, n - 1), j = clamp(Math.floor(y * n), 0, n - 1);
    const u = x * n - i, v = y * n - j;
    const at = (row, column, k) => grid[row * (n + 1) + column][k];
    return [0, 1].map((k) => (at(j, i, k) * (1 - u) + at(j, i + 1, k) * u) * (1 - v)
      + (at(j + 1, i, k) * (1 - u) + at(j + 1, i + 1, k) * u) * v);
  }

  const degrees = (value, plus, minus) => `${Math.abs(value).toFixed(6)}° ${value < 0 ? minus : plus}`;

  function describe(placed, x, y) {
    const [width, height] = numbers(placed, "size");
    const [column, row] = applied(numbers(placed, "file"), x * width, y * height).map(Math.floor);
    const said = [`column ${column}, row ${row}`];
    const own = numbers(placed, "own"), grid = numbers(placed, "grid");
    if (grid) {
      const [lon, lat] = lonlat(grid, x, y);
      said.push(`${degrees(lat, "N", "S")}, ${degrees((lon + 540) % 360 - 180, "E", "W")}`);
      const crs = numbers(placed, "crs");
      if (crs !== "EPSG:4326") {
        const [east, north] = applied(own, x * width, y * height).map((value) => value.toFixed(2));
        said.push(`${crs || "own coordinates"}: x ${east}, y ${north}`);
      }
    }
    return said.join(" · ");
  }

  function share(stage, event) {
    const frame = stage.getBoundingClientRect();
    return [clamp((event.clientX - frame.left) / frame.width, 0, 1), clamp((event.clientY - frame.top) / frame.height, 0, 1)];
  }

  function point(event) {
    const stage = event.target.closest?.(".placed .stage");
    const line = stage?.closest(".placed").querySelector(".cursor");
    if (line) line.textContent = describe(stage.closest(".placed"), ...share(stage, event));
  }

  // A window: dragged by mouse or pen; a click or a tap moves the one that is there.
  let drag = null;

  function draw() {
    const svg = drag.stage.querySelector("svg.boxes");
    let group = svg.querySelector(".drag");
    if (!group) {
      group = svg.appendChild(document.createElementNS(NS, "g"));
      group.setAttribute("class", "drag");
      for (const name of ["casing", "line"]) group.appendChild(document.createElementNS(NS, "rect")).setAttribute("class", name);
    }
    const [x1, y1, x2, y2] = corners();
    for (const rect of group.children) {
      for (const [name, value] of Object.entries({ x: x1, y: y1, width: x2 - x1, height: y2 - y1 })) {
        rect.setAttribute(name, `${value / 10}%`);
      }
    }
  }

  function corners() {
    const [ax, ay] = drag.from, [bx, by] = drag.to;
    return [Math.min(ax, bx), Math.min(ay, by), Math.max(ax, bx), Math.max(ay, by)].map((value) => value * 1000);
  }

  function give_up() {
    drag?.stage.querySelector(".drag")?.remove();
    drag = null;
  }

  const send = (order) =>
    document.querySelector(".prose.scene-orders")?.dispatchEvent(new CustomEvent("order", { detail: order }));

  document.addEventListener("pointerdown", (event) => {
    const stage = event.target.closest?.(".overview .stage");
    if (!stage || event.button !== 0) return;
    const at = share(stage, event);
    drag = { stage, from: at, to: at, x: event.clientX, y: event.clientY, far: false };
  });
  document.addEventListener("pointermove", (event) => {
    point(event);
    if (!drag) return;
    drag.to = share(drag.stage, event);
    drag.far = drag.far || Math.hypot(event.clientX - drag.x, event.clientY - drag.y) > 5;
    if (drag.far && event.pointerType !== "touch") draw();
  });
  document.addEventListener("pointerup", (event) => {
    if (!drag) return;
    const [x1, y1, x2, y2] = corners();
    if (!drag.far) send({ point: [x1, y1] });
    else if (event.pointerType !== "touch") send({ box: [x1, y1, x2, y2] });
    point(event);
    give_up();
  });
  document.addEventListener("pointercancel", give_up);
  document.addEventListener("keydown", (event) => { if (event.key === "Escape") give_up(); });

  // Files. page.js gives what is dropped to the Compare tab; here it goes to the tab that is open.
  const button = () => [document.querySelector("button#scene-pick")].find(visible);
  document.addEventListener("click", (event) => { if (event.target.closest("[data-pick-scene]")) button()?.click(); });
  document.addEventListener("drop", (event) => {
    const input = button() && document.querySelector("#scene-open input[type=file]");
    const file = event.dataTransfer?.files[0];
    if (!input || !file) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    document.body.classList.remove("dragging");
    const files = new DataTransfer();
    files.items.add(file);
    input.files = files.files;
    input.dispatchEvent(new Event("change", { bubbles: true }));
  }, true);
})();
