// One page of a table. The kernel sorts, searches and pages; here rows are shown, ticked and opened.

function render({ model, el }) {
  const root = document.createElement("div");
  root.className = "rb-grid";
  el.append(root);

  const bar = document.createElement("div");
  bar.className = "rb-grid-bar";
  const told = document.createElement("span");
  told.setAttribute("role", "status");
  const back = turner("‹ Previous", -1);
  const on = turner("Next ›", 1);
  const field = document.createElement("input");
  field.type = "search";
  field.placeholder = "Search (/)";
  field.setAttribute("aria-label", `Search in ${model.get("label")}`);
  field.addEventListener("change", () => put("wanted", field.value));
  field.addEventListener("search", () => put("wanted", field.value));
  if (model.get("search")) bar.append(field);
  bar.append(told, back, on);

  const frame = document.createElement("div");
  frame.className = "rb-grid-frame";
  const table = document.createElement("table");
  table.setAttribute("aria-label", model.get("label"));
  frame.append(table);
  root.append(bar, frame);
  let drawn = 0;

  function put(name, value) {
    model.set(name, value);
    model.save_changes();
  }

  function turner(text, step) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = text;
    made.addEventListener("click", () => put("page", model.get("page") + step));
    return made;
  }

  function head() {
    const row = document.createElement("tr");
    if (model.get("ticks")) {
      const corner = document.createElement("th");
      corner.scope = "col";
      corner.className = "rb-grid-ticks";
      corner.textContent = "✓";
      corner.title = "ticked rows are selected";
      row.append(corner);
    }
    const [sorted, descending] = model.get("sort");
    for (const column of model.get("columns")) {
      const cell = document.createElement("th");
      cell.scope = "col";
      cell.className = column.align;
      const button = document.createElement("button");
      button.type = "button";
      button.dataset.column = column.name;
      const arrow = sorted !== column.name ? "" : descending ? " ▼" : " ▲";
      button.textContent = column.title + arrow;
      button.title = column.help || `Sort by ${column.title}`;
      if (arrow) cell.setAttribute("aria-sort", descending ? "descending" : "ascending");
      button.addEventListener("click", () => put("sort", [column.name, sorted === column.name && !descending]));
      cell.append(button);
      row.append(cell);
    }
    const made = document.createElement("thead");
    made.append(row);
    return made;
  }

  function body() {
    const made = document.createElement("tbody");
    const columns = model.get("columns");
    const ticked = new Set(model.get("ticked"));
    for (const [key, ...cells] of model.get("rows")) {
      const row = document.createElement("tr");
      row.dataset.key = key;
      row.tabIndex = -1;
      if (model.get("ticks")) {
        const place = document.createElement("td");
        // The whole cell is to be hit, and not the box alone.
        const around = document.createElement("label");
        around.className = "rb-grid-tick";
        const box = document.createElement("input");
        box.type = "checkbox";
        box.checked = ticked.has(key);
        box.tabIndex = -1;
        box.setAttribute("aria-label", `Select ${cells[0]}`);
        box.addEventListener("change", () => tick(key));
        around.append(box);
        place.append(around);
        row.append(place);
      }
      cells.forEach((text, at) => {
        const cell = document.createElement("td");
        cell.className = columns[at].align;
        cell.textContent = text;
        row.append(cell);
      });
      if (model.get("opens")) row.addEventListener("click", (event) => event.target.closest("label") || open(key));
      made.append(row);
    }
    return made;
  }

  function draw() {
    const focused = table.contains(document.activeElement) ? document.activeElement : null;
    const held = focused?.closest("tbody tr")?.dataset.key;
    const column = focused?.dataset.column;
    table.replaceChildren(head(), body());
    told.textContent = model.get("told");
    back.hidden = on.hidden = model.get("pages") < 2;
    back.disabled = model.get("page") === 0;
    on.disabled = model.get("page") >= model.get("pages") - 1;
    marks();
    const rows = [...table.tBodies[0].rows];
    const first = rows.find((row) => row.dataset.key === held) ?? rows[0];
    if (first) first.tabIndex = 0;
    if (held !== undefined) first?.focus();
    if (column !== undefined) {
      const heads = [...table.tHead.querySelectorAll("button")];
      heads.find((one) => one.dataset.column === column)?.focus();
    }
    drawn += 1;
    root.dataset.drawn = String(drawn);
  }

  // What is ticked or open changes without the table being made anew.
  function marks() {
    const ticked = new Set(model.get("ticked"));
    for (const row of table.tBodies[0].rows) {
      const box = row.querySelector("input[type=checkbox]");
      if (box) box.checked = ticked.has(row.dataset.key);
      row.classList.toggle("ticked", ticked.has(row.dataset.key));
      row.classList.toggle("opened", row.dataset.key === model.get("opened"));
      if (model.get("opens")) row.setAttribute("aria-expanded", String(row.dataset.key === model.get("opened")));
    }
  }

  function tick(key) {
    const before = model.get("ticked");
    put("ticked", before.includes(key) ? before.filter((one) => one !== key) : [...before, key]);
  }

  function open(key) {
    put("opened", model.get("opened") === key ? "" : key);
  }

  function go(row) {
    if (!row) return;
    for (const other of table.tBodies[0].rows) other.tabIndex = -1;
    row.tabIndex = 0;
    row.focus();
  }

  root.addEventListener("keydown", (event) => {
    const row = event.target.closest?.("tbody tr");
    if (!row) return;
    const does = {
      ArrowDown: () => go(row.nextElementSibling),
      j: () => go(row.nextElementSibling),
      ArrowUp: () => go(row.previousElementSibling),
      k: () => go(row.previousElementSibling),
      Enter: () => model.get("opens") && open(row.dataset.key),
      " ": () => model.get("ticks") && tick(row.dataset.key),
      "/": () => model.get("search") && field.focus(),
    }[event.key];
    if (!does || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    event.stopPropagation();
    does();
  });

  // Rows, order and words come together, and are drawn once.
  let due = false;
  const redraw = () => {
    if (due) return;
    due = true;
    queueMicrotask(() => {
      due = false;
      draw();
    });
  };
  model.on("change:rows change:sort change:told", redraw);
  model.on("change:ticked change:opened", marks);
  draw();
  return () => {
    model.off("change:rows change:sort change:told", redraw);
    model.off("change:ticked change:opened", marks);
  };
}

export default { render };
