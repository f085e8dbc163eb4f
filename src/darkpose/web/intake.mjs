// How files come into the page: chosen, dropped or pasted.

const NO_FILES = "This is not a file: save the picture first, or copy it and paste it here.";

/**
 * Hand on the files that the user gives.
 * @param {(files: File[]) => void} onFiles
 * @param {(sentence: string) => void} onRefused
 */
export function takeFiles(onFiles, onRefused) {
  const frame = document.getElementById("frame");
  const choose = document.getElementById("choose");
  choose.addEventListener("change", () => {
    onFiles([...choose.files]);
    choose.value = ""; // so that the same file can be chosen again
  });
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    frame.classList.add("dropping");
  });
  document.addEventListener("dragleave", (event) => event.relatedTarget || frame.classList.remove("dropping"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    frame.classList.remove("dropping");
    const files = [...event.dataTransfer.files];
    if (files.length) onFiles(files);
    else onRefused(NO_FILES);
  });
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (files.length) onFiles(files);
    else if (!event.target.closest?.("input")) onRefused("There is no picture on the clipboard.");
  });
}

/** Whether a file is a video by what the browser or its name says. */
export function isVideo(/** @type {File} */ file) {
  return file.type.startsWith("video/") || /\.(mp4|m4v|mov|webm|mkv|avi|ogv)$/i.test(file.name);
}
