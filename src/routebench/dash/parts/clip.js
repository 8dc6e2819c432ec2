// A button that asks the kernel for a text and puts it on the clipboard or into a file.

function save(text, name) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type: "text/plain" }));
  link.download = name;
  link.click();
  return `Saved as ${name}`;
}

async function handOver(text, file) {
  if (file) return save(text, file);
  try {
    await navigator.clipboard.writeText(text);
    return "Copied";
  } catch {
    // A page without permission has no clipboard.
    return save(text, "copied.txt");
  }
}

function render({ model, el }) {
  const root = document.createElement("span");
  root.className = "rb-clip";
  const button = document.createElement("button");
  button.type = "button";
  button.textContent = model.get("label");
  button.title = model.get("help");
  button.addEventListener("click", () => model.send({ kind: "text" }));
  const said = document.createElement("span");
  said.setAttribute("role", "status");
  root.append(button, said);
  el.append(root);
  const answered = async (message) => {
    said.textContent = await handOver(message.text, model.get("file"));
  };
  model.on("msg:custom", answered);
  return () => model.off("msg:custom", answered);
}

export default { render };
