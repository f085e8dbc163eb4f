// What the first bytes of a file say: its kind, and the size of the picture. Pure functions.

/** @typedef {{kind: string, width?: number, height?: number}} Header  width and height in px, if they are told */

const ENOUGH = 1 << 18; // bytes; JPEG files may have long metadata before the size

/**
 * The kind and size of a picture.
 * @param {Uint8Array} bytes the first 256 KiB of a file, or all of it
 * @returns {Header} kind: "png", "jpeg", "gif", "webp", "bmp", "heic", "avif", "tiff", "svg", "pdf", or "" for others
 */
export function readHeader(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const text = (start, end) => String.fromCharCode(...bytes.subarray(start, end));
  if (text(1, 4) === "PNG" && bytes.length >= 24) {
    return { kind: "png", width: view.getUint32(16), height: view.getUint32(20) };
  }
  if (text(0, 4) === "GIF8" && bytes.length >= 10) {
    return { kind: "gif", width: view.getUint16(6, true), height: view.getUint16(8, true) };
  }
  if (text(0, 2) === "BM" && bytes.length >= 26) {
    return { kind: "bmp", width: view.getInt32(18, true), height: Math.abs(view.getInt32(22, true)) };
  }
  if (bytes[0] === 0xff && bytes[1] === 0xd8) return { kind: "jpeg", ...jpegSize(view) };
  if (text(0, 4) === "RIFF" && text(8, 12) === "WEBP") return { kind: "webp", ...webpSize(view, text(12, 16)) };
  if (text(4, 8) === "ftyp") return { kind: /avi[fs]/.test(text(8, 32)) ? "avif" : "heic" };
  if (["II*\0", "MM\0*"].includes(text(0, 4))) return { kind: "tiff" };
  if (text(0, 5) === "%PDF-") return { kind: "pdf" };
  if (text(0, 4000).trimStart().startsWith("<") && /<svg[\s>]/i.test(text(0, 4000))) return { kind: "svg" };
  return { kind: "" };
}

/** The size in a JPEG file, from its first frame header; nothing if it is not in these bytes. */
function jpegSize(view) {
  let at = 2;
  while (at + 9 <= view.byteLength) {
    const marker = view.getUint8(at + 1);
    if (view.getUint8(at) !== 0xff) return {};
    if (marker === 0xff)
      at += 1; // fill
    else if (marker >= 0xc0 && marker <= 0xcf && ![0xc4, 0xc8, 0xcc].includes(marker)) {
      return { height: view.getUint16(at + 5), width: view.getUint16(at + 7) };
    } else at += 2 + view.getUint16(at + 2);
  }
  return {};
}

/** The size in a WebP file, by the kind of its first part. */
function webpSize(view, part) {
  if (view.byteLength < 30) return {};
  if (part === "VP8X") return { width: 1 + uint24(view, 24), height: 1 + uint24(view, 27) };
  if (part === "VP8 ") return { width: view.getUint16(26, true) & 0x3fff, height: view.getUint16(28, true) & 0x3fff };
  if (part !== "VP8L") return {};
  const bits = view.getUint32(21, true);
  return { width: 1 + (bits & 0x3fff), height: 1 + ((bits >> 14) & 0x3fff) };
}

function uint24(view, at) {
  return view.getUint16(at, true) + (view.getUint8(at + 2) << 16);
}

/**
 * Why a file is refused before it is decoded; "" where it is not.
 * @param {{name: string, size: number}} file
 * @param {Header} header
 * @param {{bytes: number, pixels: number}} limits
 */
export function refusal({ name, size }, { kind, width, height }, limits) {
  if (size === 0) return `${name} is empty (0 bytes).`;
  if (size > limits.bytes) return `${name} has ${megabytes(size)}; pictures may have up to ${megabytes(limits.bytes)}.`;
  if (width * height > limits.pixels) {
    const most = Math.round(limits.pixels / 1e6);
    return `${name} has ${grouped(width)} x ${grouped(height)} px; pictures may have up to ${most} million px.`;
  }
  if (kind === "svg") return `${name} is an SVG drawing, not a photograph: save it as PNG or JPEG.`;
  if (kind === "pdf") return `${name} is a PDF document: save the picture in it as PNG or JPEG.`;
  return "";
}

/**
 * Why a browser could not decode a file.
 * @param {string} name
 * @param {Header} header
 */
export function undecodable(name, { kind }) {
  if (["heic", "avif", "tiff"].includes(kind)) {
    return `${name} is a ${kind.toUpperCase()} file, which this browser cannot read: save it as JPEG or PNG.`;
  }
  if (kind) return `${name} is damaged, or a kind of ${kind.toUpperCase()} file that this browser cannot read.`;
  return `${name} is not a picture that this browser can read: use a JPEG, PNG or WebP file.`;
}

/** The first bytes of a file, as many as `readHeader` needs. */
export async function firstBytes(/** @type {Blob} */ file) {
  return new Uint8Array(await file.slice(0, ENOUGH).arrayBuffer());
}

/** A number of bytes for people. */
export function megabytes(bytes) {
  return `${(bytes / 1e6).toFixed(bytes < 1e7 ? 1 : 0)} MB`;
}

function grouped(number) {
  return number.toLocaleString("en");
}

/** A name of a stranger without characters that change the text around it. */
export function printable(name) {
  return name.replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, "?").slice(0, 200);
}
