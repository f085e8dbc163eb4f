// The token of a server.

/**
 * Ask the user for it; "" where there is none.
 * @param {boolean} wasWrong whether one was given that is wrong
 * @returns {Promise<string>}
 */
export async function askToken(wasWrong) {
  const dialog = document.getElementById("ask-token");
  document.getElementById("token-wrong").hidden = !wasWrong;
  dialog.returnValue = "cancel";
  dialog.showModal();
  await new Promise((resolve) => dialog.addEventListener("close", resolve, { once: true }));
  return dialog.returnValue === "send" ? document.getElementById("token").value.trim() : "";
}
