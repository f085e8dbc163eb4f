// Keys of the whole page.

/**
 * @param {Record<string, (event: KeyboardEvent) => void>} actions by key; "Ctrl+z" with Ctrl or Cmd
 * @param {Record<string, (event: KeyboardEvent) => void>} ofCanvas those that count only while the canvas has the focus
 */
export function bindKeys(actions, ofCanvas) {
  document.addEventListener("keydown", (event) => {
    if (event.target.closest("input:not([type=checkbox]), select, dialog, textarea")) return;
    const key = event.ctrlKey || event.metaKey ? `Ctrl+${event.key.toLowerCase()}` : event.key;
    const onCanvas = event.target === document.getElementById("view");
    const action = actions[key] ?? (onCanvas ? ofCanvas[key] : undefined);
    if (!action || event.altKey) return;
    event.preventDefault();
    action(event);
  });
}
