// One item to grade. Keys work while the pad has the focus, and go no further than it.

const GUARD_MS = 200; // a second press within this time is the same press
const LONG_LINES = 12;

const HELP = {
  pairs: [
    ["← →", "A or B is better"],
    ["shift + ← →", "slightly better"],
    ["t", "tie"],
    ["b", "both bad"],
  ],
  scores: [["digit", "the score"]],
  all: [
    ["s", "skip"],
    ["z", "undo"],
    ["n", "note"],
    ["r", "reference"],
    ["?", "these keys"],
  ],
};

function make(name, className, text) {
  const made = document.createElement(name);
  if (className) made.className = className;
  if (text !== undefined) made.textContent = text;
  return made;
}

function button(text, label, press) {
  const made = make("button", "", text);
  made.type = "button";
  made.title = label;
  made.setAttribute("aria-label", label);
  made.addEventListener("click", press);
  return made;
}

function render({ model, el }) {
  const root = make("div", "rb-pad");
  root.tabIndex = 0;
  root.setAttribute("role", "group");
  root.dataset.lmSuppressShortcuts = "true";
  const pairs = model.get("scale") === "";
  root.setAttribute("aria-label", "Blind grading: press ? for the keys");

  const bar = make("div", "rb-pad-bar");
  const head = make("span", "rb-pad-head");
  const undo = button("Undo z", "Take the latest verdict back, key z", () => send({ do: "undo" }));
  const help = button("Keys ?", "Show the keys, key question mark", () => toggle(keys));
  const hint = make("span", "rb-pad-hint", "click here for the keys");
  bar.append(head, hint, undo, help);

  const keys = make("div", "rb-pad-keys");
  for (const [key, does] of [...(pairs ? HELP.pairs : HELP.scores), ...HELP.all]) {
    const row = make("span");
    row.append(make("b", "", key), ` ${does}`);
    keys.append(row);
  }
  keys.hidden = true;

  const prompt = section("Prompt", "rb-pad-prompt");
  const more = button("Show all", "Show the whole prompt", () => {
    const open = prompt.text.classList.toggle("rb-pad-open");
    more.textContent = open ? "Show less" : "Show all";
  });
  prompt.root.append(more);
  const reference = section("Reference", "rb-pad-reference");
  const refer = button("Reference r", "Show or hide the reference answer, key r", () => toggle(reference.root));

  const sides = make("div", "rb-pad-sides");
  const left = section(pairs ? "A" : "Answer", "rb-pad-answer");
  const right = section("B", "rb-pad-answer");
  left.text.tabIndex = right.text.tabIndex = 0;
  sides.append(left.root, right.root);
  right.root.hidden = !pairs;

  const blank = make("p", "rb-pad-blank");

  const sync = make("input");
  sync.type = "checkbox";
  sync.checked = true;
  const together = make("label", "rb-pad-sync");
  together.append(sync, " scroll A and B together");
  let moving = null;
  for (const [one, other] of [[left.text, right.text], [right.text, left.text]]) {
    one.addEventListener("scroll", () => {
      if (!sync.checked || moving === one) {
        moving = null;
        return;
      }
      moving = other;
      const share = one.scrollTop / Math.max(1, one.scrollHeight - one.clientHeight);
      const top = Math.round(share * Math.max(0, other.scrollHeight - other.clientHeight));
      if (Math.abs(other.scrollTop - top) < 2) moving = null;
      else other.scrollTop = top;
    });
  }

  const press = make("div", "rb-pad-buttons");
  const byKey = new Map();
  for (const one of model.get("buttons")) {
    const made = button(one.text, one.label, () => say(one.word));
    made.dataset.word = one.word;
    press.append(made);
    byKey.set(one.key, one.word);
  }
  const noter = button("Note n", "Write a note, key n", () => openNote());
  press.append(noter, refer);

  const note = make("div", "rb-pad-note");
  const field = make("textarea");
  field.rows = 2;
  field.maxLength = 2000;
  field.setAttribute("aria-label", "Note on this item, saved with the verdict; Escape goes back");
  field.placeholder = "Saved with the verdict. Escape goes back to the keys.";
  note.append(field);
  note.hidden = true;

  root.append(bar, keys, prompt.root, reference.root, sides, together, blank, press, note);
  el.append(root);

  let since = performance.now();
  let pressed = -Infinity;
  let waiting = false;

  function section(title, className) {
    const made = make("section", className);
    const text = make("div", "rb-pad-text");
    text.setAttribute("role", "region");
    text.setAttribute("aria-label", title);
    made.append(make("h4", "", title), text);
    return { root: made, text };
  }

  function toggle(part) {
    if (part !== reference.root || model.get("shown").reference !== null) part.hidden = !part.hidden;
  }

  function openNote() {
    note.hidden = false;
    field.focus();
  }

  function send(content) {
    const now = performance.now();
    if (waiting || now - pressed < GUARD_MS) return;
    pressed = now;
    waiting = true;
    model.send(content);
  }

  function say(word) {
    const place = model.get("shown").place;
    if (place === undefined) {
      if (word !== "skip" || !model.get("says")) return;
    }
    send({ do: "say", word, place: place ?? -1, note: field.value, taken_s: (performance.now() - since) / 1000 });
  }

  function draw() {
    const shown = model.get("shown");
    const there = shown.place !== undefined;
    head.textContent = model.get("head");
    blank.textContent = model.get("blank");
    blank.hidden = there;
    prompt.root.hidden = sides.hidden = !there;
    together.hidden = !there || !pairs;
    reference.root.hidden = true;
    refer.disabled = !there || shown.reference === null;
    prompt.text.textContent = shown.prompt ?? "";
    prompt.text.classList.remove("rb-pad-open");
    more.textContent = "Show all";
    more.hidden = (shown.prompt ?? "").split("\n").length <= LONG_LINES && (shown.prompt ?? "").length <= 1200;
    left.text.textContent = shown.left || "(an empty answer)";
    right.text.textContent = shown.right || "(an empty answer)";
    reference.text.textContent = shown.reference ?? "";
    left.text.scrollTop = right.text.scrollTop = 0;
    field.value = "";
    note.hidden = true;
    for (const one of press.querySelectorAll("button[data-word]")) {
      one.disabled = !there && one.dataset.word !== "skip";
    }
    press.hidden = !model.get("says");
    undo.hidden = help.hidden = hint.hidden = !model.get("undoes");
    if (!model.get("undoes")) keys.hidden = true;
    since = performance.now();
    // Whoever pressed a button that is gone or off now would lose the keys.
    if (document.activeElement === document.body || document.activeElement === field) root.focus({ preventScroll: true });
    root.dataset.place = there ? String(shown.place) : "";
  }

  function heard(message) {
    if (message.kind === "heard") waiting = false;
  }

  root.addEventListener("keydown", (event) => {
    if (event.target === field) {
      event.stopPropagation();
      if (event.key === "Escape") {
        event.preventDefault();
        note.hidden = field.value === "";
        root.focus();
      }
      return;
    }
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const key = (event.shiftKey && event.key.startsWith("Arrow") ? "Shift+" : "") +
      (event.key.length === 1 ? event.key.toLowerCase() : event.key);
    const does = {
      z: () => model.get("undoes") && send({ do: "undo" }),
      n: openNote,
      r: () => toggle(reference.root),
      "?": () => toggle(keys),
    }[key] ?? (byKey.has(key) ? () => say(byKey.get(key)) : null);
    // Tab, Enter and scrolling stay the browser's own; all other keys stay here.
    if (!does) {
      if (event.key.length === 1) event.stopPropagation();
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    if (!event.repeat) does();
  });

  model.on("change:shown change:head change:blank change:says change:undoes", draw);
  model.on("msg:custom", heard);
  draw();
  return () => {
    model.off("change:shown change:head change:blank change:says change:undoes", draw);
    model.off("msg:custom", heard);
  };
}

export default { render };
