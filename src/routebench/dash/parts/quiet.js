// Keys that are meant for a panel must not edit the notebook around it. With Ctrl or Cmd they are the notebook's own.

function render({ el }) {
  const hold = (event) => {
    if (!event.ctrlKey && !event.metaKey && !event.altKey) event.stopPropagation();
  };
  let panel = null;
  // The panel is put together from the inside: at first there is none around.
  const frame = requestAnimationFrame(() => {
    panel = el.closest(".rb-panel");
    panel?.addEventListener("keydown", hold);
  });
  return () => {
    cancelAnimationFrame(frame);
    panel?.removeEventListener("keydown", hold);
  };
}

export default { render };
