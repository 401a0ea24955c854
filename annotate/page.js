// The hands of the Annotate and Review tabs: keys, boxes on the picture, zoom, and the orders that they send.
//
// The server knows what a box and a step is; here are only places. Everything is drawn with createElementNS and
// textContent, so nothing that somebody wrote can come alive. One order, or one press of a button, is under way at a
// time, and the next one is sent when the answer to it (a new data-ack or data-done) has arrived.
(() => {
  const NS = "http://www.w3.org/2000/svg";
  const SCALE = 1000;
  const visible = (node) => node && node.offsetParent !== null;
  const desk = () => [...document.querySelectorAll(".work")].find(visible);
  const part = (selector) => desk()?.querySelector(selector);
  const clamp = (value, low, high) => Math.min(Math.max(value, low), high);

  // Orders

  const waiting = [];
  let number = 0, under = 0, since = 0, current = "", done = "";
  const shown = () => Number(part(".steps")?.dataset.revision || 0);

  function send(order) {
    const revision = shown();
    // Of several moves of one box only the last one matters.
    const last = waiting[waiting.length - 1];
    if (last && last.do === order.do && order.do === "box" && last.key === order.key) waiting.pop();
    waiting.push({ ...order, revision });
    flush();
  }

  // The one of the tab that is open; it has nothing to show, so it is the tab that has to be visible.
  const inlet = () => [...document.querySelectorAll(".prose.orders")].find((node) => visible(node.closest("[role=tabpanel]")));

  function flush() {
    // A press whose answer is lost may have been carried out, so it is not followed by another one.
    if (under && current === "press") return;
    if (under && Date.now() - since < 15000) { setTimeout(flush, 1000); return; }
    const order = waiting.shift();
    under = order ? ++number : 0;
    current = order ? order.do : "";
    if (!order) return;
    since = Date.now();
    if (order.do === "press") { press(order); return; }
    if (order.do !== "look") patience("What you did");
    inlet()?.dispatchEvent(new CustomEvent("order", { detail: { number: under, order } }));
  }

  const busy = () => under > 0 || waiting.length > 0;

  // Buttons: pressed while something is under way, they wait for it, and are meant for the caption that was there.

  const answered = () => [...document.querySelectorAll(".orders [data-done]")].map((node) => node.dataset.done).join();
  const named = (verb) => verb[0].toUpperCase() + verb.slice(1);
  let passing = false;

  function press({ verb, revision }) {
    const button = part(`.do-${verb}`);
    if (!button || revision !== shown()) {
      under = 0;
      tell(`${named(verb)} was pressed for the caption before this one, and was left out.`, 5000);
      flush();
      return;
    }
    done = answered();
    patience(named(verb));
    passing = true;
    try { button.dispatchEvent(new MouseEvent("click", { bubbles: true, cancelable: true })); } finally { passing = false; }
  }

  document.addEventListener("click", (event) => {
    const button = event.target.closest?.(".work .actions button");
    const verb = button && [...button.classList].find((name) => name.startsWith("do-"))?.slice(3);
    if (!verb || passing) return;
    event.preventDefault();
    event.stopImmediatePropagation();
    send({ do: "press", verb });
  }, true);

  // One line at the lower edge, wherever the page was scrolled to

  const line = document.createElement("p");
  line.className = "sending";
  line.setAttribute("role", "status");
  let until = 0;

  function tell(sentence, milliseconds = 0) {
    if (!line.isConnected) document.body.append(line);
    clearTimeout(until);
    if (line.textContent !== sentence) line.textContent = sentence;
    if (milliseconds) until = setTimeout(() => tell(""), milliseconds);
  }

  function patience(what) {
    const mine = under;
    setTimeout(() => { if (under === mine) tell(`${what} is on its way: waiting for the server to answer.`); }, 250);
  }

  function arrived() {
    if (line.textContent.endsWith("waiting for the server to answer.")) tell("");
    if (current === "press") last = "";  // what it was answered is news, also in the same words
    under = 0;
    current = "";
    flush();
  }

  // Steps

  let here = 0, shownRevision = "";
  const rows = () => [...(desk()?.querySelectorAll(".steps li[data-step]") || [])];

  function goTo(index, focus = true) {
    const all = rows();
    if (!all.length) return;
    here = clamp(index, 0, all.length - 1);
    all.forEach((row, i) => { row.tabIndex = i === here ? 0 : -1; });
    if (focus) all[here].focus();
    light(here);
  }

  function light(step) {
    for (const box of desk()?.querySelectorAll("g.box") || []) {
      box.classList.toggle("lit", step !== null && box.dataset.step === String(step));
    }
    for (const row of rows()) row.classList.toggle("lit", row.dataset.step === String(step) && step !== null);
  }

  function reword(row) {
    if (row.querySelector("textarea")) return;
    const text = row.querySelector(".rewrite")?.textContent || row.querySelector(".text").textContent;
    const area = document.createElement("textarea");
    area.value = text;
    area.maxLength = 4000;
    area.rows = Math.max(2, Math.ceil(text.length / 70));
    area.setAttribute("aria-label", "The step as it should read. Enter keeps it, Escape does not.");
    row.append(area);
    area.focus();
    area.addEventListener("keydown", (event) => {
      if (event.key === "Enter" && !event.shiftKey && !event.isComposing) {
        event.preventDefault();
        if (area.value.trim()) send({ do: "rewrite", step: Number(row.dataset.step), text: area.value });
        area.remove();
        row.focus();
      } else if (event.key === "Escape") {
        area.remove();
        row.focus();
      }
      event.stopPropagation();
    });
  }

  function classes(row, open) {
    const list = row.querySelector(".classes");
    if (!list) return false;
    list.hidden = open === undefined ? !list.hidden : !open;
    return !list.hidden;
  }

  function verdict(row, value) {
    send({ do: "mark", step: Number(row.dataset.step), verdict: value });
    // What is ok needs nothing more; for the others the class may follow.
    if (value === "ok") goTo(here + 1);
  }

  // The picture: boxes, zoom

  const views = new WeakMap();

  function view(stage) {
    if (!views.has(stage)) views.set(stage, { zoom: 1, x: 0, y: 0, drawing: false, boxes: [], pointers: new Map() });
    return views.get(stage);
  }

  function place(stage) {
    const state = view(stage), { width, height } = stage.getBoundingClientRect();
    state.zoom = clamp(state.zoom, 1, 16);
    state.x = clamp(state.x, width * (1 - state.zoom), 0);
    state.y = clamp(state.y, height * (1 - state.zoom), 0);
    stage.style.setProperty("--zoom", state.zoom);
    stage.style.setProperty("--x", `${state.x}px`);
    stage.style.setProperty("--y", `${state.y}px`);
    stage.classList.toggle("zoomed", state.zoom > 1);
    stage.classList.toggle("drawing", state.drawing);
    part("[data-tool=draw]")?.setAttribute("aria-pressed", String(state.drawing));
  }

  function zoom(stage, factor, clientX, clientY) {
    const state = view(stage), frame = stage.getBoundingClientRect();
    const x = (clientX ?? frame.left + frame.width / 2) - frame.left, y = (clientY ?? frame.top + frame.height / 2) - frame.top;
    const before = state.zoom;
    state.zoom = clamp(before * factor, 1, 16);
    state.x = x - (x - state.x) * state.zoom / before;
    state.y = y - (y - state.y) * state.zoom / before;
    place(stage);
  }

  function units(stage, event) {
    const frame = stage.querySelector("svg.boxes").getBoundingClientRect();
    return [(event.clientX - frame.left) / frame.width, (event.clientY - frame.top) / frame.height]
      .map((share) => clamp(share * SCALE, 0, SCALE));
  }

  function make(name, attributes, parent) {
    const node = document.createElementNS(NS, name);
    for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
    parent?.append(node);
    return node;
  }

  const percent = (value) => `${value / 10}%`;
  const CORNERS = { nw: [0, 1], ne: [2, 1], sw: [0, 3], se: [2, 3] };

  function shape(group, one) {
    const [x1, y1, x2, y2] = one.box;
    for (const rect of group.querySelectorAll(":scope > rect")) {
      for (const [key, value] of [["x", x1], ["y", y1], ["width", Math.max(x2 - x1, 0)], ["height", Math.max(y2 - y1, 0)]]) {
        rect.setAttribute(key, percent(value));
      }
    }
    for (const [corner, [i, j]] of Object.entries(CORNERS)) {
      for (const dot of group.querySelectorAll(`[data-corner=${corner}]`)) {
        dot.setAttribute("cx", percent(one.box[i]));
        dot.setAttribute("cy", percent(one.box[j]));
      }
    }
    const tag = group.querySelector(".tag");
    tag?.setAttribute("x", percent(one.side === "b" ? x2 : x1));
    tag?.setAttribute("y", percent(one.side === "c" ? y2 : y1));
    group.setAttribute("aria-label", `${one.name}: ${one.box.map(Math.round).join(", ")}`);
  }

  function draw(stage, boxes) {
    const svg = stage.querySelector("svg.boxes"), state = view(stage);
    state.boxes = boxes;
    const focused = svg.contains(document.activeElement) ? document.activeElement.dataset.key : "";
    const sorted = [...boxes].sort((a, b) => Number(!!a.where) - Number(!!b.where)
      || (b.box[2] - b.box[0]) * (b.box[3] - b.box[1]) - (a.box[2] - a.box[0]) * (a.box[3] - a.box[1]));
    const groups = sorted.map((one) => {
      const group = make("g", { class: `box side-${one.side}${one.where ? " mine" : ""} ${one.where}`, tabindex: 0 });
      group.dataset.key = one.key;
      if (one.step !== null) group.dataset.step = one.step;
      group.setAttribute("role", one.where ? "application" : "img");
      for (const kind of ["edge", "casing", "line", ...(one.where ? ["grab"] : [])]) make("rect", { class: kind }, group);
      const letter = one.where === "reasoning" ? (one.step === null ? "R" : String(one.step + 1)) : one.side.toUpperCase();
      const inward = one.side === "c" ? one.box[3] > 920 : one.box[1] < 80;
      const top = one.side === "c" ? (inward ? -20 : 0) : (inward ? 0 : -20), left = one.side === "b" ? -20 : 0;
      const tag = make("svg", { class: "tag", overflow: "visible" }, group);
      make("rect", { x: left, y: top, width: 20, height: 20 }, tag);
      make("text", { x: left + 10, y: top + 15 }, tag).textContent = letter;
      for (const corner of one.where ? Object.keys(CORNERS) : []) {
        make("circle", { class: "reach", r: 14, "data-corner": corner }, group);
        make("circle", { class: "handle", r: 5, "data-corner": corner }, group);
      }
      shape(group, one);
      return group;
    });
    svg.replaceChildren(...groups);
    svg.setAttribute("aria-label", `Boxes: ${groups.length}`);
    if (focused) svg.querySelector(`[data-key="${focused}"]`)?.focus();
    light(document.activeElement?.closest?.(".steps") ? here : null);
  }

  let drag = null;

  function refresh() {
    const stage = part(".canvas .stage"), data = part(".layers .boxes-data");
    if (!stage || !data || drag || current === "box" || waiting.some((order) => order.do === "box")) return;
    // An answer that comes late tells of a text that is no longer in the field.
    const field = part(".edit-answer textarea, .edit-answer input");
    const said = (name) => data.querySelector(`.${name}`).textContent;
    if (!field || said("text").trim() !== field.value.trim()) return;
    const state = view(stage), boxes = said("json");
    if (state.drawn === boxes) return;
    state.drawn = boxes;
    draw(stage, JSON.parse(boxes));
  }

  const groupOf = (stage, one) => stage.querySelector(`g.box[data-key="${one.key}"]`);
  const target = (one) => ({ where: one.where, index: one.index, box: one.box.map(Math.round), key: one.key });

  function put(stage, one) {
    view(stage).drawn = "";
    send({ do: "box", ...target(one) });
  }

  function grip(event) {
    const stage = event.target.closest?.(".canvas .stage");
    if (!stage || event.button > 0) return;
    const state = view(stage);
    state.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    stage.setPointerCapture(event.pointerId);
    if (state.pointers.size === 2) {
      drag = { stage, kind: "pinch" };
      return;
    }
    const group = event.target.closest("g.box.mine"), at = units(stage, event);
    const one = group && state.boxes.find((box) => box.key === group.dataset.key);
    if (state.drawing && !event.target.dataset?.corner) {
      const fresh = { key: "C-new", side: "c", where: "answer", index: null, step: null, name: "New box", box: [...at, ...at] };
      draw(stage, [...state.boxes.filter((box) => box.key !== "C-new"), fresh]);
      drag = { stage, kind: "corner", corner: [2, 3], one: fresh, from: at };
    } else if (one) {
      group.focus();
      const corner = CORNERS[event.target.dataset.corner];
      drag = { stage, kind: corner ? "corner" : "move", corner, one, from: at, start: [...one.box] };
    } else {
      drag = { stage, kind: "pan", from: [event.clientX, event.clientY], start: [state.x, state.y] };
      if (state.zoom <= 1) return;
    }
    event.preventDefault();
  }

  function move(event) {
    if (!drag) return;
    const { stage, one } = drag, state = view(stage), old = state.pointers.get(event.pointerId);
    if (!old) return;
    if (drag.kind === "pinch") {
      const [still] = [...state.pointers].filter(([id]) => id !== event.pointerId).map(([, at]) => at);
      const length = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]) || 1, now = [event.clientX, event.clientY];
      if (still) {
        state.x += (now[0] - old[0]) / 2;
        state.y += (now[1] - old[1]) / 2;
        zoom(stage, length(now, still) / length(old, still), (now[0] + still[0]) / 2, (now[1] + still[1]) / 2);
      }
      state.pointers.set(event.pointerId, now);
      return;
    }
    state.pointers.set(event.pointerId, [event.clientX, event.clientY]);
    if (drag.kind === "pan") {
      if (state.zoom <= 1) return;
      state.x = drag.start[0] + event.clientX - drag.from[0];
      state.y = drag.start[1] + event.clientY - drag.from[1];
      place(stage);
      return;
    }
    const at = units(stage, event);
    if (drag.kind === "corner") {
      one.box[drag.corner[0]] = at[0];
      one.box[drag.corner[1]] = at[1];
    } else {
      shift(one, at[0] - drag.from[0], at[1] - drag.from[1], drag.start);
    }
    drag.moved = true;
    const group = groupOf(stage, one);
    if (group) shape(group, ordered(one));
    if (!busy()) send({ do: "look", ...target(ordered(one)) });
  }

  function ordered(one) {
    const [a, b, c, d] = one.box;
    return { ...one, box: [Math.min(a, c), Math.min(b, d), Math.max(a, c), Math.max(b, d)] };
  }

  function shift(one, dx, dy, from = one.box) {
    const x = clamp(dx, -from[0], SCALE - from[2]), y = clamp(dy, -from[1], SCALE - from[3]);
    one.box = [from[0] + x, from[1] + y, from[2] + x, from[3] + y];
  }

  function release(event) {
    for (const stage of document.querySelectorAll(".canvas .stage")) view(stage).pointers.delete(event.pointerId);
    if (!drag) return;
    const { stage, one, moved, kind } = drag, state = view(stage);
    drag = null;
    if (!one) return;
    one.box = ordered(one).box;
    const thin = one.box[2] - one.box[0] < 2 || one.box[3] - one.box[1] < 2;
    if (one.index === null) {
      state.drawing = false;
      place(stage);
    }
    if (!moved || event.type === "pointercancel" || (one.index === null && thin)) {
      view(stage).drawn = "";
      refresh();
    } else if (kind) {
      put(stage, one);
    }
  }

  const STEP = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

  /** Keys on a box that has the focus; true when the key was one of them. */
  function boxKey(event, group) {
    const stage = group.closest(".stage"), one = view(stage).boxes.find((box) => box.key === group.dataset.key);
    if (!one?.where) return false;
    if (STEP[event.key]) {
      const [dx, dy] = STEP[event.key].map((step) => step * (event.altKey ? 10 : 1));
      if (event.shiftKey) {
        const [x1, y1, x2, y2] = one.box;
        one.box = [x1, y1, clamp(x2 + dx, x1 + 1, SCALE), clamp(y2 + dy, y1 + 1, SCALE)];
      } else {
        shift(one, dx, dy);
      }
      shape(group, one);
      put(stage, one);
    } else if (event.key === "Delete" || event.key === "Backspace") {
      view(stage).drawn = "";
      send({ do: "box", where: one.where, index: one.index, box: null, key: one.key });
      goTo(here);
    } else {
      return false;
    }
    return true;
  }

  function tool(name) {
    const stage = part(".canvas .stage");
    if (!stage) return;
    const state = view(stage);
    if (name === "draw") { state.drawing = !state.drawing; place(stage); }
    if (name === "in") zoom(stage, 1.5);
    if (name === "out") zoom(stage, 1 / 1.5);
    if (name === "whole") { state.zoom = 1; place(stage); }
    if (name === "new") {
      const wide = SCALE / (10 * state.zoom), frame = stage.getBoundingClientRect();
      const [x, y] = units(stage, { clientX: frame.left + frame.width / 2, clientY: frame.top + frame.height / 2 });
      const box = [x - wide, y - wide, x + wide, y + wide].map((side) => Math.round(clamp(side, 0, SCALE)));
      view(stage).drawn = "";
      focusNew = state.boxes.filter((one) => one.where === "answer").length;
      send({ do: "box", where: "answer", index: null, box, key: "new" });
    }
  }

  let focusNew = -1;

  // Keys

  const typing = (node) => node.closest?.("input:not([type=checkbox]), textarea, select, [contenteditable=true]");
  const click = (verb) => part(`.do-${verb}`) && send({ do: "press", verb });

  document.addEventListener("keydown", (event) => {
    if (!desk() || event.isComposing || event.defaultPrevented || document.querySelector("dialog[open]")) return;
    const node = event.target;
    const used = () => { event.preventDefault(); event.stopPropagation(); };
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) { used(); click("save"); return; }
    if (event.key === "Escape" && (node.closest?.(".work") || node === document.body)) {
      const row = rows()[here];
      if (row && classes(row, false) === false) goTo(here);
      return;
    }
    if (typing(node) || event.ctrlKey || event.metaKey) return;
    const group = node.closest?.("g.box.mine");
    if (group && boxKey(event, group)) { used(); return; }
    if (event.altKey) return;
    const pressed = node.closest?.("button, summary, a, [role=tab]");
    if (pressed && (event.key === "Enter" || event.key === " ")) return;
    // On the page's other controls keys keep their own meaning; whoever has just chosen the tab may begin at once.
    const chosen = node.closest?.("[role=tab]") && !event.key.startsWith("Arrow");
    if (!(node === document.body || node.closest?.(".work") || chosen)) return;
    const row = rows()[here];
    const list = row?.querySelector(".classes:not([hidden])");
    if (list && /^[1-9]$/.test(event.key)) {
      list.querySelectorAll("button")[Number(event.key) - 1]?.click();
      used();
      return;
    }
    const key = event.key.length === 1 ? event.key.toLowerCase() : event.key;
    const does = {
      1: () => row && verdict(row, "ok"), 2: () => row && verdict(row, "wrong"), 3: () => row && verdict(row, "unsupported"),
      ArrowUp: () => goTo(here - 1), ArrowDown: () => goTo(here + 1), k: () => goTo(here - 1), j: () => goTo(here + 1),
      c: () => row && classes(row), r: () => row && reword(row),
      e: () => part(".edit-reasoning textarea")?.focus(), a: () => part(".edit-answer textarea, .edit-answer input")?.focus(),
      b: () => (desk().querySelector("g.box.mine.answer") || desk().querySelector("g.box.mine"))?.focus(), n: () => tool("new"), d: () => tool("draw"),
      "+": () => tool("in"), "=": () => tool("in"), "-": () => tool("out"), 0: () => tool("whole"),
      Enter: () => click("accept"), s: () => click("skip"), x: () => click("reject"), u: () => send({ do: "undo" }),
      "?": () => part("dialog.keys")?.showModal(),
    }[key];
    if (does) { used(); does(); }
  }, true);

  // Nothing is open after the last caption: then U still takes the last verdict back.
  document.addEventListener("keydown", (event) => {
    if (desk() || !inlet() || typing(event.target) || event.key !== "u" || event.ctrlKey || event.metaKey) return;
    send({ do: "undo" });
  });

  document.addEventListener("click", (event) => {
    const at = (selector) => event.target.closest?.(selector);
    const row = at(".steps li[data-step]");
    if (row) here = Number(row.dataset.step);
    if (at("[data-verdict]")) verdict(row, at("[data-verdict]").dataset.verdict);
    else if (at("[data-classes]")) classes(row);
    else if (at("[data-reason]")) send({ do: "class", step: here, reason: at("[data-reason]").dataset.reason });
    else if (at("[data-reword]")) reword(row);
    else if (at("[data-tool]")) tool(at("[data-tool]").dataset.tool);
    else if (at("[data-keys]")) part("dialog.keys")?.showModal();
    else if (at("[data-close]")) at("dialog")?.close();
  });

  document.addEventListener("pointerdown", grip);
  document.addEventListener("pointermove", move);
  for (const type of ["pointerup", "pointercancel"]) document.addEventListener(type, release);
  document.addEventListener("wheel", (event) => {
    const stage = event.target.closest?.(".canvas .stage");
    // A bare wheel scrolls the page, as everywhere.
    if (!stage || !(event.ctrlKey || event.metaKey)) return;
    event.preventDefault();
    zoom(stage, Math.exp(-event.deltaY / 300), event.clientX, event.clientY);
  }, { passive: false });

  for (const type of ["focusin", "pointerover"]) {
    document.addEventListener(type, (event) => {
      const row = event.target.closest?.(".steps li[data-step]"), box = event.target.closest?.("g.box");
      if (row) {
        if (type === "focusin") here = Number(row.dataset.step);
        light(Number(row.dataset.step));
      } else if (box && box.dataset.step !== undefined) {
        light(Number(box.dataset.step));
      } else if (type === "pointerover" && !document.activeElement?.closest?.(".steps, g.box")) {
        light(null);
      }
    });
  }

  // What the server has changed

  let wanted = "", last = "", repeated = "";

  /** What the server said, also to whoever has scrolled away from where it stands. */
  function news() {
    const notice = [...document.querySelectorAll("[id$=annotate-notice] .notice")].find(visible);
    const said = notice?.textContent || "";  // Gradio may write a new sentence into the old node
    if (said === last) return;
    last = said;
    if (!said) return;
    const { top, bottom } = notice.getBoundingClientRect();
    if (bottom < 0 || top > window.innerHeight) tell(repeated = said, 6000);
    else if (line.textContent === repeated) tell("");  // it is about what was before
  }

  new MutationObserver(() => {
    const ack = [...document.querySelectorAll(".orders [data-ack]")].map((node) => Number(node.dataset.ack));
    if (under && (current === "press" ? answered() !== done : ack.includes(under))) arrived();
    news();
    const list = part(".steps");
    if (!list) { shownRevision = ""; return; }
    const fresh = list.dataset.revision !== shownRevision;
    const lost = document.activeElement === document.body || document.activeElement === null;
    if (fresh) {
      shownRevision = list.dataset.revision;
      here = 0;
      const away = document.activeElement?.closest?.(".work, .do-next");
      if (lost || away) goTo(0);
    } else if (lost && wanted === "step") {
      goTo(here);
    } else {
      rows().forEach((row, i) => { const index = i === here ? 0 : -1; if (row.tabIndex !== index) row.tabIndex = index; });
    }
    refresh();
    if (focusNew >= 0) {
      const made = part(`g.box[data-key="C-answer-${focusNew}"]`);
      if (made) { focusNew = -1; made.focus(); }
    }
  }).observe(document.documentElement, { childList: true, subtree: true, attributes: true, attributeFilter: ["data-ack", "data-done", "data-revision"] });
  document.addEventListener("focusin", (event) => { wanted = event.target.closest?.(".steps") ? "step" : ""; });
})();
