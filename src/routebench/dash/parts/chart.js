// Draws a Vega-Lite spec whose rows come by name, in the colours of the page, and tells what is selected.

const INK = "#1b1b1b";
const PAPER = "#ffffff";
const DARK = { ink: "#e6e6e6", paper: "#111111", grid: "#4a4a4a" };
const LIGHT = { ink: INK, paper: PAPER, grid: "#d9d9d9" };

// One copy of the library for the whole page, whichever chart asks first.
function library(model) {
  globalThis.__routebench_vega ??= unpacked(model).catch((error) => {
    // The next chart tries again: this one's kernel may be gone.
    globalThis.__routebench_vega = undefined;
    throw error;
  });
  return globalThis.__routebench_vega;
}

async function unpacked(model) {
  const id = model.get("_vega").slice("IPY_MODEL_".length);
  const packed = (await model.widget_manager.get_model(id)).get("source");
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("gzip"));
  const source = await new Response(stream).text();
  const address = URL.createObjectURL(new Blob([source], { type: "text/javascript" }));
  return (await import(address)).default;
}

// The page may be dark for many reasons (a theme, an editor, a browser's setting): its background tells.
function isDark(el) {
  for (let node = el; node; node = node.parentElement ?? node.getRootNode().host) {
    const found = getComputedStyle(node).backgroundColor.match(/[\d.]+/g)?.map(Number);
    if (found && (found.length < 4 || found[3] > 0.5)) {
      return 0.299 * found[0] + 0.587 * found[1] + 0.114 * found[2] < 128;
    }
  }
  return matchMedia("(prefers-color-scheme: dark)").matches;
}

function painted(spec, look) {
  const swapped = JSON.stringify(spec).replaceAll(INK, look.ink).replaceAll(PAPER, look.paper);
  const own = JSON.parse(swapped);
  const text = { labelColor: look.ink, titleColor: look.ink };
  const axis = { ...text, gridColor: look.grid, domainColor: look.grid, tickColor: look.grid };
  const config = own.config ?? {};
  own.config = {
    ...config,
    background: "transparent",
    axis: { ...config.axis, ...axis },
    legend: { ...config.legend, ...text, symbolBaseFillColor: look.ink, symbolBaseStrokeColor: look.ink },
    header: { ...config.header, ...text },
    title: { ...config.title, color: look.ink, subtitleColor: look.ink },
    text: { color: look.ink, ...config.text },
  };
  return own;
}

function render({ model, el }) {
  const root = document.createElement("div");
  root.className = "rb-chart";
  root.tabIndex = 0;
  root.setAttribute("role", "figure");
  const place = document.createElement("div");
  place.className = "rb-chart-place";
  const tools = document.createElement("div");
  tools.className = "rb-chart-tools";
  root.append(place, tools);
  el.append(root);

  let view = null;
  let finish = null;
  let look = LIGHT;
  let fed = {};
  let drawn = 0;
  let turn = 0;

  function finished() {
    drawn += 1;
    root.dataset.drawn = String(drawn);
  }

  function describe() {
    root.setAttribute("aria-label", model.get("description"));
  }

  function fail(error) {
    place.textContent = `This picture could not be drawn (${error.message}); its numbers are in the table.`;
  }

  async function embed() {
    const mine = (turn += 1);
    let embedder;
    try {
      embedder = await library(model);
    } catch (error) {
      return fail(error);
    }
    const width = place.clientWidth;
    // A chart in a closed tab has no width; it is drawn when it gets one.
    if (mine !== turn || width === 0) return;
    look = isDark(root) ? DARK : LIGHT;
    fed = model.get("frames");
    const spec = { ...painted(model.get("spec"), look), datasets: fed };
    finish?.();
    try {
      const made = await embedder(place, spec, { actions: false, renderer: "svg", defaultStyle: true, logLevel: 1 });
      if (mine !== turn) return made.finalize();
      view = made.view;
      finish = () => {
        made.finalize();
        view = null;
      };
    } catch (error) {
      return fail(error);
    }
    listen();
    mark();
    await view.runAsync();
    tell(width);
    finished();
  }

  function tell(width) {
    if (model.get("width_px") !== Math.round(width)) {
      model.set("width_px", Math.round(width));
      model.save_changes();
    }
  }

  async function feed() {
    const frames = model.get("frames");
    if (!view) return embed();
    for (const [name, values] of Object.entries(frames)) {
      if (values !== fed[name]) view.data(name, values);
    }
    fed = frames;
    // Axes may need more or less room for their labels now.
    await view.resize().runAsync();
    finished();
  }

  function has(signal) {
    try {
      view.signal(signal);
      return true;
    } catch {
      return false;
    }
  }

  function mark() {
    if (view && has("selected")) view.signal("selected", model.get("_selected"));
  }

  function choose(names) {
    const before = model.get("_selected");
    if (before.length === names.length && before.every((name, at) => name === names[at])) return;
    model.set("_selected", names);
    model.save_changes();
  }

  function listen() {
    const [source, key] = model.get("select").split(".");
    if (!key) return;
    if (has("brush")) {
      view.addSignalListener("brush", (_, ranges) => {
        const fields = Object.entries(ranges ?? {});
        if (!fields.length) return;
        const inside = (row) =>
          fields.every(([field, range]) => row[field] >= Math.min(...range) && row[field] <= Math.max(...range));
        choose(view.data(source).filter(inside).map((row) => String(row[key])));
      });
    }
    view.addEventListener("click", (event, item) => {
      const name = item?.datum?.[key];
      if (name === undefined) return event.detail === 1 && !brushed() && choose([]);
      const before = model.get("_selected");
      const without = before.filter((one) => one !== String(name));
      if (!event.shiftKey) choose([String(name)]);
      else choose(without.length < before.length ? without : [...before, String(name)]);
    });
  }

  function brushed() {
    return has("brush") && Object.keys(view.signal("brush") ?? {}).length > 0;
  }

  root.addEventListener("keydown", (event) => {
    if (event.key !== "Escape" || !view) return;
    event.stopPropagation();
    if (has("brush_x")) view.signal("brush_x", []);
    if (has("brush_y")) view.signal("brush_y", []);
    view.runAsync();
    choose([]);
  });

  function button(kind) {
    const made = document.createElement("button");
    made.type = "button";
    made.textContent = kind.toUpperCase();
    made.title = `Save this picture as ${kind.toUpperCase()}`;
    made.addEventListener("click", async () => {
      if (!view) return;
      // On paper there is no page behind it.
      view.background(look.paper);
      const address =
        kind === "svg"
          ? URL.createObjectURL(new Blob([await view.toSVG()], { type: "image/svg+xml" }))
          : await view.toImageURL("png", 2);
      view.background("transparent");
      const link = document.createElement("a");
      link.href = address;
      link.download = `${model.get("name")}.${kind}`;
      link.click();
    });
    tools.append(made);
  }
  button("png");
  button("svg");

  const onSpec = () => embed();
  const onFrames = () => feed();
  const onSelected = () => {
    mark();
    view?.runAsync();
  };
  model.on("change:spec", onSpec);
  model.on("change:frames", onFrames);
  model.on("change:description", describe);
  model.on("change:_selected", onSelected);

  const sized = new ResizeObserver(() => {
    const width = place.clientWidth;
    if (width === 0) return;
    if (!view) return embed();
    if (Math.abs(view.width() - width) < 2) return;
    view.width(width).runAsync().then(() => tell(width));
  });
  sized.observe(place);
  const themed = new MutationObserver(() => {
    if (view && (isDark(root) ? DARK : LIGHT) !== look) embed();
  });
  for (const node of [document.documentElement, document.body]) {
    themed.observe(node, { attributes: true, attributeFilter: ["class", "style", "data-jp-theme-light", "data-theme"] });
  }
  describe();

  return () => {
    turn += 1;
    sized.disconnect();
    themed.disconnect();
    model.off("change:spec", onSpec);
    model.off("change:frames", onFrames);
    model.off("change:description", describe);
    model.off("change:_selected", onSelected);
    finish?.();
  };
}

export default { render };
